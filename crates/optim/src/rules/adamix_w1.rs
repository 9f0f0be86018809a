use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, positive};

/// AdaMix's weight rate, reading W1: the rate of a weight depends on its
/// gradient in the current mini-batch alone.
///
/// `w -= eta (g / sqrt(K + g^2))`
///
/// AdaGrad without its history, so no state. Computed in this order, a step
/// never exceeds `eta`. Source: He & Li 2016, abstract ("仅与当前梯度有关");
/// the formula is reconstructed.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::AdamixW1, step_scalar};
/// let rule = Rule::AdamixW1(AdamixW1::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 2.0 * 0.1 * (2.0 / 5f64.sqrt()))).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamixW1 {
    /// Constant under the root, above 0. Default 1.
    pub k: f64,
}

impl Default for AdamixW1 {
    fn default() -> Self {
        Self { k: 1.0 }
    }
}

impl UpdateRule for AdamixW1 {
    fn check(&self) -> Result<(), Invalid> {
        positive("k", self.k)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.k])
    }

    const CUDA: &'static str = "return w - c[0] * (g / sqrtf(c[1] + g * g));";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, k, ..]: Scalars<T>, w: T, g: T, _: &mut [T; SLOTS]) -> T {
        w - rate * (g / (k + g * g).sqrt())
    }
}
