use serde::{Deserialize, Serialize};

/// Figures of the data set itself, computed by the harness: what the simplest
/// reconstructions reach. All errors are means over images of the sum over
/// pixels of the squared difference, pixels scaled to 0..1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Anchors {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// SHA-256 of the data set.
    pub data_sha256: String,
    /// Test error of answering every image with the mean training image.
    pub mean_image_test_error: f64,
    /// Principal component analysis fitted on the training images.
    pub principal_components: Vec<PrincipalComponents>,
    /// Logistic principal component analysis fitted on the training images.
    pub logistic_pca: Option<LogisticComponents>,
}

/// Reconstruction error of a projection on the first principal directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrincipalComponents {
    /// Number of directions kept.
    pub components: usize,
    /// Error on the training images.
    pub train_error: f64,
    /// Error on the test images.
    pub test_error: f64,
}

/// Reconstruction error of a network pixels - components - pixels with a linear
/// code and logistic outputs, trained on the cross-entropy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogisticComponents {
    /// Units of the code.
    pub components: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Share of the criterion that the last of them gained.
    pub last_gain: f64,
    /// Error on the training images.
    pub train_error: f64,
    /// Error on the test images.
    pub test_error: f64,
}
