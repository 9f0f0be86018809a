use adamix_optim::with_slices;
use candle_core::{DType, Result, Tensor};

use crate::layer::{self, Activation};
use crate::network::{part, part_mut};
use crate::product::{Matrix, Term, product_by_rows};
use crate::real::Real;
use crate::tiles::Packs;

/// Constants of one contrastive-divergence update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CdSettings {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the velocities.
    pub momentum: f64,
    /// Decay of the weights (not of the biases), part of their gradient.
    pub weight_cost: f64,
}

/// A restricted Boltzmann machine with logistic visible units, and its
/// velocities. The first axis of every tensor counts replicas.
///
/// Hidden units are binary ([`Activation::Logistic`]) or Gaussian with unit
/// variance ([`Activation::Linear`]).
#[derive(Debug)]
pub struct Rbm {
    /// `[replicas, visible, hidden]`
    pub weights: Tensor,
    /// `[replicas, visible]`
    pub visible_biases: Tensor,
    /// `[replicas, hidden]`
    pub hidden_biases: Tensor,
    /// Momentum buffer of each of the three, in this order.
    pub velocities: [Tensor; 3],
    /// Of the hidden units.
    pub hidden: Activation,
}

impl Rbm {
    /// An RBM with these weights, zero biases and zero velocities, on the
    /// weights' device.
    ///
    /// # Errors
    /// Where `weights` is not `[replicas, visible, hidden]`.
    pub fn new(weights: Tensor, hidden: Activation) -> Result<Self> {
        let (replicas, visible, hidden_units) = weights.dims3()?;
        let zeros = |shape: &[usize]| Tensor::zeros(shape, weights.dtype(), weights.device());
        Ok(Self {
            visible_biases: zeros(&[replicas, visible])?,
            hidden_biases: zeros(&[replicas, hidden_units])?,
            velocities: [
                zeros(&[replicas, visible, hidden_units])?,
                zeros(&[replicas, visible])?,
                zeros(&[replicas, hidden_units])?,
            ],
            weights,
            hidden,
        })
    }

    /// One update by one step of contrastive divergence (CD-1) on the batch in
    /// the workspace, with its noise. Returns each replica's squared
    /// reconstruction error, mean over the batch.
    ///
    /// Positive phase: hidden probabilities `p0` (means, for Gaussian units)
    /// of the data `v0`; states are 1 where `p0 > noise` (`p0 + noise` for
    /// Gaussian units). Negative phase: visible probabilities `v1` of the
    /// states, hidden probabilities `p1` of those. With the batch's size `n`
    ///
    /// - weights: `velocity = momentum velocity + rate ((v0' p0 - v1' p1) / n - cost w)`
    /// - biases: the same with `v0 - v1` and `p0 - p1` summed, without the cost
    ///
    /// and each parameter moves by its velocity. Source: Hinton 2002; the code
    /// released with Hinton & Salakhutdinov 2006.
    ///
    /// # Errors
    /// Where the workspace is not of this RBM, or not on the CPU.
    pub fn update<'w>(
        &mut self,
        workspace: &'w mut CdWorkspace,
        settings: CdSettings,
    ) -> Result<&'w [f64]> {
        match self.weights.dtype() {
            DType::F64 => self.update_as::<f64>(workspace, settings)?,
            _ => self.update_as::<f32>(workspace, settings)?,
        }
        Ok(&workspace.errors)
    }

    fn update_as<T: Real>(
        &mut self,
        workspace: &mut CdWorkspace,
        settings: CdSettings,
    ) -> Result<()> {
        let (replicas, visible, hidden) = self.weights.dims3()?;
        let CdWorkspace {
            v0,
            noise,
            p0,
            states,
            v1,
            p1,
            packs,
            errors,
        } = workspace;
        if v0.dims()[2] != visible
            || p0.dims() != noise.dims()
            || noise.dims()[2] != hidden
            || v0.dims()[0] != replicas
        {
            candle_core::bail!("the workspace is of another RBM");
        }
        let activation = self.hidden;
        let written = [p0, states, v1, p1].map(|tensor| &*tensor);
        let read = [
            &*v0,
            &*noise,
            &self.weights,
            &self.visible_biases,
            &self.hidden_biases,
        ];
        with_slices(
            written,
            read,
            |[p0, states, v1, p1], [v0, noise, w, vb, hb]: [&[T]; 5]| {
                errors.clear();
                errors.extend((0..replicas).map(|r| {
                    let (p0, states) = (part_mut(p0, r, replicas), part_mut(states, r, replicas));
                    let (v1, p1) = (part_mut(v1, r, replicas), part_mut(p1, r, replicas));
                    let (v0, noise) = (part(v0, r, replicas), part(noise, r, replicas));
                    let w = Matrix::new(part(w, r, replicas), hidden);
                    let (vb, hb) = (part(vb, r, replicas), part(hb, r, replicas));
                    layer::forward(packs, p0, Matrix::new(v0, visible), w, hb, activation);
                    sample(states, p0, noise, activation);
                    layer::forward(
                        packs,
                        v1,
                        Matrix::new(states, hidden),
                        w.t(),
                        vb,
                        Activation::Logistic,
                    );
                    layer::forward(packs, p1, Matrix::new(v1, visible), w, hb, activation);
                    let batch = v0.len() / visible;
                    layer::squared_difference(v0, v1) / batch as f64
                }));
            },
        )?;

        let CdWorkspace {
            v0,
            p0,
            v1,
            p1,
            packs,
            ..
        } = workspace;
        let read = [&*v0, p0, v1, p1];
        let [wv, vv, hv] = &self.velocities;
        let written = [
            &self.weights,
            &self.visible_biases,
            &self.hidden_biases,
            wv,
            vv,
            hv,
        ];
        with_slices(
            written,
            read,
            |[w, vb, hb, wv, vv, hv], [v0, p0, v1, p1]: [&[T]; 4]| {
                for r in 0..replicas {
                    let (v0, v1) = (part(v0, r, replicas), part(v1, r, replicas));
                    let (p0, p1) = (part(p0, r, replicas), part(p1, r, replicas));
                    let batch = (v0.len() / visible) as f64;
                    let momentum = T::of(settings.momentum);
                    let (up, down) = (
                        T::of(settings.learning_rate / batch),
                        T::of(-settings.learning_rate / batch),
                    );
                    let (w, wv) = (part_mut(w, r, replicas), part_mut(wv, r, replicas));
                    let term = |factor, v, p| Term {
                        factor,
                        a: Matrix::new(v, visible).t(),
                        b: Matrix::new(p, hidden),
                    };
                    let cost = T::of(settings.learning_rate * settings.weight_cost);
                    product_by_rows(
                        packs,
                        (wv, true),
                        momentum,
                        [term(up, v0, p0), term(down, v1, p1)],
                        &[w.as_ptr_range()],
                        #[inline(always)]
                        |row, velocity| {
                            let w = &mut w[row * hidden..][..velocity.len()];
                            move_weights(w, velocity, cost);
                        },
                    );
                    for (biases, velocity, positive, negative) in [
                        (part_mut(vb, r, replicas), part_mut(vv, r, replicas), v0, v1),
                        (part_mut(hb, r, replicas), part_mut(hv, r, replicas), p0, p1),
                    ] {
                        layer::sum_rows(velocity, momentum, up, positive);
                        layer::sum_rows(velocity, T::of(1.0), down, negative);
                        biases.iter_mut().zip(velocity).for_each(|(b, v)| *b += *v);
                    }
                }
            },
        )
    }
}

/// Hidden states from their probabilities (or means) and the noise.
fn sample<T: Real>(states: &mut [T], p: &[T], noise: &[T], activation: Activation) {
    let rows = states.iter_mut().zip(p.iter().zip(noise));
    match activation {
        Activation::Logistic => {
            rows.for_each(|(s, (p, noise))| *s = if p > noise { T::of(1.0) } else { T::of(0.0) })
        }
        Activation::Linear => rows.for_each(|(s, (p, noise))| *s = *p + *noise),
    }
}

/// Takes the weight cost off the velocity and moves the weights by it.
fn move_weights<T: Real>(w: &mut [T], velocity: &mut [T], cost: T) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (w, v) in w.iter_mut().zip(velocity) {
                *v -= cost * *w;
                *w += *v;
            }
        },
    );
}

/// Preallocated memory of one contrastive-divergence update.
#[derive(Debug)]
pub struct CdWorkspace {
    /// The data, `[replicas, batch, visible]`, to be filled.
    pub v0: Tensor,
    /// `[replicas, batch, hidden]`, to be filled: uniform in [0, 1) for
    /// binary hidden units, standard normal for Gaussian ones.
    pub noise: Tensor,
    pub(crate) p0: Tensor,
    pub(crate) states: Tensor,
    pub(crate) v1: Tensor,
    pub(crate) p1: Tensor,
    packs: Packs,
    /// Each replica's squared reconstruction error.
    errors: Vec<f64>,
}

impl CdWorkspace {
    /// Memory for batches of `batch_size`.
    ///
    /// # Errors
    /// candle's, where there is not enough.
    pub fn new(rbm: &Rbm, batch_size: usize) -> Result<Self> {
        let (replicas, visible, hidden) = rbm.weights.dims3()?;
        let zeros = |width: usize| {
            Tensor::zeros(
                (replicas, batch_size, width),
                rbm.weights.dtype(),
                rbm.weights.device(),
            )
        };
        Ok(Self {
            v0: zeros(visible)?,
            noise: zeros(hidden)?,
            p0: zeros(hidden)?,
            states: zeros(hidden)?,
            v1: zeros(visible)?,
            p1: zeros(hidden)?,
            packs: Packs::default(),
            errors: Vec::new(),
        })
    }
}
