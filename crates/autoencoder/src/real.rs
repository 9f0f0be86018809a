use std::ops::Range;

use adamix_optim::Float;

use crate::product::{Matrix, Term, library_by_columns, library_by_rows};
use crate::tiles::{self, Packs};

/// The element types that a network computes with: `f32`, and `f64` for tests.
pub(crate) trait Real: Float + 'static {
    /// `1 / (1 + exp(-x))`; not a number stays not a number.
    fn logistic(self) -> Self;

    /// A pixel, 0..=255, as 0..=1.
    fn pixel(value: u8) -> Self;

    /// [`product`](crate::product::product), its shapes checked.
    fn by_columns(
        _: &mut Packs,
        out: &mut [Self],
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        finish: impl FnMut(usize, usize, &mut [Self]),
    ) {
        library_by_columns(out, a, b, finish);
    }

    /// [`product_by_rows`](crate::product::product_by_rows), its shapes checked.
    fn by_rows<const N: usize>(
        _: &mut Packs,
        (out, _): (&mut [Self], bool),
        keep: Self,
        terms: [Term<'_, Self>; N],
        _: &[Range<*const Self>],
        finish: impl FnMut(usize, &mut [Self]),
    ) {
        library_by_rows(out, keep, terms, finish);
    }
}

impl Real for f32 {
    /// Within 4e-7 of the exact value, relative, for `x` above -87; below, the
    /// value stays at that of -87, 1.6e-38. Only additions, multiplications, a
    /// division and bit operations, in this order: the compiler may do many at
    /// once, but every number has the same bits on every processor.
    #[inline(always)]
    fn logistic(self) -> Self {
        // exp(y) = 2^n exp(r), n the integer nearest to y / ln 2, |r| <= ln 2 / 2.
        let y = (-self).clamp(-87.0, 87.0);
        // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
        const ROUND: f32 = 12_582_912.0;
        let rounded = y * std::f32::consts::LOG2_E + ROUND;
        let n = rounded - ROUND;
        // ln 2 in two parts, the first short enough for n times it to be exact.
        let r = (y - n * 0.693_359_4) - n * -2.121_944_4e-4;
        // The Taylor series of exp to r^7 / 7!: its rest is below 6e-9 there.
        let mut series = 1.0 / 5040.0;
        for coefficient in [
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ] {
            series = series * r + coefficient;
        }
        let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
        1.0 / (1.0 + series * power)
    }

    #[inline(always)]
    fn pixel(value: u8) -> Self {
        f32::from(value) / 255.0
    }

    fn by_columns(
        packs: &mut Packs,
        out: &mut [f32],
        a: Matrix<'_, f32>,
        b: Matrix<'_, f32>,
        finish: impl FnMut(usize, usize, &mut [f32]),
    ) {
        match tiles::instructions() {
            Some(_) => tiles::by_columns(packs, out, a, b, finish),
            None => library_by_columns(out, a, b, finish),
        }
    }

    fn by_rows<const N: usize>(
        packs: &mut Packs,
        (out, kept): (&mut [f32], bool),
        keep: f32,
        terms: [Term<'_, f32>; N],
        needed: &[Range<*const f32>],
        finish: impl FnMut(usize, &mut [f32]),
    ) {
        match tiles::instructions() {
            Some(_) => {
                let out = kept.then_some(out);
                tiles::by_rows(packs, out, keep, terms, needed, finish);
            }
            None => library_by_rows(out, keep, terms, finish),
        }
    }
}

impl Real for f64 {
    fn logistic(self) -> Self {
        1.0 / (1.0 + (-self).exp())
    }

    fn pixel(value: u8) -> Self {
        f64::from(value) / 255.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_is_within_its_bound() {
        let mut worst = 0f64;
        for i in -870_000..=900_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).logistic();
            worst = worst.max((f64::from(x.logistic()) - exact).abs() / exact);
        }
        assert!(worst < 4e-7, "{worst:e}");
        assert_eq!(0f32.logistic(), 0.5);
        assert_eq!(f32::INFINITY.logistic(), 1.0);
        assert!(f32::NEG_INFINITY.logistic() < 2e-38);
        assert!(f32::NAN.logistic().is_nan());
    }
}
