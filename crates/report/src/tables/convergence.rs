use adamix_record::UpdateTimes;

use super::{NOTHING, Table, numbers, words};
use crate::load::{ArmRuns, Study};
use crate::number::{count, error, interval, significant};
use crate::statistics::{TimeToTarget, area_under_curve, kaplan_meier, mean_interval, median};

/// Area under the curve, and epochs and seconds to a target; `None` where no
/// run counts.
pub(crate) fn convergence(study: &Study) -> Option<Table> {
    let (target, worst) = target(study)?;
    let epochs = study.epochs();
    let mut table = Table::new(
        format!(
            "Mean test error over epochs 1 to {epochs} (the area under the error curve), with its \
             95\u{202f}% Student interval; and epochs until the test error is at most {}, the \
             final median error of the worst arm ({worst}). A run that never gets there is \
             censored: it counts as later than {epochs}, and is not dropped. The median is Kaplan \
             and Meier's; the restricted mean takes a run that is later as {epochs}. Seconds are \
             the median of the epochs times the updates of an epoch times the median time of a training step.",
            error(target)
        ),
        vec![
            words("arm"),
            numbers("mean test error over epochs"),
            numbers("n"),
            numbers("median epochs to target"),
            numbers("restricted mean"),
            numbers("fewest to most"),
            numbers("censored"),
            numbers("seconds to target"),
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
fn target(study: &Study) -> Option<(f64, &str)> {
    let medians = study.arms.iter().filter_map(|arm| {
        let errors: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
        Some((median(&errors)?, arm.label()))
    });
    let lost = study.mean_image_error.unwrap_or(f64::INFINITY);
    medians
        .filter(|(median, _)| *median < lost)
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

fn row(study: &Study, arm: &ArmRuns, target: f64) -> Vec<String> {
    let areas: Vec<f64> = study
        .by_seed(arm, area_under_curve)
        .into_iter()
        .map(|(_, area)| area)
        .collect();
    let horizon = study.epochs() as f64;
    let times: Vec<TimeToTarget> = study
        .by_seed(arm, |errors| {
            let epoch = errors.iter().position(|e| *e <= target);
            Some(TimeToTarget {
                at: epoch.map_or(horizon, |epoch| epoch as f64),
                reached: epoch.is_some(),
            })
        })
        .into_iter()
        .map(|(_, time)| time)
        .collect();
    let survival = kaplan_meier(&times, horizon);
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let or_later = |value: Option<f64>| match value {
        Some(value) => significant(value),
        None => format!("more than {}", study.epochs()),
    };
    let reached = || times.iter().map(|time| time.at).filter(|at| at.is_finite());
    let first = times.iter().filter(|time| time.reached);
    let first = first.map(|time| time.at).min_by(f64::total_cmp);
    let all_reached = times.iter().all(|time| time.reached);
    let last = reached().max_by(f64::total_cmp).filter(|_| all_reached);
    let seconds = survival.and_then(|survival| {
        let seconds = epoch_seconds(arm.cost.as_ref()?)?;
        Some(match survival.median {
            Some(epochs) => significant(epochs * seconds),
            None => format!("more than {}", significant(horizon * seconds)),
        })
    });
    vec![
        arm.label().to_owned(),
        or_nothing(mean_interval(&areas, 0.95).map(|e| interval(&e, error))),
        areas.len().to_string(),
        or_nothing(survival.map(|survival| or_later(survival.median))),
        or_nothing(survival.and_then(|survival| Some(significant(survival.restricted_mean?)))),
        or_nothing(survival.map(|_| format!("{} to {}", or_later(first), or_later(last)))),
        or_nothing(survival.map(|survival| {
            let runs = count(survival.n, "run");
            format!("{} of {runs}", survival.censored)
        })),
        or_nothing(seconds),
    ]
}

/// Seconds of an epoch: its updates times the median step time.
pub(super) fn epoch_seconds(cost: &UpdateTimes) -> Option<f64> {
    Some(cost.steps_per_epoch as f64 * median(&cost.step_seconds)?)
}
