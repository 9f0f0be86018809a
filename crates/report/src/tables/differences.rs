use adamix_record::Role;

use super::{NOTHING, Table, numbers, words};
use crate::findings::compare;
use crate::load::Study;
use crate::number::{interval, p_value, percent};
use crate::statistics::{Difference, bootstrap_t, holm, sign_flip_p};

/// AdaMix minus every other arm, paired by seed, in a figure of the test
/// errors; `None` where no arm is AdaMix or nothing is to compare.
pub(crate) fn differences(
    study: &Study,
    measure: &str,
    figure: impl Fn(&[f64]) -> Option<f64>,
) -> Option<Table> {
    let ours = study.only(Role::Adamix)?;
    let others: Vec<_> = study
        .arms
        .iter()
        .filter(|other| other.arm.role != Role::Adamix)
        .filter_map(|other| Some((other, compare(study, ours, other, &figure)?)))
        .collect();
    if others.is_empty() {
        return None;
    }
    let exploratory = |role| matches!(role, Role::Control | Role::Baseline);
    let family: Vec<f64> = others
        .iter()
        .filter(|(other, _)| exploratory(other.arm.role))
        .filter_map(|(_, difference)| sign_flip_p(&difference.values))
        .collect();
    let mut adjusted = holm(&family).into_iter();

    let mut table = Table::new(
        format!(
            "{measure} of {} minus that of the other arm, seed by seed, relative to the other \
             arm's mean; below 0 AdaMix is lower.",
            ours.arm.label
        ),
        vec![
            words("other arm"),
            numbers("difference (95\u{202f}%)"),
            numbers("97.5\u{202f}%"),
            numbers("bootstrap-t (95\u{202f}%)"),
            numbers("sign-flip p"),
            numbers("n"),
            words("comparison"),
        ],
    );
    for (other, difference) in &others {
        let raw = sign_flip_p(&difference.values);
        let (p, kind) = if exploratory(other.arm.role) {
            (raw.and_then(|_| adjusted.next()), "exploratory")
        } else {
            (raw, "named by the claim")
        };
        table.rows.push(row(&other.arm.label, difference, p, kind));
    }
    Some(table)
}

fn row(label: &str, difference: &Difference, p: Option<f64>, kind: &str) -> Vec<String> {
    let ends = |low: f64, high: f64| {
        if low.is_finite() && high.is_finite() {
            format!("{} to {}", percent(low), percent(high))
        } else {
            NOTHING.into()
        }
    };
    let corrected = difference.corrected;
    let bootstrap = bootstrap_t(&difference.values, 0.95);
    vec![
        label.to_owned(),
        interval(&difference.estimate, percent),
        ends(corrected.low, corrected.high),
        bootstrap.map_or_else(|| NOTHING.into(), |b| ends(b.low, b.high)),
        p.map_or_else(|| NOTHING.into(), p_value),
        difference.values.len().to_string(),
        kind.to_owned(),
    ]
}
