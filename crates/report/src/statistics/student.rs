use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Estimate, all_finite, mean, proper, standard_error};

/// Paired differences, each relative to the mean of the other side.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// One relative difference a pair: (ours - other) / mean of the other.
    pub values: Vec<f64>,
    /// Their mean with its 95 % Student interval.
    pub estimate: Estimate,
    /// The same at 97.5 %, for a claim that has two chances to fall.
    pub corrected: Estimate,
}

/// Mean of `values` with its Student t interval at `confidence` (0.95, say):
/// t s / sqrt(n) to either side, with s the standard deviation and t the
/// quantile of Student's distribution (1908) with n - 1 degrees of freedom.
///
/// `None` without values, with one that is not finite, or where `confidence`
/// is not between 0 and 1. One value gives an infinite interval: it says
/// nothing about its own spread.
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Estimate> {
    if values.is_empty() || !all_finite(values) || !proper(confidence) {
        return None;
    }
    let (n, point) = (values.len(), mean(values));
    let margin = match n {
        1 => f64::INFINITY,
        _ => student_quantile(0.5 + confidence / 2.0, n) * standard_error(values),
    };
    Some(Estimate {
        point,
        low: point - margin,
        high: point + margin,
        n,
    })
}

/// The paired relative difference of `ours` and `other`, pair by pair.
///
/// `None` without pairs, with a value that is not finite, or where the other
/// side's mean is 0.
pub fn relative_difference(ours: &[f64], other: &[f64]) -> Option<Difference> {
    if ours.len() != other.len() {
        return None;
    }
    // Divided by 0, no value is finite, and there is no interval.
    let scale = mean(other);
    let values: Vec<f64> = ours
        .iter()
        .zip(other)
        .map(|(a, b)| (a - b) / scale)
        .collect();
    Some(Difference {
        estimate: mean_interval(&values, 0.95)?,
        corrected: mean_interval(&values, 0.975)?,
        values,
    })
}

/// More seeds than this are never asked for.
pub const MOST_SEEDS: usize = 100_000;

/// The fewest values with which the one-sided Student test at level `alpha`
/// sees, with probability `power`, a mean that lies `margin` from its bound,
/// where single values have the standard deviation `deviation`.
///
/// Uses `margin >= (t(1 - alpha) + t(power)) deviation / sqrt(n)` instead of
/// the noncentral t distribution; up to thousands of seeds the two agree to a
/// seed.
///
/// `None` where no number up to [`MOST_SEEDS`] is enough, and where `alpha` or
/// `power` is not between 0 and 1.
pub fn values_needed(margin: f64, deviation: f64, alpha: f64, power: f64) -> Option<usize> {
    let enough = |n: usize| {
        let quantiles = student_quantile(1.0 - alpha, n) + student_quantile(power, n);
        margin >= quantiles * deviation / (n as f64).sqrt()
    };
    if margin <= 0.0 || !proper(alpha) || !proper(power) || !enough(MOST_SEEDS) {
        return None;
    }
    // What is asked for falls as n grows, so halve the range.
    let (mut low, mut high) = (2, MOST_SEEDS);
    while low < high {
        let middle = usize::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

/// Quantile of Student's t with `n - 1` degrees of freedom.
fn student_quantile(probability: f64, n: usize) -> f64 {
    // Zero mean, unit scale and n > 1 make a valid distribution; the infinite
    // quantile of an invalid one decides nothing.
    StudentsT::new(0.0, 1.0, n as f64 - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(probability))
}
