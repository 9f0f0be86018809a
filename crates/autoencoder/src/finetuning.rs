use std::collections::HashMap;
use std::ops::ControlFlow;

use adamix_optim::{GroupedOptimizer, OptimizerConfig, ParamKind};
use candle_core::{Result, Tensor, bail};

use crate::dataset::Images;
use crate::network::{Autoencoder, Loss, Reduction, Workspace};
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
}

impl<'a> FineTuning<'a> {
    /// Trains `network`, one seed and one optimizer a replica.
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
        Ok(Self {
            images,
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
        let mut batches: Vec<&[u32]> = Vec::with_capacity(orders.len());
        for step in 0..steps {
            batches.clear();
            let of_step = step * batch_size..(step + 1) * batch_size;
            batches.extend(orders.iter().map(|order| &order[of_step.clone()]));
            if step + 1 == steps {
                self.step_with_gradients(&batches)?;
            } else {
                self.step(&batches)?;
            }
            if after_step().is_break() {
                return Ok(false);
            }
        }
        self.epoch += 1;
        Ok(true)
    }

    /// One update on the images with these indices, one list a replica.
    ///
    /// # Errors
    /// Where a list is not a batch long or an index not below the number of images.
    pub fn step(&mut self, batches: &[&[u32]]) -> Result<()> {
        self.forward(batches)?;
        self.workspace.backward_and_update(
            &self.network,
            self.loss,
            self.reduction,
            &mut self.optimizer,
        )
    }

    /// The same update to the bit, which leaves its gradients to be looked at
    /// and takes longer.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_with_gradients(&mut self, batches: &[&[u32]]) -> Result<()> {
        self.forward(batches)?;
        self.workspace
            .backward(&self.network, self.loss, self.reduction)?;
        self.update()
    }

    fn forward(&mut self, batches: &[&[u32]]) -> Result<()> {
        if batches
            .iter()
            .any(|batch| batch.len() != self.workspace.batch_size())
        {
            bail!(
                "a step takes {} images a replica",
                self.workspace.batch_size()
            );
        }
        self.workspace.load_images(self.images, batches)?;
        self.workspace.forward(&self.network)
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
    /// [`step_with_gradients`](Self::step_with_gradients), over each layer's
    /// weights and over its biases, from the image on, of one replica; not a
    /// number where a gradient is not.
    ///
    /// # Errors
    /// candle's.
    pub fn gradient_medians(&self, replica: usize) -> Result<Vec<[f64; 2]>> {
        let median = |gradient: &Tensor| -> Result<f64> {
            let values = gradient
                .get(replica)?
                .flatten_all()?
                .to_dtype(candle_core::DType::F32)?
                .to_vec1::<f32>()?;
            if values.iter().any(|value| value.is_nan()) {
                return Ok(f64::NAN);
            }
            let mut sizes: Vec<f32> = values.into_iter().map(f32::abs).collect();
            let middle = sizes.len() / 2;
            // Of an even number of sizes, the upper of the two in the middle.
            let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
            Ok(f64::from(*median))
        };
        self.workspace
            .gradients()
            .chunks_exact(2)
            .map(|pair| Ok([median(&pair[0])?, median(&pair[1])?]))
            .collect()
    }

    /// What [`restore`](Self::restore) needs to go on after the epochs done:
    /// the parameters and the optimizer's state.
    ///
    /// # Errors
    /// candle's.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut state = self.optimizer.state()?;
        state.insert(
            "epoch".to_owned(),
            Tensor::new(self.epoch as i64, &candle_core::Device::Cpu)?,
        );
        for param in self.network.params() {
            state.insert(
                format!("parameter.{}", param.name),
                param.var.as_tensor().clone(),
            );
        }
        Ok(state)
    }

    /// Goes on from a [`state`](Self::state) of the same images, network,
    /// optimizers and seeds.
    ///
    /// # Errors
    /// Where a tensor is missing or has another shape or type.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        let find = |key: &str| {
            state.get(key).ok_or_else(|| {
                candle_core::Error::Msg(format!("the state of fine-tuning lacks `{key}`"))
            })
        };
        for param in self.network.params() {
            param.var.set(find(&format!("parameter.{}", param.name))?)?;
        }
        self.optimizer.restore(state)?;
        self.epoch = find("epoch")?.to_scalar::<i64>()? as u64;
        Ok(())
    }
}

/// The order in which epoch `epoch` (from 0) of `seed` visits `count` images;
/// whole batches of it are trained on.
pub fn fine_tuning_order(count: usize, seed: u64, epoch: u64) -> Vec<u32> {
    shuffled(count, seed, Purpose::FineTuningOrder, epoch)
}
