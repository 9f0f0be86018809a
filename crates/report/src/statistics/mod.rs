//! Estimates and tests. No model in it: numbers in, numbers out, and the same
//! numbers every time.
//!
//! | question | answer |
//! |---|---|
//! | how large is it? | [`mean_interval`], [`relative_difference`], [`interquartile_mean`] |
//! | does the interval stand without the normal distribution? | [`bootstrap_t`], [`bca`], [`COVERAGE`] |
//! | is it more than chance? | [`sign_flip_p`], [`signed_rank_p`], [`holm`] |
//! | how often is a run better? | [`probability_of_improvement`] |
//! | how fast? | [`area_under_curve`], [`kaplan_meier`], [`median_interval`] |
//! | how many of them? | [`share_interval`] |
//! | how many seeds? | [`values_needed`] |
//! | what does tuning cost? | [`best_of`] |
//!
//! Where a figure cannot be had, because there are too few values or one that
//! is not finite, the answer is `None`; nothing panics.

mod bootstrap;
mod convergence;
mod coverage;
mod random;
mod significance;
mod student;
mod tuning;

pub use bootstrap::{
    FEWEST_RESAMPLED, RESAMPLES, bca, bootstrap_t, interquartile_mean, probability_of_improvement,
};
pub use convergence::{
    MedianInterval, Survival, TimeToTarget, area_under_curve, kaplan_meier, median_interval,
    share_interval,
};
pub use coverage::{
    COVERAGE, COVERAGE_TRIALS, COVERAGE_VALUES, Coverage, Population, covered_share,
};
pub use random::SplitMix64;
pub use significance::{holm, sign_flip_p, signed_rank_p};
pub use student::{Difference, MOST_SEEDS, mean_interval, relative_difference, values_needed};
pub use tuning::{BestOf, best_of};

/// A figure and the interval that covers it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure: a mean where nothing else is said.
    pub point: f64,
    /// Lower end of the interval; negative infinity where `n` is 1.
    pub low: f64,
    /// Upper end of the interval; infinity where `n` is 1.
    pub high: f64,
    /// Number of values (or pairs of values) behind it.
    pub n: usize,
}

/// Mean; NaN without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with n - 1 in the denominator; NaN below two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|v| (v - center).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// Median; `None` without values. Infinity may be among them, and stands for
/// "later than was looked".
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = ascending(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        // A finite and an infinite neighbour have an infinite mean.
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn standard_error(values: &[f64]) -> f64 {
    standard_deviation(values) / (values.len() as f64).sqrt()
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|v| v.is_finite())
}

/// Whether all values are the same number. Compared exactly: rounding gives
/// equal values a tiny standard error.
fn all_alike(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

/// Whether a probability lies between 0 and 1, neither included.
fn proper(probability: f64) -> bool {
    0.0 < probability && probability < 1.0
}

fn ascending(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Quantile of sorted values, linear between neighbours; `None` without values.
fn sorted_quantile(sorted: &[f64], probability: f64) -> Option<f64> {
    let at = probability * (sorted.len() as f64 - 1.0);
    let below = *sorted.get(at.floor() as usize)?;
    let above = *sorted.get(at.ceil() as usize)?;
    Some(below + (at - at.floor()) * (above - below))
}
