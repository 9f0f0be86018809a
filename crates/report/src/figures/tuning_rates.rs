//! Validation error against learning rate, a panel an arm: whether the best
//! lies inside what was searched, and how sharp it is.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::Figure;
use super::chart::{
    Area, Drawn, INK, PX, Style, Width, label, logarithmic_range, svg, text, ticks,
};
use crate::Result;
use crate::load::Study;
use crate::number::{self, digits, listed};
use crate::tuning::{Tried, meaning_of_rate};

struct Panel {
    label: String,
    style: Style,
    /// Learning rate and what came of each candidate.
    candidates: Vec<(f64, Tried)>,
    /// The best at each learning rate, where they form a grid.
    best: Vec<(f64, f64)>,
    chosen: Option<usize>,
}

pub(super) fn figure(name: &str, study: &Study) -> Result<Option<Figure>> {
    let panels = panels(study);
    if panels.is_empty() {
        return Ok(None);
    }
    let without: Vec<&str> = study
        .tuning
        .iter()
        .filter(|arm| arm.learning_rate().is_none())
        .map(|arm| arm.label.as_str())
        .collect();
    let without = match without.as_slice() {
        [] => String::new(),
        arms => format!(" No learning rate was searched for {}.", listed(arms)),
    };
    let description = description(&panels);
    let caption = format!(
        "Validation error of every candidate against its learning rate, both on logarithmic \
         scales, mean over the tuning seeds. Solid marks: all epochs done; open marks: not kept, \
         drawn at the error where it stopped, after fewer epochs; crosses at the top: diverged. \
         The line joins the lowest at each learning rate over the other settings; a ring marks \
         the candidate that was chosen.{}{without} {description}",
        meaning_of_rate(study)
    );
    let title = "Validation error against learning rate, by arm";
    let draw = |width| draw(name, &panels, [title, &description], width);
    Figure::new(name, caption, draw).map(Some)
}

fn panels(study: &Study) -> Vec<Panel> {
    let arms = study.tuning.iter();
    arms.filter_map(|arm| {
        let (place, axis) = arm.learning_rate()?;
        let rates = arm.tuned.candidates.iter().map(|c| c.values[place]);
        let candidates: Vec<(f64, Tried)> = rates.zip(arm.tried()).collect();
        let mut best: Vec<(f64, f64)> = Vec::new();
        for (rate, tried) in candidates.iter().filter(|_| axis.grid) {
            let Some(error) = tried.error() else {
                continue;
            };
            match best.iter_mut().find(|(found, _)| found == rate) {
                Some((_, lowest)) => *lowest = lowest.min(error),
                None => best.push((*rate, error)),
            }
        }
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        let known =
            |(_, tried): &(f64, Tried)| tried.error().is_some() || matches!(tried, Tried::Diverged);
        candidates.iter().any(known).then(|| Panel {
            label: arm.label.clone(),
            style: Style::of(arm.style),
            candidates,
            best,
            chosen: arm.tuned.chosen,
        })
    })
    .collect()
}

fn description(panels: &[Panel]) -> String {
    let chosen: Vec<String> = panels
        .iter()
        .filter_map(|panel| {
            let (rate, tried) = panel.candidates.get(panel.chosen?)?;
            Some(format!(
                "{} at {} ({})",
                panel.label,
                number::significant(*rate),
                number::error(tried.error()?)
            ))
        })
        .collect();
    match chosen.as_slice() {
        [] => "Nothing is chosen yet.".into(),
        chosen => format!(
            "Chosen, with their validation errors: {}.",
            chosen.join(", ")
        ),
    }
}

fn draw(name: &str, panels: &[Panel], alternative: [&str; 2], width: Width) -> Result<String> {
    let columns = if width == Width::Wide { 2 } else { 1 };
    let rows = panels.len().div_ceil(columns);
    let height = 240 * PX;
    let all = || panels.iter().flat_map(|panel| &panel.candidates);
    let errors = logarithmic_range(all().filter_map(|(_, tried)| tried.error()));
    let rates = logarithmic_range(all().map(|(rate, _)| *rate));
    svg(name, alternative, width, height * rows as i32, |area| {
        let areas = area.split_evenly((rows, columns));
        for (panel, place) in panels.iter().zip(&areas) {
            draw_panel(area, place, panel, [&rates, &errors])?;
        }
        Ok(())
    })
}

fn draw_panel(
    area: &Area,
    place: &Area,
    panel: &Panel,
    [rates, errors]: [&std::ops::Range<f64>; 2],
) -> Drawn {
    let x = rates.clone().log_scale().with_key_points(ticks(rates, 5));
    let y = errors.clone().log_scale().with_key_points(ticks(errors, 6));
    let mut chart = ChartBuilder::on(place)
        .margin_top(30 * PX)
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
        .label_style(text(INK))
        .x_label_formatter(&|value| digits(*value, 3))
        .y_label_formatter(&|value| digits(*value, 4))
        .x_desc("learning rate")
        .draw()?;
    let at = |rate: f64, error: f64| {
        let error = error.clamp(errors.start, errors.end);
        chart.plotting_area().map_coordinate(&(rate, error))
    };
    let (left, top) = at(rates.start, errors.end);
    let title = (left, top - 16 * PX);
    label(area, &panel.label, panel.style, title, HPos::Left)?;
    let best = panel.best.iter().map(|(rate, error)| at(*rate, *error));
    panel.style.line(area, best.collect())?;
    for (index, (rate, tried)) in panel.candidates.iter().enumerate() {
        let radius = 5 * PX;
        match tried {
            Tried::Completed(error) => {
                panel.style.mark(area, at(*rate, *error), radius, 1.0)?;
            }
            Tried::Stopped { error, .. } => {
                panel.style.open_mark(area, at(*rate, *error), radius)?;
            }
            Tried::Diverged => {
                let (x, y) = at(*rate, errors.end);
                let (y, arm) = (y + 8 * PX, 4 * PX);
                let line = panel.style.color.stroke_width(8);
                for side in [-1, 1] {
                    let ends = [(x - arm, y - side * arm), (x + arm, y + side * arm)];
                    area.draw(&PathElement::new(ends, line))?;
                }
            }
            Tried::Failed | Tried::Outstanding => {}
        }
        if let Some(error) = tried.error().filter(|_| panel.chosen == Some(index)) {
            let ring = INK.stroke_width(6);
            area.draw(&Circle::new(at(*rate, error), 10 * PX, ring))?;
        }
    }
    Ok(())
}
