use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, at_least};

/// AdaMix's weight rate, reading W3: the rate is carried on from update to
/// update.
///
/// `a = a / sqrt(K + g^2); w -= eta a g`, `a` 1 at first. Under a constant
/// schedule `eta a` is the rate `alpha(t) = alpha(t-1) / sqrt(K + g^2)`,
/// `alpha(-1) = eta`.
///
/// State: `a`. Only for `K` of at least 1: below it the rate grows without
/// bound where gradients are small. Source: a later patent that borrows the
/// scheme builds on the previous rate; the formula is reconstructed.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::AdamixW3, step_scalar};
/// let rule = Rule::AdamixW3(AdamixW3::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 / 5f64.sqrt() - 0.2 / 5.0)).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamixW3 {
    /// Constant under the root, at least 1. Default 1.
    pub k: f64,
}

impl Default for AdamixW3 {
    fn default() -> Self {
        Self { k: 1.0 }
    }
}

impl UpdateRule for AdamixW3 {
    fn check(&self) -> Result<(), Invalid> {
        at_least("k", self.k, 1.0)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn state_len(&self) -> usize {
        1
    }

    fn initial_state(&self, _: usize) -> f64 {
        1.0
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.k])
    }

    const CUDA: &'static str = "s[0] = s[0] / sqrtf(c[1] + g * g); return w - c[0] * s[0] * g;";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, k, ..]: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        s[0] = s[0] / (k + g * g).sqrt();
        w - rate * s[0] * g
    }
}
