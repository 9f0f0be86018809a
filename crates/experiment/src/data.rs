//! Finding the data set, and downloading MNIST where it is not there.
//!
//! What to use is said by the option `--data`, else by the variable
//! `ADAMIX_DATA`, else by the experiment file's `dataset`. The option and the
//! variable take `mnist`, `curves`, `idx:DIR`, or a folder with MNIST's four
//! files. MNIST by its name is looked for in the cache folder, then downloaded.
//! Where only the experiment file asks for MNIST and it cannot be had, CURVES
//! is used in its place, and [`Found::fallback`] says so.

mod hub;

use std::path::{Path, PathBuf};

use adamix_autoencoder::dataset::{self, Dataset, Spec, curves, idx, mnist};
use adamix_record::{DataIdentity, write_atomically};

pub use hub::{DownloadError, Hub};

/// A data set, ready to train on.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which it is.
    pub spec: Spec,
    /// The images.
    pub dataset: Dataset,
    /// What the records say about it.
    pub identity: DataIdentity,
    /// Where it came from, in one line for the user.
    pub origin: String,
    /// Why CURVES was used in place of MNIST, where it was.
    pub fallback: Option<String>,
}

/// Why there is no data set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The option or variable names neither a data set nor a folder.
    #[error("{asked_by} {text}: no such folder, and {unknown}")]
    NoFolder {
        /// `--data` or `ADAMIX_DATA`.
        asked_by: &'static str,
        /// Its value.
        text: String,
        /// What the names are.
        unknown: dataset::UnknownName,
    },
    /// The folder that the option or variable names does not hold MNIST as
    /// published.
    #[error(
        "{asked_by} {folder}: not MNIST as published: {source}; \
         if it is another data set of 28 x 28 images, say idx:{folder}",
        folder = folder.display()
    )]
    NotMnist {
        /// `--data` or `ADAMIX_DATA`.
        asked_by: &'static str,
        /// The folder.
        folder: PathBuf,
        /// Which of its files is wrong, and how.
        source: Box<dataset::Error>,
    },
    /// The folder of an `idx:DIR` cannot be read as a data set.
    #[error("{asked_by} idx:{}: {source}", folder.display())]
    Idx {
        /// `--data`, `ADAMIX_DATA` or `dataset`.
        asked_by: &'static str,
        /// The folder.
        folder: PathBuf,
        /// Which of its files is wrong, and how.
        source: Box<dataset::Error>,
    },
    /// MNIST was asked for by its name and cannot be had.
    #[error(
        "{asked_by} mnist: {source}\n\
         There are three ways on: `--data DIR` or ADAMIX_DATA=DIR with a folder that holds \
         the four IDX files of MNIST, plain or gzip; a network, or HF_ENDPOINT=URL of a \
         mirror of the Hugging Face hub; or `--data curves`, which needs no download"
    )]
    NoMnist {
        /// `--data` or `ADAMIX_DATA`.
        asked_by: &'static str,
        /// Why it is not here.
        source: Box<Unavailable>,
    },
}

/// Why MNIST, looked for by its name, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// It is not in the cache, and nothing may be downloaded.
    #[error("{cache}, and downloading is switched off")]
    Offline {
        /// What is the matter with the cache.
        cache: String,
    },
    /// It is not in the cache, and the download failed.
    #[error("{cache}, and the download failed: {source}")]
    Download {
        /// What is the matter with the cache.
        cache: String,
        /// What went wrong.
        source: DownloadError,
    },
}

/// Finds the data set.
///
/// `wanted` is what the experiment file says, `option` the value of `--data`,
/// `variable` that of `ADAMIX_DATA` (an empty one counts as none). With
/// `offline` nothing is downloaded; else the hub is that of
/// [`Hub::from_environment`]. MNIST is kept in `cache/mnist`, as four
/// uncompressed IDX files. Relative folders are relative to the current one.
///
/// Everything is checked: MNIST, wherever it comes from, is byte by byte what
/// was published. A damaged file in the cache is downloaded again.
///
/// # Errors
/// See [`Error`].
pub fn find(
    wanted: &Spec,
    option: Option<&str>,
    variable: Option<&str>,
    offline: bool,
    cache: &Path,
) -> Result<Found, Error> {
    let hub = (!offline).then(Hub::from_environment);
    find_with(wanted, option, variable, hub.as_ref(), cache)
}

/// As [`find`], with the hub given; with none, nothing is downloaded.
///
/// # Errors
/// As [`find`].
pub fn find_with(
    wanted: &Spec,
    option: Option<&str>,
    variable: Option<&str>,
    hub: Option<&Hub>,
    cache: &Path,
) -> Result<Found, Error> {
    let variable = variable.filter(|text| !text.is_empty());
    let asked = option
        .map(|text| ("--data", text))
        .or(variable.map(|text| ("ADAMIX_DATA", text)));
    let Some((asked_by, text)) = asked else {
        return match wanted {
            Spec::Mnist => Ok(mnist_by_name(hub, cache).unwrap_or_else(instead_of_mnist)),
            Spec::Curves => Ok(generated_curves()),
            Spec::Idx(folder) => idx_folder("dataset", folder),
        };
    };
    match text.parse() {
        Ok(Spec::Mnist) => mnist_by_name(hub, cache).map_err(|why| Error::NoMnist {
            asked_by,
            source: Box::new(why),
        }),
        Ok(Spec::Curves) => Ok(generated_curves()),
        Ok(Spec::Idx(folder)) => idx_folder(asked_by, &folder),
        Err(_) if Path::new(text).is_dir() => mnist_folder(asked_by, Path::new(text)),
        Err(unknown) => Err(Error::NoFolder {
            asked_by,
            text: text.to_owned(),
            unknown,
        }),
    }
}

fn generated_curves() -> Found {
    let dataset = curves::generate();
    let sha256 = dataset.sha256();
    Found {
        spec: Spec::Curves,
        identity: DataIdentity {
            name: dataset.name.clone(),
            canonical: sha256 == curves::SHA256,
            sha256,
        },
        dataset,
        origin: "CURVES, generated".to_owned(),
        fallback: None,
    }
}

fn instead_of_mnist(why: Unavailable) -> Found {
    Found {
        fallback: Some(format!("CURVES is used in place of MNIST: {why}")),
        ..generated_curves()
    }
}

fn idx_folder(asked_by: &'static str, folder: &Path) -> Result<Found, Error> {
    let dataset = idx::read_folder(folder).map_err(|error| Error::Idx {
        asked_by,
        folder: folder.to_owned(),
        source: Box::new(error),
    })?;
    let sha256 = dataset.sha256();
    if sha256 == mnist::SHA256 {
        return Ok(canonical_mnist(dataset, read_from(folder)));
    }
    Ok(Found {
        spec: Spec::Idx(folder.to_owned()),
        identity: DataIdentity {
            // Folders of different data may have one name, or that of a known data set.
            name: format!("{}-{}", dataset.name, &sha256[..8]),
            canonical: false,
            sha256,
        },
        origin: format!("{}, {}", dataset.name, read_from(folder)),
        dataset,
        fallback: None,
    })
}

fn mnist_folder(asked_by: &'static str, folder: &Path) -> Result<Found, Error> {
    let dataset = idx::read_folder(folder)
        .and_then(|dataset| mnist::verify(&dataset).map(|()| dataset))
        .map_err(|error| Error::NotMnist {
            asked_by,
            folder: folder.to_owned(),
            source: Box::new(error),
        })?;
    Ok(canonical_mnist(dataset, read_from(folder)))
}

fn mnist_by_name(hub: Option<&Hub>, cache: &Path) -> Result<Found, Unavailable> {
    let folder = cache.join("mnist");
    let cache_state = match read_cached(&folder) {
        Ok(dataset) => return Ok(canonical_mnist(dataset, read_from(&folder))),
        Err(state) => state,
    };
    let Some(hub) = hub else {
        return Err(Unavailable::Offline { cache: cache_state });
    };
    let dataset = match hub.download_mnist() {
        Ok(dataset) => dataset,
        Err(source) => {
            return Err(Unavailable::Download {
                cache: cache_state,
                source,
            });
        }
    };
    // What was downloaded is good; a cache that cannot be written only costs
    // another download next time.
    let kept = match write_cached(&dataset, &folder) {
        Ok(()) => format!("kept in {}", folder.display()),
        Err(error) => format!("not kept: {error}"),
    };
    let origin = format!(
        "downloaded from {} and {kept} ({cache_state})",
        hub.endpoint
    );
    Ok(canonical_mnist(dataset, origin))
}

/// MNIST from the cache, or in words why not.
fn read_cached(folder: &Path) -> Result<Dataset, String> {
    if !folder.exists() {
        return Err(format!("MNIST is not in {}", folder.display()));
    }
    idx::read_folder(folder)
        .and_then(|dataset| mnist::verify(&dataset).map(|()| dataset))
        .map_err(|error| format!("MNIST in {} is damaged: {error}", folder.display()))
}

fn write_cached(dataset: &Dataset, folder: &Path) -> adamix_record::Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| adamix_record::Error::Io {
        path: folder.to_owned(),
        source,
    })?;
    for (name, bytes) in dataset.files() {
        write_atomically(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// `dataset` has been found to be MNIST as published.
fn canonical_mnist(dataset: Dataset, origin: String) -> Found {
    let name = Spec::Mnist.to_string();
    Found {
        spec: Spec::Mnist,
        identity: DataIdentity {
            name: name.clone(),
            canonical: true,
            sha256: mnist::SHA256.to_owned(),
        },
        dataset: Dataset { name, ..dataset },
        origin: format!("MNIST, {origin}"),
        fallback: None,
    }
}

fn read_from(folder: &Path) -> String {
    format!("read from {}", folder.display())
}
