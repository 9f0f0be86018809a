use adamix_record::Role;

use super::{NOTHING, Table, numbers, words};
use crate::findings::compare;
use crate::load::{ArmRuns, Study};
use crate::number::{error, interval, percent};
use crate::statistics::mean_interval;

/// AdaMix and AdaGrad beside arms that take the weights' rule of one and the
/// biases' of the other: which half does the work. Such arms are known by
/// their settings, whatever their names; `None` where there is none.
pub(crate) fn ablation(study: &Study) -> Option<Table> {
    let (ours, adagrad) = (study.only(Role::Adamix)?, study.only(Role::Adagrad)?);
    let halves = |weights: &ArmRuns, biases: &ArmRuns| -> Vec<&ArmRuns> {
        let mixed = |arm: &&ArmRuns| {
            arm.arm.weights == weights.arm.weights && arm.arm.biases == biases.arm.biases
        };
        let others = study.arms.iter();
        let others =
            others.filter(|arm| ![ours, adagrad].iter().any(|a| a.arm.name == arm.arm.name));
        others.filter(mixed).collect()
    };
    let (our_weights, our_biases) = (halves(ours, adagrad), halves(adagrad, ours));
    if our_weights.is_empty() && our_biases.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "Which half does the work: AdaMix, AdaGrad, and arms that take the weights' rule of one \
         and the biases' rule of the other. Differences of the final test error are taken seed by \
         seed, relative to the other arm's mean, with their 95\u{202f}% Student intervals; below \
         0 the row's arm is lower.",
        vec![
            words("arm"),
            words("weights of"),
            words("biases of"),
            numbers("final test error"),
            numbers("difference from AdaGrad"),
            numbers("difference from AdaMix"),
        ],
    );
    let last = |errors: &[f64]| errors.last().copied();
    let mut add = |arm: &ArmRuns, weights: &str, biases: &str| {
        let finals: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
        let beside = |other: &ArmRuns| {
            let other = Some(other).filter(|other| other.arm.name != arm.arm.name);
            let difference = other.and_then(|other| compare(study, arm, other, last));
            difference.map_or_else(|| NOTHING.into(), |d| interval(&d.estimate, percent))
        };
        table.rows.push(vec![
            arm.label().to_owned(),
            weights.into(),
            biases.into(),
            mean_interval(&finals, 0.95).map_or_else(|| NOTHING.into(), |e| interval(&e, error)),
            beside(adagrad),
            beside(ours),
        ]);
    };
    add(adagrad, "AdaGrad", "AdaGrad");
    for arm in our_weights {
        add(arm, "AdaMix", "AdaGrad");
    }
    for arm in our_biases {
        add(arm, "AdaGrad", "AdaMix");
    }
    add(ours, "AdaMix", "AdaMix");
    Some(table)
}
