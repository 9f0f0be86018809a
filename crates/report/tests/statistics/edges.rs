//! Where a figure cannot be had, and where it is known without a computer.

use adamix_report::statistics::*;

const NEITHER: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// Five values of which one is not finite.
fn spoiled(by: f64) -> [f64; 5] {
    [1.0, 2.0, by, 4.0, 5.0]
}

#[test]
fn one_value_has_an_infinite_interval_and_none_has_none() {
    let found = mean_interval(&[3.0], 0.95).unwrap();
    assert_eq!((found.point, found.n), (3.0, 1));
    assert_eq!((found.low, found.high), (f64::NEG_INFINITY, f64::INFINITY));
    assert_eq!(mean_interval(&[], 0.95), None);
    assert_eq!(relative_difference(&[], &[]), None);
    assert_eq!(relative_difference(&[1.0], &[0.0]), None);
    assert_eq!(relative_difference(&[1.0, 2.0], &[1.0]), None);
    assert_eq!(sign_flip_p(&[]), None);
    assert_eq!(signed_rank_p(&[]), None);
    assert_eq!(median(&[]), None);
    assert_eq!(area_under_curve(&[]), None);
    assert_eq!(area_under_curve(&[50.0]), None);
    assert_eq!(kaplan_meier(&[], 30.0), None);
    assert_eq!(best_of(&[]), None);
    assert_eq!(holm(&[]), [0.0; 0]);
}

#[test]
fn a_value_that_is_not_finite_gives_nothing() {
    for by in NEITHER {
        let (values, sound) = (spoiled(by), spoiled(3.0));
        for interval in [mean_interval, bootstrap_t, bca, interquartile_mean] {
            assert_eq!(interval(&values, 0.95), None);
        }
        assert_eq!(probability_of_improvement(&values, &sound, 0.95), None);
        assert_eq!(probability_of_improvement(&sound, &values, 0.95), None);
        assert_eq!(relative_difference(&values, &sound), None);
        assert_eq!(sign_flip_p(&values), None);
        assert_eq!(signed_rank_p(&values), None);
        assert_eq!(best_of(&values), None);
    }
}

#[test]
fn a_confidence_lies_between_0_and_1() {
    let sample = spoiled(3.0);
    let other = spoiled(7.0);
    for confidence in [-0.1, 0.0, 1.0, 1.1, f64::NAN] {
        for interval in [mean_interval, bootstrap_t, bca, interquartile_mean] {
            assert_eq!(interval(&sample, confidence), None);
        }
        assert_eq!(
            probability_of_improvement(&sample, &other, confidence),
            None
        );
        assert_eq!(values_needed(0.01, 0.02, confidence, 0.8), None);
        assert_eq!(values_needed(0.01, 0.02, 0.025, confidence), None);
    }
}

#[test]
fn numbers_too_large_or_too_small_to_square_do_not_panic() {
    for size in [f64::MAX, f64::MIN_POSITIVE] {
        let values = [1.0, 0.5, -0.25, 0.75, 0.9].map(|v| v * size);
        for interval in [mean_interval, bootstrap_t, bca, interquartile_mean] {
            let _ = interval(&values, 0.95);
        }
        let _ = probability_of_improvement(&values, &values, 0.95);
        let _ = relative_difference(&values, &values);
        let _ = (
            sign_flip_p(&values),
            signed_rank_p(&values),
            best_of(&values),
        );
    }
}

#[test]
fn no_bootstrap_of_few_values_or_of_values_without_spread() {
    assert_eq!(FEWEST_RESAMPLED, 5);
    for interval in [bootstrap_t, bca, interquartile_mean] {
        assert_eq!(interval(&[0.1, 0.2, 0.3, 0.4], 0.95), None);
        assert!(interval(&[0.1, 0.2, 0.3, 0.4, 0.5], 0.95).is_some());
        assert_eq!(interval(&[0.1; 10], 0.95), None);
    }
    let four = [0.1, 0.2, 0.3, 0.4];
    assert_eq!(probability_of_improvement(&four, &four, 0.95), None);
    assert_eq!(probability_of_improvement(&[0.1; 6], &[0.1; 5], 0.95), None);
    let tied = probability_of_improvement(&[0.1; 5], &[0.1; 5], 0.95).unwrap();
    assert_eq!(
        (tied.point, tied.low, tied.high, tied.n),
        (0.5, 0.5, 0.5, 5)
    );
}

#[test]
fn bca_gives_up_where_its_correction_folds_back() {
    // Acceleration 0.13 and bias 0.25: at most 7.3 standard deviations.
    let wild = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    assert!(bca(&wild, 0.99).is_some());
    assert_eq!(bca(&wild, 1.0 - 1e-15), None);
}

#[test]
fn one_wild_value_does_not_move_the_interquartile_mean() {
    let tame = interquartile_mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
    let wild = interquartile_mean(&[1.0, 2.0, 3.0, 4.0, 1e9], 0.95).unwrap();
    assert_eq!((tame.point, wild.point), (3.0, 3.0));
}

#[test]
fn where_all_are_lower_the_chance_has_the_interval_of_n_among_n() {
    let (low, high) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
    let found = probability_of_improvement(&low, &high, 0.95).unwrap();
    // Wilson's interval of 5 among 5: from 1 / (1 + z^2 / 5), z = 1.959964.
    assert_eq!((found.point, found.high), (1.0, 1.0));
    assert!((found.low - 0.565_518).abs() < 1e-6, "{}", found.low);
    let found = probability_of_improvement(&high, &low, 0.95).unwrap();
    assert_eq!((found.point, found.low), (0.0, 0.0));
    assert!((found.high - 0.434_482).abs() < 1e-6, "{}", found.high);
}

#[test]
fn only_zeros_say_nothing_against_zero() {
    assert_eq!(sign_flip_p(&[0.0; 4]), Some(1.0));
    assert_eq!(signed_rank_p(&[0.0, -0.0, 0.0]), Some(1.0));
}

#[test]
fn exact_tests_have_a_longest_sample() {
    // All of one sign: 2 of 2^n assignments are as extreme.
    assert_eq!(sign_flip_p(&[1.0; 20]), Some(0.5_f64.powi(19)));
    assert_eq!(sign_flip_p(&[1.0; 21]), None);
    assert_eq!(signed_rank_p(&[1.0; 200]), Some(0.5_f64.powi(199)));
    assert_eq!(signed_rank_p(&[1.0; 201]), None);
}

#[test]
fn zeros_leave_the_ranks_and_ties_share_them() {
    // Ranks 1, 2.5, 2.5 with the signs -++: sums 0, 1, 2.5, 2.5, 3.5, 3.5, 5
    // and 6 are alike likely; 5 is as far from 3 as 1, and 0 and 6 are farther.
    assert_eq!(signed_rank_p(&[2.0, 0.0, -1.0, 2.0]), Some(0.5));
}

#[test]
fn impossible_numbers_of_seeds_are_not_asked_for() {
    for margin in [0.0, -1.0, 1e-6, f64::NAN] {
        assert_eq!(values_needed(margin, 1.0, 0.025, 0.8), None);
    }
    assert_eq!(values_needed(1.0, f64::NAN, 0.025, 0.8), None);
    assert_eq!(values_needed(0.0, 0.0, 0.025, 0.8), None);
    assert_eq!(values_needed(1.0, 0.0, 0.025, 0.8), Some(2));
    // (2.8016 / margin)^2 values: just below 100,000, and 300 above.
    let most = values_needed(0.008_86, 1.0, 0.025, 0.8).unwrap();
    assert!((99_900..=MOST_SEEDS).contains(&most), "{most}");
    assert_eq!(values_needed(0.008_845, 1.0, 0.025, 0.8), None);
}

#[test]
fn infinity_is_later_than_was_looked() {
    assert_eq!(median(&[3.0, f64::INFINITY, 1.0]), Some(3.0));
    assert_eq!(median(&[1.0, f64::INFINITY]), Some(f64::INFINITY));
}

#[test]
fn a_share_is_one_half_whatever_its_last_bits() {
    for n in 1..=60 {
        let times: Vec<f64> = (1..=n).map(f64::from).collect();
        let runs: Vec<TimeToTarget> = times
            .iter()
            .map(|&at| TimeToTarget { at, reached: true })
            .collect();
        let found = kaplan_meier(&runs, 30.0).unwrap();
        assert_eq!(found.median, Some(f64::from((n + 1) / 2)), "of {n}");
    }
}

/// Half of them are there at the later of the two times, not beyond the last.
#[test]
fn two_of_four_are_half() {
    let run = |at, reached| TimeToTarget { at, reached };
    let runs = [
        run(25.0, true),
        run(29.0, true),
        run(30.0, false),
        run(30.0, false),
    ];
    assert_eq!(kaplan_meier(&runs, 30.0).unwrap().median, Some(29.0));
}

#[test]
fn the_best_of_one_setting_is_any_of_them() {
    // Exact tenths, whatever the last bits of a chance.
    for tenth in 1..=20_u32 {
        let tried: Vec<f64> = (1..=10 * tenth).map(f64::from).collect();
        let one = best_of(&tried).unwrap()[0];
        let quantiles = (f64::from(tenth), f64::from(9 * tenth));
        assert_eq!((one.low, one.high), quantiles, "of {}", tried.len());
    }
}

#[test]
fn a_time_and_a_horizon_are_finite_and_not_negative() {
    let one = |at| [TimeToTarget { at, reached: true }];
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(kaplan_meier(&one(bad), 30.0), None);
        assert_eq!(kaplan_meier(&one(3.0), bad), None);
    }
    assert_eq!(kaplan_meier(&one(3.0), 0.0), None);
    // Before its first update.
    let at_once = kaplan_meier(&one(0.0), 30.0).unwrap();
    assert_eq!(at_once.median, Some(0.0));
    assert_eq!(at_once.restricted_mean, Some(0.0));
}
