//! The verdict on a claim. The rules are those fixed before any run; they read
//! no record, so they can be checked case by case.

use crate::statistics::{Difference, Estimate, standard_deviation, values_needed};

/// No verdict on errors below this number of seeds.
pub const FEWEST_SEEDS: usize = 10;

/// Relative differences within this margin make no practical difference.
pub const MARGIN: f64 = 0.01;

/// Declared costs closer than this are tied.
const TIE: f64 = 1e-9;

/// What is known about a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Relative differences of an error, AdaMix minus AdaGrad and minus AdaDec
    /// (claims C1 and C3).
    Errors([Difference; 2]),
    /// Costs beside AdaGrad's and AdaDec's (claim C2).
    Costs([CostComparison; 2]),
    /// Something that the rule needs is not there; the text says what.
    Absent(String),
}

/// The cost of AdaMix beside another arm's.
#[derive(Debug, Clone, PartialEq)]
pub struct CostComparison {
    /// Declared figures of AdaMix and the other: arithmetic operations, bytes
    /// of state, bytes moved, each a mean per parameter and update.
    pub declared: [(f64, f64); 3],
    /// Measured time of one update, AdaMix / other, paired by round.
    pub ratio: Estimate,
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
        /// Seeds that would decide at 80 % power if the estimates are right;
        /// `None` where no number would, or where seeds do not matter.
        seeds: Option<usize>,
    },
    /// Fewer seeds than [`FEWEST_SEEDS`]: an estimate, no verdict.
    TooFewSeeds {
        /// How many there are.
        seeds: usize,
    },
    /// No verdict can be given; the text says why.
    Impossible(String),
}

impl Verdict {
    /// The verdict in a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Contradicted => "contradicted",
            Self::NoPracticalDifference => "no practical difference",
            Self::Undecided { .. } => "undecided",
            Self::TooFewSeeds { .. } => "too few seeds",
            Self::Impossible(_) => "no verdict",
        }
    }
}

/// Applies the rule of the claim that the evidence belongs to.
pub fn verdict(evidence: &Evidence) -> Verdict {
    match evidence {
        Evidence::Absent(why) => Verdict::Impossible(why.clone()),
        Evidence::Errors(against) => {
            let all = |rule: fn(&Difference) -> bool| against.iter().all(rule);
            let any = |rule: fn(&Difference) -> bool| against.iter().any(rule);
            let seeds = against.iter().map(|d| d.estimate.n).min().unwrap_or(0);
            if seeds < FEWEST_SEEDS {
                Verdict::TooFewSeeds { seeds }
            } else if all(|d| d.estimate.high < -MARGIN) {
                Verdict::Reproduced
            } else if any(|d| d.corrected.low > MARGIN) {
                Verdict::Contradicted
            } else if all(|d| d.estimate.low > -MARGIN && d.estimate.high < MARGIN) {
                Verdict::NoPracticalDifference
            } else {
                Verdict::Undecided {
                    seeds: deciding_seeds(against),
                }
            }
        }
        Evidence::Costs(against) => {
            let declared = || against.iter().flat_map(|c| c.declared);
            let lowest_or_tied = declared().all(|(ours, other)| ours <= other + TIE);
            let lowest_in_one = (0..3).any(|figure| {
                against.iter().all(|c| {
                    let (ours, other) = c.declared[figure];
                    ours < other - TIE
                })
            });
            if against.iter().any(|c| c.ratio.low > 1.0) {
                Verdict::Contradicted
            } else if lowest_or_tied && lowest_in_one && against.iter().all(|c| c.ratio.high < 1.0)
            {
                Verdict::Reproduced
            } else {
                Verdict::Undecided { seeds: None }
            }
        }
    }
}

/// Seeds that would decide at 80 % power if the means and the spread found are
/// the true ones: those of the verdict that these means belong to.
fn deciding_seeds(against: &[Difference; 2]) -> Option<usize> {
    let needed = |d: &Difference, margin: f64, alpha: f64, power: f64| {
        values_needed(margin, standard_deviation(&d.values), alpha, power)
    };
    let mean = |d: &Difference| d.estimate.point;
    if against.iter().any(|d| mean(d) > MARGIN) {
        // Either comparison is enough, so the quicker one decides.
        against
            .iter()
            .filter_map(|d| needed(d, mean(d) - MARGIN, 0.0125, 0.8))
            .min()
    } else if against.iter().all(|d| mean(d) < -MARGIN) {
        most(
            against
                .each_ref()
                .map(|d| needed(d, -MARGIN - mean(d), 0.025, 0.8)),
        )
    } else if against.iter().all(|d| mean(d).abs() < MARGIN) {
        // The interval must keep clear of both ends: half the risk for each.
        most(
            against
                .each_ref()
                .map(|d| needed(d, MARGIN - mean(d).abs(), 0.025, 0.9)),
        )
    } else {
        // One comparison beyond the margin, one within: no rule ever holds.
        None
    }
}

/// The larger of the two; `None` if either is.
fn most([a, b]: [Option<usize>; 2]) -> Option<usize> {
    Some(a?.max(b?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::relative_difference;

    /// Differences with this mean and a standard deviation of `spread`, from
    /// `n` seeds.
    fn difference(mean: f64, spread: f64, n: usize) -> Difference {
        let other = vec![1.0; n];
        let ours: Vec<f64> = (0..n)
            .map(|i| 1.0 + mean + if i % 2 == 0 { spread } else { -spread })
            .collect();
        relative_difference(&ours, &other).unwrap()
    }

    fn on_errors(adagrad: Difference, adadec: Difference) -> Verdict {
        verdict(&Evidence::Errors([adagrad, adadec]))
    }

    #[test]
    fn reproduced_needs_both_below_the_margin() {
        let (clear, near) = (difference(-0.05, 0.01, 10), difference(-0.012, 0.01, 10));
        assert_eq!(on_errors(clear.clone(), clear.clone()), Verdict::Reproduced);
        assert!(matches!(
            on_errors(clear, near),
            Verdict::Undecided { seeds: Some(n) } if n > 10
        ));
    }

    #[test]
    fn contradicted_needs_either_above_the_margin_at_97_5_percent() {
        let (worse, better) = (difference(0.05, 0.01, 10), difference(-0.05, 0.01, 10));
        assert_eq!(
            on_errors(worse.clone(), better.clone()),
            Verdict::Contradicted
        );
        assert_eq!(on_errors(better.clone(), worse), Verdict::Contradicted);
        // Above +1 % at 95 % only: 0.018 -+ 2.262 (0.0105/3) but not -+ 2.685.
        let barely = difference(0.018, 0.01, 10);
        assert!(barely.estimate.low > MARGIN && barely.corrected.low < MARGIN);
        assert!(matches!(
            on_errors(barely, better),
            Verdict::Undecided { seeds: Some(n) } if n > 10
        ));
    }

    #[test]
    fn no_practical_difference_needs_both_within_the_margin() {
        let (same, wide) = (difference(0.001, 0.004, 10), difference(0.001, 0.03, 10));
        assert_eq!(
            on_errors(same.clone(), same.clone()),
            Verdict::NoPracticalDifference
        );
        // alpha 2.5 % at either end, beta 10 %:
        // smallest n with 0.009 >= (t.ppf(.975, n-1) + t.ppf(.9, n-1)) s / sqrt(n),
        // s = 0.03 sqrt(10 / 9)
        assert_eq!(
            on_errors(same, wide),
            Verdict::Undecided { seeds: Some(132) }
        );
    }

    #[test]
    fn means_that_fit_no_rule_ask_for_no_number_of_seeds() {
        assert_eq!(
            on_errors(difference(-0.05, 0.01, 10), difference(0.0, 0.001, 10)),
            Verdict::Undecided { seeds: None }
        );
    }

    #[test]
    fn nine_seeds_are_too_few_however_clear() {
        assert_eq!(
            on_errors(difference(-0.5, 0.0, 10), difference(-0.5, 0.0, 9)),
            Verdict::TooFewSeeds { seeds: 9 }
        );
    }

    fn cost(declared: [(f64, f64); 3], low: f64, high: f64) -> CostComparison {
        let ratio = Estimate {
            point: f64::midpoint(low, high),
            low,
            high,
            n: 20,
        };
        CostComparison { declared, ratio }
    }

    fn on_costs(adagrad: CostComparison, adadec: CostComparison) -> Verdict {
        verdict(&Evidence::Costs([adagrad, adadec]))
    }

    const CHEAPER: [(f64, f64); 3] = [(6.0, 6.0 - 1e-12), (0.0, 4.0), (12.0, 20.0)];

    #[test]
    fn cost_is_reproduced_when_declared_and_measured_agree() {
        let fast = cost(CHEAPER, 0.6, 0.7);
        assert_eq!(on_costs(fast.clone(), fast), Verdict::Reproduced);
    }

    #[test]
    fn cost_is_contradicted_by_one_slower_measurement() {
        let (fast, slow) = (cost(CHEAPER, 0.6, 0.7), cost(CHEAPER, 1.01, 1.2));
        assert_eq!(on_costs(fast, slow), Verdict::Contradicted);
    }

    #[test]
    fn cost_is_undecided_otherwise() {
        let undecided = Verdict::Undecided { seeds: None };
        let fast = cost(CHEAPER, 0.6, 0.7);
        // Measured without a difference.
        let equal = cost(CHEAPER, 0.99, 1.01);
        assert_eq!(on_costs(fast.clone(), equal), undecided);
        // Faster, yet dearer in one declared figure.
        let dearer = cost([(7.0, 6.0), (0.0, 4.0), (12.0, 20.0)], 0.6, 0.7);
        assert_eq!(on_costs(fast.clone(), dearer), undecided);
        // Faster, yet lowest in no declared figure: tied with one of the two in each.
        let tied = cost([(6.0, 6.0), (0.0, 0.0), (12.0, 12.0)], 0.6, 0.7);
        assert_eq!(on_costs(fast, tied), undecided);
    }

    #[test]
    fn absent_evidence_gives_no_verdict() {
        let why = "no arm is AdaGrad".to_owned();
        assert_eq!(
            verdict(&Evidence::Absent(why.clone())),
            Verdict::Impossible(why)
        );
    }
}
