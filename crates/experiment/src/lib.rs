//! Experiment file -> plan -> runs -> records.
//!
//! - [`Experiment`]: a TOML file of `experiments/`, checked.
//! - [`data::find`]: the data set it runs on.
//! - [`Resolved`]: the file with every default filled in, protocol by protocol,
//!   and the plan of runs it comes to.
//! - [`Store`]: the folder of records, and the cache of what can be computed
//!   again: data, pre-trained starts, checkpoints.
//! - [`Machine`]: what computes, the processor or a CUDA device.
//! - [`check`]: whether a device computes what the processor does.
//! - [`run`]: trains what is missing, several runs side by side.
//! - [`export`]: a run's start and order, for other frameworks.
//! - [`measure_cost`], [`anchors`]: the tables beside the runs.
//! - [`measure_speed`]: how fast cohorts train, against what the device reaches.
//!
//! The `adamix` program is a thin layer over these.

mod anchors;
mod check;
mod cost;
pub mod data;
mod environment;
mod error;
mod export;
mod file;
mod left;
mod machine;
mod plan;
mod protocols;
mod run;
mod speed;
mod starts;
mod store;
mod tune;

pub use anchors::{anchors, mean_image_error};
pub use check::{Check, CheckSettings, check, check_memory};
pub use cost::{measure_cost, measure_rate};
pub use environment::environment;
pub use error::Error;
pub use export::{export, find_record};
pub use file::{
    ArmFile, AxisFile, CrossFile, DetailFile, Experiment, ExperimentFile, FineTuningSettings,
    ProtocolFile, ReadingFile, Sample, Scaling, SpaceFile, TuneFile,
};
pub use left::{Left, left};
pub use machine::{Machine, compile_kernels};
pub use plan::{Resolved, ResolvedProtocol, Series, SeriesArm, Settings, Work};
pub use run::{Event, Job, Summary, Until, run};
pub use speed::{Speed, ceilings, measure_speed};
pub use store::{RunState, Store};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
