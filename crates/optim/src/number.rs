//! The numbers a rule computes with: `f32` and `f64` to train, [`Counting`] to
//! find out what a rule costs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Sub};

/// A number that an update rule can be run on.
pub trait Number:
    Copy + Debug + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The type that sums over many parameters are kept in.
    type Wide: Number;

    /// The same value as a [`Wide`](Self::Wide).
    fn widen(self) -> Self::Wide;

    /// A constant, rounded to this type. Constants are the same for all
    /// parameters of an update, so [`Counting`] counts no work between them.
    fn of(constant: f64) -> Self;

    /// The value, exactly.
    fn as_f64(self) -> f64;

    /// Square root.
    fn sqrt(self) -> Self;
}

impl Number for f32 {
    type Wide = f64;

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn of(constant: f64) -> Self {
        constant as f32
    }

    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
}

impl Number for f64 {
    type Wide = f64;

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn of(constant: f64) -> Self {
        constant
    }

    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
}

/// What has been done to the numbers of one parameter: see [`Counting`].
#[derive(Debug, Default)]
pub struct Tally {
    /// Additions and subtractions.
    pub additions: Cell<u64>,
    /// Multiplications.
    pub multiplications: Cell<u64>,
    /// Divisions.
    pub divisions: Cell<u64>,
    /// Square roots.
    pub square_roots: Cell<u64>,
    /// The inputs that were an operand of any operation.
    pub read: RefCell<BTreeSet<u32>>,
}

/// A number that writes every operation down in a [`Tally`], as long as one of
/// its operands came from memory. It carries a value too, so that a rule runs
/// as it does on floats.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    value: f64,
    tally: Option<&'a Tally>,
    /// Which input this is, unchanged; `None` for a result or a constant.
    input: Option<u32>,
}

impl<'a> Counting<'a> {
    /// Input number `input`, read from memory if it is ever used.
    pub fn input(value: f64, input: u32, tally: &'a Tally) -> Self {
        Self {
            value,
            tally: Some(tally),
            input: Some(input),
        }
    }

    /// Whether this is still input number `input`, untouched: nothing needs
    /// to be written back.
    pub fn is_input(&self, input: u32) -> bool {
        self.input == Some(input)
    }

    fn operate(self, other: Self, value: f64, count: fn(&Tally) -> &Cell<u64>) -> Self {
        let tally = self.tally.or(other.tally);
        if let Some(tally) = tally {
            let count = count(tally);
            count.set(count.get() + 1);
            tally
                .read
                .borrow_mut()
                .extend([self.input, other.input].into_iter().flatten());
        }
        Self {
            value,
            tally,
            input: None,
        }
    }
}

impl Add for Counting<'_> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.operate(other, self.value + other.value, |t| &t.additions)
    }
}

impl Sub for Counting<'_> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.operate(other, self.value - other.value, |t| &t.additions)
    }
}

impl Mul for Counting<'_> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.operate(other, self.value * other.value, |t| &t.multiplications)
    }
}

impl Div for Counting<'_> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        self.operate(other, self.value / other.value, |t| &t.divisions)
    }
}

impl Number for Counting<'_> {
    type Wide = Self;

    fn widen(self) -> Self {
        self
    }

    fn of(constant: f64) -> Self {
        Self {
            value: constant,
            tally: None,
            input: None,
        }
    }

    fn as_f64(self) -> f64 {
        self.value
    }

    fn sqrt(self) -> Self {
        self.operate(Self::of(0.0), self.value.sqrt(), |t| &t.square_roots)
    }
}
