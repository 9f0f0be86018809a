//! Training allocates its memory before the first step, none in a step.
//!
//! Not counted is what candle asks for whenever a tensor's memory is borrowed
//! to be written: one piece of at most 64 bytes, for its strides. No number
//! that is computed with stands in so little.

// The count is of a test, not of the library.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;

use adamix_autoencoder::dataset::Images;
use adamix_autoencoder::{
    Activation, Autoencoder, CdSettings, CdWorkspace, FineTuning, Layer, Loss, PreTraining,
    PreTrainingSettings, Rbm, Reduction, kernel_name,
};
use adamix_optim::{GroupConfig, OptimizerConfig, Rule, Schedule};
use candle_core::{DType, Device, Result, Tensor, Var};

/// Bytes of the largest piece that is not counted.
const CANDLE: usize = 64;

/// The system's allocator, which counts the pieces that each thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count(size: usize) {
    if size > CANDLE {
        // Where a thread ends its own memory is gone already.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: every call goes on to the system's allocator as it came; counting
// neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` asks for more than [`CANDLE`] bytes.
fn allocations(f: impl FnOnce() -> Result<()>) -> usize {
    let before = COUNT.get();
    f().unwrap();
    COUNT.get() - before
}

const SIZES: [usize; 3] = [784, 60, 20];
const BATCH: usize = 30;

fn images() -> Images {
    Images {
        pixels: (0..100 * 784).map(|i| (i * 7 % 251) as u8).collect(),
        labels: Vec::new(),
    }
}

fn network(images: &Images, dtype: DType) -> Result<Autoencoder> {
    let initial = PreTrainingSettings {
        epochs: 0,
        batch_size: BATCH,
        ..PreTrainingSettings::default()
    };
    let network =
        PreTraining::new(images, &SIZES, initial, &[0], &Device::Cpu)?.into_autoencoder()?;
    let of = |var: &Var| Var::from_tensor(&var.to_dtype(dtype)?);
    let layers = network.layers().iter().map(|layer| {
        Ok(Layer {
            weights: of(&layer.weights)?,
            biases: of(&layer.biases)?,
            activation: layer.activation,
        })
    });
    Autoencoder::new(layers.collect::<Result<_>>()?)
}

/// Allocations of the second step on, under `rule`.
fn of_three_steps(rule: Rule, dtype: DType) -> Result<usize> {
    let images = images();
    let group = GroupConfig {
        rule,
        schedule: Schedule::Constant {
            learning_rate: 0.01,
        },
    };
    let mut training = FineTuning::new(
        &images,
        network(&images, dtype)?,
        vec![OptimizerConfig::uniform(group, 2)],
        &[0],
        BATCH,
        Loss::CrossEntropy,
        Reduction::Mean,
    )?;
    let batch: Vec<u32> = (0..BATCH as u32).collect();
    training.step(&[&batch])?;
    training.step_with_gradients(&[&batch])?;
    Ok(allocations(|| {
        training.step(&[&batch])?;
        training.step_with_gradients(&[&batch])?;
        training.step(&[&batch])
    }))
}

/// Whether products of `f32` are the own kernel's on this processor.
fn own_kernel() -> bool {
    kernel_name().starts_with("adamix")
}

#[test]
fn a_step_allocates_nothing() -> Result<()> {
    for rule in Rule::all() {
        if own_kernel() {
            assert_eq!(of_three_steps(rule, DType::F32)?, 0, "{}", rule.name());
        }
    }
    Ok(())
}

/// The library, which multiplies where the own kernel does not, asks for
/// memory to pack in once or twice a product: 39 times in three steps of four
/// layers, each four products forward, four for the gradients of the weights
/// and three for derivatives.
#[test]
fn the_library_allocates_at_most_twice_a_product() -> Result<()> {
    let found = of_three_steps(Rule::all()[0], DType::F64)?;
    assert!(found <= 3 * 11 * 2, "{found}");
    Ok(())
}

#[test]
fn a_contrastive_divergence_step_allocates_nothing() -> Result<()> {
    if !own_kernel() {
        return Ok(());
    }
    for hidden in [Activation::Logistic, Activation::Linear] {
        let mut rbm = Rbm::new(
            Tensor::zeros((1, 784, 60), DType::F32, &Device::Cpu)?,
            hidden,
        )?;
        let mut workspace = CdWorkspace::new(&rbm, BATCH)?;
        let settings = CdSettings {
            learning_rate: 0.1,
            momentum: 0.5,
            weight_cost: 2e-4,
        };
        rbm.update(&mut workspace, settings)?;
        let found = allocations(|| rbm.update(&mut workspace, settings).map(|_| ()));
        assert_eq!(found, 0);
    }
    Ok(())
}

/// Whole epochs: their number of steps adds nothing to what is allocated.
#[test]
fn only_the_beginning_of_an_epoch_allocates() -> Result<()> {
    if !own_kernel() {
        return Ok(());
    }
    let images = images();
    let mut on = || ControlFlow::Continue(());
    let mut found = Vec::new();
    for batch_size in [10, 25] {
        let settings = PreTrainingSettings {
            batch_size,
            ..PreTrainingSettings::default()
        };
        let mut training = PreTraining::new(&images, &SIZES, settings, &[0], &Device::Cpu)?;
        training.epoch(&mut on)?;
        found.push(allocations(|| training.epoch(&mut on).map(|_| ())));
    }
    for batch_size in [10, 25] {
        let group = GroupConfig {
            rule: Rule::all()[0],
            schedule: Schedule::Constant {
                learning_rate: 0.01,
            },
        };
        let mut training = FineTuning::new(
            &images,
            network(&images, DType::F32)?,
            vec![OptimizerConfig::uniform(group, 2)],
            &[0],
            batch_size,
            Loss::CrossEntropy,
            Reduction::Mean,
        )?;
        training.epoch(&mut on)?;
        found.push(allocations(|| training.epoch(&mut on).map(|_| ())));
    }
    assert_eq!((found[0], found[2]), (found[1], found[3]), "{found:?}");
    Ok(())
}
