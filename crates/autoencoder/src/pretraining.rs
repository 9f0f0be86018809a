use std::collections::HashMap;
use std::ops::ControlFlow;

use adamix_optim::with_slices;
use candle_core::{Device, Result, Tensor, Var, bail};
use serde::{Deserialize, Serialize};

use crate::dataset::Images;
use crate::layer::{self, Activation};
use crate::network::{Autoencoder, Layer, fill_with_images, on_host, part, part_mut};
use crate::product::Matrix;
use crate::random::{Purpose, Stream};
use crate::rbm::{CdSettings, CdWorkspace, Rbm};
use crate::tiles::Packs;

/// Settings of greedy layer-wise pre-training. The defaults are those of the
/// code released with Hinton & Salakhutdinov 2006.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PreTrainingSettings {
    /// Epochs an RBM; with 0 the network starts from the initial weights. Default 10.
    pub epochs: u64,
    /// Images an update. Default 100.
    pub batch_size: usize,
    /// Learning rate of the RBMs with binary hidden units. Default 0.1.
    pub learning_rate: f64,
    /// Learning rate of the top RBM, whose hidden units are Gaussian. Default 0.001.
    pub top_learning_rate: f64,
    /// Decay of the weights. Default 2e-4.
    pub weight_cost: f64,
    /// Momentum in the first epochs. Default 0.5.
    pub momentum: f64,
    /// How many epochs those are. Default 5.
    pub momentum_epochs: u64,
    /// Momentum after them. Default 0.9.
    pub final_momentum: f64,
    /// Standard deviation of the initial weights. Default 0.1.
    pub weight_scale: f64,
}

impl Default for PreTrainingSettings {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 100,
            learning_rate: 0.1,
            top_learning_rate: 0.001,
            weight_cost: 2e-4,
            momentum: 0.5,
            momentum_epochs: 5,
            final_momentum: 0.9,
            weight_scale: 0.1,
        }
    }
}

/// What an epoch of pre-training did.
#[derive(Debug, Clone, PartialEq)]
pub struct PreTrainingEpoch {
    /// Which RBM, from 0 at the image.
    pub layer: usize,
    /// Its epochs done.
    pub epoch: u64,
    /// Mean squared reconstruction error of its input, summed over units, over
    /// the epoch's batches, for each replica.
    pub errors: Vec<f64>,
}

/// Greedy layer-wise pre-training of a stack of RBMs, one epoch at a time, for
/// several seeds side by side.
///
/// An epoch visits the images in an order of its own, in whole batches; what
/// is left over when the batch size does not divide the number of images is
/// left out of that epoch.
#[derive(Debug)]
pub struct PreTraining<'a> {
    images: &'a Images,
    layer_sizes: Vec<usize>,
    settings: PreTrainingSettings,
    seeds: Vec<u64>,
    /// RBMs done, from the image on.
    done: Vec<Rbm>,
    /// The one in training.
    current: Option<Current>,
    /// Epochs that `current` has done.
    epoch: u64,
    /// What `current` trains on, made when it is first needed.
    features: Features<'a>,
    device: Device,
}

/// The RBM in training and its memory.
#[derive(Debug)]
struct Current {
    rbm: Rbm,
    workspace: CdWorkspace,
}

/// What an RBM trains on: the images, or the hidden probabilities of the RBMs
/// that they have passed through.
#[derive(Debug)]
struct Features<'a> {
    images: &'a Images,
    /// RBMs passed through.
    rbms: usize,
    /// `[replicas, images, hidden units]`; `None` for the images themselves.
    probabilities: Option<Tensor>,
    /// All of this where the RBMs are on a CUDA device.
    #[cfg(feature = "cuda")]
    on_device: Option<crate::cuda::DeviceFeatures>,
}

impl<'a> PreTraining<'a> {
    /// Begins with the first RBM. `layer_sizes` runs from the image to the
    /// code; one replica is trained for each seed, all of them on `device`.
    ///
    /// # Errors
    /// Where a size is 0 or there are fewer than two, there is no seed, a
    /// batch is larger than the number of images, or the first size is not
    /// the number of pixels.
    pub fn new(
        images: &'a Images,
        layer_sizes: &[usize],
        settings: PreTrainingSettings,
        seeds: &[u64],
        device: &Device,
    ) -> Result<Self> {
        if layer_sizes.len() < 2 || layer_sizes.contains(&0) {
            bail!("layer sizes {layer_sizes:?}: at least two, none of them 0");
        }
        if seeds.is_empty() {
            bail!("pre-training needs a seed");
        }
        if settings.batch_size == 0 || settings.batch_size > images.count() {
            bail!(
                "batches of {} from {} images",
                settings.batch_size,
                images.count()
            );
        }
        if images.pixels.len() != images.count() * layer_sizes[0] {
            bail!(
                "images of {} pixels for an input of {}",
                images.pixels.len() / images.count(),
                layer_sizes[0]
            );
        }
        let mut this = Self {
            images,
            layer_sizes: layer_sizes.to_vec(),
            settings,
            seeds: seeds.to_vec(),
            done: Vec::new(),
            current: None,
            epoch: 0,
            features: Features::new(images, seeds.len(), device)?,
            device: device.clone(),
        };
        this.current = Some(this.begin()?);
        this.finish_layers()?;
        Ok(this)
    }

    /// Epochs done and epochs in all, over all RBMs.
    pub fn progress(&self) -> (u64, u64) {
        let layers = self.layer_sizes.len() as u64 - 1;
        (
            self.done.len() as u64 * self.settings.epochs + self.epoch,
            layers * self.settings.epochs,
        )
    }

    /// Whether all RBMs are trained.
    pub fn is_done(&self) -> bool {
        self.current.is_none()
    }

    /// Trains the current RBM for an epoch and asks `after_step` after every
    /// update whether to go on. `None` where it said no (the epoch is then
    /// incomplete, this value of no more use) or everything was done before.
    ///
    /// # Errors
    /// candle's.
    pub fn epoch(
        &mut self,
        after_step: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<PreTrainingEpoch>> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        let layer = self.done.len();
        while self.features.rbms < layer {
            self.features
                .pass_through(&self.done[self.features.rbms], self.settings.batch_size)?;
        }
        let settings = CdSettings {
            learning_rate: match current.rbm.hidden {
                Activation::Logistic => self.settings.learning_rate,
                Activation::Linear => self.settings.top_learning_rate,
            },
            momentum: if self.epoch < self.settings.momentum_epochs {
                self.settings.momentum
            } else {
                self.settings.final_momentum
            },
            weight_cost: self.settings.weight_cost,
        };
        let count = self.images.count();
        let orders: Vec<Vec<u32>> = self
            .seeds
            .iter()
            .map(|seed| {
                shuffled(
                    count,
                    *seed,
                    Purpose::PreTrainingOrder,
                    index(layer, self.epoch),
                )
            })
            .collect();
        let steps = count / self.settings.batch_size;
        let epoch = CdEpoch {
            seeds: &self.seeds,
            orders: &orders,
            batch_size: self.settings.batch_size,
            steps,
            settings,
            noise: index(layer, self.epoch * steps as u64),
        };
        let Some(errors) = current.epoch(&mut self.features, &epoch, after_step)? else {
            return Ok(None);
        };
        self.epoch += 1;
        let report = PreTrainingEpoch {
            layer,
            epoch: self.epoch,
            errors,
        };
        self.finish_layers()?;
        Ok(Some(report))
    }

    /// While the current RBM has had its epochs, goes on to the next.
    fn finish_layers(&mut self) -> Result<()> {
        while self.current.is_some() && self.epoch >= self.settings.epochs {
            self.finish_layer()?;
        }
        Ok(())
    }

    /// Puts the current RBM on the stack and begins the next, if there is one.
    fn finish_layer(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        self.epoch = 0;
        self.done.push(current.rbm);
        if self.done.len() + 1 < self.layer_sizes.len() {
            self.current = Some(self.begin()?);
        }
        Ok(())
    }

    /// The next RBM with its initial weights.
    fn begin(&self) -> Result<Current> {
        let layer = self.done.len();
        let (visible, hidden) = (self.layer_sizes[layer], self.layer_sizes[layer + 1]);
        let mut weights = Vec::new();
        for seed in &self.seeds {
            let mut drawn = vec![0f32; visible * hidden];
            Stream::new(*seed, Purpose::InitialWeights, layer as u64).fill_normal(&mut drawn);
            weights.extend(
                drawn
                    .into_iter()
                    .map(|x| x * self.settings.weight_scale as f32),
            );
        }
        let weights = Tensor::from_vec(weights, (self.seeds.len(), visible, hidden), &self.device)?;
        let top = layer + 2 == self.layer_sizes.len();
        let rbm = Rbm::new(
            weights,
            if top {
                Activation::Linear
            } else {
                Activation::Logistic
            },
        )?;
        let workspace = CdWorkspace::new(&rbm, self.settings.batch_size)?;
        Ok(Current { rbm, workspace })
    }

    /// What [`restore`](Self::restore) needs to go on with a replica after the
    /// epochs done. It does not tell how many replicas there were, or where.
    ///
    /// # Errors
    /// candle's, where there is no such replica.
    pub fn state(&self, replica: usize) -> Result<HashMap<String, Tensor>> {
        let mut state = HashMap::new();
        let done = [self.done.len() as i64, self.epoch as i64];
        state.insert("done".to_owned(), Tensor::new(&done, &Device::Cpu)?);
        let rbms = self
            .done
            .iter()
            .chain(self.current.as_ref().map(|current| &current.rbm));
        for (index, rbm) in rbms.enumerate() {
            for (name, tensor) in NAMES.into_iter().zip(tensors(rbm)) {
                let part = on_host(&tensor.narrow(0, replica, 1)?)?;
                state.insert(format!("rbm.{index}.{name}"), part);
            }
        }
        Ok(state)
    }

    /// Goes on from a [`state`](Self::state) a replica, of the same images,
    /// sizes, settings and seeds, all after equally many epochs.
    ///
    /// # Errors
    /// Where a tensor is missing or has another shape, or the states are not
    /// after equally many epochs.
    pub fn restore(&mut self, states: &[&HashMap<String, Tensor>]) -> Result<()> {
        if states.len() != self.seeds.len() {
            bail!("{} states for {} seeds", states.len(), self.seeds.len());
        }
        let find = |key: &str| -> Result<Vec<&Tensor>> {
            let of_each = states.iter().map(|state| {
                state.get(key).ok_or_else(|| {
                    candle_core::Error::Msg(format!("the state of pre-training lacks `{key}`"))
                })
            });
            of_each.collect()
        };
        let done = find("done")?;
        let done: Vec<Vec<i64>> = done
            .into_iter()
            .map(Tensor::to_vec1)
            .collect::<Result<_>>()?;
        let [layers, epoch] = done[0][..] else {
            bail!("`done` holds {} numbers, expected 2", done[0].len())
        };
        if done.iter().any(|other| *other != done[0]) {
            bail!("states after {done:?} RBMs and epochs: they must be after equally many");
        }
        let layers = layers as usize;
        if layers >= self.layer_sizes.len() {
            bail!(
                "{layers} trained RBMs in a stack of {}",
                self.layer_sizes.len() - 1
            );
        }
        self.done.clear();
        self.current = Some(self.begin()?);
        self.features = Features::new(self.images, self.seeds.len(), &self.device)?;
        loop {
            let index = self.done.len();
            let Some(current) = &mut self.current else {
                break;
            };
            for (name, tensor) in NAMES.into_iter().zip(tensors_mut(&mut current.rbm)) {
                let found = Tensor::cat(&find(&format!("rbm.{index}.{name}"))?, 0)?;
                if found.shape() != tensor.shape() || found.dtype() != tensor.dtype() {
                    bail!(
                        "`rbm.{index}.{name}` has shape {:?}, expected {:?}",
                        found.shape(),
                        tensor.shape()
                    );
                }
                *tensor = found.to_device(&self.device)?.copy()?;
            }
            if index == layers {
                break;
            }
            self.finish_layer()?;
        }
        self.epoch = epoch as u64;
        Ok(())
    }

    /// The autoencoder that the stack unrolls to, on the CPU: the RBMs' weights
    /// and hidden biases up to the code, their transposes and visible biases
    /// back. The code's units are linear, all others logistic.
    ///
    /// # Errors
    /// Where not all RBMs are trained.
    pub fn into_autoencoder(self) -> Result<Autoencoder> {
        if !self.is_done() {
            let (done, all) = self.progress();
            bail!("pre-training has done {done} of {all} epochs");
        }
        let var = |tensor: &Tensor| Var::from_tensor(tensor);
        let mut layers = Vec::new();
        for rbm in &self.done {
            layers.push(Layer {
                weights: var(&on_host(&rbm.weights)?)?,
                biases: var(&on_host(&rbm.hidden_biases)?)?,
                activation: rbm.hidden,
            });
        }
        for rbm in self.done.iter().rev() {
            layers.push(Layer {
                weights: var(&on_host(&rbm.weights)?.transpose(1, 2)?.contiguous()?)?,
                biases: var(&on_host(&rbm.visible_biases)?)?,
                activation: Activation::Logistic,
            });
        }
        Autoencoder::new(layers)
    }
}

/// One epoch of one RBM.
struct CdEpoch<'e> {
    seeds: &'e [u64],
    /// One a seed.
    orders: &'e [Vec<u32>],
    batch_size: usize,
    steps: usize,
    settings: CdSettings,
    /// Index of the stream of noise of the first update; the others follow.
    noise: u64,
}

impl Current {
    /// Trains for an epoch; the mean error of its input for each replica, `None`
    /// where `after_step` said to break off.
    fn epoch(
        &mut self,
        features: &mut Features<'_>,
        epoch: &CdEpoch<'_>,
        after_step: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f64>>> {
        #[cfg(feature = "cuda")]
        if let Some(features) = &mut features.on_device {
            return self.epoch_on_device(features, epoch, after_step);
        }
        let mut errors = vec![0.0; epoch.seeds.len()];
        let mut batches: Vec<&[u32]> = Vec::with_capacity(epoch.orders.len());
        for step in 0..epoch.steps {
            batches.clear();
            let of_step = step * epoch.batch_size..(step + 1) * epoch.batch_size;
            batches.extend(epoch.orders.iter().map(|order| &order[of_step.clone()]));
            features.load(&self.workspace.v0, &batches)?;
            self.draw_noise(epoch.seeds, epoch.noise + step as u64)?;
            for (sum, error) in errors
                .iter_mut()
                .zip(self.rbm.update(&mut self.workspace, epoch.settings)?)
            {
                *sum += error / epoch.steps as f64;
            }
            if after_step().is_break() {
                return Ok(None);
            }
        }
        Ok(Some(errors))
    }

    #[cfg(feature = "cuda")]
    fn epoch_on_device(
        &mut self,
        features: &mut crate::cuda::DeviceFeatures,
        epoch: &CdEpoch<'_>,
        after_step: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Vec<f64>>> {
        let device = self.rbm.weights.device();
        let replicas = epoch.seeds.len();
        let seeds = crate::cuda::seeds(epoch.seeds, device)?;
        let errors = crate::cuda::SquaredErrors::new(replicas, epoch.batch_size, device)?;
        features.set_orders(&epoch.orders.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        for step in 0..epoch.steps {
            features.load(
                &self.workspace.v0,
                step * epoch.batch_size,
                epoch.batch_size,
            )?;
            let noise = epoch.noise + step as u64;
            let (rbm, workspace) = (&self.rbm, &self.workspace);
            crate::cuda::cd_update(rbm, workspace, epoch.settings, &seeds, noise, &errors)?;
            if after_step().is_break() {
                return Ok(None);
            }
        }
        let visited = (epoch.steps * epoch.batch_size) as f64;
        let totals = errors.totals()?;
        Ok(Some(
            totals.into_iter().map(|total| total / visited).collect(),
        ))
    }

    /// Fills the noise of one update, each replica's from its seed's stream.
    fn draw_noise(&self, seeds: &[u64], index: u64) -> Result<()> {
        let hidden = self.rbm.hidden;
        with_slices(
            [&self.workspace.noise],
            [],
            |[noise]: [&mut [f32]; 1], []| {
                for (r, seed) in seeds.iter().enumerate() {
                    let mut stream = Stream::new(*seed, Purpose::PreTrainingNoise, index);
                    let noise = part_mut(noise, r, seeds.len());
                    match hidden {
                        Activation::Logistic => stream.fill_uniform(noise),
                        Activation::Linear => stream.fill_normal(noise),
                    }
                }
            },
        )
    }
}

impl<'a> Features<'a> {
    /// The images, of which each of so many replicas takes its batches.
    fn new(images: &'a Images, replicas: usize, device: &Device) -> Result<Self> {
        let _ = (replicas, device);
        Ok(Self {
            images,
            rbms: 0,
            probabilities: None,
            #[cfg(feature = "cuda")]
            on_device: if device.is_cuda() {
                Some(crate::cuda::DeviceFeatures::new(images, replicas, device)?)
            } else {
                None
            },
        })
    }

    /// Fills the first rows of `v0`, `[replicas, batch, units]`, with those of
    /// these images, one list a replica.
    fn load(&self, v0: &Tensor, batches: &[&[u32]]) -> Result<()> {
        let (replicas, batch, width) = v0.dims3()?;
        match &self.probabilities {
            None => with_slices([v0], [], |[v0]: [&mut [f32]; 1], []| {
                fill_with_images(v0, self.images, batches);
            }),
            Some(probabilities) => {
                with_slices([v0], [probabilities], |[v0], [rows]: [&[f32]; 1]| {
                    for (r, (v0, indices)) in
                        v0.chunks_exact_mut(batch * width).zip(batches).enumerate()
                    {
                        let rows = part(rows, r, replicas);
                        for (row, index) in v0.chunks_exact_mut(width).zip(*indices) {
                            row.copy_from_slice(&rows[*index as usize * width..][..width]);
                        }
                    }
                })
            }
        }
    }

    /// Goes on to the hidden probabilities of the next RBM, `batch` images at
    /// a time.
    fn pass_through(&mut self, rbm: &Rbm, batch: usize) -> Result<()> {
        let (replicas, visible, hidden) = rbm.weights.dims3()?;
        let count = self.images.count();
        #[cfg(feature = "cuda")]
        if let Some(features) = &mut self.on_device {
            features.pass_through(rbm, count, batch)?;
            self.rbms += 1;
            return Ok(());
        }
        let zeros = |rows: usize, width: usize| {
            Tensor::zeros((replicas, rows, width), rbm.weights.dtype(), &Device::Cpu)
        };
        let (v0, out) = (zeros(batch, visible)?, zeros(count, hidden)?);
        let mut packs = Packs::default();
        let order: Vec<u32> = (0..count as u32).collect();
        for (chunk, indices) in order.chunks(batch).enumerate() {
            self.load(&v0, &vec![indices; replicas])?;
            with_slices(
                [&out],
                [&v0, &rbm.weights, &rbm.hidden_biases],
                |[out], [v0, w, b]: [&[f32]; 3]| {
                    for r in 0..replicas {
                        let v0 = &part(v0, r, replicas)[..indices.len() * visible];
                        let out = &mut part_mut(out, r, replicas)[chunk * batch * hidden..]
                            [..indices.len() * hidden];
                        let w = Matrix::new(part(w, r, replicas), hidden);
                        layer::forward(
                            &mut packs,
                            out,
                            Matrix::new(v0, visible),
                            w,
                            part(b, r, replicas),
                            rbm.hidden,
                        );
                    }
                },
            )?;
        }
        self.rbms += 1;
        self.probabilities = Some(out);
        Ok(())
    }
}

/// The numbers 0 to `count - 1` in the order that this stream gives them.
pub(crate) fn shuffled(count: usize, seed: u64, purpose: Purpose, index: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    Stream::new(seed, purpose, index).shuffle(&mut order);
    order
}

/// Index of a stream that belongs to one moment of one RBM's training.
fn index(layer: usize, moment: u64) -> u64 {
    (layer as u64) << 40 | moment
}

const NAMES: [&str; 6] = [
    "weights",
    "visible-biases",
    "hidden-biases",
    "weights-velocity",
    "visible-velocity",
    "hidden-velocity",
];

fn tensors(rbm: &Rbm) -> [&Tensor; 6] {
    let [w, v, h] = &rbm.velocities;
    [
        &rbm.weights,
        &rbm.visible_biases,
        &rbm.hidden_biases,
        w,
        v,
        h,
    ]
}

fn tensors_mut(rbm: &mut Rbm) -> [&mut Tensor; 6] {
    let [w, v, h] = &mut rbm.velocities;
    [
        &mut rbm.weights,
        &mut rbm.visible_biases,
        &mut rbm.hidden_biases,
        w,
        v,
        h,
    ]
}
