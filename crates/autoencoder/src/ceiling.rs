//! Work whose time tells what one thread of the processor reaches by itself:
//! what training is held against.

use std::hint::black_box;

use pulp::{Arch, Simd, WithSimd};

/// Arithmetic operations of one call of [`multiply_add`].
pub const OPERATIONS: f64 = 2e8;

/// Bytes that one [`Triad::pass`] moves.
pub const BYTES: f64 = (16 * LEN) as f64;

/// Numbers in each array of a [`Triad`].
const LEN: usize = 8 << 20;

/// 1e8 fused additions and multiplications of f32 in twelve independent sums,
/// which nothing but the processor's arithmetic limits.
pub fn multiply_add() {
    black_box(Arch::new().dispatch(MultiplyAdd));
}

struct MultiplyAdd;

impl WithSimd for MultiplyAdd {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(1.0); 12];
        let factor = simd.splat_f32s(black_box(0.999));
        let term = simd.splat_f32s(black_box(1e-3));
        for _ in 0..OPERATIONS as usize / 2 / (12 * S::F32_LANES) {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// `a = b + s c` over 32 MiB each, which few caches hold (McCalpin's STREAM).
#[derive(Debug)]
pub struct Triad {
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

impl Default for Triad {
    fn default() -> Self {
        Self {
            a: vec![1.0; LEN],
            b: vec![2.0; LEN],
            c: vec![3.0; LEN],
        }
    }
}

impl Triad {
    /// Once over the arrays. Four numbers move for each `a`: its line is read
    /// before it is written.
    pub fn pass(&mut self) {
        Arch::new().dispatch(|| {
            let factor = black_box(3.0);
            for (a, (b, c)) in self.a.iter_mut().zip(self.b.iter().zip(&self.c)) {
                *a = *b + factor * *c;
            }
        });
        black_box(&self.a);
    }
}
