//! Principal component analysis, for the reference figures and the codes.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::dataset::Images;
use crate::product::{Matrix, library};

/// Principal component analysis of rows of numbers, in f64.
#[derive(Debug, Clone)]
pub struct Pca {
    mean: Vec<f64>,
    /// One direction a row, of unit length, by falling variance; the sign such
    /// that the largest component is positive.
    directions: Vec<f64>,
    /// Variance along each direction, never negative.
    variances: Vec<f64>,
}

impl Pca {
    /// Fits mean and directions to `rows`, each of `width` numbers, by the
    /// eigenvectors of their covariance.
    ///
    /// # Panics
    /// Where there is no row or the last one is not whole.
    pub fn fit(rows: &[f64], width: usize) -> Self {
        let count = rows.len() / width;
        assert!(count > 0 && rows.len().is_multiple_of(width), "whole rows");
        let mut mean = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut()
                .zip(row)
                .for_each(|(m, x)| *m += x / count as f64);
        }
        let mut covariance = vec![0.0; width * width];
        // A few thousand rows at a time bound the memory of the centred copy.
        for rows in rows.chunks(4096 * width) {
            let centred: Vec<f64> = rows
                .chunks_exact(width)
                .flat_map(|row| row.iter().zip(&mean).map(|(x, m)| x - m))
                .collect();
            let centred = Matrix::new(&centred, width);
            library(
                &mut covariance,
                1.0,
                1.0 / count as f64,
                centred.t(),
                centred,
            );
        }
        let eigen = SymmetricEigen::new(DMatrix::from_row_slice(width, width, &covariance));
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        // Rounding can leave a variance of zero just below it.
        let variances = order
            .iter()
            .map(|column| eigen.eigenvalues[*column].max(0.0))
            .collect();
        let directions = order
            .into_iter()
            .flat_map(|column| {
                let direction: Vec<f64> =
                    eigen.eigenvectors.column(column).iter().copied().collect();
                let largest = direction
                    .iter()
                    .copied()
                    .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
                let sign = if largest < 0.0 { -1.0 } else { 1.0 };
                direction.into_iter().map(move |x| sign * x)
            })
            .collect();
        Self {
            mean,
            directions,
            variances,
        }
    }

    /// The mean row.
    pub(crate) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// All directions, one a row, of unit length, by falling variance.
    pub(crate) fn directions(&self) -> &[f64] {
        &self.directions
    }

    /// Variance along each direction, at least 0.
    pub(crate) fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Coordinates of `rows` along the first `components` directions, row by row.
    pub fn project(&self, rows: &[f64], components: usize) -> Vec<f64> {
        let width = self.mean.len();
        let centred: Vec<f64> = rows
            .chunks_exact(width)
            .flat_map(|row| row.iter().zip(&self.mean).map(|(x, m)| x - m))
            .collect();
        let mut out = vec![0.0; rows.len() / width * components];
        let directions = Matrix::new(&self.directions[..components * width], width);
        library(
            &mut out,
            0.0,
            1.0,
            Matrix::new(&centred, width),
            directions.t(),
        );
        out
    }

    /// Mean over `rows` of the squared distance to their projection on the
    /// mean and the first directions, for each number of `components`.
    pub fn reconstruction_errors(&self, rows: &[f64], components: &[usize]) -> Vec<f64> {
        let width = self.mean.len();
        let count = (rows.len() / width) as f64;
        let total: f64 = rows
            .chunks_exact(width)
            .map(|row| {
                row.iter()
                    .zip(&self.mean)
                    .map(|(x, m)| (x - m) * (x - m))
                    .sum::<f64>()
            })
            .sum();
        let most = components.iter().copied().max().unwrap_or(0).min(width);
        // The directions are orthonormal: what is lost is what is not projected.
        let mut kept = vec![0.0; most];
        for row in self.project(rows, most).chunks_exact(most.max(1)) {
            kept.iter_mut().zip(row).for_each(|(k, x)| *k += x * x);
        }
        components
            .iter()
            .map(|n| (total - kept[..(*n).min(width)].iter().sum::<f64>()) / count)
            .collect()
    }
}

/// The images as rows of numbers in 0..=1.
pub fn rows(images: &Images) -> Vec<f64> {
    images
        .pixels
        .iter()
        .map(|pixel| f64::from(*pixel) / 255.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_have_one_direction() {
        let rows: Vec<f64> = (0..10)
            .flat_map(|i| [f64::from(i), -2.0 * f64::from(i) + 1.0, 5.0])
            .collect();
        let pca = Pca::fit(&rows, 3);
        let errors = pca.reconstruction_errors(&rows, &[0, 1, 2]);
        // Variance of 0..10 is 8.25; the line is sqrt(5) as long.
        assert!((errors[0] - 8.25 * 5.0).abs() < 1e-9, "{errors:?}");
        assert!(
            errors[1].abs() < 1e-9 && errors[2].abs() < 1e-9,
            "{errors:?}"
        );
        let first = pca.project(&rows, 1);
        assert!(
            (first[1] - first[0] - -(5f64.sqrt())).abs() < 1e-9,
            "{first:?}"
        );
    }
}
