//! Matrix products: of `f32` by the kernel in [`tiles`](crate::tiles) where the
//! processor has what it needs, else, and of `f64`, by the `gemm` crate.
//!
//! One thread, always: runs are what is done side by side, and so no result
//! depends on a number of threads.

use std::ops::Range;

use pulp::Arch;

use crate::real::Real;
use crate::tiles::{self, Packs};

/// A row-major matrix, or one read as its transpose.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a, T> Matrix<'a, T> {
    /// `values` as rows of `columns` numbers.
    ///
    /// # Panics
    /// Where the last row is not whole.
    pub(crate) fn new(values: &'a [T], columns: usize) -> Self {
        assert_eq!(values.len() % columns, 0, "whole rows");
        Self {
            values,
            rows: values.len() / columns,
            columns,
            transposed: false,
        }
    }

    /// The transpose, nothing is moved.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            transposed: !self.transposed,
            ..self
        }
    }

    pub(crate) fn values(&self) -> &'a [T] {
        self.values
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Whether `values` holds the columns one after another.
    pub(crate) fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// Distance in memory from a row to the next, and from a column to the next.
    fn strides(&self) -> (isize, isize) {
        // A matrix in memory has at most isize::MAX bytes, so both fit.
        if self.transposed {
            (1, self.rows as isize)
        } else {
            (self.columns as isize, 1)
        }
    }
}

/// A product that is added to others, times a factor.
#[derive(Clone, Copy)]
pub(crate) struct Term<'a, T> {
    pub(crate) factor: T,
    pub(crate) a: Matrix<'a, T>,
    pub(crate) b: Matrix<'a, T>,
}

/// `out = a b`, `out` row-major; what stood in it is not read. `finish` is
/// called with the row, the first column and the numbers of each completed part
/// of a row, once for every number, in any order.
///
/// # Panics
/// Where the shapes do not fit.
pub(crate) fn product<T: Real>(
    packs: &mut Packs,
    out: &mut [T],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    finish: impl FnMut(usize, usize, &mut [T]),
) {
    assert_eq!(b.rows, a.columns, "inner sizes");
    assert_eq!(out.len(), a.rows * b.columns, "outer sizes");
    T::by_columns(packs, out, a, b, finish);
}

/// `out = keep * out + sum of factor * a b over the terms`, `out` row-major;
/// with `keep` 0, what stood in it is not read. `finish` is called with the
/// first row and the numbers of each completed block of rows, once for every
/// row, in any order.
///
/// `needed` is other memory that `finish` works on, arrays as long as `out`: the
/// kernel asks for a block's share of it while it computes the block before.
/// Only the addresses count; nothing there is read.
///
/// Where the result is not `kept`, `keep` is 0, and `finish` is all that may
/// rely on it: `out` may be left as it was.
///
/// # Panics
/// Where there is no term or the shapes do not fit.
pub(crate) fn product_by_rows<T: Real, const N: usize>(
    packs: &mut Packs,
    (out, kept): (&mut [T], bool),
    keep: T,
    terms: [Term<'_, T>; N],
    needed: &[Range<*const T>],
    finish: impl FnMut(usize, &mut [T]),
) {
    assert!(kept || keep.as_f64() == 0.0, "what is not kept is not read");
    let (rows, columns) = (terms[0].a.rows, terms[0].b.columns);
    for Term { a, b, .. } in &terms {
        assert_eq!(b.rows, a.columns, "inner sizes");
        assert_eq!((a.rows, b.columns), (rows, columns), "sizes of the terms");
    }
    assert_eq!(out.len(), rows * columns, "outer sizes");
    T::by_rows(packs, (out, kept), keep, terms, needed, finish);
}

/// [`product`] by the library.
pub(crate) fn library_by_columns<T: Real>(
    out: &mut [T],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    mut finish: impl FnMut(usize, usize, &mut [T]),
) {
    library(out, T::of(0.0), T::of(1.0), a, b);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (row, numbers) in out.chunks_exact_mut(b.columns).enumerate() {
                finish(row, 0, numbers);
            }
        },
    );
}

/// [`product_by_rows`] by the library.
pub(crate) fn library_by_rows<T: Real, const N: usize>(
    out: &mut [T],
    mut keep: T,
    terms: [Term<'_, T>; N],
    mut finish: impl FnMut(usize, &mut [T]),
) {
    for Term { factor, a, b } in terms {
        library(out, keep, factor, a, b);
        keep = T::of(1.0);
    }
    finish(0, out);
}

/// `out = keep * out + factor * a b` by the library. With `keep` 0, what stood
/// in `out` is not read.
///
/// # Panics
/// Where the shapes do not fit.
pub(crate) fn library<T: Real>(
    out: &mut [T],
    keep: T,
    factor: T,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(b.rows, k, "inner sizes");
    assert_eq!(out.len(), m * n, "outer sizes");
    let (a_row, a_column) = a.strides();
    let (b_row, b_column) = b.strides();
    // SAFETY: `a.values` holds exactly m * k numbers, `b.values` k * n (`new`
    // divides the length of the slice, `t` swaps the two sizes and keeps it),
    // and `out` m * n, as asserted. The strides address element (i, j) of `a`
    // at i * a_row + j * a_column, which is below m * k for i < m, j < k in
    // both orders of storage; likewise `b`, and `out` with strides (n, 1). So
    // every access is inside its slice. `out` is borrowed exclusively, so it
    // overlaps neither. T is f32 or f64 (`Real` is private to this crate and
    // implemented for no other), which `gemm` supports.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            keep.as_f64() != 0.0,
            a.values.as_ptr(),
            a_column,
            a_row,
            b.values.as_ptr(),
            b_column,
            b_row,
            keep,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Which kernel multiplies matrices of `f32` on this processor, for the record:
/// results of different kernels differ in rounding.
///
/// `adamix`, then the instructions, is the kernel of this crate. Its results do
/// not depend on the instructions, nor on anything else of the processor, where numbers
/// are finite: see its [rounding](crate::rounding). Any other is the `gemm` crate's, whose
/// results depend on the processor's caches too.
pub fn kernel_name() -> String {
    match tiles::instructions() {
        Some(instructions) => format!("{OWN_KERNEL} {instructions}"),
        None => format!("gemm {}", std::env::consts::ARCH),
    }
}

/// What two runs must have in common to have the same bits, of the kernel by
/// [its name](kernel_name) and the processor's model.
pub fn rounding(kernel: &str, processor: &str) -> String {
    match kernel.split_once(' ') {
        Some((OWN_KERNEL, _)) => OWN_KERNEL.to_owned(),
        _ => format!("{kernel}, {processor}"),
    }
}

const OWN_KERNEL: &str = "adamix";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The safe path: three loops, summed in f64.
    fn plain(
        out: &[f64],
        keep: f64,
        factor: f64,
        a: &Matrix<'_, f64>,
        b: &Matrix<'_, f64>,
    ) -> Vec<f64> {
        let at = |m: &Matrix<'_, f64>, i: usize, j: usize| {
            let (row, column) = m.strides();
            m.values[i * row as usize + j * column as usize]
        };
        let mut result = Vec::new();
        for i in 0..a.rows {
            for j in 0..b.columns {
                let sum: f64 = (0..a.columns).map(|k| at(a, i, k) * at(b, k, j)).sum();
                let kept = if keep == 0.0 {
                    0.0
                } else {
                    keep * out[i * b.columns + j]
                };
                result.push(kept + factor * sum);
            }
        }
        result
    }

    fn matrix<T>(values: &[T], rows: usize, columns: usize, transposed: bool) -> Matrix<'_, T> {
        if transposed {
            Matrix::new(values, rows).t()
        } else {
            Matrix::new(values, columns)
        }
    }

    fn numbers(count: usize, salt: u32) -> Vec<f64> {
        (0..count)
            .map(|i| f64::from((i as u32 * 37 + salt) % 19) / 19.0 - 0.5)
            .collect()
    }

    fn short(values: &[f64]) -> Vec<f32> {
        values.iter().map(|value| *value as f32).collect()
    }

    proptest! {
        #[test]
        fn the_library_equals_the_plain_loops(
            (m, k, n) in (1usize..40, 1usize..40, 1usize..40),
            ta in any::<bool>(), tb in any::<bool>(),
            keep in prop_oneof![Just(0.0), Just(1.0), Just(-0.5)],
            factor in prop_oneof![Just(1.0), Just(-2.0)],
            seed in 0u32..1000,
        ) {
            let (a, b) = (numbers(m * k, seed + 1), numbers(k * n, seed + 2));
            let (a, b) = (matrix(&a, m, k, ta), matrix(&b, k, n, tb));
            let before = if keep == 0.0 { vec![f64::NAN; m * n] } else { numbers(m * n, seed + 3) };
            let mut out = before.clone();
            library(&mut out, keep, factor, a, b);
            for (found, expected) in out.iter().zip(plain(&before, keep, factor, &a, &b)) {
                prop_assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }

        /// The kernel of this crate against the library, and both callbacks.
        #[test]
        fn the_kernel_equals_the_library(
            (m, k, n) in (1usize..150, 1usize..600, 1usize..300),
            ta in any::<bool>(), tb in any::<bool>(), kept in any::<bool>(),
            keep in prop_oneof![Just(0f32), Just(0.9)],
            seed in 0u32..1000,
        ) {
            let mut packs = Packs::default();
            let (a, b) = (short(&numbers(m * k, seed + 1)), short(&numbers(k * n, seed + 2)));
            let (a, b) = (matrix(&a, m, k, ta), matrix(&b, k, n, tb));
            let close = |found: &[f32], expected: &[f32]| {
                found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6 * k as f32)
            };

            let mut expected = vec![0f32; m * n];
            library(&mut expected, 0.0, 1.0, a, b);
            let mut seen = vec![f32::NAN; m * n];
            let mut out = vec![f32::NAN; m * n];
            product(&mut packs, &mut out, a, b, |row, column, numbers| {
                seen[row * n + column..][..numbers.len()].copy_from_slice(numbers);
                numbers.iter_mut().for_each(|x| *x += 1.0);
            });
            prop_assert!(close(&seen, &expected));
            prop_assert!(out.iter().zip(&seen).all(|(out, seen)| *out == seen + 1.0));

            let kept = kept || keep != 0.0;
            let before = if keep == 0.0 { vec![f32::NAN; m * n] } else { short(&numbers(m * n, seed + 3)) };
            let mut expected = before.clone();
            library(&mut expected, keep, 0.5, a, b);
            library(&mut expected, 1.0, -1.5, a, b);
            let mut out = before;
            let mut seen = vec![f32::NAN; m * n];
            let terms = [Term { factor: 0.5, a, b }, Term { factor: -1.5, a, b }];
            let needed = [seen.as_ptr_range()];
            product_by_rows(&mut packs, (&mut out, kept), keep, terms, &needed, |row, numbers| {
                seen[row * n..][..numbers.len()].copy_from_slice(numbers);
            });
            prop_assert!(close(&seen, &expected));
            prop_assert!(!kept || out == seen);
        }
    }

    #[test]
    fn the_own_kernel_rounds_alike_everywhere() {
        assert_eq!(
            rounding("adamix avx2+fma", "one"),
            rounding("adamix avx512f", "other")
        );
        assert_ne!(
            rounding("gemm x86_64", "one"),
            rounding("gemm x86_64", "other")
        );
        assert_ne!(
            rounding("gemm x86_64", "one"),
            rounding("adamix avx2+fma", "one")
        );
    }
}
