use std::collections::HashMap;
use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var, bail};
use serde::{Deserialize, Serialize};

use crate::error::Invalid;
use crate::kernel;
use crate::memory::{Float, with_slices};
use crate::rules::{Moment, Rule, SLOTS, UpdateRule, Visitor};
use crate::schedule::Schedule;

/// Whether a parameter multiplies or is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A connection weight.
    Weight,
    /// A bias.
    Bias,
}

/// A trainable tensor and what the optimizer must know of it.
#[derive(Debug, Clone)]
pub struct Param {
    /// Name, unique among the parameters of an optimizer; the key of its state.
    pub name: String,
    /// Which group it belongs to.
    pub kind: ParamKind,
    /// Its values, f32 or f64, contiguous.
    pub var: Var,
}

/// Rule and schedule of one group of parameters.
///
/// ```
/// use adamix_optim::GroupConfig;
/// let group: GroupConfig = serde_json::from_str(
///     r#"{"rule": "adagrad", "schedule": {"kind": "constant", "learning-rate": 0.1}}"#)?;
/// // What was left out has its documented default, and is written.
/// assert_eq!(
///     serde_json::to_value(group)?,
///     serde_json::json!({"rule": "adagrad", "k": 1.0, "initial-accumulator": 0.0,
///         "schedule": {"kind": "constant", "learning-rate": 0.1}}));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// The update rule, with its constants.
    #[serde(flatten)]
    pub rule: Rule,
    /// The learning rate over time.
    pub schedule: Schedule,
}

impl GroupConfig {
    /// Whether all constants are in range.
    ///
    /// # Errors
    /// [`Invalid`] naming the constant, its value and what is allowed.
    pub fn check(&self) -> std::result::Result<(), Invalid> {
        self.rule.check()?;
        self.schedule.check()
    }
}

/// A partition of the parameters: one rule and schedule for the weights, one
/// for the biases. AdaMix is one such partition.
///
/// ```
/// use adamix_optim::{GroupConfig, OptimizerConfig, Per, Rule, Schedule, rules::{AdamixW1, Sgd}};
/// // AdaMix, readings W1 and B1.
/// let adamix = OptimizerConfig {
///     weights: GroupConfig {
///         rule: Rule::AdamixW1(AdamixW1 { k: 1.0 }),
///         schedule: Schedule::Constant { learning_rate: 0.1 },
///     },
///     biases: GroupConfig {
///         rule: Rule::Sgd(Sgd {}),
///         schedule: Schedule::Power { learning_rate: 0.1, r: 6000.0, c: 0.75, per: Per::Update },
///     },
///     steps_per_epoch: 600,
/// };
/// # let _ = adamix;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerConfig {
    /// For every [`ParamKind::Weight`].
    pub weights: GroupConfig,
    /// For every [`ParamKind::Bias`].
    pub biases: GroupConfig,
    /// Updates in an epoch, at least 1, for rules and schedules that count epochs.
    pub steps_per_epoch: u64,
}

impl OptimizerConfig {
    /// The same rule and schedule for weights and biases.
    pub fn uniform(group: GroupConfig, steps_per_epoch: u64) -> Self {
        Self {
            weights: group,
            biases: group,
            steps_per_epoch,
        }
    }

    pub(crate) fn group(&self, kind: ParamKind) -> &GroupConfig {
        match kind {
            ParamKind::Weight => &self.weights,
            ParamKind::Bias => &self.biases,
        }
    }
}

/// An optimizer that updates each group of parameters by its own rule and
/// schedule, in place.
///
/// It implements [`candle_nn::Optimizer`], so any candle model can be trained
/// with it: there `Var`s of rank 2 and more are weights, others biases. Where
/// the kinds differ from that, or where the first axis of every parameter
/// counts replicas that train side by side, use [`for_replicas`](Self::for_replicas).
///
/// ```
/// use adamix_optim::{GroupConfig, GroupedOptimizer, OptimizerConfig, Rule, Schedule, rules::Adagrad};
/// use candle_core::{DType, Device, Tensor, Var};
/// use candle_nn::Optimizer;
///
/// let w = Var::zeros((2, 1), DType::F32, &Device::Cpu)?;
/// let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
/// let y = Tensor::new(&[[5f32], [11.0]], &Device::Cpu)?;
/// let adagrad = GroupConfig {
///     rule: Rule::Adagrad(Adagrad::default()),
///     schedule: Schedule::Constant { learning_rate: 0.5 },
/// };
/// let mut optimizer = GroupedOptimizer::new(vec![w.clone()], OptimizerConfig::uniform(adagrad, 1))?;
/// for _ in 0..10_000 {
///     let loss = x.matmul(&w)?.sub(&y)?.sqr()?.mean_all()?;
///     optimizer.backward_step(&loss)?;
/// }
/// let w = w.flatten_all()?.to_vec1::<f32>()?; // 1 and 2 solve it
/// assert!((w[0] - 1.0).abs() < 0.02 && (w[1] - 2.0).abs() < 0.02, "{w:?}");
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug)]
pub struct GroupedOptimizer {
    pub(crate) params: Vec<Param>,
    /// One a replica.
    pub(crate) configs: Vec<OptimizerConfig>,
    /// State of parameter `p`, replica `r` at `p * replicas + r`, of shape
    /// `[state_len, parameters of one replica]`.
    pub(crate) state: Vec<Tensor>,
    pub(crate) updates: u64,
    /// Factor on every schedule, set by `set_learning_rate`.
    pub(crate) scale: f64,
    /// What an update on a CUDA device reads beside all that.
    #[cfg(feature = "cuda")]
    tables: Option<crate::cuda::Tables>,
}

impl GroupedOptimizer {
    /// An optimizer for parameters whose first axis counts replicas, each with
    /// its own configuration; with one configuration, for parameters without
    /// such an axis too.
    ///
    /// A replica's update depends on nothing of the others.
    ///
    /// # Errors
    /// Where a configuration is out of range, there is none, two parameters
    /// have the same name, or a parameter is neither f32 nor f64, not
    /// contiguous, or does not divide into that many replicas.
    pub fn for_replicas(params: Vec<Param>, configs: Vec<OptimizerConfig>) -> Result<Self> {
        if configs.is_empty() {
            bail!("an optimizer needs the configuration of at least one replica");
        }
        for config in &configs {
            if config.steps_per_epoch == 0 {
                bail!("steps_per_epoch = 0: must be at least 1");
            }
            for (group, name) in [(&config.weights, "weights"), (&config.biases, "biases")] {
                group
                    .check()
                    .map_err(|e| candle_core::Error::Msg(format!("{name}: {e}")))?;
            }
        }
        let mut state = Vec::new();
        for (index, param) in params.iter().enumerate() {
            let Param { name, var, kind } = param;
            if params[..index].iter().any(|other| other.name == *name) {
                bail!("two parameters are named `{name}`");
            }
            if !matches!(var.dtype(), DType::F32 | DType::F64) {
                bail!(
                    "parameter `{name}` is {:?}, only f32 and f64 can be trained",
                    var.dtype()
                );
            }
            let count = var.elem_count();
            if configs.len() > 1 && var.dims().first() != Some(&configs.len()) {
                bail!(
                    "parameter `{name}` has shape {:?}, whose first axis is not the {} replicas",
                    var.shape(),
                    configs.len()
                );
            }
            if !var.is_contiguous() {
                bail!("parameter `{name}` is not contiguous");
            }
            if !var.device().is_cpu() && var.dtype() != DType::F32 {
                bail!(
                    "parameter `{name}` is {:?}, only f32 trains on a CUDA device",
                    var.dtype()
                );
            }
            if !var.device().same_device(params[0].var.device()) {
                bail!(
                    "parameter `{name}` is on another device than `{}`",
                    params[0].name
                );
            }
            for config in &configs {
                let rule = config.group(*kind).rule;
                state.push(initial_state(&rule, count / configs.len(), var)?);
            }
        }
        Ok(Self {
            params,
            configs,
            state,
            updates: 0,
            scale: 1.0,
            #[cfg(feature = "cuda")]
            tables: None,
        })
    }

    /// Updates every parameter by its gradient, in place. The gradients stand
    /// in the order of the parameters and have their shapes and types.
    ///
    /// # Errors
    /// Where their number, shapes or types are not the parameters'. A
    /// parameter may then have been updated already.
    pub fn update(&mut self, gradients: &[Tensor]) -> Result<()> {
        if gradients.len() != self.params.len() {
            bail!(
                "{} gradients for {} parameters",
                gradients.len(),
                self.params.len()
            );
        }
        for (index, gradient) in gradients.iter().enumerate() {
            let param = &self.params[index];
            if gradient.shape() != param.var.shape() {
                bail!(
                    "parameter `{}` has shape {:?}, its gradient {:?}",
                    param.name,
                    param.var.shape(),
                    gradient.shape()
                );
            }
        }
        self.update_all(gradients)?;
        self.updates += 1;
        Ok(())
    }

    fn update_all(&mut self, gradients: &[Tensor]) -> Result<()> {
        #[cfg(feature = "cuda")]
        if gradients
            .first()
            .is_some_and(|first| first.device().is_cuda())
        {
            let mut tables = match self.tables.take() {
                Some(tables) if tables.fit(gradients)? => tables,
                _ => crate::cuda::Tables::new(self, gradients)?,
            };
            tables.update(self)?;
            self.tables = Some(tables);
            return Ok(());
        }
        for (index, gradient) in gradients.iter().enumerate() {
            match gradient.dtype() {
                DType::F64 => self.update_param::<f64>(index, gradient)?,
                _ => self.update_param::<f32>(index, gradient)?,
            }
        }
        Ok(())
    }

    fn update_param<T: Float>(&self, index: usize, gradient: &Tensor) -> Result<()> {
        let param = &self.params[index];
        let replicas = self.configs.len();
        let len = param.var.elem_count() / replicas;
        for (replica, config) in self.configs.iter().enumerate() {
            let group = config.group(param.kind);
            let moment = self.moment(config, group);
            let state = &self.state[index * replicas + replica];
            let range = replica * len..(replica + 1) * len;
            with_slices(
                [param.var.as_tensor(), state],
                [gradient],
                |[w, state], [g]: [&[T]; 1]| {
                    group.rule.visit(Update {
                        moment,
                        w: &mut w[range.clone()],
                        range: 0..len,
                        g: &g[range],
                        state,
                    });
                },
            )?;
        }
        Ok(())
    }

    /// Whether the next update of a parameter of a replica must see its whole
    /// gradient at once, so that it cannot be done by
    /// [`update_part`](Self::update_part)s.
    ///
    /// # Panics
    /// Where there is no such parameter or replica.
    pub fn needs_whole(&self, index: usize, replica: usize) -> bool {
        let config = &self.configs[replica];
        let group = config.group(self.params[index].kind);
        let moment = self.moment(config, group);
        group.rule.visit(NeedsWhole { moment })
    }

    /// Updates the numbers of one parameter of one replica from number `start`
    /// on by their gradients `g`, in place: so a gradient can be used while it
    /// is being computed. Once every number of every parameter has been updated
    /// so, [`end_update`](Self::end_update) must be called. The result is to
    /// the bit that of [`update`](Self::update).
    ///
    /// # Errors
    /// Where the parameter has not the type of `g`.
    ///
    /// # Panics
    /// Where there is no such part, or a part is not the whole and
    /// [`needs_whole`](Self::needs_whole).
    pub fn update_part<T: Float>(
        &self,
        index: usize,
        replica: usize,
        start: usize,
        g: &[T],
    ) -> Result<()> {
        let (param, config) = (&self.params[index], &self.configs[replica]);
        let group = config.group(param.kind);
        let moment = self.moment(config, group);
        let len = param.var.elem_count() / self.configs.len();
        let state = &self.state[index * self.configs.len() + replica];
        with_slices([param.var.as_tensor(), state], [], |[w, state], []| {
            group.rule.visit(Update {
                moment,
                w: &mut w[replica * len..][..len],
                range: start..start + g.len(),
                g,
                state,
            });
        })
    }

    /// Where the next update of one parameter of one replica by parts reads and
    /// writes, apart from the gradient: its numbers, then its state, an array of
    /// the same length each, as many as the rule touches; the others are empty.
    /// For asking for this memory before [`update_part`](Self::update_part)
    /// needs it, nothing else: the addresses are of no use where the tensors are
    /// gone. An update that [`needs_whole`](Self::needs_whole) may touch more.
    ///
    /// # Errors
    /// Where the parameter is not of type `T` or not on the CPU.
    ///
    /// # Panics
    /// Where there is no such parameter or replica.
    pub fn memory<T: Float>(
        &self,
        index: usize,
        replica: usize,
    ) -> Result<[Range<*const T>; 1 + SLOTS]> {
        let (param, config) = (&self.params[index], &self.configs[replica]);
        let group = config.group(param.kind);
        let moment = self.moment(config, group);
        let len = param.var.elem_count() / self.configs.len();
        let state = &self.state[index * self.configs.len() + replica];
        with_slices([], [param.var.as_tensor(), state], |[], [w, state]| {
            group.rule.visit(Touched {
                moment,
                w: &w[replica * len..][..len],
                state,
            })
        })
    }

    /// Counts an update that was done by parts.
    pub fn end_update(&mut self) {
        self.updates += 1;
    }

    fn moment(&self, config: &OptimizerConfig, group: &GroupConfig) -> Moment {
        self.moment_at(self.updates, config, group)
    }

    pub(crate) fn moment_at(
        &self,
        update: u64,
        config: &OptimizerConfig,
        group: &GroupConfig,
    ) -> Moment {
        Moment {
            learning_rate: self.scale * group.schedule.after(update, config.steps_per_epoch),
            update,
            steps_per_epoch: config.steps_per_epoch,
            sum_of_squares: 0.0,
        }
    }

    /// Updates done.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Learning rate that the next update of this replica gives this group.
    ///
    /// # Panics
    /// Where there is no such replica.
    pub fn group_learning_rate(&self, replica: usize, kind: ParamKind) -> f64 {
        let config = &self.configs[replica];
        self.scale
            * config
                .group(kind)
                .schedule
                .after(self.updates, config.steps_per_epoch)
    }

    /// Everything of one replica but its parameters and configuration: what
    /// [`restore`](Self::restore) needs to go on. On the CPU the tensors share
    /// their memory with the optimizer; from a CUDA device they are copies.
    /// Write them with `candle_core::safetensors::save`.
    ///
    /// # Errors
    /// candle's.
    ///
    /// # Panics
    /// Where there is no such replica.
    pub fn state(&self, replica: usize) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        tensors.insert(
            "updates".to_owned(),
            Tensor::new(self.updates as i64, &Device::Cpu)?,
        );
        tensors.insert("scale".to_owned(), Tensor::new(self.scale, &Device::Cpu)?);
        for (param, state) in self.params.iter().zip(self.states_of(replica)) {
            if state.elem_count() > 0 {
                tensors.insert(key(param), on_host(state)?);
            }
        }
        Ok(tensors)
    }

    /// Goes on from the [`state`](Self::state)s, one a replica, that optimizers
    /// with the same parameters and configurations had. Other keys are left
    /// alone, so the parameters may lie in the same file.
    ///
    /// # Errors
    /// Where their number is not that of the replicas, a tensor is missing or
    /// has another shape or type, or they are not after equally many updates;
    /// nothing is changed then.
    pub fn restore(&mut self, states: &[&HashMap<String, Tensor>]) -> Result<()> {
        let replicas = self.configs.len();
        if states.len() != replicas {
            bail!("{} states for {replicas} replicas", states.len());
        }
        let mut restored = self.state.clone();
        let mut counts = Vec::new();
        for (replica, tensors) in states.iter().enumerate() {
            let find = |key: &str| {
                tensors.get(key).ok_or_else(|| {
                    candle_core::Error::Msg(format!("the optimizer's state lacks `{key}`"))
                })
            };
            let updates = find("updates")?.to_scalar::<i64>()? as u64;
            counts.push((updates, find("scale")?.to_scalar::<f64>()?));
            for (param, state) in self.params.iter().zip(self.states_of(replica)) {
                if state.elem_count() == 0 {
                    continue;
                }
                let key = key(param);
                let found = find(&key)?;
                if found.shape() != state.shape() || found.dtype() != state.dtype() {
                    bail!(
                        "the optimizer's state `{key}` is {:?} {:?}, expected {:?} {:?}",
                        found.dtype(),
                        found.shape(),
                        state.dtype(),
                        state.shape()
                    );
                }
                let place = self
                    .params
                    .iter()
                    .position(|other| other.name == param.name);
                restored[place.unwrap_or_default() * replicas + replica] =
                    found.to_device(state.device())?.copy()?;
            }
        }
        if counts.iter().any(|count| *count != counts[0]) {
            bail!("states of replicas that are not after equally many updates: {counts:?}");
        }
        (self.updates, self.scale) = counts[0];
        self.state = restored;
        #[cfg(feature = "cuda")]
        {
            self.tables = None;
        }
        Ok(())
    }

    /// A replica's state of each parameter, in their order.
    fn states_of(&self, replica: usize) -> impl Iterator<Item = &Tensor> {
        self.state.iter().skip(replica).step_by(self.configs.len())
    }
}

/// Under which the state of a parameter is kept.
fn key(param: &Param) -> String {
    format!("state.{}.0", param.name)
}

/// A copy in the processor's memory, which later updates leave as it is.
fn on_host(tensor: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if tensor.device().is_cuda() {
        return crate::cuda::host_copy(tensor);
    }
    tensor.copy()
}

impl candle_nn::Optimizer for GroupedOptimizer {
    type Config = OptimizerConfig;

    /// `Var`s of rank 2 and more are weights, others biases; named by their
    /// place, from 0.
    fn new(vars: Vec<Var>, config: OptimizerConfig) -> Result<Self> {
        let params = vars.into_iter().enumerate().map(|(index, var)| Param {
            name: index.to_string(),
            kind: if var.rank() >= 2 {
                ParamKind::Weight
            } else {
                ParamKind::Bias
            },
            var,
        });
        Self::for_replicas(params.collect(), vec![config])
    }

    /// # Errors
    /// As [`update`](GroupedOptimizer::update), and where a parameter has no
    /// gradient: nothing is changed then.
    fn step(&mut self, grads: &GradStore) -> Result<()> {
        let gradients = self
            .params
            .iter()
            .map(|param| match grads.get(&param.var) {
                Some(gradient) => gradient.contiguous(),
                None => bail!(
                    "parameter `{}` of shape {:?} has no gradient",
                    param.name,
                    param.var.shape()
                ),
            })
            .collect::<Result<Vec<_>>>()?;
        self.update(&gradients)
    }

    /// The weights' rate at the next update, of the first replica.
    fn learning_rate(&self) -> f64 {
        self.group_learning_rate(0, ParamKind::Weight)
    }

    /// Scales all schedules by one factor, such that the weights' rate at the
    /// next update (of the first replica) is `lr`. No effect where that rate is 0.
    fn set_learning_rate(&mut self, lr: f64) {
        let current = self.learning_rate();
        if current > 0.0 {
            self.scale *= lr / current;
        }
    }
}

/// The value of one parameter that starts at `w` after one update for each of
/// `gradients`, in f64, every update an epoch of its own. For examples and
/// tests of a rule.
pub fn step_scalar(rule: &Rule, schedule: &Schedule, w: f64, gradients: &[f64]) -> f64 {
    let mut w = [w];
    let mut state = rule.visit(InitialState);
    for (update, g) in gradients.iter().enumerate() {
        let moment = Moment {
            learning_rate: schedule.after(update as u64, 1),
            update: update as u64,
            steps_per_epoch: 1,
            sum_of_squares: 0.0,
        };
        rule.visit(Update {
            moment,
            w: &mut w,
            range: 0..1,
            g: &[*g],
            state: &mut state,
        });
    }
    w[0]
}

struct Update<'a, T> {
    moment: Moment,
    w: &'a mut [T],
    range: Range<usize>,
    g: &'a [T],
    state: &'a mut [T],
}

impl<T: crate::number::Number> Visitor for Update<'_, T> {
    type Output = ();

    fn visit<R: UpdateRule>(self, rule: &R) {
        kernel::update(rule, self.moment, self.w, self.range, self.g, self.state);
    }
}

struct Touched<'a, T> {
    moment: Moment,
    w: &'a [T],
    state: &'a [T],
}

impl<T> Visitor for Touched<'_, T> {
    type Output = [Range<*const T>; 1 + SLOTS];

    fn visit<R: UpdateRule>(self, rule: &R) -> Self::Output {
        let mut memory = std::array::from_fn(|_| [].as_ptr_range());
        memory[0] = self.w.as_ptr_range();
        let slots = rule.slots(self.moment.update);
        for (to, slot) in memory[1..].iter_mut().zip(slots.into_iter().flatten()) {
            *to = self.state[slot * self.w.len()..][..self.w.len()].as_ptr_range();
        }
        memory
    }
}

struct NeedsWhole {
    moment: Moment,
}

impl Visitor for NeedsWhole {
    type Output = bool;

    fn visit<R: UpdateRule>(self, rule: &R) -> bool {
        kernel::needs_whole(rule, &self.moment)
    }
}

/// The state that one parameter starts with.
struct InitialState;

impl Visitor for InitialState {
    type Output = Vec<f64>;

    fn visit<R: UpdateRule>(self, rule: &R) -> Vec<f64> {
        (0..rule.state_len())
            .map(|slot| rule.initial_state(slot))
            .collect()
    }
}

fn initial_state(rule: &Rule, len: usize, var: &Var) -> Result<Tensor> {
    let initial = rule.visit(InitialState);
    let (shape, dtype, device) = ((initial.len(), len), var.dtype(), var.device());
    if initial.is_empty() {
        // No memory, which a CUDA device refuses to give.
        return Tensor::zeros(shape, dtype, &Device::Cpu);
    }
    if initial.iter().all(|value| *value == 0.0) {
        return Tensor::zeros(shape, dtype, device);
    }
    Tensor::from_vec(initial.clone(), (initial.len(), 1), &Device::Cpu)?
        .to_dtype(dtype)?
        .broadcast_as(shape)?
        .contiguous()?
        .to_device(device)
}
