use std::collections::BTreeMap;

use adamix_record::RunId;

use super::{NOTHING, Table, numbers, words};
use crate::load::{Experiment, Run, State, Study};
use crate::number::error;

/// Every planned run and what became of it. A run that several arms or
/// protocols share stands once.
pub(crate) fn runs(experiment: &Experiment) -> Table {
    let mut table = Table::new(
        "Every run of the plan. The run id is a checksum over settings, seed, data, backend and \
         version of the numerics. Each record is a text file, one JSON object a line.",
        columns("final test error"),
    );
    let mut shared: BTreeMap<&RunId, usize> = BTreeMap::new();
    for study in &experiment.studies {
        for arm in &study.arms {
            let name = named(experiment, study, arm.label());
            for run in &arm.runs {
                if let Some(row) = shared.get(&run.id) {
                    let cell: &mut String = &mut table.rows[*row][0];
                    *cell += &format!("; {name}");
                    continue;
                }
                shared.insert(&run.id, table.rows.len());
                let last = study.test_errors(run).and_then(|e| e.last().copied());
                table.rows.push(row(study, run, name.clone(), last));
            }
        }
    }
    table
}

/// Every run of the tuning; `None` where nothing is tuned.
pub(crate) fn tuning_runs(experiment: &Experiment) -> Option<Table> {
    let mut table = Table::new(
        "Every run of the tuning, by arm and candidate. Its error is on the validation images, \
         where it ended.",
        columns("last validation error"),
    );
    for study in &experiment.studies {
        for tuned in &study.tuning {
            for (number, runs) in tuned.candidates.iter().enumerate() {
                let name = named(experiment, study, &format!("{}, {number}", tuned.label));
                for run in runs {
                    let evaluation = run.record.as_ref().and_then(|r| r.evaluations.last());
                    let last = evaluation.and_then(|e| e.validation_error);
                    table.rows.push(row(study, run, name.clone(), last));
                }
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
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
        _ => format!("{}: {arm}", study.label()),
    }
}

fn row(study: &Study, run: &Run, name: String, last: Option<f64>) -> Vec<String> {
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
            let planned = study.epochs();
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
