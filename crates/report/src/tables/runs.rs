use std::collections::BTreeMap;

use adamix_record::RunId;

use super::{NOTHING, Table, numbers, words};
use crate::load::{Experiment, Run, State, Study};
use crate::number::error;

/// Every planned run and what became of it. A run that several arms or
/// protocols share stands once.
pub(crate) fn runs(experiment: &Experiment) -> Table {
    let mut rows = Rows::default();
    for study in &experiment.studies {
        for arm in &study.arms {
            let name = named(experiment, study, arm.label());
            for run in &arm.runs {
                let last = study.test_errors(run).and_then(|e| e.last().copied());
                rows.add(study, run, &name, last, study.epochs());
            }
        }
    }
    rows.table(
        "Every run of the plan. The run id is a checksum over settings, seed, data, backend and \
         version of the numerics. Each record is a text file, one JSON object a line.",
        "final test error",
    )
}

/// Every run of the tuning; `None` where nothing is tuned.
pub(crate) fn tuning_runs(experiment: &Experiment) -> Option<Table> {
    let mut rows = Rows::default();
    for study in &experiment.studies {
        let rungs = study.protocol.tuning.iter().flat_map(|t| &t.rungs);
        let epochs = rungs.map(|rung| rung.epochs).max().unwrap_or(0);
        for tuned in &study.tuning {
            for (number, runs) in tuned.candidates.iter().enumerate() {
                let name = named(experiment, study, &format!("{}, {number}", tuned.label));
                for run in runs {
                    let evaluation = run.record.as_ref().and_then(|r| r.evaluations.last());
                    let last = evaluation.and_then(|e| e.validation_error);
                    rows.add(study, run, &name, last, epochs);
                }
            }
        }
    }
    (!rows.rows.is_empty()).then(|| {
        rows.table(
            "Every run of the tuning, by arm and number of the candidate. Its error is on the \
             validation images, where it ended.",
            "last validation error",
        )
    })
}

/// Rows in the order of the plan, each run once.
#[derive(Default)]
struct Rows<'a> {
    rows: Vec<Vec<String>>,
    /// Row of each run, and how many more have it.
    found: BTreeMap<&'a RunId, (usize, usize)>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, study: &Study, run: &'a Run, name: &str, last: Option<f64>, epochs: u64) {
        if let Some((_, more)) = self.found.get_mut(&run.id) {
            *more += 1;
            return;
        }
        self.found.insert(&run.id, (self.rows.len(), 0));
        self.rows
            .push(row(study, run, name.to_owned(), last, epochs));
    }

    fn table(mut self, caption: &str, figure: &str) -> Table {
        for (place, more) in self.found.values().filter(|(_, more)| *more > 0) {
            self.rows[*place][0] += &format!(" (and {more} more)");
        }
        let mut table = Table::new(caption, columns(figure));
        table.rows = self.rows;
        table
    }
}

fn columns(figure: &str) -> Vec<super::Column> {
    vec![
        words("arm"),
        numbers("seed"),
        words("run id"),
        words("state"),
        numbers(figure),
        words("record"),
    ]
}

/// The arm's name, with the protocol's where there are several.
fn named(experiment: &Experiment, study: &Study, arm: &str) -> String {
    match experiment.studies.len() {
        1 => arm.to_owned(),
        _ => format!("{}: {arm}", study.protocol.name),
    }
}

fn row(study: &Study, run: &Run, name: String, last: Option<f64>, planned: u64) -> Vec<String> {
    let state = match &run.state {
        State::Completed => "completed".into(),
        State::Diverged { epoch } => {
            let counted = if study.mean_image_error.is_some() {
                "counts with the mean image's error"
            } else {
                "cannot count: the mean image's error is not measured yet"
            };
            format!("diverged at epoch {epoch}; {counted}")
        }
        State::Stopped { epoch } => format!("not kept after epoch {epoch}"),
        State::Failed { why } => format!("failed: {why}"),
        State::Running { epochs } => {
            format!("running, or interrupted; {epochs} of {planned} epochs")
        }
        State::Missing => "missing".into(),
    };
    // The path on the reader's side, not that of this machine.
    let file = run.path.file_name().and_then(|name| name.to_str());
    vec![
        name,
        run.seed.to_string(),
        run.id.to_string(),
        state,
        last.map_or_else(|| NOTHING.into(), error),
        file.map_or_else(|| NOTHING.into(), |file| format!("runs/{file}")),
    ]
}

/// Every machine and program that wrote records, and the one that was timed.
pub(crate) fn environments(experiment: &Experiment) -> Table {
    let mut table = Table::new(
        "Where the records were written.",
        vec![
            words("for"),
            words("adamix"),
            words("commit"),
            words("compiler"),
            words("features"),
            words("platform"),
            words("processor"),
            numbers("cores"),
            words("GPU (graphics processor)"),
            words("matrix kernel"),
            numbers("jobs"),
            words("Cargo.lock SHA-256"),
        ],
    );
    let records = experiment.environments().into_iter().map(|(e, kernel, n)| {
        let what = crate::number::count(n, "record");
        (what, e, kernel)
    });
    let timed = experiment
        .cost
        .iter()
        .map(|cost| ("cost.json".to_owned(), &cost.environment, NOTHING));
    for (what, e, kernel) in records.chain(timed) {
        let commit = e.commit.as_deref().unwrap_or("unknown");
        table.rows.push(vec![
            what,
            e.version.clone(),
            format!("{commit}{}", if e.dirty { ", with changes" } else { "" }),
            e.rustc.clone(),
            if e.features.is_empty() {
                "none".into()
            } else {
                e.features.join(", ")
            },
            e.platform.clone(),
            e.processor.clone(),
            e.cores.to_string(),
            e.gpu.clone().unwrap_or_else(|| "none".into()),
            kernel.to_owned(),
            e.jobs.to_string(),
            e.lock_sha256.clone(),
        ]);
    }
    table
}
