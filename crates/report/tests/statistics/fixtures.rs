//! `tests/fixtures/statistics.json`, made by the script beside it.

use std::fmt::Debug;

use adamix_report::statistics::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The cases of one function.
pub(crate) fn cases<T: DeserializeOwned>(function: &str) -> Vec<T> {
    let mut fixture: Value =
        serde_json::from_str(include_str!("../fixtures/statistics.json")).unwrap();
    let cases: Vec<T> = serde_json::from_value(fixture[function].take()).unwrap();
    assert!(!cases.is_empty(), "no case of {function}");
    cases
}

fn close(found: f64, expected: f64, case: &impl Debug) {
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{found} instead of {expected}: {case:?}"
    );
}

fn close_if_any(found: Option<f64>, expected: Option<f64>, case: &impl Debug) {
    assert_eq!(found.is_some(), expected.is_some(), "{case:?}");
    if let (Some(found), Some(expected)) = (found, expected) {
        close(found, expected, case);
    }
}

#[derive(Debug, Deserialize)]
struct Ends {
    point: f64,
    low: f64,
    high: f64,
    n: usize,
}

impl Ends {
    fn check(&self, found: Option<Estimate>, case: &impl Debug) {
        let found = found.unwrap();
        close(found.point, self.point, case);
        close(found.low, self.low, case);
        close(found.high, self.high, case);
        assert_eq!(found.n, self.n);
    }
}

#[derive(Debug, Deserialize)]
struct Interval {
    values: Vec<f64>,
    confidence: f64,
    #[serde(flatten)]
    ends: Ends,
}

fn check_interval(name: &str, interval: fn(&[f64], f64) -> Option<Estimate>) {
    for case in cases::<Interval>(name) {
        case.ends
            .check(interval(&case.values, case.confidence), &(name, &case));
    }
}

#[test]
fn the_intervals_of_one_sample() {
    check_interval("mean_interval", mean_interval);
    check_interval("bootstrap_t", bootstrap_t);
    check_interval("bca", bca);
    check_interval("interquartile_mean", interquartile_mean);
}

#[derive(Debug, Deserialize)]
struct Improvement {
    ours: Vec<f64>,
    other: Vec<f64>,
    confidence: f64,
    #[serde(flatten)]
    ends: Ends,
}

#[test]
fn the_probability_of_improvement() {
    for case in cases::<Improvement>("probability_of_improvement") {
        let found = probability_of_improvement(&case.ours, &case.other, case.confidence);
        case.ends.check(found, &case);
    }
}

#[derive(Debug, Deserialize)]
struct Relative {
    ours: Vec<f64>,
    other: Vec<f64>,
    values: Vec<f64>,
    estimate: Ends,
    corrected: Ends,
}

#[test]
fn the_relative_difference() {
    for case in cases::<Relative>("relative_difference") {
        let found = relative_difference(&case.ours, &case.other).unwrap();
        for (found, expected) in found.values.iter().zip(&case.values) {
            close(*found, *expected, &case);
        }
        case.estimate.check(Some(found.estimate), &case);
        case.corrected.check(Some(found.corrected), &case);
    }
}

#[derive(Debug, Deserialize)]
struct Test {
    values: Vec<f64>,
    p: f64,
}

#[test]
fn the_tests_of_one_sample() {
    for (name, test) in [
        ("sign_flip_p", sign_flip_p as fn(&[f64]) -> Option<f64>),
        ("signed_rank_p", signed_rank_p),
    ] {
        for case in cases::<Test>(name) {
            close(test(&case.values).unwrap(), case.p, &(name, &case));
        }
    }
}

#[derive(Debug, Deserialize)]
struct Family {
    p_values: Vec<f64>,
    adjusted: Vec<f64>,
}

#[test]
fn the_adjustment_of_holm() {
    for case in cases::<Family>("holm") {
        let found = holm(&case.p_values);
        assert_eq!(found.len(), case.adjusted.len());
        for (found, expected) in found.iter().zip(&case.adjusted) {
            close(*found, *expected, &case);
        }
    }
}

#[derive(Debug, Deserialize)]
struct Figure {
    #[serde(alias = "errors")]
    values: Vec<f64>,
    #[serde(alias = "median", alias = "deviation", alias = "area")]
    figure: f64,
}

#[test]
fn the_single_figures() {
    for (name, figure) in [
        ("median", median as fn(&[f64]) -> Option<f64>),
        ("standard_deviation", |v| Some(standard_deviation(v))),
        ("area_under_curve", area_under_curve),
    ] {
        for case in cases::<Figure>(name) {
            close(figure(&case.values).unwrap(), case.figure, &(name, &case));
        }
    }
}

#[derive(Debug, Deserialize)]
struct Censored {
    times: Vec<f64>,
    reached: Vec<bool>,
    horizon: f64,
    median: Option<f64>,
    restricted_mean: Option<f64>,
    n: usize,
    censored: usize,
}

#[test]
fn the_time_to_a_target() {
    for case in cases::<Censored>("kaplan_meier") {
        let mut times: Vec<TimeToTarget> = case
            .times
            .iter()
            .zip(&case.reached)
            .map(|(&at, &reached)| TimeToTarget { at, reached })
            .collect();
        for _ in 0..2 {
            let found = kaplan_meier(&times, case.horizon).unwrap();
            close_if_any(found.median, case.median, &case);
            close_if_any(found.restricted_mean, case.restricted_mean, &case);
            assert_eq!((found.n, found.censored), (case.n, case.censored));
            times.reverse();
        }
    }
}

#[derive(Debug, Deserialize)]
struct Share {
    there: usize,
    runs: usize,
    confidence: f64,
    low: f64,
    high: f64,
}

#[test]
fn shares_of_runs() {
    for case in cases::<Share>("share_interval") {
        let found = share_interval(case.there, case.runs, case.confidence).unwrap();
        close(found.point, case.there as f64 / case.runs as f64, &case);
        close(found.low, case.low, &case);
        close(found.high, case.high, &case);
        assert_eq!(found.n, case.runs);
    }
}

#[derive(Debug, Deserialize)]
struct Ranks {
    n: usize,
    confidence: f64,
    low: f64,
    high: f64,
    coverage: f64,
}

#[test]
fn medians_of_times() {
    for case in cases::<Ranks>("median_interval") {
        // Each time is its own rank; their order is nothing to rely on.
        let times = (1..=case.n).rev().map(|rank| TimeToTarget {
            at: rank as f64,
            reached: true,
        });
        let found = median_interval(&times.collect::<Vec<_>>(), case.confidence).unwrap();
        assert_eq!(
            (found.low, found.high),
            (Some(case.low), Some(case.high)),
            "{case:?}"
        );
        close(found.coverage, case.coverage, &case);
    }
}

#[derive(Debug, Deserialize)]
struct Tuning {
    tried: Vec<f64>,
    best: Vec<Best>,
}

#[derive(Debug, Deserialize)]
struct Best {
    settings: usize,
    mean: f64,
    low: f64,
    high: f64,
}

#[test]
fn the_price_of_tuning() {
    for case in cases::<Tuning>("best_of") {
        let found = best_of(&case.tried).unwrap();
        assert_eq!(found.len(), case.best.len());
        for (found, expected) in found.iter().zip(&case.best) {
            close(found.mean, expected.mean, &case);
            // A quantile is one of the values, so another would be far off.
            let quantiles = (found.settings, found.low, found.high);
            assert_eq!(
                quantiles,
                (expected.settings, expected.low, expected.high),
                "{case:?}"
            );
        }
    }
}

#[derive(Debug, Deserialize)]
struct Power {
    margin: f64,
    deviation: f64,
    alpha: f64,
    power: f64,
    needed: usize,
    noncentral: usize,
}

#[test]
fn the_number_of_seeds() {
    for case in cases::<Power>("values_needed") {
        let found = values_needed(case.margin, case.deviation, case.alpha, case.power).unwrap();
        assert_eq!(found, case.needed, "{case:?}");
        assert!(found.abs_diff(case.noncentral) <= 1, "{case:?}");
    }
}

#[test]
fn the_generator() {
    // First outputs of the reference implementation from seed 0.
    let published = [
        0xE220_A839_7B1D_CDAF,
        0x6E78_9E6A_A1B9_65F4,
        0x06C4_5D18_8009_454F,
    ];
    let mut random = SplitMix64(0);
    let found: [u64; 3] = std::array::from_fn(|_| random.next_u64());
    assert_eq!(found, published);
    let scripts = cases::<String>("splitmix");
    assert_eq!(scripts, found.map(|z| z.to_string()));
}
