//! Final test error of every arm: seeds as points, mean and interval.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::Figure;
use super::chart::{INK, PX, Style, Width, label, logarithmic_range, room, svg, text, ticks};
use crate::Result;
use crate::load::Study;
use crate::number::{self, digits};
use crate::statistics::{Estimate, mean_interval};

struct Row {
    label: String,
    style: Style,
    errors: Vec<f64>,
    mean: Estimate,
}

pub(super) fn figure(name: &str, study: &Study) -> Result<Option<Figure>> {
    let rows: Vec<Row> = study
        .arms
        .iter()
        .filter_map(|arm| {
            let errors: Vec<f64> = study.final_errors(arm).iter().map(|(_, e)| *e).collect();
            Some(Row {
                label: arm.label().to_owned(),
                style: Style::of(arm.style),
                mean: mean_interval(&errors, 0.95)?,
                errors,
            })
        })
        .collect();
    let lowest = rows
        .iter()
        .min_by(|a, b| a.mean.point.total_cmp(&b.mean.point));
    let Some(lowest) = lowest else {
        return Ok(None);
    };
    let description = format!(
        "The lowest mean is that of {}, {}.",
        lowest.label,
        number::interval(&lowest.mean, number::error)
    );
    let caption = format!(
        "Test error after the last epoch: every seed a pale mark, the mean a solid one, the bar \
         its 95\u{202f}% Student interval. The bars of two arms may overlap although their \
         difference, taken seed by seed, is clear. {description}"
    );
    let alternative = ["Final test error by arm", &description];
    let draw = |width| draw(name, &rows, alternative, width);
    Figure::new(name, caption, draw).map(Some)
}

fn draw(name: &str, rows: &[Row], alternative: [&str; 2], width: Width) -> Result<String> {
    let wide = width == Width::Wide;
    let height = PX * rows.len() as i32 * if wide { 40 } else { 50 };
    let (above, below) = (8 * PX, 42 * PX);
    let values = rows.iter().flat_map(|row| {
        let interval = [row.mean.low, row.mean.high];
        row.errors.iter().copied().chain(interval)
    });
    // A run that diverged is an order of magnitude off, so the scale is logarithmic.
    let range = logarithmic_range(values);
    svg(name, alternative, width, above + height + below, |area| {
        let names = rows.iter().map(|row| row.label.as_str());
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
            .label_style(text(INK))
            .x_label_formatter(&|value| digits(*value, 6))
            .x_desc("final test error (logarithmic)")
            .draw()?;

        let at = |error: f64, row: f64| {
            let error = error.clamp(range.start, range.end);
            chart.plotting_area().map_coordinate(&(error, row))
        };
        for (i, row) in rows.iter().enumerate() {
            let row_at = |share: f64| i as f64 + share;
            let (x, y) = at(range.start, row_at(if wide { 0.5 } else { 0.25 }));
            if wide {
                label(area, &row.label, row.style, (x - 12 * PX, y), HPos::Right)?;
            } else {
                label(area, &row.label, row.style, (x + 2 * PX, y), HPos::Left)?;
            }
            let (mean, seeds) = if wide { (0.4, 0.68) } else { (0.58, 0.8) };
            for error in &row.errors {
                row.style
                    .mark(area, at(*error, row_at(seeds)), 3 * PX, 0.4)?;
            }
            if row.mean.low.is_finite() {
                let ends = [row.mean.low, row.mean.high].map(|end| at(end, row_at(mean)));
                area.draw(&PathElement::new(ends, row.style.color.stroke_width(10)))?;
            }
            row.style
                .mark(area, at(row.mean.point, row_at(mean)), 5 * PX, 1.0)?;
        }
        Ok(())
    })
}
