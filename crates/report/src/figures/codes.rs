//! What the code keeps apart: test images on the first two principal directions
//! of each arm's code.

use adamix_record::{RunId, Samples, Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{FONT, INK, LINE, PX, Style, Width, group, ink, label, svg};
use super::language::coded;
use super::svg::Tag;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::load::Study;
use crate::number::{grouped, in_a_row, interval, percent};
use crate::provenance::Provenance;
use crate::statistics::{Estimate, median, share_interval};

/// Images of each digit that are drawn: the first. All are in `report.json`.
const DRAWN: usize = 30;

/// Colours of the digits, after Tol's muted scheme, darkened to be legible on
/// white. The glyph tells a digit too.
const COLORS: [&str; 10] = [
    "#332288", "#0067a5", "#00735a", "#117733", "#6b6b00", "#8a5a00", "#b84a00", "#a3193b",
    "#a8477f", "#555555",
];

struct Panel<'a> {
    arm: String,
    label: Text,
    style: Style,
    run: &'a RunId,
    /// Place and label of every image whose code is finite.
    codes: Vec<([f64; 2], u8)>,
    /// Share of the images whose nearest neighbour here has the same label.
    alike: Estimate,
}

/// The codes of the first seed; `None` where no run of it has any.
pub(super) fn figure(
    name: &str,
    study: &Study,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let Some(seed) = study.protocol.seeds.first() else {
        return Ok(None);
    };
    let panels: Vec<Panel<'_>> = study
        .arms
        .iter()
        .filter_map(|arm| {
            let run = arm.runs.iter().find(|run| run.seed == *seed)?;
            let codes = codes(run.record.as_ref()?.samples.as_ref()?);
            Some(Panel {
                arm: arm.arm.name.clone(),
                label: arm.label().clone(),
                style: Style::of(arm.style),
                run: &run.id,
                alike: alike(&codes)?,
                codes,
            })
        })
        .collect();
    let Some(first) = panels.first() else {
        return Ok(None);
    };
    let n = first.codes.len() as f64;
    let counts = (0..10).map(|digit| first.codes.iter().filter(|(_, d)| *d == digit).count());
    let chance: f64 = counts.map(|count| (count as f64 / n).powi(2)).sum();
    let units = study.protocol.layer_sizes.last().copied().unwrap_or(0);
    let words = Words {
        title: text!(
            "Do two directions of the {units}-unit code keep the digits apart?",
            "{units} 单元编码的两个方向能否区分数字？",
            units
        ),
        caption: text!(
            "The {units}-unit code of test images on its first two principal directions, a panel \
             an arm, seed {seed}: each glyph is an image with the digit that it shows, a large one \
             the median of its digit, moved apart from others where they would hide each other. \
             Directions and scales are each arm's own. Drawn are the \
             first {drawn} images of each digit; all {n} are in report.json and in the share above.",
            "测试图像的 {units} 单元编码在其前两个主方向上的投影，每种方法一格，随机种子 {seed}：每个字形为一幅图像\
             及其数字，大字形为该数字的中位位置，会相互遮挡时略微错开。方向与尺度各方法自定。每个数字只画前 {drawn} 幅；全部 {n} 幅见 \
             report.json，并计入上述比例。",
            units,
            seed,
            drawn = DRAWN,
            n = grouped(first.codes.len() as u64),
        ),
        description: description(&panels, chance),
    };
    let draw = |width| draw(name, &panels, width, provenance);
    let series = panels.iter().map(series).collect();
    Figure::new(name, words, series, draw).map(Some)
}

fn codes(samples: &Samples) -> Vec<([f64; 2], u8)> {
    let codes = samples.codes.iter().zip(&samples.code_labels);
    codes
        .map(|(code, label)| (code.map(f64::from), *label))
        .filter(|(code, label)| code.iter().all(|c| c.is_finite()) && *label < 10)
        .collect()
}

/// With Wilson's interval; `None` below two images.
fn alike(codes: &[([f64; 2], u8)]) -> Option<Estimate> {
    if codes.len() < 2 {
        return None;
    }
    let same = codes.iter().enumerate().filter(|(i, (at, label))| {
        let away = |to: &[f64; 2]| (to[0] - at[0]).powi(2) + (to[1] - at[1]).powi(2);
        let others = codes.iter().enumerate().filter(|(j, _)| j != i);
        let nearest = others.min_by(|a, b| away(&a.1.0).total_cmp(&away(&b.1.0)));
        nearest.is_some_and(|(_, (_, other))| other == label)
    });
    share_interval(same.count(), codes.len(), 0.95)
}

fn series(panel: &Panel<'_>) -> Series {
    let along = |direction: usize| {
        // To six digits, which is what an f32 holds.
        let short = move |(code, _): &([f64; 2], u8)| {
            let text = format!("{:.5e}", code[direction]);
            text.parse::<f64>().unwrap_or(code[direction])
        };
        panel.codes.iter().map(short)
    };
    Series {
        label: panel.label.clone(),
        arm: Some(panel.arm.clone()),
        columns: vec![
            column("first direction", along(0)),
            column("second direction", along(1)),
            column("digit", panel.codes.iter().map(|(_, digit)| *digit)),
        ],
        runs: vec![panel.run.clone()],
    }
}

fn description(panels: &[Panel<'_>], chance: f64) -> Text {
    let shares: Vec<Text> = panels
        .iter()
        .map(|panel| {
            let share = interval(&panel.alike, percent);
            let label = &panel.label;
            text!("{label} {share}", "{label} {share}", label, share)
        })
        .collect();
    let above = panels.iter().filter(|p| p.alike.low > chance).count();
    let answer = match (above, panels.len()) {
        (0, _) => text!(
            "No better than chance: no interval lies above it.",
            "不优于随机：没有区间高于随机水平。"
        ),
        (n, all) => text!(
            "{most} more often than by chance in {n} of {all} arms.",
            "{most} {all} 种方法中有 {n} 种高于随机水平。",
            // Half of the images have a neighbour of their kind.
            most = match panels
                .iter()
                .filter(|panel| panel.alike.point >= 0.5)
                .count()
            {
                0 => text!("For the most part not, though", "大部分不能，但"),
                some if some < all => text!("Some for the most part, and", "有的大部分能，且"),
                _ => text!("For the most part, and", "大部分能，且"),
            },
            n,
            all
        ),
    };
    text!(
        "{answer} Images whose nearest neighbour in the plane shows the same digit, with Wilson's \
         95\u{202f}% interval over the images: {shares}; by chance {chance}.",
        "{answer}平面上最近邻为同一数字的图像所占比例（Wilson 95\u{202f}% 置信区间，就图像而言）：{shares}；随机为 {chance}。",
        answer,
        shares = in_a_row(&shares),
        chance = percent(chance),
    )
}

fn draw(
    name: &str,
    panels: &[Panel<'_>],
    width: Width,
    provenance: &Provenance<'_>,
) -> Result<String> {
    let columns = match (width, panels.len()) {
        (Width::Narrow, _) => 1,
        // Four would leave most of a second row empty.
        (Width::Wide, 2 | 4) => 2,
        (Width::Wide, _) => 3,
    };
    let side = width.units() / columns;
    let head = LINE + 6 * PX;
    let inside = side - LINE - 6 * PX;
    let rows = (panels.len() as i32 + columns - 1) / columns;
    svg(name, width, rows * (side + head), |area| {
        for (i, panel) in panels.iter().enumerate() {
            let (column, row) = (i as i32 % columns, i as i32 / columns);
            let (left, top) = (column * side, row * (side + head) + head);
            let runs = provenance.places([panel.run]);
            group(area, &[("arm", &panel.arm)], || {
                let name = (left + 4 * PX, top - head / 2);
                label(area, &panel.label, panel.style, name, HPos::Left)?;
                let start = left + LINE;
                let frame = [(start, top), (start + inside, top + inside)];
                area.draw(&Rectangle::new(frame, INK.mix(0.35).stroke_width(3)))?;
                let axis = ink(INK).pos(Pos::new(HPos::Center, VPos::Center));
                let across = coded(&text!("direction 1", "方向 1"));
                let foot = (start + inside / 2, top + inside + LINE / 2);
                area.draw_text(&across, &axis, foot)?;
                let up = coded(&text!("direction 2", "方向 2"));
                let turned = axis.transform(FontTransform::Rotate270);
                area.draw_text(&up, &turned, (left + LINE / 2, top + inside / 2))?;
                draw_codes(area, panel, frame, &runs)
            })?;
        }
        Ok(())
    })
}

fn draw_codes(
    area: &super::chart::Area,
    panel: &Panel<'_>,
    [(left, top), (right, bottom)]: [(i32, i32); 2],
    runs: &str,
) -> super::chart::Drawn {
    let of = |digit: usize| {
        let codes = panel
            .codes
            .iter()
            .filter(move |(_, d)| usize::from(*d) == digit);
        codes.map(|(code, _)| *code)
    };
    let drawn: Vec<Vec<[f64; 2]>> = (0..10).map(|d| of(d).take(DRAWN).collect()).collect();
    // The same scale both ways, so that distances are true.
    let span = |direction: usize| {
        let all = drawn.iter().flatten().map(|code| code[direction]);
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), c| {
            (low.min(c), high.max(c))
        })
    };
    let spans = [span(0), span(1)];
    let widest = spans
        .iter()
        .map(|(low, high)| high - low)
        .fold(0.0, f64::max);
    let inside = f64::from((right - left).min(bottom - top) - 20 * PX);
    let scale = if widest > 0.0 { inside / widest } else { 0.0 };
    let middle = [i32::midpoint(left, right), i32::midpoint(top, bottom)];
    let at = |code: [f64; 2]| -> (i32, i32) {
        let off = |direction: usize| {
            let (low, high) = spans[direction];
            (scale * (code[direction] - f64::midpoint(low, high))).round() as i32
        };
        (middle[0] + off(0), middle[1] - off(1))
    };
    for (digit, codes) in drawn
        .iter()
        .enumerate()
        .filter(|(_, codes)| !codes.is_empty())
    {
        let places: Vec<(i32, i32)> = codes.iter().map(|code| at(*code)).collect();
        let list = |values: &mut dyn Iterator<Item = i32>| {
            values.map(|v| v.to_string()).collect::<Vec<_>>().join(" ")
        };
        // One element for all of a digit: a place for each of its letters.
        area.draw(&Tag(format!(
            "<text x=\"{}\" y=\"{}\" dy=\"0.35em\" text-anchor=\"middle\" font-size=\"{}\" \
             fill=\"{}\">{}</text>",
            list(&mut places.iter().map(|(x, _)| *x)),
            list(&mut places.iter().map(|(_, y)| *y)),
            FONT * 2 / 3,
            COLORS[digit],
            digit.to_string().repeat(places.len()),
        )))?;
    }
    let medians = (0..COLORS.len()).filter_map(|digit| {
        let along = |direction: usize| {
            let codes: Vec<f64> = of(digit).map(|code| code[direction]).collect();
            median(&codes)
        };
        Some((digit, at([along(0)?, along(1)?])))
    });
    let (digits, mut places): (Vec<usize>, Vec<(i32, i32)>) = medians.unzip();
    move_apart(&mut places);
    for (digit, (x, y)) in digits.into_iter().zip(places) {
        let color = COLORS[digit];
        let point = format!("median of digit={digit};images={}", of(digit).count());
        group(area, &[("point", &point), ("runs", runs)], || {
            area.draw(&Tag(format!(
                "<text x=\"{x}\" y=\"{y}\" dy=\"0.35em\" text-anchor=\"middle\" \
                 font-weight=\"bold\" font-size=\"{}\" fill=\"{color}\" stroke=\"#ffffff\" \
                 stroke-width=\"14\" paint-order=\"stroke\">{digit}</text>",
                FONT * 3 / 2,
            )))
        })?;
    }
    Ok(())
}

/// Moves large letters that would hide each other as far apart as they are
/// wide, each of two by half of it; as many rounds as settle a few letters.
fn move_apart(places: &mut [(i32, i32)]) {
    let wide = f64::from(FONT) * 1.3;
    for _ in 0..100 {
        for i in 1..places.len() {
            for j in 0..i {
                let [(x, y), (u, v)] = [places[i], places[j]];
                let (mut across, mut down) = (f64::from(x - u), f64::from(y - v));
                if (across, down) == (0.0, 0.0) {
                    (across, down) = (i as f64, j as f64);
                }
                let away = across.hypot(down);
                if away < wide {
                    let by = |part: f64| (part / away * (wide - away) / 2.0).round() as i32;
                    let (dx, dy) = (by(across), by(down));
                    places[i] = (x + dx, y + dy);
                    places[j] = (u - dx, v - dy);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_letters_do_not_hide_each_other() {
        let mut places: Vec<(i32, i32)> = (0..10).map(|i| (400 + i % 3, 400 + i % 2)).collect();
        move_apart(&mut places);
        for (i, (x, y)) in places.iter().enumerate() {
            for (u, v) in &places[..i] {
                let away = f64::from(x - u).hypot(f64::from(y - v));
                assert!(away > f64::from(FONT), "{away}");
            }
        }
    }

    #[test]
    fn it_says_for_how_many_arms_most_images_keep_to_their_kind() {
        let run = RunId::new(&serde_json::json!({}), 0, "", adamix_record::Backend::Cpu);
        let panel = |of_100: usize| Panel {
            arm: "a".into(),
            label: "a".into(),
            style: Style::of(0),
            run: &run,
            codes: Vec::new(),
            alike: share_interval(of_100, 100, 0.95).unwrap(),
        };
        let says = |shares: [usize; 2]| description(&shares.map(panel), 0.1).en;
        let begins = [
            (
                [60, 70],
                "For the most part, and more often than by chance in 2 of 2",
            ),
            (
                [40, 70],
                "Some for the most part, and more often than by chance in 2 of 2",
            ),
            (
                [40, 30],
                "For the most part not, though more often than by chance in 2 of 2",
            ),
            (
                [40, 10],
                "For the most part not, though more often than by chance in 1 of 2",
            ),
            ([10, 10], "No better than chance"),
        ];
        for (shares, begin) in begins {
            assert!(says(shares).starts_with(begin), "{}", says(shares));
        }
    }
}
