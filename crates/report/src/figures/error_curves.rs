//! Test error against epoch: the mean over seeds with its interval.

use super::Figure;
use super::chart::{Curve, Style, over_epochs};
use crate::Result;
use crate::load::Study;
use crate::number;
use crate::statistics::{Estimate, mean_interval};

pub(super) fn figure(name: &str, study: &Study) -> Result<Option<Figure>> {
    let curves = curves(study);
    if curves.is_empty() {
        return Ok(None);
    }
    let title = "Test error against epoch";
    let description = description(study, &curves);
    let caption = format!(
        "Reconstruction error on the test images after each epoch (one pass over the training \
         images), on a logarithmic scale: mean over the seeds and, shaded, the 95\u{202f}% \
         Student interval of that mean (left out for an arm with a diverged run, whose mean holds the \
         error of the mean image). Epoch 0 is the shared start. Bands wider than the frame are cut there. {description}"
    );
    let draw = |width| over_epochs(name, [title, &description], "test error", &curves, width);
    Figure::new(name, caption, draw).map(Some)
}

fn curves(study: &Study) -> Vec<Curve> {
    let arms = study.arms.iter();
    arms.filter_map(|arm| {
        let runs = study.by_seed(arm, |errors| Some(errors.to_vec()));
        let at = |epoch: u64| {
            let errors: Vec<f64> = runs.iter().map(|(_, run)| run[epoch as usize]).collect();
            Some((epoch, mean_interval(&errors, 0.95)?))
        };
        let means: Vec<(u64, Estimate)> = (0..=study.epochs()).map(at).collect::<Option<_>>()?;
        let low = means.iter().map(|(epoch, mean)| (*epoch, mean.low));
        let high = means.iter().map(|(epoch, mean)| (*epoch, mean.high));
        // The band of an arm with a diverged run would fill the figure.
        let banded = runs.len() > 1 && arm.diverged() == 0;
        Some(Curve {
            label: arm.label().to_owned(),
            style: Style::of(arm.style),
            points: means
                .iter()
                .map(|(epoch, mean)| (*epoch, mean.point))
                .collect(),
            band: low.chain(high.rev()).filter(|_| banded).collect(),
        })
    })
    .collect()
}

fn description(study: &Study, curves: &[Curve]) -> String {
    let ends = curves
        .iter()
        .filter_map(|curve| Some((&curve.label, curve.points.last()?.1)));
    let mut ends: Vec<(&String, f64)> = ends.collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ends: Vec<String> = ends
        .iter()
        .map(|(label, error)| format!("{label} {}", number::error(*error)))
        .collect();
    format!(
        "Mean test error after epoch {}, lowest first: {}.",
        study.epochs(),
        ends.join(", ")
    )
}
