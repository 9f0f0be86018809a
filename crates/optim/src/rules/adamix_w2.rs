use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, positive};

/// AdaMix's weight rate, reading W2: the rate depends on the mean gradient of
/// the last whole epoch.
///
/// `w -= eta g / sqrt(K + m^2)`, `m` the mean of `g` over the last whole
/// epoch, 0 during the first.
///
/// State: the running sum of `g` and `m`. Source: He & Li 2016, English
/// abstract ("only based on the current epoch gradient"); the formula is
/// reconstructed.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::AdamixW2, step_scalar};
/// let rule = Rule::AdamixW2(AdamixW2::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 - 0.2 / 5f64.sqrt())).abs() < 1e-12);
/// ```
///
/// Here an epoch has one update, so the second already divides by
/// `sqrt(1 + 2^2)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamixW2 {
    /// Constant under the root, above 0. Default 1.
    pub k: f64,
}

impl Default for AdamixW2 {
    fn default() -> Self {
        Self { k: 1.0 }
    }
}

impl UpdateRule for AdamixW2 {
    fn check(&self) -> Result<(), Invalid> {
        positive("k", self.k)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn state_len(&self) -> usize {
        2
    }

    fn prepares(&self, moment: &Moment) -> bool {
        moment.begins_later_epoch()
    }

    fn period(&self, steps_per_epoch: u64) -> u64 {
        steps_per_epoch
    }

    fn prepare<T: Number>(&self, moment: &Moment, state: &mut [T], len: usize) {
        let (sum, mean) = state.split_at_mut(len);
        let steps = T::of(moment.steps_per_epoch as f64);
        for (sum, mean) in sum.iter_mut().zip(mean.iter_mut()) {
            *mean = *sum / steps;
            *sum = T::of(0.0);
        }
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.k, moment.steps_per_epoch as f64])
    }

    const CUDA: &'static str = "s[0] = s[0] + g; return w - c[0] * g / sqrtf(c[1] + s[1] * s[1]);";

    const CUDA_PREPARE: &'static str = "s[n] = s[0] / c[2]; s[0] = 0.0f;";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, k, ..]: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        s[0] = s[0] + g;
        w - rate * g / (k + s[1] * s[1]).sqrt()
    }
}
