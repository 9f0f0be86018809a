use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use adamix_autoencoder::dataset::{Dataset, Images};
use adamix_autoencoder::{
    Autoencoder, FineTuning, Loss, PreTraining, PreTrainingSettings, Reduction, Workspace,
};
use adamix_optim::{
    GroupConfig, GroupedOptimizer, OptimizerConfig, Param, ParamKind, Per, Rule, Schedule,
    rules::{Adadec, AdamixW1, Sgd},
};
use candle_core::{Device, Result, Tensor, Var};

use crate::data::Found;
use crate::run::first;
use crate::{Error, Event, Experiment, Machine, Resolved, RunState, Store, run};

/// One comparison of what a device computes with what the processor does.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// The largest difference found, relative.
    pub difference: f64,
    /// What it may be at most.
    pub bound: f64,
}

impl Check {
    /// Whether the difference is within its bound; one that is not a number is not.
    pub fn holds(&self) -> bool {
        self.difference <= self.bound
    }
}

/// How large the comparisons of whole trainings are.
#[derive(Debug, Clone)]
pub struct CheckSettings {
    /// Units a layer from the image to the code.
    pub layer_sizes: Vec<usize>,
    /// Training images used, the first ones.
    pub images: usize,
    /// Images a batch.
    pub batch_size: usize,
    /// Epochs of fine-tuning, and of pre-training an RBM.
    pub epochs: u64,
    /// Runs in lockstep.
    pub cohort: usize,
}

/// Holds what `device` computes against the processor, part by part and in whole
/// trainings, and calls `checked` with each comparison when it is done.
///
/// The bounds: 1e-5 for one update, gradient or RBM step; 1 % for every epoch of
/// fine-tuning from one start, 1e-5 for the error before; 2 % for every epoch of
/// pre-training; 1e-3 for the parameters after an epoch alone and in a cohort, for
/// which cuBLAS may sum in another order; 1e-5 for a cohort that is resumed; and for
/// the median |g| of every layer, 1 %.
///
/// # Errors
/// candle's, where something does not run at all.
pub fn check(
    dataset: &Dataset,
    settings: &CheckSettings,
    device: &Device,
    checked: &mut dyn FnMut(Check),
) -> Result<()> {
    let images = first(&dataset.train, settings.images);
    let test = first(&dataset.test, settings.images);
    let place = Place {
        settings,
        images: &images,
        test: &test,
    };
    for rule in rules() {
        checked(Check {
            name: format!("rule {}", described(&rule)),
            difference: rule_difference(rule, device)?,
            bound: 1e-5,
        });
    }
    let start = place.pre_trained(&[0], 0, &Device::Cpu)?.0;
    for loss in [Loss::CrossEntropy, Loss::SquaredError] {
        for reduction in [Reduction::Mean, Reduction::Sum] {
            checked(Check {
                name: format!("gradients, {loss:?}, {reduction:?}"),
                difference: place.gradient_difference(&start, loss, reduction, device)?,
                bound: 1e-5,
            });
        }
    }
    checked(Check {
        name: "one CD-1 update of every RBM".to_owned(),
        difference: place.rbm_difference(device)?,
        bound: 1e-5,
    });
    let (on_cpu, cpu_errors) = place.pre_trained(&[0], settings.epochs, &Device::Cpu)?;
    let (_, device_errors) = place.pre_trained(&[0], settings.epochs, device)?;
    checked(Check {
        name: format!("pre-training, {} epochs", cpu_errors.len()),
        difference: largest(&cpu_errors, &device_errors),
        bound: 0.02,
    });
    place.curves(&on_cpu, device, checked)?;
    place.cohorts(&on_cpu, device, checked)
}

/// The images and sizes of the comparisons.
struct Place<'a> {
    settings: &'a CheckSettings,
    images: &'a Images,
    test: &'a Images,
}

impl Place<'_> {
    fn settings(&self, epochs: u64) -> PreTrainingSettings {
        PreTrainingSettings {
            epochs,
            batch_size: self.settings.batch_size,
            ..PreTrainingSettings::default()
        }
    }

    /// Pre-trained networks, one a seed, and the first seed's error after each epoch.
    fn pre_trained(
        &self,
        seeds: &[u64],
        epochs: u64,
        device: &Device,
    ) -> Result<(Autoencoder, Vec<f64>)> {
        let settings = self.settings(epochs);
        let sizes = &self.settings.layer_sizes;
        let mut training = PreTraining::new(self.images, sizes, settings, seeds, device)?;
        let mut errors = Vec::new();
        while let Some(epoch) = training.epoch(&mut go_on)? {
            errors.push(epoch.errors[0]);
        }
        Ok((training.into_autoencoder()?, errors))
    }

    /// After one batch a layer, every parameter and velocity of the stack.
    fn rbm_difference(&self, device: &Device) -> Result<f64> {
        let images = first(self.images, self.settings.batch_size);
        let state = |device: &Device| -> Result<HashMap<String, Tensor>> {
            let sizes = &self.settings.layer_sizes;
            let mut training = PreTraining::new(&images, sizes, self.settings(1), &[3], device)?;
            while training.epoch(&mut go_on)?.is_some() {}
            training.state(0)
        };
        states_difference(&state(&Device::Cpu)?, &state(device)?)
    }

    fn gradient_difference(
        &self,
        start: &Autoencoder,
        loss: Loss,
        reduction: Reduction,
        device: &Device,
    ) -> Result<f64> {
        let batch: Vec<u32> = (0..self.settings.batch_size as u32).collect();
        let gradients = |device: &Device| -> Result<Vec<Tensor>> {
            let network = start.to_device(device)?;
            let mut workspace = Workspace::new(&network, batch.len())?;
            workspace.load_images(self.images, &[&batch])?;
            workspace.forward(&network)?;
            workspace.backward(&network, loss, reduction)?;
            workspace
                .gradients()
                .iter()
                .map(|gradient| gradient.to_device(&Device::Cpu))
                .collect()
        };
        let (cpu, other) = (gradients(&Device::Cpu)?, gradients(device)?);
        let mut difference = 0f64;
        for (a, b) in cpu.iter().zip(&other) {
            difference = worse(difference, tensors_difference(a, b)?);
        }
        Ok(difference)
    }

    fn fine_tuning(
        &self,
        start: &Autoencoder,
        optimizers: &[OptimizerConfig],
        seeds: &[u64],
        device: &Device,
    ) -> Result<FineTuning<'_>> {
        FineTuning::new(
            self.images,
            start.to_device(device)?,
            optimizers.to_vec(),
            seeds,
            self.settings.batch_size,
            Loss::CrossEntropy,
            Reduction::Mean,
        )
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.images.count() / self.settings.batch_size) as u64
    }

    /// AdaMix, AdaGrad and AdaDec from one start, on the processor and the device.
    fn curves(
        &self,
        start: &Autoencoder,
        device: &Device,
        checked: &mut dyn FnMut(Check),
    ) -> Result<()> {
        for (name, optimizer) in optimizers(self.steps_per_epoch()) {
            let curve = |device: &Device| -> Result<(Vec<f64>, Vec<f64>)> {
                let mut training = self.fine_tuning(start, &[optimizer], &[0], device)?;
                let mut workspace = Workspace::new(training.network(), self.settings.batch_size)?;
                let mut errors = training
                    .network()
                    .reconstruction_errors(self.test, &mut workspace)?;
                let mut medians = Vec::new();
                for epoch in 0..self.settings.epochs {
                    training.epoch(&mut go_on)?;
                    errors.extend(
                        training
                            .network()
                            .reconstruction_errors(self.test, &mut workspace)?,
                    );
                    if epoch == 0 {
                        medians = training.gradient_medians()?[0].concat();
                    }
                }
                Ok((errors, medians))
            };
            let ((cpu, cpu_medians), (other, medians)) = (curve(&Device::Cpu)?, curve(device)?);
            checked(Check {
                name: format!("{name}: error before the first update"),
                difference: largest(&cpu[..1], &other[..1]),
                bound: 1e-5,
            });
            checked(Check {
                name: format!("{name}: error after each of {} epochs", cpu.len() - 1),
                difference: largest(&cpu[1..], &other[1..]),
                bound: 0.01,
            });
            checked(Check {
                name: format!("{name}: median |g| of every layer after an epoch"),
                difference: largest(&cpu_medians, &medians),
                bound: 0.01,
            });
        }
        Ok(())
    }

    /// Runs alone and in a cohort, and the cohort resumed.
    fn cohorts(
        &self,
        start: &Autoencoder,
        device: &Device,
        checked: &mut dyn FnMut(Check),
    ) -> Result<()> {
        let configs: Vec<OptimizerConfig> = optimizers(self.steps_per_epoch())
            .into_iter()
            .map(|(_, config)| config)
            .collect();
        let count = self.settings.cohort;
        let seeds: Vec<u64> = (0..count as u64).collect();
        let cohort: Vec<OptimizerConfig> = (0..count)
            .map(|replica| configs[replica % configs.len()])
            .collect();
        let all = Autoencoder::stack(&vec![start.clone(); count])?;
        let mut together = self.fine_tuning(&all, &cohort, &seeds, device)?;
        together.epoch(&mut go_on)?;
        // The last ones: of every rule one, each with an order of its own.
        let last = count.saturating_sub(configs.len())..count;
        for replica in last.clone() {
            let one = replica..replica + 1;
            let mut alone = self.fine_tuning(start, &cohort[one.clone()], &seeds[one], device)?;
            alone.epoch(&mut go_on)?;
            let rule = cohort[replica].weights.rule.name();
            checked(Check {
                name: format!("{rule}: a run alone and in a cohort of {count}, an epoch"),
                difference: states_difference(&alone.state(0)?, &together.state(replica)?)?,
                bound: 1e-3,
            });
        }
        let kept = (0..count).map(|replica| together.state(replica));
        let kept = kept.collect::<Result<Vec<_>>>()?;
        together.epoch(&mut go_on)?;
        let mut resumed = self.fine_tuning(&all, &cohort, &seeds, device)?;
        resumed.restore(&kept.iter().collect::<Vec<_>>())?;
        resumed.epoch(&mut go_on)?;
        let mut difference = 0f64;
        for replica in last {
            let (a, b) = (together.state(replica)?, resumed.state(replica)?);
            difference = worse(difference, states_difference(&a, &b)?);
        }
        checked(Check {
            name: format!("a cohort of {count} resumed after an epoch"),
            difference,
            bound: 1e-5,
        });
        Ok(())
    }
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// An experiment of eight runs, once with the device's memory free and once with
/// so little of it left that they do not fit together: the errors of both, and
/// whether the second was trained by halves.
///
/// # Errors
/// [`Error`], where a run of it does not end.
pub fn check_memory(
    found: &Found,
    settings: &CheckSettings,
    checked: &mut dyn FnMut(Check),
) -> crate::Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::store(&std::env::temp_dir(), e))?;
    let path = folder.path().join("memory.toml");
    let group = "{ rule = \"adagrad\", schedule = { kind = \"constant\", learning-rate = 0.1 } }";
    let text = format!(
        "title = \"Memory\"\nanalysis = \"None.\"\nseeds = [0, 1, 2, 3, 4, 5, 6, 7]\n\
         layer-sizes = {:?}\ntrain-images = {}\n[pre-training]\nepochs = 0\nbatch-size = {batch}\n\
         [fine-tuning]\nepochs = 1\nbatch-size = {batch}\n[[arm]]\nname = \"adagrad\"\n\
         label = \"AdaGrad\"\nrole = \"adagrad\"\nweights = {group}\nbiases = {group}\n",
        settings.layer_sizes,
        settings.images,
        batch = settings.batch_size,
    );
    std::fs::write(&path, text).map_err(|e| Error::store(&path, e))?;
    let experiment = Experiment::find(&path.to_string_lossy(), folder.path())?;
    let halved = AtomicUsize::new(0);
    let mut errors = Vec::new();
    for (name, tight) in [("free", false), ("tight", true)] {
        // As many as are asked for are tried, whatever is free.
        let machine = Machine::cuda(Some(8))?.trusting();
        let mut resolved = Resolved::new(&experiment, found, &machine)?;
        let reports = folder.path().join(name);
        let store = Store::new(&reports, &resolved.plan.name, &folder.path().join("cache"));
        let _lock = store.lock()?;
        let series = &resolved.protocols[0].series;
        let room = series.arms.first().map_or(0, |arm| series.bytes(arm)) * 5 / 2;
        let ballast = match tight {
            true => Some(
                machine
                    .ballast(room)
                    .map_err(Error::compute("filling the memory"))?,
            ),
            false => None,
        };
        run(
            &mut resolved,
            &found.dataset,
            &store,
            1,
            &AtomicBool::new(false),
            &|event| {
                if matches!(event, Event::Halved { .. }) && tight {
                    halved.fetch_add(1, Ordering::Relaxed);
                }
            },
        )?;
        drop(ballast);
        let mut of_runs = Vec::new();
        for planned in resolved.plan.runs() {
            let RunState::Finished(record) = store.state(&planned.run_id)? else {
                continue;
            };
            of_runs.extend(
                record
                    .evaluations
                    .iter()
                    .filter_map(|evaluation| evaluation.error()),
            );
        }
        errors.push(of_runs);
    }
    let by_halves = halved.into_inner() > 0;
    checked(Check {
        name: "eight runs in too little memory, by halves".to_owned(),
        difference: if by_halves {
            largest(&errors[0], &errors[1])
        } else {
            f64::NAN
        },
        bound: 1e-4,
    });
    Ok(())
}

/// Every rule, and AdaDec with a window.
fn rules() -> Vec<Rule> {
    let window = Adadec {
        tau: 5,
        ..Adadec::default()
    };
    let mut rules = Rule::all();
    rules.push(Rule::Adadec(window));
    rules
}

fn described(rule: &Rule) -> String {
    match rule {
        Rule::Adadec(adadec) => format!("{}, tau {}", rule.name(), adadec.tau),
        _ => rule.name().to_owned(),
    }
}

/// Twenty updates, seven an epoch, of two replicas with different rates.
fn rule_difference(rule: Rule, device: &Device) -> Result<f64> {
    let config = |learning_rate| {
        let group = GroupConfig {
            rule,
            schedule: Schedule::Power {
                learning_rate,
                r: 5.0,
                c: 0.75,
                per: Per::Update,
            },
        };
        OptimizerConfig::uniform(group, 7)
    };
    let shapes = [vec![2, 37, 211], vec![2, 211]];
    let numbers = |shape: &[usize], salt: usize, scale: f32| {
        let len = shape.iter().product::<usize>();
        let numbers = (0..len).map(|i| scale * ((i * 7919 + salt * 104_729) as f32 * 0.618).sin());
        Tensor::from_vec(numbers.collect(), shape, &Device::Cpu)
    };
    let trained = |device: &Device| -> Result<Vec<Tensor>> {
        let mut params = Vec::new();
        for (index, shape) in shapes.iter().enumerate() {
            params.push(Param {
                name: index.to_string(),
                kind: [ParamKind::Weight, ParamKind::Bias][index],
                var: Var::from_tensor(&numbers(shape, index, 1.0)?.to_device(device)?)?,
            });
        }
        let configs = vec![config(0.1), config(0.03)];
        let mut optimizer = GroupedOptimizer::for_replicas(params.clone(), configs)?;
        for update in 0..20 {
            let gradients = shapes.iter().enumerate().map(|(index, shape)| {
                numbers(shape, 10 + 2 * update + index, 0.5)?.to_device(device)
            });
            optimizer.update(&gradients.collect::<Result<Vec<_>>>()?)?;
        }
        params
            .iter()
            .map(|param| param.var.as_tensor().to_device(&Device::Cpu))
            .collect()
    };
    let (cpu, other) = (trained(&Device::Cpu)?, trained(device)?);
    let mut difference = 0f64;
    for (a, b) in cpu.iter().zip(&other) {
        difference = worse(difference, tensors_difference(a, b)?);
    }
    Ok(difference)
}

/// The three methods of the study under its common protocol.
fn optimizers(steps_per_epoch: u64) -> [(&'static str, OptimizerConfig); 3] {
    let constant = Schedule::Constant { learning_rate: 0.1 };
    let power = Schedule::Power {
        learning_rate: 0.1,
        r: 10.0 * steps_per_epoch as f64,
        c: 0.75,
        per: Per::Update,
    };
    let group = |rule, schedule| GroupConfig { rule, schedule };
    let adamix = OptimizerConfig {
        weights: group(Rule::AdamixW1(AdamixW1 { k: 1.0 }), constant),
        biases: group(Rule::Sgd(Sgd {}), power),
        steps_per_epoch,
    };
    let adagrad = group(Rule::Adagrad(Default::default()), constant);
    let adadec = group(Rule::Adadec(Adadec::default()), power);
    [
        ("adamix", adamix),
        (
            "adagrad",
            OptimizerConfig::uniform(adagrad, steps_per_epoch),
        ),
        ("adadec", OptimizerConfig::uniform(adadec, steps_per_epoch)),
    ]
}

/// Largest difference of two lists, each relative to the first's number.
fn largest(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    // Two zeros do not differ, as the median of a gradient that is mostly zeros.
    let differences = a.iter().zip(b).map(|(a, b)| match a == b {
        true => 0.0,
        false => (a - b).abs() / a.abs(),
    });
    differences.fold(0.0, worse)
}

/// The larger, or what is not a number.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Largest difference of two tensors, relative to the first's largest number.
fn tensors_difference(a: &Tensor, b: &Tensor) -> Result<f64> {
    let numbers = |tensor: &Tensor| {
        tensor
            .flatten_all()?
            .to_dtype(candle_core::DType::F64)?
            .to_vec1::<f64>()
    };
    let (a, b) = (numbers(a)?, numbers(b)?);
    if a.len() != b.len() {
        return Ok(f64::NAN);
    }
    let size = a.iter().fold(0.0, |size, x| worse(size, x.abs()));
    let difference = a
        .iter()
        .zip(&b)
        .fold(0.0, |d, (a, b)| worse(d, (a - b).abs()));
    Ok(if difference == 0.0 {
        0.0
    } else {
        difference / size
    })
}

fn states_difference(a: &HashMap<String, Tensor>, b: &HashMap<String, Tensor>) -> Result<f64> {
    let mut difference = 0f64;
    for (name, tensor) in a {
        difference = worse(
            difference,
            match b.get(name) {
                Some(other) => tensors_difference(tensor, other)?,
                None => f64::NAN,
            },
        );
    }
    Ok(difference)
}
