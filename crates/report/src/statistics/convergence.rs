use super::mean;

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
    /// Median time; `None` where it is later than was looked.
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
/// the r. The median is where S falls below one half or, where S rests on one
/// half, the middle of that rest, which is the ordinary median where no run is
/// censored. The restricted mean is the area under S from 0 to `horizon`
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
    let (mut at_most_half, mut below_half) = (None, None);
    for together in sorted.chunk_by(|a, b| a.at == b.at) {
        let now = together[0].at;
        area += share * (now.min(horizon) - last.min(horizon));
        let reached = together.iter().filter(|t| t.reached).count();
        share *= 1.0 - reached as f64 / watched as f64;
        watched -= together.len();
        last = now;
        // A product of fractions meets one half up to its last bits.
        if share <= 0.5 + 1e-12 {
            at_most_half = at_most_half.or(Some(now));
        }
        if share < 0.5 - 1e-12 {
            below_half = below_half.or(Some(now));
        }
    }
    let known_to_horizon = last >= horizon || share == 0.0;
    Some(Survival {
        median: at_most_half
            .zip(below_half)
            .map(|(from, to)| f64::midpoint(from, to)),
        restricted_mean: known_to_horizon.then_some(area),
        n: times.len(),
        censored: times.iter().filter(|t| !t.reached).count(),
    })
}
