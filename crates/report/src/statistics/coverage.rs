use super::{Estimate, SplitMix64};

/// What values are drawn from to see how often an interval holds the mean,
/// which is 0 in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Population {
    /// Standard normal: what the Student interval is made for.
    Normal,
    /// exp(z / 4) - exp(1/32) with z standard normal: a log-normal with sigma
    /// 1/4, moved so that its mean is 0. Its skewness is 0.78.
    LittleSkewed,
    /// exp(z) - exp(1/2) with z standard normal: a log-normal with sigma 1,
    /// moved so that its mean is 0. Its skewness is 6.2, far beyond that of
    /// differences between paired runs.
    VerySkewed,
}

impl Population {
    fn draw(self, random: &mut SplitMix64) -> f64 {
        match self {
            Self::Normal => random.normal(),
            Self::LittleSkewed => (random.normal() / 4.0).exp() - 0.031_25_f64.exp(),
            Self::VerySkewed => random.normal().exp() - 0.5_f64.exp(),
        }
    }
}

/// Share of `trials` samples of `n` values from `population` whose `interval`
/// holds the mean of the population. The samples come from one fixed seed, so
/// every interval is held against the same ones.
///
/// `None` without trials and where the interval of a sample is.
pub fn covered_share(
    interval: impl Fn(&[f64]) -> Option<Estimate>,
    population: Population,
    n: usize,
    trials: usize,
) -> Option<f64> {
    if trials == 0 {
        return None;
    }
    let mut random = SplitMix64(2017);
    let mut sample = vec![0.0; n];
    let mut covered = 0;
    for _ in 0..trials {
        sample.fill_with(|| population.draw(&mut random));
        let found = interval(&sample)?;
        covered += usize::from(found.low <= 0.0 && 0.0 <= found.high);
    }
    Some(covered as f64 / trials as f64)
}

/// How often the intervals hold the mean of one population.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coverage {
    /// What the values are drawn from.
    pub population: Population,
    /// Share of the Student intervals at 95 %, [`mean_interval`](super::mean_interval).
    pub student: f64,
    /// The same at 97.5 %, which decides that a claim is contradicted.
    pub student_975: f64,
    /// Share of the bootstrap-t intervals at 95 %, [`bootstrap_t`](super::bootstrap_t).
    pub bootstrap_t: f64,
    /// Share of the BCa intervals at 95 %, [`bca`](super::bca).
    pub bca: f64,
}

/// Values of a sample in [`COVERAGE`]: the seeds below which there is no
/// verdict.
pub const COVERAGE_VALUES: usize = 10;

/// Samples behind every share in [`COVERAGE`]; one share has a standard error
/// of at most 0.6 points.
pub const COVERAGE_TRIALS: usize = 5_000;

/// [`covered_share`] of the intervals of [`COVERAGE_VALUES`] values, as
/// measured; a test measures it again.
pub const COVERAGE: [Coverage; 3] = [
    Coverage {
        population: Population::Normal,
        student: 0.9530,
        student_975: 0.9790,
        bootstrap_t: 0.9524,
        bca: 0.9060,
    },
    Coverage {
        population: Population::LittleSkewed,
        student: 0.9500,
        student_975: 0.9698,
        bootstrap_t: 0.9504,
        bca: 0.9034,
    },
    Coverage {
        population: Population::VerySkewed,
        student: 0.8484,
        student_975: 0.8802,
        bootstrap_t: 0.9118,
        bca: 0.8360,
    },
];
