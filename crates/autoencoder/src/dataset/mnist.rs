//! MNIST: 60,000 images of handwritten digits to train on, 10,000 to test on
//! (LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to
//! document recognition", 1998), each 28 x 28.

use sha2::{Digest, Sha256};

use super::{Dataset, Error};

/// Images to train on.
pub const TRAIN_IMAGES: usize = 60_000;

/// Images to test on.
pub const TEST_IMAGES: usize = 10_000;

/// [`Dataset::sha256`] of the four files.
pub const SHA256: &str = "b2d8f5bf39174ee5ffeefa97e42d673c35432b411bb5d1f74fbbeddae7f1690a";

/// The four files as published, uncompressed: name and SHA-256.
pub const FILES: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

/// Holds the data set against MNIST as published, byte by byte.
///
/// # Errors
/// [`Error::Content`] with the first of the four files that differs, in its
/// number of images or its SHA-256; the file is named as if the data set was
/// in the current folder.
pub fn verify(dataset: &Dataset) -> Result<(), Error> {
    let counts = [
        (FILES[0].0, TRAIN_IMAGES, dataset.train.count()),
        (FILES[2].0, TEST_IMAGES, dataset.test.count()),
    ];
    for (file, expected, found) in counts {
        if found != expected {
            return Err(Error::Content {
                file: file.into(),
                field: "number of images",
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }
    let files = dataset.files();
    for (file, expected) in FILES {
        let found = match files.iter().find(|(name, _)| *name == file) {
            Some((_, bytes)) => hex::encode(Sha256::digest(bytes)),
            None => "no labels".to_owned(),
        };
        if found != expected {
            return Err(Error::Content {
                file: file.into(),
                field: "SHA-256 of the uncompressed file",
                expected: expected.to_owned(),
                found,
            });
        }
    }
    Ok(())
}
