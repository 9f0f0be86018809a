//! The verdict on a claim. The rule and its thresholds are the claim's, fixed
//! in the experiment file before any run; what is here reads no record, so it
//! can be checked case by case.

use adamix_record::{Claim, Text, text};

use crate::statistics::{Difference, Estimate, mean_interval, standard_deviation, values_needed};

/// Declared costs closer than this are tied.
const TIE: f64 = 1e-9;

/// What is known about a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Relative differences of an error, AdaMix minus each arm that the claim
    /// names.
    Errors(Vec<Difference>),
    /// Costs beside those of each arm that the claim names.
    Costs(Vec<CostComparison>),
    /// Something that the rule needs is not there; the text says what.
    Absent(Text),
}

/// The cost of AdaMix beside another arm's.
#[derive(Debug, Clone, PartialEq)]
pub struct CostComparison {
    /// Declared figures of AdaMix and the other: arithmetic operations, bytes
    /// of state, bytes moved, each a mean per parameter and update.
    pub declared: [(f64, f64); 3],
    /// Measured times of one update, AdaMix / other, round by round.
    pub ratios: Vec<f64>,
}

/// What the evidence says about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The claim holds here.
    Reproduced,
    /// The opposite of the claim holds here.
    Contradicted,
    /// The difference is too small to matter.
    NoPracticalDifference,
    /// The evidence fits more than one answer.
    Undecided {
        /// Seeds that would decide at the claim's power if the estimates are
        /// right; `None` where no number would, or where seeds do not matter.
        seeds: Option<usize>,
    },
    /// Fewer seeds than [`Claim::fewest_seeds`]: an estimate, no verdict.
    TooFewSeeds {
        /// How many there are.
        seeds: usize,
    },
    /// No verdict can be given; the text says why.
    Impossible(Text),
}

impl Verdict {
    /// The verdict in a word or two.
    pub fn name(&self) -> Text {
        match self {
            Self::Reproduced => text!("reproduced", "已复现"),
            Self::Contradicted => text!("contradicted", "与主张相反"),
            Self::NoPracticalDifference => text!("no practical difference", "无实际差异"),
            Self::Undecided { .. } => text!("undecided", "尚无定论"),
            Self::TooFewSeeds { .. } => text!("too few seeds", "随机种子太少"),
            Self::Impossible(_) => text!("no verdict", "无法判定"),
        }
    }
}

/// The interval that reproduces `claim`: Student's, at its confidence.
pub fn deciding_interval(claim: &Claim, values: &[f64]) -> Option<Estimate> {
    mean_interval(values, claim.confidence)
}

/// The interval that contradicts `claim`: Student's, at the higher confidence
/// that several chances to fall ask for.
pub fn contradicting_interval(claim: &Claim, values: &[f64]) -> Option<Estimate> {
    mean_interval(values, claim.contradiction_confidence)
}

/// Whether AdaMix is lowest or tied in every declared figure, and lowest in one.
pub(crate) fn declared_lowest(against: &[CostComparison]) -> bool {
    let mut declared = against.iter().flat_map(|c| c.declared);
    let lowest_in_one = (0..3).any(|figure| {
        against.iter().all(|c| {
            let (ours, other) = c.declared[figure];
            ours < other - TIE
        })
    });
    declared.all(|(ours, other)| ours <= other + TIE) && lowest_in_one
}

/// Applies the claim's rule to the evidence.
pub fn verdict(claim: &Claim, evidence: &Evidence) -> Verdict {
    let nothing = || Verdict::Impossible(text!("there is nothing to compare", "没有可比较的结果"));
    match evidence {
        Evidence::Absent(why) => Verdict::Impossible(why.clone()),
        Evidence::Errors(against) => {
            let intervals = |of: fn(&Claim, &[f64]) -> Option<Estimate>| -> Option<Vec<Estimate>> {
                let all = against.iter().map(|d| of(claim, &d.values));
                all.collect::<Option<_>>()
                    .filter(|all: &Vec<_>| !all.is_empty())
            };
            let (Some(deciding), Some(contradicting)) = (
                intervals(deciding_interval),
                intervals(contradicting_interval),
            ) else {
                return nothing();
            };
            let margin = claim.margin;
            let seeds = deciding.iter().map(|d| d.n).min().unwrap_or(0);
            if seeds < claim.fewest_seeds {
                Verdict::TooFewSeeds { seeds }
            } else if deciding.iter().all(|d| d.high < -margin) {
                Verdict::Reproduced
            } else if contradicting.iter().any(|d| d.low > margin) {
                Verdict::Contradicted
            } else if deciding.iter().all(|d| d.low > -margin && d.high < margin) {
                Verdict::NoPracticalDifference
            } else {
                Verdict::Undecided {
                    seeds: deciding_seeds(claim, against),
                }
            }
        }
        Evidence::Costs(against) => {
            let measured = |of: fn(&Claim, &[f64]) -> Option<Estimate>| -> Option<Vec<Estimate>> {
                let all = against.iter().map(|c| of(claim, &c.ratios));
                all.collect::<Option<_>>()
                    .filter(|all: &Vec<_>| !all.is_empty())
            };
            let (Some(deciding), Some(contradicting)) = (
                measured(deciding_interval),
                measured(contradicting_interval),
            ) else {
                return nothing();
            };
            if contradicting.iter().any(|ratio| ratio.low > 1.0) {
                Verdict::Contradicted
            } else if declared_lowest(against) && deciding.iter().all(|r| r.high < 1.0) {
                Verdict::Reproduced
            } else {
                Verdict::Undecided { seeds: None }
            }
        }
    }
}

/// Seeds that would decide at the claim's power if the means and the spread
/// found are the true ones: those of the verdict that these means belong to.
fn deciding_seeds(claim: &Claim, against: &[Difference]) -> Option<usize> {
    if against.iter().any(|d| seeds_against(claim, d).is_some()) {
        // Either comparison is enough, so the quicker one decides.
        return against.iter().filter_map(|d| seeds_against(claim, d)).min();
    }
    let all = |seeds: fn(&Claim, &Difference) -> Option<usize>| {
        let each: Option<Vec<usize>> = against.iter().map(|d| seeds(claim, d)).collect();
        each?.into_iter().max()
    };
    // One comparison beyond the margin and one within: no rule ever holds.
    all(seeds_for).or_else(|| all(seeds_within))
}

/// Seeds with which this comparison alone would decide at the claim's power, if
/// its mean and spread are the true ones.
pub fn seeds_needed(claim: &Claim, difference: &Difference) -> Option<usize> {
    seeds_against(claim, difference)
        .or_else(|| seeds_for(claim, difference))
        .or_else(|| seeds_within(claim, difference))
}

fn seeds_against(claim: &Claim, d: &Difference) -> Option<usize> {
    let alpha = (1.0 - claim.contradiction_confidence) / 2.0;
    seeds_for_distance(d, d.estimate.point - claim.margin, alpha, claim.power)
}

fn seeds_for(claim: &Claim, d: &Difference) -> Option<usize> {
    let alpha = (1.0 - claim.confidence) / 2.0;
    seeds_for_distance(d, -claim.margin - d.estimate.point, alpha, claim.power)
}

fn seeds_within(claim: &Claim, d: &Difference) -> Option<usize> {
    let alpha = (1.0 - claim.confidence) / 2.0;
    // The interval must keep clear of both ends: half the risk for each.
    let power = 1.0 - (1.0 - claim.power) / 2.0;
    seeds_for_distance(d, claim.margin - d.estimate.point.abs(), alpha, power)
}

/// `None` where the mean is not on the right side.
fn seeds_for_distance(d: &Difference, distance: f64, alpha: f64, power: f64) -> Option<usize> {
    values_needed(distance, standard_deviation(&d.values), alpha, power)
}

#[cfg(test)]
mod tests {
    use adamix_record::{Comparison, Role, Statistic, Text};

    use super::*;
    use crate::statistics::relative_difference;

    fn claim(statistic: Statistic) -> Claim {
        Claim {
            id: "C1".into(),
            text: Text::same("lower error"),
            statistic,
            comparison: match statistic {
                Statistic::UpdateCost => Comparison::DeclaredAndMeasured,
                _ => Comparison::PairedRelative,
            },
            against: vec![Role::Adagrad, Role::Adadec],
            margin: 0.01,
            confidence: 0.95,
            contradiction_confidence: 0.975,
            fewest_seeds: 10,
            power: 0.8,
        }
    }

    /// Differences with this mean and a standard deviation of `spread`
    /// (with n in the denominator), from `n` seeds.
    fn difference(mean: f64, spread: f64, n: usize) -> Difference {
        let other = vec![1.0; n];
        let ours: Vec<f64> = (0..n)
            .map(|i| 1.0 + mean + if i % 2 == 0 { spread } else { -spread })
            .collect();
        relative_difference(&ours, &other).unwrap()
    }

    fn on_errors(against: &[Difference]) -> Verdict {
        verdict(
            &claim(Statistic::FinalError),
            &Evidence::Errors(against.to_vec()),
        )
    }

    #[test]
    fn reproduced_needs_all_below_the_margin() {
        let (clear, near) = (difference(-0.05, 0.01, 10), difference(-0.012, 0.01, 10));
        let both = [clear.clone(), clear.clone()];
        assert_eq!(on_errors(&both), Verdict::Reproduced);
        assert_eq!(on_errors(&both[..1]), Verdict::Reproduced);
        assert!(matches!(
            on_errors(&[clear.clone(), near.clone()]),
            Verdict::Undecided { seeds: Some(n) } if n > 10
        ));
        // A third comparison must hold too.
        assert!(matches!(
            on_errors(&[clear.clone(), clear, near]),
            Verdict::Undecided { .. }
        ));
    }

    #[test]
    fn the_margin_itself_is_not_below_it() {
        // Without spread the interval is the mean; a power of two is exact.
        let margin = 2_f64.powi(-7);
        let on_errors = |against: &[Difference]| {
            let mut claim = claim(Statistic::FinalError);
            claim.margin = margin;
            verdict(&claim, &Evidence::Errors(against.to_vec()))
        };
        let nothing = Verdict::Undecided { seeds: None };
        let (at, beyond) = (difference(-margin, 0.0, 10), difference(-0.01, 0.0, 10));
        assert_eq!(on_errors(&[beyond.clone(), at.clone()]), nothing);
        assert_eq!(on_errors(&[beyond.clone(), beyond]), Verdict::Reproduced);
        // Nor is it within, and at the other end not above.
        assert_eq!(on_errors(&[at.clone(), at]), nothing);
        assert_eq!(on_errors(&[difference(margin, 0.0, 10)]), nothing);
    }

    #[test]
    fn contradicted_needs_any_above_the_margin_at_the_higher_confidence() {
        let (worse, better) = (difference(0.05, 0.01, 10), difference(-0.05, 0.01, 10));
        for against in [
            [worse.clone(), better.clone()],
            [better.clone(), worse.clone()],
            [worse.clone(), worse],
        ] {
            assert_eq!(on_errors(&against), Verdict::Contradicted);
        }
        // Above +1 % at 95 % only: 0.018 -+ 2.262 (0.0105/3) but not -+ 2.685.
        let barely = difference(0.018, 0.01, 10);
        let mut claim = claim(Statistic::MeanError);
        assert!(deciding_interval(&claim, &barely.values).unwrap().low > claim.margin);
        let evidence = Evidence::Errors(vec![barely, better]);
        assert!(matches!(
            verdict(&claim, &evidence),
            Verdict::Undecided { seeds: Some(n) } if n > 10
        ));
        claim.contradiction_confidence = 0.95;
        assert_eq!(verdict(&claim, &evidence), Verdict::Contradicted);
    }

    #[test]
    fn no_practical_difference_needs_all_within_the_margin() {
        let (same, wide) = (difference(0.001, 0.004, 10), difference(0.001, 0.03, 10));
        assert_eq!(
            on_errors(&[same.clone(), same.clone()]),
            Verdict::NoPracticalDifference
        );
        // alpha 2.5 % at either end, beta 10 %:
        // smallest n with 0.009 >= (t.ppf(.975, n-1) + t.ppf(.9, n-1)) s / sqrt(n),
        // s = 0.03 sqrt(10 / 9)
        assert_eq!(
            on_errors(&[same, wide]),
            Verdict::Undecided { seeds: Some(132) }
        );
    }

    #[test]
    fn every_threshold_is_the_claims() {
        let small = difference(-0.005, 0.001, 10);
        let evidence = Evidence::Errors(vec![small.clone(), small]);
        let with = |change: fn(&mut Claim)| {
            let mut claim = claim(Statistic::FinalError);
            change(&mut claim);
            verdict(&claim, &evidence)
        };
        assert_eq!(with(|_| ()), Verdict::NoPracticalDifference);
        assert_eq!(with(|claim| claim.margin = 0.0), Verdict::Reproduced);
        assert_eq!(
            with(|claim| claim.fewest_seeds = 11),
            Verdict::TooFewSeeds { seeds: 10 }
        );
        let sure = |claim: &mut Claim| (claim.margin, claim.confidence) = (0.004, 0.99999);
        let decided = |verdict| match verdict {
            Verdict::Undecided { seeds: Some(seeds) } => seeds,
            other => panic!("{other:?}"),
        };
        let seeds = decided(with(sure));
        let surer = with(|claim| {
            (claim.margin, claim.confidence, claim.power) = (0.004, 0.99999, 0.99);
        });
        assert!(decided(surer) > seeds);
    }

    #[test]
    fn means_that_fit_no_rule_ask_for_no_number_of_seeds() {
        assert_eq!(
            on_errors(&[difference(-0.05, 0.01, 10), difference(0.0, 0.001, 10)]),
            Verdict::Undecided { seeds: None }
        );
    }

    #[test]
    fn nine_seeds_are_too_few_however_clear() {
        assert_eq!(
            on_errors(&[difference(-0.5, 0.0, 10), difference(-0.5, 0.0, 9)]),
            Verdict::TooFewSeeds { seeds: 9 }
        );
        assert_eq!(
            on_errors(&[difference(-0.5, 0.0, 1)]),
            Verdict::TooFewSeeds { seeds: 1 }
        );
    }

    /// Ratios from `low` to `high` by turns, over many rounds: the interval
    /// lies close about their middle.
    fn cost(declared: [(f64, f64); 3], low: f64, high: f64) -> CostComparison {
        CostComparison {
            declared,
            ratios: (0..20)
                .map(|i| if i % 2 == 0 { low } else { high })
                .collect(),
        }
    }

    fn on_costs(against: &[CostComparison]) -> Verdict {
        verdict(
            &claim(Statistic::UpdateCost),
            &Evidence::Costs(against.to_vec()),
        )
    }

    const CHEAPER: [(f64, f64); 3] = [(6.0, 6.0 - 1e-12), (0.0, 4.0), (12.0, 20.0)];

    #[test]
    fn cost_is_reproduced_when_declared_and_measured_agree() {
        let fast = cost(CHEAPER, 0.6, 0.7);
        assert_eq!(on_costs(&[fast.clone(), fast]), Verdict::Reproduced);
    }

    #[test]
    fn cost_is_contradicted_by_one_slower_measurement() {
        let (fast, slow) = (cost(CHEAPER, 0.6, 0.7), cost(CHEAPER, 1.01, 1.2));
        assert_eq!(on_costs(&[fast.clone(), slow]), Verdict::Contradicted);
        // 1.01 -+ 2.093 (0.0205/sqrt(20)) lies above 1, -+ 2.433 does not.
        let barely = cost(CHEAPER, 0.99, 1.03);
        let claim = claim(Statistic::UpdateCost);
        assert!(deciding_interval(&claim, &barely.ratios).unwrap().low > 1.0);
        assert_eq!(
            on_costs(&[fast, barely]),
            Verdict::Undecided { seeds: None }
        );
    }

    #[test]
    fn cost_is_undecided_otherwise() {
        let undecided = Verdict::Undecided { seeds: None };
        let fast = cost(CHEAPER, 0.6, 0.7);
        // Measured without a difference.
        let equal = cost(CHEAPER, 0.99, 1.01);
        assert_eq!(on_costs(&[fast.clone(), equal]), undecided);
        // Faster, yet dearer in one declared figure.
        let dearer = cost([(7.0, 6.0), (0.0, 4.0), (12.0, 20.0)], 0.6, 0.7);
        assert_eq!(on_costs(&[fast.clone(), dearer]), undecided);
        // Faster, yet lowest in no declared figure: tied with one of the two in each.
        let tied = cost([(6.0, 6.0), (0.0, 0.0), (12.0, 12.0)], 0.6, 0.7);
        assert_eq!(on_costs(&[fast, tied]), undecided);
    }

    #[test]
    fn absent_evidence_gives_no_verdict() {
        let why = Text::same("no arm is AdaGrad");
        assert_eq!(
            verdict(
                &claim(Statistic::FinalError),
                &Evidence::Absent(why.clone())
            ),
            Verdict::Impossible(why)
        );
        assert!(matches!(on_errors(&[]), Verdict::Impossible(_)));
        assert!(matches!(on_costs(&[]), Verdict::Impossible(_)));
    }
}
