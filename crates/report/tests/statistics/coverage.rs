//! How often the intervals hold what they are said to hold.

use std::thread;

use adamix_report::statistics::*;
use serde::Deserialize;

use crate::fixtures::cases;

#[derive(Debug, Deserialize)]
struct Shares {
    student: f64,
    student_975: f64,
    bootstrap_t: f64,
    bca: f64,
}

/// A last bit of a logarithm may differ between machines, and move an end
/// across the mean in a sample or two.
fn same(found: f64, expected: f64) {
    let samples = (found - expected).abs() * COVERAGE_TRIALS as f64;
    assert!(samples < 2.5, "{found} instead of {expected}");
}

#[test]
fn the_table_is_what_is_measured() {
    type Interval = fn(&[f64], f64) -> Option<Estimate>;
    let measure = |interval: Interval, confidence, population| {
        let interval = |sample: &[f64]| interval(sample, confidence);
        covered_share(interval, population, COVERAGE_VALUES, COVERAGE_TRIALS).unwrap()
    };
    thread::scope(|scope| {
        let rows = COVERAGE.map(|row| {
            let shares: [(Interval, f64, f64); 4] = [
                (mean_interval, 0.95, row.student),
                (mean_interval, 0.975, row.student_975),
                (bootstrap_t, 0.95, row.bootstrap_t),
                (bca, 0.95, row.bca),
            ];
            scope.spawn(move || {
                for (interval, confidence, expected) in shares {
                    same(measure(interval, confidence, row.population), expected);
                }
            })
        });
        for row in rows {
            row.join().unwrap();
        }
    });
}

#[test]
fn the_table_is_what_numpy_measures() {
    let measured = cases::<Shares>("coverage");
    assert_eq!(measured.len(), COVERAGE.len());
    for (row, measured) in COVERAGE.iter().zip(measured) {
        same(row.student, measured.student);
        same(row.student_975, measured.student_975);
        same(row.bootstrap_t, measured.bootstrap_t);
        same(row.bca, measured.bca);
    }
}

#[test]
fn the_deciding_interval_fails_on_a_very_skewed_population_only() {
    let [normal, little, skewed] = COVERAGE;
    assert_eq!(normal.population, Population::Normal);
    assert_eq!(little.population, Population::LittleSkewed);
    assert_eq!(skewed.population, Population::VerySkewed);
    assert!((0.94..=0.96).contains(&normal.student));
    assert!((0.97..=0.98).contains(&normal.student_975));
    assert!((0.94..=0.96).contains(&little.student));
    assert!((0.96..=0.98).contains(&little.student_975));
    assert!((0.83..=0.86).contains(&skewed.student));
}

#[test]
fn the_deciding_interval_keeps_its_promise_on_normal_differences() {
    let student = |sample: &[f64]| mean_interval(sample, 0.95);
    for n in [3, 10, 30] {
        let share = covered_share(student, Population::Normal, n, 20_000).unwrap();
        assert!((0.945..0.955).contains(&share), "{share} at n = {n}");
    }
}

#[test]
fn no_share_without_trials_or_without_an_interval() {
    let student = |sample: &[f64]| mean_interval(sample, 0.95);
    assert_eq!(covered_share(student, Population::Normal, 10, 0), None);
    assert_eq!(covered_share(student, Population::Normal, 0, 10), None);
    assert_eq!(covered_share(student, Population::Normal, 1, 10), Some(1.0));
}
