//! What is written down.
//!
//! One folder an experiment, `reports/<experiment>/`, holds
//!
//! | file | type | written by |
//! |---|---|---|
//! | `plan.json` | [`Plan`]: claims, protocols, arms, seeds and the run ids they come to | `adamix run`, before the first run |
//! | `runs/<run id>.jsonl` | [`RunRecord`]: one [`Line`] a line | `adamix run`, streamed to `.partial`, renamed at its end |
//! | `anchors.json` | [`Anchors`]: figures of the data set itself | `adamix run` |
//! | `cost.json` | [`Cost`]: counted and timed cost of an update | `adamix run`, after the last run |
//!
//! The report is made from these files alone. This crate knows no tensor and
//! no clock: serde types, their canonical form and their files.

mod anchors;
mod claim;
mod cost;
mod error;
mod id;
mod plan;
mod run;
mod text;

pub use anchors::{Anchors, LogisticComponents, PrincipalComponents};
pub use claim::{Claim, Comparison, Statistic};
pub use cost::{Ceilings, Cost, GroupCost, UpdateCost, UpdateTimes};
pub use error::Error;
pub use id::{RunId, canonical_json, sha256_hex};
pub use plan::{
    Arm, Axis, Candidate, Detail, Plan, PlannedRun, Protocol, Reading, Role, Rung, TunedArm, Tuning,
};
pub use run::{
    Backend, DataIdentity, Diagnostics, End, Environment, Evaluation, Header, LayerGradient, Line,
    Outcome, RunRecord, Samples,
};
pub use text::{Bilingual, Text};

/// Version of the files' form. A reader refuses any other.
pub const SCHEMA: u32 = 2;

/// Version of the numerics: raised whenever the same settings and seed would
/// give other bits than before. Part of every [`RunId`].
pub const SEMANTICS_VERSION: u32 = 1;

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Reads one JSON file of this crate's types.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::Json`] where it is
/// not of the type's form; both name the file.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::json(path, e.line(), e))
}

/// Writes one JSON file, indented, through a temporary file beside it and a
/// rename: a reader never sees half of it.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_json<T: serde::Serialize>(path: &std::path::Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::json(path, 0, e))?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

/// Writes `bytes` to `path` through a temporary file beside it and a rename.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_atomically(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    std::fs::write(&temporary, bytes).map_err(|e| Error::io(&temporary, e))?;
    std::fs::rename(&temporary, path).map_err(|e| Error::io(path, e))
}
