use adamix_record::{RunId, Text, text};

use super::{Cell, Table, arm_column, numbers, of_protocol, words};
use crate::load::{ArmRuns, Run, State, Study};
use crate::number::{error, in_a_row};
use crate::statistics::{interquartile_mean, mean, mean_interval, median};
use crate::tuning::progress;

/// Final errors by arm, and what became of its runs.
pub(crate) fn final_errors(study: &Study) -> Table {
    let mut table = Table::new(
        of_protocol("final-errors", &study.protocol),
        text!(
            "Test error after the last epoch: mean over the seeds with its 95\u{202f}% Student \
             interval, n the number of seeds behind it, and the interquartile mean, which leaves \
             out the lowest and the highest quarter of the seeds, with its bootstrap interval. \
             Train error (first 10,000 training images), best epoch (that of a run's lowest test \
             error, median over seeds) and that lowest error (mean over seeds) leave out runs \
             that diverged.",
            "最后一轮之后的测试误差：各随机种子的均值及其 95\u{202f}% Student 置信区间；n \
             为随机种子数；四分位均值去掉最低与最高各四分之一的种子，附自助法置信区间。训练误差（前 \
             10,000 幅训练图像）、最优轮（测试误差最低的一轮，取各种子的中位数）与该最低误差（各种子的均值）不计发散的运行。"
        ),
        vec![
            arm_column(),
            numbers(text!("test error", "测试误差")),
            numbers("n"),
            numbers(text!("interquartile mean", "四分位均值")),
            numbers(text!("train error", "训练误差")),
            numbers(text!("best epoch", "最优轮")),
            numbers(text!("lowest test error", "最低测试误差")),
            words(text!("runs", "运行")),
        ],
    );
    table.rows = study.arms.iter().map(|arm| row(study, arm)).collect();
    table
}

fn row(study: &Study, arm: &ArmRuns) -> Vec<Cell> {
    let finals: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
    let runs = arm.runs.iter();
    let completed: Vec<&Run> = runs.filter(|run| run.state == State::Completed).collect();
    let records = || completed.iter().filter_map(|run| run.record.as_ref());
    let train: Vec<f64> = records()
        .filter_map(|record| record.evaluations.last()?.train_error)
        .collect();
    let (best_epochs, lowest): (Vec<f64>, Vec<f64>) = records()
        .filter_map(|record| {
            let errors = record.evaluations.iter();
            errors
                .filter_map(|e| Some((e.epoch as f64, e.test_error?)))
                .min_by(|a, b| a.1.total_cmp(&b.1))
        })
        .unzip();
    let counted = study.counted(arm);
    let completed: Vec<RunId> = completed.iter().map(|run| run.id.clone()).collect();
    let all: Vec<RunId> = arm.runs.iter().map(|run| run.id.clone()).collect();
    let of = |cell: Option<Cell>, runs: &[RunId]| match cell {
        Some(cell) => cell.of(runs),
        None => Cell::or_nothing(None),
    };
    let mean_of = |values: &[f64]| (!values.is_empty()).then(|| Cell::number(mean(values), error));
    let interval = |estimate: Option<_>| estimate.map(|e| Cell::estimate(&e, error));
    vec![
        arm.label().into(),
        of(interval(mean_interval(&finals, 0.95)), &counted),
        Cell::whole(finals.len()).of(&counted),
        of(interval(interquartile_mean(&finals, 0.95)), &counted),
        of(mean_of(&train), &completed),
        of(
            median(&best_epochs).map(|epoch| Cell::number(epoch, |e| e.to_string())),
            &completed,
        ),
        of(mean_of(&lowest), &completed),
        Cell::from(states(study, arm)).of(&all),
    ]
}

/// `9 completed, 1 diverged`: every state that occurs, with its count.
fn states(study: &Study, arm: &ArmRuns) -> Text {
    if let Some(tried) = study.in_tuning(arm) {
        return progress(tried.candidates.iter().flatten());
    }
    let failed = |s: &State| matches!(s, State::Failed { .. });
    let running = |s: &State| matches!(s, State::Running { .. });
    let counts = [
        (
            text!("completed", "完成"),
            arm.count(|s| *s == State::Completed),
        ),
        (text!("diverged", "发散"), arm.diverged()),
        (text!("failed", "失败"), arm.count(failed)),
        (text!("running", "运行中"), arm.count(running)),
        (
            text!("missing", "缺失"),
            arm.count(|s| *s == State::Missing),
        ),
    ];
    let counts = counts.iter().filter(|(_, n)| *n > 0);
    let counts: Vec<Text> = counts
        .map(|(state, n)| text!("{n} {state}", "{state} {n} 次", n, state))
        .collect();
    in_a_row(&counts)
}
