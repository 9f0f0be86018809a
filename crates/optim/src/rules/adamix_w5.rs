use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, positive};

/// AdaMix's weight rate, reading W5: AdaGrad whose sum starts anew each epoch.
///
/// `S += g^2; w -= eta g / sqrt(K + S)`, `S` 0 at the start of every epoch.
///
/// State: `S`. Source: the other way to take "current epoch gradient" in the
/// English abstract of He & Li 2016; the formula is reconstructed.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::AdamixW5, step_scalar};
/// let rule = Rule::AdamixW5(AdamixW5::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 2.0 * 0.2 / 5f64.sqrt())).abs() < 1e-12);
/// ```
///
/// Here an epoch has one update, so both divide by `sqrt(1 + 2^2)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamixW5 {
    /// Constant under the root, above 0. Default 1.
    pub k: f64,
}

impl Default for AdamixW5 {
    fn default() -> Self {
        Self { k: 1.0 }
    }
}

impl UpdateRule for AdamixW5 {
    fn check(&self) -> Result<(), Invalid> {
        positive("k", self.k)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn state_len(&self) -> usize {
        1
    }

    fn prepares(&self, moment: &Moment) -> bool {
        moment.begins_later_epoch()
    }

    fn period(&self, steps_per_epoch: u64) -> u64 {
        steps_per_epoch
    }

    fn prepare<T: Number>(&self, _: &Moment, state: &mut [T], _: usize) {
        state.fill(T::of(0.0));
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.k])
    }

    const CUDA: &'static str = "s[0] = s[0] + g * g; return w - c[0] * g / sqrtf(c[1] + s[0]);";

    const CUDA_PREPARE: &'static str = "s[0] = 0.0f;";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, k, ..]: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        s[0] = s[0] + g * g;
        w - rate * g / (k + s[0]).sqrt()
    }
}
