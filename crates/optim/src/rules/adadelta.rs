use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad};
use crate::number::Number;
use crate::error::{Invalid, below_one, positive};

/// AdaDelta.
///
/// `S = rho S + (1 - rho) g^2; d = g sqrt(D + eps) / sqrt(S + eps);
/// D = rho D + (1 - rho) d^2; w -= eta d`
///
/// State: `S`, `D`. Source: Zeiler 2012, algorithm 1; `eta` is 1 there.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Adadelta, step_scalar};
/// let rule = Rule::Adadelta(Adadelta::default());
/// let schedule = Schedule::Constant { learning_rate: 1.0 };
/// // One parameter of value 1, one update with gradient 2: S = 0.05 * 4, D = 0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0]);
/// assert!((w - (1.0 - 2.0 * (1e-6 / (0.2 + 1e-6f64)).sqrt())).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adadelta {
    /// Decay of both means, in [0, 1). Default 0.95.
    pub rho: f64,
    /// Under both roots, above 0. Default 1e-6.
    pub eps: f64,
}

impl Default for Adadelta {
    fn default() -> Self {
        Self { rho: 0.95, eps: 1e-6 }
    }
}

impl UpdateRule for Adadelta {
    fn check(&self) -> Result<(), Invalid> {
        below_one("rho", self.rho)?;
        positive("eps", self.eps)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        None
    }

    fn state_len(&self) -> usize {
        2
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.rho, 1.0 - self.rho, self.eps])
    }

    const CUDA: &'static str = "
        s[0] = c[1] * s[0] + c[2] * (g * g);
        float d = g * sqrtf((s[1] + c[3]) / (s[0] + c[3]));
        s[1] = c[1] * s[1] + c[2] * (d * d);
        return w - c[0] * d;";

    #[inline(always)]
    fn update<T: Number>(&self, c: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        let [rate, rho, one_minus_rho, eps, ..] = c;
        s[0] = rho * s[0] + one_minus_rho * (g * g);
        // One root of the quotient, not a quotient of roots: the same number.
        let d = g * ((s[1] + eps) / (s[0] + eps)).sqrt();
        s[1] = rho * s[1] + one_minus_rho * (d * d);
        w - rate * d
    }
}
