use super::{NOTHING, Table, numbers, words};
use crate::load::{State, Study};
use crate::number::error;

/// Every planned run and what became of it.
pub(crate) fn runs(study: &Study) -> Table {
    let mut table = Table::new(
        "Every run of the plan. The run id is a checksum over settings, seed, data, backend and \
         version of the numerics. Each record is a text file, one JSON object a line.",
        vec![
            words("arm"),
            numbers("seed"),
            words("run id"),
            words("state"),
            numbers("final test error"),
            words("record"),
        ],
    );
    for arm in &study.arms {
        for run in &arm.runs {
            let last = study.test_errors(run).and_then(|e| e.last().copied());
            let state = match &run.state {
                State::Completed => "completed".into(),
                State::Diverged { epoch } => {
                    let counted = if last.is_some() {
                        "counts with the mean image's error"
                    } else {
                        "cannot count: the mean image's error is not measured yet"
                    };
                    format!("diverged at epoch {epoch}; {counted}")
                }
                State::Failed { why } => format!("failed: {why}"),
                State::Running { epochs } => {
                    let planned = study.epochs();
                    format!("running, or interrupted; {epochs} of {planned} epochs")
                }
                State::Missing => "missing".into(),
            };
            // The path on the reader's side, not that of this machine.
            let name = run.path.file_name().and_then(|name| name.to_str());
            table.rows.push(vec![
                arm.arm.label.clone(),
                run.seed.to_string(),
                run.id.to_string(),
                state,
                last.map_or_else(|| NOTHING.into(), error),
                name.map_or_else(|| NOTHING.into(), |name| format!("runs/{name}")),
            ]);
        }
    }
    table
}

/// Every machine and program that wrote records, and the one that was timed.
pub(crate) fn environments(study: &Study) -> Table {
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
    let records = study.environments().into_iter().map(|(e, kernel, n)| {
        let what = crate::number::count(n, "record");
        (what, e, kernel)
    });
    let timed = study
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
