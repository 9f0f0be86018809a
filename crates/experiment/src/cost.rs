use std::hint::black_box;
use std::time::Instant;

use adamix_autoencoder::dataset::Images;
use adamix_autoencoder::{FineTuning, PreTraining, PreTrainingSettings};
use adamix_optim::{GroupConfig, ParamKind};
use adamix_record::{Backend, Cost, GroupCost, SCHEMA, UpdateCost, UpdateTimes};
use candle_core::Device;
use serde_json::{Value, json};

use crate::plan::{Resolved, Series, SeriesArm, to_json};
use crate::speed::ceilings;
use crate::{Error, Result, environment};

/// Rounds in which every entry is timed once.
const ROUNDS: usize = 15;

/// Updates timed together in a round at least, since one alone is short.
const UPDATES: u64 = 5;

/// Counts and times what one update of every arm of the plan costs. Arms whose
/// updates are the same work are timed once.
///
/// Every round times each entry once, the one that begins moving on by one each
/// round, so that what drifts hits all alike and a round's times can be
/// compared. In every round an entry trains anew in memory of its own, since where
/// its numbers come to lie in memory and cache decides some of the time, and equal
/// work that always lay in the same two places would differ for good. One thread of
/// the processor; or, on a CUDA device, which one run
/// would leave idle, thirty runs in lockstep (fewer where they do not fit), whose time is shared out. The
/// network has the protocol's sizes and initial weights; what is timed does not
/// depend on their values.
///
/// # Errors
/// [`Error::Compute`].
pub fn measure_cost(resolved: &Resolved, images: &Images) -> Result<Cost> {
    let compute = || Error::compute("timing the arms");
    let mut timed: Vec<Timed<'_>> = Vec::new();
    for (planned, protocol) in resolved.plan.protocols.iter().zip(&resolved.protocols) {
        let series = &protocol.series;
        for arm in &series.arms {
            let name = format!("{}/{}", planned.name, arm.name);
            let kind = kind(series, arm);
            match timed.iter_mut().find(|timed| timed.kind == kind) {
                Some(timed) => timed.entry.arms.push(name),
                None => timed.push(Timed::new(series, arm, images, name).map_err(compute())?),
            }
        }
    }
    // The first round warms up and is not kept.
    for round in 0..=ROUNDS {
        for turn in 0..timed.len() {
            let index = (turn + round) % timed.len();
            timed[index].round(round > 0).map_err(compute())?;
        }
    }
    let device = resolved
        .protocols
        .first()
        .map(|p| p.series.machine.device());
    let ceilings = device.map(ceilings).transpose().map_err(compute())?;
    Ok(Cost {
        schema: SCHEMA,
        protocols: resolved
            .plan
            .protocols
            .iter()
            .map(|protocol| (protocol.name.clone(), protocol.hash.clone()))
            .collect(),
        data_sha256: resolved.plan.data.sha256.clone(),
        environment: environment(1),
        ceilings,
        entries: timed.into_iter().map(|timed| timed.entry).collect(),
    })
}

/// What decides how much work an update is: real constants and learning rates
/// do not.
fn kind(series: &Series, arm: &SeriesArm) -> Value {
    let group = |config: &GroupConfig| {
        let cost = to_json(&counted(config, series.steps_per_epoch()));
        json!([
            config.rule.name(),
            cost,
            config.rule.period(series.steps_per_epoch())
        ])
    };
    json!([
        group(&arm.weights),
        group(&arm.biases),
        series.settings.layer_sizes,
        series.settings.fine_tuning.batch_size,
    ])
}

/// An entry while it is timed.
struct Timed<'a> {
    kind: Value,
    series: &'a Series,
    arm: &'a SeriesArm,
    images: &'a Images,
    batch: Vec<u32>,
    /// Runs timed together.
    replicas: usize,
    /// Updates timed together.
    updates: u64,
    entry: UpdateTimes,
}

impl<'a> Timed<'a> {
    fn new(
        series: &'a Series,
        arm: &'a SeriesArm,
        images: &'a Images,
        name: String,
    ) -> candle_core::Result<Self> {
        let replicas = cohort(series, arm);
        let training = training(series, arm, images, replicas)?;
        let params = training.network().params();
        let steps = series.steps_per_epoch();
        let group = |config: &GroupConfig, kind| GroupCost {
            rule: config.rule.name().to_owned(),
            parameters: params
                .iter()
                .filter(|param| param.kind == kind)
                .map(|param| (param.var.elem_count() / replicas) as u64)
                .sum(),
            per_parameter: counted(config, steps),
        };
        let entry = UpdateTimes {
            arms: vec![name],
            batch_size: series.settings.fine_tuning.batch_size,
            steps_per_epoch: steps,
            weights: group(&arm.weights, ParamKind::Weight),
            biases: group(&arm.biases, ParamKind::Bias),
            update_seconds: Vec::new(),
            step_seconds: Vec::new(),
        };
        // Whole periods, so that what a rule does once in many updates has its share.
        let periods = [&arm.weights, &arm.biases].map(|group| group.rule.period(steps));
        Ok(Self {
            kind: kind(series, arm),
            series,
            arm,
            images,
            batch: (0..series.settings.fine_tuning.batch_size as u32).collect(),
            replicas,
            updates: UPDATES.max(periods[0]).max(periods[1]),
            entry,
        })
    }

    fn round(&mut self, keep: bool) -> candle_core::Result<()> {
        let batches = vec![&self.batch[..]; self.replicas];
        let mut training = training(self.series, self.arm, self.images, self.replicas)?;
        // The gradients that the updates alone are timed with; it warms up too.
        training.step_with_gradients(&batches)?;
        training.step(black_box(&batches))?;
        training.wait()?;
        let clock = Instant::now();
        training.step(black_box(&batches))?;
        training.wait()?;
        let step = clock.elapsed().as_secs_f64() / self.replicas as f64;
        training.update()?;
        training.wait()?;
        let clock = Instant::now();
        for _ in 0..self.updates {
            training.update()?;
        }
        training.wait()?;
        let updates = self.updates as f64 * self.replicas as f64;
        let update = clock.elapsed().as_secs_f64() / updates;
        if keep {
            self.entry.step_seconds.push(step);
            self.entry.update_seconds.push(update);
        }
        Ok(())
    }
}

/// Arithmetic operations a second of training steps, on one thread of the
/// processor or all of a CUDA device, as [`Work`](crate::Work) counts them: half
/// a second of steps is timed.
///
/// # Errors
/// [`Error::Compute`].
pub fn measure_rate(series: &Series, images: &Images) -> Result<f64> {
    let doing = || Error::compute("timing a step");
    let Some(arm) = series.arms.first() else {
        return Ok(0.0);
    };
    let replicas = cohort(series, arm);
    let mut training = training(series, arm, images, replicas).map_err(doing())?;
    let batch: Vec<u32> = (0..series.settings.fine_tuning.batch_size as u32).collect();
    let mut clock = Instant::now();
    let mut steps = 0;
    // The first step warms up and is not counted.
    for step in 0.. {
        let batches = vec![&batch[..]; replicas];
        training.step(&batches).map_err(doing())?;
        training.wait().map_err(doing())?;
        if step == 0 {
            clock = Instant::now();
            continue;
        }
        steps += 1;
        if clock.elapsed().as_secs_f64() > 0.5 {
            break;
        }
    }
    let steps = f64::from(steps) * replicas as f64;
    Ok(series.work().step * steps / clock.elapsed().as_secs_f64())
}

/// Runs timed in lockstep on a CUDA device.
const COHORT: usize = 30;

/// Runs that are timed in lockstep.
fn cohort(series: &Series, arm: &SeriesArm) -> usize {
    match series.machine.backend() {
        Backend::Cpu => 1,
        Backend::Cuda => series.machine.cohort(series.bytes(arm)).min(COHORT),
    }
}

/// A training of equal runs of an arm from initial weights.
pub(crate) fn training<'a>(
    series: &Series,
    arm: &SeriesArm,
    images: &'a Images,
    replicas: usize,
) -> candle_core::Result<FineTuning<'a>> {
    let settings = &series.settings;
    let initial = PreTrainingSettings {
        epochs: 0,
        ..settings.pre_training
    };
    let seeds = vec![0; replicas];
    let network = PreTraining::new(images, &settings.layer_sizes, initial, &seeds, &Device::Cpu)?
        .into_autoencoder()?
        .to_device(&series.machine.device)?;
    let fine = &settings.fine_tuning;
    FineTuning::new(
        images,
        network,
        vec![series.optimizer(arm); replicas],
        &seeds,
        fine.batch_size,
        fine.loss,
        fine.gradient,
    )
}

fn counted(config: &GroupConfig, steps_per_epoch: u64) -> UpdateCost {
    let adamix_optim::UpdateCost {
        additions,
        multiplications,
        divisions,
        square_roots,
        loads,
        stores,
        state,
    } = config.rule.cost(steps_per_epoch);
    UpdateCost {
        additions,
        multiplications,
        divisions,
        square_roots,
        loads,
        stores,
        state,
    }
}
