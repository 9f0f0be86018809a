//! Median |g| of the weights against `K`, layer by layer: whether a rule that
//! divides by the root of `K + g^2` does anything that a constant rate does not.

use adamix_record::Role;

use super::Figure;
use super::chart::{Curve, Style, over_epochs};
use crate::Result;
use crate::load::{ArmRuns, Study};
use crate::number::{percent, significant};
use crate::statistics::median;

pub(super) fn figure(name: &str, study: &Study) -> Result<Option<Figure>> {
    let Some(arm) = study.only(Role::Adamix).or_else(|| study.arms.first()) else {
        return Ok(None);
    };
    let mut curves = layers(study, arm);
    let Some(first) = curves.first() else {
        return Ok(None);
    };
    let epochs: Vec<u64> = first.points.iter().map(|(epoch, _)| *epoch).collect();
    let root = arm.arm.weights["k"].as_f64().map(f64::sqrt);
    let divides_by_gradient = ["adamix-w1", "adamix-w2"]
        .iter()
        .any(|rule| arm.arm.weights["rule"] == *rule);
    let description = description(&curves, root, divides_by_gradient);
    let caption = format!(
        "Median size |g| of the weights' gradients in the last update of each epoch, by layer, \
         for {}; median over the seeds. {description}",
        arm.label()
    );
    let title = "Median gradient size against the constant K";
    if let Some(root) = root {
        curves.push(Curve {
            label: "root of K: above it, g decides".into(),
            style: Style::LIMIT,
            points: epochs.into_iter().map(|epoch| (epoch, root)).collect(),
            band: Vec::new(),
        });
    }
    let draw = |width| over_epochs(name, [title, &description], "median |g|", &curves, width);
    Figure::new(name, caption, draw).map(Some)
}

fn layers(study: &Study, arm: &ArmRuns) -> Vec<Curve> {
    let records = || arm.runs.iter().filter_map(|run| run.record.as_ref());
    let count = records()
        .flat_map(|r| r.diagnostics.iter().map(|d| d.layers.len()))
        .max()
        .unwrap_or(0);
    let last = records().map(|r| r.diagnostics.len()).max().unwrap_or(0);
    (0..count)
        .filter_map(|layer| {
            let medians: Vec<(u64, f64)> = (0..last)
                .filter_map(|i| {
                    let over_seeds: Vec<f64> = records()
                        .filter_map(|r| r.diagnostics.get(i)?.layers.get(layer)?.weights_median)
                        .collect();
                    Some((i as u64 + 1, median(&over_seeds)?))
                })
                .collect();
            (!medians.is_empty()).then(|| Curve {
                label: label(&study.protocol.layer_sizes, layer),
                style: Style::of(layer),
                points: medians,
                band: Vec::new(),
            })
        })
        .collect()
}

/// `layer 1 (784 to 1000)`; the sizes run to the code, the network back again.
fn label(sizes: &[usize], layer: usize) -> String {
    let all: Vec<usize> = sizes
        .iter()
        .chain(sizes.iter().rev().skip(1))
        .copied()
        .collect();
    match (all.get(layer), all.get(layer + 1)) {
        (Some(from), Some(to)) => format!("layer {} ({from} to {to})", layer + 1),
        _ => format!("layer {}", layer + 1),
    }
}

fn description(layers: &[Curve], root: Option<f64>, divides_by_gradient: bool) -> String {
    let all = layers.iter().flat_map(|layer| &layer.points);
    let largest = all.map(|(_, median)| *median).fold(0.0, f64::max);
    let Some(root) = root else {
        return format!("The largest median is {}.", significant(largest));
    };
    let ratio = largest / root;
    let size = format!(
        "The largest median is {}, {} times the root of K ({})",
        significant(largest),
        significant(ratio),
        significant(root)
    );
    if !divides_by_gradient {
        return format!("{size}.");
    }
    let slowed = 1.0 - 1.0 / (1.0 + ratio * ratio).sqrt();
    let meaning = if slowed < 0.01 {
        "so for most weights a rate divided by the root of K + g\u{b2} is a constant rate"
    } else {
        "so the root of K + g\u{b2} changes the rate of many weights"
    };
    let slowed = if slowed < 1e-4 {
        format!("less than {}", percent(1e-4))
    } else {
        percent(slowed)
    };
    format!(
        "{size}: at that gradient the root of K + g\u{b2} lowers the rate by {slowed}, {meaning}."
    )
}
