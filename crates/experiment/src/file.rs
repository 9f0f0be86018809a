use std::path::{Path, PathBuf};

use adamix_autoencoder::dataset::Spec;
use adamix_autoencoder::{Loss, PreTrainingSettings, Reduction};
use adamix_optim::GroupConfig;
use adamix_record::Role;
use serde::{Deserialize, Serialize};

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
    pub title: String,
    /// What is assumed, and what came out: paragraphs of plain text.
    pub analysis: String,
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
    /// Pre-training; each key has a default.
    #[serde(default)]
    pub pre_training: PreTrainingSettings,
    /// Fine-tuning.
    pub fine_tuning: FineTuningSettings,
    /// The optimizer configurations to be compared.
    #[serde(rename = "arm")]
    pub arms: Vec<ArmFile>,
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
    pub label: String,
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
        let file = &self.file;
        if let Some(seed) = repeated(&file.seeds) {
            return Err(self.setting("seeds", format!("{seed} stands twice; each seed once")));
        }
        if file.seeds.is_empty() {
            return Err(self.setting("seeds", "there is none; give at least one"));
        }
        if file.arms.is_empty() {
            return Err(self.setting("arm", "there is none; give at least one [[arm]]"));
        }
        let names: Vec<_> = file.arms.iter().map(|arm| &arm.name).collect();
        if let Some(name) = repeated(&names) {
            return Err(self.setting(
                "arm.name",
                format!("`{name}` stands twice; each arm has a name of its own"),
            ));
        }
        for arm in &file.arms {
            for (group, key) in [(&arm.weights, "weights"), (&arm.biases, "biases")] {
                group.check().map_err(|invalid| {
                    self.setting(
                        format!("arm `{}`, {key}: {}", arm.name, invalid.key),
                        format!("{}: {}", invalid.value, invalid.allowed),
                    )
                })?;
            }
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
                return Err(self.setting(format!("pre-training.{key}"), what));
            }
        }
        if file.fine_tuning.epochs == 0 {
            return Err(self.setting("fine-tuning.epochs", "0: must be at least 1"));
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

fn repeated<T: PartialEq>(values: &[T]) -> Option<&T> {
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
