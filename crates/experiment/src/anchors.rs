use adamix_autoencoder::dataset::{Dataset, Images, PIXELS};
use adamix_autoencoder::pca::{Pca, rows};
use adamix_record::{Anchors, PrincipalComponents, SCHEMA};

/// Numbers of principal components whose errors are anchors.
const COMPONENTS: [usize; 3] = [2, 6, 30];

/// What the simplest reconstructions of this data set reach, fitted on all of
/// its training images.
pub fn anchors(dataset: &Dataset, data_sha256: &str) -> Anchors {
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
    Anchors {
        schema: SCHEMA,
        data_sha256: data_sha256.to_owned(),
        mean_image_test_error: mean_image_error(dataset),
        principal_components,
    }
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
