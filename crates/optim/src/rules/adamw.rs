use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad, adam::bias_corrections};
use crate::number::Number;
use crate::error::{Invalid, at_least, below_one, positive};

/// AdamW: Adam with decoupled weight decay.
///
/// `w -= eta weight-decay w`, then the update of [`Adam`](super::Adam).
///
/// State: as Adam. Source: Loshchilov & Hutter 2019, algorithm 2.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Adamw, step_scalar};
/// let rule = Rule::Adamw(Adamw::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - ((1.0 - 0.001 - 0.1) * (1.0 - 0.001) - 0.1)).abs() < 1e-8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adamw {
    /// Decay of the mean, in [0, 1). Default 0.9.
    pub beta1: f64,
    /// Decay of the mean square, in [0, 1). Default 0.999.
    pub beta2: f64,
    /// Added to the root, above 0. Default 1e-8.
    pub eps: f64,
    /// Decay of the parameter itself, at least 0. Default 0.01.
    pub weight_decay: f64,
}

impl Default for Adamw {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }
    }
}

impl UpdateRule for Adamw {
    fn check(&self) -> Result<(), Invalid> {
        below_one("beta1", self.beta1)?;
        below_one("beta2", self.beta2)?;
        positive("eps", self.eps)?;
        at_least("weight-decay", self.weight_decay, 0.0)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        None
    }

    fn state_len(&self) -> usize {
        2
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        let (mean, square) = bias_corrections(self.beta1, self.beta2, moment.update);
        let rate = moment.learning_rate;
        let keep = 1.0 - rate * self.weight_decay;
        pad([rate * mean, self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, square, self.eps, keep])
    }

    const CUDA: &'static str = "
        s[0] = c[1] * s[0] + c[2] * g;
        s[1] = c[3] * s[1] + c[4] * (g * g);
        return c[7] * w - c[0] * s[0] / (sqrtf(s[1] * c[5]) + c[6]);";

    #[inline(always)]
    fn update<T: Number>(&self, c: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        let [rate, beta1, new1, beta2, new2, square, eps, keep] = c;
        s[0] = beta1 * s[0] + new1 * g;
        s[1] = beta2 * s[1] + new2 * (g * g);
        keep * w - rate * s[0] / ((s[1] * square).sqrt() + eps)
    }
}
