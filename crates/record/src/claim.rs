use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Role, Text};

/// A claim of the paper with the rule that decides it, fixed in the experiment
/// file before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Claim {
    /// Short name, for example `C1`.
    pub id: String,
    /// The claim in a few words.
    pub text: Text,
    /// What is compared.
    pub statistic: Statistic,
    /// How: see [`Comparison`].
    pub comparison: Comparison,
    /// Roles of the arms that AdaMix is compared with. To be reproduced, a
    /// claim must hold against each; it is contradicted by any.
    pub against: Vec<Role>,
    /// Relative differences within this margin make no practical difference.
    pub margin: f64,
    /// Confidence of the intervals that reproduce the claim, 0.95 say.
    pub confidence: f64,
    /// Confidence of the intervals that contradict it: higher, since each of
    /// several comparisons has a chance to.
    pub contradiction_confidence: f64,
    /// No verdict below this number of seeds.
    pub fewest_seeds: usize,
    /// Chance with which the number of seeds asked for would decide.
    pub power: f64,
}

/// What a claim compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Test error after the last epoch.
    FinalError,
    /// Mean of the test errors after each epoch: the area under the curve.
    MeanError,
    /// Declared and measured cost of an update.
    UpdateCost,
}

/// How a claim compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// Of errors: paired by seed, relative to the other arm's mean, with
    /// Student's interval. Reproduced where every interval lies below
    /// `-margin`, contradicted where one at the contradiction's confidence lies
    /// above `margin`, no practical difference where all lie within.
    PairedRelative,
    /// Of costs: reproduced where AdaMix is lowest or tied in every declared
    /// figure, lowest in one, and the interval of every measured ratio lies
    /// below 1; contradicted where one lies above 1.
    DeclaredAndMeasured,
}

impl Claim {
    /// The claim without its prose: what the protocol's hash covers.
    pub fn rule(&self) -> Value {
        json!({
            "id": self.id,
            "statistic": self.statistic,
            "comparison": self.comparison,
            "against": self.against,
            "margin": self.margin,
            "confidence": self.confidence,
            "contradiction-confidence": self.contradiction_confidence,
            "fewest-seeds": self.fewest_seeds,
            "power": self.power,
        })
    }

    /// What cannot be decided by, if something: the key, its value, what is due.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let share = |key, value: f64| {
            if value > 0.0 && value < 1.0 {
                Ok(())
            } else {
                Err((key, format!("{value}: must lie between 0 and 1")))
            }
        };
        share("confidence", self.confidence)?;
        share("contradiction-confidence", self.contradiction_confidence)?;
        share("power", self.power)?;
        if !(0.0..1.0).contains(&self.margin) {
            return Err((
                "margin",
                format!("{}: must be at least 0 and below 1", self.margin),
            ));
        }
        if self.against.is_empty() {
            return Err(("against", "there is none; name at least one role".into()));
        }
        if self.fewest_seeds < 2 {
            return Err((
                "fewest-seeds",
                format!("{}: must be at least 2", self.fewest_seeds),
            ));
        }
        let fits = match self.comparison {
            Comparison::PairedRelative => self.statistic != Statistic::UpdateCost,
            Comparison::DeclaredAndMeasured => self.statistic == Statistic::UpdateCost,
        };
        if fits {
            Ok(())
        } else {
            Err((
                "comparison",
                "`paired-relative` goes with errors, `declared-and-measured` with `update-cost`"
                    .into(),
            ))
        }
    }
}
