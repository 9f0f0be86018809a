//! Tables as files: CSV and LaTeX in English, JSON in both languages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use adamix_record::{RunId, canonical_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::{Value, json};

use crate::Result;
use crate::tables::{Cell, NOTHING, Table};

/// Most bytes of one table's files, and of all of them, that the page holds
/// itself; beyond, as with thousands of runs, they lie beside the page alone.
const LARGEST: usize = 500_000;
const MOST: usize = 4_000_000;

/// A table's three files by their endings.
pub(crate) fn files(table: &Table) -> Result<[(&'static str, String); 3]> {
    let mut json = serde_json::to_string(&ordered(&json(table))?)?;
    json.push('\n');
    Ok([("csv", csv(table)), ("json", json), ("tex", latex(table))])
}

/// A file of a table, beside the page and, but for those of many runs, in it.
#[derive(Clone, Serialize)]
pub(crate) struct Download {
    file: String,
    format: &'static str,
}

/// The files of these tables, table by table, and what of them the page holds:
/// their texts by their names as JSON, compressed by zlib, in base64. Without a
/// script, a reader gets them from beside the page.
pub(crate) fn downloads(tables: &[Table]) -> Result<(BTreeMap<String, Vec<Download>>, String)> {
    let mut found = BTreeMap::new();
    let mut inside = BTreeMap::new();
    let mut left = MOST;
    for table in tables {
        let files = files(table)?;
        let size = files.iter().map(|(_, text)| text.len()).sum::<usize>();
        let fits = size <= LARGEST && size <= left;
        if fits {
            left -= size;
        }
        let mut listed = Vec::new();
        for (ending, text) in files {
            let file = format!("{}.{ending}", table.name);
            let format = match ending {
                "csv" => "CSV",
                "json" => "JSON",
                _ => "LaTeX",
            };
            if fits {
                inside.insert(file.clone(), text);
            }
            listed.push(Download { file, format });
        }
        found.insert(table.name.clone(), listed);
    }
    let mut compressor = ZlibEncoder::new(Vec::new(), Compression::best());
    serde_json::to_writer(&mut compressor, &inside)?;
    let inside = compressor.finish().map_err(serde_json::Error::custom)?;
    Ok((found, BASE64.encode(inside)))
}

/// The table as JSON: texts in both languages, numbers unrounded, run ids.
pub(crate) fn json(table: &Table) -> Value {
    let cell = |cell: &Cell| {
        let mut value = json!({ "text": cell.text });
        let parts = [
            ("below", json!(cell.below)),
            ("values", json!(cell.values)),
            ("runs", json!(cell.runs)),
        ];
        for (key, part) in parts {
            if part.as_array().is_some_and(|part| !part.is_empty()) {
                value[key] = part;
            }
        }
        if let Some(source) = cell.source {
            value["source"] = json!(source);
        }
        // Files are named by the text already.
        if let Some(place) = cell
            .place
            .as_ref()
            .and_then(|place| place.strip_prefix('#'))
        {
            value["place"] = json!(place);
        }
        value
    };
    let row = |row: &Vec<Cell>| row.iter().map(cell).collect::<Vec<_>>();
    json!({
        "name": table.name,
        "caption": table.caption,
        "columns": table.columns.iter().map(|column| &column.heading).collect::<Vec<_>>(),
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// With its keys in order, whatever features serde_json has.
pub(crate) fn ordered(value: &Value) -> Result<Value> {
    Ok(serde_json::from_str(&canonical_json(value))?)
}

/// One line a row. A column of estimates becomes three, of ranges two; the last
/// column holds the ids of the runs behind the row.
fn csv(table: &Table) -> String {
    let width = |column: usize| {
        let values = table.rows.iter().filter_map(|row| row.get(column));
        values
            .map(|cell| cell.values.len().min(3))
            .max()
            .unwrap_or(0)
            .max(1)
    };
    let widths: Vec<usize> = match table.rows.iter().flatten().any(|c| c.badge.is_some()) {
        // Verdicts: their numbers are of several comparisons.
        true => vec![1; table.columns.len()],
        false => (0..table.columns.len()).map(width).collect(),
    };
    let mut heading: Vec<String> = Vec::new();
    for (column, width) in table.columns.iter().zip(&widths) {
        let name = &column.heading.en;
        let parts: &[&str] = match width {
            1 => &[""],
            2 => &[", low", ", high"],
            _ => &["", ", low", ", high"],
        };
        heading.extend(parts.iter().map(|part| format!("{name}{part}")));
    }
    heading.push("run ids".into());
    let mut text = line(&heading);
    for row in &table.rows {
        let mut fields = Vec::new();
        for (cell, width) in row.iter().zip(&widths) {
            let mut own: Vec<String> = match cell.values.len() == *width && cell.badge.is_none() {
                true => cell.values.iter().map(|v| number(*v)).collect(),
                false if cell.text.en == NOTHING => Vec::new(),
                false => vec![words(cell, "; ")],
            };
            own.resize(*width, String::new());
            fields.extend(own);
        }
        let mut runs: Vec<&RunId> = row.iter().flat_map(|cell| &cell.runs).collect();
        runs.sort();
        runs.dedup();
        let runs: Vec<&str> = runs.iter().map(|id| id.as_str()).collect();
        fields.push(runs.join(" "));
        text += &line(&fields);
    }
    text
}

/// Unrounded; nothing where it is not finite, as the end of an interval from one value.
fn number(value: f64) -> String {
    match value.is_finite() {
        true => value.to_string(),
        false => String::new(),
    }
}

/// As RFC 4180 has it.
fn line(fields: &[String]) -> String {
    let quoted = |field: &String| match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    };
    let fields: Vec<String> = fields.iter().map(quoted).collect();
    fields.join(",") + "\r\n"
}

/// What the cell says in English, its lines put together.
fn words(cell: &Cell, between: &str) -> String {
    let lines = std::iter::once(&cell.text).chain(&cell.below);
    let lines: Vec<&str> = lines.map(|line| line.en.as_str()).collect();
    lines.join(between)
}

/// A table for the LaTeX package booktabs.
fn latex(table: &Table) -> String {
    let columns = table.columns.iter();
    let columns: String = columns
        .map(|column| if column.class == "number" { 'r' } else { 'l' })
        .collect();
    let row = |cells: Vec<String>| cells.join(" & ") + " \\\\\n";
    let headings = table
        .columns
        .iter()
        .map(|c| escaped(&c.heading.en))
        .collect();
    let mut text = format!(
        "% Needs \\usepackage{{booktabs}}\n\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\
         \\label{{tab:{}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n",
        escaped(&table.caption.en),
        table.name,
        row(headings),
    );
    for cells in &table.rows {
        text += &row(cells
            .iter()
            .map(|cell| escaped(&words(cell, "; ")))
            .collect());
    }
    text + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
}

/// Text as LaTeX takes it, in ASCII where it can be.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\\' => escaped += "\\textbackslash{}",
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '\u{2212}' => escaped += "$-$",
            '\u{202f}' => escaped += "\\,",
            '\u{2013}' => escaped += "--",
            '\u{2026}' => escaped += "\\ldots{}",
            '\u{201c}' => escaped += "``",
            '\u{201d}' => escaped += "''",
            '\u{2020}' => escaped += "\\dag{}",
            '\u{b1}' => escaped += "$\\pm$",
            '\u{b2}' => escaped += "$^2$",
            '\u{b7}' => escaped += "$\\cdot$",
            '\u{d7}' => escaped += "$\\times$",
            '\u{f7}' => escaped += "$\\div$",
            '\u{221a}' => escaped += "$\\surd$",
            '<' | '>' | '|' => {
                let _ = write!(escaped, "${c}$");
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latex_and_csv_are_escaped() {
        assert_eq!(escaped("5\u{202f}% & \u{2212}1_a"), "5\\,\\% \\& $-$1\\_a");
        assert_eq!(
            line(&["a,b".into(), "c\"d".into()]),
            "\"a,b\",\"c\"\"d\"\r\n"
        );
    }
}
