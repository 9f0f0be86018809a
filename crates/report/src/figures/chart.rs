//! What the figures share: arms told apart, logarithmic axes, curves over
//! epochs, and an SVG with its text alternative.

use std::f64::consts::TAU;
use std::ops::Range;

use adamix_record::{RunId, Text, text};
use minijinja::HtmlEscape;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::{Value, json};

use super::language::coded;
use super::svg::{Dashed, Dots, Svg, Tag};
use super::{Series, column};
use crate::number::digits;
use crate::provenance::Provenance;
use crate::{Error, Result};

/// Units of the drawing in a pixel: plotters rounds to whole units.
pub(super) const PX: i32 = 4;
/// Height of a line of labels.
pub(super) const LINE: i32 = 18 * PX;
/// From one line of a name to its second.
pub(super) const CLOSE: i32 = 15 * PX;
/// Width of a letter, taken generously: nothing may depend on installed fonts.
const LETTER: i32 = 8 * PX;
/// The most letters of a name beside a figure that stand on one line.
const LONG: usize = 21;
/// Height of the letters of all text.
pub(super) const FONT: i32 = 13 * PX;
/// The text's colour.
pub(super) const INK: RGBColor = RGBColor(0x1b, 0x1b, 0x1b);

/// Where a figure is drawn, in units of the drawing.
pub(super) type Area<'a> = DrawingArea<Svg<'a>, Shift>;
/// What drawing comes to. It cannot fail in memory.
pub(super) type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::convert::Infallible>>;

/// The two shapes of a figure; a page shows the one that fits the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Labels stand beside what they name.
    Wide,
    /// For a telephone: labels stand above.
    Narrow,
}

/// A colour, dashes and a mark: arms are told apart without colour too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) color: RGBColor,
    /// Length of a dash and of the gap after it; `None` for a whole line.
    dash: Option<(i32, i32)>,
    /// A regular polygon: its number of corners, and the part of a turn that
    /// the first lies from the top.
    mark: (u32, f64),
}

/// Okabe and Ito's colours, darkened to be legible as text on white.
const COLORS: [RGBColor; 6] = [
    RGBColor(0x00, 0x67, 0xa5),
    RGBColor(0xb8, 0x4a, 0x00),
    RGBColor(0x00, 0x73, 0x5a),
    RGBColor(0xa8, 0x47, 0x7f),
    RGBColor(0x7d, 0x62, 0x00),
    RGBColor(0x55, 0x55, 0x55),
];
const DASHES: [Option<(i32, i32)>; 5] = [
    None,
    Some((28, 16)),
    Some((10, 18)),
    Some((60, 20)),
    Some((20, 36)),
];
/// Corners of what is drawn as a disc.
const DISC: u32 = 16;
/// Disc, square, triangle, diamond, triangle upside down.
const MARKS: [(u32, f64); 5] = [(DISC, 0.0), (4, 0.125), (3, 0.0), (4, 0.0), (3, 0.5)];

impl Style {
    /// A line that is no arm's.
    pub(super) const LIMIT: Self = Self {
        color: INK,
        dash: Some((16, 12)),
        mark: (0, 0.0),
    };

    /// A line to go by, behind all others.
    pub(super) const GUIDE: Self = Self {
        color: RGBColor(0xa0, 0xa0, 0xa0),
        ..Self::LIMIT
    };

    /// The style of the `index`-th of so many layers: no arm's, darker from the
    /// first to the last, those of the second half, which decodes, in dashes.
    pub(super) fn layer(index: usize, count: usize) -> Self {
        let [from, to] = [(0xc2, 0x56, 0x0c), (0x2d, 0x11, 0x60)];
        let part = index as f64 / count.saturating_sub(1).max(1) as f64;
        let mix = |from: u8, to: u8| {
            (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8
        };
        Self {
            color: RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2)),
            dash: (2 * index >= count).then_some((28, 16)),
            mark: (0, 0.0),
        }
    }

    /// The style of the `index`-th arm. Colours come six, dashes and marks
    /// five in a row, so thirty arms differ.
    pub(super) fn of(index: usize) -> Self {
        Self {
            color: COLORS[index % COLORS.len()],
            dash: DASHES[index % DASHES.len()],
            mark: MARKS[index % MARKS.len()],
        }
    }

    pub(super) fn line(self, area: &Area, points: Vec<(i32, i32)>) -> Drawn {
        area.draw(&Dashed {
            points,
            dash: self.dash,
            style: self.color.stroke_width(8),
        })
    }

    /// What the page's script needs to draw in this style; lengths in pixels.
    pub(super) fn data(self) -> Value {
        let RGBColor(r, g, b) = self.color;
        let (corners, turn) = self.mark;
        let dash = self.dash.map_or_else(Vec::new, |(dash, gap)| {
            [dash, gap].map(|n| f64::from(n) / f64::from(PX)).to_vec()
        });
        json!({
            "color": format!("#{r:02x}{g:02x}{b:02x}"),
            "dash": dash,
            "mark": [corners, turn],
        })
    }

    /// Many pale discs in one element, where marks would fill the page.
    pub(super) fn dots(self, area: &Area, points: Vec<(i32, i32)>, radius: i32) -> Drawn {
        let style = self.color.mix(0.25).stroke_width(2 * radius as u32);
        area.draw(&Dots { points, style })
    }

    /// The mark, with the area of a disc of this radius.
    pub(super) fn mark(self, area: &Area, at: (i32, i32), radius: i32, opacity: f64) -> Drawn {
        if self.mark.0 == DISC {
            return area.draw(&Circle::new(at, radius, self.color.mix(opacity).filled()));
        }
        let outline = self.outline(at, radius);
        if outline.is_empty() {
            return Ok(());
        }
        area.draw(&Polygon::new(outline, self.color.mix(opacity)))
    }

    /// The same, hollow.
    pub(super) fn open_mark(self, area: &Area, at: (i32, i32), radius: i32) -> Drawn {
        let mut outline = self.outline(at, radius);
        area.draw(&Polygon::new(outline.clone(), WHITE))?;
        outline.extend(outline.first().copied());
        area.draw(&PathElement::new(outline, self.color.stroke_width(6)))
    }

    fn outline(self, (x, y): (i32, i32), radius: i32) -> Vec<(i32, i32)> {
        let (corners, turn) = self.mark;
        if corners == 0 {
            return Vec::new();
        }
        let side = TAU / f64::from(corners);
        let reach = f64::from(radius) * (side / side.sin()).sqrt();
        let corner = |i| {
            let angle = side * f64::from(i) + TAU * turn;
            let along = |part: f64| (part * reach).round() as i32;
            (x + along(angle.sin()), y - along(angle.cos()))
        };
        (0..corners).map(corner).collect()
    }
}

/// Draws into a group with data for the page's script.
pub(super) fn group(area: &Area, data: &[(&str, &str)], draw: impl FnOnce() -> Drawn) -> Drawn {
    let data = data.iter().map(|(key, value)| {
        let value = HtmlEscape(value);
        format!("data-{key}=\"{value}\"")
    });
    within(area, &data.collect::<Vec<_>>().join(" "), draw)
}

/// Draws into a group with these attributes.
pub(super) fn within(area: &Area, attributes: &str, draw: impl FnOnce() -> Drawn) -> Drawn {
    area.draw(&Tag(format!("<g {attributes}>")))?;
    draw()?;
    area.draw(&Tag("</g>".into()))
}

/// How text looks.
pub(super) fn ink(color: RGBColor) -> TextStyle<'static> {
    // Of the font's size plotters needs no more than the room for labels.
    let font = ("system-ui, sans-serif", f64::from(FONT) * 1.24);
    font.into_font().color(&color)
}

/// Writes a name at `at`, in the middle of its height.
pub(super) fn label(area: &Area, name: &Text, style: Style, at: (i32, i32), side: HPos) -> Drawn {
    rimmed(area, || label_in(area, name, style.color, at, side))
}

/// Draws text with a white rim, which keeps it apart from what it lies on.
pub(super) fn rimmed(area: &Area, draw: impl FnOnce() -> Drawn) -> Drawn {
    let rim = "stroke=\"#ffffff\" stroke-width=\"20\" stroke-linejoin=\"round\" \
               paint-order=\"stroke\"";
    within(area, rim, draw)
}

/// Writes a name beside a figure, in the middle of its height, on two lines
/// where it is long.
pub(super) fn beside(
    area: &Area,
    name: &Text,
    color: RGBColor,
    at: (i32, i32),
    side: HPos,
) -> Drawn {
    stacked(area, &lines(name, LONG), color, at, side)
}

/// Writes lines close below one another, their middle at `at`.
pub(super) fn stacked(
    area: &Area,
    lines: &[Text],
    color: RGBColor,
    (x, y): (i32, i32),
    side: HPos,
) -> Drawn {
    let top = y - CLOSE * (lines.len() as i32 - 1) / 2;
    let mut lines = (0..).zip(lines);
    lines.try_for_each(|(i, line)| label_in(area, line, color, (x, top + CLOSE * i), side))
}

/// Height of a name that stands beside a figure.
pub(super) fn height(name: &Text) -> i32 {
    LINE + CLOSE * (lines(name, LONG).len() as i32 - 1)
}

/// A name on one line or, where it has more than `most` letters in either
/// language, on two.
pub(super) fn lines(name: &Text, most: usize) -> Vec<Text> {
    if letters(&name.en).max(letters(&name.zh)) <= most {
        return vec![name.clone()];
    }
    let [[en, en_below], [zh, zh_below]] = [&name.en, &name.zh].map(|text| halves(text, most));
    let both = [Text::new(en, zh), Text::new(en_below, zh_below)];
    both.into_iter().filter(|line| !line.is_empty()).collect()
}

/// The parts before and behind a break: behind punctuation where neither part
/// has more than `most` letters, else at a space, else between Chinese
/// characters; of several, the one nearest to the middle.
fn halves(text: &str, most: usize) -> [&str; 2] {
    let parts = |at: usize| [text[..at].trim_end(), &text[at..]];
    let mut before = ' ';
    let breaks = text.char_indices().filter_map(|(at, c)| {
        let at = at + c.len_utf8();
        let [first, second] = parts(at).map(letters);
        let rank = match (std::mem::replace(&mut before, c), c) {
            (':' | ',', ' ') | (_, '：' | '，') if first.max(second) <= most => 0,
            (_, ' ' | '：' | '，') => 1,
            _ if !c.is_ascii() => 2,
            _ => return None,
        };
        Some((rank, first.abs_diff(second), at))
    });
    parts(breaks.min().map_or(text.len(), |(.., at)| at))
}

/// How wide a text is: a Chinese character is about as wide as one and a half
/// Latin letters.
pub(super) fn letters(text: &str) -> usize {
    let halves = text.chars().map(|c| if c.is_ascii() { 2 } else { 3 });
    halves.sum::<usize>().div_ceil(2)
}

/// Writes a name at `at`, in the middle of its height, in any colour.
pub(super) fn label_in(
    area: &Area,
    name: &Text,
    color: RGBColor,
    at: (i32, i32),
    side: HPos,
) -> Drawn {
    let style = ink(color).pos(Pos::new(side, VPos::Center));
    area.draw_text(&coded(name), &style, at)
}

/// Room beside a figure for the longest line of these names, at most half of it.
pub(super) fn room<'a>(names: impl Iterator<Item = &'a Text>, width: Width) -> i32 {
    let lines = names.flat_map(|name| lines(name, LONG));
    let letters = lines.map(|line| letters(&line.en).max(letters(&line.zh)));
    let letters = letters.max().unwrap_or(0);
    let most = width.units() / 2;
    i32::try_from(letters).map_or(most, |n| n.saturating_mul(LETTER).min(most))
}

impl Width {
    pub(super) fn units(self) -> i32 {
        PX * match self {
            Self::Wide => 760,
            Self::Narrow => 360,
        }
    }
}

/// Draws an SVG of this height. Its text alternative is what the elements with
/// the ids `name-title` and `name-desc` say.
pub(super) fn svg(
    name: &str,
    width: Width,
    height: i32,
    draw: impl FnOnce(&Area) -> Drawn,
) -> Result<String> {
    let width_units = width.units();
    let mut text = String::new();
    let area = Svg::new(&mut text, (width_units as u32, height as u32));
    let area = area.into_drawing_area();
    draw(&area)
        .and_then(|()| area.present())
        .map_err(|e| Error::Figure(e.to_string()))?;
    drop(area);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width_units} {height}\" \
         width=\"{}\" height=\"{}\" font-family=\"system-ui, sans-serif\" font-size=\"{FONT}\" \
         role=\"img\" aria-labelledby=\"{name}-title {name}-desc\">\n{text}</svg>\n",
        width_units / PX,
        height / PX,
    ))
}

/// Spans the positive ones of `values` with some room.
pub(super) fn logarithmic_range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let positive = values.filter(|v| (1e-99..1e99).contains(v));
    let (low, high) = positive.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        return 1.0..10.0;
    }
    let room = (high / low).powf(0.05).max(1.05);
    low / room..high * room
}

/// Round values in the range, at most `most` of them.
pub(super) fn ticks(range: &Range<f64>, most: usize) -> Vec<f64> {
    if range.end < 3.0 * range.start {
        let round = RangedCoordf64::from(range.clone()).key_points(most);
        return round.into_iter().filter(|v| range.contains(v)).collect();
    }
    let decades = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let within = |mantissas: &[f64]| -> Vec<f64> {
        let all = decades
            .clone()
            .flat_map(|e| mantissas.iter().map(move |m| m * 10_f64.powi(e)));
        all.filter(|v| range.contains(v)).collect()
    };
    let fine: [&[f64]; 5] = [
        &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
        &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
        &[1.0, 2.0, 5.0],
        &[1.0, 3.0],
        &[1.0],
    ];
    let fitting = fine.map(within).into_iter().find(|t| t.len() <= most);
    fitting.unwrap_or_else(|| {
        let decades = within(&[1.0]);
        let every = decades.len().div_ceil(most.max(1));
        decades.into_iter().step_by(every).collect()
    })
}

/// A curve over epochs, or other whole numbers.
pub(super) struct Curve {
    /// Name of its arm in the plan, where it is an arm's.
    pub(super) arm: Option<String>,
    pub(super) label: Text,
    pub(super) style: Style,
    pub(super) points: Vec<(u64, f64)>,
    /// The outline of the band around it, its lower side first; empty for none.
    pub(super) band: Vec<(u64, f64)>,
    /// What it is the mean of, by seed; empty where that is too much for a page.
    pub(super) seeds: Vec<(u64, Vec<f64>)>,
    /// The runs behind it, in the order of `seeds` where there are some.
    pub(super) runs: Vec<RunId>,
}

/// The numbers of curves, for the exported data.
pub(super) fn series([x_title, y_title]: [&Text; 2], curves: &[Curve]) -> Vec<Series> {
    let one = |curve: &Curve| {
        let mut columns = vec![
            column(&x_title.en, curve.points.iter().map(|(x, _)| *x)),
            column(&y_title.en, curve.points.iter().map(|(_, y)| *y)),
        ];
        let side = curve.band.len() / 2;
        if side > 0 {
            let (low, high) = curve.band.split_at(side);
            columns.push(column("low", low.iter().map(|(_, y)| *y)));
            columns.push(column("high", high.iter().rev().map(|(_, y)| *y)));
        }
        Series {
            label: curve.label.clone(),
            arm: curve.arm.clone(),
            columns,
            runs: curve.runs.clone(),
        }
    };
    curves.iter().map(one).collect()
}

/// The numbers of curves as the page's script reads them, to show them one by
/// one and to draw them on other axes.
pub(super) fn data(
    [x_title, y_title]: [&Text; 2],
    curves: &[Curve],
    provenance: &Provenance<'_>,
) -> Value {
    let curves = curves.iter().map(|curve| {
        let numbers =
            |values: &mut dyn Iterator<Item = f64>| -> Vec<Value> { values.map(short).collect() };
        let mut data = curve.style.data();
        data["arm"] = json!(curve.arm);
        data["label"] = json!(curve.label);
        data["x"] = curve.points.iter().map(|(x, _)| *x).collect();
        data["y"] = numbers(&mut curve.points.iter().map(|(_, y)| *y)).into();
        let side = curve.band.len() / 2;
        let low = curve.band.iter().take(side).map(|(_, y)| *y);
        let high = curve.band.iter().skip(side).rev().map(|(_, y)| *y);
        data["low"] = numbers(&mut { low }).into();
        data["high"] = numbers(&mut { high }).into();
        data["runs"] = provenance.places(&curve.runs).into();
        let seeds = curve.seeds.iter().zip(&curve.runs);
        let seeds = seeds.map(|((seed, values), run)| {
            json!([
                seed,
                numbers(&mut values.iter().copied()),
                provenance.places([run])
            ])
        });
        data["seeds"] = seeds.collect();
        data
    });
    json!({"x": x_title, "y": y_title, "curves": curves.collect::<Vec<_>>()})
}

/// To five significant digits: what a reader can use, in fewer bytes.
fn short(value: f64) -> Value {
    format!("{value:.4e}")
        .parse::<f64>()
        .map_or(Value::Null, |v| json!(v))
}

/// Draws curves over epochs.
pub(super) fn over_epochs(
    name: &str,
    y_title: &Text,
    curves: &[Curve],
    width: Width,
) -> Result<String> {
    over(name, [&text!("epoch", "轮"), y_title], curves, width)
}

/// Draws curves over whole numbers on a logarithmic axis. Their names stand at
/// their ends or, where there is no room, in a key above.
pub(super) fn over(
    name: &str,
    [x_title, y_title]: [&Text; 2],
    curves: &[Curve],
    width: Width,
) -> Result<String> {
    let wide = width == Width::Wide;
    let (above, inside) = match width {
        Width::Wide => {
            let rows: i32 = curves.iter().map(|curve| height(&curve.label)).sum();
            (30 * PX, rows.max(240 * PX))
        }
        Width::Narrow => (LINE * curves.len() as i32 + 34 * PX, 250 * PX),
    };
    let below = 42 * PX;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let first = points().map(|(epoch, _)| *epoch).min().unwrap_or(0);
    let last = points().map(|(epoch, _)| *epoch).max().unwrap_or(0);
    let range = logarithmic_range(points().map(|(_, value)| *value));

    svg(name, width, above + inside + below, |area| {
        let names = curves.iter().map(|curve| &curve.label);
        let right = if wide { room(names, width) } else { 0 };
        let heights = range.clone().log_scale().with_key_points(ticks(&range, 8));
        let mut chart = ChartBuilder::on(area)
            .margin_top(above)
            .margin_right(right + if wide { 26 * PX } else { 12 * PX })
            .x_label_area_size(below)
            .y_label_area_size(64 * PX)
            .build_cartesian_2d(first..last, heights)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(INK.mix(0.2).stroke_width(4))
            .axis_style(INK.mix(0.5).stroke_width(4))
            .set_all_tick_mark_size(4 * PX)
            .label_style(ink(INK))
            .x_labels(if wide { 9 } else { 6 })
            .y_label_formatter(&|value| digits(*value, 6))
            .x_desc(coded(x_title))
            .draw()?;
        area.draw_text(&coded(y_title), &ink(INK), (4 * PX, above - 26 * PX))?;

        // A wide interval can leave the range.
        let at = |(epoch, value): &(u64, f64)| {
            let value = value.clamp(range.start, range.end);
            chart.plotting_area().map_coordinate(&(*epoch, value))
        };
        let (across, down) = chart.plotting_area().get_pixel_range();
        let frame = format!(
            "{} {} {} {} {first} {last} {} {}",
            across.start, down.start, across.end, down.end, range.start, range.end
        );
        group(area, &[("frame", &frame)], || Ok(()))?;
        let of_arm = |curve: &Curve, draw: &dyn Fn() -> Drawn| match &curve.arm {
            Some(arm) => group(area, &[("arm", arm)], draw),
            None => draw(),
        };
        for curve in curves.iter().filter(|curve| !curve.band.is_empty()) {
            let outline: Vec<_> = curve.band.iter().map(at).collect();
            let band = Polygon::new(outline, curve.style.color.mix(0.16));
            of_arm(curve, &|| area.draw(&band))?;
        }
        let mut ends = Vec::new();
        for curve in curves {
            let points: Vec<_> = curve.points.iter().map(at).collect();
            ends.push(points.last().copied().unwrap_or_default());
            of_arm(curve, &|| {
                curve.style.line(area, points.clone())?;
                // About eight, so that they do not run together.
                let every = points.len().div_ceil(8).max(1);
                let mut marked = points.iter().rev().step_by(every);
                marked.try_for_each(|point| curve.style.mark(area, *point, 4 * PX, 1.0))
            })?;
        }
        let names = curves.iter().map(|curve| height(&curve.label));
        let wanted: Vec<(i32, i32)> = ends.iter().map(|(_, y)| *y).zip(names).collect();
        let placed = spread(&wanted, above + inside);
        for (i, curve) in curves.iter().enumerate() {
            let (style, key) = (curve.style, LINE * i as i32 + 12 * PX);
            of_arm(curve, &|| {
                if wide {
                    let (x, y) = ends[i];
                    let lead = [(x + 6 * PX, y), (x + 18 * PX, placed[i])];
                    area.draw(&PathElement::new(lead, INK.mix(0.3).stroke_width(4)))?;
                    let at = (x + 22 * PX, placed[i]);
                    return beside(area, &curve.label, style.color, at, HPos::Left);
                }
                style.line(area, vec![(4 * PX, key), (38 * PX, key)])?;
                style.mark(area, (21 * PX, key), 4 * PX, 1.0)?;
                label(area, &curve.label, style, (42 * PX, key), HPos::Left)
            })?;
        }
        Ok(())
    })
}

/// Shifts labels, each given by its middle and its height, down and up so that
/// none lies on another, nor one of a [`LINE`] below `bottom`; their order stays.
pub(super) fn spread(wanted: &[(i32, i32)], bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&i| wanted[i]);
    let mut placed: Vec<i32> = wanted.iter().map(|(middle, _)| *middle).collect();
    let mut edge = i32::MIN / 2;
    for &i in &order {
        let half = wanted[i].1 / 2;
        placed[i] = placed[i].max(edge + half);
        edge = placed[i] + half;
    }
    edge = bottom + LINE / 2;
    for &i in order.iter().rev() {
        let half = wanted[i].1 / 2;
        placed[i] = placed[i].min(edge - half);
        edge = placed[i] - half;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let labels = |range: Range<f64>, most| -> Vec<String> {
            ticks(&range, most).iter().map(|v| digits(*v, 6)).collect()
        };
        assert_eq!(labels(4.26..4.74, 7), ["4.3", "4.4", "4.5", "4.6", "4.7"]);
        assert_eq!(labels(4.5..13.0, 7), ["6", "8", "10", "12"]);
        assert_eq!(labels(0.9..99.0, 7), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(
            labels(9e-7..0.0011, 4),
            ["1e\u{2212}6", "1e\u{2212}5", "0.0001", "0.001"]
        );
        assert_eq!(labels(9e-13..1.1, 4).len(), 4);
    }

    #[test]
    fn a_logarithmic_range_takes_any_values() {
        let range = logarithmic_range([0.0, f64::NAN, 2.0, 8.0, f64::INFINITY].into_iter());
        assert!(range.start < 2.0 && range.end > 8.0 && range.end < 10.0);
        let range = logarithmic_range(std::iter::empty());
        assert_eq!(range, 1.0..10.0);
        for size in [1e-300, 1e-98, 1e-16, 1e15, 1e98, f64::MAX] {
            for values in [vec![size], vec![size, 2.0 * size], vec![1e-9, size]] {
                let ticks = ticks(&logarithmic_range(values.into_iter()), 8);
                assert!(ticks.len() <= 8, "{ticks:?}");
            }
        }
    }

    #[test]
    fn labels_are_spread_in_order() {
        let wanted = |middle: i32| (middle * PX, LINE);
        let top = 60 * PX - LINE;
        assert_eq!(
            spread(&[50, 48, 10].map(wanted), 60 * PX),
            [60 * PX, top, 10 * PX]
        );
        let two_lines = (50 * PX, 2 * LINE);
        assert_eq!(
            spread(&[two_lines, wanted(48)], 60 * PX),
            [60 * PX - LINE / 2, 60 * PX - 2 * LINE]
        );
    }

    #[test]
    fn long_names_are_broken_near_their_middle() {
        let long = Text::new("Control: SGD weights, B1 biases", "对照：SGD 权重，B1 偏置");
        let broken = [
            Text::new("Control: SGD weights,", "对照：SGD 权重，"),
            Text::new("B1 biases", "B1 偏置"),
        ];
        assert_eq!(lines(&long, LONG), broken);
        let gradients = Text::new("mean gradients", "平均梯度");
        let broken = [Text::new("mean", "平均"), Text::new("gradients", "梯度")];
        assert_eq!(lines(&gradients, 9), broken);
        for whole in ["AdaMix (W1 + B1)", "A-name-without-any-break-in-it"] {
            assert_eq!(lines(&whole.into(), LONG), [Text::same(whole)]);
        }
    }

    #[test]
    fn names_are_escaped() {
        let curve = Curve {
            arm: Some("\"a".into()),
            label: "<a & b>".into(),
            style: Style::of(0),
            points: vec![(0, 2.0), (3, -1.0)],
            band: vec![(0, f64::NEG_INFINITY), (0, f64::INFINITY)],
            seeds: Vec::new(),
            runs: Vec::new(),
        };
        for width in [Width::Wide, Width::Narrow] {
            let svg = over_epochs("x", &"y".into(), std::slice::from_ref(&curve), width);
            let svg = svg.unwrap();
            assert!(svg.contains("&lt;a &amp; b&gt;"), "{svg}");
            assert!(svg.contains("<g data-arm=\"&quot;a\">"), "{svg}");
        }
    }

    #[test]
    fn thirty_arms_differ() {
        let looks = |i| format!("{:?}", Style::of(i));
        let mut seen: Vec<String> = (0..30).map(looks).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 30);
    }
}
