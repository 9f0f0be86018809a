//! CURVES: 28 x 28 images of curves through three random points, after the
//! data set of that name in Hinton & Salakhutdinov, "Reducing the
//! dimensionality of data with neural networks" (2006): 20,000 images to train
//! on, 10,000 to test on. Made by computation, so it is there where MNIST
//! cannot be had.
//!
//! How image `i` (the training images are 0 to 19,999, the test images 20,000
//! to 29,999) is made:
//!
//! 1. Six numbers `u0` to `u5` are drawn by [`Stream::uniform`] from
//!    `Stream::new(0, Purpose::Curves, i)`. The three points are
//!    `(4 + 20 u0, 4 + 20 u1)`, `(4 + 20 u2, 4 + 20 u3)`, `(4 + 20 u4, 4 + 20 u5)`,
//!    as (x, y): x to the right, y down, in pixels from the image's upper left
//!    corner, so that the pixel in column `c` and row `r` has its centre at
//!    `(c + 0.5, r + 0.5)`.
//! 2. The curve is the quadratic Bezier curve through them at the parameters 0,
//!    1/2 and 1. It leaves the square [4, 24]^2 by 2.5 at most, so it always
//!    lies within the image.
//! 3. It is drawn as 128 straight segments of equal parameter length, which
//!    stay within 0.002 of it. A pixel whose centre has the distance `d` from
//!    them gets the intensity `min(1, max(0, 1 - d))`: a pen one pixel wide with
//!    an edge smoothed over one pixel.
//! 4. The grey value is `floor(255 * intensity + 0.5)`.
//!
//! Only `+ - * /` and square roots in f64 are used, which every platform
//! rounds alike, so every platform gives the same bytes: [`SHA256`].

use super::{Dataset, Images, PIXELS, SIDE};
use crate::random::{Purpose, Stream};

/// Images to train on.
pub const TRAIN_IMAGES: usize = 20_000;

/// Images to test on.
pub const TEST_IMAGES: usize = 10_000;

/// [`Dataset::sha256`] of the data set.
pub const SHA256: &str = "c4986ba01a67e0449e91e8149a334f31e6bc809e87f263e810f2e5086206013e";

const SEED: u64 = 0;
const SEGMENTS: usize = 128;

type Point = [f64; 2];

/// Makes the data set: the same bytes at every call and on every platform. It
/// has no labels. Takes about half a second.
pub fn generate() -> Dataset {
    Dataset {
        name: "curves".to_owned(),
        train: images(0..TRAIN_IMAGES),
        test: images(TRAIN_IMAGES..TRAIN_IMAGES + TEST_IMAGES),
    }
}

fn images(range: std::ops::Range<usize>) -> Images {
    let mut pixels = vec![0; range.len() * PIXELS];
    for (index, image) in range.zip(pixels.chunks_exact_mut(PIXELS)) {
        draw(points(index as u64), image);
    }
    Images {
        pixels,
        labels: Vec::new(),
    }
}

fn points(index: u64) -> [Point; 3] {
    let mut stream = Stream::new(SEED, Purpose::Curves, index);
    std::array::from_fn(|_| std::array::from_fn(|_| 4.0 + 20.0 * stream.uniform()))
}

fn draw(points: [Point; 3], image: &mut [u8]) {
    // A pixel that no segment comes near keeps distance 1: intensity 0.
    let mut squared_distances = [1.0_f64; PIXELS];
    let mut from = points[0];
    for segment in 1..=SEGMENTS {
        let to = bezier_through(points, segment as f64 / SEGMENTS as f64);
        let [columns, rows] = [0, 1].map(|axis| pixels_near(from[axis], to[axis]));
        for row in rows {
            for column in columns.clone() {
                let centre = [column as f64 + 0.5, row as f64 + 0.5];
                let distance = &mut squared_distances[row * SIDE + column];
                *distance = distance.min(squared_distance(centre, from, to));
            }
        }
        from = to;
    }
    for (pixel, squared_distance) in image.iter_mut().zip(squared_distances) {
        *pixel = (255.0 * (1.0 - squared_distance.sqrt()) + 0.5) as u8;
    }
}

/// The curve at parameter `t`: in Lagrange's form, for the parameters 0, 1/2, 1.
fn bezier_through([start, middle, end]: [Point; 3], t: f64) -> Point {
    let weights = [
        (1.0 - t) * (1.0 - 2.0 * t),
        4.0 * t * (1.0 - t),
        t * (2.0 * t - 1.0),
    ];
    [0, 1].map(|axis| weights[0] * start[axis] + weights[1] * middle[axis] + weights[2] * end[axis])
}

/// The columns (or rows) of pixels whose centres may be within 1 of a segment
/// from `a` to `b`.
fn pixels_near(a: f64, b: f64) -> std::ops::Range<usize> {
    // A cast drops the fraction and keeps within the type's range.
    let first = (a.min(b) - 1.5) as usize;
    let end = (a.max(b) + 1.5) as usize;
    first..end.min(SIDE)
}

fn squared_distance(point: Point, from: Point, to: Point) -> f64 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let offset = [point[0] - from[0], point[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let dot = along[0] * offset[0] + along[1] * offset[1];
    let share = if length > 0.0 {
        (dot / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let away = [offset[0] - share * along[0], offset[1] - share * along[1]];
    away[0] * away[0] + away[1] * away[1]
}
