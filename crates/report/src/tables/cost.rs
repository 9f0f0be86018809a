use adamix_record::{Cost, Role, UpdateCost, UpdateTimes};

use super::convergence::epoch_seconds;
use super::{NOTHING, Table, numbers, words};
use crate::findings::{CostFigure, DECLARED, update_ratios};
use crate::load::{ArmRuns, Study};
use crate::number::{self, grouped, interval, significant};
use crate::statistics::{Estimate, mean_interval, median};

/// Declared cost of every arm: of all parameters, then of weights and biases.
pub(crate) fn declared(study: &Study) -> Table {
    let mut columns = vec![words("arm"), words("parameters")];
    columns.extend(DECLARED.iter().map(|(name, _)| numbers(*name)));
    columns.push(words("of which"));
    let mut table = Table::new(
        "Declared cost of one update, a mean per parameter, counted by running the rule on a \
         number type that counts: arithmetic operations (additions, multiplications, divisions \
         and square roots, each counted as one), bytes of state kept between updates, and bytes \
         read and written, at 4 bytes a number. What an update does once for all parameters is \
         not counted.",
        columns,
    );
    for (arm, entry) in costs(study) {
        let all = |figure: CostFigure| entry.per_parameter(figure);
        let group = |cost: UpdateCost| move |figure: CostFigure| figure(&cost);
        table.rows.push(row(arm.label(), "all", &all));
        for (name, part) in [("weights", &entry.weights), ("biases", &entry.biases)] {
            let name = format!("{name} ({}), {}", grouped(part.parameters), part.rule);
            let figures = group(part.per_parameter);
            table.rows.push(row(arm.label(), &name, &figures));
        }
    }
    table
}

fn row(label: &str, parameters: &str, figure: &dyn Fn(CostFigure) -> f64) -> Vec<String> {
    let operations: [(&str, CostFigure); 4] = [
        ("+", |c| c.additions),
        ("\u{d7}", |c| c.multiplications),
        ("\u{f7}", |c| c.divisions),
        ("\u{221a}", |c| c.square_roots),
    ];
    let operations: Vec<String> = operations
        .iter()
        .filter(|(_, count)| figure(*count) > 0.0)
        .map(|(sign, count)| format!("{} {sign}", significant(figure(*count))))
        .collect();
    let mut row = vec![label.to_owned(), parameters.to_owned()];
    row.extend(DECLARED.iter().map(|(_, f)| significant(figure(*f))));
    row.push(operations.join(", "));
    row
}

/// Measured cost of every arm.
pub(crate) fn measured(study: &Study, cost: &Cost) -> Table {
    let mut table = Table::new(
        format!(
            "Measured cost: medians over {} rounds, all kinds of update timed in turn in each \
             round, on {}. The ratio is the update time of AdaMix divided by the arm's, paired by \
             round, with its 95\u{202f}% Student interval; below 1 AdaMix is faster. A step is \
             forward, backward and update; an epoch is {} steps. Arms whose updates are the same \
             work, whatever their learning rates, are timed once.",
            cost.entries
                .first()
                .map_or(0, |entry| entry.update_seconds.len()),
            machine(cost),
            costs(study)
                .next()
                .map_or(0, |(_, entry)| entry.steps_per_epoch),
        ),
        vec![
            words("arm"),
            numbers("update, ns per parameter"),
            numbers("step, ms"),
            numbers("epoch, s"),
            numbers("AdaMix / arm"),
        ],
    );
    let ours = study.only(Role::Adamix);
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    for (arm, entry) in costs(study) {
        let parameters = (entry.weights.parameters + entry.biases.parameters) as f64;
        let update = median(&entry.update_seconds);
        let per_parameter = update.map(|s| significant(s * 1e9 / parameters));
        let step = median(&entry.step_seconds).map(|s| significant(s * 1e3));
        let ratio = ours
            .filter(|ours| ours.arm.name != arm.arm.name)
            .and_then(|ours| ours.cost.as_ref())
            .and_then(|ours| {
                if ours == entry {
                    return Some("the same update".to_owned());
                }
                let ratio = update_ratio(ours, entry)?;
                Some(interval(&ratio, number::ratio))
            });
        table.rows.push(vec![
            arm.label().to_owned(),
            or_nothing(per_parameter),
            or_nothing(step),
            or_nothing(epoch_seconds(entry).map(significant)),
            or_nothing(ratio),
        ]);
    }
    table
}

/// One sentence for every arm whose declared and measured cost beside AdaMix
/// point different ways.
pub(crate) fn disagreements(study: &Study) -> Vec<String> {
    let ours = study.only(Role::Adamix);
    let Some((ours, our_cost)) = ours.and_then(|ours| Some((ours, ours.cost.as_ref()?))) else {
        return Vec::new();
    };
    let others = costs(study).filter(|(arm, _)| arm.arm.name != ours.arm.name);
    others
        .filter_map(|(arm, other)| {
            let ratio = update_ratio(our_cost, other)?;
            let declared = declared_order(our_cost, other);
            let measured = match (ratio.low, ratio.high) {
                (_, high) if high < 1.0 => "cheaper",
                (low, _) if low > 1.0 => "dearer",
                _ => "equal",
            };
            // Figures that point both ways foretell nothing to disagree with.
            (declared != measured && declared != "mixed").then(|| {
                format!(
                    "Declared and measured disagree: by its declared cost AdaMix is {declared} \
                     {} {}, by measured time it is {} (ratio {}).",
                    if declared == "equal" { "to" } else { "than" },
                    arm.label(),
                    match measured {
                        "cheaper" => "faster",
                        "dearer" => "slower",
                        _ => "neither faster nor slower",
                    },
                    interval(&ratio, number::ratio)
                )
            })
        })
        .collect()
}

fn declared_order(ours: &UpdateTimes, other: &UpdateTimes) -> &'static str {
    let differences = DECLARED.map(|(_, f)| ours.per_parameter(f) - other.per_parameter(f));
    let lower = differences.iter().any(|d| *d < -1e-9);
    let higher = differences.iter().any(|d| *d > 1e-9);
    match (lower, higher) {
        (true, false) => "cheaper",
        (false, true) => "dearer",
        (false, false) => "equal",
        (true, true) => "mixed",
    }
}

fn update_ratio(ours: &UpdateTimes, other: &UpdateTimes) -> Option<Estimate> {
    mean_interval(&update_ratios(ours, other), 0.95)
}

/// The arms whose cost is known.
fn costs(study: &Study) -> impl Iterator<Item = (&ArmRuns, &UpdateTimes)> {
    let arms = study.arms.iter();
    arms.filter_map(|arm| Some((arm, arm.cost.as_ref()?)))
}

fn machine(cost: &Cost) -> String {
    let environment = &cost.environment;
    environment
        .gpu
        .clone()
        .unwrap_or_else(|| environment.processor.clone())
}
