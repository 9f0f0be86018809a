use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adamix_autoencoder::dataset::Spec;
use adamix_autoencoder::{Loss, PreTrainingSettings, Reduction};
use adamix_optim::GroupConfig;
use adamix_record::{Claim, Role, Rung, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// An experiment file with its name and place.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The file's stem.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub file: ExperimentFile,
}

/// What an experiment file says. Every key but those with a default stated is
/// required, unknown ones are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExperimentFile {
    /// Title of the report.
    pub title: Text,
    /// What is assumed, and what came out: paragraphs of plain text.
    pub analysis: Text,
    /// `mnist` (the default), `curves` or `idx:DIR`.
    #[serde(default = "default_dataset")]
    pub dataset: Spec,
    /// One run an arm each.
    pub seeds: Vec<u64>,
    /// How many of the training images are used, the first ones; all by default.
    pub train_images: Option<usize>,
    /// Units a layer from the image to the code; by default the data set's
    /// own: see [`Spec::default_layers`].
    pub layer_sizes: Option<Vec<usize>>,
    /// What the learning rates are rates of; as they stand by default.
    #[serde(default)]
    pub scaling: Scaling,
    /// Pre-training; each key has a default.
    #[serde(default)]
    pub pre_training: PreTrainingSettings,
    /// Fine-tuning.
    pub fine_tuning: FineTuningSettings,
    /// The optimizer configurations to be compared.
    #[serde(rename = "arm")]
    pub arms: Vec<ArmFile>,
    /// The claims with the rules that decide them; none by default.
    #[serde(default, rename = "claim")]
    pub claims: Vec<Claim>,
    /// Protocols that are run side by side; by default one of the settings above.
    #[serde(default, rename = "protocol")]
    pub protocols: Vec<ProtocolFile>,
    /// Open details with their readings: each reading but the default is a
    /// protocol that differs from the default in it alone.
    #[serde(default, rename = "detail")]
    pub details: Vec<DetailFile>,
    /// Crosses of details: every combination of their readings is a protocol.
    #[serde(default, rename = "cross")]
    pub crosses: Vec<CrossFile>,
}

/// What the learning rates of a file are rates of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// They are taken as they stand.
    #[default]
    Plain,
    /// They are what a small mean gradient is multiplied by: a rule that
    /// divides by the root of `K` and more gets `sqrt(K)` times the rate, and
    /// where gradients are summed over the batch all are divided by its size.
    /// So `K` and the gradient's scale change what becomes of large gradients
    /// only. Rules whose step does not shrink with the gradient are left alone.
    SmallGradient,
}

/// A protocol: the file's settings with some changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProtocolFile {
    /// Short name, unique in the file.
    pub name: String,
    /// Name for the reader.
    pub label: Text,
    /// The arms it compares, by name; all by default.
    pub arms: Option<Vec<String>>,
    /// Settings that replace the file's: the file's own keys but for the prose
    /// and `claim`, `protocol`, `detail` and `cross`; arms by name, as in
    /// `set.arm.adagrad.weights.k = 0.01`. A table with another `rule` or
    /// `kind` replaces the constants too.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// How the arms' settings are chosen; by default they are as they stand.
    pub tune: Option<TuneFile>,
}

/// How settings are chosen on a split of the training images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TuneFile {
    /// Seeds of the tuning runs; none of the protocol's.
    pub seeds: Vec<u64>,
    /// Candidates that every arm tries.
    pub budget: usize,
    /// Validation images, the last of the training images; by default a sixth
    /// of them.
    pub validation_images: Option<usize>,
    /// After which epochs candidates are ranked, and how many are kept; the
    /// last keeps one. One rung is the full grid, more are successive halving.
    #[serde(rename = "rung")]
    pub rungs: Vec<Rung>,
    /// What is searched: each arm of the protocol stands in one space.
    #[serde(rename = "space")]
    pub spaces: Vec<SpaceFile>,
}

/// The settings that some arms search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SpaceFile {
    /// The arms, by name.
    pub arms: Vec<String>,
    /// The settings. Where all have values, every combination is tried.
    #[serde(rename = "axis")]
    pub axes: Vec<AxisFile>,
    /// How candidates are drawn where an axis is a range.
    pub sample: Option<Sample>,
}

/// One setting that is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AxisFile {
    /// Name for the reader; `learning-rate` is what errors are drawn against.
    pub name: String,
    /// The keys of an arm that get the value, as `weights.schedule.learning-rate`.
    pub keys: Vec<String>,
    /// The values tried, in order.
    pub values: Option<Vec<f64>>,
    /// Instead of values, the ends of a range on a logarithmic scale.
    pub range: Option<[f64; 2]>,
    /// Whether a grid whose best value lies on the edge of this axis is
    /// extended beyond it, once. Default no.
    #[serde(default)]
    pub extend: bool,
}

/// How candidates are drawn from ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sample {
    /// Independent, uniform on the logarithmic scale.
    LogUniform {
        /// Seed of the draws.
        seed: u64,
    },
    /// Points of an Owen-scrambled Sobol sequence on the logarithmic scale.
    Sobol {
        /// Seed of the scrambling.
        seed: u32,
    },
}

/// An open detail of the paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DetailFile {
    /// Short name, unique in the file.
    pub name: String,
    /// Name for the reader.
    pub label: Text,
    /// The readings, at least one; the first is the default.
    #[serde(rename = "reading")]
    pub readings: Vec<ReadingFile>,
}

/// One way to read a detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReadingFile {
    /// Short name, unique in its detail.
    pub name: String,
    /// What it means.
    pub meaning: Text,
    /// Where it comes from and how sure it is.
    pub source: Text,
    /// What it sets, as in [`ProtocolFile::set`].
    #[serde(default)]
    pub set: Map<String, Value>,
}

/// A cross of details.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CrossFile {
    /// Prefix of its protocols' names, unique in the file.
    pub name: String,
    /// Name for the reader.
    pub label: Text,
    /// The details, by name.
    pub details: Vec<String>,
    /// Combinations that are left out: each table names readings by detail,
    /// and leaves out what has one of them in every detail that it names.
    #[serde(default)]
    pub without: Vec<BTreeMap<String, Vec<String>>>,
    /// How the arms' settings are chosen in every combination.
    pub tune: Option<TuneFile>,
}

fn default_dataset() -> Spec {
    Spec::Mnist
}

/// Settings of fine-tuning that all arms share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FineTuningSettings {
    /// Passes over the training images.
    pub epochs: u64,
    /// Images an update. Default 100.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// What is minimised. Default `cross-entropy`.
    #[serde(default)]
    pub loss: Loss,
    /// Mean or sum over the batch. Default `mean`.
    #[serde(default)]
    pub gradient: Reduction,
}

fn default_batch_size() -> usize {
    100
}

/// One optimizer configuration. In its schedules `r` is given in epochs,
/// whether they count updates or epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ArmFile {
    /// Short name, unique in the file.
    pub name: String,
    /// Name for the reader.
    pub label: Text,
    /// Its part in the verdicts.
    pub role: Role,
    /// Rule and schedule of the weights.
    pub weights: GroupConfig,
    /// Rule and schedule of the biases.
    pub biases: GroupConfig,
}

impl Experiment {
    /// Reads the experiment of this name in `folder`, or the file of this path.
    ///
    /// # Errors
    /// [`Error::Read`], which lists the experiments there are, [`Error::File`]
    /// with the line, [`Error::Setting`].
    pub fn find(name_or_path: &str, folder: &Path) -> Result<Self> {
        let path = if name_or_path.ends_with(".toml") {
            PathBuf::from(name_or_path)
        } else {
            folder.join(format!("{name_or_path}.toml"))
        };
        let text = std::fs::read_to_string(&path).map_err(|source| {
            let remedy = match names(folder).join(", ") {
                names if names.is_empty() => String::new(),
                names => format!("; there are {names}"),
            };
            Error::Read {
                path: path.clone(),
                source,
                remedy,
            }
        })?;
        Self::parse(&path, &text)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// [`Error::File`] with the line, [`Error::Setting`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let file: ExperimentFile =
            toml::from_str(text).map_err(|error| explain(path, text, &error))?;
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or("experiment")
            .to_owned();
        let experiment = Self {
            name,
            path: path.to_owned(),
            file,
        };
        experiment.check()?;
        Ok(experiment)
    }

    /// A [`Error::Setting`] of this file.
    pub(crate) fn setting(&self, key: impl Into<String>, what: impl Into<String>) -> Error {
        Error::Setting {
            path: self.path.clone(),
            key: key.into(),
            what: what.into(),
        }
    }

    fn check(&self) -> Result<()> {
        for claim in &self.file.claims {
            claim.check().map_err(|(key, what)| {
                self.setting(format!("claim `{}`, {key}", claim.id), what)
            })?;
        }
        let ids: Vec<_> = self.file.claims.iter().map(|claim| &claim.id).collect();
        if let Some(id) = repeated(&ids) {
            return Err(self.setting(
                "claim.id",
                format!("`{id}` stands twice; each claim has an id of its own"),
            ));
        }
        self.check_settings(&self.file, "")
    }

    /// Whether these settings, the file's or those of one of its protocols
    /// (which `within` then names), can be run.
    pub(crate) fn check_settings(&self, file: &ExperimentFile, within: &str) -> Result<()> {
        let setting = |key: &str, what: String| self.setting(format!("{within}{key}"), what);
        if let Some(seed) = repeated(&file.seeds) {
            return Err(setting(
                "seeds",
                format!("{seed} stands twice; each seed once"),
            ));
        }
        if file.seeds.is_empty() {
            return Err(setting("seeds", "there is none; give at least one".into()));
        }
        if file.arms.is_empty() {
            return Err(setting(
                "arm",
                "there is none; give at least one [[arm]]".into(),
            ));
        }
        let names: Vec<_> = file.arms.iter().map(|arm| &arm.name).collect();
        if let Some(name) = repeated(&names) {
            return Err(setting(
                "arm.name",
                format!("`{name}` stands twice; each arm has a name of its own"),
            ));
        }
        for arm in &file.arms {
            if arm.name.contains('/') {
                return Err(setting(
                    "arm.name",
                    format!("`{}`: must have no `/`", arm.name),
                ));
            }
            self.check_arm(arm, within)?;
        }
        let pre = &file.pre_training;
        for (key, value, below) in [
            ("learning-rate", pre.learning_rate, f64::INFINITY),
            ("top-learning-rate", pre.top_learning_rate, f64::INFINITY),
            ("weight-cost", pre.weight_cost, f64::INFINITY),
            ("weight-scale", pre.weight_scale, f64::INFINITY),
            ("momentum", pre.momentum, 1.0),
            ("final-momentum", pre.final_momentum, 1.0),
        ] {
            if !(0.0..below).contains(&value) {
                let what = format!("{value}: must be at least 0 and below {below}");
                return Err(setting(&format!("pre-training.{key}"), what));
            }
        }
        if file.fine_tuning.epochs == 0 {
            return Err(setting(
                "fine-tuning.epochs",
                "0: must be at least 1".into(),
            ));
        }
        Ok(())
    }

    /// Whether an arm's rules and schedules are in range.
    pub(crate) fn check_arm(&self, arm: &ArmFile, within: &str) -> Result<()> {
        for (group, key) in [(&arm.weights, "weights"), (&arm.biases, "biases")] {
            group.check().map_err(|invalid| {
                self.setting(
                    format!("{within}arm `{}`, {key}: {}", arm.name, invalid.key),
                    format!("{}: {}", invalid.value, invalid.allowed),
                )
            })?;
        }
        Ok(())
    }
}

/// Names of the experiments in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some(
                entry
                    .file_name()
                    .to_str()?
                    .strip_suffix(".toml")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    names
}

pub(crate) fn repeated<T: PartialEq>(values: &[T]) -> Option<&T> {
    values
        .iter()
        .enumerate()
        .find(|(index, value)| values[..*index].contains(value))
        .map(|(_, value)| value)
}

/// serde's error with the line of the key that is wrong and the nearest valid
/// one. Inside a group of settings serde loses the place and names the table
/// only; then the key or value that it names is looked up in the text.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let mut what = message.to_owned();
    let mut line = error.span().map_or(1, |span| line_of(text, span.start));
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let found = quoted.next().unwrap_or_default();
        let nearest = quoted.max_by(|a, b| {
            strsim::jaro_winkler(found, a).total_cmp(&strsim::jaro_winkler(found, b))
        });
        if let Some(nearest) = nearest {
            what = format!("{message}; did you mean `{nearest}`?");
        }
        let from = error.span().map_or(0, |span| span.start);
        let place = word(&text[from..], found).map(|at| from + at);
        line = place.map_or(line, |at| line_of(text, at));
    }
    Error::File {
        path: path.to_owned(),
        line,
        what,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}

/// Where `word` stands in `text` by itself, not as a part of another.
fn word(text: &str, word: &str) -> Option<usize> {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        !part(text[..*at].chars().next_back()) && !part(text[at + word.len()..].chars().next())
    })
}
