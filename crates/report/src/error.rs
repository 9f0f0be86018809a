use std::path::{Path, PathBuf};

/// What keeps a report from being made; each names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of records is unreadable, damaged or of another schema.
    #[error("{0}; restore it, or remove it and run the experiment again")]
    Record(#[from] adamix_record::Error),
    /// A folder cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two entries stand for the same run, and either could be the right one.
    #[error("{}: {what} twice, as {first} and as {second}; keep one", path.display())]
    Duplicate {
        /// The file that holds or lists the second.
        path: PathBuf,
        /// What is there twice.
        what: String,
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A file does not belong to the study that its folder holds.
    #[error("{}: {key} is {value}, where {expected}; {remedy}", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be, and why.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A picture could not be encoded.
    #[error("{}: the pictures in it cannot be drawn: {why}; remove it and run the experiment again", path.display())]
    Picture {
        /// The record that holds the pixels.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A figure could not be drawn: a fault of this crate.
    #[error("a figure cannot be drawn: {0}; please report this fault")]
    Figure(String),
    /// The page's template could not be filled: a fault of this crate.
    #[error("the page's template: {0:#}; please report this fault")]
    Template(#[from] minijinja::Error),
    /// Settings could not be written as JSON: a fault of this crate.
    #[error("settings as JSON: {0}; please report this fault")]
    Json(#[from] serde_json::Error),
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
