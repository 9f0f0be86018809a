use adamix_record::{Text, UpdateTimes, text};

use super::{Cell, Table, arm_column, numbers, of_protocol};
use crate::load::{ArmRuns, Study};
use crate::number::{RUN, count, error, range, significant};
use crate::statistics::{TimeToTarget, area_under_curve, kaplan_meier, mean_interval, median};

/// Area under the curve, and epochs and seconds to a target; `None` where no
/// run counts.
pub(crate) fn convergence(study: &Study) -> Option<Table> {
    let (target, worst) = target(study)?;
    let epochs = study.epochs();
    let mut table = Table::new(
        of_protocol("convergence", &study.protocol),
        text!(
            "Mean test error over epochs 1 to {epochs} (the area under the error curve), with its \
             95\u{202f}% Student interval; and epochs until the test error is at most {target}, \
             the final median error of the arm where it is highest ({worst}){standing}. A run that never gets there is \
             censored: it counts as later than {epochs}, and is not dropped. The median is Kaplan \
             and Meier's; the restricted mean takes a run that is later as {epochs}. Seconds are \
             the median of the epochs times the updates of an epoch times the median time of a \
             training step.",
            "第 1 至 {epochs} 轮测试误差的均值（误差曲线下面积），附 95\u{202f}% Student 置信区间；\
             以及测试误差降至 {target} 以下（含）所需的轮数，该目标取最终误差中位数最高的方法（{worst}）的该中位数{standing}。\
             始终未达到目标的运行按删失处理：记为晚于第 {epochs} 轮，不予剔除。中位数按 Kaplan-Meier \
             估计；限制均值把更晚的运行计为 {epochs} 轮。秒数为轮数的中位数乘以每轮更新次数再乘以一个训练步用时的中位数。",
            epochs,
            target = error(target),
            worst,
            standing = standing(study),
        ),
        vec![
            arm_column(),
            numbers(text!("mean test error over epochs", "各轮平均测试误差")),
            numbers("n"),
            numbers(text!("median to target (epochs)", "达标中位数（轮）")),
            numbers(text!("restricted mean (epochs)", "限制均值（轮）")),
            numbers(text!("range over the seeds (epochs)", "各种子的范围（轮）")),
            numbers(text!("censored", "删失")),
            numbers(text!("seconds to target", "达标秒数")),
        ],
    );
    table.rows = study
        .arms
        .iter()
        .map(|arm| row(study, arm, target))
        .collect();
    Some(table)
}

/// The final median error of the worst arm, and its label. An arm whose median
/// run diverged sets no target: any run would meet it before its first update.
pub(crate) fn target(study: &Study) -> Option<(f64, &Text)> {
    let medians = study.arms.iter().filter_map(|arm| {
        let errors: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
        Some((median(&errors)?, arm.label()))
    });
    let lost = study.mean_image_error.unwrap_or(f64::INFINITY);
    medians
        .filter(|(median, _)| *median < lost)
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

/// What is to be known of the target, to stand behind it.
pub(crate) fn standing(study: &Study) -> Text {
    let half = text!(
        ", which at least half of that arm's own runs reach by its construction",
        "，按其定义，该方法自身至少有一半的运行会达到"
    );
    match study.runs().all(|run| run.state.has_ended()) {
        true => half,
        false => {
            half + text!(
                "; it is provisional until all planned runs have ended",
                "；在计划的运行全部结束之前它是暂定的"
            )
        }
    }
}

/// Epochs to the target of every run that counts, in the order of the seeds.
pub(crate) fn times_to_target(study: &Study, arm: &ArmRuns, target: f64) -> Vec<TimeToTarget> {
    let time = |errors: &[f64]| {
        let epoch = errors.iter().position(|e| *e <= target);
        Some(TimeToTarget {
            at: epoch.map_or(study.epochs() as f64, |epoch| epoch as f64),
            reached: epoch.is_some(),
        })
    };
    let times = study.by_seed(arm, time).into_iter();
    times.map(|(_, time)| time).collect()
}

fn row(study: &Study, arm: &ArmRuns, target: f64) -> Vec<Cell> {
    let areas: Vec<f64> = study
        .by_seed(arm, area_under_curve)
        .into_iter()
        .map(|(_, area)| area)
        .collect();
    let horizon = study.epochs() as f64;
    let times = times_to_target(study, arm, target);
    let survival = kaplan_meier(&times, horizon);
    let runs = study.counted(arm);
    let or_nothing = |cell: Option<Cell>| Cell::or_nothing(cell.map(|cell| cell.of(&runs)));
    let later = |horizon: String| text!("more than {horizon}", "超过 {horizon}", horizon);
    let or_later = |value: Option<f64>| match value {
        Some(value) => Cell::number(value, significant),
        None => later(study.epochs().to_string()).into(),
    };
    let reached = || times.iter().map(|time| time.at).filter(|at| at.is_finite());
    let first = times.iter().filter(|time| time.reached);
    let first = first.map(|time| time.at).min_by(f64::total_cmp);
    let all_reached = times.iter().all(|time| time.reached);
    let last = reached().max_by(f64::total_cmp).filter(|_| all_reached);
    let seconds = survival.and_then(|survival| {
        let seconds = epoch_seconds(arm.cost.as_ref()?)?;
        let cell = match survival.median {
            Some(epochs) => Cell::number(epochs * seconds, significant),
            None => later(significant(horizon * seconds)).into(),
        };
        Some(cell.sourced("cost.json"))
    });
    vec![
        arm.label().into(),
        or_nothing(mean_interval(&areas, 0.95).map(|e| Cell::estimate(&e, error))),
        Cell::whole(areas.len()).of(&runs),
        or_nothing(survival.map(|survival| or_later(survival.median))),
        or_nothing(survival.and_then(|s| Some(Cell::number(s.restricted_mean?, significant)))),
        or_nothing(survival.map(|_| {
            let [low, high] = [first, last].map(|end| or_later(end).text);
            Cell {
                // An end that is later than all epochs is open.
                values: [first, last]
                    .map(|end| end.unwrap_or(f64::INFINITY))
                    .to_vec(),
                ..range(low, high).into()
            }
        })),
        or_nothing(survival.map(|survival| {
            let (censored, runs) = (survival.censored, count(survival.n, RUN));
            Cell {
                values: vec![censored as f64],
                ..text!(
                    "{censored} of {runs}",
                    "{runs}中有 {censored} 次",
                    censored,
                    runs
                )
                .into()
            }
        })),
        or_nothing(seconds),
    ]
}

/// Seconds of an epoch: its updates times the median step time.
pub(super) fn epoch_seconds(cost: &UpdateTimes) -> Option<f64> {
    Some(cost.steps_per_epoch as f64 * median(&cost.step_seconds)?)
}
