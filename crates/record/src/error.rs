use std::path::{Path, PathBuf};

/// What can be wrong with a file of records; each names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not JSON of the expected form.
    #[error("{}:{line}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1 (0 while writing).
        line: usize,
        /// What serde said.
        source: serde_json::Error,
    },
    /// The JSON is well-formed, but contradicts itself or its place.
    #[error("{}: {what}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn json(path: &Path, line: usize, source: serde_json::Error) -> Self {
        Self::Json {
            path: path.to_owned(),
            line,
            source,
        }
    }

    pub(crate) fn invalid(path: &Path, what: impl Into<String>) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
