//! Training as a whole: gradients against candle's autograd, replicas against
//! runs of their own, resumed against uninterrupted.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::ControlFlow;

use adamix_autoencoder::dataset::Images;
use adamix_autoencoder::random::{Purpose, Stream};
use adamix_autoencoder::{
    Activation, Autoencoder, FineTuning, Loss, PreTraining, PreTrainingSettings, Reduction,
    Workspace,
};
use adamix_optim::rules::{Adagrad, AdamixW1, AdamixW4, Sgd};
use adamix_optim::{GroupConfig, OptimizerConfig, ParamKind, Per, Rule, Schedule};
use candle_core::{DType, Device, Result, Tensor};

const SIZES: [usize; 4] = [784, 20, 9, 4];

/// Images with something to learn: a bright block whose place depends on the index.
fn images(count: usize) -> Images {
    let mut stream = Stream::new(7, Purpose::Curves, 0);
    let mut pixels = vec![0u8; count * 784];
    for (index, image) in pixels.chunks_exact_mut(784).enumerate() {
        let (row, column) = (4 * (index % 5), 4 * (index / 5 % 5));
        for (at, pixel) in image.iter_mut().enumerate() {
            let inside =
                (row..row + 8).contains(&(at / 28)) && (column..column + 8).contains(&(at % 28));
            *pixel = if inside {
                200 + stream.below(50) as u8
            } else {
                stream.below(20) as u8
            };
        }
    }
    Images {
        pixels,
        labels: Vec::new(),
    }
}

fn settings() -> PreTrainingSettings {
    PreTrainingSettings {
        epochs: 2,
        batch_size: 10,
        momentum_epochs: 1,
        ..PreTrainingSettings::default()
    }
}

fn on() -> impl FnMut() -> ControlFlow<()> {
    || ControlFlow::Continue(())
}

fn pre_trained(images: &Images, seeds: &[u64]) -> Result<Autoencoder> {
    let mut pre_training = PreTraining::new(images, &SIZES, settings(), seeds, &Device::Cpu)?;
    while pre_training.epoch(&mut on())?.is_some() {}
    pre_training.into_autoencoder()
}

fn adamix() -> OptimizerConfig {
    OptimizerConfig {
        weights: GroupConfig {
            rule: Rule::AdamixW1(AdamixW1 { k: 1.0 }),
            schedule: Schedule::Constant { learning_rate: 0.1 },
        },
        biases: GroupConfig {
            rule: Rule::Sgd(Sgd {}),
            schedule: Schedule::Power {
                learning_rate: 0.1,
                r: 20.0,
                c: 0.75,
                per: Per::Update,
            },
        },
        steps_per_epoch: 5,
    }
}

fn uniform(rule: Rule) -> OptimizerConfig {
    OptimizerConfig::uniform(
        GroupConfig {
            rule,
            schedule: Schedule::Constant { learning_rate: 0.1 },
        },
        5,
    )
}

fn fine_tuning<'a>(
    images: &'a Images,
    network: Autoencoder,
    seeds: &[u64],
    optimizers: Vec<OptimizerConfig>,
) -> Result<FineTuning<'a>> {
    FineTuning::new(
        images,
        network,
        optimizers,
        seeds,
        10,
        Loss::CrossEntropy,
        Reduction::Mean,
    )
}

/// Every parameter's bits, of one replica.
fn bits(network: &Autoencoder, replica: usize) -> Vec<u32> {
    let params = network.params().into_iter();
    params
        .flat_map(|param| {
            param
                .var
                .get(replica)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        })
        .map(f32::to_bits)
        .collect()
}

fn copied(state: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    state
        .into_iter()
        .map(|(key, tensor)| (key, tensor.copy().unwrap()))
        .collect()
}

#[test]
fn gradients_are_those_of_candles_autograd() -> Result<()> {
    let images = images(12);
    let network = pre_trained(&images, &[3, 4])?;
    let mut workspace = Workspace::new(&network, 6)?;
    workspace.load_images(&images, &[&[0, 1, 2, 3, 4, 5], &[6, 7, 8, 9, 10, 11]])?;
    workspace.forward(&network)?;
    for loss in [Loss::CrossEntropy, Loss::SquaredError] {
        workspace.backward(&network, loss, Reduction::Mean)?;
        let x = workspace.input().clone();
        let mut y = x.clone();
        for layer in network.layers() {
            y = y
                .matmul(&layer.weights)?
                .broadcast_add(&layer.biases.unsqueeze(1)?)?;
            if layer.activation == Activation::Logistic {
                y = candle_nn::ops::sigmoid(&y)?;
            }
        }
        let terms = match loss {
            Loss::CrossEntropy => {
                ((&x * y.log()?)? + (x.affine(-1.0, 1.0)? * y.affine(-1.0, 1.0)?.log()?)?)?.neg()?
            }
            Loss::SquaredError => (&y - &x)?.sqr()?,
        };
        // Replicas know nothing of each other, so the sum over them has their gradients.
        let total = (terms.sum_all()? / 6.0)?;
        let expected = workspace.losses(loss, Reduction::Mean)?.iter().sum::<f64>();
        assert!((f64::from(total.to_scalar::<f32>()?) - expected).abs() < 1e-4 * expected);
        let store = total.backward()?;
        for (param, gradient) in network.params().iter().zip(workspace.gradients()) {
            let expected = store
                .get(&param.var)
                .unwrap()
                .flatten_all()?
                .to_vec1::<f32>()?;
            let found = gradient.flatten_all()?.to_vec1::<f32>()?;
            let largest = expected
                .iter()
                .fold(0f32, |max, value| max.max(value.abs()));
            assert!(largest > 0.0);
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= 2e-5 * largest,
                    "{}: {found} {expected}",
                    param.name
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_replica_has_the_bits_of_a_run_of_its_own() -> Result<()> {
    let images = images(53); // not a whole number of batches
    let seeds = [5, 6, 7];
    let optimizers = vec![
        adamix(),
        uniform(Rule::Adagrad(Adagrad::default())),
        uniform(Rule::AdamixW4(AdamixW4::default())),
    ];
    let network = pre_trained(&images, &seeds)?;
    let start = network.copy()?;
    let mut together = fine_tuning(&images, network, &seeds, optimizers.clone())?;
    for _ in 0..2 {
        assert!(together.epoch(&mut on())?);
    }
    assert_eq!((together.epochs(), together.updates()), (2, 10));
    let mut workspace = Workspace::new(&start, 8)?;
    let errors = together
        .network()
        .reconstruction_errors(&images, &mut workspace)?;
    for (index, seed) in seeds.iter().enumerate() {
        let alone = pre_trained(&images, &[*seed])?;
        assert_eq!(
            bits(&alone, 0),
            bits(&start, index),
            "pre-training, seed {seed}"
        );
        let mut alone = fine_tuning(&images, alone, &[*seed], vec![optimizers[index]])?;
        for _ in 0..2 {
            assert!(alone.epoch(&mut on())?);
        }
        assert_eq!(
            bits(alone.network(), 0),
            bits(together.network(), index),
            "fine-tuning, seed {seed}"
        );
        assert_ne!(bits(alone.network(), 0), bits(&start, index));
        assert_eq!(
            alone.gradient_medians()?[0],
            together.gradient_medians()?[index]
        );
        assert_eq!(
            alone.learning_rate(0, ParamKind::Bias),
            together.learning_rate(index, ParamKind::Bias)
        );
        let mut workspace = Workspace::new(alone.network(), 8)?;
        assert_eq!(
            alone
                .network()
                .reconstruction_errors(&images, &mut workspace)?,
            [errors[index]]
        );
    }
    Ok(())
}

#[test]
fn training_learns() -> Result<()> {
    let images = images(200);
    let mut pre_training = PreTraining::new(
        &images,
        &SIZES,
        PreTrainingSettings {
            epochs: 10,
            ..settings()
        },
        &[1],
        &Device::Cpu,
    )?;
    let mut errors = Vec::new();
    while let Some(epoch) = pre_training.epoch(&mut on())? {
        errors.push((epoch.layer, epoch.epoch, epoch.errors[0]));
    }
    assert_eq!(errors.len(), 30);
    assert_eq!(
        (errors[9].0, errors[9].1, errors[10].0, errors[10].1),
        (0, 10, 1, 1)
    );
    assert!(errors[9].2 < 0.8 * errors[0].2, "{errors:?}");
    let network = pre_training.into_autoencoder()?;
    let mut workspace = Workspace::new(&network, 64)?;
    let before = network.reconstruction_errors(&images, &mut workspace)?[0];
    let mut training = fine_tuning(
        &images,
        network,
        &[1],
        vec![uniform(Rule::Adagrad(Adagrad::default()))],
    )?;
    for _ in 0..10 {
        training.epoch(&mut on())?;
    }
    let after = training
        .network()
        .reconstruction_errors(&images, &mut workspace)?[0];
    assert!(after < 0.8 * before, "{before} {after}");
    // The error does not depend on how the images are cut into batches, beyond rounding.
    let mut other = Workspace::new(training.network(), 7)?;
    let again = training
        .network()
        .reconstruction_errors(&images, &mut other)?[0];
    assert!((again - after).abs() < 1e-6 * after, "{again} {after}");
    // It is that of the outputs.
    let outputs = training
        .network()
        .outputs(&images, 5, &mut workspace)?
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    let by_hand: f64 = outputs
        .iter()
        .zip(&images.pixels)
        .map(|(y, x)| (y - f64::from(*x) / 255.0).powi(2))
        .sum::<f64>()
        / 200.0;
    assert!((by_hand - after).abs() < 1e-6 * after, "{by_hand} {after}");
    Ok(())
}

#[test]
fn resumed_training_has_the_bits_of_an_uninterrupted_one() -> Result<()> {
    let images = images(50);
    let whole = pre_trained(&images, &[8, 9])?;
    // Pre-training broken off after every number of epochs.
    for epochs in 0..=6 {
        let mut first = PreTraining::new(&images, &SIZES, settings(), &[8, 9], &Device::Cpu)?;
        for _ in 0..epochs {
            assert!(first.epoch(&mut on())?.is_some());
        }
        assert_eq!(first.progress(), (epochs, 6));
        // The two change places: a state is that of a replica, wherever it was.
        let states = [copied(first.state(1)?), copied(first.state(0)?)];
        let mut second = PreTraining::new(&images, &SIZES, settings(), &[9, 8], &Device::Cpu)?;
        second.restore(&states.each_ref())?;
        assert_eq!(second.progress(), (epochs, 6));
        while second.epoch(&mut on())?.is_some() {}
        assert_eq!(
            bits(&second.into_autoencoder()?, 0),
            bits(&whole, 1),
            "after {epochs} epochs"
        );
    }
    // Fine-tuning.
    let rule = uniform(Rule::Adagrad(Adagrad::default()));
    let mut one = fine_tuning(&images, whole.copy()?, &[8, 9], vec![rule, adamix()])?;
    one.epoch(&mut on())?;
    let states = [copied(one.state(1)?), copied(one.state(0)?)];
    one.epoch(&mut on())?;
    let start = Autoencoder::stack(&[whole.replica(1)?, whole.replica(0)?])?;
    let mut two = fine_tuning(&images, start.copy()?, &[9, 8], vec![adamix(), rule])?;
    two.restore(&states.each_ref())?;
    assert_eq!((two.epochs(), two.updates()), (1, 5));
    two.epoch(&mut on())?;
    assert_eq!(bits(one.network(), 0), bits(two.network(), 1));
    assert_eq!(bits(one.network(), 1), bits(two.network(), 0));
    // Not from states after different numbers of epochs, nor from too few.
    let mut three = fine_tuning(&images, start, &[9, 8], vec![adamix(), rule])?;
    let later = copied(two.state(1)?);
    let error = three
        .restore(&[&states[0], &later])
        .unwrap_err()
        .to_string();
    assert!(error.contains("equally many"), "{error}");
    let error = three.restore(&[&states[0]]).unwrap_err().to_string();
    assert!(!error.is_empty());
    Ok(())
}

#[test]
fn a_step_can_be_the_last() -> Result<()> {
    let images = images(50);
    let mut steps = 0;
    let mut stop = || {
        steps += 1;
        if steps == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut training = fine_tuning(&images, pre_trained(&images, &[1])?, &[1], vec![adamix()])?;
    assert!(!training.epoch(&mut stop)?);
    assert_eq!((training.epochs(), training.updates()), (0, 3));
    Ok(())
}

#[test]
fn without_pre_training_the_network_is_the_initial_weights() -> Result<()> {
    let images = images(20);
    let none = PreTrainingSettings {
        epochs: 0,
        ..settings()
    };
    let pre_training = PreTraining::new(&images, &SIZES, none, &[1], &Device::Cpu)?;
    assert!(pre_training.is_done());
    let network = pre_training.into_autoencoder()?;
    let mut drawn = vec![0f32; 784 * 20];
    Stream::new(1, Purpose::InitialWeights, 0).fill_normal(&mut drawn);
    let expected: Vec<f32> = drawn.into_iter().map(|x| x * 0.1).collect();
    assert_eq!(
        network.layers()[0]
            .weights
            .flatten_all()?
            .to_vec1::<f32>()?,
        expected
    );
    let back = network.layers()[5]
        .weights
        .transpose(1, 2)?
        .contiguous()?
        .flatten_all()?
        .to_vec1::<f32>()?;
    assert_eq!(back, expected);
    let activations: Vec<_> = network
        .layers()
        .iter()
        .map(|layer| layer.activation)
        .collect();
    use Activation::{Linear, Logistic};
    assert_eq!(
        activations,
        [Logistic, Logistic, Linear, Logistic, Logistic, Logistic]
    );
    Ok(())
}

#[test]
fn wrong_settings_are_errors() -> Result<()> {
    let images = images(20);
    let error = |result: Result<()>| result.unwrap_err().to_string();
    let pre = |sizes: &[usize], settings, seeds: &[u64]| {
        PreTraining::new(&images, sizes, settings, seeds, &Device::Cpu).map(drop)
    };
    assert!(error(pre(&[784], settings(), &[1])).contains("layer sizes [784]"));
    assert!(error(pre(&[784, 0], settings(), &[1])).contains("none of them 0"));
    assert!(error(pre(&[100, 5], settings(), &[1])).contains("784 pixels for an input of 100"));
    assert!(error(pre(&SIZES, settings(), &[])).contains("needs a seed"));
    let large = PreTrainingSettings {
        batch_size: 21,
        ..settings()
    };
    assert!(error(pre(&SIZES, large, &[1])).contains("batches of 21 from 20 images"));
    let network = pre_trained(&images, &[1])?;
    let mut workspace = Workspace::new(&network, 2)?;
    assert!(error(workspace.load_images(&images, &[&[20]])).contains("beyond the last of 20"));
    assert!(error(workspace.load_images(&images, &[&[1, 2, 3]])).contains("for 1 replicas of 2"));
    let mut training = fine_tuning(&images, network, &[1], vec![adamix()])?;
    assert!(error(training.restore(&[&HashMap::new()])).contains("lacks `parameter.0.weights`"));
    Ok(())
}

/// A step that uses each part of a gradient as it is computed, and one that
/// computes all gradients and updates then, under every rule, also across the
/// end of an epoch, where some rules do more.
#[test]
fn both_steps_give_the_same_bits() -> Result<()> {
    let images = images(40);
    for rule in Rule::all() {
        let group = GroupConfig {
            rule,
            schedule: Schedule::Constant {
                learning_rate: 0.01,
            },
        };
        let training = || -> Result<FineTuning<'_>> {
            let network = pre_trained(&images, &[1, 2])?;
            let optimizers = vec![OptimizerConfig::uniform(group, 3); 2];
            fine_tuning(&images, network, &[1, 2], optimizers)
        };
        let (mut at_once, mut in_turn) = (training()?, training()?);
        let batches: [Vec<u32>; 2] = [(0..10).collect(), (10..20).collect()];
        let batches: [&[u32]; 2] = [&batches[0], &batches[1]];
        for step in 0..7 {
            at_once.step(&batches)?;
            in_turn.step_with_gradients(&batches)?;
            for replica in 0..2 {
                assert_eq!(
                    bits(at_once.network(), replica),
                    bits(in_turn.network(), replica),
                    "{} after step {step}",
                    rule.name()
                );
            }
        }
        assert_eq!(at_once.updates(), in_turn.updates());
    }
    Ok(())
}
