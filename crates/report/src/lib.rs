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
//! Every sentence is a [`Text`](adamix_record::Text), in English and Chinese,
//! and the page shows one of them. Every cell knows the runs behind it. Beside
//! the page lie `figures/`, `tables/` and `report.json`, the same for machines,
//! with its schema.
//!
//! Records that do not belong together are an [`Error`]. Runs that are missing,
//! failed, diverged or still running are shown as such, never dropped. A run
//! that diverged counts with the error of the mean image, which is what
//! answering every image alike would reach.
//!
//! [`statistics`] and [`verdict`] are public, so that the rules can be read and
//! checked without a page.

mod citation;
mod error;
mod export;
mod figures;
mod findings;
mod index;
mod load;
mod machine;
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
pub use figures::growth;
pub use index::{Comparison, compare, index};

/// The form of `report.json`.
const SCHEMA: &str = include_str!("../report.schema.json");

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What is known from one folder of records, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The page: one file that loads nothing else.
    pub html: String,
    /// The figures by file name: each as SVG and PDF.
    pub figures: BTreeMap<String, Vec<u8>>,
    /// The tables by file name: each as CSV, JSON and LaTeX.
    pub tables: BTreeMap<String, String>,
    /// All of it for machines, under `report.schema.json`.
    pub json: String,
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
    let provenance = provenance::Provenance::of(&experiment);
    let drawn = figures::Figures::draw(&experiment, &provenance)?;
    let shown = page::show(&experiment, &drawn, provenance)?;
    let mut tables = BTreeMap::new();
    for table in &shown.tables {
        for (ending, text) in export::files(table)? {
            tables.insert(format!("{}.{ending}", table.name), text);
        }
    }
    let mut figures = BTreeMap::new();
    for figure in drawn.all() {
        figures.insert(
            format!("{}.svg", figure.name),
            figure.file.clone().into_bytes(),
        );
        figures.insert(format!("{}.pdf", figure.name), figure.pdf()?);
    }
    Ok(Report {
        json: machine::json(&experiment, &drawn, &shown)?,
        html: shown.html,
        tables,
        summary: page::summary(&experiment),
        figures,
    })
}

impl Report {
    /// Writes `index.html`, `report.json`, its schema, `figures/*` and `tables/*`
    /// into `folder`, and removes figures and tables of an earlier rendering that are
    /// no more. A reader never sees half a file.
    ///
    /// # Errors
    /// Where a file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let bytes = |(name, text): (&String, &String)| (name.clone(), text.clone().into_bytes());
        let tables = self.tables.iter().map(bytes).collect();
        write_all(&folder.join("figures"), &self.figures, &["svg", "pdf"])?;
        write_all(&folder.join("tables"), &tables, &["csv", "json", "tex"])?;
        write_atomically(&folder.join("report.json"), self.json.as_bytes())?;
        write_atomically(&folder.join("report.schema.json"), SCHEMA.as_bytes())?;
        write_atomically(&folder.join("index.html"), self.html.as_bytes())?;
        Ok(())
    }
}

/// Writes these files, and removes others with one of these endings.
fn write_all(folder: &Path, files: &BTreeMap<String, Vec<u8>>, endings: &[&str]) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    for (name, bytes) in files {
        write_atomically(&folder.join(name), bytes)?;
    }
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ours = ending.is_some_and(|ending| endings.contains(&ending));
        if ours && path.is_file() && name.is_some_and(|name| !files.contains_key(name)) {
            std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
        }
    }
    Ok(())
}
