use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, positive};

/// AdaMix's weight rate, reading W4: one rate a tensor.
///
/// `w -= (eta / sqrt(K + sum of g^2 over the tensor)) g`
///
/// No state, but a pass over the gradient before the update. With a replica
/// axis the sum is that of each replica. Source: He & Li 2016, abstract; the
/// formula is reconstructed.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::AdamixW4, step_scalar};
/// let rule = Rule::AdamixW4(AdamixW4::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 2.0 * 0.2 / 5f64.sqrt())).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamixW4 {
    /// Constant under the root, above 0. Default 1.
    pub k: f64,
}

impl Default for AdamixW4 {
    fn default() -> Self {
        Self { k: 1.0 }
    }
}

impl UpdateRule for AdamixW4 {
    const NEEDS_SUM_OF_SQUARES: bool = true;

    fn check(&self) -> Result<(), Invalid> {
        positive("k", self.k)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        let rate = moment.learning_rate / (self.k + moment.sum_of_squares).sqrt();
        pad([rate, self.k])
    }

    const CUDA: &'static str = "return w - c[0] * g;";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, ..]: Scalars<T>, w: T, g: T, _: &mut [T; SLOTS]) -> T {
        w - rate * g
    }
}
