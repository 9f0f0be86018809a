use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, below_one, positive};

/// RMSProp.
///
/// `S = rho S + (1 - rho) g^2; w -= eta g / (sqrt(S) + eps)`
///
/// State: `S`. Source: Tieleman & Hinton, Coursera lecture 6.5, 2012.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Rmsprop, step_scalar};
/// let rule = Rule::Rmsprop(Rmsprop::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 / (0.4f64.sqrt() + 1e-8) - 0.2 / (0.76f64.sqrt() + 1e-8))).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rmsprop {
    /// Decay of `S`, in [0, 1). Default 0.9.
    pub rho: f64,
    /// Added to the root, above 0. Default 1e-8.
    pub eps: f64,
}

impl Default for Rmsprop {
    fn default() -> Self {
        Self { rho: 0.9, eps: 1e-8 }
    }
}

impl UpdateRule for Rmsprop {
    fn check(&self) -> Result<(), Invalid> {
        below_one("rho", self.rho)?;
        positive("eps", self.eps)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        None
    }

    fn state_len(&self) -> usize {
        1
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.rho, 1.0 - self.rho, self.eps])
    }

    const CUDA: &'static str = "s[0] = c[1] * s[0] + c[2] * (g * g); return w - c[0] * g / (sqrtf(s[0]) + c[3]);";

    #[inline(always)]
    fn update<T: Number>(&self, c: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        let [rate, rho, one_minus_rho, eps, ..] = c;
        s[0] = rho * s[0] + one_minus_rho * (g * g);
        w - rate * g / (s[0].sqrt() + eps)
    }
}
