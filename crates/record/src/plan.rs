use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Claim, DataIdentity, RunId, Text};

/// What an experiment sets out to do, written to `plan.json` before its first
/// run, so that the report can tell a missing run from one never planned.
///
/// It is written again where tuning has chosen the settings of an arm, whose
/// runs are then planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// The experiment's name: its file's stem and its folder under `reports/`.
    pub name: String,
    /// Title of the report.
    pub title: Text,
    /// The command that makes the report, data set included where it is not
    /// the experiment's own.
    pub command: String,
    /// The experiment's own text on what is assumed and what came out
    /// (paragraphs separated by an empty line).
    pub analysis: Text,
    /// The data set that was found and used.
    pub data: DataIdentity,
    /// The claims that are decided, with their rules.
    pub claims: Vec<Claim>,
    /// The open details that the protocols differ in, in the file's order.
    pub details: Vec<Detail>,
    /// The protocols, side by side: each compares arms under settings of its own.
    pub protocols: Vec<Protocol>,
}

/// An open detail of the paper with the readings that are run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Detail {
    /// Short name, unique in the file.
    pub name: String,
    /// Name for the reader.
    pub label: Text,
    /// Its readings; the first is the default.
    pub readings: Vec<Reading>,
}

/// One way to read an open detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reading {
    /// Short name, unique in its detail.
    pub name: String,
    /// What it means; what stands before a colon is its name for the reader.
    pub meaning: Text,
    /// Where it comes from and how sure it is.
    pub source: Text,
}

/// Arms compared under the same settings, paired by seed. Resolved: nothing is
/// left to a default that is not written here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Protocol {
    /// Short name, unique in the plan.
    pub name: String,
    /// Name for the reader.
    pub label: Text,
    /// SHA-256 over the claims' rules, the settings, the seeds, the arms as
    /// they stand in the file and the tuning, without prose: it stands in the
    /// header of every record, so that a reader sees what was fixed before.
    pub hash: String,
    /// Reading of each detail, by their names; empty where the plan has none.
    pub readings: BTreeMap<String, String>,
    /// The seeds, one run an arm each.
    pub seeds: Vec<u64>,
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
    /// The arms in the order of the file. Where settings are tuned, an arm has
    /// those that were chosen, and until then those it stands with in the file.
    pub arms: Vec<Arm>,
    /// Every run, arm by arm, seed by seed. An arm in tuning has none yet.
    pub runs: Vec<PlannedRun>,
    /// How the arms' settings are chosen; `None` where the file gives them.
    pub tuning: Option<Tuning>,
}

/// One optimizer configuration under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Arm {
    /// Name in the experiment file, for example `adamix`.
    pub name: String,
    /// Name for the reader, for example `AdaMix (W1 + B1)`.
    pub label: Text,
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

/// How the settings of a protocol's arms are chosen: each arm tries the same
/// number of candidates on the same seeds, on a split of the training images,
/// never on test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tuning {
    /// Seeds of the tuning runs, none of which the protocol's runs have.
    pub seeds: Vec<u64>,
    /// Candidates an arm.
    pub budget: usize,
    /// Epochs after which candidates are ranked by their mean error on the
    /// validation images, and how many go on. The last keeps one. One rung
    /// alone is the full grid; more are successive halving.
    pub rungs: Vec<Rung>,
    /// Training images, the first ones.
    pub train_images: usize,
    /// Validation images: the training images behind those.
    pub validation_images: usize,
    /// Settings as they stand in the tuning runs' headers.
    pub settings: Value,
    /// One entry an arm of the protocol, in its order.
    pub arms: Vec<TunedArm>,
}

/// A ranking of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rung {
    /// Epochs of fine-tuning done.
    pub epochs: u64,
    /// Candidates that go on.
    pub keep: usize,
}

/// The tuning of one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TunedArm {
    /// [`Arm::name`].
    pub arm: String,
    /// What is searched.
    pub axes: Vec<Axis>,
    /// The candidates: the budget's, then those of an extension.
    pub candidates: Vec<Candidate>,
    /// Index of the candidate chosen; `None` while runs are outstanding.
    pub chosen: Option<usize>,
}

/// One setting that is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Axis {
    /// Name for the reader, for example `learning-rate`.
    pub name: String,
    /// The values tried, in order, those of an extension included.
    pub values: Vec<f64>,
    /// Whether the values are a grid, so that the best may lie on its edge.
    pub grid: bool,
    /// Whether a grid whose best value lies on the edge is extended once.
    pub extend: bool,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Candidate {
    /// Its value on each axis.
    pub values: Vec<f64>,
    /// Whether it came with the extension of a grid, beyond the budget.
    pub extension: bool,
    /// Rule and schedule of the weights, resolved.
    pub weights: Value,
    /// Rule and schedule of the biases, resolved.
    pub biases: Value,
    /// Its runs, one a tuning seed.
    pub runs: Vec<PlannedRun>,
}

/// One run of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedRun {
    /// Its id, and its record's file name.
    pub run_id: RunId,
    /// [`Arm::name`]; of a tuning run with its candidate's number, as in `adagrad/7`.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
}

impl Plan {
    /// Reads and checks `plan.json`.
    ///
    /// # Errors
    /// As [`read_json`](crate::read_json); and [`Error::Invalid`](crate::Error::Invalid)
    /// for another schema, no protocol, or a run whose arm or seed its protocol
    /// does not list.
    pub fn read(path: &Path) -> crate::Result<Self> {
        // The schema first: another one has other fields.
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let invalid = |what| Err(crate::Error::invalid(path, what));
        let Version { schema } = crate::read_json(path)?;
        if schema != crate::SCHEMA {
            return invalid(format!(
                "schema {schema} where {} is read; run the experiment again",
                crate::SCHEMA
            ));
        }
        let plan: Self = crate::read_json(path)?;
        if plan.protocols.is_empty() {
            return invalid("it has no protocol; run the experiment again".into());
        }
        for protocol in &plan.protocols {
            for run in &protocol.runs {
                let arms = &protocol.arms;
                if !arms.iter().any(|arm| arm.name == run.arm)
                    || !protocol.seeds.contains(&run.seed)
                {
                    return invalid(format!(
                        "run {} has arm `{}` and seed {}, which protocol `{}` does not list",
                        run.run_id, run.arm, run.seed, protocol.name
                    ));
                }
            }
        }
        Ok(plan)
    }

    /// Every run of every protocol, those of tuning first within one. Protocols
    /// that share settings share runs, so an id may come twice.
    pub fn runs(&self) -> impl Iterator<Item = &PlannedRun> {
        self.protocols.iter().flat_map(|protocol| {
            let tuned = protocol.tuning.iter().flat_map(Tuning::runs);
            tuned.chain(&protocol.runs)
        })
    }
}

impl Tuning {
    /// Every tuning run.
    pub fn runs(&self) -> impl Iterator<Item = &PlannedRun> {
        let candidates = self.arms.iter().flat_map(|arm| &arm.candidates);
        candidates.flat_map(|candidate| &candidate.runs)
    }
}
