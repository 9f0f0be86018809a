use adamix_autoencoder::PreTrainingSettings;
use adamix_optim::{GroupConfig, OptimizerConfig};
use adamix_record::{
    Arm, Backend, Plan, PlannedRun, Protocol, RunId, SCHEMA, canonical_json, sha256_hex,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::data::Found;
use crate::file::{Experiment, FineTuningSettings};

/// An experiment on a data set: every default filled in, every run named.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What is written to `plan.json`.
    pub plan: Plan,
    /// Settings that all arms share.
    pub settings: Settings,
    /// Weights' and biases' configuration of every arm, `r` in epochs, in the
    /// plan's order.
    pub arms: Vec<(GroupConfig, GroupConfig)>,
}

/// Settings that all arms share, as they stand in every record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Units a layer from the image to the code.
    pub layer_sizes: Vec<usize>,
    /// Training images used, the first ones.
    pub train_images: usize,
    /// Pre-training.
    pub pre_training: PreTrainingSettings,
    /// Fine-tuning.
    pub fine_tuning: FineTuningSettings,
}

impl Resolved {
    /// The experiment on this data set.
    ///
    /// Where that is not the experiment's own, the plan's name says which it
    /// is, so that the two have folders of their own.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where the settings do not fit the data.
    pub fn new(experiment: &Experiment, found: &Found) -> Result<Self> {
        let file = &experiment.file;
        let data = &found.identity;
        // A folder that turns out to hold MNIST is MNIST by another way.
        let own =
            found.spec == file.dataset || data.canonical && data.name == file.dataset.to_string();
        let (name, command) = if own {
            (
                experiment.name.clone(),
                format!("cargo xtask reproduce {}", experiment.name),
            )
        } else {
            (
                format!("{}-{}", experiment.name, data.name),
                format!(
                    "cargo xtask reproduce {} --data {}",
                    experiment.name, found.spec
                ),
            )
        };
        let available = found.dataset.train.count();
        let train_images = file.train_images.unwrap_or(available).min(available);
        let layer_sizes = match &file.layer_sizes {
            Some(sizes) if own => sizes.clone(),
            _ => found.spec.default_layers().to_vec(),
        };
        for (key, batch_size) in [
            ("fine-tuning.batch-size", file.fine_tuning.batch_size),
            ("pre-training.batch-size", file.pre_training.batch_size),
        ] {
            if batch_size == 0 || batch_size > train_images {
                return Err(experiment.setting(
                    key,
                    format!("{batch_size}: must be from 1 to the {train_images} training images"),
                ));
            }
        }
        let pixels = adamix_autoencoder::dataset::PIXELS;
        if layer_sizes.len() < 2 || layer_sizes[0] != pixels || layer_sizes.contains(&0) {
            return Err(experiment.setting(
                "layer-sizes",
                format!("{layer_sizes:?}: must begin with {pixels}, have a code, and no 0"),
            ));
        }
        let settings = Settings {
            layer_sizes,
            train_images,
            pre_training: file.pre_training,
            fine_tuning: file.fine_tuning.clone(),
        };
        let arms: Vec<Arm> = file
            .arms
            .iter()
            .map(|arm| Arm {
                name: arm.name.clone(),
                label: arm.label.clone(),
                role: arm.role,
                weights: to_json(&arm.weights),
                biases: to_json(&arm.biases),
            })
            .collect();
        let protocol = Protocol {
            layer_sizes: settings.layer_sizes.clone(),
            train_images,
            test_images: found.dataset.test.count(),
            pre_training_epochs: settings.pre_training.epochs,
            epochs: settings.fine_tuning.epochs,
            batch_size: settings.fine_tuning.batch_size,
            settings: to_json(&settings),
        };
        let mut runs = Vec::new();
        for arm in &arms {
            for seed in &file.seeds {
                let run_id = RunId::new(
                    &run_settings(&protocol, arm),
                    *seed,
                    &data.sha256,
                    Backend::Cpu,
                );
                runs.push(PlannedRun {
                    run_id,
                    arm: arm.name.clone(),
                    seed: *seed,
                });
            }
        }
        if let Some((index, run)) = runs.iter().enumerate().find(|(index, run)| {
            runs[..*index]
                .iter()
                .any(|other| other.run_id == run.run_id)
        }) {
            let other = runs[..index]
                .iter()
                .find(|other| other.run_id == run.run_id)
                .map_or("", |other| &other.arm);
            return Err(experiment.setting(
                "arm",
                format!("`{}` has the settings of `{other}`; leave one out", run.arm),
            ));
        }
        let plan = Plan {
            schema: SCHEMA,
            name,
            title: file.title.clone(),
            command,
            analysis: file.analysis.trim().to_owned(),
            experiment_hash: experiment_hash(experiment),
            data: data.clone(),
            seeds: file.seeds.clone(),
            protocol,
            arms,
            runs,
        };
        Ok(Self {
            plan,
            settings,
            arms: file
                .arms
                .iter()
                .map(|arm| (arm.weights, arm.biases))
                .collect(),
        })
    }

    /// Updates in an epoch of fine-tuning.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.settings.train_images / self.settings.fine_tuning.batch_size) as u64
    }

    /// Everything that decides an arm's numbers, as its records' headers hold it.
    pub fn run_settings(&self, arm: &Arm) -> Value {
        run_settings(&self.plan.protocol, arm)
    }

    /// The optimizer of the arm at this place, its schedules in the unit that
    /// they count.
    pub fn optimizer(&self, arm: usize) -> OptimizerConfig {
        let steps_per_epoch = self.steps_per_epoch();
        let resolved = |group: &GroupConfig| GroupConfig {
            rule: group.rule,
            schedule: group.schedule.with_r_in_epochs(steps_per_epoch),
        };
        let (weights, biases) = &self.arms[arm];
        OptimizerConfig {
            weights: resolved(weights),
            biases: resolved(biases),
            steps_per_epoch,
        }
    }

    /// How much arithmetic the parts of this experiment take.
    pub fn work(&self) -> Work {
        Work::new(&self.settings, self.plan.protocol.test_images)
    }
}

/// Arithmetic of matrix products, in operations (a multiplication and an
/// addition are two): what an estimate of time is based on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// An update of fine-tuning.
    pub step: f64,
    /// The evaluation after an epoch.
    pub evaluation: f64,
    /// All of pre-training, one seed.
    pub start: f64,
    /// A whole run, without its start.
    pub run: f64,
}

impl Work {
    fn new(settings: &Settings, test_images: usize) -> Self {
        let weights = |pair: &[usize]| (pair[0] * pair[1]) as f64;
        let encoder: f64 = settings.layer_sizes.windows(2).map(weights).sum();
        let first = weights(&settings.layer_sizes[..2]);
        let fine = &settings.fine_tuning;
        // Three products a weight (forward, weights' gradient, input's
        // gradient), without the last for the first layer.
        let step = 2.0 * (3.0 * 2.0 * encoder - first) * fine.batch_size as f64;
        let evaluated = (settings
            .train_images
            .min(crate::run::EVALUATED_TRAIN_IMAGES)
            + test_images) as f64;
        let evaluation = 2.0 * 2.0 * encoder * evaluated;
        let images = settings.train_images as f64;
        let steps = (settings.train_images / fine.batch_size) as f64;
        Self {
            step,
            evaluation,
            // CD-1 takes five products; the probabilities fed to the next RBM one.
            start: (2.0 * 5.0 * settings.pre_training.epochs as f64 + 2.0) * encoder * images,
            run: evaluation + fine.epochs as f64 * (steps * step + evaluation),
        }
    }
}

fn run_settings(protocol: &Protocol, arm: &Arm) -> Value {
    json!({ "protocol": protocol.settings, "weights": arm.weights, "biases": arm.biases })
}

/// SHA-256 over the parsed file without its prose, so that a corrected
/// sentence is no other experiment, and a comment or a key's order neither.
fn experiment_hash(experiment: &Experiment) -> String {
    let mut value = to_json(&experiment.file);
    if let Some(object) = value.as_object_mut() {
        object.remove("title");
        object.remove("analysis");
    }
    sha256_hex(canonical_json(&value).as_bytes())
}

/// Settings hold no map with other keys than text and no number that JSON
/// lacks (all are checked to be finite), so this cannot fail.
fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
