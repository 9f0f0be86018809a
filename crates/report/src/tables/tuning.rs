use adamix_record::{Axis, Tuning};

use super::{NOTHING, Table, numbers, words};
use crate::load::{Study, TuningRuns};
use crate::number::{count, error, grouped, listed, significant};
use crate::tuning::meaning_of_rate;

/// What was searched for each arm and what was chosen; `None` where nothing
/// is tuned.
pub(crate) fn tuning(study: &Study) -> Option<Table> {
    let tuning = study.protocol.tuning.as_ref()?;
    let mut table = Table::new(
        caption(tuning) + &meaning_of_rate(study),
        vec![
            words("arm"),
            words("searched"),
            words("candidates"),
            words("chosen"),
            numbers("validation error of the chosen"),
            words("on an edge"),
        ],
    );
    for arm in &study.tuning {
        let chosen = arm.tuned.chosen;
        let candidate = chosen.and_then(|index| arm.tuned.candidates.get(index));
        let values = candidate.map(|candidate| {
            let axes = arm.tuned.axes.iter().zip(&candidate.values);
            let values: Vec<String> = axes
                .map(|(axis, value)| format!("{} {}", axis.name, significant(*value)))
                .collect();
            values.join(", ")
        });
        let found = chosen.and_then(|index| arm.tried().get(index)?.error());
        table.rows.push(vec![
            arm.label.clone(),
            searched(&arm.tuned.axes),
            candidates(arm),
            values.unwrap_or_else(|| "still in tuning".into()),
            found.map_or_else(|| NOTHING.into(), error),
            candidate.map_or_else(|| NOTHING.into(), |candidate| edges(arm, &candidate.values)),
        ]);
    }
    Some(table)
}

fn caption(tuning: &Tuning) -> String {
    let seeds: Vec<String> = tuning.seeds.iter().map(u64::to_string).collect();
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let rungs: Vec<String> = tuning
        .rungs
        .iter()
        .map(|rung| {
            format!(
                "{} ({} kept)",
                count(rung.epochs as usize, "epoch"),
                rung.keep
            )
        })
        .collect();
    let rungs: Vec<&str> = rungs.iter().map(String::as_str).collect();
    format!(
        "How the settings of each arm were chosen: by the mean validation error over the tuning \
         seeds {}, ranked after {}. Every arm had {} to try. Training saw the first {} training \
         images, the validation images are the {} behind them; no test image was seen. Edge: the \
         value chosen is the first or last of its grid, so a better one may lie beyond.",
        listed(&seeds),
        listed(&rungs),
        count(tuning.budget, "candidate"),
        grouped(tuning.train_images as u64),
        grouped(tuning.validation_images as u64),
    )
}

fn searched(axes: &[Axis]) -> String {
    let axes: Vec<String> = axes
        .iter()
        .map(|axis| {
            let values: Vec<String> = axis.values.iter().map(|v| significant(*v)).collect();
            let range = match values.as_slice() {
                [first, .., last] if !axis.grid => format!("{first} to {last}, drawn"),
                values => values.join(", "),
            };
            format!("{}: {range}", axis.name)
        })
        .collect();
    axes.join("; ")
}

fn candidates(arm: &TuningRuns) -> String {
    let all = arm.tuned.candidates.iter();
    let (extra, budget): (Vec<_>, Vec<_>) = all.partition(|candidate| candidate.extension);
    match extra.len() {
        0 => budget.len().to_string(),
        n => format!("{}, and {n} of an extension", budget.len()),
    }
}

/// The axes on whose edge the chosen value lies.
fn edges(arm: &TuningRuns, chosen: &[f64]) -> String {
    let extended = arm.tuned.candidates.iter().any(|c| c.extension);
    let axes = arm.tuned.axes.iter().zip(chosen);
    let on_edge: Vec<String> = axes
        .filter(|(axis, _)| axis.grid && axis.values.len() > 1)
        .filter_map(|(axis, value)| {
            let lowest = axis.values.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = axis
                .values
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            let end = match *value {
                v if v <= lowest => "lowest",
                v if v >= highest => "highest",
                _ => return None,
            };
            let whether = match (axis.extend, extended) {
                (true, true) => ", after an extension",
                (true, false) => "",
                (false, _) => ", an axis that is not extended",
            };
            Some(format!("{}, the {end}{whether}", axis.name))
        })
        .collect();
    match on_edge.as_slice() {
        [] if extended => "no, after an extension".into(),
        [] => "no".into(),
        edges => edges.join("; "),
    }
}
