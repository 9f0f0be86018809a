//! Tables, one file each: rows of text, computed from the records.

mod ablation;
mod assumptions;
mod convergence;
mod cost;
mod coverage;
mod differences;
mod final_errors;
mod ledger;
mod reference;
mod runs;
mod samples;
mod tuning;

pub(crate) use ablation::ablation;
pub(crate) use assumptions::assumptions;
pub(crate) use convergence::convergence;
pub(crate) use cost::{declared, disagreements, measured};
pub(crate) use coverage::coverage;
pub(crate) use differences::differences;
pub(crate) use final_errors::final_errors;
pub(crate) use ledger::{Ledger, ledger};
pub(crate) use reference::reference;
pub(crate) use runs::{environments, runs, tuning_runs};
pub(crate) use samples::{Gallery, gallery};
pub(crate) use tuning::tuning;

use serde::Serialize;

/// A table of text. The first cell of a row names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A column's heading, and whether it holds numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Column {
    pub(crate) heading: String,
    pub(crate) numeric: bool,
}

impl Table {
    fn new(caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self {
            caption: caption.into(),
            columns,
            rows: Vec::new(),
        }
    }
}

fn words(heading: impl Into<String>) -> Column {
    Column {
        heading: heading.into(),
        numeric: false,
    }
}

fn numbers(heading: impl Into<String>) -> Column {
    Column {
        heading: heading.into(),
        numeric: true,
    }
}

/// What stands where there is nothing to tell.
const NOTHING: &str = "\u{2013}";
