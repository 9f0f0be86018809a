use adamix_optim::{GroupedOptimizer, Param, ParamKind, with_slices};
use candle_core::{DType, Device, Result, Tensor, Var, bail};
use serde::{Deserialize, Serialize};

use crate::dataset::Images;
use crate::layer::{self, Activation};
use crate::product::{Matrix, Term, product_by_rows};
use crate::real::Real;
use crate::tiles::Packs;

/// What fine-tuning minimises: the mean over the batch of a sum over pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `-(x ln y + (1 - x) ln(1 - y))`
    #[default]
    CrossEntropy,
    /// `(y - x)^2`
    SquaredError,
}

/// Whether the gradient is the mean or the sum of those of the batch's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Divided by the batch size.
    #[default]
    Mean,
    /// Not divided.
    Sum,
}

impl Reduction {
    /// What a sum over a batch's images is divided by.
    fn divisor(self, batch_size: usize) -> f64 {
        match self {
            Self::Mean => batch_size as f64,
            Self::Sum => 1.0,
        }
    }
}

/// One layer: `activation(x weights + biases)`.
#[derive(Debug, Clone)]
pub struct Layer {
    /// `[replicas, in, out]`, f32 or f64.
    pub weights: Var,
    /// `[replicas, out]`.
    pub biases: Var,
    /// Of its units.
    pub activation: Activation,
}

/// A deep autoencoder: the layers from the image to the code and back. The
/// first axis of every parameter counts replicas, networks that train side by
/// side and know nothing of each other.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    layers: Vec<Layer>,
    replicas: usize,
}

impl Autoencoder {
    /// A network of these layers.
    ///
    /// # Errors
    /// Where shapes or types do not fit together, or there is no layer.
    pub fn new(layers: Vec<Layer>) -> Result<Self> {
        let Some(first) = layers.first() else {
            bail!("an autoencoder needs a layer")
        };
        let (replicas, mut width, _) = first.weights.dims3()?;
        for (index, layer) in layers.iter().enumerate() {
            let (s, i, o) = layer.weights.dims3()?;
            if (s, i) != (replicas, width) || layer.biases.dims() != [s, o] {
                bail!(
                    "layer {index} has weights {:?} and biases {:?}, its input [{replicas}, batch, {width}]",
                    layer.weights.shape(),
                    layer.biases.shape()
                );
            }
            if layer.weights.dtype() != first.weights.dtype()
                || layer.biases.dtype() != first.weights.dtype()
            {
                bail!(
                    "layer {index} is not {:?} as the first",
                    first.weights.dtype()
                );
            }
            width = o;
        }
        Ok(Self { layers, replicas })
    }

    /// The layers, from the image on.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Networks side by side.
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// Where the parameters lie.
    pub fn device(&self) -> &Device {
        self.layers[0].weights.device()
    }

    /// Type of the parameters.
    pub fn dtype(&self) -> DType {
        self.layers[0].weights.dtype()
    }

    /// The parameters in the order of [`Workspace::gradients`]: each layer's
    /// weights, then its biases.
    pub fn params(&self) -> Vec<Param> {
        let layers = self.layers.iter().enumerate();
        layers
            .flat_map(|(index, layer)| {
                [
                    Param {
                        name: format!("{index}.weights"),
                        kind: ParamKind::Weight,
                        var: layer.weights.clone(),
                    },
                    Param {
                        name: format!("{index}.biases"),
                        kind: ParamKind::Bias,
                        var: layer.biases.clone(),
                    },
                ]
            })
            .collect()
    }

    /// A copy with its own memory.
    ///
    /// # Errors
    /// candle's.
    pub fn copy(&self) -> Result<Self> {
        let copy = |var: &Var| Var::from_tensor(&var.as_tensor().copy()?);
        let layers = self.layers.iter().map(|layer| {
            Ok(Layer {
                weights: copy(&layer.weights)?,
                biases: copy(&layer.biases)?,
                activation: layer.activation,
            })
        });
        Self::new(layers.collect::<Result<_>>()?)
    }

    /// One network of the replicas of all `networks`, in this order.
    ///
    /// # Errors
    /// Where there is none, or they are not of the same layers.
    pub fn stack(networks: &[Self]) -> Result<Self> {
        let Some(first) = networks.first() else {
            bail!("a stack of no network")
        };
        if networks
            .iter()
            .any(|other| other.layers.len() != first.layers.len())
        {
            bail!("a stack of networks with different numbers of layers");
        }
        let stacked = |parameter: fn(&Layer) -> &Var, index: usize| {
            let all = networks
                .iter()
                .map(|network| parameter(&network.layers[index]).as_tensor());
            Var::from_tensor(&Tensor::cat(&all.collect::<Vec<_>>(), 0)?.contiguous()?)
        };
        let layers = first.layers.iter().enumerate().map(|(index, layer)| {
            Ok(Layer {
                weights: stacked(|layer| &layer.weights, index)?,
                biases: stacked(|layer| &layer.biases, index)?,
                activation: layer.activation,
            })
        });
        Self::new(layers.collect::<Result<_>>()?)
    }

    /// A copy of one replica, on the CPU.
    ///
    /// # Errors
    /// candle's, where there is no such replica.
    pub fn replica(&self, replica: usize) -> Result<Self> {
        let part = |var: &Var| Var::from_tensor(&on_host(&var.narrow(0, replica, 1)?)?);
        let layers = self.layers.iter().map(|layer| {
            Ok(Layer {
                weights: part(&layer.weights)?,
                biases: part(&layer.biases)?,
                activation: layer.activation,
            })
        });
        Self::new(layers.collect::<Result<_>>()?)
    }

    /// The same network with its parameters on `device`, in memory of their own.
    ///
    /// # Errors
    /// candle's, where there is not enough memory.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = |var: &Var| Var::from_tensor(&var.as_tensor().to_device(device)?.copy()?);
        let layers = self.layers.iter().map(|layer| {
            Ok(Layer {
                weights: moved(&layer.weights)?,
                biases: moved(&layer.biases)?,
                activation: layer.activation,
            })
        });
        Self::new(layers.collect::<Result<_>>()?)
    }

    /// Index of the layer whose output is the code: the narrowest, the first
    /// of several.
    pub fn code_layer(&self) -> usize {
        let widths = self.layers.iter().map(|layer| layer.biases.dims()[1]);
        widths
            .enumerate()
            .min_by_key(|(index, width)| (*width, *index))
            .map_or(0, |(index, _)| index)
    }

    /// Sum over all `images` of the squared reconstruction error, divided by
    /// their number, for each replica: reduced in f64, not divided by the
    /// number of pixels. Computed in batches of the workspace's size.
    ///
    /// # Errors
    /// Where the workspace is not of this network, or there is no image.
    pub fn reconstruction_errors(
        &self,
        images: &Images,
        workspace: &mut Workspace,
    ) -> Result<Vec<f64>> {
        if images.count() == 0 {
            bail!("no image to take the reconstruction error of");
        }
        #[cfg(feature = "cuda")]
        if self.device().is_cuda() {
            return crate::cuda::reconstruction_errors(self, images, workspace);
        }
        let mut sums = vec![0.0; self.replicas];
        self.for_each_batch(images, workspace, |workspace, batch| {
            for (sum, replica) in sums.iter_mut().zip(workspace.squared_errors(batch)?) {
                *sum += replica.iter().sum::<f64>();
            }
            Ok(())
        })?;
        Ok(sums
            .into_iter()
            .map(|sum| sum / images.count() as f64)
            .collect())
    }

    /// What each replica makes of all `images`: the outputs of layer `layer`,
    /// `[replicas, images, width]`. The last layer's are the reconstructions,
    /// those of [`code_layer`](Self::code_layer) the codes.
    ///
    /// # Errors
    /// Where the workspace is not of this network, or not on the CPU.
    pub fn outputs(
        &self,
        images: &Images,
        layer: usize,
        workspace: &mut Workspace,
    ) -> Result<Tensor> {
        let mut batches = Vec::new();
        self.for_each_batch(images, workspace, |workspace, batch| {
            batches.push(
                workspace.activations[layer + 1]
                    .narrow(1, 0, batch)?
                    .copy()?,
            );
            Ok(())
        })?;
        Tensor::cat(&batches, 1)
    }

    /// Runs all images forward, a batch at a time, and calls `f` with the
    /// number of images that are in the workspace.
    fn for_each_batch(
        &self,
        images: &Images,
        workspace: &mut Workspace,
        mut f: impl FnMut(&Workspace, usize) -> Result<()>,
    ) -> Result<()> {
        let order: Vec<u32> = (0..images.count() as u32).collect();
        for batch in order.chunks(workspace.batch_size) {
            workspace.load_images(images, &vec![batch; self.replicas])?;
            workspace.forward(self)?;
            f(workspace, batch.len())?;
        }
        Ok(())
    }
}

/// Preallocated memory of one training step: inputs, activations, their
/// derivatives, gradients.
#[derive(Debug)]
pub struct Workspace {
    batch_size: usize,
    /// The input, then every layer's output, `[replicas, batch, width]`.
    pub(crate) activations: Vec<Tensor>,
    /// Derivatives of the loss by every layer's input sums, shaped as its output.
    pub(crate) deltas: Vec<Tensor>,
    /// Each layer's weights' and biases' gradient in turn, shaped as they are.
    pub(crate) gradients: Vec<Tensor>,
    packs: Packs,
}

impl Workspace {
    /// Memory for batches of `batch_size` images, where the network's lies.
    ///
    /// # Errors
    /// candle's, where there is not enough.
    pub fn new(network: &Autoencoder, batch_size: usize) -> Result<Self> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, network.dtype(), network.device());
        let input = network.layers[0].weights.dims()[1];
        let mut workspace = Self {
            batch_size,
            activations: vec![zeros(&[network.replicas, batch_size, input])?],
            deltas: Vec::new(),
            gradients: Vec::new(),
            packs: Packs::default(),
        };
        for layer in &network.layers {
            let out = [network.replicas, batch_size, layer.biases.dims()[1]];
            workspace.activations.push(zeros(&out)?);
            workspace.deltas.push(zeros(&out)?);
            workspace.gradients.push(zeros(layer.weights.dims())?);
            workspace.gradients.push(zeros(layer.biases.dims())?);
        }
        Ok(workspace)
    }

    /// Images a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The input, `[replicas, batch, pixels]`, to be filled.
    pub fn input(&self) -> &Tensor {
        &self.activations[0]
    }

    /// The reconstructions, `[replicas, batch, pixels]`.
    pub fn output(&self) -> &Tensor {
        &self.activations[self.activations.len() - 1]
    }

    /// Gradients in the order of [`Autoencoder::params`].
    pub fn gradients(&self) -> &[Tensor] {
        &self.gradients
    }

    /// Fills the input with `x`, of its shape and type.
    ///
    /// # Errors
    /// Where it is of another.
    pub fn set_input(&mut self, x: &Tensor) -> Result<()> {
        if x.shape() != self.input().shape() || x.dtype() != self.input().dtype() {
            bail!(
                "an input of {:?} {:?} for {:?} {:?}",
                x.dtype(),
                x.shape(),
                self.input().dtype(),
                self.input().shape()
            );
        }
        self.activations[0] = x.copy()?;
        Ok(())
    }

    /// Fills the input with these images, scaled to 0..=1: one list of indices
    /// a replica, equally long, at most the batch size. Rows beyond are left.
    ///
    /// # Errors
    /// Where a list is too long or an index is not below the number of images.
    pub fn load_images(&mut self, images: &Images, indices: &[&[u32]]) -> Result<()> {
        let (replicas, batch, width) = self.input().dims3()?;
        if indices.len() != replicas || indices.iter().any(|replica| replica.len() > batch) {
            bail!(
                "{} lists of images for {replicas} replicas of {batch}",
                indices.len()
            );
        }
        if images.pixels.len() != images.count() * width {
            bail!(
                "images of {} pixels for an input of {width}",
                images.pixels.len() / images.count().max(1)
            );
        }
        if indices
            .iter()
            .copied()
            .flatten()
            .any(|index| *index as usize >= images.count())
        {
            bail!("an image beyond the last of {}", images.count());
        }
        #[cfg(feature = "cuda")]
        if self.input().device().is_cuda() {
            let rows = indices.first().map_or(0, |replica| replica.len());
            if indices.iter().any(|replica| replica.len() != rows) {
                bail!("lists of images that are not equally long");
            }
            let mut feed = crate::cuda::Feed::new(images, replicas, self.input().device())?;
            feed.set_orders(indices)?;
            return feed.load(self.input(), 0, rows);
        }
        match self.input().dtype() {
            DType::F64 => self.fill::<f64>(images, indices),
            _ => self.fill::<f32>(images, indices),
        }
    }

    fn fill<T: Real>(&self, images: &Images, indices: &[&[u32]]) -> Result<()> {
        with_slices([self.input()], [], |[x]: [&mut [T]; 1], []| {
            fill_with_images(x, images, indices);
        })
    }

    /// Computes every layer's output from the input.
    ///
    /// # Errors
    /// Where the workspace is not of this network.
    pub fn forward(&mut self, network: &Autoencoder) -> Result<()> {
        #[cfg(feature = "cuda")]
        if network.device().is_cuda() {
            return crate::cuda::forward(self, network);
        }
        match network.dtype() {
            DType::F64 => self.forward_as::<f64>(network),
            _ => self.forward_as::<f32>(network),
        }
    }

    fn forward_as<T: Real>(&mut self, network: &Autoencoder) -> Result<()> {
        for (index, layer) in network.layers.iter().enumerate() {
            let (replicas, inputs, outputs) = layer.weights.dims3()?;
            let packs = &mut self.packs;
            let [x, out] = &self.activations[index..][..2] else {
                bail!("the workspace is of another network")
            };
            with_slices(
                [out],
                [x, layer.weights.as_tensor(), layer.biases.as_tensor()],
                |[out], [x, w, b]: [&[T]; 3]| {
                    for r in 0..replicas {
                        let (rows, w) = (part(x, r, replicas), part(w, r, replicas));
                        layer::forward(
                            packs,
                            part_mut(out, r, replicas),
                            Matrix::new(rows, inputs),
                            Matrix::new(w, outputs),
                            part(b, r, replicas),
                            layer.activation,
                        );
                    }
                },
            )?;
        }
        Ok(())
    }

    /// Computes the gradients of the loss by every parameter, from the
    /// activations that [`forward`](Self::forward) left.
    ///
    /// The last layer must be logistic. No gradient is computed by the input.
    ///
    /// # Errors
    /// Where the workspace is not of this network, or its last layer linear.
    pub fn backward(
        &mut self,
        network: &Autoencoder,
        loss: Loss,
        reduction: Reduction,
    ) -> Result<()> {
        #[cfg(feature = "cuda")]
        if network.device().is_cuda() {
            require_logistic(network)?;
            let scale = 1.0 / reduction.divisor(self.batch_size);
            return crate::cuda::backward(self, network, loss, scale as f32);
        }
        match network.dtype() {
            DType::F64 => self.backward_as::<f64>(network, loss, reduction, None),
            _ => self.backward_as::<f32>(network, loss, reduction, None),
        }
    }

    /// As [`backward`](Self::backward) and then an update of the parameters by
    /// `optimizer`, which is of [`Autoencoder::params`]: to the bit the same,
    /// but every part of a gradient is used when it has just been computed, and
    /// [`gradients`](Self::gradients) may be left as they were.
    ///
    /// # Errors
    /// As `backward`, and where the optimizer is not of this network.
    pub fn backward_and_update(
        &mut self,
        network: &Autoencoder,
        loss: Loss,
        reduction: Reduction,
        optimizer: &mut GroupedOptimizer,
    ) -> Result<()> {
        if !network.device().is_cpu() {
            // The update is one launch over all parameters.
            self.backward(network, loss, reduction)?;
            return optimizer.update(&self.gradients);
        }
        match network.dtype() {
            DType::F64 => self.backward_as::<f64>(network, loss, reduction, Some(optimizer))?,
            _ => self.backward_as::<f32>(network, loss, reduction, Some(optimizer))?,
        }
        optimizer.end_update();
        Ok(())
    }

    fn backward_as<T: Real>(
        &mut self,
        network: &Autoencoder,
        loss: Loss,
        reduction: Reduction,
        optimizer: Option<&GroupedOptimizer>,
    ) -> Result<()> {
        let last = network.layers.len() - 1;
        require_logistic(network)?;
        let scale = T::of(1.0 / reduction.divisor(self.batch_size));
        with_slices(
            [&self.deltas[last]],
            [self.output(), self.input()],
            |[delta], [y, x]: [&[T]; 2]| {
                loss_delta(delta, y, x, loss, scale);
            },
        )?;
        for index in (0..=last).rev() {
            // First the derivatives, which need the weights as they were.
            if index > 0 {
                self.derivatives::<T>(network, index)?;
            }
            self.layer_gradients::<T>(&network.layers[index], index, optimizer)?;
        }
        Ok(())
    }

    /// The derivatives by the input sums of layer `index - 1` from those of
    /// layer `index`.
    fn derivatives<T: Real>(&mut self, network: &Autoencoder, index: usize) -> Result<()> {
        let layer = &network.layers[index];
        let (replicas, _, outputs) = layer.weights.dims3()?;
        let read = [
            &self.deltas[index],
            layer.weights.as_tensor(),
            &self.activations[index],
        ];
        let activation = network.layers[index - 1].activation;
        let packs = &mut self.packs;
        with_slices(
            [&self.deltas[index - 1]],
            read,
            |[out], [delta, w, y]: [&[T]; 3]| {
                for r in 0..replicas {
                    layer::backward(
                        packs,
                        part_mut(out, r, replicas),
                        Matrix::new(part(delta, r, replicas), outputs),
                        Matrix::new(part(w, r, replicas), outputs),
                        part(y, r, replicas),
                        activation,
                    );
                }
            },
        )
    }

    /// The gradients by the weights and biases of layer `index`, and, where
    /// there is an optimizer, the update by them.
    fn layer_gradients<T: Real>(
        &mut self,
        layer: &Layer,
        index: usize,
        optimizer: Option<&GroupedOptimizer>,
    ) -> Result<()> {
        let (replicas, inputs, outputs) = layer.weights.dims3()?;
        let (weights, biases) = (2 * index, 2 * index + 1);
        let (zero, one) = (T::of(0.0), T::of(1.0));
        let packs = &mut self.packs;
        with_slices(
            [&self.gradients[weights], &self.gradients[biases]],
            [&self.activations[index], &self.deltas[index]],
            |[dw, db], [x, delta]: [&[T]; 2]| {
                for r in 0..replicas {
                    let (x, delta) = (part(x, r, replicas), part(delta, r, replicas));
                    let (dw, db) = (part_mut(dw, r, replicas), part_mut(db, r, replicas));
                    let by_parts = optimizer.filter(|it| !it.needs_whole(weights, r));
                    let needed = by_parts.map(|it| it.memory::<T>(weights, r)).transpose()?;
                    let mut done = Ok(());
                    product_by_rows(
                        packs,
                        (dw, by_parts.is_none()),
                        zero,
                        [Term {
                            factor: one,
                            a: Matrix::new(x, inputs).t(),
                            b: Matrix::new(delta, outputs),
                        }],
                        needed.as_ref().map_or(&[], |it| it.as_slice()),
                        |row, g| {
                            if let (Some(optimizer), Ok(())) = (by_parts, &done) {
                                done = optimizer.update_part(weights, r, row * outputs, g);
                            }
                        },
                    );
                    done?;
                    layer::sum_rows(db, zero, one, delta);
                    if let Some(optimizer) = optimizer {
                        if by_parts.is_none() {
                            optimizer.update_part(weights, r, 0, dw)?;
                        }
                        optimizer.update_part(biases, r, 0, db)?;
                    }
                }
                Ok(())
            },
        )?
    }

    /// Squared error of each of the first `count` reconstructions, summed over
    /// pixels, for each replica.
    ///
    /// # Errors
    /// candle's.
    pub fn squared_errors(&self, count: usize) -> Result<Vec<Vec<f64>>> {
        match self.input().dtype() {
            DType::F64 => self.squared_errors_as::<f64>(count),
            _ => self.squared_errors_as::<f32>(count),
        }
    }

    fn squared_errors_as<T: Real>(&self, count: usize) -> Result<Vec<Vec<f64>>> {
        let (replicas, _, width) = self.input().dims3()?;
        with_slices(
            [],
            [self.output(), self.input()],
            |[], [y, x]: [&[T]; 2]| {
                (0..replicas)
                    .map(|r| {
                        let rows = part(y, r, replicas)
                            .chunks_exact(width)
                            .zip(part(x, r, replicas).chunks_exact(width));
                        rows.take(count)
                            .map(|(y, x)| layer::squared_difference(y, x))
                            .collect()
                    })
                    .collect()
            },
        )
    }

    /// The loss of the batch, for each replica, in f64: the mean (or sum) over
    /// images of the sum over pixels. Not needed to train.
    ///
    /// # Errors
    /// candle's.
    pub fn losses(&self, loss: Loss, reduction: Reduction) -> Result<Vec<f64>> {
        let read = |tensor: &Tensor| {
            tensor
                .to_dtype(DType::F64)?
                .flatten_from(1)?
                .to_vec2::<f64>()
        };
        let (y, x) = (read(self.output())?, read(self.input())?);
        let divisor = reduction.divisor(self.batch_size);
        // 0 ln 0 is 0.
        let term = |x: f64, y: f64| if x == 0.0 { 0.0 } else { -x * y.ln() };
        let pixel = |(y, x): (&f64, &f64)| match loss {
            Loss::CrossEntropy => term(*x, *y) + term(1.0 - x, 1.0 - y),
            Loss::SquaredError => (y - x) * (y - x),
        };
        Ok(y.iter()
            .zip(&x)
            .map(|(y, x)| y.iter().zip(x).map(pixel).sum::<f64>() / divisor)
            .collect())
    }
}

fn require_logistic(network: &Autoencoder) -> Result<()> {
    match network.layers.last().map(|layer| layer.activation) {
        Some(Activation::Logistic) => Ok(()),
        _ => bail!("the last layer must be logistic: both losses are of values in 0..1"),
    }
}

/// The tensor with memory of its own, on the CPU.
pub(crate) fn on_host(tensor: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if tensor.device().is_cuda() {
        return adamix_optim::cuda::host_copy(tensor);
    }
    tensor.copy()
}

/// Derivative of the loss by the last layer's input sums. With logistic
/// outputs `y`, the cross-entropy's is `y - x`; the squared error's is
/// `2 (y - x) y (1 - y)`.
fn loss_delta<T: Real>(delta: &mut [T], y: &[T], x: &[T], loss: Loss, scale: T) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let rows = delta.iter_mut().zip(y.iter().zip(x));
            match loss {
                Loss::CrossEntropy => rows.for_each(|(d, (y, x))| *d = (*y - *x) * scale),
                Loss::SquaredError => {
                    let (one, scale) = (T::of(1.0), T::of(2.0) * scale);
                    rows.for_each(|(d, (y, x))| *d = (*y - *x) * scale * (*y * (one - *y)));
                }
            }
        },
    );
}

/// Fills the first rows of each replica's equal share of `x` with these images,
/// one list of indices a replica.
pub(crate) fn fill_with_images<T: Real>(x: &mut [T], images: &Images, indices: &[&[u32]]) {
    let width = images.pixels.len() / images.count().max(1);
    let replicas = indices.len();
    for (r, indices) in indices.iter().enumerate() {
        for (row, index) in part_mut(x, r, replicas)
            .chunks_exact_mut(width)
            .zip(*indices)
        {
            let pixels = &images.pixels[*index as usize * width..][..width];
            row.iter_mut()
                .zip(pixels)
                .for_each(|(x, pixel)| *x = T::pixel(*pixel));
        }
    }
}

/// Part `r` of `parts` equal ones.
pub(crate) fn part<T>(values: &[T], r: usize, parts: usize) -> &[T] {
    let len = values.len() / parts;
    &values[r * len..][..len]
}

/// Part `r` of `parts` equal ones.
pub(crate) fn part_mut<T>(values: &mut [T], r: usize, parts: usize) -> &mut [T] {
    let len = values.len() / parts;
    &mut values[r * len..][..len]
}
