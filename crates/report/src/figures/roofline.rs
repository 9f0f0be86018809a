//! An update's place on a roofline: its arithmetic beside the bytes that it
//! moves, as declared, and the speed that was measured, below the roof that the
//! machine's bytes and operations a second make (Williams, Waterman & Patterson 2009).

use adamix_record::{Ceilings, Cost, Text, UpdateCost, UpdateTimes, text};
use minijinja::HtmlEscape;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{
    Area, Drawn, INK, LINE, PX, Style, Width, beside, group, height, ink, label, label_in,
    logarithmic_range, rimmed, room, spread, svg, ticks,
};
use super::language::coded;
use super::svg::Tag;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::load::Study;
use crate::number::{digits, in_a_row, interval, range, significant};
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
    if points.is_empty() {
        return Ok(None);
    }
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
            roof = roof(cost, &points),
        ),
        description: text!(
            "{answer} Billions of bytes a second: {bandwidths}.",
            "{answer}每秒读写字节数（十亿）：{bandwidths}。",
            answer = answer(&points),
            bandwidths = in_a_row(&bandwidths),
        ),
    };
    let draw = |width| draw(name, &points, cost.ceilings, width);
    let ceilings = cost.ceilings.iter().map(ceiling_series);
    let series = points.iter().map(series).chain(ceilings).collect();
    Figure::new(name, words, series, draw).map(Some)
}

/// The answer to the title: from the least to the most.
fn answer(points: &[Point]) -> Text {
    let span = |of: fn(&Point) -> f64| {
        let mut values: Vec<f64> = points.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let ends = [values.first(), values.last()].map(|end| end.copied().unwrap_or(f64::NAN));
        match ends.map(significant) {
            [least, most] if least == most => least.into(),
            [least, most] => range(least, most),
        }
    };
    text!(
        "{operations} billion operations and {bytes} billion bytes.",
        "每秒 {operations} G 次运算、{bytes} GB。",
        operations = span(|point| point.speed.point),
        bytes = span(|point| point.bandwidth.point),
    )
}

/// What the roof is, for the caption.
fn roof(cost: &Cost, points: &[Point]) -> Text {
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
    let above = points.iter().filter(|point| {
        let memory = ceilings.bytes_per_second / 1e9;
        point.bandwidth.low > memory
    });
    let which = match (above.count(), points.len()) {
        (0, _) => Text::default(),
        (n, all) => text!(
            " {n} of {all} marks lie above it with their whole interval: it bounds what comes \
             from memory, and the update before may have left part of their numbers in a cache.",
            "{all} 个标记中有 {n} 个连同整个区间都高于它：屋顶线只限制来自内存的数据，而上一次更新可能把部分数据留在缓存中。",
            n,
            all,
        ),
    };
    text!(
        "The solid line is the roof, what {what} reaches from memory: {bytes} GB/s, and at most \
         {operations} billion operations a second, {how}.{which}",
        "实线为屋顶线，即{what}从内存读写数据时所能达到的速度：每秒 {bytes} GB，至多每秒 {operations} G 次运算，{how}。{which}",
        what,
        bytes,
        operations,
        how,
        which
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

/// Writes the name of a slanting line, which needs this room, along its left
/// end: above it or, where a mark lies there, below.
fn along(
    area: &Area,
    name: &Text,
    room: i32,
    [(x, y), (to_x, to_y)]: [(i32, i32); 2],
    marks: &[(i32, i32)],
) -> Drawn {
    let (across, down) = (f64::from(to_x - x), f64::from(to_y - y));
    let taken = marks.iter().any(|(u, v)| {
        let (u, v) = (f64::from(u - x), f64::from(v - y));
        let length = across.hypot(down);
        let (ahead, above) = (u * across + v * down, u * down - v * across);
        (0.0..f64::from(room + 8 * PX)).contains(&(ahead / length))
            && (f64::from(-6 * PX)..f64::from(24 * PX)).contains(&(above / length))
    });
    // Below, it begins further on, so that it keeps off the axis.
    let (ahead, below) = if taken { (40, 16) } else { (14, -6) };
    area.draw(&Tag(format!(
        "<text transform=\"translate({x} {y}) rotate({:.2})\" x=\"{}\" y=\"{}\" \
         fill=\"#1b1b1b\">{}</text>",
        down.atan2(across).to_degrees(),
        ahead * PX,
        below * PX,
        HtmlEscape(&coded(name)),
    )))
}

/// With a unit that both languages write.
fn billions(estimate: &Estimate, unit: &str) -> String {
    let write = |value| format!("{}\u{202f}{unit}", significant(value));
    interval(estimate, write).en
}

fn draw(name: &str, points: &[Point], ceilings: Option<Ceilings>, width: Width) -> Result<String> {
    let wide = width == Width::Wide;
    let (above, inside) = if wide {
        let rows: i32 = points.iter().map(|point| height(&point.label)).sum();
        (30 * PX, rows.max(300 * PX))
    } else {
        (LINE * points.len() as i32 + 34 * PX, 250 * PX)
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
        let places: Vec<(i32, i32)> = points
            .iter()
            .map(|p| at(p.intensity, p.speed.point))
            .collect();
        // The part of a line of equal bytes a second that lies in the frame.
        let ends = |bandwidth: f64| {
            let from = across.start.max(up.start / bandwidth);
            let to = across.end.min(up.end / bandwidth);
            [at(from, bandwidth * from), at(to, bandwidth * to)]
        };
        let memory = ceilings.map(|c| c.bytes_per_second / 1e9);
        let bandwidths = up.start / across.end..up.end / across.start;
        for bandwidth in ticks(&bandwidths, 6) {
            let amount = digits(bandwidth, 3);
            let name = text!("{amount} GB/s", "{amount} GB/s", amount);
            let ends = ends(bandwidth);
            let [(x, y), (to_x, to_y)] = ends.map(|(x, y)| (f64::from(x), f64::from(y)));
            // A corner too small for the line's name, or its name on the roof's.
            let needed = room([&name].into_iter(), width) + 14 * PX;
            let long = (to_x - x).hypot(to_y - y) > f64::from(needed);
            let near = memory.is_some_and(|memory| (0.8..1.25).contains(&(bandwidth / memory)));
            if to_x > x && long && !near {
                Style::GUIDE.line(area, ends.to_vec())?;
                along(area, &name, needed, ends, &places)?;
            }
        }
        if let Some(ceilings) = ceilings {
            let ridge = ceilings.operations_per_second / ceilings.bytes_per_second;
            let corner = Some(ridge).filter(|ridge| across.contains(ridge));
            let corners = [Some(across.start), corner, Some(across.end)];
            let line = corners.into_iter().flatten();
            let line: Vec<_> = line.filter_map(|x| Some(at(x, roof(x)?))).collect();
            if let ([from, to, ..], true) = (line.as_slice(), ridge > across.start) {
                let amount = significant(ceilings.bytes_per_second / 1e9);
                let name = text!("memory, {amount} GB/s", "内存，{amount} GB/s", amount);
                let needed = room([&name].into_iter(), width) + 14 * PX;
                along(area, &name, needed, [*from, *to], &places)?;
            }
            area.draw(&PathElement::new(line, INK.stroke_width(8)))?;
            let most = ceilings.operations_per_second / 1e9;
            if ridge < across.end {
                let amount = significant(most);
                let name = text!(
                    "{amount} billion operations a second",
                    "每秒 {amount} G 次运算",
                    amount
                );
                let (x, y) = at(across.end, most);
                let place = (x - 4 * PX, y - 10 * PX);
                rimmed(area, || label_in(area, &name, INK, place, HPos::Right))?;
            }
        }
        let names = points.iter().map(|point| height(&point.label));
        let wanted: Vec<(i32, i32)> = places.iter().map(|(_, y)| *y).zip(names).collect();
        let placed = spread(&wanted, above + inside);
        let edge = at(across.end, up.start).0;
        for (i, point) in points.iter().enumerate() {
            let (x, y) = places[i];
            group(area, &[("arm", &point.arm)], || {
                if point.speed.low.is_finite() {
                    let ends = [point.speed.low, point.speed.high]
                        .map(|end| at(point.intensity, end.clamp(up.start, up.end)));
                    area.draw(&PathElement::new(ends, point.style.color.stroke_width(8)))?;
                }
                if wide {
                    let lead = [(x + 8 * PX, y), (edge + 4 * PX, placed[i])];
                    area.draw(&PathElement::new(lead, INK.mix(0.3).stroke_width(3)))?;
                    let at = (edge + 8 * PX, placed[i]);
                    beside(area, &point.label, point.style.color, at, HPos::Left)?;
                } else {
                    let key = LINE * i as i32 + 12 * PX;
                    point.style.mark(area, (14 * PX, key), 4 * PX, 1.0)?;
                    label(area, &point.label, point.style, (26 * PX, key), HPos::Left)?;
                }
                let said = format!(
                    "operations a byte={};operations a second={};bytes a second={};source=cost.json",
                    significant(point.intensity),
                    billions(&point.speed, "G"),
                    billions(&point.bandwidth, "GB"),
                );
                group(area, &[("point", &said)], || {
                    point.style.mark(area, (x, y), 5 * PX, 1.0)
                })
            })?;
        }
        Ok(())
    })
}
