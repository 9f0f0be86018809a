use super::{NOTHING, Table, numbers, words};
use crate::load::{ArmRuns, State, Study};
use crate::number::{error, interval};
use crate::statistics::{interquartile_mean, mean, mean_interval, median};

/// Final errors by arm, and what became of its runs.
pub(crate) fn final_errors(study: &Study) -> Table {
    let mut table = Table::new(
        "Test error after the last epoch: mean over the seeds with its 95\u{202f}% Student \
         interval, n the number of seeds behind it, and the interquartile mean, which leaves out \
         the lowest and the highest quarter of the seeds, with its bootstrap interval. Train error (first 10,000 training images) \
         and best epoch (that of the lowest test error, median over seeds) leave out runs that \
         diverged.",
        vec![
            words("arm"),
            numbers("test error"),
            numbers("n"),
            numbers("interquartile mean"),
            numbers("train error"),
            numbers("best epoch"),
            numbers("lowest test error"),
            words("runs"),
        ],
    );
    table.rows = study.arms.iter().map(|arm| row(study, arm)).collect();
    table
}

fn row(study: &Study, arm: &ArmRuns) -> Vec<String> {
    let finals: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
    let complete = || {
        let completed = arm.runs.iter().filter(|run| run.state == State::Completed);
        completed.filter_map(|run| run.record.as_ref())
    };
    let train: Vec<f64> = complete()
        .filter_map(|record| record.evaluations.last()?.train_error)
        .collect();
    let (best_epochs, lowest): (Vec<f64>, Vec<f64>) = complete()
        .filter_map(|record| {
            let errors = record.evaluations.iter();
            errors
                .filter_map(|e| Some((e.epoch as f64, e.test_error?)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
        })
        .unzip();
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let not_empty = |values: &[f64]| (!values.is_empty()).then(|| error(mean(values)));
    vec![
        arm.label().to_owned(),
        or_nothing(mean_interval(&finals, 0.95).map(|e| interval(&e, error))),
        finals.len().to_string(),
        or_nothing(interquartile_mean(&finals, 0.95).map(|e| interval(&e, error))),
        or_nothing(not_empty(&train)),
        or_nothing(median(&best_epochs).map(|epoch| epoch.to_string())),
        or_nothing(not_empty(&lowest)),
        states(study, arm),
    ]
}

/// `9 completed, 1 diverged`: every state that occurs, with its count.
fn states(study: &Study, arm: &ArmRuns) -> String {
    if study.in_tuning(arm) {
        return "settings still being tuned".into();
    }
    let counts = [
        ("completed", arm.count(|s| *s == State::Completed)),
        ("diverged", arm.diverged()),
        ("failed", arm.count(|s| matches!(s, State::Failed { .. }))),
        ("running", arm.count(|s| matches!(s, State::Running { .. }))),
        ("missing", arm.count(|s| *s == State::Missing)),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    counts.join(", ")
}
