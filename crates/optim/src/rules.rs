//! Update rules: one file a rule, one line a rule in the registry below.
//!
//! A rule is one small function from a parameter, its gradient and its state
//! to the new parameter and state, [`UpdateRule::update`]. It is generic over
//! the [`Number`], so the same text trains in `f32`, is tested in `f64` and is
//! counted by [`Rule::cost`]. Everything that is the same for all
//! parameters of a tensor is computed once an update, in
//! [`UpdateRule::scalars`].
//!
//! In the formulas `g` is the gradient, `eta` the learning rate that the
//! schedule gives for this update, and `t` counts updates from 0.

use serde::{Deserialize, Serialize};

use crate::error::Invalid;
use crate::number::Number;

/// Most numbers of state that one update of one parameter reads or writes.
pub const SLOTS: usize = 4;

/// Which numbers of state an update touches: `[Some(0), None, None, None]` is
/// the first only. What is `None` reads as 0 and is not written.
pub type Slots = [Option<usize>; SLOTS];

/// What an update needs that is the same for all parameters of a tensor.
/// `f64` as the rule gives them, then rounded to the number it computes with.
pub type Scalars<T = f64> = [T; 8];

/// `values` and zeros behind them.
fn pad<const N: usize>(values: [f64; N]) -> Scalars {
    std::array::from_fn(|i| values.get(i).copied().unwrap_or(0.0))
}

/// One moment of training, as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The learning rate that the schedule gives for this update.
    pub learning_rate: f64,
    /// Updates done before this one.
    pub update: u64,
    /// Updates in an epoch, at least 1.
    pub steps_per_epoch: u64,
    /// Sum of `g^2` over the tensor (of one replica), where the rule asks for
    /// it by [`UpdateRule::NEEDS_SUM_OF_SQUARES`]; else 0.
    pub sum_of_squares: f64,
}

impl Moment {
    /// Whether this is the first update of an epoch after the first.
    pub fn begins_later_epoch(&self) -> bool {
        self.update > 0 && self.update.is_multiple_of(self.steps_per_epoch)
    }
}

/// An update rule: see the [module](self).
pub trait UpdateRule: Copy {
    /// Whether [`Moment::sum_of_squares`] is computed before the update.
    const NEEDS_SUM_OF_SQUARES: bool = false;

    /// Whether the constants are in range.
    ///
    /// # Errors
    /// [`Invalid`] naming the constant, its value and what is allowed.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// The learning rate that gives a small gradient the step which SGD gives
    /// it at rate 1: `sqrt(K)` where the rate is divided by the root of `K` and
    /// more. `None` where the step does not shrink with the gradient, so that
    /// there is no such rate.
    fn small_gradient_rate(&self) -> Option<f64> {
        Some(1.0)
    }

    /// How many numbers of state a parameter takes.
    fn state_len(&self) -> usize {
        0
    }

    /// Value that state number `slot` starts with.
    fn initial_state(&self, slot: usize) -> f64 {
        let _ = slot;
        0.0
    }

    /// Which numbers of state update number `update` touches; by default the
    /// first [`state_len`](Self::state_len) of them.
    fn slots(&self, update: u64) -> Slots {
        let _ = update;
        std::array::from_fn(|slot| (slot < self.state_len()).then_some(slot))
    }

    /// Work on the state alone that is done before some updates, such as at
    /// the end of an epoch. State number `i` of the tensor's `len` parameters
    /// is `state[i * len..][..len]`. Asked for by [`prepares`](Self::prepares).
    fn prepare<T: Number>(&self, moment: &Moment, state: &mut [T], len: usize) {
        let _ = (moment, state, len);
    }

    /// Whether [`prepare`](Self::prepare) has work before this update.
    fn prepares(&self, moment: &Moment) -> bool {
        let _ = moment;
        false
    }

    /// After how many updates the same work is done again: 1 where every
    /// update does the same.
    fn period(&self, steps_per_epoch: u64) -> u64 {
        let _ = steps_per_epoch;
        1
    }

    /// What [`update`](Self::update) gets as `c`.
    fn scalars(&self, moment: &Moment) -> Scalars;

    /// [`update`](Self::update) in CUDA C, for f32: the body of
    /// `float update(const float* c, float w, float g, float* s)`. Every
    /// operation stands in the same order, so that it rounds alike. Where the
    /// rule needs the sum of squares, `c[0]` has been divided by
    /// `sqrt((c[1] + sum) / c[1])`.
    const CUDA: &'static str;

    /// What [`prepare`](Self::prepare) does to one parameter, in CUDA C: the
    /// body of `void prepare(const float* c, float* s, size_t n)`, in which
    /// state number `i` is `s[i * n]`.
    const CUDA_PREPARE: &'static str = "";

    /// The new value of parameter `w` under gradient `g`; writes its new state
    /// to `s`, which holds the numbers that [`slots`](Self::slots) named.
    fn update<T: Number>(&self, c: Scalars<T>, w: T, g: T, s: &mut [T; SLOTS]) -> T;
}

/// The registry. `name => file::Type`: the name in a configuration, the file
/// in `rules/`, the type in it.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:literal => $module:ident::$Type:ident,)*) => {
        $(mod $module; pub use $module::$Type;)*

        /// An update rule with its constants. In a configuration the key
        /// `rule` holds the name, beside it stand the constants; what is left
        /// out has the default stated at the type and is written to records.
        ///
        /// ```
        /// use adamix_optim::{Rule, rules::Adagrad};
        /// let rule: Rule = serde_json::from_str(r#"{"rule": "adagrad", "k": 0.01}"#)?;
        /// assert_eq!(rule, Rule::Adagrad(Adagrad { k: 0.01, initial_accumulator: 0.0 }));
        /// # Ok::<(), serde_json::Error>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "rule")]
        pub enum Rule {
            $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $Type($Type),)*
        }

        impl Rule {
            /// The names of all rules, as they stand in a configuration.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Every rule with its default constants.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$Type($Type::default())),*]
            }

            /// Its name in a configuration.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$Type(_) => $name,)* }
            }

            /// Whether the constants are in range.
            ///
            /// # Errors
            /// [`Invalid`] naming the constant, its value and what is allowed.
            pub fn check(&self) -> Result<(), Invalid> {
                match self { $(Self::$Type(rule) => rule.check(),)* }
            }

            /// The learning rate that gives a small gradient the step which SGD
            /// gives it at rate 1; `None` where the step does not shrink with
            /// the gradient.
            ///
            /// ```
            /// use adamix_optim::{Rule, rules::{Adagrad, Adam}};
            /// let rule = Rule::Adagrad(Adagrad { k: 0.01, ..Adagrad::default() });
            /// assert_eq!(rule.small_gradient_rate(), Some(0.1));
            /// assert_eq!(Rule::Adam(Adam::default()).small_gradient_rate(), None);
            /// ```
            pub fn small_gradient_rate(&self) -> Option<f64> {
                match self { $(Self::$Type(rule) => rule.small_gradient_rate(),)* }
            }

            /// Place in the registry.
            #[cfg(feature = "cuda")]
            pub(crate) fn number(&self) -> usize {
                Self::NAMES.iter().position(|name| *name == self.name()).unwrap_or_default()
            }

            /// [`UpdateRule::CUDA`] and [`UpdateRule::CUDA_PREPARE`] of every
            /// rule, in the order of the registry.
            pub(crate) const CUDA: &[(&str, &str)] =
                &[$(($Type::CUDA, $Type::CUDA_PREPARE)),*];

            /// Does `work` with the rule's own type.
            pub(crate) fn visit<V: Visitor>(&self, work: V) -> V::Output {
                match self { $(Self::$Type(rule) => work.visit(rule),)* }
            }
        }
    };
}

/// Work to be done with the concrete type of a [`Rule`], so that one `match`
/// a tensor, not one a parameter, finds the rule.
pub(crate) trait Visitor {
    type Output;
    fn visit<R: UpdateRule>(self, rule: &R) -> Self::Output;
}

rules! {
    "sgd" => sgd::Sgd,
    "momentum" => momentum::Momentum,
    "nesterov" => nesterov::Nesterov,
    "adagrad" => adagrad::Adagrad,
    "adadec" => adadec::Adadec,
    "adamix-w1" => adamix_w1::AdamixW1,
    "adamix-w2" => adamix_w2::AdamixW2,
    "adamix-w3" => adamix_w3::AdamixW3,
    "adamix-w4" => adamix_w4::AdamixW4,
    "adamix-w5" => adamix_w5::AdamixW5,
    "rmsprop" => rmsprop::Rmsprop,
    "adadelta" => adadelta::Adadelta,
    "adam" => adam::Adam,
    "adamw" => adamw::Adamw,
}
