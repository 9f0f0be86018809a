use std::path::PathBuf;

/// What can go wrong between an experiment file and its records. Each says
/// which file, which key, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The experiment file cannot be read.
    #[error("{}: {source}{remedy}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// The experiments there are, where the name was unknown.
        remedy: String,
    },
    /// The experiment file is not of its form.
    #[error("{}:{line}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong, with the nearest valid key.
        what: String,
    },
    /// A setting does not fit the data or the other settings.
    #[error("{}: {key}: {what}", path.display())]
    Setting {
        /// The experiment file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, and what is allowed.
        what: String,
    },
    /// No data set.
    #[error(transparent)]
    Data(#[from] crate::data::Error),
    /// A file of records or of the cache.
    #[error(transparent)]
    Record(#[from] adamix_record::Error),
    /// A file or folder of the store.
    #[error("{}: {source}", path.display())]
    Store {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process runs the same experiment.
    #[error("{}: another process runs this experiment; wait for it, or end it", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// No record of this run.
    #[error("no run {run_id} in {}; `adamix status NAME` names those of an experiment", reports.display())]
    NoRun {
        /// Its id.
        run_id: String,
        /// Where it was looked for.
        reports: PathBuf,
    },
    /// The record that is given is of other data than was found.
    #[error("the run is on {wanted}, not on the {found} found here; name the data with --data")]
    OtherData {
        /// Data of the record.
        wanted: String,
        /// Data found.
        found: String,
    },
    /// What is to compute is not there.
    #[error("--device cuda: {what}")]
    Device {
        /// What is missing, and what to do.
        what: String,
    },
    /// A computation outside a run failed.
    #[error("{doing}: {source}")]
    Compute {
        /// What was being done.
        doing: String,
        /// candle's error.
        source: candle_core::Error,
    },
    /// The user asked to stop. What was done so far is kept.
    #[error("interrupted; run the same command again to go on")]
    Interrupted,
}

impl Error {
    pub(crate) fn store(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Store {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn compute(doing: impl Into<String>) -> impl FnOnce(candle_core::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Compute { doing, source }
    }
}
