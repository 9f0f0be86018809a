use adamix_record::{Claim, Role};

use super::{NOTHING, Table, numbers, words};
use crate::findings::{compare, pairs};
use crate::load::{ArmRuns, Study};
use crate::number::{bound, grouped, interval, p_value, percent};
use crate::statistics::{
    Difference, Estimate, bca, bootstrap_t, holm, mean_interval, probability_of_improvement,
    sign_flip_p, signed_rank_p,
};
use crate::verdict::seeds_needed;

/// AdaMix beside one other arm.
struct Compared<'a> {
    other: &'a ArmRuns,
    difference: Difference,
    /// Chance that a run of AdaMix ends below one of the other arm.
    improvement: Option<Estimate>,
    /// Whether the claim names it.
    named: bool,
}

/// AdaMix minus every other arm, paired by seed, in a figure of the test
/// errors; `None` where no arm is AdaMix or nothing is to compare. The claim
/// gives the levels and says which comparisons it names.
pub(crate) fn differences(
    study: &Study,
    claim: Option<&Claim>,
    measure: &str,
    figure: impl Fn(&[f64]) -> Option<f64>,
) -> Option<Table> {
    let ours = study.only(Role::Adamix)?;
    let level = claim.map_or(0.95, |claim| claim.confidence);
    let contradicting = claim.map_or(0.975, |claim| claim.contradiction_confidence);
    let compared: Vec<Compared<'_>> = study
        .arms
        .iter()
        .filter(|other| other.arm.role != Role::Adamix)
        .filter_map(|other| {
            let (a, b) = pairs(study, ours, other, &figure);
            Some(Compared {
                other,
                difference: compare(study, ours, other, &figure)?,
                improvement: probability_of_improvement(&a, &b, level),
                named: claim.is_some_and(|claim| claim.against.contains(&other.arm.role)),
            })
        })
        .collect();
    if compared.is_empty() {
        return None;
    }
    let sign_flip = adjusted(&compared, sign_flip_p);
    let signed_rank = adjusted(&compared, signed_rank_p);

    let mut columns = vec![
        words("other arm"),
        numbers(format!("difference ({})", bound(level))),
        numbers(bound(contradicting)),
        numbers(format!("bootstrap-t ({})", bound(level))),
        numbers(format!("BCa ({})", bound(level))),
        numbers("sign-flip p"),
        numbers("Wilcoxon p"),
        numbers(format!("chance to be lower ({})", bound(level))),
        numbers("n"),
    ];
    if let Some(claim) = claim {
        columns.push(numbers(format!("seeds to decide ({})", bound(claim.power))));
    }
    columns.push(words("comparison"));
    let mut table = Table::new(
        format!(
            "{measure} of {} minus that of the other arm, seed by seed, relative to the other \
             arm's mean; below 0 AdaMix is lower.",
            ours.label()
        ),
        columns,
    );
    for (i, compared) in compared.iter().enumerate() {
        let values = &compared.difference.values;
        let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
        let ends = |e: Estimate| {
            let known = e.low.is_finite() && e.high.is_finite();
            known.then(|| format!("{} to {}", percent(e.low), percent(e.high)))
        };
        let mut row = vec![
            compared.other.label().to_owned(),
            or_nothing(mean_interval(values, level).map(|e| interval(&e, percent))),
            or_nothing(mean_interval(values, contradicting).and_then(ends)),
            or_nothing(bootstrap_t(values, level).and_then(ends)),
            or_nothing(bca(values, level).and_then(ends)),
            or_nothing(sign_flip[i].map(p_value)),
            or_nothing(signed_rank[i].map(p_value)),
            or_nothing(compared.improvement.map(|e| interval(&e, percent))),
            values.len().to_string(),
        ];
        if let Some(claim) = claim {
            let seeds = seeds_needed(claim, &compared.difference);
            row.push(or_nothing(seeds.map(|seeds| grouped(seeds as u64))));
        }
        row.push(match compared.named {
            true => "named by the claim".into(),
            false => "exploratory".into(),
        });
        table.rows.push(row);
    }
    Some(table)
}

/// The p value of every comparison; those that no claim names are
/// Holm-adjusted among themselves.
fn adjusted(compared: &[Compared<'_>], test: fn(&[f64]) -> Option<f64>) -> Vec<Option<f64>> {
    let exploratory = compared.iter().filter(|c| !c.named);
    let family: Vec<f64> = exploratory
        .filter_map(|c| test(&c.difference.values))
        .collect();
    let mut family = holm(&family).into_iter();
    compared
        .iter()
        .map(|compared| {
            let raw = test(&compared.difference.values);
            match compared.named {
                true => raw,
                false => raw.and_then(|_| family.next()),
            }
        })
        .collect()
}
