use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS};
use adamix_autoencoder::logistic_pca::{LogisticPca, Settings};
use adamix_autoencoder::pca::{Pca, rows};
use adamix_record::{Anchors, LogisticComponents, PrincipalComponents, SCHEMA};

use crate::{Error, Result};

/// Numbers of principal components whose errors are anchors.
const COMPONENTS: [usize; 3] = [2, 6, 30];

/// Components of the logistic principal component analysis.
const LOGISTIC_COMPONENTS: usize = 30;

/// What the simplest reconstructions of this data set reach, fitted on all of
/// its training images: about a minute on MNIST. Once `stop` is set it breaks off.
///
/// # Errors
/// [`Error::Interrupted`] after `stop`.
pub fn anchors(dataset: &Dataset, data_sha256: &str, stop: &AtomicBool) -> Result<Anchors> {
    let (train, test) = (rows(&dataset.train), rows(&dataset.test));
    let pca = Pca::fit(&train, PIXELS);
    let errors = |images| pca.reconstruction_errors(images, &COMPONENTS);
    let principal_components = COMPONENTS
        .into_iter()
        .zip(errors(&train).into_iter().zip(errors(&test)))
        .map(
            |(components, (train_error, test_error))| PrincipalComponents {
                components,
                train_error,
                test_error,
            },
        )
        .collect();
    Ok(Anchors {
        schema: SCHEMA,
        data_sha256: data_sha256.to_owned(),
        mean_image_test_error: mean_image_error(dataset),
        principal_components,
        logistic_pca: logistic(dataset, stop)?,
    })
}

/// `None` for images that it cannot be fitted to.
fn logistic(dataset: &Dataset, stop: &AtomicBool) -> Result<Option<LogisticComponents>> {
    let mut go_on = |_, _| {
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let settings = Settings::default();
    let fitted = LogisticPca::fit(&dataset.train, LOGISTIC_COMPONENTS, settings, &mut go_on);
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    Ok(fitted.ok().map(|fitted| LogisticComponents {
        components: LOGISTIC_COMPONENTS,
        epochs: fitted.epochs,
        last_gain: fitted.last_gain,
        train_error: fitted.reconstruction_error(&dataset.train),
        test_error: fitted.reconstruction_error(&dataset.test),
    }))
}

/// Test error of answering every image with the mean training image. A run
/// that is worse has diverged.
pub fn mean_image_error(dataset: &Dataset) -> f64 {
    let count = |images: &Images| images.count().max(1) as f64;
    let mut sums = vec![0u64; PIXELS];
    for image in dataset.train.pixels.chunks_exact(PIXELS) {
        sums.iter_mut()
            .zip(image)
            .for_each(|(sum, pixel)| *sum += u64::from(*pixel));
    }
    let mean: Vec<f64> = sums
        .iter()
        .map(|sum| *sum as f64 / count(&dataset.train))
        .collect();
    let squares: f64 = dataset
        .test
        .pixels
        .chunks_exact(PIXELS)
        .map(|image| {
            image
                .iter()
                .zip(&mean)
                .map(|(pixel, mean)| (f64::from(*pixel) - mean).powi(2))
                .sum::<f64>()
        })
        .sum();
    squares / (255.0 * 255.0) / count(&dataset.test)
}
