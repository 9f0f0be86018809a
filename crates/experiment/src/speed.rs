use std::time::Instant;

use adamix_autoencoder::ceiling;
use adamix_autoencoder::dataset::Images;
use adamix_record::Ceilings;
use candle_core::{Device, Result, Tensor};
use serde::Serialize;

use crate::cost::training;
use crate::plan::{Series, SeriesArm};
use crate::run::first;
use crate::starts::out_of_memory;

/// How fast so many runs of an arm train in lockstep.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Speed {
    /// The arm.
    pub arm: String,
    /// Runs in lockstep.
    pub replicas: usize,
    /// Steps a second, those of all runs added up.
    pub steps_per_second: f64,
    /// Share of the product rate that the step's products alone come to.
    pub of_product_rate: f64,
    /// Seconds of one update of all runs.
    pub update_seconds: f64,
    /// Share of the copy rate that the update's bytes come to.
    pub of_copy_rate: f64,
}

/// Steps timed together; that many batches of images are on the device.
const STEPS: usize = 50;

/// Updates timed together.
const UPDATES: usize = 20;

/// Times what `device` reaches by itself: the best of five.
///
/// # Errors
/// candle's.
pub fn ceilings(device: &Device) -> Result<Ceilings> {
    if device.is_cpu() {
        let mut triad = ceiling::Triad::default();
        let operations = best(device, || {
            ceiling::multiply_add();
            Ok(())
        })?;
        let bytes = best(device, || {
            triad.pass();
            Ok(())
        })?;
        return Ok(Ceilings {
            operations_per_second: ceiling::OPERATIONS / operations,
            bytes_per_second: ceiling::BYTES / bytes,
        });
    }
    let size: usize = 8192;
    // Different numbers: of equal ones a device needs less power, and may run faster.
    let numbers = (0..size * size).map(|i| (i * 2_654_435_761 % 1_000_003) as f32 * 1e-6);
    let matrix = Tensor::from_iter(numbers, device)?.reshape((size, size))?;
    let product = best(device, || matrix.matmul(&matrix).map(drop))?;
    let bytes = matrix.elem_count() as f64 * 4.0;
    let copy = best(device, || matrix.copy().map(drop))?;
    Ok(Ceilings {
        operations_per_second: 2.0 * (size as f64).powi(3) / product,
        bytes_per_second: 2.0 * bytes / copy,
    })
}

/// The shortest of five times, after one that is not counted.
fn best(device: &Device, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for round in 0..6 {
        device.synchronize()?;
        let clock = Instant::now();
        work()?;
        device.synchronize()?;
        if round > 0 {
            best = best.min(clock.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

/// Times the training of each of these cohorts of an arm, from the smallest on,
/// until memory ends; calls `measured` with each.
///
/// # Errors
/// candle's, other than that memory is not enough.
pub fn measure_speed(
    series: &Series,
    arm: &SeriesArm,
    images: &Images,
    cohorts: &[usize],
    ceilings: &Ceilings,
    measured: &mut dyn FnMut(Speed),
) -> Result<()> {
    let images = first(images, STEPS * series.settings.fine_tuning.batch_size);
    for replicas in cohorts {
        match speed(series, arm, &images, *replicas, ceilings) {
            Ok(speed) => measured(speed),
            Err(error) if out_of_memory(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn speed(
    series: &Series,
    arm: &SeriesArm,
    images: &Images,
    replicas: usize,
    ceilings: &Ceilings,
) -> Result<Speed> {
    let mut training = training(series, arm, images, replicas)?;
    let steps = (images.count() / series.settings.fine_tuning.batch_size) as f64;
    let mut shortest = f64::INFINITY;
    // The first epoch compiles and warms up.
    for epoch in 0..4 {
        let clock = Instant::now();
        training.epoch(&mut || std::ops::ControlFlow::Continue(()))?;
        if epoch > 0 {
            shortest = shortest.min(clock.elapsed().as_secs_f64() / steps);
        }
    }
    let mut update = f64::INFINITY;
    for _ in 0..3 {
        training.wait()?;
        let clock = Instant::now();
        for _ in 0..UPDATES {
            training.update()?;
        }
        training.wait()?;
        update = update.min(clock.elapsed().as_secs_f64() / UPDATES as f64);
    }
    let steps_per_epoch = series.steps_per_epoch();
    let bytes: f64 = training
        .network()
        .params()
        .iter()
        .map(|param| {
            let group = match param.kind {
                adamix_optim::ParamKind::Weight => &arm.weights,
                adamix_optim::ParamKind::Bias => &arm.biases,
            };
            let cost = group.rule.cost(steps_per_epoch);
            4.0 * (cost.loads + cost.stores) * param.var.elem_count() as f64
        })
        .sum();
    let replicas_per_second = replicas as f64 / shortest;
    Ok(Speed {
        arm: arm.name.clone(),
        replicas,
        steps_per_second: replicas_per_second,
        of_product_rate: replicas_per_second * series.work().step / ceilings.operations_per_second,
        update_seconds: update,
        of_copy_rate: bytes / update / ceilings.bytes_per_second,
    })
}
