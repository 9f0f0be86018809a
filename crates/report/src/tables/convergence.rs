use super::{NOTHING, Table, numbers, words};
use crate::load::{ArmRuns, Study};
use crate::number::{count, error, interval, significant};
use crate::statistics::{area_under_curve, mean_interval, median};

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
             censored: it counts as later than {epochs}, and is not dropped. Seconds are epochs \
             times the updates of an epoch times the median time of a training step.",
            error(target)
        ),
        vec![
            words("arm"),
            numbers("mean test error over epochs"),
            numbers("n"),
            numbers("median epochs to target"),
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
        Some((median(&errors)?, arm.arm.label.as_str()))
    });
    let lost = study.mean_image_error().unwrap_or(f64::INFINITY);
    medians
        .filter(|(median, _)| *median < lost)
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

fn row(study: &Study, arm: &ArmRuns, target: f64) -> Vec<String> {
    let values = |figure: &dyn Fn(&[f64]) -> Option<f64>| -> Vec<f64> {
        let by_seed = study.by_seed(arm, figure);
        by_seed.into_iter().map(|(_, value)| value).collect()
    };
    let areas = values(&area_under_curve);
    let reached = values(&|errors| {
        let epoch = errors.iter().position(|e| *e <= target);
        Some(epoch.map_or(f64::INFINITY, |epoch| epoch as f64))
    });
    let epochs = |epochs: f64| {
        if epochs.is_finite() {
            epochs.to_string()
        } else {
            format!("more than {}", study.epochs())
        }
    };
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let first = reached.iter().copied().min_by(f64::total_cmp);
    let last = reached.iter().copied().max_by(f64::total_cmp);
    let censored = reached.iter().filter(|e| e.is_infinite()).count();
    let seconds = median(&reached).and_then(|epochs| {
        let seconds = epoch_seconds(study, &arm.arm.name)?;
        Some(if epochs.is_finite() {
            significant(epochs * seconds)
        } else {
            format!("more than {}", significant(study.epochs() as f64 * seconds))
        })
    });
    vec![
        arm.arm.label.clone(),
        or_nothing(mean_interval(&areas, 0.95).map(|e| interval(&e, error))),
        areas.len().to_string(),
        or_nothing(median(&reached).map(epochs)),
        or_nothing(
            first
                .zip(last)
                .map(|(first, last)| format!("{} to {}", epochs(first), epochs(last))),
        ),
        or_nothing(
            (!reached.is_empty()).then(|| format!("{censored} of {}", count(reached.len(), "run"))),
        ),
        or_nothing(seconds),
    ]
}

/// Seconds of an epoch: its updates times the median step time.
pub(super) fn epoch_seconds(study: &Study, arm: &str) -> Option<f64> {
    let cost = study.cost.as_ref()?;
    let entry = cost.arms.iter().find(|entry| entry.arm == arm)?;
    Some(cost.steps_per_epoch as f64 * median(&entry.step_seconds)?)
}
