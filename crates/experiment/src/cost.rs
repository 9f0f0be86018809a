use std::hint::black_box;
use std::time::Instant;

use adamix_autoencoder::dataset::Images;
use adamix_autoencoder::{FineTuning, PreTraining, PreTrainingSettings};
use adamix_optim::{GroupConfig, ParamKind};
use adamix_record::{ArmCost, Cost, GroupCost, SCHEMA, UpdateCost};

use crate::plan::Resolved;
use crate::{Error, Result, environment};

/// Rounds in which every arm is timed once.
const ROUNDS: usize = 15;

/// Updates timed together in a round at least, since one alone is short.
const UPDATES: u64 = 5;

/// Counts and times what one update of every arm costs.
///
/// Every round times each arm once, the arm that begins moving on by one each
/// round, so that what drifts hits all alike and a round's times can be
/// compared. One thread. The network has the experiment's sizes and initial
/// weights; what is timed does not depend on their values.
///
/// # Errors
/// [`Error::Compute`].
pub fn measure_cost(resolved: &Resolved, images: &Images) -> Result<Cost> {
    let compute = || Error::compute("timing the arms");
    let mut trainings = trainings(resolved, images, resolved.arms.len()).map_err(compute())?;
    let params = trainings[0].network().params();
    let batch: Vec<u32> = (0..resolved.settings.fine_tuning.batch_size as u32).collect();

    let mut arms: Vec<ArmCost> = resolved
        .plan
        .arms
        .iter()
        .zip(&resolved.arms)
        .map(|(arm, (weights, biases))| {
            let group = |config: &GroupConfig, kind| GroupCost {
                parameters: params
                    .iter()
                    .filter(|param| param.kind == kind)
                    .map(|param| param.var.elem_count() as u64)
                    .sum(),
                per_parameter: counted(config, resolved.steps_per_epoch()),
            };
            ArmCost {
                arm: arm.name.clone(),
                weights: group(weights, ParamKind::Weight),
                biases: group(biases, ParamKind::Bias),
                update_seconds: Vec::new(),
                step_seconds: Vec::new(),
            }
        })
        .collect();

    // The first round warms up and is not kept.
    for round in 0..=ROUNDS {
        for turn in 0..arms.len() {
            let index = (turn + round) % arms.len();
            let training = &mut trainings[index];
            let clock = Instant::now();
            training.step(black_box(&[&batch])).map_err(compute())?;
            let step = clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            // Whole periods, so that what a rule does once in many updates has its share.
            let (weights, biases) = &resolved.arms[index];
            let periods =
                [weights, biases].map(|group| group.rule.period(resolved.steps_per_epoch()));
            let updates = UPDATES.max(periods[0]).max(periods[1]);
            for _ in 0..updates {
                training.update().map_err(compute())?;
            }
            let update = clock.elapsed().as_secs_f64() / updates as f64;
            if round > 0 {
                arms[index].step_seconds.push(step);
                arms[index].update_seconds.push(update);
            }
        }
    }
    Ok(Cost {
        schema: SCHEMA,
        experiment_hash: resolved.plan.experiment_hash.clone(),
        data_sha256: resolved.plan.data.sha256.clone(),
        environment: environment(1),
        parameters: arms
            .first()
            .map_or(0, |arm| arm.weights.parameters + arm.biases.parameters),
        steps_per_epoch: resolved.steps_per_epoch(),
        arms,
    })
}

/// Arithmetic operations a second of a training step, on one thread, as
/// [`Work`](crate::Work) counts them: half a second of steps is timed.
///
/// # Errors
/// [`Error::Compute`].
pub fn measure_rate(resolved: &Resolved, images: &Images) -> Result<f64> {
    let mut training = trainings(resolved, images, 1)
        .map_err(Error::compute("timing a step"))?
        .swap_remove(0);
    let batch: Vec<u32> = (0..resolved.settings.fine_tuning.batch_size as u32).collect();
    let mut clock = Instant::now();
    let mut steps = 0;
    // The first step warms up and is not counted.
    for step in 0.. {
        training
            .step(&[&batch])
            .map_err(Error::compute("timing a step"))?;
        if step == 0 {
            clock = Instant::now();
            continue;
        }
        steps += 1;
        if clock.elapsed().as_secs_f64() > 0.5 {
            break;
        }
    }
    Ok(resolved.work().step * f64::from(steps) / clock.elapsed().as_secs_f64())
}

/// A training of each of the first `count` arms, from the same initial weights.
fn trainings<'a>(
    resolved: &Resolved,
    images: &'a Images,
    count: usize,
) -> candle_core::Result<Vec<FineTuning<'a>>> {
    let settings = &resolved.settings;
    let initial = PreTrainingSettings {
        epochs: 0,
        ..settings.pre_training
    };
    let network =
        PreTraining::new(images, &settings.layer_sizes, initial, &[0])?.into_autoencoder()?;
    let fine = &settings.fine_tuning;
    (0..count)
        .map(|arm| {
            let optimizer = vec![resolved.optimizer(arm)];
            FineTuning::new(
                images,
                network.copy()?,
                optimizer,
                &[0],
                fine.batch_size,
                fine.loss,
                fine.gradient,
            )
        })
        .collect()
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
