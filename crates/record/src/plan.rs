use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DataIdentity, RunId};

/// What an experiment sets out to do, written to `plan.json` before its first
/// run, so that the report can tell a missing run from one never planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// The experiment's name: its file's stem and its folder under `reports/`.
    pub name: String,
    /// Title of the report.
    pub title: String,
    /// The command that makes the report, data set included where it is not
    /// the experiment's own.
    pub command: String,
    /// The experiment's own text on what is assumed and what came out
    /// (paragraphs separated by an empty line).
    pub analysis: String,
    /// SHA-256 over the parsed experiment file without `title` and `analysis`.
    pub experiment_hash: String,
    /// The data set that was found and used.
    pub data: DataIdentity,
    /// The seeds, one run an arm each.
    pub seeds: Vec<u64>,
    /// Settings that all arms share.
    pub protocol: Protocol,
    /// The arms in the order of the file.
    pub arms: Vec<Arm>,
    /// Every run the plan comes to, arm by arm, seed by seed.
    pub runs: Vec<PlannedRun>,
}

impl Plan {
    /// Reads and checks `plan.json`.
    ///
    /// # Errors
    /// As [`read_json`](crate::read_json); and [`Error::Invalid`](crate::Error::Invalid)
    /// for another schema, or a run whose arm or seed the plan does not list.
    pub fn read(path: &Path) -> crate::Result<Self> {
        let plan: Self = crate::read_json(path)?;
        if plan.schema != crate::SCHEMA {
            return Err(crate::Error::invalid(
                path,
                format!(
                    "schema {} where {} is read; run the experiment again",
                    plan.schema,
                    crate::SCHEMA
                ),
            ));
        }
        for run in &plan.runs {
            if !plan.arms.iter().any(|arm| arm.name == run.arm) || !plan.seeds.contains(&run.seed) {
                return Err(crate::Error::invalid(
                    path,
                    format!(
                        "run {} has arm `{}` and seed {}, which the plan does not list",
                        run.run_id, run.arm, run.seed
                    ),
                ));
            }
        }
        Ok(plan)
    }
}

/// Settings that all arms of an experiment share, resolved: nothing is left
/// to a default that is not written here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Protocol {
    /// Units a layer from the input to the code, for example 784, 1000, 500, 250, 30.
    pub layer_sizes: Vec<usize>,
    /// Training images used.
    pub train_images: usize,
    /// Test images used.
    pub test_images: usize,
    /// Pre-training epochs an RBM.
    pub pre_training_epochs: u64,
    /// Fine-tuning epochs.
    pub epochs: u64,
    /// Images a fine-tuning update.
    pub batch_size: usize,
    /// All settings of pre-training and fine-tuning, as they stand in every run's header.
    pub settings: Value,
}

/// One optimizer configuration under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Arm {
    /// Name in the experiment file, for example `adamix`.
    pub name: String,
    /// Name for the reader, for example `AdaMix (W1 + B1)`.
    pub label: String,
    /// Its part in the verdicts.
    pub role: Role,
    /// Rule and schedule of the connection weights, resolved.
    pub weights: Value,
    /// Rule and schedule of the biases, resolved.
    pub biases: Value,
}

/// An arm's part in the verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The arm the claims are about.
    Adamix,
    /// A method that the claims compare AdaMix with.
    Adagrad,
    /// A method that the claims compare AdaMix with.
    Adadec,
    /// The control: SGD weights with AdaMix's biases.
    Control,
    /// A baseline beyond the paper, or another reading.
    Baseline,
}

/// One run of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedRun {
    /// Its id, and its record's file name.
    pub run_id: RunId,
    /// [`Arm::name`].
    pub arm: String,
    /// Its seed.
    pub seed: u64,
}
