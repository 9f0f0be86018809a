use candle_core::{CudaDevice, Result, Tensor, bail};

use super::MODULE;
use super::device::{Argument, address, device_of, launch};
use crate::optimizer::{GroupedOptimizer, ParamKind};
use crate::rules::{Moment, Rule, Scalars, Slots, UpdateRule, Visitor};

/// As in `update.cu`.
const PART: usize = 2048;
const LANES: usize = 256;
const THREADS: u32 = 256;

/// Updates that the tables of scalars reach at most.
const UPDATES_AHEAD: u64 = 4096;

/// Words of 32 bits of a segment, a part and a group in `update.cu`.
const SEGMENT_WORDS: usize = 10;
const GROUP_WORDS: usize = 14;

/// What the kernels of an update read beside parameters, gradients and state:
/// which tensors there are, and what every update of an epoch needs. Nothing is
/// copied to the device in between.
#[derive(Debug)]
pub(crate) struct Tables {
    device: CudaDevice,
    /// Where the gradients lay when `segments` was made.
    gradients: Vec<u64>,
    segments: Tensor,
    segment_count: u32,
    parts: Tensor,
    part_count: u32,
    lanes: Tensor,
    squares: Tensor,
    /// Groups of the updates from number `first` on.
    groups: Tensor,
    first: u64,
    /// Whether the update needs sums of squares, and whether it prepares.
    work: Vec<[bool; 2]>,
    /// The optimizer's factor on all rates when `groups` was made.
    scale: f64,
}

/// What a rule says of one update: its scalars, the state it touches, whether it
/// prepares, whether it needs the sum of squares.
pub(crate) struct Described {
    pub(crate) scalars: Scalars,
    pub(crate) slots: Slots,
    pub(crate) prepares: bool,
    pub(crate) squares: bool,
}

/// Asks a rule.
struct Describe(Moment);

impl Visitor for Describe {
    type Output = Described;

    fn visit<R: UpdateRule>(self, rule: &R) -> Described {
        Described {
            scalars: rule.scalars(&self.0),
            slots: rule.slots(self.0.update),
            prepares: rule.prepares(&self.0),
            squares: R::NEEDS_SUM_OF_SQUARES,
        }
    }
}

impl Tables {
    /// Tables for an update of the optimizer's parameters by these gradients.
    pub(crate) fn new(optimizer: &GroupedOptimizer, gradients: &[Tensor]) -> Result<Self> {
        let Some(first) = gradients.first() else {
            bail!("an update of no parameter")
        };
        let device = device_of(first)?;
        let replicas = optimizer.configs.len();
        let (mut segments, mut parts) = (Vec::new(), Vec::new());
        let mut segment_count = 0u32;
        let mut addresses = Vec::new();
        for (index, (param, gradient)) in optimizer.params.iter().zip(gradients).enumerate() {
            let (w, g) = (address(param.var.as_tensor())?, address(gradient)?);
            addresses.push(g);
            let len = param.var.elem_count() / replicas;
            let bytes = (len * size_of::<f32>()) as u64;
            for (replica, config) in optimizer.configs.iter().enumerate() {
                let state = &optimizer.state[index * replicas + replica];
                let state = if state.elem_count() == 0 {
                    0
                } else {
                    address(state)?
                };
                let offset = replica as u64 * bytes;
                for long in [w + offset, g + offset, state, len as u64] {
                    segments.extend([long as u32, (long >> 32) as u32]);
                }
                let group = config.group(param.kind);
                segments.push(group.rule.number() as u32);
                segments.push(group_index(replica, param.kind));
                for start in (0..len).step_by(PART) {
                    parts.extend([segment_count, start as u32]);
                }
                segment_count += 1;
            }
        }
        debug_assert_eq!(segments.len(), segment_count as usize * SEGMENT_WORDS);
        let part_count = (parts.len() / 2) as u32;
        let on = candle_core::Device::Cuda(device.clone());
        let sums = segment_count as usize;
        let mut this = Self {
            gradients: addresses,
            segments: Tensor::from_vec(segments, sums * SEGMENT_WORDS, &on)?,
            segment_count,
            parts: Tensor::from_vec(parts, 2 * part_count as usize, &on)?,
            part_count,
            lanes: Tensor::zeros(sums * LANES, candle_core::DType::F64, &on)?,
            squares: Tensor::zeros(sums, candle_core::DType::F64, &on)?,
            groups: Tensor::zeros(1, candle_core::DType::U32, &on)?,
            first: 0,
            work: Vec::new(),
            scale: optimizer.scale,
            device,
        };
        this.look_ahead(optimizer)?;
        Ok(this)
    }

    /// Whether they were made for these gradients.
    pub(crate) fn fit(&self, gradients: &[Tensor]) -> Result<bool> {
        for (gradient, known) in gradients.iter().zip(&self.gradients) {
            if address(gradient)? != *known {
                return Ok(false);
            }
        }
        Ok(gradients.len() == self.gradients.len())
    }

    /// Fills the groups of the updates from the next on to the end of its epoch.
    fn look_ahead(&mut self, optimizer: &GroupedOptimizer) -> Result<()> {
        let steps = optimizer.configs[0].steps_per_epoch;
        let first = optimizer.updates;
        let count = (steps - first % steps).min(UPDATES_AHEAD);
        let mut words =
            Vec::with_capacity(count as usize * optimizer.configs.len() * 2 * GROUP_WORDS);
        let mut work = Vec::with_capacity(count as usize);
        for update in first..first + count {
            let mut needs = [false; 2];
            for config in &optimizer.configs {
                for group in [&config.weights, &config.biases] {
                    let moment = optimizer.moment_at(update, config, group);
                    let described = describe(&group.rule, moment);
                    words.extend(described.scalars.map(|x| (x as f32).to_bits()));
                    words.extend(
                        described
                            .slots
                            .map(|slot| slot.map_or(u32::MAX, |slot| slot as u32)),
                    );
                    words.extend([u32::from(described.prepares), u32::from(described.squares)]);
                    needs = [
                        needs[0] || described.squares,
                        needs[1] || described.prepares,
                    ];
                }
            }
            work.push(needs);
        }
        let on = candle_core::Device::Cuda(self.device.clone());
        self.groups = Tensor::from_vec(
            words,
            count as usize * optimizer.configs.len() * 2 * GROUP_WORDS,
            &on,
        )?;
        self.first = first;
        self.work = work;
        self.scale = optimizer.scale;
        Ok(())
    }

    /// The optimizer's next update: one launch, and one or two before it where a
    /// rule looks at the whole gradient or works on its state first.
    pub(crate) fn update(&mut self, optimizer: &GroupedOptimizer) -> Result<()> {
        let place = optimizer
            .updates
            .checked_sub(self.first)
            .map(|place| place as usize);
        let known = place.filter(|place| *place < self.work.len() && self.scale == optimizer.scale);
        let place = match known {
            Some(place) => place,
            None => {
                self.look_ahead(optimizer)?;
                0
            }
        };
        let [squares, prepares] = self.work[place];
        let stride = (optimizer.configs.len() * 2 * GROUP_WORDS * size_of::<u32>()) as u64;
        let groups = Argument::Long(address(&self.groups)? + place as u64 * stride);
        let segments = Argument::Long(address(&self.segments)?);
        let parts = Argument::Long(address(&self.parts)?);
        let sums = Argument::Long(address(&self.squares)?);
        let lanes = Argument::Long(address(&self.lanes)?);
        let start = |kernel, blocks, arguments: &[Argument]| {
            // SAFETY: the kernels of `update.cu` take these arguments. They touch
            // the tables here, and the parameters, gradients and state that the
            // segments name; all are kept by this value, the optimizer, or the
            // caller's gradients, whose addresses `fit` has compared.
            unsafe {
                launch(
                    &self.device,
                    MODULE,
                    kernel,
                    (blocks, 1),
                    THREADS,
                    arguments,
                )
            }
        };
        if prepares {
            start("prepare_parts", self.part_count, &[segments, parts, groups])?;
        }
        if squares {
            let count = Argument::Unsigned(self.segment_count);
            start(
                "square_lanes",
                self.segment_count,
                &[segments, groups, lanes],
            )?;
            start(
                "square_sums",
                self.segment_count.div_ceil(THREADS),
                &[lanes, sums, count],
            )?;
        }
        start(
            "update_parts",
            self.part_count,
            &[segments, parts, groups, sums],
        )
    }
}

/// Place of a replica's group among those of an update.
fn group_index(replica: usize, kind: ParamKind) -> u32 {
    2 * replica as u32 + u32::from(kind == ParamKind::Bias)
}

fn describe(rule: &Rule, moment: Moment) -> Described {
    rule.visit(Describe(moment))
}
