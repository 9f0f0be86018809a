//! How soon the runs of each arm reach the target error: the share of its seeds
//! that are there by each epoch, and the median time.

use adamix_record::{RunId, Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{INK, PX, Style, Width, beside, group, ink, label, label_in, room, svg};
use super::language::coded;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::load::Study;
use crate::number::{bound, in_a_row, percent, range, significant};
use crate::provenance::Provenance;
use crate::statistics::{
    Estimate, MedianInterval, Survival, TimeToTarget, kaplan_meier, median_interval, share_interval,
};
use crate::tables::{standing, target, times_to_target};

struct Row {
    arm: String,
    label: Text,
    style: Style,
    /// The share that is there by each epoch, from 0 on.
    shares: Vec<Estimate>,
    survival: Survival,
    median: MedianInterval,
    runs: Vec<RunId>,
}

pub(super) fn figure(
    name: &str,
    study: &Study,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let Some((target, worst)) = target(study) else {
        return Ok(None);
    };
    let rows: Vec<Row> = study
        .arms
        .iter()
        .filter_map(|arm| {
            let times = times_to_target(study, arm, target);
            Some(Row {
                arm: arm.arm.name.clone(),
                label: arm.label().clone(),
                style: Style::of(arm.style),
                shares: shares(&times, study.epochs())?,
                survival: kaplan_meier(&times, study.epochs() as f64)?,
                median: median_interval(&times, 0.95)?,
                runs: study.counted(arm),
            })
        })
        .collect();
    let coverage = rows.iter().map(|row| row.median.coverage);
    let coverage = coverage.fold(1.0, f64::min);
    let words = Words {
        title: text!(
            "Performance profiles: how soon does each arm reach the target error?",
            "性能剖面：各方法多快达到目标误差？"
        ),
        caption: text!(
            "The target is a test error of {target}, the final median error of the arm \
             where it is highest ({worst}){standing}. Each strip is the arm's performance profile over epochs: the share of \
             its seeds, from 0 to 1, that have reached the target by each epoch; shaded, Wilson's \
             95\u{202f}% interval of that share. The mark below is the median epoch, the bar its interval between two \
             of the times, whatever their distribution; here it holds the median with a chance of \
             at least {coverage}. A run that never gets there is censored: it stays in the share, \
             and a bar that ends in an arrow goes on beyond the last epoch.",
            "目标为测试误差 {target}，即最终误差中位数最高的方法（{worst}）的该中位数{standing}。每个条带为该方法随轮数的性能剖面，\
             即到各轮为止已达目标的随机种子所占比例（0 至 1）；阴影为该比例的 Wilson 95\u{202f}% 置信区间。下方标记为\
             轮数的中位数，横条为其区间，取自两个次序统计量，与分布无关；此处以至少 {coverage} 的概率包含中位数。\
             始终未达目标的运行按删失处理：仍计入比例的分母；末端为箭头的横条延伸到最后一轮之后。",
            target = crate::number::error(target),
            worst,
            standing = standing(study),
            coverage = bound(coverage),
        ),
        description: description(&rows, target, study.epochs(), &bound(coverage)),
    };
    let draw = |width| draw(name, &rows, target, study.epochs(), width, provenance);
    let series = rows.iter().flat_map(series).collect();
    Figure::new(name, words, series, draw).map(Some)
}

fn shares(times: &[TimeToTarget], epochs: u64) -> Option<Vec<Estimate>> {
    let there = |epoch: u64| {
        let by = |time: &&TimeToTarget| time.reached && time.at <= epoch as f64;
        times.iter().filter(by).count()
    };
    (0..=epochs)
        .map(|epoch| share_interval(there(epoch), times.len(), 0.95))
        .collect()
}

/// The shares, then the median.
fn series(row: &Row) -> [Series; 2] {
    let of = |columns, label: Text| Series {
        label,
        arm: Some(row.arm.clone()),
        columns,
        runs: row.runs.clone(),
    };
    let label = &row.label;
    let shares = || row.shares.iter();
    [
        of(
            vec![
                column("epoch", 0..row.shares.len()),
                column("share at the target", shares().map(|share| share.point)),
                column("low", shares().map(|share| share.low)),
                column("high", shares().map(|share| share.high)),
            ],
            label.clone(),
        ),
        of(
            vec![
                column("median epoch", [row.survival.median]),
                column("low", [row.median.low]),
                column("high", [row.median.high]),
                column("coverage", [row.median.coverage]),
                column("censored", [row.survival.censored]),
            ],
            text!("{label}, median", "{label}，中位数", label),
        ),
    ]
}

/// An epoch, or that it is later than the last.
fn or_later(epoch: Option<f64>, epochs: u64) -> Text {
    match epoch {
        Some(epoch) => significant(epoch).into(),
        None => text!("more than {epochs}", "超过 {epochs}", epochs),
    }
}

fn median(row: &Row, epochs: u64) -> Text {
    let [median, low, high] =
        [row.survival.median, row.median.low, row.median.high].map(|at| or_later(at, epochs));
    let ends = range(low, high);
    text!("{median} ({ends})", "{median}（{ends}）", median, ends)
}

fn description(rows: &[Row], target: f64, epochs: u64, coverage: &str) -> Text {
    let medians: Vec<Text> = rows
        .iter()
        .map(|row| {
            let (label, median) = (&row.label, median(row, epochs));
            text!("{label} {median}", "{label} {median}", label, median)
        })
        .collect();
    let late: Vec<Text> = rows
        .iter()
        .filter(|row| row.survival.censored > 0)
        .map(|row| {
            let (label, never, n) = (&row.label, row.survival.censored, row.survival.n);
            text!(
                "{label} {never} of {n}",
                "{label} {n} 次中有 {never} 次",
                label,
                never,
                n
            )
        })
        .collect();
    let late = match late.as_slice() {
        [] => text!(" Every run gets there.", "所有运行都达到目标。"),
        late => text!(
            " Never there: {late}.",
            "始终未达目标：{late}。",
            late = in_a_row(late),
        ),
    };
    text!(
        "Performance profiles at a test error of {target}. Median epochs to it, with {coverage} \
         intervals: {medians}.{late}",
        "测试误差 {target} 处的性能剖面。达到该误差所需轮数的中位数，附 {coverage} 区间：{medians}。{late}",
        target = crate::number::error(target),
        coverage,
        medians = in_a_row(&medians),
        late,
    )
}

fn draw(
    name: &str,
    rows: &[Row],
    target: f64,
    epochs: u64,
    width: Width,
    provenance: &Provenance<'_>,
) -> Result<String> {
    let wide = width == Width::Wide;
    let height = PX * rows.len() as i32 * if wide { 74 } else { 92 };
    let (above, below) = (32 * PX, 42 * PX);
    svg(name, width, above + height + below, |area| {
        let names = rows.iter().map(|row| &row.label);
        let left = if wide {
            room(names, width) + 28 * PX
        } else {
            14 * PX
        };
        let mut chart = ChartBuilder::on(area)
            .margin_top(above)
            .margin_left(left)
            .margin_right(64 * PX)
            .x_label_area_size(below)
            .build_cartesian_2d(0.0..epochs.max(1) as f64, rows.len() as f64..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.2).stroke_width(4))
            .axis_style(INK.mix(0.5).stroke_width(4))
            .set_all_tick_mark_size(4 * PX)
            .label_style(ink(INK))
            .x_labels(if wide { 9 } else { 6 })
            .x_label_formatter(&|value| significant(*value))
            .x_desc(coded(&text!("epoch", "轮")))
            .draw()?;
        let scale = text!(
            "share of seeds with a test error of {target} or less",
            "测试误差不高于 {target} 的随机种子所占比例",
            target = crate::number::error(target),
        );
        area.draw_text(&coded(&scale), &ink(INK), (4 * PX, 4 * PX))?;
        let at = |epoch: f64, row: f64| chart.plotting_area().map_coordinate(&(epoch, row));
        let (top, foot, bar) = if wide {
            (0.1, 0.64, 0.84)
        } else {
            (0.28, 0.7, 0.87)
        };
        for (i, row) in rows.iter().enumerate() {
            let row_at = |share: f64| i as f64 + share;
            let share_at = |share: f64| row_at(foot + (top - foot) * share);
            let last = epochs as f64;
            group(area, &[("arm", &row.arm)], || {
                let color = row.style.color;
                let rule = INK.mix(0.35).stroke_width(3);
                for (share, name) in [(0.0, "0"), (1.0, "1")] {
                    let ends = [at(0.0, share_at(share)), at(last, share_at(share))];
                    area.draw(&PathElement::new(ends, rule))?;
                    let (x, y) = ends[0];
                    label_in(area, &name.into(), INK, (x - 4 * PX, y), HPos::Right)?;
                }
                let step = |value: &dyn Fn(&Estimate) -> f64| {
                    let mut points = Vec::new();
                    let mut before = None;
                    for (epoch, share) in row.shares.iter().enumerate() {
                        let now = share_at(value(share));
                        if before != Some(now) || epoch as u64 == epochs {
                            // Up where the epoch ends.
                            points.extend(before.map(|before| at(epoch as f64, before)));
                            points.push(at(epoch as f64, now));
                        }
                        before = Some(now);
                    }
                    points
                };
                let mut band = step(&|share| share.low);
                band.extend(step(&|share| share.high).into_iter().rev());
                area.draw(&Polygon::new(band, color.mix(0.16)))?;
                row.style.line(area, step(&|share| share.point))?;

                let (x, y) = at(0.0, if wide { share_at(0.5) } else { row_at(0.13) });
                if wide {
                    let at = (x - 24 * PX, y);
                    beside(area, &row.label, color, at, HPos::Right)?;
                } else {
                    label(area, &row.label, row.style, (x + 2 * PX, y), HPos::Left)?;
                }
                let there = row.survival.n - row.survival.censored;
                let n = row.survival.n;
                let (x, y) = at(last, share_at(there as f64 / n as f64));
                let there_is = Text::same(format!("{there}/{n}"));
                label_in(area, &there_is, color, (x + 8 * PX, y), HPos::Left)?;

                let runs = provenance.places(&row.runs);
                let mut before = None;
                for (epoch, share) in row.shares.iter().enumerate() {
                    if before == Some(share.point) && epoch as u64 != epochs {
                        continue;
                    }
                    before = Some(share.point);
                    let [is, low, high] = [share.point, share.low, share.high].map(percent);
                    let point = format!("epoch={epoch};reached by={is} ({low} to {high})");
                    group(area, &[("point", &point), ("runs", &runs)], || {
                        let place = at(epoch as f64, share_at(share.point));
                        row.style.mark(area, place, 3 * PX, 1.0)
                    })?;
                }

                let y = at(0.0, row_at(bar)).1;
                let x = |epoch: Option<f64>| epoch.map(|epoch| at(epoch, 0.0).0);
                let beyond = at(last, 0.0).0 + 20 * PX;
                let low = x(row.median.low).unwrap_or(beyond - 12 * PX);
                let high = x(row.median.high).unwrap_or(beyond);
                area.draw(&PathElement::new(
                    [(low, y), (high, y)],
                    color.stroke_width(10),
                ))?;
                if row.median.high.is_none() {
                    let head = [
                        (beyond, y - 5 * PX),
                        (beyond + 8 * PX, y),
                        (beyond, y + 5 * PX),
                    ];
                    area.draw(&Polygon::new(head, color))?;
                }
                let point = format!("median={}", median(row, epochs).en);
                group(area, &[("point", &point), ("runs", &runs)], || {
                    match x(row.survival.median) {
                        Some(x) => row.style.mark(area, (x, y), 5 * PX, 1.0),
                        None => row.style.open_mark(area, (beyond - 12 * PX, y), 5 * PX),
                    }
                })
            })?;
        }
        Ok(())
    })
}
