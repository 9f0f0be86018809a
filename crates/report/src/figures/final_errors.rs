//! Final test error of every arm: seeds as points, mean and interval.

use adamix_record::{RunId, Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{
    INK, PX, Style, Width, beside, group, ink, label, logarithmic_range, room, svg, ticks,
};
use super::language::coded;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::load::Study;
use crate::number::{self, digits};
use crate::provenance::Provenance;
use crate::statistics::{Estimate, mean_interval};

struct Row {
    arm: String,
    label: Text,
    style: Style,
    /// With their seeds.
    errors: Vec<(u64, f64)>,
    mean: Estimate,
    /// In the order of the errors.
    runs: Vec<RunId>,
}

/// The seeds, then the mean.
fn series(row: &Row) -> [Series; 2] {
    let of = |columns, label: Text| Series {
        label,
        arm: Some(row.arm.clone()),
        columns,
        runs: row.runs.clone(),
    };
    let label = &row.label;
    [
        of(
            vec![
                column("seed", row.errors.iter().map(|(seed, _)| *seed)),
                column("test error", row.errors.iter().map(|(_, error)| *error)),
                column("run", row.runs.iter().map(RunId::as_str)),
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

/// With `seeds`, each has a mark of its own; else all are dots of one element.
pub(super) fn figure(
    name: &str,
    study: &Study,
    seeds: bool,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let rows: Vec<Row> = study
        .arms
        .iter()
        .filter_map(|arm| {
            let errors = study.final_errors(arm);
            let values: Vec<f64> = errors.iter().map(|(_, e)| *e).collect();
            Some(Row {
                arm: arm.arm.name.clone(),
                label: arm.label().clone(),
                style: Style::of(arm.style),
                mean: mean_interval(&values, 0.95)?,
                errors,
                runs: study.counted(arm),
            })
        })
        .collect();
    let lowest = rows
        .iter()
        .min_by(|a, b| a.mean.point.total_cmp(&b.mean.point));
    let Some(lowest) = lowest else {
        return Ok(None);
    };
    let words = Words {
        title: text!(
            "Which arm ends with the lowest test error?",
            "哪种方法的最终测试误差最低？"
        ),
        caption: text!(
            "Test error after the last epoch: every seed a pale mark, the mean a solid one, the \
             bar its 95\u{202f}% Student interval. The bars of two arms may overlap although \
             their difference, taken seed by seed, is clear.",
            "最后一轮之后的测试误差：浅色标记为各随机种子，深色标记为均值，横条为均值的 95\u{202f}% Student \
             置信区间。两种方法的横条可能重叠，而按随机种子配对的差值仍然明确。"
        ),
        description: text!(
            "The lowest mean is that of {label}, {mean}.",
            "均值最低的是 {label}，{mean}。",
            label = &lowest.label,
            mean = number::interval(&lowest.mean, number::error),
        ),
    };
    let draw = |width| draw(name, &rows, width, seeds, provenance);
    let series = rows.iter().flat_map(series).collect();
    Figure::new(name, words, series, draw).map(Some)
}

fn draw(
    name: &str,
    rows: &[Row],
    width: Width,
    seeds: bool,
    provenance: &Provenance<'_>,
) -> Result<String> {
    let wide = width == Width::Wide;
    let height = PX * rows.len() as i32 * if wide { 40 } else { 50 };
    let (above, below) = (8 * PX, 42 * PX);
    let values = rows.iter().flat_map(|row| {
        let interval = [row.mean.low, row.mean.high];
        row.errors.iter().map(|(_, e)| *e).chain(interval)
    });
    // A run that diverged is an order of magnitude off, so the scale is logarithmic.
    let range = logarithmic_range(values);
    svg(name, width, above + height + below, |area| {
        let names = rows.iter().map(|row| &row.label);
        let left = if wide {
            room(names, width) + 16 * PX
        } else {
            14 * PX
        };
        let most = if wide { 8 } else { 5 };
        let errors = range
            .clone()
            .log_scale()
            .with_key_points(ticks(&range, most));
        let mut chart = ChartBuilder::on(area)
            .margin_top(above)
            .margin_left(left)
            .margin_right(20 * PX)
            .x_label_area_size(below)
            .build_cartesian_2d(errors, rows.len() as f64..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .bold_line_style(INK.mix(0.2).stroke_width(4))
            .axis_style(INK.mix(0.5).stroke_width(4))
            .set_all_tick_mark_size(4 * PX)
            .label_style(ink(INK))
            .x_label_formatter(&|value| digits(*value, 6))
            .x_desc(coded(&text!(
                "final test error (logarithmic)",
                "最终测试误差（对数刻度）"
            )))
            .draw()?;

        let at = |error: f64, row: f64| {
            let error = error.clamp(range.start, range.end);
            chart.plotting_area().map_coordinate(&(error, row))
        };
        for (i, row) in rows.iter().enumerate() {
            let row_at = |share: f64| i as f64 + share;
            group(area, &[("arm", &row.arm)], || {
                let (x, y) = at(range.start, row_at(if wide { 0.5 } else { 0.25 }));
                if wide {
                    let at = (x - 12 * PX, y);
                    beside(area, &row.label, row.style.color, at, HPos::Right)?;
                } else {
                    label(area, &row.label, row.style, (x + 2 * PX, y), HPos::Left)?;
                }
                let (mean, lower) = if wide { (0.4, 0.68) } else { (0.58, 0.8) };
                let places = row.errors.iter().map(|(_, e)| at(*e, row_at(lower)));
                let places: Vec<_> = places.collect();
                if seeds {
                    let errors = row.errors.iter().zip(&row.runs).zip(places);
                    for (((seed, error), run), place) in errors {
                        let point = format!("seed={seed};test error={}", number::error(*error));
                        let runs = provenance.places([run]);
                        group(area, &[("point", &point), ("runs", &runs)], || {
                            row.style.mark(area, place, 3 * PX, 0.4)
                        })?;
                    }
                } else {
                    row.style.dots(area, places, 3 * PX)?;
                }
                if row.mean.low.is_finite() {
                    let ends = [row.mean.low, row.mean.high].map(|end| at(end, row_at(mean)));
                    area.draw(&PathElement::new(ends, row.style.color.stroke_width(10)))?;
                }
                let [mean_is, low, high] =
                    [row.mean.point, row.mean.low, row.mean.high].map(number::error);
                let point = match row.mean.low.is_finite() {
                    true => format!("mean={mean_is} ({low} to {high})"),
                    false => format!("mean={mean_is}"),
                };
                let runs = provenance.places(&row.runs);
                group(area, &[("point", &point), ("runs", &runs)], || {
                    let place = at(row.mean.point, row_at(mean));
                    row.style.mark(area, place, 5 * PX, 1.0)
                })
            })?;
        }
        Ok(())
    })
}
