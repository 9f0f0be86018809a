//! Matrix products, by the `gemm` crate.
//!
//! One thread, always: runs are what is done side by side, and so no result
//! depends on a number of threads.

use crate::real::Real;

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

/// `out = keep * out + factor * a b`, `out` row-major. With `keep` 0, what
/// stood in `out` is not read.
///
/// # Panics
/// Where the shapes do not fit.
pub(crate) fn product<T: Real>(
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

/// Which matrix-product kernel runs on this processor, for the record: results of
/// different kernels differ in rounding.
pub fn kernel_name() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "gemm avx512f".into();
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "gemm avx2+fma".into();
        }
    }
    format!("gemm {}", std::env::consts::ARCH)
}

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

    fn matrix(values: &[f64], rows: usize, columns: usize, transposed: bool) -> Matrix<'_, f64> {
        if transposed {
            Matrix::new(values, rows).t()
        } else {
            Matrix::new(values, columns)
        }
    }

    proptest! {
        #[test]
        fn products_equal_the_plain_loops(
            (m, k, n) in (1usize..40, 1usize..40, 1usize..40),
            ta in any::<bool>(), tb in any::<bool>(),
            keep in prop_oneof![Just(0.0), Just(1.0), Just(-0.5)],
            factor in prop_oneof![Just(1.0), Just(-2.0)],
            seed in 0u32..1000,
        ) {
            let numbers = |count: usize, salt: u32| (0..count)
                .map(|i| f64::from((i as u32 * 37 + seed + salt) % 19) / 19.0 - 0.5)
                .collect::<Vec<_>>();
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let (a, b) = (matrix(&a, m, k, ta), matrix(&b, k, n, tb));
            let before = if keep == 0.0 { vec![f64::NAN; m * n] } else { numbers(m * n, 3) };
            let mut out = before.clone();
            product(&mut out, keep, factor, a, b);
            for (found, expected) in out.iter().zip(plain(&before, keep, factor, &a, &b)) {
                prop_assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }
}
