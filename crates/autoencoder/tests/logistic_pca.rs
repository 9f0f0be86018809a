//! Logistic PCA: against an independent implementation, on data that it fits
//! exactly, and what has to hold on any data.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use adamix_autoencoder::dataset::{Images, PIXELS};
use adamix_autoencoder::logistic_pca::{End, Error, LogisticPca, Settings};
use adamix_autoencoder::random::{Purpose, Stream};
use serde_json::Value;

/// Until rounding hides any gain, on a problem with a marked minimum.
const EXACT: Settings = Settings {
    ridge: 1e-3,
    least_gain: 0.0,
    most_epochs: 5000,
};

fn fit(images: &Images, components: usize, settings: Settings) -> LogisticPca {
    let on_epoch = &mut |_, _| ControlFlow::Continue(());
    LogisticPca::fit(images, components, settings, on_epoch).unwrap()
}

fn images(pixels: Vec<u8>) -> Images {
    Images {
        pixels,
        labels: Vec::new(),
    }
}

/// The images of `logistic_pca.py`: a bright spot whose place depends on the
/// index; some pixels are black in all of them.
fn spots(indices: impl Iterator<Item = usize>) -> Images {
    let pixel = |index: usize, row: usize, column: usize| {
        let distance = (row as i64 - 6 - (5 * index % 17) as i64).pow(2)
            + (column as i64 - 5 - (7 * index % 19) as i64).pow(2);
        let grain = (index * 31 + row * 17 + column * 7) % 23;
        if row >= 3 && column >= 2 {
            (250 - 9 * distance).max(0) as u8 + (grain / 5) as u8
        } else {
            0
        }
    };
    images(
        indices
            .flat_map(|index| (0..PIXELS).map(move |at| pixel(index, at / 28, at % 28)))
            .collect(),
    )
}

fn assert_close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs(),
        "{what}: {found}, expected {expected}"
    );
}

#[test]
fn logistic_pca_finds_the_minimum_that_numpy_finds() {
    let reference: Value = serde_json::from_str(include_str!("logistic_pca.json")).unwrap();
    let number = |key: &str| reference[key].as_f64().unwrap();
    assert_eq!(EXACT.ridge, number("ridge"));
    let count = number("train") as usize;
    let train = spots(0..count);
    let test = spots(count..count + number("test") as usize);
    let found = fit(&train, number("components") as usize, EXACT);
    assert_eq!(found.end, End::Converged, "{} epochs", found.epochs);
    assert_close("criterion", found.criterion, number("criterion"), 1e-12);
    for (what, images) in [("train_error", &train), ("test_error", &test)] {
        assert_close(what, found.reconstruction_error(images), number(what), 1e-6);
    }
    let outputs = found.reconstruct(&test);
    assert_eq!(outputs.len(), test.count() * PIXELS);
    let expected = reference["outputs_of_first_test_image"].as_array().unwrap();
    for (found, expected) in outputs.iter().zip(expected) {
        assert!((found - expected.as_f64().unwrap()).abs() < 1e-6);
    }
}

/// Images whose pixels have logits of rank `rank`, and their entropy in nats
/// an image: what no cross-entropy falls below.
fn of_rank(rank: usize, count: usize) -> (Images, f64) {
    let mut stream = Stream::new(3, Purpose::Curves, 0);
    let mut normal = |count: usize| (0..count).map(|_| stream.normal()).collect::<Vec<f64>>();
    let (codes, loadings, biases) = (normal(count * rank), normal(rank * PIXELS), normal(PIXELS));
    let mut pixels = Vec::new();
    let mut entropy = 0.0;
    for code in codes.chunks_exact(rank) {
        for (at, bias) in biases.iter().enumerate() {
            let parts = code.iter().enumerate();
            let logit: f64 = parts
                .map(|(k, u)| u * loadings[k * PIXELS + at])
                .sum::<f64>()
                + bias;
            let pixel = (255.0 / (1.0 + (-logit).exp())).round();
            pixels.push(pixel as u8);
            let x = pixel / 255.0;
            for p in [x, 1.0 - x] {
                entropy -= if p > 0.0 { p * p.ln() } else { 0.0 };
            }
        }
    }
    (images(pixels), entropy / count as f64)
}

#[test]
fn logistic_pca_recovers_a_model_of_its_kind() {
    // Fewer images than pixels: a linear encoder can give any codes.
    let (images, entropy) = of_rank(3, 60);
    let settings = Settings {
        ridge: 1e-8,
        least_gain: 1e-9,
        most_epochs: 2000,
    };
    let excess = |components| fit(&images, components, settings).criterion - entropy;
    // What is left is the rounding of the pixels.
    let (short, enough) = (excess(2), excess(3));
    assert!((0.0..0.05).contains(&enough), "{enough} above {entropy}");
    assert!(short > 10.0, "{short} above {entropy}");
}

#[test]
fn logistic_pca_is_never_worse_with_more_components() {
    let train = spots(0..30);
    let settings = Settings {
        least_gain: 1e-7,
        ..EXACT
    };
    let criteria: Vec<f64> = (1..=5)
        .map(|components| fit(&train, components, settings).criterion)
        .collect();
    assert!(
        criteria.is_sorted_by(|fewer, more| more <= fewer),
        "{criteria:?}"
    );
}

#[test]
fn logistic_pca_does_not_depend_on_the_order_of_the_images() {
    // More than a block, so that images change blocks.
    let train = spots(0..300);
    let mut order: Vec<u32> = (0..300).collect();
    Stream::new(1, Purpose::FineTuningOrder, 0).shuffle(&mut order);
    let shuffled = spots(order.iter().map(|index| *index as usize));
    let settings = Settings {
        most_epochs: 15,
        ..Settings::default()
    };
    let (one, other) = (fit(&train, 4, settings), fit(&shuffled, 4, settings));
    assert_eq!(one.epochs, other.epochs);
    assert_close("criterion", other.criterion, one.criterion, 1e-9);
    let outputs = one.reconstruct(&train);
    let others = other.reconstruct(&shuffled);
    for (place, index) in order.into_iter().enumerate() {
        let image = |outputs: &[f64], at: usize| outputs[at * PIXELS..][..PIXELS].to_vec();
        for (a, b) in image(&others, place)
            .iter()
            .zip(image(&outputs, index as usize))
        {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}

#[test]
fn logistic_pca_never_loses_and_ends_as_it_says() {
    let train = spots(0..50);
    let mut seen = vec![];
    let found = LogisticPca::fit(&train, 4, Settings::default(), &mut |epoch, criterion| {
        seen.push((epoch, criterion));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(seen.is_sorted_by(|a, b| a.0 + 1 == b.0 && b.1 <= a.1));
    assert_eq!(found.end, End::Converged);
    assert_eq!(seen.first().unwrap().0, 1);
    assert_eq!(*seen.last().unwrap(), (found.epochs, found.criterion));
    let gains: Vec<f64> = seen
        .windows(2)
        .map(|w| (w[0].1 - w[1].1) / w[0].1)
        .collect();
    let (last, before) = gains.split_last().unwrap();
    assert_eq!(*last, found.last_gain);
    assert!(found.last_gain < 1e-4 && before.iter().all(|gain| *gain >= 1e-4));

    // Stopped at an epoch, by the caller or the settings, it is what it was there.
    let stop = &mut |epoch, _| match epoch {
        7 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = LogisticPca::fit(&train, 4, Settings::default(), stop).unwrap();
    assert_eq!((stopped.end, stopped.epochs), (End::Stopped, 7));
    assert_eq!(stopped.criterion, seen[6].1);
    let most_epochs = 7;
    let settings = Settings {
        most_epochs,
        ..Settings::default()
    };
    let mut ended = fit(&train, 4, settings);
    assert_eq!(ended.end, End::MostEpochs);
    ended.end = End::Stopped;
    assert_eq!(ended, stopped);
}

#[test]
fn logistic_pca_stays_finite_where_logits_have_no_bound() {
    let black = images(vec![0; 3 * PIXELS]);
    let white = images(vec![255; 3 * PIXELS]);
    let mixed = images([vec![0; PIXELS], vec![255; PIXELS], vec![0; PIXELS]].concat());
    for images in [black, white, mixed] {
        let settings = Settings {
            least_gain: 1e-3,
            ..Settings::default()
        };
        let found = fit(&images, 2, settings);
        assert_eq!(found.end, End::Converged);
        assert!(found.criterion < 0.1, "{}", found.criterion);
        let error = found.reconstruction_error(&images);
        assert!(error < 1e-3, "{error}");
    }
}

#[test]
fn logistic_pca_says_what_it_cannot_fit() {
    let some = spots(0..3);
    let default = Settings::default();
    let ridge = |ridge| Settings { ridge, ..default };
    let least_gain = |least_gain| Settings {
        least_gain,
        ..default
    };
    let cut = images(vec![0; PIXELS + 1]);
    let error = |images: &Images, components, settings| {
        LogisticPca::fit(images, components, settings, &mut |_, _| {
            panic!("no epoch can be")
        })
        .unwrap_err()
    };
    assert_eq!(error(&images(vec![]), 2, default), Error::NoImages);
    assert_eq!(error(&cut, 2, default), Error::CutImage(PIXELS + 1));
    assert_eq!(error(&some, 0, default), Error::Components(0));
    assert_eq!(error(&some, 785, default), Error::Components(785));
    assert_eq!(error(&some, 2, ridge(0.0)), Error::Ridge(0.0));
    assert!(matches!(error(&some, 2, ridge(f64::NAN)), Error::Ridge(_)));
    assert_eq!(error(&some, 2, least_gain(-1.0)), Error::LeastGain(-1.0));
    assert_eq!(
        error(&some, 785, default).to_string(),
        "logistic PCA: 785 components, where 1 to 784 can be"
    );
}
