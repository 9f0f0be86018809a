//! Experiment file -> plan -> runs -> records.
//!
//! - [`Experiment`]: a TOML file of `experiments/`, checked.
//! - [`data::find`]: the data set it runs on.
//! - [`Resolved`]: the file with every default filled in, and the plan of runs
//!   it comes to.
//! - [`Store`]: the folder of records, and the cache of what can be computed
//!   again: data, pre-trained starts, checkpoints.
//! - [`run`]: trains what is missing, several runs side by side.
//! - [`measure_cost`], [`anchors`]: the tables beside the runs.
//!
//! The `adamix` program is a thin layer over these.

mod anchors;
mod cost;
pub mod data;
mod environment;
mod error;
mod file;
mod plan;
mod run;
mod starts;
mod store;

pub use anchors::{anchors, mean_image_error};
pub use cost::{measure_cost, measure_rate};
pub use environment::environment;
pub use error::Error;
pub use file::{ArmFile, Experiment, ExperimentFile, FineTuningSettings};
pub use plan::{Resolved, Settings, Work};
pub use run::{Event, Summary, run};
pub use store::{RunState, Store};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
