//! The whole cross of readings as a map: where AdaMix is better, where worse.

use adamix_record::{Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{INK, PX, Width, group, ink, label_in, svg};
use super::language::coded;
use super::{Column, Figure, Series, Words, column};
use crate::Result;
use crate::findings::role_name;
use crate::load::Experiment;
use crate::number::{fixed, interval, listed, percent, range};
use crate::provenance::Provenance;
use crate::readings::{Cross, CrossCell, cross, crossed_roles};

/// Beyond this relative difference the colour says no more.
const FULL: f64 = 0.25;
const BELOW: RGBColor = RGBColor(0x00, 0x5a, 0x94);
const ABOVE: RGBColor = RGBColor(0xb8, 0x4a, 0x00);

pub(super) fn figure(
    name: &str,
    experiment: &Experiment,
    tuned: bool,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let known = |cross: &Cross| {
        let mut cells = cross.cells.iter().flatten();
        cells.any(|cell| matches!(cell, CrossCell::Known { .. }))
    };
    // A map without a result tells nothing.
    let Some(cross) = cross(experiment, tuned).filter(known) else {
        return Ok(None);
    };
    let roles = crossed_roles(experiment);
    let names: Vec<Text> = roles.iter().map(|role| role_name(*role)).collect();
    let words = Words {
        title: text!(
            "Under which readings does AdaMix end below the other methods?",
            "哪些解读下 AdaMix 的最终误差低于其他方法？"
        ),
        caption: text!(
            "The combinations of {details}, all other details at their default{tuned}: relative \
             difference of the final test error between AdaMix and the better of {names} in per \
             cent (the largest of the differences, the one that decides whether AdaMix is below \
             each). Blue and negative: AdaMix is lower than each; orange and positive: it is not. \
             Colours are full at {full}. \u{2020}: a run that is compared diverged and counts \
             with the mean image's error; \u{201c}not run\u{201d}: no seed has ended in all arms \
             yet; a dot: not planned. Exploratory, means over few seeds; their intervals stand at each \
             cell and in report.json.",
            "{details} 的组合，其余细节保持默认{tuned}：AdaMix 与其他方法（{names}）中较优者最终测试误差的相对\
             差值（%），取各差值中最大者，它决定 AdaMix 是否低于每一种方法。蓝色、负值：AdaMix 低于每种\
             方法；橙色、正值：并非如此。差值达到 {full} 时颜色最深。\u{2020}：所比较的运行中有发散的，按平均\
             图像的误差计入；“未运行”：尚无随机种子在所有方法中都已结束；圆点：不在计划中。属探索性分析，为少数\
             随机种子的均值；其置信区间见各格及 report.json。",
            details = listed(&cross.labels),
            tuned = match tuned {
                true => text!(
                    ", the settings of each arm tuned in every combination",
                    "，每种组合中各方法的设置均经调优"
                ),
                false => Text::default(),
            },
            names = listed(&names),
            full = percent(FULL),
        ),
        description: description(&cross),
    };
    let draw = |width| draw(name, &cross, width, provenance);
    Figure::new(name, words, series(&cross), draw).map(Some)
}

/// One a cell that has a result.
fn series(cross: &Cross) -> Vec<Series> {
    let mut series = Vec::new();
    for (row, cells) in cross.rows.iter().zip(&cross.cells) {
        for (column_is, cell) in cross.columns.iter().zip(cells) {
            let CrossCell::Known {
                difference,
                diverged,
                runs,
            } = cell
            else {
                continue;
            };
            let readings = row.iter().chain([column_is]);
            let place: Vec<&str> = readings.clone().map(String::as_str).collect();
            let mut columns: Vec<Column> = cross
                .details
                .iter()
                .zip(readings)
                .map(|(detail, reading)| column(detail, [reading.as_str()]))
                .collect();
            columns.extend([
                column("difference", [difference.point]),
                column("low", [difference.low]),
                column("high", [difference.high]),
                column("diverged", [*diverged]),
            ]);
            series.push(Series {
                label: place.join(", ").into(),
                arm: None,
                columns,
                runs: runs.clone(),
            });
        }
    }
    series
}

fn description(cross: &Cross) -> Text {
    let known = cross.cells.iter().flatten().filter_map(|cell| match cell {
        CrossCell::Known { difference, .. } => Some(difference.point),
        _ => None,
    });
    let known: Vec<f64> = known.collect();
    let planned = cross.cells.iter().flatten();
    let planned = planned.filter(|cell| **cell != CrossCell::NotPlanned);
    let span = known.iter().fold(None, |span, d| match span {
        None => Some((*d, *d)),
        Some((low, high)) => Some((f64::min(low, *d), f64::max(high, *d))),
    });
    let span = span.map_or_else(Text::default, |(low, high)| {
        text!(
            " They span {span}.",
            "差值在 {span} 之间。",
            span = range(percent(low), percent(high)),
        )
    });
    text!(
        "Of {planned} planned combinations {known} have a result; AdaMix is lower than each in \
         {lower}.{span}",
        "计划的 {planned} 种组合中有 {known} 种已有结果；AdaMix 在其中 {lower} 种组合里低于每种方法。{span}",
        planned = planned.count(),
        known = known.len(),
        lower = known.iter().filter(|d| **d < 0.0).count(),
        span,
    )
}

/// White at 0, full at [`FULL`].
fn color(difference: f64) -> (RGBColor, f64) {
    let share = (difference.abs() / FULL).min(1.0);
    // The eye tells pale colours apart better.
    let share = share.sqrt();
    let RGBColor(r, g, b) = if difference < 0.0 { BELOW } else { ABOVE };
    let part = |c: u8| (255.0 + (f64::from(c) - 255.0) * share).round() as u8;
    (RGBColor(part(r), part(g), part(b)), share)
}

fn draw(name: &str, cross: &Cross, width: Width, provenance: &Provenance<'_>) -> Result<String> {
    let wide = width == Width::Wide;
    let line = 18 * PX;
    let row_height = if wide { 30 * PX } else { 28 * PX };
    // Names of the rows' details, then the columns' detail and its readings.
    let above = 2 * line + 8 * PX;
    let height = above + row_height * cross.rows.len() as i32 + 6 * PX;
    let levels = cross.details.len().saturating_sub(1).max(1);
    let letters = |level: usize| {
        let heading = cross.details.get(level).filter(|_| levels > level);
        let names = cross.rows.iter().filter_map(|row| row.get(level));
        let longest = names.chain(heading).map(|name| name.chars().count()).max();
        longest.unwrap_or(0) as i32
    };
    let letter = if wide { 8 * PX } else { 7 * PX };
    let most = width.units() / 2 / levels as i32;
    let rooms: Vec<i32> = (0..levels)
        .map(|level| ((letters(level) + 1) * letter).min(most))
        .collect();
    let left: i32 = rooms.iter().sum::<i32>() + 6 * PX;
    let most_wide = if wide { 110 * PX } else { 90 * PX };
    let columns = cross.columns.len().max(1) as i32;
    let column_width = ((width.units() - left - 6 * PX) / columns).min(most_wide);

    svg(name, width, height, |area| {
        let mut x = 4 * PX;
        for (level, room) in rooms.iter().enumerate() {
            if let Some(detail) = cross.details.get(level).filter(|_| cross.details.len() > 1) {
                label_in(
                    area,
                    &detail.as_str().into(),
                    INK,
                    (x, above - line / 2),
                    HPos::Left,
                )?;
            }
            let mut last = None;
            for (i, row) in cross.rows.iter().enumerate() {
                let outer = row.get(..=level);
                // A name stands once for all rows that share it.
                if let Some(reading) = row.get(level).filter(|_| last != outer) {
                    let y = above + row_height * i as i32 + row_height / 2;
                    label_in(area, &reading.as_str().into(), INK, (x, y), HPos::Left)?;
                }
                last = outer;
            }
            x += room;
        }
        let detail = cross.details.last().map_or("", String::as_str);
        label_in(area, &detail.into(), INK, (left, line / 2), HPos::Left)?;
        for (j, reading) in cross.columns.iter().enumerate() {
            let at = left + column_width * j as i32 + column_width / 2;
            label_in(
                area,
                &reading.as_str().into(),
                INK,
                (at, above - line / 2),
                HPos::Center,
            )?;
        }
        for (i, row) in cross.cells.iter().enumerate() {
            for (j, cell) in row.iter().enumerate() {
                let from = (
                    left + column_width * j as i32,
                    above + row_height * i as i32,
                );
                let to = (from.0 + column_width - PX, from.1 + row_height - PX);
                let middle = (i32::midpoint(from.0, to.0), i32::midpoint(from.1, to.1));
                let centered = |color| ink(color).pos(Pos::new(HPos::Center, VPos::Center));
                match cell {
                    CrossCell::NotPlanned => {
                        area.draw_text("\u{b7}", &centered(INK), middle)?;
                    }
                    CrossCell::NotRun => {
                        let outline = INK.mix(0.35).stroke_width(3);
                        area.draw(&Rectangle::new([from, to], outline))?;
                        let words = coded(&text!("not run", "未运行"));
                        area.draw_text(&words, &centered(INK), middle)?;
                    }
                    CrossCell::Known {
                        difference: estimate,
                        diverged,
                        runs,
                    } => {
                        let difference = estimate.point;
                        let (ground, share) = color(difference);
                        let place = cross.rows.get(i).into_iter().flatten();
                        let place: Vec<&str> = place
                            .chain(cross.columns.get(j))
                            .map(String::as_str)
                            .collect();
                        let lost = if *diverged { ";diverged" } else { "" };
                        let point = format!(
                            "{};difference={}{lost}",
                            place.join(", "),
                            interval(estimate, percent).en
                        );
                        let runs = provenance.places(runs);
                        group(area, &[("point", &point), ("runs", &runs)], || {
                            area.draw(&Rectangle::new([from, to], ground.filled()))
                        })?;
                        if *diverged {
                            let outline = INK.stroke_width(6);
                            area.draw(&Rectangle::new([from, to], outline))?;
                        }
                        let ink = if share > 0.75 { WHITE } else { INK };
                        let sign = if difference > 0.0 { "+" } else { "" };
                        let mark = if *diverged { "\u{2020}" } else { "" };
                        // A diverged run is hundreds of per cent off.
                        let decimals = usize::from(difference.abs() < 1.0);
                        let number = format!("{sign}{}{mark}", fixed(100.0 * difference, decimals));
                        area.draw_text(&number, &centered(ink), middle)?;
                    }
                }
            }
        }
        Ok(())
    })
}
