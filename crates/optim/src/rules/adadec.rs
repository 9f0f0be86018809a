use serde::{Deserialize, Serialize};

use super::{Moment, SLOTS, Scalars, UpdateRule, pad, Slots};
use crate::number::Number;
use crate::error::{Invalid, at_least, below_one, positive};

/// AdaDec: AdaGrad whose sum decays, with a power schedule for `eta`.
///
/// `S = gamma S + (1/tau) (sum of the last tau values of g^2);
/// w -= eta g / sqrt(K + S)`
///
/// Source: Senior, Heigold, Ranzato & Yang, "An empirical study of learning
/// rates in deep neural networks for speech recognition", ICASSP 2013. `tau`
/// is 200 there, as far as we could reconstruct, and 1 in the usual shortened
/// form. The power schedule is a [`Schedule`](crate::Schedule), not part of
/// the rule.
///
/// State: `S` for `tau` 1; else `S`, a running sum and a ring of `tau`
/// numbers. The window's sum is kept without a subtraction, which in f32 would
/// leave rounding errors of large old gradients behind for ever: the ring is
/// cut into blocks of `tau` updates; the sum is that of the current block so
/// far plus a suffix sum of the block before, and once a block its values are
/// turned into suffix sums in place (the two-stack queue). That makes it about
/// 4 numbers moved an update instead of `tau`.
///
/// ```
/// use adamix_optim::{Rule, Schedule, rules::Adadec, step_scalar};
/// let rule = Rule::Adadec(Adadec::default());
/// let schedule = Schedule::Constant { learning_rate: 0.1 };
/// // One parameter of value 1, two updates with gradient 2.0.
/// let w = step_scalar(&rule, &schedule, 1.0, &[2.0, 2.0]);
/// assert!((w - (1.0 - 0.2 / 5f64.sqrt() - 0.2 / (1.0 + 0.999 * 4.0 + 4.0f64).sqrt())).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adadec {
    /// Constant under the root, above 0. Default 1.
    pub k: f64,
    /// Decay of `S`, in [0, 1). Default 0.999.
    pub gamma: f64,
    /// Length of the window in updates, at least 1. Default 1.
    pub tau: u64,
}

impl Default for Adadec {
    fn default() -> Self {
        Self { k: 1.0, gamma: 0.999, tau: 1 }
    }
}

/// State number 0 is `S`, 1 the sum of the current block, 2 and on the ring.
const RING: usize = 2;

impl Adadec {
    /// Place of an update in its block.
    fn place(&self, update: u64) -> usize {
        (update % self.tau) as usize
    }
}

impl UpdateRule for Adadec {
    fn check(&self) -> Result<(), Invalid> {
        positive("k", self.k)?;
        below_one("gamma", self.gamma)?;
        at_least("tau", self.tau as f64, 1.0)
    }

    fn small_gradient_rate(&self) -> Option<f64> {
        Some(self.k.sqrt())
    }

    fn state_len(&self) -> usize {
        if self.tau == 1 { 1 } else { RING + self.tau as usize }
    }

    fn slots(&self, update: u64) -> Slots {
        if self.tau == 1 {
            return [Some(0), None, None, None];
        }
        let place = self.place(update);
        // Written: this update's value. Read: the suffix sum of the block
        // before that begins one place further on, none for the last place.
        let suffix = (place + 1 < self.tau as usize).then_some(RING + place + 1);
        [Some(0), Some(1), Some(RING + place), suffix]
    }

    fn prepares(&self, moment: &Moment) -> bool {
        self.tau > 1 && moment.update > 0 && self.place(moment.update) == 0
    }

    fn period(&self, _: u64) -> u64 {
        self.tau
    }

    fn prepare<T: Number>(&self, _: &Moment, state: &mut [T], len: usize) {
        let (sum, ring) = state[len..].split_at_mut(len);
        sum.fill(T::of(0.0));
        // The suffix sum from place 0 on is never read.
        for place in (1..self.tau as usize - 1).rev() {
            let (values, suffixes) = ring[place * len..].split_at_mut(len);
            for (value, suffix) in values.iter_mut().zip(suffixes.iter()) {
                *value = *value + *suffix;
            }
        }
    }

    fn scalars(&self, moment: &Moment) -> Scalars {
        pad([moment.learning_rate, self.k, self.gamma, 1.0 / self.tau as f64])
    }

    const CUDA: &'static str = "
        float square = g * g;
        if (c[3] == 1.0f) {
            s[0] = c[2] * s[0] + square;
        } else {
            s[1] = s[1] + square;
            s[2] = square;
            s[0] = c[2] * s[0] + c[3] * (s[1] + s[3]);
        }
        return w - c[0] * g / sqrtf(c[1] + s[0]);";

    const CUDA_PREPARE: &'static str = "
        int tau = (int)(1.0f / c[3] + 0.5f);
        s[n] = 0.0f;
        for (int place = tau - 2; place >= 1; --place)
            s[(2 + place) * n] = s[(2 + place) * n] + s[(3 + place) * n];";

    #[inline(always)]
    fn update<T: Number>(&self, c: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T {
        let [rate, k, gamma, inverse_tau, ..] = c;
        let square = g * g;
        if self.tau == 1 {
            s[0] = gamma * s[0] + square;
        } else {
            s[1] = s[1] + square;
            s[2] = square;
            s[0] = gamma * s[0] + inverse_tau * (s[1] + s[3]);
        }
        w - rate * g / (k + s[0]).sqrt()
    }
}
