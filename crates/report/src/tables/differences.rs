use adamix_record::{Role, Statistic, text};

use super::{Cell, Table, numbers, of_protocol, words};
use crate::findings::{ErrorFigure, compare, paired_runs, pairs};
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::{bound, grouped, p_value, percent, range};
use crate::statistics::{
    Difference, Estimate, bca, bootstrap_t, holm, mean_interval, probability_of_improvement,
    sign_flip_p, signed_rank_p,
};
use crate::verdict::seeds_needed;

/// Of so many values an exact test can give a p value below 0.05: the least is
/// two of 2^n signs.
pub(super) const FEWEST_TO_TEST: usize = 6;
/// So many values tell their spread well enough to plan on it.
const FEWEST_TO_PLAN: usize = 5;

/// AdaMix beside one other arm.
struct Compared<'a> {
    other: &'a ArmRuns,
    difference: Difference,
    /// Chance that a run of AdaMix ends below one of the other arm.
    improvement: Option<Estimate>,
    /// Whether the claim names it.
    named: bool,
}

/// AdaMix minus every other arm, paired by seed, in the figure of the test
/// errors that a statistic compares; `None` where no arm is AdaMix, nothing is
/// to compare, or the statistic is a cost. The first claim about the statistic
/// gives the levels and says which comparisons it names.
pub(crate) fn differences(
    experiment: &Experiment,
    study: &Study,
    statistic: Statistic,
) -> Option<Table> {
    let claim = experiment.claim_on(statistic);
    let figure: ErrorFigure = crate::findings::error_figure(statistic)?;
    let ours = study.only(Role::Adamix)?;
    let level = claim.map_or(0.95, |claim| claim.confidence);
    let contradicting = claim.map_or(0.975, |claim| claim.contradiction_confidence);
    let compared: Vec<Compared<'_>> = study
        .arms
        .iter()
        .filter(|other| other.arm.role != Role::Adamix)
        .filter_map(|other| {
            let (a, b) = pairs(study, ours, other, figure);
            Some(Compared {
                other,
                difference: compare(study, ours, other, figure)?,
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

    let of_level = |name: &str| {
        text!(
            "{name} ({level})",
            "{name}（{level}）",
            name,
            level = bound(level)
        )
    };
    let mut columns = vec![
        words(text!("other arm", "另一方法")),
        numbers(text!(
            "difference ({level})",
            "差值（{level}）",
            level = bound(level)
        )),
        numbers(text!(
            "{level} interval",
            "{level} 置信区间",
            level = bound(contradicting)
        )),
        numbers(of_level("bootstrap-t")),
        numbers(of_level("BCa")),
        numbers(text!("sign-flip p", "符号翻转 p")),
        numbers("Wilcoxon p"),
        numbers(text!(
            "chance to be lower ({level})",
            "更低的概率（{level}）",
            level = bound(level),
        )),
        numbers("n"),
    ];
    if let Some(claim) = claim {
        columns.push(numbers(text!(
            "seeds to decide ({power})",
            "判定所需种子数（{power}）",
            power = bound(claim.power),
        )));
    }
    columns.push(words(text!("comparison", "比较")));
    let (stem, measure) = match statistic {
        Statistic::FinalError => (
            "final-differences",
            text!("Final test error", "最终测试误差"),
        ),
        _ => (
            "area-differences",
            text!("Mean test error over the epochs", "各轮平均测试误差"),
        ),
    };
    let mut table = Table::new(
        of_protocol(stem, &study.protocol),
        text!(
            "{measure} of {ours} minus that of the other arm, seed by seed, relative to the other \
             arm's mean; below 0 AdaMix is lower. Beside the Student intervals stand two by \
             resampling (bootstrap-t, BCa), the p values of two tests of no difference (sign-flip, \
             Wilcoxon), and the chance that a run of AdaMix ends below one of the other arm; more \
             under Method. No p value is given below {tested} seeds, where \
             none can fall below 0.05, and no number of seeds to decide below {planned}.",
            "{ours} 的{measure}减去另一方法的，按随机种子逐一配对，相对于另一方法的均值；小于 0 表示 \
             AdaMix 更低。除 Student 置信区间外，另列两种重抽样置信区间（bootstrap-t、BCa）、两种无差异检验的 p 值\
             （符号翻转、Wilcoxon），以及 AdaMix 的一次运行低于另一方法一次运行的概率；详见“统计方法”。\
             随机种子不足 {tested} 个时不给出 p 值（此时 p 值不可能低于 0.05），不足 {planned} \
             个时不给出判定所需种子数。",
            measure,
            ours = ours.label(),
            tested = FEWEST_TO_TEST,
            planned = FEWEST_TO_PLAN,
        ),
        columns,
    );
    for (i, compared) in compared.iter().enumerate() {
        let values = &compared.difference.values;
        let runs = paired_runs(study, ours, compared.other);
        let or_nothing = |cell: Option<Cell>| Cell::or_nothing(cell.map(|cell| cell.of(&runs)));
        let estimate = |e: Option<Estimate>| e.map(|e| Cell::estimate(&e, percent));
        let ends = |e: Estimate| {
            let known = e.low.is_finite() && e.high.is_finite();
            known.then(|| Cell {
                values: vec![e.low, e.high],
                ..range(percent(e.low), percent(e.high)).into()
            })
        };
        let p = |p: Option<f64>| p.map(|p| Cell::number(p, p_value));
        let mut row = vec![
            compared.other.label().into(),
            or_nothing(estimate(mean_interval(values, level))),
            or_nothing(mean_interval(values, contradicting).and_then(ends)),
            or_nothing(bootstrap_t(values, level).and_then(ends)),
            or_nothing(bca(values, level).and_then(ends)),
            or_nothing(p(sign_flip[i])),
            or_nothing(p(signed_rank[i])),
            or_nothing(match compared.improvement {
                // All ties: no resample says anything else.
                Some(e) if e.low == e.high => Some(Cell::number(e.point, percent)),
                improvement => estimate(improvement),
            }),
            Cell::whole(values.len()).of(&runs),
        ];
        if let Some(claim) = claim {
            // Never fewer than the rule asks for; a spread from fewer than
            // five seeds is no base to plan on.
            let seeds = seeds_needed(claim, &compared.difference)
                .filter(|_| values.len() >= FEWEST_TO_PLAN)
                .map(|seeds| seeds.max(claim.fewest_seeds));
            row.push(or_nothing(seeds.map(|seeds| Cell {
                values: vec![seeds as f64],
                ..grouped(seeds as u64).into()
            })));
        }
        row.push(match compared.named {
            true => text!("named by the claim", "主张中指明").into(),
            false => text!("exploratory", "探索性").into(),
        });
        table.rows.push(row);
    }
    Some(table)
}

/// The p value of every comparison; those that no claim names are
/// Holm-adjusted among themselves.
fn adjusted(compared: &[Compared<'_>], test: fn(&[f64]) -> Option<f64>) -> Vec<Option<f64>> {
    let test = |values: &[f64]| test(values).filter(|_| values.len() >= FEWEST_TO_TEST);
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
