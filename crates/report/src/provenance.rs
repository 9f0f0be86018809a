//! What stands behind the page's numbers: every run with its record, settings,
//! program and machine, each written once and pointed at by its place.

use std::collections::BTreeMap;

use adamix_record::{DataIdentity, Environment, RunId, Text, canonical_json};
use serde::Serialize;
use serde_json::Value;

use crate::load::{Experiment, Run, Study};
use crate::tables::state;

/// The runs of an experiment and all that they share.
#[derive(Serialize)]
pub(crate) struct Provenance<'a> {
    data: &'a DataIdentity,
    protocols: Vec<Named<'a>>,
    /// Names of arms and candidates.
    arms: Vec<Text>,
    states: Vec<Text>,
    /// Settings, in parts: of a protocol, of the weights, of the biases.
    settings: Vec<&'a Value>,
    environments: Vec<Place<'a>>,
    pub(crate) runs: Vec<Entry<'a>>,
    #[serde(skip)]
    places: BTreeMap<&'a RunId, usize>,
    /// What is behind the times of updates.
    #[serde(skip)]
    timed: Option<Timed<'a>>,
}

/// The program that timed the updates, its machine and its data set, as
/// `cost.json` has them.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Timed<'a> {
    environment: &'a Environment,
    rounds: usize,
    data_sha256: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    label: &'a Text,
    hash: &'a str,
}

/// A program on a machine.
#[derive(Serialize, PartialEq)]
struct Place<'a> {
    kernel: &'a str,
    #[serde(flatten)]
    environment: &'a Environment,
}

/// A run. Numbers are places in the lists of [`Provenance`].
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    id: &'a RunId,
    /// Path from the page's folder; `None` where there is no record.
    record: Option<String>,
    protocol: usize,
    arm: usize,
    seed: u64,
    state: usize,
    /// Of the protocol, the weights, the biases.
    settings: [usize; 3],
    environment: Option<usize>,
    /// Other protocols and arms that have the same run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<[usize; 2]>,
}

impl<'a> Provenance<'a> {
    pub(crate) fn of(experiment: &'a Experiment) -> Self {
        let mut all = Self {
            data: &experiment.plan.data,
            protocols: Vec::new(),
            arms: Vec::new(),
            states: Vec::new(),
            settings: Vec::new(),
            environments: Vec::new(),
            runs: Vec::new(),
            places: BTreeMap::new(),
            timed: experiment.cost.as_ref().map(|cost| Timed {
                environment: &cost.environment,
                rounds: cost
                    .entries
                    .first()
                    .map_or(0, |entry| entry.update_seconds.len()),
                data_sha256: &cost.data_sha256,
            }),
        };
        for study in &experiment.studies {
            let protocol = &study.protocol;
            all.protocols.push(Named {
                name: &protocol.name,
                label: study.label(),
                hash: &protocol.hash,
            });
            for arm in &study.arms {
                let parts = [&protocol.settings, &arm.arm.weights, &arm.arm.biases];
                for run in &arm.runs {
                    all.add(study, run, arm.label().clone(), parts, study.epochs());
                }
            }
            let Some(tuning) = &protocol.tuning else {
                continue;
            };
            let epochs = tuning.rungs.iter().map(|rung| rung.epochs).max();
            for tuned in &study.tuning {
                let candidates = tuned.tuned.candidates.iter().zip(&tuned.candidates);
                for (number, (candidate, runs)) in candidates.enumerate() {
                    let label = &tuned.label;
                    let name = adamix_record::text!(
                        "{label}, candidate {number}",
                        "{label}，候选设置 {number}",
                        label,
                        number,
                    );
                    let parts = [&tuning.settings, &candidate.weights, &candidate.biases];
                    for run in runs {
                        all.add(study, run, name.clone(), parts, epochs.unwrap_or(0));
                    }
                }
            }
        }
        all
    }

    fn add(
        &mut self,
        study: &'a Study,
        run: &'a Run,
        arm: Text,
        settings: [&'a Value; 3],
        epochs: u64,
    ) {
        let protocol = self.protocols.len() - 1;
        let arm = place(&mut self.arms, arm);
        if let Some(found) = self.places.get(&run.id) {
            let entry = &mut self.runs[*found];
            if (entry.protocol, entry.arm) != (protocol, arm) {
                entry.also.push([protocol, arm]);
            }
            return;
        }
        let environment = run.record.as_ref().map(|record| {
            let (kernel, environment) = (&record.header.kernel, &record.header.environment);
            let here = Place {
                kernel,
                environment,
            };
            place(&mut self.environments, here)
        });
        self.places.insert(&run.id, self.runs.len());
        self.runs.push(Entry {
            id: &run.id,
            record: run.file(),
            protocol,
            arm,
            seed: run.seed,
            state: place(&mut self.states, state(study, &run.state, epochs)),
            settings: settings.map(|part| place(&mut self.settings, part)),
            environment,
            also: Vec::new(),
        });
    }

    /// The places of these runs, in order and without one twice: `0-9,12`.
    pub(crate) fn places<'b>(&self, ids: impl IntoIterator<Item = &'b RunId>) -> String {
        let found = ids.into_iter().filter_map(|id| self.places.get(id));
        let mut places: Vec<usize> = found.copied().collect();
        places.sort_unstable();
        places.dedup();
        let mut ranges: Vec<[usize; 2]> = Vec::new();
        for place in places {
            match ranges.last_mut() {
                Some([_, last]) if *last + 1 == place => *last = place,
                _ => ranges.push([place, place]),
            }
        }
        let ranges = ranges.iter().map(|[first, last]| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        ranges.collect::<Vec<_>>().join(",")
    }

    /// All of it as JSON with its keys in order, fit to stand in a page, which
    /// may be sent without its `cost.json`. A record at the usual place is left
    /// out: it is `runs/ID.jsonl`.
    pub(crate) fn json(&self) -> crate::Result<String> {
        let mut value = serde_json::to_value(self)?;
        value["timed"] = serde_json::to_value(&self.timed)?;
        for run in value["runs"].as_array_mut().into_iter().flatten() {
            let usual = format!("runs/{}.jsonl", run["id"].as_str().unwrap_or_default());
            if let Some(run) = run.as_object_mut().filter(|run| run["record"] == usual) {
                run.remove("record");
            }
        }
        let json = canonical_json(&value);
        Ok(json.replace('<', "\\u003c"))
    }
}

/// The place of an item in a list, to which it is added where it is not yet.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    let found = list.iter().position(|other| *other == item);
    found.unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
