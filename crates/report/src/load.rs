//! Records to a typed experiment: everything that is planned, with what became
//! of it. Whatever does not belong together is an error here, so that the rest
//! of the crate need not ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use adamix_record::{
    Anchors, Arm, Backend, Claim, Cost, Environment, Evaluation, Header, Outcome, Plan, PlannedRun,
    Protocol, Role, RunId, RunRecord, SCHEMA, Statistic, Text, TunedArm, Tuning, UpdateTimes,
    canonical_json, read_json, sha256_hex, text,
};
use serde_json::{Value, json};

use crate::index::machine;
use crate::number::one_by_one;
use crate::registration::Registration;
use crate::tuning::progress;
use crate::{Error, Result};

/// A folder of records, read and checked.
pub(crate) struct Experiment {
    /// First 16 hexadecimal digits of SHA-256 over the plan, its records, and
    /// what was measured beside them.
    pub(crate) id: String,
    pub(crate) plan: Plan,
    /// One a protocol, in the plan's order.
    pub(crate) studies: Vec<Study>,
    pub(crate) anchors: Option<Anchors>,
    pub(crate) cost: Option<Cost>,
    /// What the runs were computed by; `None` where there is no run yet.
    pub(crate) backend: Option<Backend>,
    /// What a reader should know about the folder.
    pub(crate) notes: Vec<Text>,
}

/// One protocol: arms under the same settings, paired by seed.
pub(crate) struct Study {
    pub(crate) protocol: Protocol,
    /// Name for the reader. One that is tuned says so: a cell of a cross may
    /// stand there tuned and not tuned.
    label: Text,
    /// In the plan's order.
    pub(crate) arms: Vec<ArmRuns>,
    /// What was tried to choose the arms' settings, in their order; empty where
    /// the file gives them.
    pub(crate) tuning: Vec<TuningRuns>,
    /// The mean image's test error, where it is measured.
    pub(crate) mean_image_error: Option<f64>,
    /// Details, by their place in the plan, whose reading is not the default.
    pub(crate) changed: Vec<usize>,
    /// Under which rules its records were written.
    pub(crate) registration: Registration,
}

/// One arm and its runs, in the order of the protocol's seeds.
pub(crate) struct ArmRuns {
    pub(crate) arm: Arm,
    pub(crate) runs: Vec<Run>,
    /// What its update costs, where that is measured.
    pub(crate) cost: Option<UpdateTimes>,
    /// Arms of one name look alike in all figures.
    pub(crate) style: usize,
}

/// What was tried for one arm.
pub(crate) struct TuningRuns {
    pub(crate) tuned: TunedArm,
    /// [`Arm::label`].
    pub(crate) label: Text,
    /// [`ArmRuns::style`].
    pub(crate) style: usize,
    /// Runs of each candidate, in the order of the tuning seeds.
    pub(crate) candidates: Vec<Vec<Run>>,
}

/// One planned run and what became of it.
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) seed: u64,
    pub(crate) state: State,
    pub(crate) record: Option<Rc<RunRecord>>,
    /// Of its record, where there is one.
    pub(crate) path: PathBuf,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Completed,
    /// From this epoch on.
    Diverged {
        epoch: u64,
    },
    /// Of a tuning run: its candidate was not kept after so many epochs.
    Stopped {
        epoch: u64,
    },
    Failed {
        why: String,
    },
    /// Its record is a `.partial` file.
    Running {
        epochs: u64,
    },
    Missing,
}

impl State {
    /// Whether nothing more is to come of the run.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self, Self::Running { .. } | Self::Missing)
    }
}

type Records = BTreeMap<RunId, (PathBuf, Rc<RunRecord>)>;

/// What a record must be: of a protocol's run or of a tuning run.
struct Expected<'a> {
    plan: &'a Plan,
    settings: &'a Value,
    weights: &'a Value,
    biases: &'a Value,
    /// Epochs of a run that completed.
    epochs: u64,
    tuning: bool,
    mean_image_error: Option<f64>,
}

/// Reads and checks `folder`.
pub(crate) fn experiment(folder: &Path) -> Result<Experiment> {
    let plan_path = folder.join("plan.json");
    let plan = Plan::read(&plan_path)?;
    check_plan(&plan, &plan_path)?;
    let anchors = anchors(&folder.join("anchors.json"), &plan)?;
    let cost = cost(&folder.join("cost.json"), &plan)?;
    let mut records = records(&folder.join("runs"))?;

    let mean_image_error = anchors.as_ref().map(|a| a.mean_image_test_error);
    let mut names: Vec<&str> = Vec::new();
    let mut studies = Vec::new();
    for protocol in &plan.protocols {
        let mut arms = Vec::new();
        for arm in &protocol.arms {
            let style = names.iter().position(|name| *name == arm.name);
            let style = style.unwrap_or_else(|| {
                names.push(&arm.name);
                names.len() - 1
            });
            let expected = Expected {
                plan: &plan,
                settings: &protocol.settings,
                weights: &arm.weights,
                biases: &arm.biases,
                epochs: protocol.epochs,
                tuning: false,
                mean_image_error,
            };
            let planned = protocol.runs.iter().filter(|run| run.arm == arm.name);
            let cost = cost.as_ref().and_then(|c| c.of(&protocol.name, &arm.name));
            arms.push(ArmRuns {
                arm: arm.clone(),
                runs: runs(planned, &protocol.seeds, &records, &expected)?,
                cost: cost.cloned(),
                style,
            });
        }
        let tuning = protocol.tuning.as_ref();
        let tuning = tuning.map(|tuning| tuning_runs(&plan, tuning, &arms, &records));
        let changed = plan.details.iter().enumerate().filter(|(_, detail)| {
            protocol.readings.get(&detail.name) != detail.readings.first().map(|r| &r.name)
        });
        studies.push(Study {
            protocol: protocol.clone(),
            label: label(&plan, protocol),
            arms,
            tuning: tuning.transpose()?.unwrap_or_default(),
            mean_image_error,
            changed: changed.map(|(index, _)| index).collect(),
            registration: Registration::default(),
        });
    }
    for study in &mut studies {
        study.registration = Registration::of(&plan, study);
    }
    let backend = check_alike(&studies)?.map(|header| header.backend);
    let id = id(folder, &plan_path, &studies)?;
    for planned in plan.runs() {
        if let Some((path, record)) = records.remove(&planned.run_id) {
            check_not_copied(&path, &record, &records)?;
        }
    }
    let notes = notes(&plan, &studies, &records);
    Ok(Experiment {
        id,
        plan,
        studies,
        anchors,
        cost,
        backend,
        notes,
    })
}

/// The report's name: a checksum over the bytes of the plan, of every record
/// that it lists, in the order of the run ids, and of the anchors and costs where
/// they are there.
fn id(folder: &Path, plan: &Path, studies: &[Study]) -> Result<String> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| Error::io(path, e));
    let runs = studies.iter().flat_map(Study::all_runs);
    let records = runs.filter(|run| run.record.is_some());
    let paths: BTreeMap<&RunId, &Path> = records.map(|run| (&run.id, run.path.as_path())).collect();
    let mut checksums = sha256_hex(&read(plan)?);
    for (id, path) in paths {
        checksums += &format!(" {id} {}", sha256_hex(&read(path)?));
    }
    for name in ["anchors.json", "cost.json"] {
        let path = folder.join(name);
        if path.exists() {
            checksums += &format!(" {name} {}", sha256_hex(&read(&path)?));
        }
    }
    let mut id = sha256_hex(checksums.as_bytes());
    id.truncate(16);
    Ok(id)
}

/// The protocol's name for the reader. One that is tuned says so; and a cell of
/// a cross whose name only repeats the default readings is called by them.
fn label(plan: &Plan, protocol: &Protocol) -> Text {
    let label = &protocol.label;
    if protocol.tuning.is_none() || label.en.to_lowercase().contains("tune") {
        return label.clone();
    }
    let defaults = plan.details.iter().filter_map(|d| d.readings.first());
    let defaults: Vec<&str> = defaults
        .map(|reading| reading.meaning.en.as_str())
        .collect();
    if label.en.split("; ").all(|part| defaults.contains(&part)) {
        text!("Default readings, tuned", "默认解读，调优")
    } else {
        text!("{label}, tuned", "{label}，调优", label)
    }
}

/// What became of planned runs, in the order of `seeds`.
fn runs<'a>(
    planned: impl Iterator<Item = &'a PlannedRun>,
    seeds: &[u64],
    records: &Records,
    expected: &Expected<'_>,
) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for planned in planned {
        // Arms of equal settings share a run, so it stays in the map.
        let found = records.get(&planned.run_id);
        if let Some((path, record)) = found {
            expected.check(path, record, planned.seed)?;
        }
        runs.push(Run {
            id: planned.run_id.clone(),
            seed: planned.seed,
            state: found.map_or(Ok(State::Missing), |(path, record)| {
                expected.state(path, record)
            })?,
            record: found.map(|(_, record)| Rc::clone(record)),
            path: found.map_or_else(PathBuf::new, |(path, _)| path.clone()),
        });
    }
    runs.sort_by_key(|run| seeds.iter().position(|seed| *seed == run.seed));
    Ok(runs)
}

fn tuning_runs(
    plan: &Plan,
    tuning: &Tuning,
    arms: &[ArmRuns],
    records: &Records,
) -> Result<Vec<TuningRuns>> {
    let mut found = Vec::new();
    for tuned in &tuning.arms {
        let mut candidates = Vec::new();
        for candidate in &tuned.candidates {
            let expected = Expected {
                plan,
                settings: &tuning.settings,
                weights: &candidate.weights,
                biases: &candidate.biases,
                epochs: tuning.rungs.last().map_or(0, |rung| rung.epochs),
                tuning: true,
                // That of the validation images is not recorded: the run
                // itself says where it diverged.
                mean_image_error: None,
            };
            candidates.push(runs(
                candidate.runs.iter(),
                &tuning.seeds,
                records,
                &expected,
            )?);
        }
        let arm = arms.iter().find(|arm| arm.arm.name == tuned.arm);
        found.push(TuningRuns {
            tuned: tuned.clone(),
            label: arm.map_or_else(|| tuned.arm.as_str().into(), |arm| arm.arm.label.clone()),
            style: arm.map_or(0, |arm| arm.style),
            candidates,
        });
    }
    Ok(found)
}

fn check_plan(plan: &Plan, path: &Path) -> Result<()> {
    let duplicate = |what: String, first: &str, second: &str| {
        Err(Error::Duplicate {
            path: path.to_owned(),
            what,
            first: first.to_owned(),
            second: second.to_owned(),
        })
    };
    let mixed = |key, value: String, expected: String| {
        Err(Error::Mixed {
            path: path.to_owned(),
            key,
            value,
            expected,
            remedy: "correct the experiment file and run it again",
        })
    };
    for (i, claim) in plan.claims.iter().enumerate() {
        if let Some(earlier) = plan.claims[..i].iter().find(|c| c.id == claim.id) {
            let what = format!("claim `{}` is listed", claim.id);
            return duplicate(what, &earlier.text.en, &claim.text.en);
        }
        if let Err((key, why)) = claim.check() {
            let expected = format!("claim `{}` needs another value", claim.id);
            return mixed(key, why, expected);
        }
    }
    for (i, protocol) in plan.protocols.iter().enumerate() {
        let mut earlier = plan.protocols[..i].iter();
        if let Some(earlier) = earlier.find(|p| p.name == protocol.name) {
            let what = format!("protocol `{}` is listed", protocol.name);
            return duplicate(what, &earlier.label.en, &protocol.label.en);
        }
        for (i, arm) in protocol.arms.iter().enumerate() {
            if let Some(earlier) = protocol.arms[..i].iter().find(|a| a.name == arm.name) {
                let what = format!("arm `{}` is listed", arm.name);
                return duplicate(what, &earlier.label.en, &arm.label.en);
            }
        }
        let tuned = protocol.tuning.iter().flat_map(|tuning| &tuning.arms);
        let tuned = tuned.flat_map(|arm| arm.candidates.iter().map(|c| &c.runs));
        for runs in std::iter::once(&protocol.runs).chain(tuned) {
            for (i, run) in runs.iter().enumerate() {
                let mut earlier = runs[..i].iter();
                if let Some(earlier) = earlier.find(|r| r.arm == run.arm && r.seed == run.seed) {
                    let what = format!("arm `{}`, seed {} is listed", run.arm, run.seed);
                    let (first, second) = (earlier.run_id.as_str(), run.run_id.as_str());
                    return duplicate(what, first, second);
                }
            }
        }
        for detail in &plan.details {
            let reading = protocol.readings.get(&detail.name);
            if !detail.readings.iter().any(|r| Some(&r.name) == reading) {
                return mixed(
                    "readings",
                    format!("{reading:?} for detail `{}`", detail.name),
                    format!("protocol `{}` needs one that is listed", protocol.name),
                );
            }
        }
        if let Some(tuning) = &protocol.tuning {
            check_tuning(protocol, tuning, path)?;
        }
    }
    Ok(())
}

/// Tuning must keep its seeds and its choice in order.
fn check_tuning(protocol: &Protocol, tuning: &Tuning, path: &Path) -> Result<()> {
    let mixed = |key, value: String, expected: String| {
        Err(Error::Mixed {
            path: path.to_owned(),
            key,
            value,
            expected,
            remedy: "correct the experiment file and run it again",
        })
    };
    if let Some(seed) = tuning.seeds.iter().find(|s| protocol.seeds.contains(s)) {
        let expected = format!("no seed of protocol `{}` may tune it", protocol.name);
        return mixed("tuning seed", seed.to_string(), expected);
    }
    for tuned in &tuning.arms {
        let arm = protocol.arms.iter().find(|arm| arm.name == tuned.arm);
        let Some(arm) = arm else {
            let expected = format!("protocol `{}` has no such arm", protocol.name);
            return mixed("tuned arm", format!("`{}`", tuned.arm), expected);
        };
        let axes = tuned.axes.len();
        if let Some(candidate) = tuned.candidates.iter().find(|c| c.values.len() != axes) {
            let expected = format!("arm `{}` searches {axes} axes", tuned.arm);
            return mixed("candidate", format!("{:?}", candidate.values), expected);
        }
        let Some(chosen) = tuned.chosen else {
            continue;
        };
        let same = tuned
            .candidates
            .get(chosen)
            .is_some_and(|c| c.weights == arm.weights && c.biases == arm.biases);
        if !same {
            let expected = format!(
                "arm `{}` of protocol `{}` has other settings than that candidate",
                tuned.arm, protocol.name
            );
            return mixed("chosen candidate", chosen.to_string(), expected);
        }
    }
    Ok(())
}

fn anchors(path: &Path, plan: &Plan) -> Result<Option<Anchors>> {
    if !path.exists() {
        return Ok(None);
    }
    let anchors: Anchors = read_json(path)?;
    check_schema(path, anchors.schema)?;
    if anchors.data_sha256 != plan.data.sha256 {
        return Err(Error::Mixed {
            path: path.to_owned(),
            key: "data-sha256",
            value: anchors.data_sha256,
            expected: format!("plan.json says {}", plan.data.sha256),
            remedy: "remove it and run the experiment again",
        });
    }
    Ok(Some(anchors))
}

fn cost(path: &Path, plan: &Plan) -> Result<Option<Cost>> {
    if !path.exists() {
        return Ok(None);
    }
    let cost: Cost = read_json(path)?;
    check_schema(path, cost.schema)?;
    let mixed = |key, value: String, expected: String| {
        Err(Error::Mixed {
            path: path.to_owned(),
            key,
            value,
            expected,
            remedy: "remove it and run the experiment again",
        })
    };
    if cost.data_sha256 != plan.data.sha256 {
        let expected = format!("plan.json says {}", plan.data.sha256);
        return mixed("data-sha256", cost.data_sha256, expected);
    }
    if !cost.fits(plan) {
        let hashes = plan.protocols.iter().map(|p| (&p.name, &p.hash));
        let hashes: BTreeMap<_, _> = hashes.collect();
        return mixed(
            "protocols",
            format!("{:?}", cost.protocols),
            format!("plan.json says {hashes:?}"),
        );
    }
    let Some(first) = cost.entries.first() else {
        return mixed("entries", "empty".into(), "one a row is due".into());
    };
    let arms = plan.protocols.iter().flat_map(|protocol| {
        let arms = protocol.arms.iter();
        arms.map(move |arm| format!("{}/{}", protocol.name, arm.name))
    });
    let mut due: BTreeSet<String> = arms.collect();
    for entry in &cost.entries {
        if let Some(arm) = entry.arms.iter().find(|arm| !due.remove(*arm)) {
            let expected = "each arm of plan.json may stand once".into();
            return mixed("arm", format!("`{arm}`"), expected);
        }
        for (key, times, rounds) in [
            (
                "update-seconds",
                &entry.update_seconds,
                first.update_seconds.len(),
            ),
            (
                "step-seconds",
                &entry.step_seconds,
                first.step_seconds.len(),
            ),
        ] {
            if times.len() != rounds || times.iter().any(|t| !t.is_finite() || *t <= 0.0) {
                return mixed(
                    key,
                    format!("a list of {} for {}", times.len(), entry.arms.join(", ")),
                    format!("{rounds} positive times are due"),
                );
            }
        }
    }
    Ok(Some(cost))
}

fn check_schema(path: &Path, schema: u32) -> Result<()> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(Error::Mixed {
        path: path.to_owned(),
        key: "schema",
        value: schema.to_string(),
        expected: format!("{SCHEMA} is read"),
        remedy: "remove it and run the experiment again",
    })
}

/// Every record in `folder` by its id. A finished one wins over the `.partial`
/// file of the same run.
fn records(folder: &Path) -> Result<Records> {
    let mut paths = Vec::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            paths.push(entry.map_err(|e| Error::io(folder, e))?.path());
        }
    }
    // `.jsonl` before `.partial`; in any other order than the folder's own.
    paths.sort();
    let mut records = BTreeMap::new();
    for path in paths {
        let partial = match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => false,
            Some("partial") => true,
            _ => continue,
        };
        if partial && std::fs::read(&path).is_ok_and(|text| !text.contains(&b'\n')) {
            continue; // Opened a moment ago, no whole line yet.
        }
        let record = RunRecord::read(&path)?;
        records
            .entry(record.header.run_id.clone())
            .or_insert((path, Rc::new(record)));
    }
    Ok(records)
}

impl Expected<'_> {
    /// A record must be what the plan says it is.
    fn check(&self, path: &Path, record: &RunRecord, seed: u64) -> Result<()> {
        let header = &record.header;
        let mixed = |key, value: String, expected: String| {
            Err(Error::Mixed {
                path: path.to_owned(),
                key,
                value,
                expected,
                remedy: "remove it from this folder and run the experiment again",
            })
        };
        let data = &self.plan.data;
        if header.data.sha256 != data.sha256 {
            return mixed(
                "data set",
                format!("{} {}", header.data.name, header.data.sha256),
                format!("plan.json says {} {}", data.name, data.sha256),
            );
        }
        if header.seed != seed {
            let expected = format!("plan.json says {seed}");
            return mixed("seed", header.seed.to_string(), expected);
        }
        let parts = [
            ("protocol", self.settings),
            ("weights", self.weights),
            ("biases", self.biases),
        ];
        for (key, part) in parts {
            if header.settings.get(key) != Some(part) {
                return mixed(
                    "settings",
                    canonical_json(&header.settings),
                    format!("plan.json says {key} {}", canonical_json(part)),
                );
            }
        }
        let [settings, weights, biases] = parts.map(|(_, part)| part);
        let all = json!({"protocol": settings, "weights": weights, "biases": biases});
        if header.settings != all {
            let expected = format!("plan.json says {}", canonical_json(&all));
            return mixed("settings", canonical_json(&header.settings), expected);
        }
        self.check_images(record)
            .or_else(|(key, value, expected)| mixed(key, value, expected.to_owned()))
    }

    /// Tuning sees no test image, and the errors of the two are never mixed.
    fn check_images(
        &self,
        record: &RunRecord,
    ) -> std::result::Result<(), (&'static str, String, &'static str)> {
        let first = |error: fn(&Evaluation) -> Option<f64>| {
            let found = record.evaluations.iter().find_map(error);
            found.map(|error| error.to_string())
        };
        let unseen = "a tuning run may see no test image";
        if self.tuning {
            if let Some(error) = first(|e| e.test_error) {
                return Err(("test error", error, unseen));
            }
            if record.samples.is_some() {
                return Err(("line of samples", "there".into(), unseen));
            }
        } else if let Some(error) = first(|e| e.validation_error) {
            let expected = "only a tuning run has one, and this is none";
            return Err(("validation error", error, expected));
        }
        Ok(())
    }

    fn state(&self, path: &Path, record: &RunRecord) -> Result<State> {
        let done = (record.evaluations.len() as u64).saturating_sub(1);
        let end = match &record.end {
            None => return Ok(State::Running { epochs: done }),
            Some(end) => &end.outcome,
        };
        let mixed = |key, value: String, expected: String| {
            Err(Error::Mixed {
                path: path.to_owned(),
                key,
                value,
                expected,
                remedy: "remove it and run the experiment again",
            })
        };
        match end {
            Outcome::Failed { why } => return Ok(State::Failed { why: why.clone() }),
            Outcome::Diverged { epoch } => return Ok(State::Diverged { epoch: *epoch }),
            Outcome::Stopped { epoch } if !self.tuning => {
                let expected = "only a tuning run may be stopped, and this is none".into();
                return mixed("outcome", format!("stopped at epoch {epoch}"), expected);
            }
            Outcome::Stopped { epoch } if *epoch != done || record.evaluations.is_empty() => {
                let expected = format!("it says `stopped` at epoch {epoch}");
                return mixed("number of epochs", done.to_string(), expected);
            }
            Outcome::Completed if done != self.epochs || record.evaluations.is_empty() => {
                let expected = format!("it says `completed` and plan.json says {}", self.epochs);
                return mixed("number of epochs", done.to_string(), expected);
            }
            Outcome::Completed | Outcome::Stopped { .. } => {}
        }
        let diverged = record.evaluations.iter().find(|evaluation| {
            let mean_image_error = self.mean_image_error;
            let lost = |error: f64| {
                !error.is_finite()
                    || evaluation.epoch > 0 && mean_image_error.is_some_and(|m| error > m)
            };
            evaluation.error().is_none_or(lost)
        });
        Ok(match (diverged, end) {
            (Some(evaluation), _) => State::Diverged {
                epoch: evaluation.epoch,
            },
            (None, Outcome::Stopped { epoch }) => State::Stopped { epoch: *epoch },
            (None, _) => State::Completed,
        })
    }
}

/// Estimates never mix backends or versions of the numerics. Gives the header
/// of the first record. That all runs of an arm have one setting holds since
/// each has that of the plan.
fn check_alike(studies: &[Study]) -> Result<Option<&Header>> {
    let mut first: Option<(&Run, &Header)> = None;
    for run in studies.iter().flat_map(Study::all_runs) {
        let Some(header) = run.record.as_ref().map(|record| &record.header) else {
            continue;
        };
        let (reference, expected) = *first.get_or_insert((run, header));
        let (key, value, expected) = if header.backend != expected.backend {
            let name = |backend| format!("{backend:?}").to_lowercase();
            ("backend", name(header.backend), name(expected.backend))
        } else if header.semantics != expected.semantics {
            let version = |h: &Header| h.semantics.to_string();
            ("semantics", version(header), version(expected))
        } else {
            continue;
        };
        return Err(Error::Mixed {
            path: run.path.clone(),
            key,
            value,
            expected: format!("{} says {expected}", reference.path.display()),
            remedy: "keep records of one kind in a folder, and run the experiment again",
        });
    }
    for study in studies {
        let tuning = study.tuning.iter().flat_map(|tuned| &tuned.candidates);
        check_shared_starts(
            "test error before the first update",
            study.arms.iter().flat_map(|arm| &arm.runs),
        )?;
        check_shared_starts("validation error before the first update", tuning.flatten())?;
    }
    Ok(first.map(|(_, header)| header))
}

/// Arms are compared seed by seed, so all runs of a seed must have begun from
/// the same network. Processors whose kernels round differently pre-train to
/// different ones.
fn check_shared_starts<'a>(key: &'static str, runs: impl Iterator<Item = &'a Run>) -> Result<()> {
    let mut starts: BTreeMap<u64, (&Run, Option<f64>)> = BTreeMap::new();
    for run in runs {
        let mut evaluations = run.record.iter().flat_map(|record| &record.evaluations);
        let Some(error) = evaluations.next().map(Evaluation::error) else {
            continue;
        };
        let (reference, expected) = *starts.entry(run.seed).or_insert((run, error));
        if error != expected {
            return Err(Error::Mixed {
                path: run.path.clone(),
                key,
                value: format!("{error:?}"),
                expected: format!(
                    "{} of the same seed says {expected:?}",
                    reference.path.display()
                ),
                remedy: "runs of a seed must share their start: remove those of one machine and \
                         run the experiment again",
            });
        }
    }
    Ok(())
}

/// Among the records that the plan does not list, none may claim to be the
/// same run as one that it does.
fn check_not_copied(path: &Path, record: &RunRecord, others: &Records) -> Result<()> {
    let key = |h: &Header| {
        (
            h.seed,
            h.backend,
            h.data.sha256.clone(),
            canonical_json(&h.settings),
        )
    };
    for (other, twin) in others.values() {
        if twin.header.seed == record.header.seed && key(&twin.header) == key(&record.header) {
            return Err(Error::Duplicate {
                path: other.clone(),
                what: format!(
                    "the run of the same settings and seed {}",
                    record.header.seed
                ),
                first: path.display().to_string(),
                second: other.display().to_string(),
            });
        }
    }
    Ok(())
}

fn notes(plan: &Plan, studies: &[Study], left_over: &Records) -> Vec<Text> {
    let mut notes = Vec::new();
    if !left_over.is_empty() {
        let ids: Vec<&str> = left_over.keys().map(RunId::as_str).collect();
        notes.push(text!(
            "{records} in runs/ that the plan does not list, not used here: {ids}.",
            "runs/ 中有 {records} 未列入计划，此处未使用：{ids}。",
            records = match ids.len() {
                1 => text!("One record is", "一份记录"),
                _ => text!("Records are", "若干记录"),
            },
            ids = ids.join(", "),
        ));
    }
    let mut runs = studies.iter().flat_map(Study::all_runs);
    if runs.any(|run| {
        let record = run.record.as_ref();
        record.is_some_and(|record| record.header.environment.dirty)
    }) {
        notes.push(text!(
            "Some records come from a program built from changed, uncommitted source.",
            "有的记录出自由改动过、未提交的源码构建的程序。"
        ));
    }
    let environments = studies
        .iter()
        .flat_map(Study::all_runs)
        .filter_map(|run| run.record.as_ref())
        .map(|record| machine(&record.header.environment, &record.header.kernel));
    let mut machines: Vec<Text> = Vec::new();
    for machine in environments {
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    if machines.len() > 1 {
        notes.push(text!(
            "Records differ in the machine or kernel that made them: {machines}. Errors are compared \
             across them; times are not, and come from cost.json alone.",
            "记录的机器或内核不尽相同：{machines}。误差跨机器比较；用时不跨机器比较，只取自 cost.json。",
            machines = one_by_one(&machines),
        ));
    }
    if !plan.data.canonical {
        notes.push(text!(
            "The data set calls itself {name}, but its checksum is not the published one.",
            "数据集自称 {name}，但其校验和并非已公布的校验和。",
            name = plan.data.name,
        ));
    }
    notes
}

impl Experiment {
    /// The protocols that the verdicts are read from: those with the default
    /// reading of every detail.
    pub(crate) fn headline(&self) -> impl Iterator<Item = &Study> {
        self.studies.iter().filter(|study| study.is_headline())
    }

    /// Those of them that hold the arms of some claim, or all where none does:
    /// a protocol may be there for other comparisons alone.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = &Study> {
        let decides = |study: &Study| {
            let has = |role| study.only(role).is_some();
            let mut claims = self.plan.claims.iter();
            has(Role::Adamix) && claims.any(|claim| claim.against.iter().all(|role| has(*role)))
        };
        let none = !self.headline().any(decides);
        self.headline().filter(move |study| none || decides(study))
    }

    /// The first claim about this statistic.
    pub(crate) fn claim_on(&self, statistic: Statistic) -> Option<&Claim> {
        let claims = &self.plan.claims;
        claims.iter().find(|claim| claim.statistic == statistic)
    }

    pub(crate) fn is_mnist(&self) -> bool {
        self.plan.data.name == "mnist"
    }

    /// Every machine and program that wrote a record, with the number of
    /// records, in the order of the plan.
    pub(crate) fn environments(&self) -> Vec<(&Environment, &str, usize)> {
        let mut found: Vec<(&Environment, &str, usize)> = Vec::new();
        let mut seen = BTreeSet::new();
        for run in self.studies.iter().flat_map(Study::all_runs) {
            let Some(header) = run.record.as_ref().map(|record| &record.header) else {
                continue;
            };
            if !seen.insert(&run.id) {
                continue;
            }
            let same = |(e, kernel, _): &&mut (&Environment, &str, usize)| {
                **e == header.environment && *kernel == header.kernel
            };
            match found.iter_mut().find(same) {
                Some((_, _, count)) => *count += 1,
                None => found.push((&header.environment, &header.kernel, 1)),
            }
        }
        found
    }
}

impl Study {
    /// Whether every detail has its default reading.
    pub(crate) fn is_headline(&self) -> bool {
        self.changed.is_empty()
    }

    /// Its name for the reader.
    pub(crate) fn label(&self) -> &Text {
        &self.label
    }

    /// What of its name stands before a colon.
    pub(crate) fn short_label(&self) -> Text {
        self.label.head()
    }

    /// Whether its settings are chosen by tuning.
    pub(crate) fn is_tuned(&self) -> bool {
        self.protocol.tuning.is_some()
    }

    /// Epochs of fine-tuning.
    pub(crate) fn epochs(&self) -> u64 {
        self.protocol.epochs
    }

    /// The runs of its arms.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.arms.iter().flat_map(|arm| &arm.runs)
    }

    /// The runs of its tuning.
    pub(crate) fn tuning_runs(&self) -> impl Iterator<Item = &Run> {
        let candidates = self.tuning.iter().flat_map(|tuned| &tuned.candidates);
        candidates.flatten()
    }

    /// Whether some run of its tuning has a record.
    pub(crate) fn has_tuned(&self) -> bool {
        self.tuning_runs().any(|run| run.record.is_some())
    }

    /// Those of its arms, then those of its tuning.
    pub(crate) fn all_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs().chain(self.tuning_runs())
    }

    /// The arm of this role, if there is exactly one.
    pub(crate) fn only(&self, role: Role) -> Option<&ArmRuns> {
        let mut found = self.arms.iter().filter(|arm| arm.arm.role == role);
        found.next().filter(|_| found.next().is_none())
    }

    /// What is tried for the arm, while its settings are still to be chosen.
    pub(crate) fn in_tuning(&self, arm: &ArmRuns) -> Option<&TuningRuns> {
        let mut tuned = self.tuning.iter();
        tuned.find(|t| t.tuned.arm == arm.arm.name && t.tuned.chosen.is_none())
    }

    /// How far its runs are or, before any, its tuning.
    pub(crate) fn progress(&self) -> Text {
        let (mut ended, mut planned) = (0, 0);
        for arm in &self.arms {
            ended += arm.count(State::has_ended);
            // An arm in tuning has no run yet, and will have one a seed.
            planned += self.protocol.seeds.len().max(arm.runs.len());
        }
        match self.arms.iter().any(|arm| self.in_tuning(arm).is_some()) {
            true if ended == 0 => progress(self.tuning_runs()),
            _ => text!(
                "{ended} of {planned} runs ended",
                "{planned} 次运行中已结束 {ended} 次",
                ended,
                planned
            ),
        }
    }

    /// Whether some run of its arms has a record.
    pub(crate) fn has_runs(&self) -> bool {
        self.runs().any(|run| run.record.is_some())
    }

    /// Test errors by epoch of a run that counts, from the start on: a run
    /// that diverged has the mean image's error from there on, and does not
    /// count where that error is not known.
    pub(crate) fn test_errors(&self, run: &Run) -> Option<Vec<f64>> {
        let record = run.record.as_ref()?;
        let (diverged_at, lost) = match run.state {
            State::Completed => (u64::MAX, f64::NAN),
            State::Diverged { epoch } => (epoch, self.mean_image_error?),
            _ => return None,
        };
        Some(
            (0..=self.epochs())
                .map(|epoch| {
                    let seen = record.evaluations.get(epoch as usize);
                    seen.filter(|_| epoch < diverged_at)
                        .and_then(|evaluation| evaluation.test_error)
                        .unwrap_or(lost)
                })
                .collect(),
        )
    }

    /// Final test errors with their seeds.
    pub(crate) fn final_errors(&self, arm: &ArmRuns) -> Vec<(u64, f64)> {
        self.by_seed(arm, |errors| errors.last().copied())
    }

    /// The runs of the arm that count.
    pub(crate) fn counted(&self, arm: &ArmRuns) -> Vec<RunId> {
        if self.lacks_mean_image(arm) {
            return Vec::new();
        }
        let counts = |run: &&Run| self.test_errors(run).is_some();
        let runs = arm.runs.iter().filter(counts);
        runs.map(|run| run.id.clone()).collect()
    }

    /// A figure of the test errors of every run that counts, with its seed.
    pub(crate) fn by_seed<T>(
        &self,
        arm: &ArmRuns,
        figure: impl Fn(&[f64]) -> Option<T>,
    ) -> Vec<(u64, T)> {
        if self.lacks_mean_image(arm) {
            return Vec::new();
        }
        let value = |run: &Run| Some((run.seed, figure(&self.test_errors(run)?)?));
        arm.runs.iter().filter_map(value).collect()
    }

    /// Whether some run of the arm diverged and cannot count. The others alone
    /// would make the arm look better than it is, so none of them counts.
    pub(crate) fn lacks_mean_image(&self, arm: &ArmRuns) -> bool {
        arm.diverged() > 0 && self.mean_image_error.is_none()
    }
}

impl TuningRuns {
    /// The ids of the budget's runs that have a record.
    pub(crate) fn runs(&self) -> Vec<RunId> {
        let runs = self.budget().flatten();
        let with_record = runs.filter(|run| run.record.is_some());
        with_record.map(|run| run.id.clone()).collect()
    }
}

impl Run {
    /// Its record on the reader's side, from the report's folder.
    pub(crate) fn file(&self) -> Option<String> {
        let name = self.path.file_name()?.to_str()?;
        Some(format!("runs/{name}"))
    }
}

impl ArmRuns {
    /// Its name for the reader.
    pub(crate) fn label(&self) -> &Text {
        &self.arm.label
    }

    /// Whether some run of it has a record.
    pub(crate) fn has_record(&self) -> bool {
        self.runs.iter().any(|run| run.record.is_some())
    }

    /// Number of runs whose state is this.
    pub(crate) fn count(&self, is: impl Fn(&State) -> bool) -> usize {
        self.runs.iter().filter(|run| is(&run.state)).count()
    }

    pub(crate) fn diverged(&self) -> usize {
        self.count(|state| matches!(state, State::Diverged { .. }))
    }
}
