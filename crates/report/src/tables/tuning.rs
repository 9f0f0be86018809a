use adamix_record::{Axis, Text, Tuning, text};

use super::{Cell, Table, arm_column, numbers, of_protocol, words};
use crate::load::{Study, TuningRuns};
use crate::number::{
    CANDIDATE, EPOCH, count, error, grouped, in_a_row, listed, one_by_one, range, setting,
};
use crate::tuning::{axis_name, meaning_of_rate, progress};

/// What was searched for each arm and what was chosen; `None` where nothing
/// is tuned.
pub(crate) fn tuning(study: &Study) -> Option<Table> {
    let tuning = study.protocol.tuning.as_ref()?;
    let mut table = Table::new(
        of_protocol("tuning", &study.protocol),
        caption(tuning) + meaning_of_rate(study),
        vec![
            arm_column(),
            words(text!("searched", "搜索范围")),
            words(text!("candidates", "候选设置")),
            words(text!("chosen", "选定")),
            numbers(text!(
                "validation error of the chosen",
                "选定设置的验证误差"
            )),
            words(text!("on an edge", "是否在边界上")),
        ],
    );
    for arm in &study.tuning {
        let chosen = arm.tuned.chosen;
        let candidate = chosen.and_then(|index| arm.tuned.candidates.get(index));
        let values = candidate.map(|candidate| {
            let axes = arm.tuned.axes.iter().zip(&candidate.values);
            let values: Vec<Text> = axes
                .map(|(axis, value)| {
                    let (name, value) = (axis_name(axis), setting(*value));
                    text!("{name} {value}", "{name} {value}", name, value)
                })
                .collect();
            Cell::from(in_a_row(&values))
        });
        let all = arm.candidates.iter().flatten().map(|run| run.id.clone());
        let all: Vec<_> = all.collect();
        let found = chosen.and_then(|index| arm.tried().get(index)?.error());
        let behind = chosen.and_then(|index| arm.candidates.get(index));
        let behind = behind.into_iter().flatten().map(|run| run.id.clone());
        let behind: Vec<_> = behind.collect();
        let or_nothing = Cell::or_nothing;
        table.rows.push(vec![
            (&arm.label).into(),
            searched(&arm.tuned.axes).into(),
            Cell::from(candidates(arm)).of(&all),
            values
                .unwrap_or_else(|| progress(arm.candidates.iter().flatten()).into())
                .of(&all),
            or_nothing(found.map(|found| Cell::number(found, error).of(&behind))),
            or_nothing(candidate.map(|candidate| edges(arm, &candidate.values).into())),
        ]);
    }
    Some(table)
}

fn caption(tuning: &Tuning) -> Text {
    let seeds: Vec<String> = tuning.seeds.iter().map(u64::to_string).collect();
    let rungs: Vec<Text> = tuning
        .rungs
        .iter()
        .map(|rung| {
            text!(
                "{epochs} ({kept} kept)",
                "{epochs}（保留 {kept} 组）",
                epochs = count(rung.epochs as usize, EPOCH),
                kept = rung.keep,
            )
        })
        .collect();
    text!(
        "How the settings of each arm are chosen: by the mean validation error over the tuning \
         seeds {seeds}, ranked after {rungs}. Every arm has {candidates} to try, and \
         where the best lies on an edge that may be extended, those of one extension more, \
         counted apart. Training sees the \
         first {training} training images, the validation images are the {validation} behind \
         them; no test image is seen. Edge: the value chosen is the first or last of its grid, \
         so a better one may lie beyond.",
        "各方法的设置如何选定：按调优种子 {seeds} 上的平均验证误差，在 {rungs}之后排序。每种方法可试 \
         {candidates}；若最优值落在可扩展的边界上，则另有一次扩展的候选设置，单独计数。训练只用前 {training} 幅训练图像，其后的 {validation} 幅作验证图像，未使用任何\
         测试图像。边界：选定的值是其网格的首个或末个，更好的值可能在网格之外。",
        seeds = listed(&seeds),
        rungs = listed(&rungs),
        candidates = count(tuning.budget, CANDIDATE),
        training = grouped(tuning.train_images as u64),
        validation = grouped(tuning.validation_images as u64),
    )
}

fn searched(axes: &[Axis]) -> Text {
    let axes: Vec<Text> = axes
        .iter()
        .map(|axis| {
            let values: Vec<Text> = axis.values.iter().map(|v| setting(*v).into()).collect();
            let values = match values.as_slice() {
                [first, .., last] if !axis.grid => {
                    let range = range(first, last);
                    text!("{range}, drawn", "{range}，随机抽取", range)
                }
                values => in_a_row(values),
            };
            text!(
                "{name}: {values}",
                "{name}：{values}",
                name = axis_name(axis),
                values
            )
        })
        .collect();
    one_by_one(&axes)
}

fn candidates(arm: &TuningRuns) -> Text {
    let all = arm.tuned.candidates.iter();
    let (extra, budget): (Vec<_>, Vec<_>) = all.partition(|candidate| candidate.extension);
    let budget = budget.len();
    match extra.len() {
        0 => budget.to_string().into(),
        n => text!(
            "{budget}, and {n} of an extension",
            "{budget}，另有扩展的 {n} 组",
            budget,
            n,
        ),
    }
}

/// The axes on whose edge the chosen value lies.
fn edges(arm: &TuningRuns, chosen: &[f64]) -> Text {
    let extended = arm.tuned.candidates.iter().any(|c| c.extension);
    let axes = arm.tuned.axes.iter().zip(chosen);
    let on_edge: Vec<Text> = axes
        .filter(|(axis, _)| axis.grid && axis.values.len() > 1)
        .filter_map(|(axis, value)| {
            let lowest = axis.values.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = axis
                .values
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            let end = match *value {
                v if v <= lowest => text!("lowest", "最小值"),
                v if v >= highest => text!("highest", "最大值"),
                _ => return None,
            };
            let whether = match (axis.extend, extended) {
                (true, true) => text!(", after an extension", "，已扩展一次"),
                (true, false) => Text::default(),
                (false, _) => text!(", an axis that is not extended", "，该轴不扩展"),
            };
            let name = axis_name(axis);
            Some(text!(
                "{name}, the {end}{whether}",
                "{name}，{end}{whether}",
                name,
                end,
                whether
            ))
        })
        .collect();
    match on_edge.as_slice() {
        [] if extended => text!("no, after an extension", "否，已扩展一次"),
        [] => text!("no", "否"),
        edges => one_by_one(edges),
    }
}
