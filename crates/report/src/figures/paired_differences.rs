//! The final test error of AdaMix minus that of every other arm, seed by seed.

use std::collections::BTreeMap;

use adamix_record::{Role, RunId, Statistic, Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{INK, PX, Style, Width, beside, group, ink, label, room, svg};
use super::language::coded;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::findings::compare;
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::{bound, in_a_row, interval, listed, percent};
use crate::provenance::Provenance;
use crate::statistics::{Estimate, mean_interval};

struct Row {
    arm: String,
    label: Text,
    style: Style,
    /// One a seed, of those that count in both arms.
    differences: Vec<f64>,
    mean: Estimate,
    /// Those seeds, each with its run of AdaMix and of the other arm.
    seeds: Vec<(u64, [RunId; 2])>,
}

impl Row {
    fn runs(&self) -> impl Iterator<Item = &RunId> {
        self.seeds.iter().flat_map(|(_, runs)| runs)
    }
}

/// `None` where no arm is AdaMix, or nothing is to compare. With `seeds`, each
/// has a mark of its own.
pub(super) fn figure(
    name: &str,
    experiment: &Experiment,
    study: &Study,
    seeds: bool,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let claim = experiment.claim_on(Statistic::FinalError);
    let level = claim.map_or(0.95, |claim| claim.confidence);
    let margin = claim.map_or(0.0, |claim| claim.margin);
    let Some(ours) = study.only(Role::Adamix) else {
        return Ok(None);
    };
    let last = |errors: &[f64]| errors.last().copied();
    let others = study.arms.iter().filter(|arm| arm.arm.role != Role::Adamix);
    let rows: Vec<Row> = others
        .filter_map(|other| {
            let differences = compare(study, ours, other, last)?.values;
            Some(Row {
                arm: other.arm.name.clone(),
                label: other.label().clone(),
                style: Style::of(other.style),
                mean: mean_interval(&differences, level)?,
                differences,
                seeds: seeds_of_both(study, ours, other),
            })
        })
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let words = Words {
        title: text!(
            "Does AdaMix end lower than each other arm, seed by seed?",
            "逐个随机种子比较，AdaMix 的最终误差是否更低？"
        ),
        caption: text!(
            "Final test error of {ours} minus that of the other arm, relative to the other arm's \
             mean: every seed a pale mark, the mean a solid one, the bar its {level} Student \
             interval; left of 0 AdaMix is lower. Shaded: within {margin}, which by the claim's \
             rule makes no practical difference. A run that diverged counts with the mean image's \
             error.",
            "{ours} 的最终测试误差减去另一方法的，相对于另一方法的均值：浅色标记为各随机种子，深色标记为均值，横条为\
             均值的 {level} Student 置信区间；0 的左侧表示 AdaMix 更低。阴影为 {margin} 以内，按主张的规则无实际差异。\
             发散的运行按平均图像的误差计。",
            ours = ours.label(),
            level = bound(level),
            margin = bound(margin),
        ),
        description: description(&rows),
    };
    let draw = |width| draw(name, &rows, margin, width, seeds, provenance);
    let series = rows.iter().flat_map(series).collect();
    Figure::new(name, words, series, draw).map(Some)
}

/// In the order in which [`compare`] pairs them.
fn seeds_of_both(study: &Study, ours: &ArmRuns, other: &ArmRuns) -> Vec<(u64, [RunId; 2])> {
    let counted = |arm: &ArmRuns| {
        let seeds = study
            .by_seed(arm, |errors| errors.last().copied())
            .into_iter();
        seeds.map(|(seed, _)| seed).zip(study.counted(arm))
    };
    let others: BTreeMap<u64, RunId> = counted(other).collect();
    counted(ours)
        .filter_map(|(seed, run)| Some((seed, [run, others.get(&seed)?.clone()])))
        .collect()
}

/// The seeds, then the mean.
fn series(row: &Row) -> [Series; 2] {
    let of = |columns, label: Text| Series {
        label,
        arm: Some(row.arm.clone()),
        columns,
        runs: row.runs().cloned().collect(),
    };
    let label = &row.label;
    [
        of(
            vec![
                column("seed", row.seeds.iter().map(|(seed, _)| *seed)),
                column("difference", row.differences.iter().copied()),
            ],
            label.clone(),
        ),
        of(
            vec![
                column("mean", [row.mean.point]),
                column("low", [row.mean.low]),
                column("high", [row.mean.high]),
            ],
            text!("{label}, mean", "{label}，均值", label),
        ),
    ]
}

fn description(rows: &[Row]) -> Text {
    let means: Vec<Text> = rows
        .iter()
        .map(|row| {
            let (label, mean) = (&row.label, interval(&row.mean, percent));
            text!("{label} {mean}", "{label} {mean}", label, mean)
        })
        .collect();
    text!(
        "{answer} Mean difference of AdaMix from: {means}.",
        "{answer}AdaMix 与以下方法的平均差值：{means}。",
        answer = answer(rows),
        means = in_a_row(&means),
    )
}

/// The answer to the title, from the intervals.
fn answer(rows: &[Row]) -> Text {
    let arms = |is: fn(&Estimate) -> bool| {
        let found = rows.iter().filter(|row| is(&row.mean));
        let found: Vec<Text> = found.map(|row| row.label.clone()).collect();
        (!found.is_empty()).then(|| listed(&found))
    };
    let below = arms(|mean| mean.high < 0.0);
    let above = arms(|mean| mean.low > 0.0);
    let open = arms(|mean| mean.low <= 0.0 && mean.high >= 0.0);
    let head = match (&above, &open) {
        (None, None) => return text!("Yes, lower than each.", "是，低于每种方法。"),
        (None, _) => text!("Not shown for each", "并非对每种方法都成立"),
        _ => text!("No", "否"),
    };
    let parts = [
        above.map(|arms| text!("Above {arms}", "高于 {arms}", arms)),
        below.map(|arms| text!("Below {arms}", "低于 {arms}", arms)),
        open.map(|arms| text!("Not told from {arms}", "与 {arms} 无法区分", arms)),
    ];
    // A sentence each, since a list of arms has commas and semicolons of its own.
    let parts = parts.into_iter().flatten();
    parts.fold(text!("{head}.", "{head}。", head), |said, part| {
        text!("{said} {part}.", "{said}{part}。", said, part)
    })
}

fn draw(
    name: &str,
    rows: &[Row],
    margin: f64,
    width: Width,
    seeds: bool,
    provenance: &Provenance<'_>,
) -> Result<String> {
    let wide = width == Width::Wide;
    let height = PX * rows.len() as i32 * if wide { 40 } else { 50 };
    let (above, below) = (8 * PX, 42 * PX);
    let ends = rows.iter().flat_map(|row| {
        let interval = [row.mean.low, row.mean.high].into_iter();
        let finite = interval.filter(|end| end.is_finite());
        row.differences.iter().copied().chain(finite)
    });
    let (low, high) = ends.fold((-margin, margin), |(low, high), d| {
        (low.min(d), high.max(d))
    });
    let spare = (0.05 * (high - low)).max(1e-6);
    let (low, high) = (low - spare, high + spare);
    svg(name, width, above + height + below, |area| {
        let names = rows.iter().map(|row| &row.label);
        let left = if wide {
            room(names, width) + 16 * PX
        } else {
            14 * PX
        };
        let mut chart = ChartBuilder::on(area)
            .margin_top(above)
            .margin_left(left)
            .margin_right(20 * PX)
            .x_label_area_size(below)
            .build_cartesian_2d(low..high, rows.len() as f64..0.0)?;
        let at = |difference: f64, row: f64| (difference.clamp(low, high), row);
        let all = rows.len() as f64;
        let shade = Rectangle::new([at(-margin, 0.0), at(margin, all)], INK.mix(0.08).filled());
        chart.draw_series([shade])?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.2).stroke_width(4))
            .axis_style(INK.mix(0.5).stroke_width(4))
            .set_all_tick_mark_size(4 * PX)
            .label_style(ink(INK))
            .x_labels(if wide { 8 } else { 5 })
            // A tick at 0 comes out beside it by a rounding.
            .x_label_formatter(&|value| bound((1e9 * value).round() / 1e9))
            .x_desc(coded(&text!(
                "relative difference of the final test error",
                "最终测试误差的相对差"
            )))
            .draw()?;
        let at =
            |difference: f64, row: f64| chart.plotting_area().map_coordinate(&at(difference, row));
        let zero = [at(0.0, 0.0), at(0.0, all)];
        area.draw(&PathElement::new(zero, INK.stroke_width(6)))?;
        for (i, row) in rows.iter().enumerate() {
            let row_at = |share: f64| i as f64 + share;
            group(area, &[("arm", &row.arm)], || {
                let (x, y) = at(low, row_at(if wide { 0.5 } else { 0.25 }));
                if wide {
                    let at = (x - 12 * PX, y);
                    beside(area, &row.label, row.style.color, at, HPos::Right)?;
                } else {
                    label(area, &row.label, row.style, (x + 2 * PX, y), HPos::Left)?;
                }
                let (mean, lower) = if wide { (0.4, 0.68) } else { (0.58, 0.8) };
                let places = row.differences.iter().map(|d| at(*d, row_at(lower)));
                if seeds {
                    let differences = row.differences.iter().zip(&row.seeds).zip(places);
                    for ((difference, (seed, runs)), place) in differences {
                        let point = format!("seed={seed};difference={}", percent(*difference));
                        let runs = provenance.places(runs);
                        group(area, &[("point", &point), ("runs", &runs)], || {
                            row.style.mark(area, place, 3 * PX, 0.4)
                        })?;
                    }
                } else {
                    row.style.dots(area, places.collect(), 3 * PX)?;
                }
                if row.mean.low.is_finite() {
                    let ends = [row.mean.low, row.mean.high].map(|end| at(end, row_at(mean)));
                    area.draw(&PathElement::new(ends, row.style.color.stroke_width(10)))?;
                }
                let runs = provenance.places(row.runs());
                let point = format!("mean={}", interval(&row.mean, percent).en);
                group(area, &[("point", &point), ("runs", &runs)], || {
                    row.style
                        .mark(area, at(row.mean.point, row_at(mean)), 5 * PX, 1.0)
                })
            })?;
        }
        Ok(())
    })
}
