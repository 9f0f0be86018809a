use adamix_record::{ArmCost, Cost, Role, UpdateCost};

use super::convergence::epoch_seconds;
use super::{NOTHING, Table, numbers, words};
use crate::findings::{CostFigure, DECLARED, update_ratio};
use crate::load::Study;
use crate::number::{self, grouped, interval, significant};
use crate::statistics::median;

/// Declared cost of every arm: of all parameters, then of weights and biases.
pub(crate) fn declared(study: &Study) -> Option<Table> {
    let cost = study.cost.as_ref()?;
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
    for entry in &cost.arms {
        let all = |figure: CostFigure| entry.per_parameter(figure);
        let group = |cost: UpdateCost| move |figure: CostFigure| figure(&cost);
        let label = label(study, entry);
        table.rows.push(row(label.clone(), "all", &all));
        for (name, part) in [("weights", &entry.weights), ("biases", &entry.biases)] {
            let name = format!("{name} ({})", grouped(part.parameters));
            table
                .rows
                .push(row(label.clone(), &name, &group(part.per_parameter)));
        }
    }
    Some(table)
}

fn row(label: String, parameters: &str, figure: &dyn Fn(CostFigure) -> f64) -> Vec<String> {
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
    let mut row = vec![label, parameters.to_owned()];
    row.extend(DECLARED.iter().map(|(_, f)| significant(figure(*f))));
    row.push(operations.join(", "));
    row
}

/// Measured cost of every arm.
pub(crate) fn measured(study: &Study) -> Option<Table> {
    let cost = study.cost.as_ref()?;
    let mut table = Table::new(
        format!(
            "Measured cost: medians over {} rounds, all arms timed in turn in each round, on {}. \
             The ratio is the update time of AdaMix divided by the arm's, paired by round, with \
             its 95\u{202f}% Student interval; below 1 AdaMix is faster. A step is forward, \
             backward and update; an epoch is {} steps.",
            cost.arms.first().map_or(0, |arm| arm.update_seconds.len()),
            machine(cost),
            cost.steps_per_epoch,
        ),
        vec![
            words("arm"),
            numbers("update, ns per parameter"),
            numbers("step, ms"),
            numbers("epoch, s"),
            numbers("AdaMix / arm"),
        ],
    );
    let ours = ours(study, cost);
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    for entry in &cost.arms {
        let update = median(&entry.update_seconds);
        let per_parameter = update.map(|s| significant(s * 1e9 / cost.parameters as f64));
        let step = median(&entry.step_seconds).map(|s| significant(s * 1e3));
        let ratio = ours
            .filter(|ours| ours.arm != entry.arm)
            .and_then(|ours| update_ratio(ours, entry));
        table.rows.push(vec![
            label(study, entry),
            or_nothing(per_parameter),
            or_nothing(step),
            or_nothing(epoch_seconds(study, &entry.arm).map(significant)),
            or_nothing(ratio.map(|ratio| interval(&ratio, number::ratio))),
        ]);
    }
    Some(table)
}

/// One sentence for every arm whose declared and measured cost beside AdaMix
/// point different ways.
pub(crate) fn disagreements(study: &Study) -> Vec<String> {
    let Some((cost, ours)) = study
        .cost
        .as_ref()
        .and_then(|cost| Some((cost, ours(study, cost)?)))
    else {
        return Vec::new();
    };
    let others = cost.arms.iter().filter(|entry| entry.arm != ours.arm);
    others
        .filter_map(|other| {
            let ratio = update_ratio(ours, other)?;
            let declared = declared_order(ours, other);
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
                    label(study, other),
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

fn declared_order(ours: &ArmCost, other: &ArmCost) -> &'static str {
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

fn ours<'a>(study: &Study, cost: &'a Cost) -> Option<&'a ArmCost> {
    let ours = &study.only(Role::Adamix)?.arm.name;
    cost.arms.iter().find(|entry| entry.arm == *ours)
}

fn label(study: &Study, entry: &ArmCost) -> String {
    let arm = study.plan.arms.iter().find(|arm| arm.name == entry.arm);
    arm.map_or_else(|| entry.arm.clone(), |arm| arm.label.clone())
}

fn machine(cost: &Cost) -> String {
    let environment = &cost.environment;
    environment
        .gpu
        .clone()
        .unwrap_or_else(|| environment.processor.clone())
}
