//! Tables, one file each: rows of cells, computed from the records.

mod ablation;
mod assumptions;
mod convergence;
mod cost;
mod coverage;
mod curves;
mod differences;
mod final_errors;
mod ledger;
mod reference;
mod review;
mod runs;
mod tuning;

pub(crate) use ablation::ablation;
pub(crate) use assumptions::assumptions;
pub(crate) use convergence::{convergence, standing, target, times_to_target};
pub(crate) use cost::{alike_in_cost, costs, declared, disagreements, measured, timing_machine};
pub(crate) use coverage::coverage;
pub(crate) use curves::curves;
pub(crate) use differences::differences;
pub(crate) use final_errors::final_errors;
pub(crate) use ledger::{claim_name, cross, ledger};
pub(crate) use reference::reference;
pub(crate) use review::{artifacts, checklist};
pub(crate) use runs::{environments, runs, state, tuning_runs};
pub(crate) use tuning::tuning;

use adamix_record::{RunId, Text};
use serde::Serialize;

use crate::number::{interval, slug};
use crate::statistics::Estimate;

/// A table. The first cell of a row names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Its files' stem under `tables/`.
    pub(crate) name: String,
    pub(crate) caption: Text,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A column's heading, and what its cells hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Column {
    pub(crate) heading: Text,
    /// Class of its cells: `number`, `claim` or none.
    pub(crate) class: &'static str,
}

/// A cell, and what it comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) text: Text,
    /// Class of the badge's colour, where the text is a verdict.
    pub(crate) badge: Option<&'static str>,
    /// Lines below the text.
    pub(crate) below: Vec<Text>,
    /// The numbers shown, unrounded: of an interval its point, low and high.
    pub(crate) values: Vec<f64>,
    /// The runs behind them.
    pub(crate) runs: Vec<RunId>,
    /// The file or publication behind them, where it is no run.
    pub(crate) source: Option<&'static str>,
    /// Address from the page that it points at: a file, or `#` and the id of
    /// an element.
    pub(crate) place: Option<String>,
}

impl<T: Into<Text>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

impl Cell {
    /// A number with what writes it.
    fn number(value: f64, write: impl Fn(f64) -> String) -> Self {
        Self {
            values: vec![value],
            ..Self::from(write(value))
        }
    }

    /// A whole number.
    fn whole(n: usize) -> Self {
        Self::number(n as f64, |_| n.to_string())
    }

    /// An estimate with its interval.
    fn estimate(estimate: &Estimate, write: impl Fn(f64) -> String) -> Self {
        Self {
            values: vec![estimate.point, estimate.low, estimate.high],
            ..Self::from(interval(estimate, write))
        }
    }

    /// The cell, or one that says that there is nothing to tell.
    fn or_nothing(cell: Option<Self>) -> Self {
        cell.unwrap_or_else(|| NOTHING.into())
    }

    /// The same with the runs behind it.
    fn of(self, runs: &[RunId]) -> Self {
        Self {
            runs: runs.to_vec(),
            ..self
        }
    }

    /// The same with its source.
    fn sourced(self, source: &'static str) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }
}

impl Table {
    fn new(name: impl Into<String>, caption: Text, columns: Vec<Column>) -> Self {
        Self {
            name: name.into(),
            caption,
            columns,
            rows: Vec::new(),
        }
    }
}

/// Name of a table of one protocol.
fn of_protocol(stem: &str, protocol: &adamix_record::Protocol) -> String {
    format!("{stem}-{}", slug(&protocol.name))
}

fn words(heading: impl Into<Text>) -> Column {
    Column {
        heading: heading.into(),
        class: "",
    }
}

fn numbers(heading: impl Into<Text>) -> Column {
    Column {
        heading: heading.into(),
        class: "number",
    }
}

/// The heading of most tables' first column.
fn arm_column() -> Column {
    words(adamix_record::text!("arm", "方法"))
}

/// What stands where there is nothing to tell.
pub(crate) const NOTHING: &str = "\u{2013}";
