use adamix_record::{Cost, Role, Text, UpdateCost, UpdateTimes, text};

use super::convergence::epoch_seconds;
use super::{Cell, Table, arm_column, numbers, of_protocol, words};
use crate::findings::{CostFigure, declared_figures, update_ratios};
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::{self, grouped, interval, significant};
use crate::statistics::{Estimate, mean_interval, median};

/// Where these numbers stand.
const SOURCE: &str = "cost.json";

/// Headline protocols whose arms cost the same, together; one that holds fewer
/// of them goes with it.
pub(crate) fn alike_in_cost(experiment: &Experiment) -> Vec<Vec<&Study>> {
    type Key<'a> = Vec<(&'a Text, &'a UpdateTimes)>;
    let mut alike: Vec<(Key<'_>, Vec<&Study>)> = Vec::new();
    for study in experiment.headline() {
        let key: Key<'_> = costs(study)
            .map(|(arm, cost)| (arm.label(), cost))
            .collect();
        let held = |found: &Key<'_>| key.iter().all(|arm| found.contains(arm));
        match alike.iter_mut().find(|(found, _)| held(found)) {
            Some((_, studies)) => studies.push(study),
            None if key.is_empty() => {}
            None => alike.push((key, vec![study])),
        }
    }
    alike.into_iter().map(|(_, studies)| studies).collect()
}

/// Declared cost of every arm: of all parameters, then of weights and biases.
pub(crate) fn declared(study: &Study) -> Table {
    let mut columns = vec![arm_column(), words(text!("parameters", "参数"))];
    columns.extend(declared_figures().map(|(name, _)| numbers(name)));
    columns.push(words(text!("of which", "其中")));
    let mut table = Table::new(
        of_protocol("declared", &study.protocol),
        text!(
            "Declared cost of one update, a mean per parameter, counted by running the rule on a \
             number type that counts: arithmetic operations (additions, multiplications, \
             divisions and square roots, each counted as one), bytes of state kept between \
             updates, and bytes read and written, at 4 bytes a number. What an update does once \
             for all parameters is not counted.",
            "一次更新的计数开销，按每个参数平均；在一种能计数的数值类型上运行规则得到：算术运算次数\
             （加减、乘、除、开方各计一次）、两次更新之间保存的状态字节数、读写字节数，每个数 4 字节。\
             每次更新对全体参数只做一次的运算不计。"
        ),
        columns,
    );
    for (arm, entry) in costs(study) {
        let all = |figure: CostFigure| entry.per_parameter(figure);
        let group = |cost: UpdateCost| move |figure: CostFigure| figure(&cost);
        table.rows.push(row(arm, text!("all", "全部"), &all));
        for (name, part) in [
            (text!("weights", "连接权重"), &entry.weights),
            (text!("biases", "偏置"), &entry.biases),
        ] {
            let name = text!(
                "{name} ({parameters}), {rule}",
                "{name}（{parameters}），{rule}",
                name,
                parameters = grouped(part.parameters),
                rule = part.rule,
            );
            let figures = group(part.per_parameter);
            table.rows.push(row(arm, name, &figures));
        }
    }
    table
}

fn row(arm: &ArmRuns, parameters: Text, figure: &dyn Fn(CostFigure) -> f64) -> Vec<Cell> {
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
    let mut row = vec![arm.label().into(), parameters.into()];
    row.extend(
        declared_figures().map(|(_, f)| Cell::number(figure(f), significant).sourced(SOURCE)),
    );
    row.push(Cell::from(operations.join(", ")).sourced(SOURCE));
    row
}

/// Measured cost of every arm.
pub(crate) fn measured(study: &Study, cost: &Cost) -> Table {
    let mut table = Table::new(
        of_protocol("measured", &study.protocol),
        text!(
            "Measured cost: medians over {rounds} rounds, all kinds of update timed in turn in \
             each round, on {machine}. The ratio is the update time of AdaMix divided by the \
             arm's, paired by round: the mean of the rounds' ratios, with its 95\u{202f}% Student \
             interval; below 1 AdaMix is faster. A step is forward, backward and update; an epoch is {steps} steps. The \
             update is timed alone, over all parameters after one another; within a step it works \
             on each part of the gradient while a near cache holds it, so what a step takes beside \
             it is not their difference. Arms \
             whose updates are the same work, whatever their learning rates, are timed once.",
            "实测开销：取 {rounds} 次轮番计时的中位数，每次依次测量各类更新，所用机器为 {machine}。\
             比值为 AdaMix 的更新用时除以该方法的更新用时，按次配对后取均值，附 95\u{202f}% Student \
             置信区间；小于 1 表示 AdaMix 更快。一步包括前向、反向与更新；一轮为 {steps} 步。更新是单独计时的，依次遍历全部参数；在一步之中，它在各部分梯度尚在近端缓存时即行更新，\
             因此两者之差并非一步中其余运算的用时。\
             更新运算相同的方法，无论学习率如何，只计时一次。",
            rounds = cost
                .entries
                .first()
                .map_or(0, |entry| entry.update_seconds.len()),
            machine = timing_machine(cost),
            steps = costs(study)
                .next()
                .map_or(0, |(_, entry)| entry.steps_per_epoch),
        ),
        vec![
            arm_column(),
            numbers(text!("update, ns per parameter", "更新，ns/参数")),
            numbers(text!("step, ms", "一步，ms")),
            numbers(text!("epoch, s", "一轮，s")),
            numbers(text!("AdaMix / arm", "AdaMix / 该方法")),
        ],
    );
    let ours = study.only(Role::Adamix);
    let or_nothing = |cell: Option<Cell>| Cell::or_nothing(cell.map(|cell| cell.sourced(SOURCE)));
    for (arm, entry) in costs(study) {
        let parameters = (entry.weights.parameters + entry.biases.parameters) as f64;
        let number = |value: Option<f64>| value.map(|v| Cell::number(v, significant));
        let update = median(&entry.update_seconds);
        let ratio = ours
            .filter(|ours| ours.arm.name != arm.arm.name)
            .and_then(|ours| ours.cost.as_ref())
            .and_then(|ours| {
                if ours == entry {
                    return Some(text!("the same update", "更新相同").into());
                }
                let ratio = update_ratio(ours, entry)?;
                Some(Cell::estimate(&ratio, number::ratio))
            });
        table.rows.push(vec![
            arm.label().into(),
            or_nothing(number(update.map(|s| s * 1e9 / parameters))),
            or_nothing(number(median(&entry.step_seconds).map(|s| s * 1e3))),
            or_nothing(number(epoch_seconds(entry))),
            or_nothing(ratio),
        ]);
    }
    table
}

/// How AdaMix's cost stands to another arm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Cheaper,
    Equal,
    Dearer,
    /// Lower in one figure and higher in another.
    Mixed,
}

/// One sentence for every arm whose declared and measured cost beside AdaMix
/// point different ways.
pub(crate) fn disagreements(study: &Study) -> Vec<(Role, Text)> {
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
                (_, high) if high < 1.0 => Order::Cheaper,
                (low, _) if low > 1.0 => Order::Dearer,
                _ => Order::Equal,
            };
            // Figures that point both ways foretell nothing to disagree with.
            if declared == measured || declared == Order::Mixed {
                return None;
            }
            let label = arm.label();
            let sentence = text!(
                "Declared and measured disagree: by its declared cost AdaMix is {declared}, by \
                 measured time it is {measured} (ratio {ratio}).",
                "计数开销与实测不一致：按计数开销，AdaMix {declared}；按实测用时，AdaMix \
                 {measured}（比值 {ratio}）。",
                declared = match declared {
                    Order::Cheaper => text!("cheaper than {label}", "低于 {label}", label),
                    Order::Dearer => text!("dearer than {label}", "高于 {label}", label),
                    _ => text!("equal to {label}", "与 {label} 相等", label),
                },
                measured = match measured {
                    Order::Cheaper => text!("faster", "更快"),
                    Order::Dearer => text!("slower", "更慢"),
                    _ => text!("neither faster nor slower", "不快也不慢"),
                },
                ratio = interval(&ratio, number::ratio),
            );
            Some((arm.arm.role, sentence))
        })
        .collect()
}

fn declared_order(ours: &UpdateTimes, other: &UpdateTimes) -> Order {
    let differences =
        declared_figures().map(|(_, f)| ours.per_parameter(f) - other.per_parameter(f));
    let lower = differences.iter().any(|d| *d < -1e-9);
    let higher = differences.iter().any(|d| *d > 1e-9);
    match (lower, higher) {
        (true, false) => Order::Cheaper,
        (false, true) => Order::Dearer,
        (false, false) => Order::Equal,
        (true, true) => Order::Mixed,
    }
}

fn update_ratio(ours: &UpdateTimes, other: &UpdateTimes) -> Option<Estimate> {
    mean_interval(&update_ratios(ours, other), 0.95)
}

/// The arms whose cost is known.
pub(crate) fn costs(study: &Study) -> impl Iterator<Item = (&ArmRuns, &UpdateTimes)> {
    let arms = study.arms.iter();
    arms.filter_map(|arm| Some((arm, arm.cost.as_ref()?)))
}

/// The machine that the times are of.
pub(crate) fn timing_machine(cost: &Cost) -> String {
    let environment = &cost.environment;
    environment
        .gpu
        .clone()
        .unwrap_or_else(|| environment.processor.clone())
}
