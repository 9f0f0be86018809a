use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;

/// Gradient descent on the mini-batch.
///
/// `w -= eta g`
///
/// No state. Source: Robbins & Monro 1951.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Sgd, step_scalar};
/// let rule = Rule::Sgd(Sgd::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 - 0.2)).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {}

impl UpdateRule for Sgd {
    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate])
    }

    const CUDA: &'static str = "return w - g * c[0];";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, ..]: Scalars<T>, w: T, g: T, _: &mut [T; SLOTS]) -> T {
        w - g * rate
    }
}
