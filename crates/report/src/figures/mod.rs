//! Figures, one file each. Every figure is drawn twice, for wide and for
//! narrow screens, from the same numbers.

mod chart;
mod error_curves;
mod final_errors;
mod gradients;
mod readings;
mod tuning_price;
mod tuning_rates;

use serde::Serialize;

use crate::Result;
use crate::load::{Experiment, Study};
use crate::number::slug;
use chart::Width;

/// A figure, ready for the page.
#[derive(Serialize)]
pub(crate) struct Figure {
    /// Its file's stem under `figures/`.
    pub(crate) name: String,
    /// What it shows and how to read it.
    pub(crate) caption: String,
    pub(crate) wide: String,
    pub(crate) narrow: String,
}

impl Figure {
    fn new(name: &str, caption: String, draw: impl Fn(Width) -> Result<String>) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            caption,
            wide: draw(Width::Wide)?,
            narrow: draw(Width::Narrow)?,
        })
    }
}

/// The figures that the records allow.
#[derive(Serialize)]
pub(crate) struct Figures {
    /// One entry a headline protocol.
    pub(crate) protocols: Vec<ProtocolFigures>,
    pub(crate) readings: Option<Figure>,
    pub(crate) tuned_readings: Option<Figure>,
}

/// The figures of one protocol.
#[derive(Serialize)]
pub(crate) struct ProtocolFigures {
    pub(crate) error_curves: Option<Figure>,
    pub(crate) final_errors: Option<Figure>,
    pub(crate) gradients: Option<Figure>,
    pub(crate) tuning_rates: Option<Figure>,
    pub(crate) tuning_price: Option<Figure>,
}

impl Figures {
    pub(crate) fn draw(experiment: &Experiment) -> Result<Self> {
        let alone = experiment.headline().count() == 1;
        let protocols = experiment.headline().map(|study| {
            // Where there are several, their files bear the protocol's name.
            let name = |stem: &str| match alone {
                true => stem.to_owned(),
                false => format!("{stem}-{}", slug(&study.protocol.name)),
            };
            ProtocolFigures::draw(study, name)
        });
        Ok(Self {
            protocols: protocols.collect::<Result<_>>()?,
            readings: readings::figure("readings-map", experiment, false)?,
            tuned_readings: readings::figure("readings-map-tuned", experiment, true)?,
        })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Figure> {
        let protocols = self.protocols.iter().flat_map(ProtocolFigures::all);
        let maps = [&self.readings, &self.tuned_readings];
        protocols.chain(maps.into_iter().flatten())
    }
}

impl ProtocolFigures {
    fn draw(study: &Study, name: impl Fn(&str) -> String) -> Result<Self> {
        Ok(Self {
            error_curves: error_curves::figure(&name("error-curves"), study)?,
            final_errors: final_errors::figure(&name("final-errors"), study)?,
            gradients: gradients::figure(&name("gradients"), study)?,
            tuning_rates: tuning_rates::figure(&name("tuning-rates"), study)?,
            tuning_price: tuning_price::figure(&name("tuning-price"), study)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Figure> {
        let all = [
            &self.error_curves,
            &self.final_errors,
            &self.gradients,
            &self.tuning_rates,
            &self.tuning_price,
        ];
        all.into_iter().flatten()
    }
}
