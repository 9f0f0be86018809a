use statrs::distribution::{ContinuousCDF, Normal};

use super::{
    Estimate, SplitMix64, all_alike, all_finite, ascending, mean, proper, share_interval,
    sorted_quantile, standard_error,
};

/// Resamples of every bootstrap, drawn by [`SplitMix64`] from one fixed seed.
pub const RESAMPLES: usize = 9_999;

/// No bootstrap below this number of values: hardly any two resamples differ.
pub const FEWEST_RESAMPLED: usize = 5;

/// Mean of `values` with its bootstrap-t interval at `confidence`: the Student
/// interval with the quantiles of the resamples' own t values (Efron and
/// Tibshirani 1993, chapter 12). A resample without spread has no t value and
/// is left out.
///
/// `None` below [`FEWEST_RESAMPLED`] values, with one that is not finite, for
/// values without spread, and where `confidence` is not between 0 and 1.
pub fn bootstrap_t(values: &[f64], confidence: f64) -> Option<Estimate> {
    if !resamplable(values, confidence) {
        return None;
    }
    let (point, error) = (mean(values), standard_error(values));
    let t_values = resampled(values, |resample| {
        (!all_alike(resample)).then(|| (mean(resample) - point) / standard_error(resample))
    });
    let tail = (1.0 - confidence) / 2.0;
    Some(Estimate {
        point,
        low: point - sorted_quantile(&t_values, 1.0 - tail)? * error,
        high: point - sorted_quantile(&t_values, tail)? * error,
        n: values.len(),
    })
}

/// Mean of `values` with its BCa (bias-corrected and accelerated) bootstrap
/// interval at `confidence` (Efron 1987; Efron and Tibshirani 1993, section
/// 14.3).
///
/// Its ends are the quantiles of the resamples' means at
/// Phi(z0 + (z0 + z) / (1 - a (z0 + z))), z the normal quantiles of the two
/// tails. The bias z0 is the normal quantile of the share of resamples whose
/// mean lies below that of `values`, ties half; the acceleration a is
/// sum(d^3) / (6 sum(d^2)^1.5) over the deviations d from the mean, which the
/// jackknife gives for a mean.
///
/// `None` as for [`bootstrap_t`], and where the denominator is not positive: at
/// a confidence far beyond 99 % only.
pub fn bca(values: &[f64], confidence: f64) -> Option<Estimate> {
    if !resamplable(values, confidence) {
        return None;
    }
    let point = mean(values);
    let means = resampled(values, |resample| Some(mean(resample)));

    // Sums in another order differ in their last bits; such means are tied.
    let tie = 1e-12 * values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    let below = means.partition_point(|m| *m < point - tie);
    let at_most = means.partition_point(|m| *m <= point + tie);
    let normal = Normal::standard();
    let bias = normal.inverse_cdf((below + at_most) as f64 / (2 * means.len()) as f64);

    let deviations = |power| values.iter().map(move |v| (v - point).powi(power));
    let acceleration = deviations(3).sum::<f64>() / (6.0 * deviations(2).sum::<f64>().powf(1.5));

    let end = |tail: f64| {
        let shifted = bias + normal.inverse_cdf(tail);
        let stretch = 1.0 - acceleration * shifted;
        let probability = normal.cdf(bias + shifted / stretch);
        (stretch > 0.0).then(|| sorted_quantile(&means, probability))?
    };
    let tail = (1.0 - confidence) / 2.0;
    Some(Estimate {
        point,
        low: end(tail)?,
        high: end(1.0 - tail)?,
        n: values.len(),
    })
}

/// Interquartile mean of `values`, with its percentile bootstrap interval at
/// `confidence`: the mean of what is left when a quarter of the values, rounded
/// down, is cut from either end (Agarwal et al. 2021, "Deep reinforcement
/// learning at the edge of the statistical precipice"). One wild run does not
/// move it.
///
/// `None` as for [`bootstrap_t`].
pub fn interquartile_mean(values: &[f64], confidence: f64) -> Option<Estimate> {
    if !resamplable(values, confidence) {
        return None;
    }
    let (sorted, ranks) = ranked(values);
    let cut = values.len() / 4;
    // Drawn by rank and counted, a resample is in order without being sorted.
    let figure = |ranks: &[usize]| {
        let counts = counted(ranks.iter().copied(), sorted.len());
        let repeated = sorted.iter().zip(counts);
        let resample: Vec<f64> = repeated
            .flat_map(|(value, count)| std::iter::repeat_n(*value, count))
            .collect();
        mean(&resample[cut..resample.len() - cut])
    };
    let figures = resampled(&ranks, |resample| Some(figure(resample)));
    percentile_interval(figure(&ranks), &figures, confidence, values.len())
}

/// The chance that a run of ours ends below a run of the other side, lower
/// being better, with its percentile bootstrap interval at `confidence`.
///
/// The chance is that of Agarwal et al. (2021): the share of all n^2 pairs of a
/// value of `ours` and a value of `other` in which ours is lower, ties half,
/// which is the Mann-Whitney U over n^2. It asks about two fresh runs, so it
/// compares every seed with every seed. The interval differs from theirs: here
/// both sides share their seeds, so a resample draws seeds and takes both
/// values of each along, which keeps what the seed does to both.
///
/// Where every value of ours is lower than every other, all resamples say 1, and
/// the bootstrap has nothing to make an interval from. The interval is then
/// [`share_interval`]'s of n among n: the n pairs of one value of each side are
/// n trials of "is a fresh run of ours lower", all with the same answer. So where
/// every value is higher.
///
/// `None` where the two have different lengths, below [`FEWEST_RESAMPLED`]
/// pairs, with a value that is not finite, and where `confidence` is not
/// between 0 and 1.
pub fn probability_of_improvement(
    ours: &[f64],
    other: &[f64],
    confidence: f64,
) -> Option<Estimate> {
    let enough = ours.len() == other.len() && ours.len() >= FEWEST_RESAMPLED;
    if !enough || !all_finite(ours) || !all_finite(other) || !proper(confidence) {
        return None;
    }
    let all: Vec<f64> = ours.iter().chain(other).copied().collect();
    let (values, ranks) = ranked(&all);
    let (our_ranks, other_ranks) = ranks.split_at(ours.len());
    let pairs: Vec<(usize, usize)> = our_ranks
        .iter()
        .copied()
        .zip(other_ranks.iter().copied())
        .collect();
    // How many values of the other side lie below a rank, and how many at it,
    // is counted once a resample.
    let figure = |pairs: &[(usize, usize)]| {
        let at = counted(pairs.iter().map(|(_, other)| *other), values.len());
        let below: Vec<usize> = at
            .iter()
            .scan(0, |below, at| Some(std::mem::replace(below, *below + at)))
            .collect();
        let against = |rank: usize| {
            let lower = pairs.len() - below[rank] - at[rank];
            lower as f64 + at[rank] as f64 / 2.0
        };
        let wins: f64 = pairs.iter().map(|(ours, _)| against(*ours)).sum();
        wins / (pairs.len() * pairs.len()) as f64
    };
    let n = pairs.len();
    match figure(&pairs) {
        1.0 => share_interval(n, n, confidence),
        0.0 => share_interval(0, n, confidence),
        share => {
            let figures = resampled(&pairs, |resample| Some(figure(resample)));
            percentile_interval(share, &figures, confidence, n)
        }
    }
}

/// The different ones of `values`, ascending, and the place of each of `values`
/// among them.
fn ranked(values: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let mut sorted = ascending(values);
    sorted.dedup();
    let place = |value: &f64| sorted.partition_point(|other| other < value);
    let ranks = values.iter().map(place).collect();
    (sorted, ranks)
}

/// How often each rank below `most` is there.
fn counted(ranks: impl Iterator<Item = usize>, most: usize) -> Vec<usize> {
    let mut counts = vec![0; most];
    ranks.for_each(|rank| counts[rank] += 1);
    counts
}

/// Whether the bootstrap of `values` has something to say.
fn resamplable(values: &[f64], confidence: f64) -> bool {
    let enough = values.len() >= FEWEST_RESAMPLED;
    enough && all_finite(values) && !all_alike(values) && proper(confidence)
}

/// The figures of [`RESAMPLES`] resamples of `sample`, ascending; a resample
/// without a figure is left out.
fn resampled<T: Copy>(sample: &[T], figure: impl Fn(&[T]) -> Option<f64>) -> Vec<f64> {
    let mut random = SplitMix64(2016);
    let mut resample = sample.to_vec();
    let mut figures = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        resample.fill_with(|| sample[random.below(sample.len())]);
        figures.extend(figure(&resample));
    }
    figures.sort_unstable_by(f64::total_cmp);
    figures
}

/// `point` between the quantiles of the resamples' `figures`.
fn percentile_interval(point: f64, figures: &[f64], confidence: f64, n: usize) -> Option<Estimate> {
    let tail = (1.0 - confidence) / 2.0;
    Some(Estimate {
        point,
        low: sorted_quantile(figures, tail)?,
        high: sorted_quantile(figures, 1.0 - tail)?,
        n,
    })
}
