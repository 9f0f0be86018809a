//! Our side of `cargo xtask bench --peers`: waits for the name of a case on
//! standard input, works at it for [`WINDOW`], answers with one line of JSON,
//! and so on. The peers in `benches/peers/` do the same, so that all can be
//! measured in turns.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    missing_docs
)]

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use adamix_autoencoder::dataset::idx::read_folder;
use adamix_autoencoder::dataset::{Images, PIXELS};
use adamix_autoencoder::{
    Autoencoder, FineTuning, Loss, PreTraining, PreTrainingSettings, Reduction, Workspace, ceiling,
    kernel_name,
};
use adamix_optim::{GroupConfig, GroupedOptimizer, OptimizerConfig, Rule, Schedule};
use candle_core::{Device, Tensor};

const WINDOW: Duration = Duration::from_millis(600);
const SIZES: [usize; 5] = [784, 1000, 500, 250, 30];
const IMAGES: usize = 10_000;

/// Copies of the network that are updated in turn, so that each has left the
/// caches when it comes again: 8 of 11 MB and as much gradient.
const COPIES: usize = 8;

fn main() {
    let images = Images {
        pixels: (0..IMAGES * PIXELS)
            .map(|i| ((i * 2_654_435_761) >> 13) as u8)
            .collect(),
        labels: Vec::new(),
    };
    // The study's images, of which most pixels are 0.
    let mnist = LazyCell::new(|| {
        let folder = std::env::var_os("ADAMIX_DATA").unwrap();
        let mut images = read_folder(folder.as_ref()).unwrap().train;
        images.pixels.truncate(IMAGES * PIXELS);
        images
    });
    let origin = Instant::now();
    let mut cases: BTreeMap<String, Case<'_>> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let name = line.unwrap();
        let case = cases.entry(name.clone()).or_insert_with(|| {
            let mut case = match name.strip_prefix("mnist ") {
                Some(name) => case(name, &mnist),
                None => case(&name, &images),
            };
            case(); // The first is slower.
            case
        });
        let (begun, clock) = (Instant::now(), processor_seconds(&origin));
        let mut rounds = 0.0;
        while begun.elapsed() < WINDOW {
            rounds += case();
        }
        println!(
            "{{\"seconds\": {:e}, \"version\": \"{}\"}}",
            (processor_seconds(&origin) - clock) / rounds,
            kernel_name()
        );
        std::io::stdout().flush().unwrap();
    }
}

/// Seconds that this thread has been running, so that what else the machine does
/// counts as little as can be; where the system does not tell, those since `origin`.
fn processor_seconds(origin: &Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| origin.elapsed().as_secs_f64(), |it| it / 1e9)
}

/// Does some rounds of a case and tells how many.
type Case<'a> = Box<dyn FnMut() -> f64 + 'a>;

fn case<'a>(name: &str, images: &'a Images) -> Case<'a> {
    match name.split_once(' ').unwrap_or((name, "")) {
        ("fma", _) => one(ceiling::multiply_add),
        ("triad", _) => triad(),
        ("step-100", rule) => step(images, rule, 100),
        ("step-1000", rule) => step(images, rule, 1000),
        ("cd-1", _) => contrastive_divergence(images),
        ("evaluation", _) => evaluation(images),
        ("update", rule) => update(images, rule),
        _ => panic!("no case `{name}`"),
    }
}

fn one<'a>(mut f: impl FnMut() + 'a) -> Case<'a> {
    Box::new(move || {
        f();
        1.0
    })
}

/// The seconds that 1e9 bytes take.
fn triad() -> Case<'static> {
    let mut triad = ceiling::Triad::default();
    // A round is 1e9 bytes.
    Box::new(move || {
        triad.pass();
        ceiling::BYTES / 1e9
    })
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

fn config(rule: &str) -> OptimizerConfig {
    let rule = Rule::all()
        .into_iter()
        .find(|known| known.name() == rule)
        .unwrap();
    let schedule = Schedule::Constant {
        learning_rate: 1e-3,
    };
    OptimizerConfig::uniform(GroupConfig { rule, schedule }, 600)
}

/// A whole step, from the images' bytes to the updated parameters.
fn step<'a>(images: &'a Images, rule: &str, batch: usize) -> Case<'a> {
    let mut training = FineTuning::new(
        images,
        network(images),
        vec![config(rule)],
        &[0],
        batch,
        Loss::CrossEntropy,
        Reduction::Mean,
    )
    .unwrap();
    let mut first = 0;
    one(move || {
        let batch: Vec<u32> = (first..first + batch as u32).collect();
        training.step(&[&batch]).unwrap();
        first = (first + batch.len() as u32) % IMAGES as u32;
    })
}

/// Steps of the first RBM as pre-training does them, with loading and noise.
fn contrastive_divergence(images: &Images) -> Case<'_> {
    let settings = PreTrainingSettings {
        epochs: 1_000_000,
        ..PreTrainingSettings::default()
    };
    let mut training = PreTraining::new(images, &SIZES, settings, &[0], &Device::Cpu).unwrap();
    Box::new(move || {
        let mut steps = 0.0;
        let mut count = || {
            steps += 1.0;
            ControlFlow::Continue(())
        };
        training.epoch(&mut count).unwrap();
        steps
    })
}

/// The reconstruction error of all images.
fn evaluation(images: &Images) -> Case<'_> {
    let network = network(images);
    let mut workspace = Workspace::new(&network, 500).unwrap();
    one(move || {
        network
            .reconstruction_errors(images, &mut workspace)
            .unwrap();
    })
}

/// Updates alone, of parameters that are in no cache.
fn update<'a>(images: &Images, rule: &str) -> Case<'a> {
    let start = network(images);
    let mut copies: Vec<(GroupedOptimizer, Vec<Tensor>)> = (0..COPIES)
        .map(|_| {
            let params = start.copy().unwrap().params();
            let gradients = params
                .iter()
                .map(|param| param.var.affine(1e-3, 0.0).unwrap())
                .collect();
            let optimizer = GroupedOptimizer::for_replicas(params, vec![config(rule)]).unwrap();
            (optimizer, gradients)
        })
        .collect();
    let mut next = 0;
    one(move || {
        let (optimizer, gradients) = &mut copies[next];
        optimizer.update(gradients).unwrap();
        next = (next + 1) % COPIES;
    })
}
