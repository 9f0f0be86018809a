use std::collections::BTreeMap;

use adamix_autoencoder::PreTrainingSettings;
use adamix_autoencoder::dataset::PIXELS;
use adamix_optim::{GroupConfig, OptimizerConfig};
use adamix_record::{
    Arm, Backend, Claim, DataIdentity, Detail, Plan, PlannedRun, Protocol, Reading, RunId, SCHEMA,
    canonical_json, sha256_hex,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data::Found;
use crate::file::{Experiment, ExperimentFile, FineTuningSettings, Scaling};
use crate::protocols::{Cell, protocols};
use crate::tune::Search;
use crate::{Machine, Result};

/// An experiment on a data set: every default filled in, every run named.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What is written to `plan.json`. It grows where tuning has chosen the
    /// settings of an arm.
    pub plan: Plan,
    /// What each protocol of the plan trains, in its order.
    pub protocols: Vec<ResolvedProtocol>,
}

/// What a protocol trains.
#[derive(Debug, Clone)]
pub struct ResolvedProtocol {
    /// Its arms' runs. Arms in tuning have none yet.
    pub series: Series,
    /// What is searched before, if anything.
    pub(crate) search: Option<Search>,
}

/// Runs under the same settings: arms by seeds.
#[derive(Debug, Clone)]
pub struct Series {
    /// Settings that all arms share.
    pub settings: Settings,
    /// The arms.
    pub arms: Vec<SeriesArm>,
    /// The runs.
    pub runs: Vec<PlannedRun>,
    /// Of the protocol.
    pub hash: String,
    /// The data set.
    pub data: DataIdentity,
    /// Images that the error is taken on.
    pub held_out_images: usize,
    /// What trains them.
    pub machine: Machine,
}

/// An arm of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesArm {
    /// Its name; of a candidate with its number.
    pub name: String,
    /// Rule and schedule of the weights, `r` in epochs, rates as they are used.
    pub weights: GroupConfig,
    /// Rule and schedule of the biases, likewise.
    pub biases: GroupConfig,
}

/// Settings that all arms share, as they stand in every record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Units a layer from the image to the code.
    pub layer_sizes: Vec<usize>,
    /// Training images used, the first ones.
    pub train_images: usize,
    /// Pre-training.
    pub pre_training: PreTrainingSettings,
    /// Fine-tuning.
    pub fine_tuning: FineTuningSettings,
    /// In a tuning run: how many of the training images behind those used the
    /// error is taken on, in place of the test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_images: Option<usize>,
}

impl Resolved {
    /// The experiment on this data set.
    ///
    /// Where that is not the experiment's own, the plan's name says which it
    /// is, so that the two have folders of their own; likewise on a CUDA device.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where the settings do not fit the data.
    pub fn new(experiment: &Experiment, found: &Found, machine: &Machine) -> Result<Self> {
        let file = &experiment.file;
        let data = &found.identity;
        // A folder that turns out to hold MNIST is MNIST by another way.
        let own =
            found.spec == file.dataset || data.canonical && data.name == file.dataset.to_string();
        let (mut name, mut command) = if own {
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
        if machine.backend() == Backend::Cuda {
            // Estimates never mix what computes: the two have folders of their own.
            name += "-cuda";
            command += " --device cuda";
        }
        let mut resolved = Self {
            plan: Plan {
                schema: SCHEMA,
                name,
                title: file.title.trimmed(),
                command,
                analysis: file.analysis.trimmed(),
                data: data.clone(),
                claims: file.claims.clone(),
                details: details(file),
                protocols: Vec::new(),
            },
            protocols: Vec::new(),
        };
        for cell in protocols(experiment)? {
            let (planned, protocol) = resolve(experiment, &cell, found, own, machine)?;
            resolved.plan.protocols.push(planned);
            resolved.protocols.push(protocol);
        }
        Ok(resolved)
    }
}

fn details(file: &ExperimentFile) -> Vec<Detail> {
    let details = file.details.iter().map(|detail| Detail {
        name: detail.name.clone(),
        label: detail.label.clone(),
        readings: detail
            .readings
            .iter()
            .map(|reading| Reading {
                name: reading.name.clone(),
                meaning: reading.meaning.clone(),
                source: reading.source.clone(),
            })
            .collect(),
    });
    details.collect()
}

/// A protocol as it is planned and as it is trained. `own` says whether the
/// data set is the one that the file's layer sizes are for.
fn resolve(
    experiment: &Experiment,
    cell: &Cell,
    found: &Found,
    own: bool,
    machine: &Machine,
) -> Result<(Protocol, ResolvedProtocol)> {
    let file = &cell.file;
    let setting = |key: &str, what: String| {
        experiment.setting(format!("protocol `{}`, {key}", cell.name), what)
    };
    let available = found.dataset.train.count();
    let train_images = file.train_images.unwrap_or(available).min(available);
    let settings = Settings {
        layer_sizes: match &file.layer_sizes {
            Some(sizes) if own => sizes.clone(),
            _ => found.spec.default_layers().to_vec(),
        },
        train_images,
        pre_training: file.pre_training,
        fine_tuning: file.fine_tuning.clone(),
        validation_images: None,
    };
    for (key, batch_size) in [
        ("fine-tuning.batch-size", file.fine_tuning.batch_size),
        ("pre-training.batch-size", file.pre_training.batch_size),
    ] {
        if batch_size == 0 || batch_size > train_images {
            let what =
                format!("{batch_size}: must be from 1 to the {train_images} training images");
            return Err(setting(key, what));
        }
    }
    let sizes = &settings.layer_sizes;
    if sizes.len() < 2 || sizes[0] != PIXELS || sizes.contains(&0) {
        return Err(setting(
            "layer-sizes",
            format!("{sizes:?}: must begin with {PIXELS}, have a code, and no 0"),
        ));
    }
    let series_arms: Vec<SeriesArm> = file
        .arms
        .iter()
        .map(|arm| SeriesArm {
            name: arm.name.clone(),
            weights: scaled(&arm.weights, file),
            biases: scaled(&arm.biases, file),
        })
        .collect();
    let arms: Vec<Arm> = file
        .arms
        .iter()
        .zip(&series_arms)
        .map(|(arm, series)| Arm {
            name: arm.name.clone(),
            label: arm.label.clone(),
            role: arm.role,
            weights: to_json(&series.weights),
            biases: to_json(&series.biases),
        })
        .collect();
    let mut series = Series {
        hash: protocol_hash(&experiment.file.claims, &settings, file, cell, &arms),
        settings,
        arms: series_arms,
        runs: Vec::new(),
        data: found.identity.clone(),
        held_out_images: found.dataset.test.count(),
        machine: machine.clone(),
    };
    let search = match &cell.tune {
        Some(tune) => Some(Search::new(experiment, cell, tune, &series)?),
        None => {
            let all: Vec<usize> = (0..series.arms.len()).collect();
            series.plan_runs(&all, &file.seeds);
            check_distinct(&series, &setting)?;
            None
        }
    };
    let protocol = Protocol {
        name: cell.name.clone(),
        label: cell.label.clone(),
        hash: series.hash.clone(),
        readings: cell.readings.clone(),
        seeds: file.seeds.clone(),
        layer_sizes: series.settings.layer_sizes.clone(),
        train_images,
        test_images: series.held_out_images,
        pre_training_epochs: series.settings.pre_training.epochs,
        epochs: series.settings.fine_tuning.epochs,
        batch_size: series.settings.fine_tuning.batch_size,
        settings: to_json(&series.settings),
        arms,
        runs: series.runs.clone(),
        tuning: search.as_ref().map(Search::planned),
    };
    Ok((protocol, ResolvedProtocol { series, search }))
}

/// Two arms of a protocol must not be the same.
fn check_distinct(series: &Series, setting: &impl Fn(&str, String) -> crate::Error) -> Result<()> {
    for (index, arm) in series.arms.iter().enumerate() {
        let same = |other: &&SeriesArm| other.weights == arm.weights && other.biases == arm.biases;
        if let Some(other) = series.arms[..index].iter().find(same) {
            return Err(setting(
                "arm",
                format!(
                    "`{}` has the settings of `{}`; leave one out",
                    arm.name, other.name
                ),
            ));
        }
    }
    Ok(())
}

/// A group with its learning rate as it is used.
pub(crate) fn scaled(group: &GroupConfig, file: &ExperimentFile) -> GroupConfig {
    let factor = match file.scaling {
        Scaling::Plain => 1.0,
        Scaling::SmallGradient => {
            group
                .rule
                .small_gradient_rate()
                .map_or(1.0, |rate| match file.fine_tuning.gradient {
                    adamix_autoencoder::Reduction::Mean => rate,
                    adamix_autoencoder::Reduction::Sum => rate / file.fine_tuning.batch_size as f64,
                })
        }
    };
    GroupConfig {
        rule: group.rule,
        schedule: group.schedule.scaled(factor),
    }
}

impl Series {
    /// Names the runs of these arms, arm by arm, seed by seed.
    pub(crate) fn plan_runs(&mut self, arms: &[usize], seeds: &[u64]) {
        for index in arms {
            let arm = &self.arms[*index];
            let settings = self.run_settings(arm);
            let runs = seeds.iter().map(|seed| PlannedRun {
                run_id: RunId::new(&settings, *seed, &self.data.sha256, self.machine.backend()),
                arm: arm.name.clone(),
                seed: *seed,
            });
            self.runs.extend(runs);
        }
    }

    /// Updates in an epoch of fine-tuning.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.settings.train_images / self.settings.fine_tuning.batch_size) as u64
    }

    /// Everything that decides an arm's numbers, as its records' headers hold it.
    pub fn run_settings(&self, arm: &SeriesArm) -> Value {
        json!({
            "protocol": to_json(&self.settings),
            "weights": to_json(&arm.weights),
            "biases": to_json(&arm.biases),
        })
    }

    /// The arm of a run.
    pub fn arm(&self, run: &PlannedRun) -> Option<&SeriesArm> {
        self.arms.iter().find(|arm| arm.name == run.arm)
    }

    /// The optimizer of an arm, its schedules in the unit that they count.
    pub fn optimizer(&self, arm: &SeriesArm) -> OptimizerConfig {
        let steps_per_epoch = self.steps_per_epoch();
        let resolved = |group: &GroupConfig| GroupConfig {
            rule: group.rule,
            schedule: group.schedule.with_r_in_epochs(steps_per_epoch),
        };
        OptimizerConfig {
            weights: resolved(&arm.weights),
            biases: resolved(&arm.biases),
            steps_per_epoch,
        }
    }

    /// Bytes that a run of this arm takes at most, roughly: the parameters, their
    /// gradients and state, once more while a checkpoint is written, and the
    /// batches in work. A window of 200 gradients makes it gigabytes.
    pub(crate) fn bytes(&self, arm: &SeriesArm) -> u64 {
        let sizes = &self.settings.layer_sizes;
        let encoder: usize = sizes.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let units: usize = sizes.iter().sum();
        let state = |group: &GroupConfig| group.rule.cost(self.steps_per_epoch()).state;
        let numbers = 2.0 * (1.0 + state(&arm.weights)) + 1.0;
        let batches = 6 * units * self.settings.fine_tuning.batch_size.max(500);
        (4.0 * (2.0 * encoder as f64 * numbers + batches as f64)) as u64
    }

    /// Bytes that the pre-training of a seed takes at most, roughly: what two
    /// RBMs make of all images, and the RBMs with their velocities.
    pub(crate) fn start_bytes(&self) -> u64 {
        let sizes = &self.settings.layer_sizes;
        let rbms: usize = sizes.windows(2).map(|pair| 3 * pair[0] * pair[1]).sum();
        let rows = sizes[1..].windows(2).map(|pair| pair[0] + pair[1]).max();
        let batches = 6 * sizes.iter().sum::<usize>() * self.settings.pre_training.batch_size;
        let features = self.settings.train_images * rows.unwrap_or(0);
        4 * (rbms + batches + features) as u64
    }

    /// How much arithmetic the parts of this series take.
    pub fn work(&self) -> Work {
        Work::new(&self.settings, self.held_out_images)
    }
}

/// Arithmetic of matrix products, in operations (a multiplication and an
/// addition are two): what an estimate of time is based on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// An update of fine-tuning.
    pub step: f64,
    /// The evaluation before the first and after every epoch.
    pub evaluation: f64,
    /// An epoch of fine-tuning with its evaluation.
    pub epoch: f64,
    /// All of pre-training, one seed.
    pub start: f64,
    /// A whole run, without its start.
    pub run: f64,
}

impl Work {
    fn new(settings: &Settings, held_out_images: usize) -> Self {
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
            + held_out_images) as f64;
        let evaluation = 2.0 * 2.0 * encoder * evaluated;
        let images = settings.train_images as f64;
        let steps = (settings.train_images / fine.batch_size) as f64;
        let epoch = steps * step + evaluation;
        Self {
            step,
            evaluation,
            epoch,
            // CD-1 takes five products; the probabilities fed to the next RBM one.
            start: (2.0 * 5.0 * settings.pre_training.epochs as f64 + 2.0) * encoder * images,
            run: evaluation + fine.epochs as f64 * epoch,
        }
    }
}

/// SHA-256 over all that is fixed before the first run and decides a verdict,
/// without prose, so that a corrected sentence is no other protocol, and a
/// comment or a key's order neither.
fn protocol_hash(
    claims: &[Claim],
    settings: &Settings,
    file: &ExperimentFile,
    cell: &Cell,
    arms: &[Arm],
) -> String {
    let arms: BTreeMap<&String, Value> = arms
        .iter()
        .map(|arm| {
            let value = json!({"role": arm.role, "weights": arm.weights, "biases": arm.biases});
            (&arm.name, value)
        })
        .collect();
    let everything = json!({
        "claims": claims.iter().map(Claim::rule).collect::<Vec<_>>(),
        "settings": settings,
        "seeds": file.seeds,
        "arms": arms,
        "tune": cell.tune,
    });
    sha256_hex(canonical_json(&everything).as_bytes())
}

/// Settings hold no map with other keys than text and no number that JSON
/// lacks (all are checked to be finite), so this cannot fail.
pub(crate) fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use adamix_optim::{Rule, Schedule, rules};

    #[test]
    fn a_window_of_200_gradients_takes_gigabytes() {
        let group = |rule| GroupConfig {
            rule,
            schedule: Schedule::Constant { learning_rate: 0.1 },
        };
        let arm = |rule| SeriesArm {
            name: "arm".into(),
            weights: group(rule),
            biases: group(rule),
        };
        let series = Series {
            settings: Settings {
                layer_sizes: vec![784, 1000, 500, 250, 30],
                train_images: 60_000,
                pre_training: PreTrainingSettings::default(),
                fine_tuning: FineTuningSettings {
                    epochs: 1,
                    batch_size: 100,
                    loss: Default::default(),
                    gradient: Default::default(),
                },
                validation_images: None,
            },
            arms: Vec::new(),
            runs: Vec::new(),
            hash: String::new(),
            data: DataIdentity {
                name: "mnist".into(),
                canonical: true,
                sha256: String::new(),
            },
            held_out_images: 10_000,
            machine: Machine::cpu(1),
        };
        let bytes = |rule| series.bytes(&arm(rule)) as f64 / 1e6;
        let window = rules::Adadec {
            tau: 200,
            ..Default::default()
        };
        let (sgd, adadec) = (bytes(Rule::Sgd(rules::Sgd {})), bytes(Rule::Adadec(window)));
        assert!((20.0..100.0).contains(&sgd), "{sgd} MB");
        assert!((2300.0..5000.0).contains(&adadec), "{adadec} MB");
    }
}
