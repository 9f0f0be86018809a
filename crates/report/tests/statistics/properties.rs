//! What must hold whatever the numbers.

use adamix_report::statistics::*;
use proptest::prelude::*;

/// Errors of the order of those that are studied, some of them equal.
fn errors(fewest: usize, most: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(
        (0..200_i32).prop_map(|v| f64::from(v) / 16.0),
        fewest..=most,
    )
}

/// A sample and another of the same length.
fn two(fewest: usize, most: usize) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    (fewest..=most).prop_flat_map(|n| (errors(n, n), errors(n, n)))
}

/// The value by which at least half of them are there.
fn lower_median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_interval_of_the_mean_moves_with_the_values(values in errors(5, 12), by in -50..50_i32) {
        let by = f64::from(by);
        let moved: Vec<f64> = values.iter().map(|v| 2.0 * v + by).collect();
        for interval in [mean_interval, bootstrap_t, bca, interquartile_mean] {
            let found = interval(&values, 0.95).zip(interval(&moved, 0.95));
            prop_assert_eq!(interval(&values, 0.95).is_some(), found.is_some());
            if let Some((before, after)) = found {
                prop_assert!(before.low <= before.high);
                for (before, after) in [
                    (before.point, after.point),
                    (before.low, after.low),
                    (before.high, after.high),
                ] {
                    prop_assert!(near(2.0 * before + by, after), "{before} to {after}");
                }
            }
        }
    }

    #[test]
    fn more_confidence_is_a_wider_interval(values in errors(5, 12)) {
        for interval in [mean_interval, bootstrap_t, bca, interquartile_mean] {
            if let Some((wide, narrow)) = interval(&values, 0.975).zip(interval(&values, 0.95)) {
                prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
            }
        }
    }

    #[test]
    fn improvement_of_one_is_none_of_the_other((ours, other) in two(5, 12)) {
        let found = probability_of_improvement(&ours, &other, 0.95).unwrap();
        let turned = probability_of_improvement(&other, &ours, 0.95).unwrap();
        prop_assert!(near(found.point, 1.0 - turned.point));
        prop_assert!(near(found.low, 1.0 - turned.high));
        prop_assert!(0.0 <= found.low && found.low <= found.high && found.high <= 1.0);
    }

    #[test]
    fn a_test_knows_no_sign_and_no_order((ours, other) in two(1, 10)) {
        let differences: Vec<f64> = ours.iter().zip(&other).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = differences.iter().rev().map(|d| -d).collect();
        for test in [sign_flip_p, signed_rank_p] {
            let p = test(&differences).unwrap();
            prop_assert!(0.0 < p && p <= 1.0 + 1e-12);
            prop_assert!(near(p, test(&turned).unwrap()));
        }
    }

    #[test]
    fn holm_raises_and_keeps_the_order(p_values in prop::collection::vec(0.0..=1.0, 0..8)) {
        let adjusted = holm(&p_values);
        for (i, p) in p_values.iter().enumerate() {
            prop_assert!(*p <= adjusted[i] && adjusted[i] <= 1.0);
            for (j, q) in p_values.iter().enumerate() {
                prop_assert!(p > q || adjusted[i] <= adjusted[j]);
            }
        }
    }

    #[test]
    fn without_censoring_kaplan_and_meier_have_nothing_to_add(times in errors(1, 12), horizon in 1.0..20.0) {
        let runs: Vec<_> = times.iter().map(|&at| TimeToTarget { at, reached: true }).collect();
        let found = kaplan_meier(&runs, horizon).unwrap();
        let cut: Vec<f64> = times.iter().map(|at| at.min(horizon)).collect();
        prop_assert_eq!(found.median, Some(lower_median(&times)));
        prop_assert!(near(found.restricted_mean.unwrap(), mean(&cut)));
        prop_assert_eq!(found.censored, 0);
    }

    #[test]
    fn censored_at_the_horizon_is_infinity_in_the_median(times in errors(1, 12), horizon in 1..12_i32) {
        let horizon = f64::from(horizon);
        let runs: Vec<_> = times
            .iter()
            .map(|&at| TimeToTarget { at: at.min(horizon), reached: at <= horizon })
            .collect();
        let found = kaplan_meier(&runs, horizon).unwrap();
        let or_later: Vec<f64> = times
            .iter()
            .map(|&at| if at <= horizon { at } else { f64::INFINITY })
            .collect();
        prop_assert_eq!(found.median, Some(lower_median(&or_later)).filter(|m| m.is_finite()));
        let cut: Vec<f64> = times.iter().map(|at| at.min(horizon)).collect();
        prop_assert!(near(found.restricted_mean.unwrap(), mean(&cut)));
    }

    #[test]
    fn more_settings_are_never_worse(tried in errors(1, 24)) {
        let best = best_of(&tried).unwrap();
        prop_assert!(near(best[0].mean, mean(&tried)));
        for pair in best.windows(2) {
            prop_assert_eq!(pair[0].settings + 1, pair[1].settings);
            prop_assert!(pair[1].mean <= pair[0].mean + 1e-12);
            prop_assert!(pair[1].low <= pair[0].low && pair[1].high <= pair[0].high);
        }
        let all = best.last().unwrap();
        let lowest = tried.iter().copied().fold(f64::INFINITY, f64::min);
        prop_assert!(near(all.mean, lowest));
        prop_assert_eq!((all.low, all.high), (lowest, lowest));
    }
}
