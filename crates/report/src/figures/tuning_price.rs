//! What tuning costs: the lowest validation error to expect of so many tries.

use super::Figure;
use super::chart::{Curve, Style, over};
use crate::Result;
use crate::load::{Study, TuningRuns};
use crate::number;
use crate::statistics::{BestOf, best_of};

pub(super) fn figure(name: &str, study: &Study) -> Result<Option<Figure>> {
    let priced: Vec<(&TuningRuns, Vec<BestOf>)> = study
        .tuning
        .iter()
        .filter_map(|arm| Some((arm, best_of(&arm.errors(study)?)?)))
        .collect();
    if priced.is_empty() {
        return Ok(None);
    }
    let curves: Vec<Curve> = priced
        .iter()
        .map(|(arm, prices)| {
            let points = |value: fn(&BestOf) -> f64| {
                let points = prices.iter();
                points.map(move |price| (price.settings as u64, value(price)))
            };
            Curve {
                label: arm.label.clone(),
                style: Style::of(arm.style),
                points: points(|price| price.mean).collect(),
                band: points(|price| price.low)
                    .chain(points(|price| price.high).rev())
                    .collect(),
            }
        })
        .collect();
    let description = description(&priced);
    let missing = study.tuning.len() - priced.len();
    let missing = match missing {
        0 => String::new(),
        n => format!(" {n} arms are left out, of which some candidate has no error yet."),
    };
    let caption = format!(
        "The price of tuning: the lowest validation error to expect had only so many of the \
         candidates been tried, drawn without replacement, and, shaded, from its 10\u{202f}% to \
         its 90\u{202f}% quantile; exact, from order statistics. Candidates of an extension are \
         among them. A candidate that was stopped counts with its error there, which is an upper \
         bound as long as training lowers it; one that diverged counts with the mean image's \
         error on the test images, the only one that is known.{missing} {description}"
    );
    let titles = ["candidates tried", "validation error"];
    let title = "Lowest validation error to expect against candidates tried";
    let draw = |width| over(name, [title, &description], titles, &curves, width);
    Figure::new(name, caption, draw).map(Some)
}

fn description(priced: &[(&TuningRuns, Vec<BestOf>)]) -> String {
    let prices: Vec<String> = priced
        .iter()
        .filter_map(|(arm, prices)| {
            let (one, all) = (prices.first()?, prices.last()?);
            Some(format!(
                "{} {} after one and {} after {}",
                arm.label,
                number::error(one.mean),
                number::error(all.mean),
                all.settings
            ))
        })
        .collect();
    format!("To expect: {}.", prices.join("; "))
}
