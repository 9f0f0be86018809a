//! The statistics: held against NumPy, SciPy and statsmodels, at the edges, and
//! in what must hold whatever the numbers.

#![allow(clippy::unwrap_used)] // clippy knows no tests but `#[test]` functions

mod coverage;
mod edges;
mod fixtures;
mod properties;
