use std::collections::HashMap;
use std::ops::ControlFlow;

use adamix_optim::{GroupedOptimizer, OptimizerConfig, ParamKind};
use candle_core::{DType, Device, Result, Tensor, bail};

use crate::dataset::Images;
use crate::network::{Autoencoder, Loss, Reduction, Workspace, on_host};
use crate::pretraining::shuffled;
use crate::random::Purpose;

/// Fine-tuning of an autoencoder by back-propagation, one epoch at a time.
///
/// As in pre-training, an epoch visits the images in an order of its own, the
/// same for every optimizer of a seed, in whole batches; what is left over is
/// left out of that epoch.
#[derive(Debug)]
pub struct FineTuning<'a> {
    images: &'a Images,
    network: Autoencoder,
    optimizer: GroupedOptimizer,
    workspace: Workspace,
    seeds: Vec<u64>,
    loss: Loss,
    reduction: Reduction,
    epoch: u64,
    /// The images, where the network is on a CUDA device.
    #[cfg(feature = "cuda")]
    feed: Option<crate::cuda::Feed>,
}

impl<'a> FineTuning<'a> {
    /// Trains `network`, one seed and one optimizer a replica, on the device
    /// that it lies on.
    ///
    /// # Errors
    /// Where the numbers of seeds, optimizers and replicas differ, a batch is
    /// empty or larger than the number of images, or an optimizer's constants
    /// are out of range.
    pub fn new(
        images: &'a Images,
        network: Autoencoder,
        optimizers: Vec<OptimizerConfig>,
        seeds: &[u64],
        batch_size: usize,
        loss: Loss,
        reduction: Reduction,
    ) -> Result<Self> {
        if seeds.len() != network.replicas() || optimizers.len() != network.replicas() {
            bail!(
                "{} seeds and {} optimizers for {} replicas",
                seeds.len(),
                optimizers.len(),
                network.replicas()
            );
        }
        if batch_size == 0 || batch_size > images.count() {
            bail!("batches of {batch_size} from {} images", images.count());
        }
        #[cfg(feature = "cuda")]
        let feed = match network.device() {
            device if device.is_cuda() => {
                Some(crate::cuda::Feed::new(images, seeds.len(), device)?)
            }
            _ => None,
        };
        Ok(Self {
            images,
            #[cfg(feature = "cuda")]
            feed,
            optimizer: GroupedOptimizer::for_replicas(network.params(), optimizers)?,
            workspace: Workspace::new(&network, batch_size)?,
            network,
            seeds: seeds.to_vec(),
            loss,
            reduction,
            epoch: 0,
        })
    }

    /// The network as trained so far.
    pub fn network(&self) -> &Autoencoder {
        &self.network
    }

    /// Epochs done.
    pub fn epochs(&self) -> u64 {
        self.epoch
    }

    /// Updates done.
    pub fn updates(&self) -> u64 {
        self.optimizer.updates()
    }

    /// Learning rate of a replica's group at the next update.
    pub fn learning_rate(&self, replica: usize, kind: ParamKind) -> f64 {
        self.optimizer.group_learning_rate(replica, kind)
    }

    /// Trains for an epoch and asks `after_step` after every update whether to
    /// go on. Says whether it ended: where not, the epoch is incomplete and
    /// this value of no more use.
    ///
    /// # Errors
    /// candle's.
    pub fn epoch(&mut self, after_step: &mut dyn FnMut() -> ControlFlow<()>) -> Result<bool> {
        let count = self.images.count();
        let orders: Vec<Vec<u32>> = self
            .seeds
            .iter()
            .map(|seed| fine_tuning_order(count, *seed, self.epoch))
            .collect();
        let batch_size = self.workspace.batch_size();
        let steps = count / batch_size;
        #[cfg(feature = "cuda")]
        if let Some(feed) = &mut self.feed {
            feed.set_orders(&orders.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        }
        let mut batches: Vec<&[u32]> = Vec::with_capacity(orders.len());
        for step in 0..steps {
            batches.clear();
            let of_step = step * batch_size..(step + 1) * batch_size;
            batches.extend(orders.iter().map(|order| &order[of_step.clone()]));
            self.load(&batches, step)?;
            if step + 1 == steps {
                self.step_on_loaded_with_gradients()?;
            } else {
                self.step_on_loaded()?;
            }
            if after_step().is_break() {
                return Ok(false);
            }
        }
        // On a CUDA device the updates are only asked for until here.
        self.wait()?;
        self.epoch += 1;
        Ok(true)
    }

    /// Loads the batches of a step of the epoch: on a CUDA device from the
    /// orders that are there already.
    fn load(&mut self, batches: &[&[u32]], step: usize) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(feed) = &self.feed {
            let rows = self.workspace.batch_size();
            return feed.load(self.workspace.input(), step * rows, rows);
        }
        let _ = step;
        self.workspace.load_images(self.images, batches)
    }

    /// One update on the images with these indices, one list a replica.
    ///
    /// # Errors
    /// Where a list is not a batch long or an index not below the number of images.
    pub fn step(&mut self, batches: &[&[u32]]) -> Result<()> {
        self.load_batches(batches)?;
        self.step_on_loaded()
    }

    /// The same update to the bit, which leaves its gradients to be looked at
    /// and takes longer.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with_gradients(&mut self, batches: &[&[u32]]) -> Result<()> {
        self.load_batches(batches)?;
        self.step_on_loaded_with_gradients()
    }

    fn load_batches(&mut self, batches: &[&[u32]]) -> Result<()> {
        if batches
            .iter()
            .any(|batch| batch.len() != self.workspace.batch_size())
        {
            bail!(
                "a step takes {} images a replica",
                self.workspace.batch_size()
            );
        }
        self.workspace.load_images(self.images, batches)
    }

    fn step_on_loaded(&mut self) -> Result<()> {
        self.workspace.forward(&self.network)?;
        self.workspace.backward_and_update(
            &self.network,
            self.loss,
            self.reduction,
            &mut self.optimizer,
        )
    }

    fn step_on_loaded_with_gradients(&mut self) -> Result<()> {
        self.workspace.forward(&self.network)?;
        self.workspace
            .backward(&self.network, self.loss, self.reduction)?;
        self.update()
    }

    /// Waits until everything asked for is done: on a CUDA device, steps are not
    /// when they return.
    ///
    /// # Errors
    /// What went wrong meanwhile.
    pub fn wait(&self) -> Result<()> {
        self.network.device().synchronize()
    }

    /// One update by the gradients of the last
    /// [`step_with_gradients`](Self::step_with_gradients), again. Alone, for
    /// timing it.
    ///
    /// # Errors
    /// candle's.
    pub fn update(&mut self) -> Result<()> {
        self.optimizer.update(self.workspace.gradients())
    }

    /// Median of |g| in the last update of an epoch, or the last
    /// [`step_with_gradients`](Self::step_with_gradients), for each replica over
    /// each layer's weights and over its biases, from the image on; not a number
    /// where a gradient is not.
    ///
    /// # Errors
    /// candle's.
    pub fn gradient_medians(&self) -> Result<Vec<Vec<[f64; 2]>>> {
        let mut medians = vec![Vec::new(); self.seeds.len()];
        for pair in self.workspace.gradients().chunks_exact(2) {
            let weights = replica_medians(&pair[0])?;
            let biases = replica_medians(&pair[1])?;
            for (layers, pair) in medians.iter_mut().zip(weights.into_iter().zip(biases)) {
                layers.push(<[f64; 2]>::from(pair));
            }
        }
        Ok(medians)
    }

    /// What [`restore`](Self::restore) needs to go on with a replica after the
    /// epochs done: its parameters and its optimizer's state. It does not tell
    /// how many replicas there were, or where.
    ///
    /// # Errors
    /// candle's.
    ///
    /// # Panics
    /// Where there is no such replica.
    pub fn state(&self, replica: usize) -> Result<HashMap<String, Tensor>> {
        let mut state = self.optimizer.state(replica)?;
        state.insert(
            "epoch".to_owned(),
            Tensor::new(self.epoch as i64, &Device::Cpu)?,
        );
        for param in self.network.params() {
            state.insert(
                format!("parameter.{}", param.name),
                on_host(&param.var.narrow(0, replica, 1)?)?,
            );
        }
        Ok(state)
    }

    /// Goes on from a [`state`](Self::state) a replica, of the same images,
    /// layers, optimizers and seeds, all after equally many epochs.
    ///
    /// # Errors
    /// Where a tensor is missing or has another shape or type, or the states are
    /// not after equally many epochs.
    pub fn restore(&mut self, states: &[&HashMap<String, Tensor>]) -> Result<()> {
        let find = |key: &str| -> Result<Vec<Tensor>> {
            let of_each = states.iter().map(|state| {
                state.get(key).cloned().ok_or_else(|| {
                    candle_core::Error::Msg(format!("the state of fine-tuning lacks `{key}`"))
                })
            });
            of_each.collect()
        };
        for param in self.network.params() {
            let all = Tensor::cat(&find(&format!("parameter.{}", param.name))?, 0)?;
            param.var.set(&all.to_device(param.var.device())?)?;
        }
        let epochs = find("epoch")?;
        let epochs: Vec<i64> = epochs
            .iter()
            .map(Tensor::to_scalar)
            .collect::<Result<_>>()?;
        let Some(epoch) = epochs
            .first()
            .filter(|first| epochs.iter().all(|other| other == *first))
        else {
            bail!("states after {epochs:?} epochs: they must be after equally many");
        };
        self.optimizer.restore(states)?;
        self.epoch = *epoch as u64;
        Ok(())
    }
}

/// Median of |g| of each replica's part of a gradient, `[replicas, ..]`.
fn replica_medians(gradient: &Tensor) -> Result<Vec<f64>> {
    #[cfg(feature = "cuda")]
    if gradient.device().is_cuda() {
        return crate::cuda::medians(gradient);
    }
    let replicas = gradient.dims()[0];
    (0..replicas)
        .map(|replica| {
            let values = gradient
                .get(replica)?
                .flatten_all()?
                .to_dtype(DType::F32)?
                .to_vec1::<f32>()?;
            if values.iter().any(|value| value.is_nan()) {
                return Ok(f64::NAN);
            }
            let mut sizes: Vec<f32> = values.into_iter().map(f32::abs).collect();
            let middle = sizes.len() / 2;
            // Of an even number of sizes, the upper of the two in the middle.
            let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
            Ok(f64::from(*median))
        })
        .collect()
}

/// The order in which epoch `epoch` (from 0) of `seed` visits `count` images;
/// whole batches of it are trained on.
pub fn fine_tuning_order(count: usize, seed: u64, epoch: u64) -> Vec<u32> {
    shuffled(count, seed, Purpose::FineTuningOrder, epoch)
}
