//! Update rules, learning-rate schedules and parameter groups for candle.
//!
//! The crate carries the optimizers of the AdaMix study: AdaMix in five
//! readings of its weight rate and four of its bias rate, AdaGrad, AdaDec, and
//! SGD, momentum, Nesterov, RMSProp, AdaDelta, Adam and AdamW beside them. It
//! reads no clock, prints nothing, holds no global state and draws no random
//! number.
//!
//! - [`Rule`]: what is done to one parameter; one file a rule in [`rules`].
//! - [`Schedule`]: the learning rate over time.
//! - [`GroupConfig`] pairs the two, [`OptimizerConfig`] gives one pair to the
//!   weights and one to the biases, [`GroupedOptimizer`] trains with it.
//! - [`Rule::cost`]: what an update costs, counted by running the rule.

mod cost;
pub mod cuda;
mod error;
mod kernel;
mod memory;
mod number;
mod optimizer;
pub mod rules;
mod schedule;

pub use cost::UpdateCost;
pub use error::Invalid;
pub use memory::{Float, with_slices};
pub use number::{Counting, Number, Tally};
pub use optimizer::{
    GroupConfig, GroupedOptimizer, OptimizerConfig, Param, ParamKind, step_scalar,
};
pub use rules::Rule;
pub use schedule::{Per, Schedule};

/// The README's example of a user's own model, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
