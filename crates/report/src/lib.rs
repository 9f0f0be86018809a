//! Records to estimates to figures and tables to one HTML page.
//!
//! [`render`] reads the folder of one experiment, `plan.json`, `runs/*.jsonl`
//! and, where they are there, `anchors.json` and `cost.json`, and makes a
//! [`Report`] from nothing else: no clock, no random seed, no network. The same
//! records give the same bytes.
//!
//! ```text
//! load ──▶ Experiment ──┬──▶ findings ──▶ verdict   the claims, in words
//!          Study, one   ├──▶ registration            whether the rules came first
//!          a protocol   ├──▶ tables, figures         one file each
//!                       ├──▶ readings                what the open details decide
//!                       └──▶ page                    all of it in one HTML file
//! ```
//!
//! Records that do not belong together are an [`Error`]. Runs that are missing,
//! failed, diverged or still running are shown as such, never dropped. A run
//! that diverged counts with the error of the mean image, which is what
//! answering every image alike would reach.
//!
//! [`statistics`] and [`verdict`] are public, so that the rules can be read and
//! checked without a page.

mod error;
mod figures;
mod findings;
mod index;
mod load;
mod number;
mod page;
mod provenance;
mod readings;
mod registration;
pub mod statistics;
mod tables;
mod tuning;
pub mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use adamix_record::write_atomically;

pub use error::Error;
pub use index::{Comparison, compare, index};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What is known from one folder of records, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The page: one file that loads nothing else.
    pub html: String,
    /// The figures as SVG by name; `name.svg` is the file.
    pub figures: BTreeMap<String, String>,
    /// One line on the runs and one a claim, in plain text for a terminal.
    pub summary: String,
}

/// Makes the report of the experiment whose records are in `folder`.
///
/// # Errors
/// Where a record is damaged, stands there twice or belongs to another study;
/// the error names the file and the remedy.
pub fn render(folder: &Path) -> Result<Report> {
    let experiment = load::experiment(folder)?;
    let figures = figures::Figures::draw(&experiment)?;
    let (html, _tables) = page::html(&experiment, &figures)?;
    Ok(Report {
        html,
        summary: page::summary(&experiment),
        figures: figures
            .all()
            .map(|figure| (figure.name.clone(), figure.file.clone()))
            .collect(),
    })
}

impl Report {
    /// Writes `index.html` and `figures/*.svg` into `folder`. A reader never
    /// sees half a file.
    ///
    /// # Errors
    /// Where a file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let figures = folder.join("figures");
        std::fs::create_dir_all(&figures).map_err(|e| Error::io(&figures, e))?;
        for (name, svg) in &self.figures {
            write_atomically(&figures.join(format!("{name}.svg")), svg.as_bytes())?;
        }
        write_atomically(&folder.join("index.html"), self.html.as_bytes())?;
        Ok(())
    }
}
