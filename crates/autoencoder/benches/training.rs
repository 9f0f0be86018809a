//! Time of a fine-tuning step and its parts, of every rule's update, of CD-1,
//! of an evaluation and of loading, on one thread: `cargo xtask bench`.
//!
//! Times of different machines, or of one machine on different days, are not
//! comparable; ratios within one run are.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS, idx};
use adamix_autoencoder::{
    Autoencoder, CdSettings, CdWorkspace, FineTuning, Loss, PreTraining, PreTrainingSettings, Rbm,
    Reduction, Workspace,
};
use adamix_optim::{GroupConfig, OptimizerConfig, Rule, Schedule};
use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 5] = [784, 1000, 500, 250, 30];

fn images(count: usize) -> Images {
    Images {
        pixels: (0..count * PIXELS)
            .map(|i| ((i * 2_654_435_761) >> 13) as u8)
            .collect(),
        labels: Vec::new(),
    }
}

fn network(images: &Images) -> Autoencoder {
    let initial = PreTrainingSettings {
        epochs: 0,
        ..PreTrainingSettings::default()
    };
    PreTraining::new(images, &SIZES, initial, &[0], &Device::Cpu)
        .unwrap()
        .into_autoencoder()
        .unwrap()
}

fn config(rule: Rule) -> OptimizerConfig {
    OptimizerConfig::uniform(
        GroupConfig {
            rule,
            schedule: Schedule::Constant {
                learning_rate: 1e-3,
            },
        },
        600,
    )
}

fn training(criterion: &mut Criterion) {
    let images = images(1000);
    let network = network(&images);
    let parameters: usize = network
        .params()
        .iter()
        .map(|param| param.var.elem_count())
        .sum();
    for batch in [100, 1000] {
        let indices: Vec<u32> = (0..batch as u32).collect();
        let mut group = criterion.benchmark_group(format!("batch {batch}"));
        group.sample_size(10);
        let mut workspace = Workspace::new(&network, batch).unwrap();
        workspace.load_images(&images, &[&indices]).unwrap();
        group.bench_function("forward", |b| {
            b.iter(|| workspace.forward(&network).unwrap())
        });
        group.bench_function("backward", |b| {
            b.iter(|| {
                workspace
                    .backward(&network, Loss::CrossEntropy, Reduction::Mean)
                    .unwrap()
            });
        });
        for name in ["adagrad", "adamix-w1", "adadec"] {
            let rule = Rule::all()
                .into_iter()
                .find(|rule| rule.name() == name)
                .unwrap();
            let mut training = FineTuning::new(
                &images,
                network.copy().unwrap(),
                vec![config(rule)],
                &[0],
                batch,
                Loss::CrossEntropy,
                Reduction::Mean,
            )
            .unwrap();
            group.bench_function(format!("step, {name}"), |b| {
                b.iter(|| training.step(black_box(&[&indices])).unwrap())
            });
        }
        group.bench_function("loading the batch", |b| {
            b.iter(|| workspace.load_images(&images, &[&indices]).unwrap())
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group("update");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(parameters as u64));
    let indices: Vec<u32> = (0..100).collect();
    for rule in Rule::all() {
        let mut training = FineTuning::new(
            &images,
            network.copy().unwrap(),
            vec![config(rule)],
            &[0],
            100,
            Loss::CrossEntropy,
            Reduction::Mean,
        )
        .unwrap();
        training.step_with_gradients(&[&indices]).unwrap();
        group.bench_function(rule.name(), |b| b.iter(|| training.update().unwrap()));
    }
    group.finish();
    let mut group = criterion.benchmark_group("evaluation");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(images.count() as u64));
    let mut workspace = Workspace::new(&network, 500).unwrap();
    group.bench_function("1000 images", |b| {
        b.iter(|| {
            network
                .reconstruction_errors(&images, &mut workspace)
                .unwrap()
        });
    });
    group.finish();
}

fn pre_training(criterion: &mut Criterion) {
    let weights = Tensor::randn(0f32, 0.1, (1, 784, 1000), &Device::Cpu).unwrap();
    let mut rbm = Rbm::new(weights, adamix_autoencoder::Activation::Logistic).unwrap();
    let mut workspace = CdWorkspace::new(&rbm, 100).unwrap();
    workspace.v0 = Tensor::rand(0f32, 1.0, (1, 100, 784), &Device::Cpu).unwrap();
    workspace.noise = Tensor::rand(0f32, 1.0, (1, 100, 1000), &Device::Cpu).unwrap();
    let settings = CdSettings {
        learning_rate: 1e-3,
        momentum: 0.5,
        weight_cost: 2e-4,
    };
    let mut group = criterion.benchmark_group("pre-training");
    group.sample_size(10);
    group.bench_function("CD-1, 784-1000, batch 100", |b| {
        b.iter(|| rbm.update(&mut workspace, settings).unwrap()[0])
    });
    group.finish();
}

/// MNIST-sized files, as they lie in the cache, read and hashed.
fn loading(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let labelled = |count: usize| Images {
        labels: (0..count).map(|i| (i % 10) as u8).collect(),
        ..images(count)
    };
    let dataset = Dataset {
        name: "made-up".to_owned(),
        train: labelled(60_000),
        test: labelled(10_000),
    };
    for (name, bytes) in dataset.files() {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut group = criterion.benchmark_group("loading");
    group.sample_size(10);
    group.bench_function("70,000 images from the cache", |b| {
        b.iter(|| idx::read_folder(folder.path()).unwrap().sha256())
    });
    group.finish();
}

criterion_group!(benches, training, pre_training, loading);
criterion_main!(benches);
