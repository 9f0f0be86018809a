//! The random numbers: against published vectors, against themselves drawn in
//! other ways, and against what their distributions should be.

use adamix_autoencoder::random::{Purpose, Stream, philox4x32_10};
use proptest::prelude::*;

const PURPOSES: [Purpose; 5] = [
    Purpose::InitialWeights,
    Purpose::PreTrainingOrder,
    Purpose::PreTrainingNoise,
    Purpose::FineTuningOrder,
    Purpose::Curves,
];

/// `philox 4x32 10` of `kat_vectors` in Random123, the generator's authors' code.
#[test]
fn philox_gives_the_known_answers() {
    for (counter, key, expected) in [
        (
            [0; 4],
            [0; 2],
            [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
        ),
        (
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
        ),
        (
            [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
            [0xa4093822, 0x299f31d0],
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
        ),
    ] {
        assert_eq!(philox4x32_10(counter, key), expected);
    }
}

/// The mapping that the module's page promises, and a kernel elsewhere relies on.
#[test]
fn numbers_come_from_the_documented_counter_and_key() {
    let (seed, index) = (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
    let mut stream = Stream::new(seed, Purpose::PreTrainingNoise, index);
    for block in 0..3 {
        let counter = [block, 0x7654_3210, 0xfedc_ba98, 3];
        for word in philox4x32_10(counter, [0x89ab_cdef, 0x0123_4567]) {
            assert_eq!(stream.next_u32(), word);
        }
    }
    assert_eq!(PURPOSES.map(|purpose| purpose as u32), [1, 2, 3, 4, 5]);
}

/// The values are those of an independent program (Python), and change only
/// with `SEMANTICS_VERSION`.
#[test]
fn first_draws_of_a_stream_are_pinned() {
    let stream = || Stream::new(42, Purpose::InitialWeights, 1);
    let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
    stream().shuffle(&mut order);
    assert_eq!(stream().next_u32(), 1_168_770_333);
    assert_eq!(stream().uniform_f32().to_bits(), 0x3e8b_540a);
    assert_eq!(stream().uniform().to_bits(), 0x3fd1_6a81_4235_7cba);
    assert_eq!(stream().normal().to_bits(), 0xbfe1_1498_ee27_c17d);
    assert_eq!(order, [7, 5, 6, 0, 4, 3, 1, 2]);
}

#[test]
fn a_stream_begins_again_after_two_to_the_34_numbers() {
    let new = || Stream::new(3, Purpose::Curves, 5);
    let mut near_end = new().at((1 << 34) - 7);
    near_end.fill_uniform(&mut [0.0; 7]);
    assert_eq!(near_end.position(), 0);
    assert_eq!(near_end.next_u32(), new().next_u32());

    let mut bulk = [0.0; 200];
    new().at((1 << 34) - 67).fill_uniform(&mut bulk);
    let mut single = new().at((1 << 34) - 67);
    assert!(bulk.iter().all(|&x| x == single.uniform_f32()));
}

#[test]
fn different_streams_differ() {
    let mut firsts = Vec::new();
    for seed in [0, 1, 1 << 32, u64::MAX] {
        for purpose in PURPOSES {
            for index in [0, 1, 1 << 32, u64::MAX] {
                let mut stream = Stream::new(seed, purpose, index);
                firsts.push([stream.next_u32(), stream.next_u32()]);
            }
        }
    }
    let count = firsts.len();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), count);
}

/// Mean and variance of a million draws, within five standard errors.
#[test]
fn distributions_have_their_moments() {
    const N: usize = 1_000_000;
    let check = |name: &str, mean: f64, variance: f64, kurtosis: f64, draws: &[f64]| {
        let n = draws.len() as f64;
        let m = draws.iter().sum::<f64>() / n;
        let v = draws.iter().map(|x| (x - m).powi(2)).sum::<f64>() / n;
        let mean_error = (variance / n).sqrt();
        let variance_error = variance * ((kurtosis - 1.0) / n).sqrt();
        assert!((m - mean).abs() < 5.0 * mean_error, "{name}: mean {m}");
        assert!(
            (v - variance).abs() < 5.0 * variance_error,
            "{name}: variance {v}"
        );
    };
    let mut stream = Stream::new(1, Purpose::PreTrainingNoise, 0);

    let draws: Vec<f64> = (0..N).map(|_| stream.uniform()).collect();
    assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
    check("uniform", 0.5, 1.0 / 12.0, 1.8, &draws);

    let mut draws = vec![0.0; N];
    stream.fill_uniform(&mut draws);
    assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
    let draws: Vec<f64> = draws.into_iter().map(f64::from).collect();
    check("uniform_f32", 0.5, 1.0 / 12.0, 1.8, &draws);

    let draws: Vec<f64> = (0..N).map(|_| stream.normal()).collect();
    check("normal", 0.0, 1.0, 3.0, &draws);
    let beyond = |sigma: f64| draws.iter().filter(|x| x.abs() > sigma).count() as f64 / N as f64;
    for (sigma, share) in [(1.0, 0.317_311), (2.0, 0.045_500), (3.0, 0.002_700)] {
        let error = (share * (1.0 - share) / N as f64).sqrt();
        assert!((beyond(sigma) - share).abs() < 5.0 * error, "{sigma} sigma");
    }
    // Neighbours are independent.
    let pairs: Vec<f64> = draws.windows(2).map(|pair| pair[0] * pair[1]).collect();
    check("product of neighbours", 0.0, 1.0, 9.0, &pairs);
}

/// Every order of four values, by a chi-square test with 23 degrees of
/// freedom: 49.7 is exceeded once in a thousand.
#[test]
fn every_order_is_equally_likely() {
    const N: u32 = 240_000;
    let mut stream = Stream::new(0, Purpose::FineTuningOrder, 0);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..N {
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        *counts.entry(order).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    let expected = f64::from(N) / 24.0;
    let chi_square: f64 = counts
        .values()
        .map(|&count| (f64::from(count) - expected).powi(2) / expected)
        .sum();
    assert!(chi_square < 49.7, "{chi_square}");
}

/// With this bound a third of the numbers is rejected; a biased method would
/// return results below 2^30 too often.
#[test]
fn bounded_numbers_are_unbiased() {
    const N: u32 = 300_000;
    let bound = 3 << 30;
    let mut stream = Stream::new(0, Purpose::FineTuningOrder, 1);
    let low = (0..N).filter(|_| stream.below(bound) < 1 << 30).count() as f64;
    let share = low / f64::from(N);
    assert!((share - 1.0 / 3.0).abs() < 5.0 * (2.0 / 9.0 / f64::from(N)).sqrt());
    assert!(stream.position() > u64::from(N) * 5 / 4);
    assert_eq!(stream.below(0), 0);
    assert_eq!(stream.below(1), 0);
}

fn purposes() -> impl Strategy<Value = Purpose> {
    proptest::sample::select(&PURPOSES[..])
}

proptest! {
    #[test]
    fn filling_equals_drawing_one_by_one(
        seed: u64, purpose in purposes(), index: u64, start: u64, length in 0_usize..400,
    ) {
        let at_start = || Stream::new(seed, purpose, index).at(start);

        let (mut single, mut bulk) = (at_start(), at_start());
        let mut filled = vec![0.0; length];
        bulk.fill_uniform(&mut filled);
        prop_assert!(filled.iter().all(|&x| x == single.uniform_f32()));
        prop_assert_eq!(bulk.position(), single.position());
        prop_assert_eq!(bulk.next_u32(), single.next_u32());

        let (mut single, mut bulk) = (at_start(), at_start());
        bulk.fill_normal(&mut filled);
        prop_assert!(filled.iter().all(|&x| x == single.normal() as f32));
        prop_assert_eq!(bulk.next_u32(), single.next_u32());
    }

    #[test]
    fn any_position_can_be_reached_at_once(
        seed: u64, purpose in purposes(), index: u64, skipped in 0_u64..200,
    ) {
        let mut walked = Stream::new(seed, purpose, index);
        for _ in 0..skipped {
            walked.next_u32();
        }
        let mut jumped = Stream::new(seed, purpose, index).at(skipped);
        prop_assert_eq!(walked.position(), jumped.position());
        for _ in 0..9 {
            prop_assert_eq!(walked.next_u32(), jumped.next_u32());
        }
    }

    #[test]
    fn shuffling_keeps_the_values(seed: u64, mut values: Vec<u32>) {
        let mut shuffled = values.clone();
        Stream::new(seed, Purpose::FineTuningOrder, 0).shuffle(&mut shuffled);
        shuffled.sort_unstable();
        values.sort_unstable();
        prop_assert_eq!(shuffled, values);
    }

    #[test]
    fn bounded_numbers_stay_below_their_bound(seed: u64, bound in 1_u32..) {
        let mut stream = Stream::new(seed, Purpose::FineTuningOrder, 0);
        for _ in 0..20 {
            prop_assert!(stream.below(bound) < bound);
        }
    }
}
