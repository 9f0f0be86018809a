//! Estimates and tests. No model in it: numbers in, numbers out, and the same
//! numbers every time.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean and the interval that covers it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub point: f64,
    /// Lower end of the interval; negative infinity where `n` is 1.
    pub low: f64,
    /// Upper end of the interval; infinity where `n` is 1.
    pub high: f64,
    /// Number of values behind it.
    pub n: usize,
}

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

/// Mean of `values` with its Student t interval at `confidence` (0.95, say).
///
/// `None` without values or with one that is not finite. One value gives an
/// infinite interval: it says nothing about its own spread.
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Estimate> {
    if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
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
    let scale = mean(other);
    if ours.len() != other.len() || scale == 0.0 {
        return None;
    }
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

/// Two-sided p value of the sign-flip permutation test that the mean of
/// `values` is 0, exact over all 2^n assignments of signs.
///
/// `None` without values and beyond 20 of them, where 2^n gets long.
pub fn sign_flip_p(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.len() > 20 || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let magnitude: f64 = values.iter().map(|v| v.abs()).sum();
    // Sums in another order differ in their last bits; a tie counts as extreme.
    let observed = values.iter().sum::<f64>().abs() - 1e-12 * magnitude;
    let assignments = 1_u64 << values.len();
    let extreme = (0..assignments)
        .filter(|signs| {
            let flipped: f64 = values
                .iter()
                .enumerate()
                .map(|(i, v)| if signs >> i & 1 == 1 { -v } else { *v })
                .sum();
            flipped.abs() >= observed
        })
        .count();
    Some(extreme as f64 / assignments as f64)
}

/// Holm's adjustment of a family of p values, in their order.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[i]);
        adjusted[i] = largest.min(1.0);
    }
    adjusted
}

/// Resamples of [`bootstrap_t`].
pub const RESAMPLES: usize = 9_999;

/// Mean of `values` with its bootstrap-t interval at `confidence`, from
/// [`RESAMPLES`] resamples drawn by [`SplitMix64`] from a fixed seed.
///
/// A resample without spread has no t value and is left out. `None` below 5
/// values, where hardly any two resamples differ, and for values without
/// spread.
pub fn bootstrap_t(values: &[f64], confidence: f64) -> Option<Estimate> {
    let n = values.len();
    if n < 5 || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    // Compared exactly: rounding gives equal values a tiny standard error.
    let alike = |values: &[f64]| values.iter().all(|v| *v == values[0]);
    if alike(values) {
        return None;
    }
    let (point, error) = (mean(values), standard_error(values));
    let mut random = SplitMix64(2016);
    let mut resample = vec![0.0; n];
    let mut t_values = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        resample.fill_with(|| values[random.below(n)]);
        if !alike(&resample) {
            t_values.push((mean(&resample) - point) / standard_error(&resample));
        }
    }
    t_values.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Some(Estimate {
        point,
        low: point - sorted_quantile(&t_values, 1.0 - tail) * error,
        high: point - sorted_quantile(&t_values, tail) * error,
        n,
    })
}

/// Steele, Lea and Flood's SplitMix64 (2014): a counter with the golden ratio
/// as its step, mixed by two multiplications. Only the bootstrap draws from it.
#[derive(Debug, Clone)]
pub struct SplitMix64(
    /// The state: any number is a seed.
    pub u64,
);

impl SplitMix64 {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`: the upper half of a 128-bit product.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }
}

/// More seeds than this are never asked for.
pub const MOST_SEEDS: usize = 100_000;

/// The fewest values with which the one-sided Student test at level `alpha`
/// sees, with probability `power`, a mean that lies `margin` from its bound,
/// where single values have the standard deviation `deviation`.
///
/// Uses `margin >= (t(1 - alpha) + t(power)) deviation / sqrt(n)` instead of
/// the noncentral t distribution; the two agree to a seed. `None` where no
/// number up to [`MOST_SEEDS`] is enough.
pub fn values_needed(margin: f64, deviation: f64, alpha: f64, power: f64) -> Option<usize> {
    let enough = |n: usize| {
        let quantiles = student_quantile(1.0 - alpha, n) + student_quantile(power, n);
        margin >= quantiles * deviation / (n as f64).sqrt()
    };
    if margin.is_nan() || margin <= 0.0 || !enough(MOST_SEEDS) {
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
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        // A finite and an infinite neighbour have an infinite mean.
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Area under an error curve, as the mean error after each epoch. The first
/// entry is the start, before any update: all arms share it, so it is left
/// out. `None` where there is no epoch.
pub fn area_under_curve(errors_from_start: &[f64]) -> Option<f64> {
    match errors_from_start {
        [] | [_] => None,
        [_, after @ ..] => Some(mean(after)),
    }
}

fn standard_error(values: &[f64]) -> f64 {
    standard_deviation(values) / (values.len() as f64).sqrt()
}

/// Quantile of Student's t with `n - 1` degrees of freedom.
fn student_quantile(probability: f64, n: usize) -> f64 {
    // Zero mean, unit scale and n > 1 make a valid distribution; the infinite
    // quantile of an invalid one decides nothing.
    StudentsT::new(0.0, 1.0, n as f64 - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(probability))
}

/// Quantile of sorted values, linear between neighbours.
fn sorted_quantile(sorted: &[f64], probability: f64) -> f64 {
    let at = probability * (sorted.len() as f64 - 1.0);
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (at - at.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [f64; 10] = [4.31, 4.40, 4.28, 4.37, 4.33, 4.29, 4.45, 4.36, 4.30, 4.38];
    const OTHER: [f64; 10] = [4.52, 4.49, 4.41, 4.60, 4.47, 4.55, 4.53, 4.50, 4.48, 4.44];
    const MIXED: [f64; 8] = [0.3, -0.1, 0.25, 0.4, 0.05, 0.2, -0.05, 0.35];

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn quantiles_of_student_are_scipys() {
        // scipy.stats.t.ppf(q, n - 1)
        for (q, n, expected) in [
            (0.975, 10, 2.262157162798205),
            (0.9875, 10, 2.6850108468164575),
            (0.8, 10, 0.8834038596855346),
            (0.975, 2, 12.706204736174694),
            (0.975, 100, 1.9842169515864174),
            (0.6, 4, 0.2766706623326898),
        ] {
            close(student_quantile(q, n), expected);
        }
    }

    #[test]
    fn the_mean_interval_is_scipys() {
        // scipy.stats.ttest_1samp(OURS, 0).confidence_interval(0.95)
        let found = mean_interval(&OURS, 0.95).unwrap();
        close(found.point, 4.347);
        close(found.low, 4.307956393561837);
        close(found.high, 4.386043606438162);
        assert_eq!(found.n, 10);
    }

    #[test]
    fn the_relative_difference_is_scipys() {
        // d = (OURS - OTHER) / OTHER.mean()
        // scipy.stats.ttest_1samp(d, 0).confidence_interval(0.95 and 0.975)
        let found = relative_difference(&OURS, &OTHER).unwrap();
        close(found.values[0], -0.04667703934207601);
        close(found.estimate.point, -0.03378528561902644);
        close(found.estimate.low, -0.044406700628629864);
        close(found.estimate.high, -0.02316387060942302);
        close(found.corrected.low, -0.04639210842440916);
        close(found.corrected.high, -0.021178462813643703);
    }

    #[test]
    fn one_value_has_an_infinite_interval_and_none_has_none() {
        let found = mean_interval(&[3.0], 0.95).unwrap();
        assert_eq!((found.point, found.low), (3.0, f64::NEG_INFINITY));
        assert_eq!(mean_interval(&[], 0.95), None);
        assert_eq!(mean_interval(&[1.0, f64::NAN], 0.95), None);
        assert_eq!(relative_difference(&[1.0], &[0.0]), None);
    }

    #[test]
    fn the_sign_flip_test_is_scipys() {
        // scipy.stats.permutation_test((x,), lambda v, axis: v.mean(axis=axis),
        //     permutation_type="samples", n_resamples=np.inf).pvalue
        close(sign_flip_p(&MIXED).unwrap(), 0.0546875);
        let d = relative_difference(&OURS, &OTHER).unwrap();
        close(sign_flip_p(&d.values).unwrap(), 0.001953125);
        assert_eq!(sign_flip_p(&[0.0; 4]), Some(1.0));
        assert_eq!(sign_flip_p(&[1.0; 21]), None);
    }

    #[test]
    fn holm_is_monotone_and_at_most_one() {
        // Holm's sequentially rejective rule, by hand:
        // 0.01 * 4, then 0.015 * 3 = 0.045, then max(0.045, 0.04 * 2), then 0.9.
        let found = holm(&[0.04, 0.01, 0.9, 0.015]);
        for (found, expected) in found.iter().zip([0.08, 0.04, 0.9, 0.045]) {
            close(*found, expected);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn splitmix_is_the_published_one() {
        // First outputs of the reference implementation from seed 0.
        let mut random = SplitMix64(0);
        assert_eq!(random.next_u64(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(random.next_u64(), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(random.next_u64(), 0x06C4_5D18_8009_454F);
    }

    #[test]
    fn the_bootstrap_is_that_of_numpy() {
        // The same generator in Python; t* = (y.mean() - m) / (y.std(ddof=1) / sqrt(n)),
        // lo, hi = np.quantile(t*, [0.025, 0.975]); (m - hi * se, m - lo * se)
        let found = bootstrap_t(&MIXED, 0.95).unwrap();
        close(found.low, -0.03123947784607628);
        close(found.high, 0.3151121345794512);
        let d = relative_difference(&OURS, &OTHER).unwrap();
        let found = bootstrap_t(&d.values, 0.95).unwrap();
        close(found.low, -0.045366925828592655);
        close(found.high, -0.02395547741987175);
        assert_eq!(bootstrap_t(&[0.1; 10], 0.95), None);
        assert_eq!(bootstrap_t(&[0.1, 0.2, 0.3, 0.4], 0.95), None);
    }

    #[test]
    fn the_number_of_seeds_is_that_of_the_noncentral_t() {
        // Smallest n with
        // scipy.stats.nct.sf(t.ppf(1 - alpha, n - 1), n - 1, margin / sd * sqrt(n)) >= 0.8
        for (margin, deviation, alpha, expected) in [
            (0.01, 0.02, 0.025, 34),
            (0.005, 0.03, 0.0125, 345),
            (0.02, 0.01, 0.025, 5),
            (0.001, 0.02, 0.025, 3142),
        ] {
            assert_eq!(values_needed(margin, deviation, alpha, 0.8), Some(expected));
        }
        assert_eq!(values_needed(0.0, 1.0, 0.025, 0.8), None);
        assert_eq!(values_needed(-1.0, 1.0, 0.025, 0.8), None);
        assert_eq!(values_needed(1e-6, 1.0, 0.025, 0.8), None);
    }

    #[test]
    fn medians_and_areas() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[1.0, f64::INFINITY]), Some(f64::INFINITY));
        assert_eq!(area_under_curve(&[50.0, 4.0, 2.0]), Some(3.0));
        assert_eq!(area_under_curve(&[50.0]), None);
    }
}
