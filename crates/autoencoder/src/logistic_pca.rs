//! Logistic principal component analysis, a reference figure for the
//! reconstruction error.
//!
//! # Which logistic PCA
//! Here it is the network pixels - components - pixels with a linear code and
//! logistic outputs, trained on the cross-entropy:
//!
//! ```text
//! output = logistic((x - mean) encoder decoder + biases)
//! ```
//!
//! With linear outputs and squared errors the same network gives PCA (Baldi &
//! Hornik, "Neural networks and principal component analysis", 1989). Hinton &
//! Salakhutdinov ("Reducing the dimensionality of data with neural networks",
//! Science 313, 2006) publish a test error of 8.01 on MNIST with 30 components
//! for "logistic PCA" (caption of figure 2B); this one ends at 7.78, and at
//! 7.76 where it goes on until an epoch gains less than 0.0003 %.
//!
//! The other logistic PCA (Collins, Dasgupta & Schapire, "A generalization of
//! principal components analysis to the exponential family", 2001; Schein,
//! Saul & Ungar, "A generalized linear model for principal component analysis
//! of binary data", 2003) has no encoder: every image, also every test image,
//! gets the code that minimises its own cross-entropy. It can hardly be what
//! was published: with as many components its test error is below 3 (a prototype
//! had 2.93, and falling, after 15 rounds of Newton steps on codes and loadings).
//!
//! # The criterion
//! Mean over the images of the cross-entropy in nats, summed over the pixels,
//! plus `ridge / 2` times the sum of the squares of encoder, decoder and
//! biases. Grey pixels count as probabilities, so that the cross-entropy is
//! never below their own entropy. The tiny ridge makes the minimum exist:
//! without it the bias of a pixel that is black in every image has no
//! finite best value, and encoder and decoder could trade factors for ever.
//!
//! # The minimiser
//! L-BFGS (Nocedal & Wright, "Numerical optimization", 2nd edition, algorithm
//! 7.4) over all images at once, from PCA: no random numbers, one thread, f64,
//! the same bits every time on one processor. An epoch is one step: one pass
//! over the images, one more for every halving of a step that was too long.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::dataset::{Images, PIXELS};
use crate::pca::{Pca, rows};
use crate::product::{Matrix, library};
use crate::real::Real;

/// A fitted logistic PCA: see the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticPca {
    model: Model,
    /// Steps taken: passes over the training images, all but for too long steps.
    pub epochs: usize,
    /// The training criterion after the last epoch, in nats an image.
    pub criterion: f64,
    /// What the last epoch gained: the fall of the criterion by its value
    /// before; 0 where no step lowered it, infinite where there was no epoch.
    pub last_gain: f64,
    /// Why the fit ended.
    pub end: End,
}

/// Why a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An epoch gained less than [`Settings::least_gain`].
    Converged,
    /// [`Settings::most_epochs`] were done.
    MostEpochs,
    /// `on_epoch` said so.
    Stopped,
}

/// How a [`LogisticPca`] is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Half of this times the sum of the squared parameters is added to the
    /// criterion. Above 0.
    pub ridge: f64,
    /// The fit ends with the first epoch that gains less than this share of
    /// the criterion. At least 0: with 0 the fit goes on until rounding hides
    /// any gain.
    pub least_gain: f64,
    /// The fit ends after so many epochs in any case.
    pub most_epochs: usize,
}

impl Default for Settings {
    /// A ridge of 1e-7, which adds 0.002 nats on MNIST; until an epoch gains
    /// less than 0.01 %, at most 1000 epochs.
    fn default() -> Self {
        Self {
            ridge: 1e-7,
            least_gain: 1e-4,
            most_epochs: 1000,
        }
    }
}

/// Why a [`LogisticPca`] cannot be fitted.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is nothing to fit to.
    #[error("logistic PCA: no images")]
    NoImages,
    /// The pixels are not those of whole images.
    #[error("logistic PCA: {0} pixels are not whole images of {PIXELS}")]
    CutImage(usize),
    /// No, or too many, components.
    #[error("logistic PCA: {0} components, where 1 to {PIXELS} can be")]
    Components(usize),
    /// The ridge is not a finite number above 0.
    #[error("logistic PCA: a ridge of {0}, where a finite number above 0 can be")]
    Ridge(f64),
    /// The least gain is not a number or negative.
    #[error("logistic PCA: a least gain of {0}, where 0 or more can be")]
    LeastGain(f64),
}

impl LogisticPca {
    /// Fits `components` components to `images`. After every epoch, `on_epoch`
    /// gets its number, from 1, and the criterion, which never rises; it can
    /// stop the fit there, and what was reached so far is the result.
    ///
    /// 60,000 images and 30 components take about a minute and 0.5 GB.
    ///
    /// # Errors
    /// No images, cut images, or a number of components or a setting that
    /// cannot be.
    pub fn fit(
        images: &Images,
        components: usize,
        settings: Settings,
        on_epoch: &mut dyn FnMut(usize, f64) -> ControlFlow<()>,
    ) -> Result<Self, Error> {
        check(images, components, settings)?;
        let pca = Pca::fit(&rows(images), PIXELS);
        let metric = Metric::new(&pca, components);
        let start = Model::start(images, &pca, components);
        let mut at = Point::new(start, images, settings.ridge);
        let mut memory = Memory::default();
        let (mut epochs, mut last_gain) = (0, f64::INFINITY);
        let end = loop {
            if epochs == settings.most_epochs {
                break End::MostEpochs;
            }
            epochs += 1;
            let direction = memory.direction(&at.gradient, &metric);
            let next = at.descend(&direction, images, settings.ridge);
            last_gain = next
                .as_ref()
                .map_or(0.0, |next| (at.criterion - next.criterion) / at.criterion);
            // Without a gain, what is remembered has led astray, unless nothing is.
            let stalled = last_gain <= 0.0;
            let end = stalled && memory.0.is_empty();
            if let (Some(next), false) = (next, stalled) {
                memory.push(&at, &next);
                at = next;
            } else {
                memory = Memory::default();
            }
            if on_epoch(epochs, at.criterion).is_break() {
                break End::Stopped;
            }
            if end || last_gain < settings.least_gain {
                break End::Converged;
            }
        };
        Ok(Self {
            model: at.model,
            epochs,
            criterion: at.criterion,
            last_gain,
            end,
        })
    }

    /// Mean over `images` of the sum over the pixels of the squared difference
    /// of output and input, in units of white (255) squared. Not a number
    /// where there are no images.
    pub fn reconstruction_error(&self, images: &Images) -> f64 {
        let mut sum = 0.0;
        self.model.forward(images, |block| {
            for (logit, pixel) in block.logits.iter().zip(block.pixels) {
                let difference = logit.logistic() - f64::pixel(*pixel);
                sum += difference * difference;
            }
        });
        sum / images.count() as f64
    }

    /// The outputs for `images`: as many x 784 numbers from 0 to 1.
    pub fn reconstruct(&self, images: &Images) -> Vec<f64> {
        let mut outputs = Vec::with_capacity(images.count() * PIXELS);
        self.model.forward(images, |block| {
            outputs.extend(block.logits.iter().map(|logit| logit.logistic()));
        });
        outputs
    }
}

fn check(images: &Images, components: usize, settings: Settings) -> Result<(), Error> {
    if images.pixels.is_empty() {
        return Err(Error::NoImages);
    }
    if !images.pixels.len().is_multiple_of(PIXELS) {
        return Err(Error::CutImage(images.pixels.len()));
    }
    if !(1..=PIXELS).contains(&components) {
        return Err(Error::Components(components));
    }
    if !(settings.ridge > 0.0 && settings.ridge.is_finite()) {
        return Err(Error::Ridge(settings.ridge));
    }
    if settings.least_gain.is_nan() || settings.least_gain < 0.0 {
        return Err(Error::LeastGain(settings.least_gain));
    }
    Ok(())
}

/// The network: what is learned, and the mean image, which is not.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    mean: Vec<f64>,
    components: usize,
    /// All parameters, so that the minimiser sees one vector: the encoder, 784
    /// x components; the decoder, components x 784; the biases, 784.
    parameters: Vec<f64>,
}

/// Some images on their way through the network, one a row.
struct Block<'a> {
    pixels: &'a [u8],
    /// The pixels less the mean image.
    inputs: Vec<f64>,
    codes: Vec<f64>,
    logits: Vec<f64>,
}

/// Images in a block, so that it stays in the cache.
const BLOCK: usize = 256;

impl Model {
    /// PCA, its outputs bent to the logistic function: the slope of that is at
    /// most 1/4, so 4 times the decoder of PCA; the biases are the logits of
    /// the mean image, as if a grey image more had been seen.
    fn start(images: &Images, pca: &Pca, components: usize) -> Self {
        let directions = &pca.directions()[..components * PIXELS];
        let mut parameters = vec![0.0; PIXELS * (2 * components + 1)];
        let [encoder, decoder, biases] = parts_mut(&mut parameters, components);
        for (component, direction) in directions.chunks_exact(PIXELS).enumerate() {
            for (pixel, x) in direction.iter().enumerate() {
                encoder[pixel * components + component] = *x;
                decoder[component * PIXELS + pixel] = 4.0 * x;
            }
        }
        let count = images.count() as f64;
        for (bias, mean) in biases.iter_mut().zip(pca.mean()) {
            let mean = (count * mean + 0.5) / (count + 1.0);
            *bias = (mean / (1.0 - mean)).ln();
        }
        Self {
            mean: pca.mean().to_vec(),
            components,
            parameters,
        }
    }

    /// Shows each block of `images` to `visit`, in their order.
    fn forward(&self, images: &Images, mut visit: impl FnMut(&mut Block<'_>)) {
        let [encoder, decoder, biases] = parts(&self.parameters, self.components);
        let encoder = Matrix::new(encoder, self.components);
        let decoder = Matrix::new(decoder, PIXELS);
        let whole = images.count() * PIXELS;
        for pixels in images.pixels[..whole].chunks(BLOCK * PIXELS) {
            let inputs: Vec<f64> = pixels
                .chunks_exact(PIXELS)
                .flat_map(|image| {
                    image
                        .iter()
                        .zip(&self.mean)
                        .map(|(x, m)| f64::pixel(*x) - m)
                })
                .collect();
            let mut codes = vec![0.0; pixels.len() / PIXELS * self.components];
            library(&mut codes, 0.0, 1.0, Matrix::new(&inputs, PIXELS), encoder);
            let mut logits: Vec<f64> = biases.iter().copied().cycle().take(pixels.len()).collect();
            library(
                &mut logits,
                1.0,
                1.0,
                Matrix::new(&codes, self.components),
                decoder,
            );
            visit(&mut Block {
                pixels,
                inputs,
                codes,
                logits,
            });
        }
    }
}

/// A place in the space of the parameters, and what the criterion is there.
struct Point {
    model: Model,
    criterion: f64,
    gradient: Vec<f64>,
}

impl Point {
    /// Evaluates criterion and gradient by one pass over the images.
    fn new(model: Model, images: &Images, ridge: f64) -> Self {
        let count = images.count() as f64;
        let components = model.components;
        let decoder = Matrix::new(parts(&model.parameters, components)[1], PIXELS);
        let squares: f64 = model.parameters.iter().map(|x| x * x).sum();
        let mut entropy = 0.0;
        let mut gradient: Vec<f64> = model.parameters.iter().map(|x| ridge * x).collect();
        let [by_encoder, by_decoder, by_biases] = parts_mut(&mut gradient, components);
        model.forward(images, |block| {
            for (logits, pixels) in block
                .logits
                .chunks_exact_mut(PIXELS)
                .zip(block.pixels.chunks_exact(PIXELS))
            {
                entropy += cross_entropy(logits, pixels);
            }
            // What were the logits is now the derivative by them.
            let deltas = Matrix::new(&block.logits, PIXELS);
            let codes = Matrix::new(&block.codes, components);
            library(by_decoder, 1.0, 1.0 / count, codes.t(), deltas);
            for row in block.logits.chunks_exact(PIXELS) {
                by_biases
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, delta)| *sum += delta / count);
            }
            let mut by_codes = vec![0.0; block.codes.len()];
            library(&mut by_codes, 0.0, 1.0, deltas, decoder.t());
            library(
                by_encoder,
                1.0,
                1.0 / count,
                Matrix::new(&block.inputs, PIXELS).t(),
                Matrix::new(&by_codes, components),
            );
        });
        Self {
            criterion: entropy / count + 0.5 * ridge * squares,
            gradient,
            model,
        }
    }

    /// The first lower point along `direction`: the whole way there, or half
    /// of it, or a quarter... (Armijo's rule). None where rounding hides any gain.
    fn descend(&self, direction: &[f64], images: &Images, ridge: f64) -> Option<Self> {
        let slope = dot(&self.gradient, direction);
        let mut step = 1.0;
        for _ in 0..30 {
            let mut model = self.model.clone();
            add(&mut model.parameters, step, direction);
            let next = Self::new(model, images, ridge);
            if next.criterion <= self.criterion + 1e-4 * step * slope.min(0.0) {
                return Some(next);
            }
            step /= 2.0;
        }
        None
    }
}

/// The cross-entropy of one image in nats, summed over its pixels. The logits
/// become its derivatives by them, output less pixel.
fn cross_entropy(logits: &mut [f64], pixels: &[u8]) -> f64 {
    // Of a logit t and a pixel x it is max(t, 0) - x t + ln(1 + exp(-|t|)). One
    // logarithm of the product is faster than 784; at most 2^784, it is finite.
    let (mut sum, mut factors) = (0.0, 1.0);
    for (logit, pixel) in logits.iter_mut().zip(pixels) {
        let (t, x) = (*logit, f64::pixel(*pixel));
        let power = (-t.abs()).exp();
        sum += t.max(0.0) - x * t;
        factors *= 1.0 + power;
        *logit = if t < 0.0 { power } else { 1.0 } / (1.0 + power) - x;
    }
    sum + factors.ln()
}

/// The metric that L-BFGS starts from: the inverse of an upper bound of the
/// Hessian's diagonal blocks at the start, where the codes are those of PCA.
///
/// The second derivative of the cross-entropy by a logit is at most 1/4 (the
/// bound of Böhning & Lindsay, "Monotonicity of quadratic-approximation
/// algorithms", 1988). By the encoder's columns it is thus at most 4 times the
/// covariance of the pixels, by the decoder's rows 1/4 of the variance of the
/// code, by the biases 1/4. Without it MNIST takes four times as many epochs
/// to the same criterion.
struct Metric<'a> {
    components: usize,
    directions: Matrix<'a, f64>,
    /// Variance along each direction, with a margin.
    variances: Vec<f64>,
}

impl<'a> Metric<'a> {
    fn new(pca: &'a Pca, components: usize) -> Self {
        // Keeps directions with hardly any variance from taking all of a step.
        const MARGIN: f64 = 0.01;
        Self {
            components,
            directions: Matrix::new(pca.directions(), PIXELS),
            variances: pca.variances().iter().map(|v| v + MARGIN).collect(),
        }
    }

    /// The metric times `vector`.
    fn apply(&self, vector: &[f64]) -> Vec<f64> {
        let mut out = vector.to_vec();
        let [encoder, decoder, biases] = parts_mut(&mut out, self.components);
        let mut turned = vec![0.0; encoder.len()];
        let columns = Matrix::new(encoder, self.components);
        library(&mut turned, 0.0, 1.0, self.directions, columns);
        for (row, variance) in turned
            .chunks_exact_mut(self.components)
            .zip(&self.variances)
        {
            row.iter_mut().for_each(|x| *x /= 4.0 * variance);
        }
        let turned = Matrix::new(&turned, self.components);
        library(encoder, 0.0, 1.0, self.directions.t(), turned);
        for (row, variance) in decoder.chunks_exact_mut(PIXELS).zip(&self.variances) {
            row.iter_mut().for_each(|x| *x *= 4.0 / variance);
        }
        biases.iter_mut().for_each(|x| *x *= 4.0);
        out
    }
}

/// What L-BFGS remembers: the last few steps, the latest last.
#[derive(Default)]
struct Memory(VecDeque<Step>);

struct Step {
    /// Change of the parameters.
    way: Vec<f64>,
    /// Change of the gradient.
    change: Vec<f64>,
    /// Their product, above 0.
    curvature: f64,
}

impl Memory {
    /// Steps remembered; more gain little.
    const LENGTH: usize = 10;

    fn push(&mut self, before: &Point, after: &Point) {
        let mut way = after.model.parameters.clone();
        add(&mut way, -1.0, &before.model.parameters);
        let mut change = after.gradient.clone();
        add(&mut change, -1.0, &before.gradient);
        let curvature = dot(&way, &change);
        // The criterion is not convex; a step along which it bends down would
        // spoil the estimate of the inverse Hessian.
        if curvature > 1e-10 * (dot(&way, &way) * dot(&change, &change)).sqrt() {
            if self.0.len() == Self::LENGTH {
                self.0.pop_front();
            }
            self.0.push_back(Step {
                way,
                change,
                curvature,
            });
        }
    }

    /// Minus the estimated inverse Hessian times `gradient`, by the two loops.
    fn direction(&self, gradient: &[f64], metric: &Metric<'_>) -> Vec<f64> {
        let mut rest: Vec<f64> = gradient.iter().map(|x| -x).collect();
        let mut shares = Vec::with_capacity(self.0.len());
        for step in self.0.iter().rev() {
            let share = dot(&step.way, &rest) / step.curvature;
            add(&mut rest, -share, &step.change);
            shares.push(share);
        }
        let mut direction = metric.apply(&rest);
        if let Some(last) = self.0.back() {
            let scale = last.curvature / dot(&last.change, &metric.apply(&last.change));
            direction.iter_mut().for_each(|x| *x *= scale);
        }
        for (step, share) in self.0.iter().zip(shares.into_iter().rev()) {
            let back = dot(&step.change, &direction) / step.curvature;
            add(&mut direction, share - back, &step.way);
        }
        direction
    }
}

/// Encoder, decoder and biases in one vector.
fn parts(vector: &[f64], components: usize) -> [&[f64]; 3] {
    let (encoder, rest) = vector.split_at(PIXELS * components);
    let (decoder, biases) = rest.split_at(PIXELS * components);
    [encoder, decoder, biases]
}

fn parts_mut(vector: &mut [f64], components: usize) -> [&mut [f64]; 3] {
    let (encoder, rest) = vector.split_at_mut(PIXELS * components);
    let (decoder, biases) = rest.split_at_mut(PIXELS * components);
    [encoder, decoder, biases]
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `out += factor * x`
fn add(out: &mut [f64], factor: f64, x: &[f64]) {
    out.iter_mut().zip(x).for_each(|(o, x)| *o += factor * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENTS: usize = 2;
    const RIDGE: f64 = 1e-2;

    fn images() -> Images {
        Images {
            pixels: (0..20 * PIXELS)
                .map(|i| (i * i / 97 % 256) as u8 & if i % 5 == 0 { 0 } else { 255 })
                .collect(),
            labels: Vec::new(),
        }
    }

    fn model(images: &Images) -> Model {
        Model::start(images, &Pca::fit(&rows(images), PIXELS), COMPONENTS)
    }

    #[test]
    fn the_gradient_of_logistic_pca_is_that_of_its_criterion() {
        let images = images();
        let model = model(&images);
        let gradient = Point::new(model.clone(), &images, RIDGE).gradient;
        // Some of the encoder, of the decoder, and of the biases.
        for at in (0..model.parameters.len()).step_by(131) {
            let criterion = |distance: f64| {
                let mut moved = model.clone();
                moved.parameters[at] += distance;
                Point::new(moved, &images, RIDGE).criterion
            };
            let slope = (criterion(1e-4) - criterion(-1e-4)) / 2e-4;
            assert!(
                (slope - gradient[at]).abs() < 1e-6,
                "{at}: {slope} {}",
                gradient[at]
            );
        }
    }

    #[test]
    fn the_criterion_of_logistic_pca_is_the_cross_entropy_and_the_ridge() {
        let images = images();
        let model = model(&images);
        let mut sum = 0.0;
        model.forward(&images, |block| {
            for (logit, pixel) in block.logits.iter().zip(block.pixels) {
                let (y, x) = (logit.logistic(), f64::pixel(*pixel));
                sum -= x * y.ln() + (1.0 - x) * (1.0 - y).ln();
            }
        });
        let squares = dot(&model.parameters, &model.parameters);
        let expected = sum / images.count() as f64 + RIDGE / 2.0 * squares;
        let found = Point::new(model, &images, RIDGE).criterion;
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn the_gradient_of_logistic_pca_vanishes_at_the_solution() {
        let images = images();
        let settings = Settings {
            ridge: RIDGE,
            least_gain: 0.0,
            most_epochs: 2000,
        };
        let on_epoch = &mut |_, _| ControlFlow::Continue(());
        let found = LogisticPca::fit(&images, COMPONENTS, settings, on_epoch).unwrap();
        let largest = |point: &Point| point.gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        let start = largest(&Point::new(model(&images), &images, RIDGE));
        let end = largest(&Point::new(found.model, &images, RIDGE));
        // Near the minimum the criterion changes with the square of the
        // gradient, which is lost in its rounding first.
        assert!(end < 1e-5 * start, "{end} {start}");
    }

    #[test]
    fn a_step_of_logistic_pca_is_halved_until_it_descends() {
        let images = images();
        let point = Point::new(model(&images), &images, RIDGE);
        let along =
            |factor: f64| -> Vec<f64> { point.gradient.iter().map(|g| factor * g).collect() };
        let whole = |direction: &[f64]| {
            let mut model = point.model.clone();
            add(&mut model.parameters, 1.0, direction);
            Point::new(model, &images, RIDGE).criterion
        };
        let down = along(-1e4);
        assert!(whole(&down) > point.criterion, "too long a step");
        let next = point.descend(&down, &images, RIDGE).unwrap();
        assert!(next.criterion < point.criterion);
        assert!(point.descend(&along(1.0), &images, RIDGE).is_none());
    }

    #[test]
    fn the_metric_of_logistic_pca_is_symmetric_and_positive() {
        let images = images();
        let pca = Pca::fit(&rows(&images), PIXELS);
        let metric = Metric::new(&pca, COMPONENTS);
        let size = PIXELS * (2 * COMPONENTS + 1);
        let vector = |salt: usize| -> Vec<f64> {
            (0..size).map(|i| (i * salt % 23) as f64 - 11.0).collect()
        };
        let (a, b) = (vector(7), vector(5));
        let (left, right) = (dot(&a, &metric.apply(&b)), dot(&metric.apply(&a), &b));
        assert!((left - right).abs() < 1e-9 * left.abs(), "{left} {right}");
        assert!(dot(&a, &metric.apply(&a)) > 0.0);
    }
}
