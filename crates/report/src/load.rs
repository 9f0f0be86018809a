//! Records to a typed study: everything that is planned, with what became of
//! it. Whatever does not belong together is an error here, so that the rest of
//! the crate need not ask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamix_record::{
    Anchors, Arm, Backend, Cost, Environment, Header, Outcome, Plan, Role, RunId, RunRecord,
    SCHEMA, canonical_json, read_json,
};
use serde_json::Value;

use crate::{Error, Result};

/// A folder of records, read and checked.
pub(crate) struct Study {
    pub(crate) plan: Plan,
    /// In the plan's order.
    pub(crate) arms: Vec<ArmRuns>,
    pub(crate) anchors: Option<Anchors>,
    pub(crate) cost: Option<Cost>,
    /// What the runs were computed by; `None` where there is no run yet.
    pub(crate) backend: Option<Backend>,
    /// What a reader should know about the folder.
    pub(crate) notes: Vec<String>,
}

/// One arm and its runs, in the order of the plan's seeds.
pub(crate) struct ArmRuns {
    pub(crate) arm: Arm,
    pub(crate) runs: Vec<Run>,
}

/// One planned run and what became of it.
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) seed: u64,
    pub(crate) state: State,
    pub(crate) record: Option<RunRecord>,
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
    Failed {
        why: String,
    },
    /// Its record is a `.partial` file.
    Running {
        epochs: u64,
    },
    Missing,
}

/// Reads and checks `folder`.
pub(crate) fn study(folder: &Path) -> Result<Study> {
    let plan_path = folder.join("plan.json");
    let plan = Plan::read(&plan_path)?;
    check_plan(&plan, &plan_path)?;
    let anchors = anchors(&folder.join("anchors.json"), &plan)?;
    let cost = cost(&folder.join("cost.json"), &plan)?;
    let mut records = records(&folder.join("runs"))?;

    let mean_image = anchors.as_ref().map(|a| a.mean_image_test_error);
    let mut arms = Vec::new();
    for arm in &plan.arms {
        let mut runs = Vec::new();
        for planned in plan.runs.iter().filter(|run| run.arm == arm.name) {
            // Two arms of equal settings share a run, so it stays in the map.
            let found = records.get(&planned.run_id);
            if let Some((path, record)) = found {
                check_record(path, record, &plan, arm, planned.seed)?;
            }
            runs.push(Run {
                id: planned.run_id.clone(),
                seed: planned.seed,
                state: found.map_or(Ok(State::Missing), |(path, record)| {
                    state(path, record, mean_image, plan.protocol.epochs)
                })?,
                record: found.map(|(_, record)| record.clone()),
                path: found.map_or_else(PathBuf::new, |(path, _)| path.clone()),
            });
        }
        runs.sort_by_key(|run| plan.seeds.iter().position(|seed| *seed == run.seed));
        arms.push(ArmRuns {
            arm: arm.clone(),
            runs,
        });
    }
    let first = check_alike(&arms)?;
    let backend = first.map(|header| header.backend);
    for planned in &plan.runs {
        if let Some((path, record)) = records.remove(&planned.run_id) {
            check_not_copied(&path, &record, &records)?;
        }
    }
    let notes = notes(&plan, &arms, &records);
    Ok(Study {
        plan,
        arms,
        anchors,
        cost,
        backend,
        notes,
    })
}

fn check_plan(plan: &Plan, path: &Path) -> Result<()> {
    let duplicate = |what: String, first: &str, second: &str| Error::Duplicate {
        path: path.to_owned(),
        what,
        first: first.to_owned(),
        second: second.to_owned(),
    };
    for (i, arm) in plan.arms.iter().enumerate() {
        if let Some(earlier) = plan.arms[..i].iter().find(|a| a.name == arm.name) {
            let what = format!("arm `{}` is listed", arm.name);
            return Err(duplicate(what, &earlier.label, &arm.label));
        }
    }
    for (i, run) in plan.runs.iter().enumerate() {
        let mut earlier = plan.runs[..i].iter();
        if let Some(earlier) = earlier.find(|r| r.arm == run.arm && r.seed == run.seed) {
            let what = format!("arm `{}`, seed {} is listed", run.arm, run.seed);
            let (first, second) = (earlier.run_id.as_str(), run.run_id.as_str());
            return Err(duplicate(what, first, second));
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
    let remedy = "remove it and run the experiment again";
    let mixed = |key, value: String, expected: String| Error::Mixed {
        path: path.to_owned(),
        key,
        value,
        expected,
        remedy,
    };
    for (key, found, expected) in [
        (
            "experiment-hash",
            &cost.experiment_hash,
            &plan.experiment_hash,
        ),
        ("data-sha256", &cost.data_sha256, &plan.data.sha256),
    ] {
        if found != expected {
            return Err(mixed(
                key,
                found.clone(),
                format!("plan.json says {expected}"),
            ));
        }
    }
    let Some(first) = cost.arms.first() else {
        return Err(mixed("arms", "empty".into(), "one a row is due".into()));
    };
    for (i, entry) in cost.arms.iter().enumerate() {
        if !plan.arms.iter().any(|arm| arm.name == entry.arm)
            || cost.arms[..i].iter().any(|arm| arm.arm == entry.arm)
        {
            let expected = "each arm of plan.json may stand once".into();
            return Err(mixed("arm", format!("`{}`", entry.arm), expected));
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
                return Err(mixed(
                    key,
                    format!("a list of {} for arm `{}`", times.len(), entry.arm),
                    format!("{rounds} positive times are due"),
                ));
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
fn records(folder: &Path) -> Result<BTreeMap<RunId, (PathBuf, RunRecord)>> {
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
            .or_insert((path, record));
    }
    Ok(records)
}

/// A record must be what the plan says it is.
fn check_record(path: &Path, record: &RunRecord, plan: &Plan, arm: &Arm, seed: u64) -> Result<()> {
    let header = &record.header;
    let mixed = |key, value: String, expected: String| Error::Mixed {
        path: path.to_owned(),
        key,
        value,
        expected,
        remedy: "remove it from this folder and run the experiment again",
    };
    if header.data.sha256 != plan.data.sha256 {
        return Err(mixed(
            "data set",
            format!("{} {}", header.data.name, header.data.sha256),
            format!("plan.json says {} {}", plan.data.name, plan.data.sha256),
        ));
    }
    if header.seed != seed {
        let expected = format!("plan.json says {seed}");
        return Err(mixed("seed", header.seed.to_string(), expected));
    }
    for (key, part) in [
        ("protocol", &plan.protocol.settings),
        ("weights", &arm.weights),
        ("biases", &arm.biases),
    ] {
        if !holds(&header.settings, part) {
            return Err(mixed(
                "settings",
                canonical_json(&header.settings),
                format!("plan.json says {key} {}", canonical_json(part)),
            ));
        }
    }
    Ok(())
}

/// Whether `part` stands somewhere in `settings`, maybe among other keys.
fn holds(settings: &Value, part: &Value) -> bool {
    fn covers(all: &Value, some: &Value) -> bool {
        match (all, some) {
            (Value::Object(all), Value::Object(some)) => some
                .iter()
                .all(|(key, value)| all.get(key).is_some_and(|found| covers(found, value))),
            _ => all == some,
        }
    }
    covers(settings, part)
        || match settings {
            Value::Object(map) => map.values().any(|value| holds(value, part)),
            _ => false,
        }
}

/// Estimates never mix backends or versions of the numerics, and an arm has
/// one setting. Gives the header of the first record.
fn check_alike(arms: &[ArmRuns]) -> Result<Option<&Header>> {
    let mut first: Option<(&Run, &Header)> = None;
    for arm in arms {
        let mut first_of_arm: Option<(&Run, &Header)> = None;
        for run in &arm.runs {
            let Some(header) = run.record.as_ref().map(|record| &record.header) else {
                continue;
            };
            let (reference, expected) = *first.get_or_insert((run, header));
            let (sibling, of_arm) = *first_of_arm.get_or_insert((run, header));
            let (key, value, expected, reference) = if header.backend != expected.backend {
                let name = |backend| format!("{backend:?}").to_lowercase();
                (
                    "backend",
                    name(header.backend),
                    name(expected.backend),
                    reference,
                )
            } else if header.semantics != expected.semantics {
                let version = |h: &Header| h.semantics.to_string();
                ("semantics", version(header), version(expected), reference)
            } else if header.settings != of_arm.settings {
                let text = |h: &Header| canonical_json(&h.settings);
                ("settings", text(header), text(of_arm), sibling)
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
    }
    check_shared_starts(arms)?;
    Ok(first.map(|(_, header)| header))
}

/// Arms are compared seed by seed, so all runs of a seed must have begun from
/// the same network. Processors whose kernels round differently pre-train to
/// different ones.
fn check_shared_starts(arms: &[ArmRuns]) -> Result<()> {
    let mut starts: BTreeMap<u64, (&Run, Option<f64>)> = BTreeMap::new();
    for run in arms.iter().flat_map(|arm| &arm.runs) {
        let evaluations = run.record.iter().flat_map(|record| &record.evaluations);
        let Some(error) = evaluations.map(|evaluation| evaluation.test_error).next() else {
            continue;
        };
        let (reference, expected) = *starts.entry(run.seed).or_insert((run, error));
        if error != expected {
            return Err(Error::Mixed {
                path: run.path.clone(),
                key: "test error before the first update",
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
fn check_not_copied(
    path: &Path,
    record: &RunRecord,
    others: &BTreeMap<RunId, (PathBuf, RunRecord)>,
) -> Result<()> {
    let key = |h: &Header| {
        (
            h.seed,
            h.backend,
            h.data.clone(),
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

fn state(path: &Path, record: &RunRecord, mean_image: Option<f64>, epochs: u64) -> Result<State> {
    let done = (record.evaluations.len() as u64).saturating_sub(1);
    let end = match &record.end {
        None => return Ok(State::Running { epochs: done }),
        Some(end) => &end.outcome,
    };
    match end {
        Outcome::Failed { why } => return Ok(State::Failed { why: why.clone() }),
        Outcome::Diverged { epoch } => return Ok(State::Diverged { epoch: *epoch }),
        Outcome::Completed => {}
    }
    if done != epochs || record.evaluations.is_empty() {
        return Err(Error::Mixed {
            path: path.to_owned(),
            key: "number of epochs",
            value: done.to_string(),
            expected: format!("it says `completed` and plan.json says {epochs}"),
            remedy: "remove it and run the experiment again",
        });
    }
    let diverged = record.evaluations.iter().find(|evaluation| {
        let lost = |error: f64| {
            !error.is_finite() || evaluation.epoch > 0 && mean_image.is_some_and(|m| error > m)
        };
        evaluation.test_error.is_none_or(lost)
    });
    Ok(
        diverged.map_or(State::Completed, |evaluation| State::Diverged {
            epoch: evaluation.epoch,
        }),
    )
}

fn notes(
    plan: &Plan,
    arms: &[ArmRuns],
    left_over: &BTreeMap<RunId, (PathBuf, RunRecord)>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if !left_over.is_empty() {
        let ids: Vec<&str> = left_over.keys().map(RunId::as_str).collect();
        notes.push(format!(
            "{} in runs/ that the plan does not list, not used here: {}.",
            if ids.len() == 1 {
                "One record is"
            } else {
                "Records are"
            },
            ids.join(", ")
        ));
    }
    let headers = || {
        let runs = arms.iter().flat_map(|arm| &arm.runs);
        runs.filter_map(|run| Some(&run.record.as_ref()?.header))
    };
    let copied = headers().filter(|h| h.experiment_hash != plan.experiment_hash);
    let copied = copied.count();
    if copied > 0 {
        notes.push(format!(
            "{copied} of {} records were written by another experiment with the same settings, \
             seed and data, and copied.",
            headers().count()
        ));
    }
    if headers().any(|h| h.environment.dirty) {
        notes.push(
            "Some records come from a program built from changed, uncommitted source.".into(),
        );
    }
    if !plan.data.canonical {
        notes.push(format!(
            "The data set calls itself {}, but its checksum is not the published one.",
            plan.data.name
        ));
    }
    notes
}

impl Study {
    /// Epochs of fine-tuning.
    pub(crate) fn epochs(&self) -> u64 {
        self.plan.protocol.epochs
    }

    pub(crate) fn mean_image_error(&self) -> Option<f64> {
        self.anchors.as_ref().map(|a| a.mean_image_test_error)
    }

    /// The arm of this role, if there is exactly one.
    pub(crate) fn only(&self, role: Role) -> Option<&ArmRuns> {
        let mut found = self.arms.iter().filter(|arm| arm.arm.role == role);
        found.next().filter(|_| found.next().is_none())
    }

    pub(crate) fn is_mnist(&self) -> bool {
        self.plan.data.name == "mnist"
    }

    /// Every machine and program that wrote a record, with the number of
    /// records, in the order of the plan.
    pub(crate) fn environments(&self) -> Vec<(&Environment, &str, usize)> {
        let mut found: Vec<(&Environment, &str, usize)> = Vec::new();
        for run in self.arms.iter().flat_map(|arm| &arm.runs) {
            let Some(header) = run.record.as_ref().map(|record| &record.header) else {
                continue;
            };
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

    /// Test errors by epoch of a run that counts, from the start on: a run
    /// that diverged has the mean image's error from there on, and does not
    /// count where that error is not known.
    pub(crate) fn test_errors(&self, run: &Run) -> Option<Vec<f64>> {
        let record = run.record.as_ref()?;
        let (diverged_at, lost) = match run.state {
            State::Completed => (u64::MAX, f64::NAN),
            State::Diverged { epoch } => (epoch, self.mean_image_error()?),
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
        arm.diverged() > 0 && self.anchors.is_none()
    }
}

impl ArmRuns {
    /// Number of runs whose state is this.
    pub(crate) fn count(&self, is: impl Fn(&State) -> bool) -> usize {
        self.runs.iter().filter(|run| is(&run.state)).count()
    }

    pub(crate) fn diverged(&self) -> usize {
        self.count(|state| matches!(state, State::Diverged { .. }))
    }
}
