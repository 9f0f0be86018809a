use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, below_one, positive};

/// Adam.
///
/// `M = beta1 M + (1 - beta1) g; V = beta2 V + (1 - beta2) g^2;
/// w -= eta (M / (1 - beta1^(t+1))) / (sqrt(V / (1 - beta2^(t+1))) + eps)`
///
/// State: `M`, `V`. Source: Kingma & Ba 2015, algorithm 1.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Adam, step_scalar};
/// let rule = Rule::Adam(Adam::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 2.0 * 0.1 * (2.0 / (2.0 + 1e-8)))).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adam {
    /// Decay of the mean, in [0, 1). Default 0.9.
    pub beta1: f64,
    /// Decay of the mean square, in [0, 1). Default 0.999.
    pub beta2: f64,
    /// Added to the root, above 0. Default 1e-8.
    pub eps: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// Corrections of Adam's two means for their start at 0, as factors, at update
/// number `update`.
pub(super) fn bias_corrections(beta1: f64, beta2: f64, update: u64) -> (f64, f64) {
    let t = (update + 1) as f64;
    (1.0 / (1.0 - beta1.powf(t)), 1.0 / (1.0 - beta2.powf(t)))
}

impl UpdateRule for Adam {
    fn check(&self) -> Result<(), Invalid> {
        below_one("beta1", self.beta1)?;
        below_one("beta2", self.beta2)?;
        positive("eps", self.eps)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        None
    }

    fn state_len(&self) -> usize {
        2
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        let (mean, square) = bias_corrections(self.beta1, self.beta2, moment.update);
        pad([moment.learning_rate * mean, self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2, square, self.eps])
    }

    const CUDA: &'static str = "
        s[0] = c[1] * s[0] + c[2] * g;
        s[1] = c[3] * s[1] + c[4] * (g * g);
        return w - c[0] * s[0] / (sqrtf(s[1] * c[5]) + c[6]);";

    #[inline(always)]
    fn update<T: Number>(&self, c: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        let [rate, beta1, new1, beta2, new2, square, eps, ..] = c;
        s[0] = beta1 * s[0] + new1 * g;
        s[1] = beta2 * s[1] + new2 * (g * g);
        w - rate * s[0] / ((s[1] * square).sqrt() + eps)
    }
}
