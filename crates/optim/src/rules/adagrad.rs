use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, at_least, positive};

/// AdaGrad: each parameter's rate shrinks with all its gradients so far.
///
/// `S += g^2; w -= eta g / sqrt(K + S)`
///
/// State: `S`. Source: Duchi, Hazan & Singer 2011; `K` under the root as in
/// Senior, Heigold, Ranzato & Yang 2013.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Adagrad, step_scalar};
/// let rule = Rule::Adagrad(Adagrad::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 / 5f64.sqrt() - 0.2 / 9f64.sqrt())).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adagrad {
    /// Constant under the root, above 0. Default 1.
    pub k: f64,
    /// Value that `S` starts with, at least 0. Default 0.
    pub initial_accumulator: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { k: 1.0, initial_accumulator: 0.0 }
    }
}

impl UpdateRule for Adagrad {
    fn check(&self) -> Result<(), Invalid> {
        positive("k", self.k)?;
        at_least("initial-accumulator", self.initial_accumulator, 0.0)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn state_len(&self) -> usize {
        1
    }

    fn initial_state(&self, _: usize) -> f64 {
        self.initial_accumulator
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.k])
    }

    const CUDA: &'static str = "s[0] = s[0] + g * g; return w - c[0] * g / sqrtf(c[1] + s[0]);";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, k, ..]: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        s[0] = s[0] + g * g;
        w - rate * g / (k + s[0]).sqrt()
    }
}
