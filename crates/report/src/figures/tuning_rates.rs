//! Validation error against learning rate, a panel an arm: whether the best
//! lies inside what was searched, and how sharp it is.

use adamix_record::{RunId, Text, text};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{
    Area, Drawn, INK, LINE, PX, Style, Width, group, ink, label, label_in, logarithmic_range, svg,
    ticks,
};
use super::language::coded;
use super::{Figure, Series, Words, column};
use crate::Result;
use crate::load::Study;
use crate::number::{self, EPOCH, SEED, count, digits, in_a_row, listed};
use crate::provenance::Provenance;
use crate::tuning::{Tried, error_after, first_rung, meaning_of_rate};

struct Panel {
    arm: String,
    label: Text,
    style: Style,
    /// Learning rate and what came of each candidate.
    candidates: Vec<(f64, Tried)>,
    /// The error of each after the first rung, the last epoch that all have in
    /// common; `None` of one that has diverged or not ended.
    common: Vec<Option<f64>>,
    /// Whether the candidates form a grid over the learning rates.
    grid: bool,
    chosen: Option<usize>,
    /// The runs of each candidate.
    runs: Vec<Vec<RunId>>,
}

fn series(panel: &Panel) -> Series {
    let tried = || panel.candidates.iter().map(|(_, tried)| tried);
    let name = |tried: &Tried| match tried {
        Tried::Completed(_) => "completed",
        Tried::Stopped { .. } => "stopped",
        Tried::Diverged => "diverged",
        Tried::Failed => "failed",
        Tried::Outstanding => "outstanding",
    };
    Series {
        label: panel.label.clone(),
        arm: Some(panel.arm.clone()),
        columns: vec![
            column(
                "learning rate",
                panel.candidates.iter().map(|(rate, _)| *rate),
            ),
            column("validation error", tried().map(|tried| tried.error())),
            column(
                "validation error after the first rung",
                panel.common.clone(),
            ),
            column("state", tried().map(name)),
            column(
                "chosen",
                (0..panel.candidates.len()).map(|i| panel.chosen == Some(i)),
            ),
        ],
        runs: panel.runs.concat(),
    }
}

pub(super) fn figure(
    name: &str,
    study: &Study,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let panels = panels(study);
    if panels.is_empty() {
        return Ok(None);
    }
    let without: Vec<Text> = study
        .tuning
        .iter()
        .filter(|arm| arm.learning_rate().is_none())
        .map(|arm| arm.label.clone())
        .collect();
    let without = match without.as_slice() {
        [] => Text::default(),
        arms => text!(
            " No learning rate was searched for {arms}.",
            "{arms} 未搜索学习率。",
            arms = listed(arms),
        ),
    };
    let tuning = study.protocol.tuning.as_ref();
    let seeds = tuning.map_or(0, |tuning| tuning.seeds.len());
    let words = Words {
        title: text!(
            "Which learning rate is best for each arm?",
            "各方法的最佳学习率是多少？"
        ),
        caption: text!(
            "Validation error of every candidate against its learning rate, both on logarithmic \
             scales, mean over {seeds}, by which alone candidates are ranked, so that no interval is drawn. Solid marks: all epochs done; open marks: not \
             kept, drawn at the error where it stopped, after fewer epochs; crosses at the top: \
             diverged, with their number where several coincide. The line joins the lowest at each learning rate over the other settings, all \
             after {epochs}, the most that every candidate was given; a ring marks the candidate \
             that was chosen.{meaning}{without}",
            "每组候选设置的验证误差与学习率，均为对数刻度，取 {seeds}的均值，候选设置仅按此排序，故不画区间。实心标记：全部轮数已完成；空心标记：\
             未保留，画在其停止时（轮数较少）的误差处；顶端的叉：发散，几组重合时注明组数。折线连接每个学习率下、其余设置取遍后的最低值，一律取 \
             {epochs}之后的误差，即每组候选设置都训练到的轮数；圆圈标出选定的候选设置。{meaning}{without}",
            seeds = count(seeds, SEED),
            epochs = count(first_rung(study).unwrap_or(0) as usize, EPOCH),
            meaning = meaning_of_rate(study),
            without,
        ),
        description: description(&panels),
    };
    let draw = |width| draw(name, &panels, width, provenance);
    let series = panels.iter().map(series).collect();
    Figure::new(name, words, series, draw).map(Some)
}

fn panels(study: &Study) -> Vec<Panel> {
    let arms = study.tuning.iter();
    arms.filter_map(|arm| {
        let (place, axis) = arm.learning_rate()?;
        let rates = arm.tuned.candidates.iter().map(|c| c.values[place]);
        let candidates: Vec<(f64, Tried)> = rates.zip(arm.tried()).collect();
        let compared = candidates.iter().zip(&arm.candidates);
        let common = compared.map(|((_, tried), runs)| {
            tried.error()?;
            error_after(runs, first_rung(study)?)
        });
        let common = common.collect();
        let known =
            |(_, tried): &(f64, Tried)| tried.error().is_some() || matches!(tried, Tried::Diverged);
        candidates.iter().any(known).then(|| Panel {
            arm: arm.tuned.arm.clone(),
            label: arm.label.clone(),
            style: Style::of(arm.style),
            candidates,
            common,
            grid: axis.grid,
            chosen: arm.tuned.chosen,
            runs: arm
                .candidates
                .iter()
                .map(|runs| runs.iter().map(|run| run.id.clone()).collect())
                .collect(),
        })
    })
    .collect()
}

/// The lowest error at each learning rate that all candidates of a grid have in
/// common, by learning rate.
fn lowest(panel: &Panel) -> Vec<(f64, f64)> {
    let mut lowest: Vec<(f64, f64)> = Vec::new();
    let candidates = panel.candidates.iter().zip(&panel.common);
    for ((rate, _), error) in candidates.filter(|_| panel.grid) {
        let Some(error) = *error else { continue };
        match lowest.iter_mut().find(|(found, _)| found == rate) {
            Some((_, least)) => *least = least.min(error),
            None => lowest.push((*rate, error)),
        }
    }
    lowest.sort_by(|a, b| a.0.total_cmp(&b.0));
    lowest
}

/// The learning rates at which several candidates diverged, with their number.
fn diverged(panel: &Panel) -> Vec<(f64, usize)> {
    let diverged = panel.candidates.iter();
    let diverged = diverged.filter(|(_, tried)| matches!(tried, Tried::Diverged));
    let mut rates: Vec<f64> = diverged.map(|(rate, _)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    let alike = rates.chunk_by(|a, b| a == b);
    let several = alike.filter(|rates| rates.len() > 1);
    several.map(|rates| (rates[0], rates.len())).collect()
}

fn description(panels: &[Panel]) -> Text {
    let chosen: Vec<Text> = panels
        .iter()
        .filter_map(|panel| {
            let (rate, tried) = panel.candidates.get(panel.chosen?)?;
            Some(text!(
                "{label} at {rate} ({error})",
                "{label} 取 {rate}（{error}）",
                label = &panel.label,
                rate = number::setting(*rate),
                error = number::error(tried.error()?),
            ))
        })
        .collect();
    match chosen.as_slice() {
        [] => text!("Nothing is chosen yet.", "尚未选定。"),
        chosen => text!(
            "Chosen, with their validation errors: {chosen}.",
            "选定值及其验证误差：{chosen}。",
            chosen = in_a_row(chosen),
        ),
    }
}

/// Ticks of the axis of learning rates: those of grids, from the highest down,
/// so far apart that their names fit; round ones where some are drawn.
fn rate_ticks(panels: &[Panel], range: &std::ops::Range<f64>) -> Vec<f64> {
    if panels.iter().any(|panel| !panel.grid) {
        return ticks(range, 7);
    }
    let rates = panels.iter().flat_map(|panel| &panel.candidates);
    let rates = rates.map(|(rate, _)| *rate);
    let mut rates: Vec<f64> = rates.filter(|rate| range.contains(rate)).collect();
    rates.sort_by(|a, b| b.total_cmp(a));
    let apart = (range.end / range.start).powf(1.0 / 8.0);
    let mut ticks: Vec<f64> = Vec::new();
    for rate in rates {
        if ticks.last().is_none_or(|last| last / rate >= apart) {
            ticks.push(rate);
        }
    }
    ticks
}

fn draw(name: &str, panels: &[Panel], width: Width, provenance: &Provenance<'_>) -> Result<String> {
    let columns = if width == Width::Wide { 2 } else { 1 };
    let rows = panels.len().div_ceil(columns);
    let height = 258 * PX;
    let all = || panels.iter().flat_map(|panel| &panel.candidates);
    let errors = logarithmic_range(all().filter_map(|(_, tried)| tried.error()));
    // Those that diverged stand above all others.
    let room = match all().any(|(_, tried)| *tried == Tried::Diverged) {
        true => (errors.end / errors.start).powf(0.12),
        false => 1.0,
    };
    let errors = errors.start..errors.end * room;
    let rates = logarithmic_range(all().map(|(rate, _)| *rate));
    let rate_ticks = rate_ticks(panels, &rates);
    svg(name, width, height * rows as i32, |area| {
        let areas = area.split_evenly((rows, columns));
        for (panel, place) in panels.iter().zip(&areas) {
            group(area, &[("arm", &panel.arm)], || {
                draw_panel(
                    area,
                    place,
                    panel,
                    [&rates, &errors],
                    &rate_ticks,
                    provenance,
                )
            })?;
        }
        Ok(())
    })
}

fn draw_panel(
    area: &Area,
    place: &Area,
    panel: &Panel,
    [rates, errors]: [&std::ops::Range<f64>; 2],
    rate_ticks: &[f64],
    provenance: &Provenance<'_>,
) -> Drawn {
    let x = rates
        .clone()
        .log_scale()
        .with_key_points(rate_ticks.to_vec());
    let y = errors.clone().log_scale().with_key_points(ticks(errors, 6));
    let mut chart = ChartBuilder::on(place)
        .margin_top(30 * PX + LINE)
        .margin_right(14 * PX)
        .x_label_area_size(42 * PX)
        .y_label_area_size(52 * PX)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(INK.mix(0.2).stroke_width(4))
        .axis_style(INK.mix(0.5).stroke_width(4))
        .set_all_tick_mark_size(4 * PX)
        .label_style(ink(INK))
        .x_label_formatter(&|value| digits(*value, 3))
        .y_label_formatter(&|value| digits(*value, 4))
        .x_desc(coded(&text!("learning rate", "学习率")))
        .draw()?;
    let at = |rate: f64, error: f64| {
        let error = error.clamp(errors.start, errors.end);
        chart.plotting_area().map_coordinate(&(rate, error))
    };
    let (left, top) = at(rates.start, errors.end);
    let name = (left, top - 16 * PX - LINE);
    label(area, &panel.label, panel.style, name, HPos::Left)?;
    let title = text!("validation error", "验证误差");
    let corner = (left - 48 * PX, top - 16 * PX);
    label_in(area, &title, INK, corner, HPos::Left)?;
    let lowest = lowest(panel).into_iter();
    let line = lowest.map(|(rate, error)| at(rate, error));
    panel.style.line(area, line.collect())?;
    for (index, (rate, tried)) in panel.candidates.iter().enumerate() {
        let radius = 5 * PX;
        let runs = panel.runs.get(index).into_iter().flatten();
        let runs = provenance.places(runs);
        let rate_is = format!("learning rate={}", number::setting(*rate));
        let point = |error: f64| format!("{rate_is};validation error={}", number::error(error));
        match tried {
            Tried::Completed(error) => {
                group(area, &[("point", &point(*error)), ("runs", &runs)], || {
                    panel.style.mark(area, at(*rate, *error), radius, 1.0)
                })?;
            }
            Tried::Stopped { error, .. } => {
                let point = format!("{};stopped early", point(*error));
                group(area, &[("point", &point), ("runs", &runs)], || {
                    panel.style.open_mark(area, at(*rate, *error), radius)
                })?;
            }
            Tried::Diverged => {
                let (x, y) = at(*rate, errors.end);
                let (y, arm) = (y + 8 * PX, 4 * PX);
                let line = panel.style.color.stroke_width(8);
                let crossed =
                    [-1, 1].map(|side| [(x - arm, y - side * arm), (x + arm, y + side * arm)]);
                let point = format!("{rate_is};diverged");
                group(area, &[("point", &point), ("runs", &runs)], || {
                    let mut strokes = crossed.into_iter();
                    strokes.try_for_each(|ends| area.draw(&PathElement::new(ends, line)))
                })?;
            }
            Tried::Failed | Tried::Outstanding => {}
        }
        if let Some(error) = tried.error().filter(|_| panel.chosen == Some(index)) {
            let ring = INK.stroke_width(6);
            area.draw(&Circle::new(at(*rate, error), 10 * PX, ring))?;
        }
    }
    for (rate, count) in diverged(panel) {
        let (x, y) = at(rate, errors.end);
        let name = format!("\u{d7}{count}").into();
        label(
            area,
            &name,
            panel.style,
            (x + 6 * PX, y + 8 * PX),
            HPos::Left,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_joins_the_lowest_that_all_have_in_common() {
        let kept = Tried::Completed(3.0);
        let early = Tried::Stopped {
            epoch: 1,
            error: 6.0,
        };
        let mut panel = Panel {
            arm: "a".into(),
            label: "a".into(),
            style: Style::of(0),
            candidates: vec![(0.1, kept), (0.01, early), (0.1, early), (1.0, early)],
            common: vec![Some(5.0), Some(6.0), Some(4.5), None],
            grid: true,
            chosen: Some(0),
            runs: Vec::new(),
        };
        assert_eq!(lowest(&panel), [(0.01, 6.0), (0.1, 4.5)]);
        panel.grid = false;
        assert_eq!(lowest(&panel), []);
    }
}
