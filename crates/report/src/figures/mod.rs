//! Figures, one file each. Every figure is drawn twice, for wide and for
//! narrow screens, from the same numbers.

mod chart;
mod error_curves;
mod final_errors;
mod gradients;

use serde::Serialize;

use crate::Result;
use crate::load::Study;
use chart::Width;

/// A figure, ready for the page.
#[derive(Serialize)]
pub(crate) struct Figure {
    /// Its file's stem under `figures/`.
    pub(crate) name: &'static str,
    /// What it shows and how to read it.
    pub(crate) caption: String,
    pub(crate) wide: String,
    pub(crate) narrow: String,
}

impl Figure {
    fn new(
        name: &'static str,
        caption: String,
        draw: impl Fn(Width) -> Result<String>,
    ) -> Result<Self> {
        Ok(Self {
            name,
            caption,
            wide: draw(Width::Wide)?,
            narrow: draw(Width::Narrow)?,
        })
    }
}

/// The figures that the records allow.
#[derive(Serialize)]
pub(crate) struct Figures {
    pub(crate) error_curves: Option<Figure>,
    pub(crate) final_errors: Option<Figure>,
    pub(crate) gradients: Option<Figure>,
}

impl Figures {
    pub(crate) fn draw(study: &Study) -> Result<Self> {
        Ok(Self {
            error_curves: error_curves::figure(study)?,
            final_errors: final_errors::figure(study)?,
            gradients: gradients::figure(study)?,
        })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Figure> {
        [&self.error_curves, &self.final_errors, &self.gradients]
            .into_iter()
            .flatten()
    }
}
