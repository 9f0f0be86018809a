//! What one layer computes, on slices: one pass over memory each.

use pulp::Arch;
use serde::{Deserialize, Serialize};

use crate::product::{Matrix, product};
use crate::real::Real;
use crate::tiles::Packs;

/// A layer's output as a function of its input sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `1 / (1 + exp(-x))`
    Logistic,
    /// `x`
    Linear,
}

/// `out = activation(x weights + biases)`; `x` and `out` have one row an
/// image, `weights` is `[in, out]`.
pub(crate) fn forward<T: Real>(
    packs: &mut Packs,
    out: &mut [T],
    x: Matrix<'_, T>,
    weights: Matrix<'_, T>,
    biases: &[T],
    activation: Activation,
) {
    assert_eq!(biases.len(), weights.columns(), "a bias an output");
    product(
        packs,
        out,
        x,
        weights,
        #[inline(always)]
        |_, column, sums| {
            let sums = sums.iter_mut().zip(&biases[column..]);
            match activation {
                Activation::Logistic => sums.for_each(|(x, b)| *x = (*x + *b).logistic()),
                Activation::Linear => sums.for_each(|(x, b)| *x += *b),
            }
        },
    );
}

/// The derivative of the loss by the input sums of the layer before, whose
/// outputs are `outputs`: `out = (delta weights') * derivative of activation`.
pub(crate) fn backward<T: Real>(
    packs: &mut Packs,
    out: &mut [T],
    delta: Matrix<'_, T>,
    weights: Matrix<'_, T>,
    outputs: &[T],
    activation: Activation,
) {
    let width = weights.rows();
    assert_eq!(outputs.len(), out.len(), "an output a derivative");
    product(
        packs,
        out,
        delta,
        weights.t(),
        #[inline(always)]
        |row, column, deltas| {
            let outputs = &outputs[row * width + column..];
            let one = T::of(1.0);
            match activation {
                Activation::Linear => {}
                Activation::Logistic => deltas
                    .iter_mut()
                    .zip(outputs)
                    .for_each(|(d, y)| *d *= *y * (one - *y)),
            }
        },
    );
}

/// `out = keep * out + factor * (sum of the rows)`
pub(crate) fn sum_rows<T: Real>(out: &mut [T], keep: T, factor: T, rows: &[T]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            out.iter_mut().for_each(|o| *o = keep * *o);
            for row in rows.chunks_exact(out.len()) {
                out.iter_mut().zip(row).for_each(|(o, x)| *o += factor * *x);
            }
        },
    );
}

/// Sum of squared differences, in f64, in 16 lanes that are added at the end:
/// a fixed order.
pub(crate) fn squared_difference<T: Real>(a: &[T], b: &[T]) -> f64 {
    let mut lanes = [0f64; 16];
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (a, b) in a.chunks(16).zip(b.chunks(16)) {
                for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                    let difference = a.as_f64() - b.as_f64();
                    *lane += difference * difference;
                }
            }
        },
    );
    lanes.iter().sum()
}
