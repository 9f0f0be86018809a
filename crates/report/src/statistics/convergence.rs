use statrs::distribution::{ContinuousCDF, Normal};

use super::{Estimate, mean, proper};

/// Area under an error curve, as the mean error after each epoch. The first
/// entry is the start, before any update: all arms share it, so it is left
/// out. `None` where there is no epoch.
pub fn area_under_curve(errors_from_start: &[f64]) -> Option<f64> {
    match errors_from_start {
        [] | [_] => None,
        [_, after @ ..] => Some(mean(after)),
    }
}

/// How long a run took to its target, or how long it was watched in vain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeToTarget {
    /// When it got there; where it never did, when it was last looked at.
    pub at: f64,
    /// Whether it got there. A run that did not is censored: it counts as
    /// later than `at`, and is not dropped.
    pub reached: bool,
}

/// What is known of the time to a target over runs of which some are censored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survival {
    /// Median time, the first by which at least half are there; `None` where
    /// it is later than was looked.
    pub median: Option<f64>,
    /// Mean of the time or the horizon, whichever comes first; `None` where a
    /// censored run was the last and left before the horizon.
    pub restricted_mean: Option<f64>,
    /// Number of runs.
    pub n: usize,
    /// How many of them were censored.
    pub censored: usize,
}

/// Median and restricted mean of the time to a target, from the estimate of
/// Kaplan and Meier (1958) of the share of runs that are not there yet.
///
/// At each time at which d of the r runs still watched get there, the share S
/// falls by the factor 1 - d/r; a run censored at that time still counts among
/// the r. The median is the first time at which S is one half or less, the usual
/// definition: of an even number of runs, none censored, that is the lower of
/// the two in the middle. The restricted mean is the area under S from 0 to `horizon`
/// (Royston and Parmar 2013): arms are comparable at the same horizon only.
///
/// `None` without runs, with a time that is negative or not finite, and where
/// the horizon is not positive and finite.
pub fn kaplan_meier(times: &[TimeToTarget], horizon: f64) -> Option<Survival> {
    let valid = |time: f64| time.is_finite() && time >= 0.0;
    if times.is_empty() || !times.iter().all(|t| valid(t.at)) || !valid(horizon) || horizon == 0.0 {
        return None;
    }
    let mut sorted = times.to_vec();
    sorted.sort_by(|a, b| a.at.total_cmp(&b.at));

    let (mut watched, mut share) = (sorted.len(), 1.0);
    let (mut last, mut area) = (0.0_f64, 0.0);
    let mut median = None;
    for together in sorted.chunk_by(|a, b| a.at == b.at) {
        let now = together[0].at;
        area += share * (now.min(horizon) - last.min(horizon));
        let reached = together.iter().filter(|t| t.reached).count();
        share *= 1.0 - reached as f64 / watched as f64;
        watched -= together.len();
        last = now;
        // A product of fractions meets one half up to its last bits.
        if share <= 0.5 + 1e-12 {
            median = median.or(Some(now));
        }
    }
    let known_to_horizon = last >= horizon || share == 0.0;
    Some(Survival {
        median,
        restricted_mean: known_to_horizon.then_some(area),
        n: times.len(),
        censored: times.iter().filter(|t| !t.reached).count(),
    })
}

/// A share of runs with Wilson's score interval (1927), which stays within 0
/// and 1 and says something where none or all of them are there.
///
/// `None` without runs, with more there than runs, and where the confidence is
/// no probability.
pub fn share_interval(there: usize, runs: usize, confidence: f64) -> Option<Estimate> {
    if runs == 0 || there > runs || !proper(confidence) {
        return None;
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    let (n, share) = (runs as f64, there as f64 / runs as f64);
    let center = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Estimate {
        point: share,
        // Rounding must not move an end beyond the share where none or all are there.
        low: (center - half).clamp(0.0, share),
        high: (center + half).clamp(share, 1.0),
        n: runs,
    })
}

/// Between which times the median lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MedianInterval {
    /// Lower end; `None` where it is later than was looked.
    pub low: Option<f64>,
    /// Upper end; `None` where it is later than was looked.
    pub high: Option<f64>,
    /// The chance with which such an interval holds the median.
    pub coverage: f64,
}

/// The interval of the median time between two of the times in their order,
/// from the binomial distribution, whatever the times' own (Conover 1999): the
/// narrowest that holds the median with this chance or, with fewer than six
/// runs at 0.95, the earliest and the latest. A censored run is later than all
/// that got there, which is right where all were watched equally long.
///
/// `None` without runs and where the confidence is no probability.
pub fn median_interval(times: &[TimeToTarget], confidence: f64) -> Option<MedianInterval> {
    if times.is_empty() || !proper(confidence) {
        return None;
    }
    let there = times.iter().filter(|time| time.reached);
    let mut there: Vec<f64> = there.map(|time| time.at).collect();
    there.sort_by(f64::total_cmp);
    let n = times.len();
    // The chance that the median lies below the first `out` of the times.
    let (mut term, mut tail, mut out) = (0.5_f64.powi(n as i32), 0.0, 0);
    while out == 0 || (2 * (out + 1) <= n && 2.0 * (tail + term) <= 1.0 - confidence) {
        tail += term;
        term *= (n - out) as f64 / (out + 1) as f64;
        out += 1;
    }
    Some(MedianInterval {
        low: there.get(out - 1).copied(),
        high: there.get(n - out).copied(),
        coverage: 1.0 - 2.0 * tail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_medians_of_nothing_have_no_interval() {
        assert_eq!(share_interval(1, 0, 0.95), None);
        assert_eq!(share_interval(2, 1, 0.95), None);
        assert_eq!(share_interval(1, 2, 1.0), None);
        assert_eq!(median_interval(&[], 0.95), None);
    }

    #[test]
    fn a_censored_run_is_later_than_all_others() {
        let times = |reached: usize| -> Vec<TimeToTarget> {
            let time = |i: usize| TimeToTarget {
                at: (i + 1) as f64,
                reached: i < reached,
            };
            (0..10).map(time).collect()
        };
        let censored = median_interval(&times(8), 0.95).expect("an interval");
        assert_eq!((censored.low, censored.high), (Some(2.0), None));
        let never = median_interval(&times(0), 0.95).expect("an interval");
        assert_eq!((never.low, never.high), (None, None));
    }
}
