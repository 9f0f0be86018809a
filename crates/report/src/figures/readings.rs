//! The whole cross of readings as a map: where AdaMix is better, where worse.

use adamix_record::{Reading, Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{CLOSE, INK, LINE, PX, Width, group, ink, letters, lines, stacked, svg, within};
use super::language::coded;
use super::{Column, Figure, Series, Words, column};
use crate::Result;
use crate::findings::role_name;
use crate::load::Experiment;
use crate::number::{bound, fixed, in_a_row, interval, listed, percent, range};
use crate::provenance::Provenance;
use crate::readings::{Cross, CrossCell, cross, crossed_roles};
use crate::statistics::Estimate;

/// Height of the letters of an interval.
const SMALL: i32 = 11 * PX;
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
    let known = |cross: &Cross<'_>| {
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
             each), below it its 95\u{202f}% Student interval. Blue and negative: AdaMix is lower \
             than each; orange and positive: it is not; without colour: the interval holds 0. \
             Colours are full at {full}. \u{2020}: a run that is compared diverged and counts \
             with the mean image's error; \u{201c}not run\u{201d}: no seed has ended in all arms \
             yet; a dot: not planned. Exploratory, means over few seeds.",
            "{details} 的组合，其余细节保持默认{tuned}：AdaMix 与其他方法（{names}）中较优者最终测试误差的相对\
             差值（%），取各差值中最大者，它决定 AdaMix 是否低于每一种方法；其下为 95\u{202f}% Student 置信区间。蓝色、负值：AdaMix 低于每种\
             方法；橙色、正值：并非如此；无色：区间包含 0。差值达到 {full} 时颜色最深。\u{2020}：所比较的运行中有发散的，按平均\
             图像的误差计入；“未运行”：尚无随机种子在所有方法中都已结束；圆点：不在计划中。属探索性分析，为少数\
             随机种子的均值。",
            details = listed(
                &cross
                    .details
                    .iter()
                    .map(|detail| detail.label.clone())
                    .collect::<Vec<_>>()
            ),
            tuned = match tuned {
                true => text!(
                    ", the settings of each arm tuned in every combination",
                    "，每种组合中各方法的设置均经调优"
                ),
                false => Text::default(),
            },
            names = listed(&names),
            full = bound(FULL),
        ),
        description: description(&cross),
    };
    let draw = |width| draw(name, &cross, width, provenance);
    Figure::new(name, words, series(&cross), draw).map(Some)
}

/// One a cell that has a result.
fn series(cross: &Cross<'_>) -> Vec<Series> {
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
            let place: Vec<Text> = readings.clone().map(|it| it.meaning.head()).collect();
            let mut columns: Vec<Column> = cross
                .details
                .iter()
                .zip(readings)
                .map(|(detail, reading)| column(&detail.name, [reading.name.as_str()]))
                .collect();
            columns.extend([
                column("difference", [difference.point]),
                column("low", [difference.low]),
                column("high", [difference.high]),
                column("diverged", [*diverged]),
            ]);
            series.push(Series {
                label: in_a_row(&place),
                arm: None,
                columns,
                runs: runs.clone(),
            });
        }
    }
    series
}

fn description(cross: &Cross<'_>) -> Text {
    let known = cross.cells.iter().flatten().filter_map(|cell| match cell {
        CrossCell::Known { difference, .. } => Some(difference),
        _ => None,
    });
    let known: Vec<&Estimate> = known.collect();
    let count = |is: fn(&Estimate) -> bool| known.iter().filter(|known| is(known)).count();
    let planned = cross.cells.iter().flatten();
    let planned = planned.filter(|cell| **cell != CrossCell::NotPlanned);
    let points = known.iter().map(|known| known.point);
    let span = points.fold(None, |span, d| match span {
        None => Some((d, d)),
        Some((low, high)) => Some((f64::min(low, d), f64::max(high, d))),
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
         {lower}, in {clear} of them with the whole interval of the largest difference.{span}",
        "计划的 {planned} 种组合中有 {known} 种已有结果；AdaMix 在其中 {lower} 种组合里低于每种方法，其中 {clear} 种的最大差值的整个区间也在零以下。{span}",
        planned = planned.count(),
        known = known.len(),
        lower = count(|known| known.point < 0.0),
        clear = count(|known| known.high < 0.0),
        span,
    )
}

/// White at 0 and where the interval holds it, full at [`FULL`].
fn color(difference: f64, clear: bool) -> (RGBColor, f64) {
    let share = if clear {
        (difference.abs() / FULL).min(1.0)
    } else {
        0.0
    };
    // The eye tells pale colours apart better.
    let share = share.sqrt();
    let RGBColor(r, g, b) = if difference < 0.0 { BELOW } else { ABOVE };
    let part = |c: u8| (255.0 + (f64::from(c) - 255.0) * share).round() as u8;
    (RGBColor(part(r), part(g), part(b)), share)
}

fn draw(
    name: &str,
    cross: &Cross<'_>,
    width: Width,
    provenance: &Provenance<'_>,
) -> Result<String> {
    let wide = width == Width::Wide;
    let row_height = if wide { 40 * PX } else { 52 * PX };
    let levels = cross.details.len().saturating_sub(1).max(1);
    // On a narrow screen every name that can takes two lines.
    let named = |reading: &Reading| lines(&reading.meaning.head(), if wide { 21 } else { 8 });
    let longest = |level: usize| {
        let names = cross.rows.iter().filter_map(|row| row.get(level));
        let lines = names.flat_map(|it| named(it));
        let either = lines.map(|line| letters(&line.en).max(letters(&line.zh)));
        either.max().unwrap_or(0) as i32
    };
    let letter = if wide { 8 * PX } else { 7 * PX };
    let most = width.units() / 2 / levels as i32;
    let rooms: Vec<i32> = (0..levels)
        .map(|level| ((longest(level) + 2) * letter).min(most))
        .collect();
    let left: i32 = rooms.iter().sum::<i32>() + 6 * PX;
    let most_wide = if wide { 110 * PX } else { 90 * PX };
    let columns = cross.columns.len().max(1) as i32;
    let column_width = ((width.units() - left - 6 * PX) / columns).min(most_wide);
    // The names of the columns' readings; a reading's name tells its detail.
    let most = usize::try_from(column_width / letter).unwrap_or(0);
    let headings = cross.columns.iter();
    let headings: Vec<Vec<Text>> = headings
        .map(|reading| lines(&reading.meaning.head(), most))
        .collect();
    let rows = headings.iter().map(Vec::len).max().unwrap_or(0);
    let above = LINE + CLOSE * (rows as i32 - 1) + 8 * PX;
    let height = above + row_height * cross.rows.len() as i32 + 6 * PX;

    svg(name, width, height, |area| {
        let mut x = 4 * PX;
        for (level, room) in rooms.iter().enumerate() {
            let mut last = None;
            for (i, row) in cross.rows.iter().enumerate() {
                let outer: Option<Vec<&str>> = row
                    .get(..=level)
                    .map(|outer| outer.iter().map(|it| it.name.as_str()).collect());
                // A name stands once for all rows that share it.
                if let Some(reading) = row.get(level).filter(|_| last != outer) {
                    let y = above + row_height * i as i32 + row_height / 2;
                    stacked(area, &named(reading), INK, (x, y), HPos::Left)?;
                }
                last = outer;
            }
            x += room;
        }
        for (j, heading) in headings.iter().enumerate() {
            let at = (left + column_width * j as i32 + column_width / 2, above / 2);
            stacked(area, heading, INK, at, HPos::Center)?;
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
                        let Estimate { low, high, .. } = *estimate;
                        let (ground, share) = color(difference, low > 0.0 || high < 0.0);
                        let place = cross.rows.get(i).into_iter().flatten();
                        let place: Vec<Text> = place
                            .chain(cross.columns.get(j))
                            .map(|it| it.meaning.head())
                            .collect();
                        let place = in_a_row(&place);
                        let lost = if *diverged { ";diverged" } else { "" };
                        let point = format!("difference={}{lost}", interval(estimate, percent).en);
                        let runs = provenance.places(runs);
                        let data = [
                            ("label", place.en.as_str()),
                            ("label-zh", &place.zh),
                            ("point", &point),
                            ("runs", &runs),
                        ];
                        group(area, &data, || {
                            area.draw(&Rectangle::new([from, to], ground.filled()))
                        })?;
                        if share == 0.0 {
                            let outline = INK.mix(0.35).stroke_width(3);
                            area.draw(&Rectangle::new([from, to], outline))?;
                        }
                        if *diverged {
                            let outline = INK.stroke_width(6);
                            area.draw(&Rectangle::new([from, to], outline))?;
                        }
                        let ink = if share > 0.85 { WHITE } else { INK };
                        let sign = if difference > 0.0 { "+" } else { "" };
                        let mark = if *diverged { "\u{2020}" } else { "" };
                        // A diverged run is hundreds of per cent off.
                        let decimals = usize::from(difference.abs() < 1.0);
                        let write = |value: f64| fixed(100.0 * value, decimals);
                        let number = format!("{sign}{}{mark}", write(difference));
                        let (low, high) = (Text::same(write(low)), Text::same(write(high)));
                        let ends = match (estimate.low.is_finite(), wide) {
                            (false, _) => vec![text!("no interval", "无区间")],
                            (true, true) => vec![range(low, high)],
                            (true, false) => vec![text!("{low} to", "{low} 至", low), high],
                        };
                        let (x, y) = middle;
                        let top = y - CLOSE * ends.len() as i32 / 2;
                        area.draw_text(&number, &centered(ink), (x, top))?;
                        within(area, &format!("font-size=\"{SMALL}\""), || {
                            stacked(area, &ends, ink, (x, y + CLOSE / 2), HPos::Center)
                        })?;
                    }
                }
            }
        }
        Ok(())
    })
}
