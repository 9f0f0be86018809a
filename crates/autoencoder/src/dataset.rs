//! The data sets: images of 28 x 28 grey values, some to train on and some to
//! test on.
//!
//! [`Spec`] names a data set. A new one is a file beside this one's children, a
//! variant of [`Spec`] and a line of the table `NAMED`.

pub mod curves;
pub mod idx;
pub mod mnist;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Rows of an image, and its columns.
pub const SIDE: usize = 28;

/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;

/// A data set in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// `mnist`, `curves`, or the name of an IDX folder.
    pub name: String,
    /// The images to train on.
    pub train: Images,
    /// The images to test on.
    pub test: Images,
}

/// Images in their order, with or without labels.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Images {
    /// Grey values from 0 to 255, image by image, each row by row:
    /// [`count`](Self::count) x 784.
    pub pixels: Vec<u8>,
    /// One label an image, or none at all.
    pub labels: Vec<u8>,
}

impl Images {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.pixels.len() / PIXELS
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("count", &self.count())
            .field("labels", &self.labels.len())
            .finish_non_exhaustive()
    }
}

impl Dataset {
    /// The data set as uncompressed IDX files, by their standard names:
    /// training images, training labels, test images, test labels. Labels are
    /// left out where there are none.
    pub fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let [train_images, train_labels, test_images, test_labels] = idx::FILES;
        let mut files = Vec::with_capacity(4);
        for (images, images_file, labels_file) in [
            (&self.train, train_images, train_labels),
            (&self.test, test_images, test_labels),
        ] {
            files.push((images_file, idx::encode_images(&images.pixels)));
            if !images.labels.is_empty() {
                files.push((labels_file, idx::encode_labels(&images.labels)));
            }
        }
        files
    }

    /// SHA-256, as 64 hexadecimal digits, over the [`files`](Self::files) one
    /// after the other. The name is not part of it.
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        for (_, bytes) in self.files() {
            digest.update(bytes);
        }
        hex::encode(digest.finalize())
    }
}

/// Which data set: what an experiment file, `--data` or `ADAMIX_DATA` says.
///
/// ```
/// use adamix_autoencoder::dataset::Spec;
/// assert_eq!("curves".parse(), Ok(Spec::Curves));
/// assert_eq!("idx:fashion".parse(), Ok(Spec::Idx("fashion".into())));
/// assert_eq!(Spec::Mnist.to_string(), "mnist");
/// let error = "minst".parse::<Spec>().unwrap_err();
/// assert_eq!(error.to_string(), "no data set `minst`; there are mnist, curves, idx:DIR");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Spec {
    /// `mnist`: see [`mod@mnist`].
    Mnist,
    /// `curves`: see [`mod@curves`].
    Curves,
    /// `idx:DIR`: any other images of 28 x 28, as IDX files in the folder DIR:
    /// see [`mod@idx`].
    Idx(PathBuf),
}

/// A data set that is known by a name alone.
struct Named {
    name: &'static str,
    spec: Spec,
    layers: &'static [usize],
    /// How to make it, where it is not found in files.
    generate: Option<fn() -> Dataset>,
}

static NAMED: [Named; 2] = [
    Named {
        name: "mnist",
        spec: Spec::Mnist,
        layers: &MNIST_LAYERS,
        generate: None,
    },
    Named {
        name: "curves",
        spec: Spec::Curves,
        layers: &[784, 400, 200, 100, 50, 25, 6],
        generate: Some(curves::generate),
    },
];

const MNIST_LAYERS: [usize; 5] = [784, 1000, 500, 250, 30];

impl Spec {
    /// Units a layer, from the input to the code, of the network that is
    /// trained on this data set unless the experiment file says otherwise:
    /// those of Hinton & Salakhutdinov (2006), for IDX folders those of MNIST.
    pub fn default_layers(&self) -> &'static [usize] {
        self.named().map_or(&MNIST_LAYERS, |named| named.layers)
    }

    /// The data set, where it is made by computation rather than read.
    pub fn generate(&self) -> Option<Dataset> {
        Some(self.named()?.generate?())
    }

    fn named(&self) -> Option<&'static Named> {
        NAMED.iter().find(|named| named.spec == *self)
    }
}

impl FromStr for Spec {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        if let Some(folder) = text.strip_prefix("idx:")
            && !folder.is_empty()
        {
            return Ok(Self::Idx(folder.into()));
        }
        NAMED
            .iter()
            .find(|named| named.name == text)
            .map(|named| named.spec.clone())
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idx(folder) => write!(f, "idx:{}", folder.display()),
            _ => f.write_str(self.named().map_or("", |named| named.name)),
        }
    }
}

impl TryFrom<String> for Spec {
    type Error = UnknownName;

    fn try_from(text: String) -> Result<Self, UnknownName> {
        text.parse()
    }
}

impl From<Spec> for String {
    fn from(spec: Spec) -> Self {
        spec.to_string()
    }
}

/// A text that is no [`Spec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no data set `{0}`; there are {names}", names = Self::valid())]
pub struct UnknownName(pub String);

impl UnknownName {
    fn valid() -> String {
        let names = NAMED.iter().map(|named| named.name);
        names.chain(["idx:DIR"]).collect::<Vec<_>>().join(", ")
    }
}

/// What can be wrong with a data set's files; each names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file begins as gzip does, but is cut short, altered, or followed by
    /// something else.
    #[error("{}: damaged gzip data: {source}; get the file anew", file.display())]
    Gzip {
        /// The file.
        file: PathBuf,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// The folder does not hold one of the four files.
    #[error("{}: no file {wanted}; also looked for {others}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file's standard name.
        wanted: &'static str,
        /// The other names that are accepted.
        others: String,
    },
    /// The file is not what it has to be.
    #[error("{}: {field}: expected {expected}, found {found}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// Which part or property of it.
        field: &'static str,
        /// What it has to be.
        expected: String,
        /// What it is.
        found: String,
    },
}
