use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, below_one};

/// Classical momentum.
///
/// `M = beta M + g; w -= eta M`
///
/// State: `M`. Source: Polyak 1964, in the form of Sutskever, Martens, Dahl &
/// Hinton 2013 with the learning rate outside the velocity.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Momentum, step_scalar};
/// let rule = Rule::Momentum(Momentum::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 - 0.1 * (0.9 * 2.0 + 2.0))).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Momentum {
    /// Decay of the velocity, in [0, 1). Default 0.9.
    pub beta: f64,
}

impl Default for Momentum {
    fn default() -> Self {
        Self { beta: 0.9 }
    }
}

impl UpdateRule for Momentum {
    fn check(&self) -> Result<(), Invalid> {
        below_one("beta", self.beta)
    }

    fn state_len(&self) -> usize {
        1
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.beta])
    }

    const CUDA: &'static str = "s[0] = c[1] * s[0] + g; return w - c[0] * s[0];";

    #[inline(always)]
    fn update<T: Number>(&self, [rate, beta, ..]: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        s[0] = beta * s[0] + g;
        w - rate * s[0]
    }
}
