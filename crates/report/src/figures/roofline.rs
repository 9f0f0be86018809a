//! An update's place on a roofline: its arithmetic beside the bytes that it
//! moves, as declared, and the speed that was measured, below the roof that the
//! machine's bytes and operations a second make (Williams, Waterman & Patterson 2009).

use adamix_record::{Ceilings, Cost, Text, UpdateCost, UpdateTimes, text};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{
    INK, LINE, PX, Style, Width, group, ink, label, label_in, logarithmic_range, room, spread, svg,
    ticks,
};
use super::language::coded;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::load::Study;
use crate::number::{digits, in_a_row, interval, significant};
use crate::statistics::{Estimate, mean_interval};
use crate::tables::costs;

struct Point {
    arm: String,
    label: Text,
    style: Style,
    /// Operations a byte.
    intensity: f64,
    /// Billions of operations a second.
    speed: Estimate,
    /// Billions of bytes a second.
    bandwidth: Estimate,
}

pub(super) fn figure(name: &str, study: &Study, cost: &Cost) -> Result<Option<Figure>> {
    let points: Vec<Point> = costs(study)
        .filter_map(|(arm, cost)| {
            point(
                arm.arm.name.clone(),
                arm.label().clone(),
                Style::of(arm.style),
                cost,
            )
        })
        .collect();
    let fastest = points
        .iter()
        .max_by(|a, b| a.bandwidth.point.total_cmp(&b.bandwidth.point));
    let Some(fastest) = fastest else {
        return Ok(None);
    };
    let environment = &cost.environment;
    let bandwidths: Vec<Text> = points
        .iter()
        .map(|point| {
            let bandwidth = interval(&point.bandwidth, significant);
            let label = &point.label;
            text!(
                "{label} {bandwidth}",
                "{label} {bandwidth}",
                label,
                bandwidth
            )
        })
        .collect();
    let words = Words {
        title: text!(
            "How many operations and bytes a second does an update reach?",
            "一次更新每秒达到多少次运算、多少字节？"
        ),
        caption: text!(
            "Each mark is the update of one arm on {machine}: across, its declared arithmetic \
             operations for each byte that it moves; up, the operations a second that were \
             measured, mean over the rounds with its 95\u{202f}% Student interval. On a dashed \
             line all updates move the same number of bytes a second. {roof}",
            "每个标记为一种方法在 {machine} 上的更新：横轴为每读写一个字节的计数所得的算术运算次数，纵轴为实测的每秒运算\
             次数，取各次计时的均值，附 95\u{202f}% Student 置信区间。同一虚线上的更新每秒读写的字节数相同。{roof}",
            machine = environment.gpu.as_ref().unwrap_or(&environment.processor),
            roof = roof(cost),
        ),
        description: text!(
            "Billions of bytes a second: {bandwidths}. The most is that of {label}.",
            "每秒读写字节数（十亿）：{bandwidths}。最高的是 {label}。",
            bandwidths = in_a_row(&bandwidths),
            label = &fastest.label,
        ),
    };
    let draw = |width| draw(name, &points, cost.ceilings, width);
    let ceilings = cost.ceilings.iter().map(ceiling_series);
    let series = points.iter().map(series).chain(ceilings).collect();
    Figure::new(name, words, series, draw).map(Some)
}

/// What the roof is, for the caption.
fn roof(cost: &Cost) -> Text {
    let Some(ceilings) = cost.ceilings else {
        return text!(
            "The machine's own peaks were not measured with these costs, so no roof is drawn.",
            "这些计时未同时测量机器自身的峰值，因此不画屋顶线。"
        );
    };
    let bytes = significant(ceilings.bytes_per_second / 1e9);
    let operations = significant(ceilings.operations_per_second / 1e9);
    let (what, how) = match cost.environment.gpu {
        None => (
            text!("one thread", "单个线程"),
            text!(
                "by the triad a = b + s c and by fused multiply-adds",
                "分别由 triad 运算 a = b + s c 和融合乘加测得"
            ),
        ),
        Some(_) => (
            text!("the device", "该设备"),
            text!(
                "by a copy and by the product of two large matrices",
                "分别由复制和两个大矩阵的乘积测得"
            ),
        ),
    };
    text!(
        "The solid line is the roof, what {what} reaches by itself: {bytes} GB/s and {operations} \
         billion operations a second, {how}. A mark above it kept part of its numbers in a cache \
         from one update to the next.",
        "实线为屋顶线，即{what}自身所能达到的速度：每秒 {bytes} GB、每秒 {operations} G 次运算，{how}。高于屋顶线的标记，\
         其部分数据在两次更新之间留在缓存中。",
        what,
        bytes,
        operations,
        how
    )
}

/// `None` where nothing was timed, or nothing is computed.
fn point(arm: String, label: Text, style: Style, cost: &UpdateTimes) -> Option<Point> {
    let parameters = (cost.weights.parameters + cost.biases.parameters) as f64;
    let operations = cost.per_parameter(UpdateCost::arithmetic);
    let bytes = cost.per_parameter(UpdateCost::bytes_moved);
    let a_second = |amount: f64| {
        let rates = cost.update_seconds.iter();
        let rates: Vec<f64> = rates.map(|s| amount * parameters / s / 1e9).collect();
        mean_interval(&rates, 0.95)
    };
    let (speed, bandwidth) = (a_second(operations)?, a_second(bytes)?);
    (operations > 0.0 && bytes > 0.0 && speed.point.is_finite()).then_some(Point {
        arm,
        label,
        style,
        intensity: operations / bytes,
        speed,
        bandwidth,
    })
}

fn series(point: &Point) -> Series {
    Series {
        label: point.label.clone(),
        arm: Some(point.arm.clone()),
        columns: vec![
            column("operations a byte", [point.intensity]),
            column("billion operations a second", [point.speed.point]),
            column("low", [point.speed.low]),
            column("high", [point.speed.high]),
            column("billion bytes a second", [point.bandwidth.point]),
        ],
        // cost.json is behind it.
        runs: Vec::new(),
    }
}

fn ceiling_series(ceilings: &Ceilings) -> Series {
    let (operations, bytes) = (ceilings.operations_per_second, ceilings.bytes_per_second);
    Series {
        label: text!("roof", "屋顶线"),
        arm: None,
        columns: vec![
            column("operations a byte", [operations / bytes]),
            column("billion operations a second", [operations / 1e9]),
            column("billion bytes a second", [bytes / 1e9]),
        ],
        runs: Vec::new(),
    }
}

fn draw(name: &str, points: &[Point], ceilings: Option<Ceilings>, width: Width) -> Result<String> {
    let wide = width == Width::Wide;
    let rows = LINE * points.len() as i32;
    let (above, inside) = if wide {
        (30 * PX, rows.max(300 * PX))
    } else {
        (rows + 34 * PX, 250 * PX)
    };
    let below = 42 * PX;
    let ends = points
        .iter()
        .flat_map(|p| [p.speed.point, p.speed.low, p.speed.high]);
    let roomy = |range: std::ops::Range<f64>| range.start / 1.15..range.end * 1.15;
    let across = roomy(logarithmic_range(points.iter().map(|p| p.intensity)));
    // Billions of operations a second at most.
    let roof = |intensity: f64| {
        let at = |c: Ceilings| c.operations_per_second.min(c.bytes_per_second * intensity) / 1e9;
        ceilings.map(at)
    };
    let roofs = [across.start, across.end].map(roof);
    let up = roomy(logarithmic_range(ends.chain(roofs.into_iter().flatten())));
    svg(name, width, above + inside + below, |area| {
        let names = points.iter().map(|point| &point.label);
        let right = if wide {
            room(names, width) + 26 * PX
        } else {
            12 * PX
        };
        let x = across
            .clone()
            .log_scale()
            .with_key_points(ticks(&across, 6));
        let y = up.clone().log_scale().with_key_points(ticks(&up, 6));
        let mut chart = ChartBuilder::on(area)
            .margin_top(above)
            .margin_right(right)
            .x_label_area_size(below)
            .y_label_area_size(52 * PX)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .axis_style(INK.mix(0.5).stroke_width(4))
            .set_all_tick_mark_size(4 * PX)
            .label_style(ink(INK))
            .x_label_formatter(&|value| digits(*value, 3))
            .y_label_formatter(&|value| digits(*value, 3))
            .x_desc(coded(&text!(
                "arithmetic operations a byte moved",
                "每读写一字节的算术运算次数"
            )))
            .draw()?;
        let title = text!("billion operations a second", "每秒运算次数（十亿）");
        area.draw_text(&coded(&title), &ink(INK), (4 * PX, above - 26 * PX))?;
        let at = |x: f64, y: f64| chart.plotting_area().map_coordinate(&(x, y));
        // Lines of equal bytes a second.
        let bandwidths = up.start / across.end..up.end / across.start;
        for bandwidth in ticks(&bandwidths, 6) {
            let from = across.start.max(up.start / bandwidth);
            let to = across.end.min(up.end / bandwidth);
            if from * 1.05 >= to {
                continue;
            }
            let ends = vec![at(from, bandwidth * from), at(to, bandwidth * to)];
            let (x, y) = ends[0];
            let amount = digits(bandwidth, 3);
            let name = text!("{amount} GB/s", "{amount} GB/s", amount);
            // A corner too small for the line's name.
            if x + 22 * PX + room([&name].into_iter(), width) > at(across.end, up.start).0 {
                continue;
            }
            Style::GUIDE.line(area, ends)?;
            // Below the line, where it enters the frame.
            let foot = at(across.start, up.start).1;
            let place = (x + 22 * PX, y.min(foot - LINE / 2));
            label_in(area, &name, INK, place, HPos::Left)?;
        }
        let ridge = ceilings.map(|c| c.operations_per_second / c.bytes_per_second);
        let corner = ridge.filter(|ridge| across.contains(ridge));
        let corners = [Some(across.start), corner, Some(across.end)];
        let line = corners.into_iter().flatten();
        let line: Vec<_> = line.filter_map(|x| Some(at(x, roof(x)?))).collect();
        if !line.is_empty() {
            area.draw(&PathElement::new(line, INK.stroke_width(8)))?;
        }
        let places: Vec<(i32, i32)> = points
            .iter()
            .map(|p| at(p.intensity, p.speed.point))
            .collect();
        let heights: Vec<i32> = places.iter().map(|(_, y)| *y).collect();
        let placed = spread(&heights, above + inside);
        let edge = at(across.end, up.start).0;
        for (i, point) in points.iter().enumerate() {
            let (x, y) = places[i];
            group(area, &[("arm", &point.arm)], || {
                if point.speed.low.is_finite() {
                    let ends = [point.speed.low, point.speed.high]
                        .map(|end| at(point.intensity, end.clamp(up.start, up.end)));
                    area.draw(&PathElement::new(ends, point.style.color.stroke_width(8)))?;
                }
                let (label_at, key) = (placed[i], LINE * i as i32 + 12 * PX);
                let label_at = if wide {
                    let lead = [(x + 8 * PX, y), (edge + 4 * PX, label_at)];
                    area.draw(&PathElement::new(lead, INK.mix(0.3).stroke_width(3)))?;
                    (edge + 8 * PX, label_at)
                } else {
                    point.style.mark(area, (14 * PX, key), 4 * PX, 1.0)?;
                    (26 * PX, key)
                };
                label(area, &point.label, point.style, label_at, HPos::Left)?;
                let said = format!(
                    "operations a byte={};operations a second={};bytes a second={};source=cost.json",
                    significant(point.intensity),
                    billions(&point.speed),
                    billions(&point.bandwidth),
                );
                group(area, &[("point", &said)], || {
                    point.style.mark(area, (x, y), 5 * PX, 1.0)
                })
            })?;
        }
        Ok(())
    })
}

fn billions(estimate: &Estimate) -> String {
    interval(estimate, |value| format!("{}e9", significant(value))).en
}
