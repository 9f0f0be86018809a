use adamix_record::{Role, text};

use super::{Cell, NOTHING, Table, arm_column, numbers, of_protocol, words};
use crate::findings::{compare, paired_runs};
use crate::load::{ArmRuns, Study};
use crate::number::{error, percent};
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
        of_protocol("ablation", &study.protocol),
        text!(
            "Which half does the work: AdaMix, AdaGrad, and arms that take the weights' rule of \
             one and the biases' rule of the other. Differences of the final test error are taken \
             seed by seed, relative to the other arm's mean, with their 95\u{202f}% Student \
             intervals; below 0 the row's arm is lower.",
            "哪一半起作用：AdaMix、AdaGrad，以及连接权重取一方规则、偏置取另一方规则的方法。\
             最终测试误差之差按随机种子逐一配对，相对于另一方法的均值，附 95\u{202f}% Student \
             置信区间；小于 0 表示该行的方法误差更低。"
        ),
        vec![
            arm_column(),
            words(text!("weights of", "连接权重取自")),
            words(text!("biases of", "偏置取自")),
            numbers(text!("final test error", "最终测试误差")),
            numbers(text!("difference from AdaGrad", "与 AdaGrad 之差")),
            numbers(text!("difference from AdaMix", "与 AdaMix 之差")),
        ],
    );
    let last = |errors: &[f64]| errors.last().copied();
    let mut add = |arm: &ArmRuns, weights: &str, biases: &str| {
        let finals: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
        let beside = |other: &ArmRuns| {
            let other = Some(other).filter(|other| other.arm.name != arm.arm.name);
            let cell = other.and_then(|other| {
                let difference = compare(study, arm, other, last)?;
                let runs = paired_runs(study, arm, other);
                Some(Cell::estimate(&difference.estimate, percent).of(&runs))
            });
            Cell::or_nothing(cell)
        };
        table.rows.push(vec![
            arm.label().into(),
            weights.into(),
            biases.into(),
            mean_interval(&finals, 0.95).map_or_else(
                || NOTHING.into(),
                |e| Cell::estimate(&e, error).of(&study.counted(arm)),
            ),
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
