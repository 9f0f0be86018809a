use serde::{Deserialize, Serialize};

use crate::error::{Invalid, at_least, positive};

/// A learning rate as a function of time, a closed set.
///
/// `t` is 0 at the first update. It counts updates or whole epochs done, as
/// [`Per`] says; `r` is in the same unit.
///
/// | kind | rate at `t` | source |
/// |---|---|---|
/// | `constant` | `learning-rate` | |
/// | `power` | `learning-rate (1 + t/r)^-c` | Senior, Heigold, Ranzato & Yang, ICASSP 2013; AdaMix bias reading B1 |
/// | `exponential` | `learning-rate 10^(-t/r)` | the same; B2 |
/// | `power-times-exponential` | `learning-rate (1 + t/r)^-c 10^(-t/r)` | B3 |
/// | `power-exponential` | `learning-rate (1 + t/r)^(-c t/r)` | 幂指数函数 `u(t)^v(t)` as a textbook has it; B4 |
///
/// ```
/// use adamix_optim::{Per, Schedule};
/// let power = Schedule::Power { learning_rate: 0.5, r: 100.0, c: 0.75, per: Per::Update };
/// assert_eq!(power.at(0.0), 0.5);
/// assert!((power.at(100.0) - 0.5 * 2f64.powf(-0.75)).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Schedule {
    /// `learning-rate`
    Constant {
        /// Rate at `t` = 0.
        learning_rate: f64,
    },
    /// `learning-rate (1 + t/r)^-c`
    Power {
        /// Rate at `t` = 0.
        learning_rate: f64,
        /// Time constant, in the unit of `per`.
        r: f64,
        /// Exponent. Default 0.75.
        #[serde(default = "default_c")]
        c: f64,
        /// What `t` counts. Default updates.
        #[serde(default)]
        per: Per,
    },
    /// `learning-rate 10^(-t/r)`
    Exponential {
        /// Rate at `t` = 0.
        learning_rate: f64,
        /// Time constant, in the unit of `per`.
        r: f64,
        /// What `t` counts. Default updates.
        #[serde(default)]
        per: Per,
    },
    /// `learning-rate (1 + t/r)^-c 10^(-t/r)`
    PowerTimesExponential {
        /// Rate at `t` = 0.
        learning_rate: f64,
        /// Time constant, in the unit of `per`.
        r: f64,
        /// Exponent. Default 0.75.
        #[serde(default = "default_c")]
        c: f64,
        /// What `t` counts. Default updates.
        #[serde(default)]
        per: Per,
    },
    /// `learning-rate (1 + t/r)^(-c t/r)`
    PowerExponential {
        /// Rate at `t` = 0.
        learning_rate: f64,
        /// Time constant, in the unit of `per`.
        r: f64,
        /// Exponent. Default 0.75.
        #[serde(default = "default_c")]
        c: f64,
        /// What `t` counts. Default updates.
        #[serde(default)]
        per: Per,
    },
}

/// `c` where a user leaves it out; it is written to the record all the same.
fn default_c() -> f64 {
    0.75
}

/// What a schedule's `t` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Updates done.
    #[default]
    Update,
    /// Whole epochs done.
    Epoch,
}

impl Schedule {
    /// The rate at time `t` (updates or epochs, as [`Per`] says), at least 0.
    pub fn at(&self, t: f64) -> f64 {
        match *self {
            Self::Constant { learning_rate } => learning_rate,
            Self::Power {
                learning_rate,
                r,
                c,
                ..
            } => learning_rate * (1.0 + t / r).powf(-c),
            Self::Exponential {
                learning_rate, r, ..
            } => learning_rate * 10f64.powf(-t / r),
            Self::PowerTimesExponential {
                learning_rate,
                r,
                c,
                ..
            } => learning_rate * (1.0 + t / r).powf(-c) * 10f64.powf(-t / r),
            Self::PowerExponential {
                learning_rate,
                r,
                c,
                ..
            } => learning_rate * (1.0 + t / r).powf(-c * t / r),
        }
    }

    /// The rate of the update after `updates` updates, with `steps_per_epoch`
    /// (at least 1) updates in an epoch.
    pub fn after(&self, updates: u64, steps_per_epoch: u64) -> f64 {
        self.at(match self.per() {
            Per::Update => updates as f64,
            Per::Epoch => (updates / steps_per_epoch) as f64,
        })
    }

    /// The rate at `t` = 0.
    pub fn learning_rate(&self) -> f64 {
        match *self {
            Self::Constant { learning_rate }
            | Self::Power { learning_rate, .. }
            | Self::Exponential { learning_rate, .. }
            | Self::PowerTimesExponential { learning_rate, .. }
            | Self::PowerExponential { learning_rate, .. } => learning_rate,
        }
    }

    /// This schedule with every rate multiplied by `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        match &mut self {
            Self::Constant { learning_rate }
            | Self::Power { learning_rate, .. }
            | Self::Exponential { learning_rate, .. }
            | Self::PowerTimesExponential { learning_rate, .. }
            | Self::PowerExponential { learning_rate, .. } => *learning_rate *= factor,
        }
        self
    }

    /// This schedule, whose `r` is given in epochs whatever it counts, with
    /// `r` in the unit that it counts. So the choice of [`Per`] changes how
    /// fine the steps are, not how fast the rate falls.
    #[must_use]
    pub fn with_r_in_epochs(mut self, steps_per_epoch: u64) -> Self {
        match &mut self {
            Self::Power {
                r,
                per: Per::Update,
                ..
            }
            | Self::Exponential {
                r,
                per: Per::Update,
                ..
            }
            | Self::PowerTimesExponential {
                r,
                per: Per::Update,
                ..
            }
            | Self::PowerExponential {
                r,
                per: Per::Update,
                ..
            } => *r *= steps_per_epoch as f64,
            _ => {}
        }
        self
    }

    fn per(&self) -> Per {
        match *self {
            Self::Constant { .. } => Per::Update,
            Self::Power { per, .. }
            | Self::Exponential { per, .. }
            | Self::PowerTimesExponential { per, .. }
            | Self::PowerExponential { per, .. } => per,
        }
    }

    /// Whether the constants make a finite schedule.
    ///
    /// # Errors
    /// [`Invalid`] naming the constant, its value and what is allowed.
    pub fn check(&self) -> Result<(), Invalid> {
        at_least("learning-rate", self.learning_rate(), 0.0)?;
        match *self {
            Self::Constant { .. } => Ok(()),
            Self::Exponential { r, .. } => positive("r", r),
            Self::Power { r, c, .. }
            | Self::PowerTimesExponential { r, c, .. }
            | Self::PowerExponential { r, c, .. } => {
                positive("r", r)?;
                at_least("c", c, 0.0)
            }
        }
    }
}
