use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result, RunId};

/// One line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
// A record has one header and a few dozen other lines: boxing it saves nothing.
#[allow(clippy::large_enum_variant)]
pub enum Line {
    /// First line.
    Header(Header),
    /// Before the first update and after every epoch.
    Evaluation(Evaluation),
    /// After every epoch.
    Diagnostics(Diagnostics),
    /// Once, after the last epoch; not in a tuning run.
    Samples(Samples),
    /// Last line.
    End(End),
}

/// Everything that decides the run's numbers, and where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Header {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// [`SEMANTICS_VERSION`](crate::SEMANTICS_VERSION) of the writer.
    pub semantics: u32,
    /// Its id: equal to that computed from the fields below.
    pub run_id: RunId,
    /// [`Protocol::hash`](crate::Protocol::hash) of the protocol that ran it.
    pub protocol_hash: String,
    /// Resolved settings: protocol and arm, no label.
    pub settings: Value,
    /// Seed of every random stream.
    pub seed: u64,
    /// The data set.
    pub data: DataIdentity,
    /// What computed it.
    pub backend: Backend,
    /// The matrix-product kernel, for example `adamix avx2+fma`.
    pub kernel: String,
    /// The machine and the program.
    pub environment: Environment,
}

/// A data set by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataIdentity {
    /// `mnist`, `curves`, or the name of an IDX folder with the first digits of
    /// the checksum.
    pub name: String,
    /// Whether `sha256` is the published checksum of that data set.
    pub canonical: bool,
    /// SHA-256 over training images, training labels, test images, test
    /// labels, each as an uncompressed IDX file.
    pub sha256: String,
}

/// What computes a run. Estimates never mix backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The processor.
    Cpu,
    /// A CUDA device.
    Cuda,
}

/// The machine and the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Environment {
    /// Version of adamix.
    pub version: String,
    /// Commit of the source the program was built from, where git knew it.
    pub commit: Option<String>,
    /// Day of that commit, as `2026-11-24`; none in records from before it was
    /// written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_date: Option<String>,
    /// Whether the source differed from that commit.
    pub dirty: bool,
    /// SHA-256 of `Cargo.lock`.
    pub lock_sha256: String,
    /// Version of the compiler.
    pub rustc: String,
    /// Cargo features that were on.
    pub features: Vec<String>,
    /// Operating system and architecture.
    pub platform: String,
    /// Processor model; on Linux with its family and number, since what a
    /// virtual machine calls its processor is often the maker's name alone.
    pub processor: String,
    /// Physical cores.
    pub cores: usize,
    /// GPU model, where one computed.
    pub gpu: Option<String>,
    /// Runs that ran side by side, one thread each.
    pub jobs: usize,
}

/// Errors after a whole number of epochs. Reconstruction errors are means over
/// images of the sum over pixels of the squared difference, reduced in f64;
/// `None` where that is not finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evaluation {
    /// Epochs done.
    pub epoch: u64,
    /// Updates done.
    pub update: u64,
    /// Reconstruction error on the first 10,000 training images used (all, if fewer).
    pub train_error: Option<f64>,
    /// Reconstruction error on the test images; `None` in a tuning run, which
    /// sees none of them.
    pub test_error: Option<f64>,
    /// Reconstruction error on the validation images, in a tuning run only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_error: Option<f64>,
    /// Learning rate of the weights at the next update.
    pub weights_learning_rate: f64,
    /// Learning rate of the biases at the next update.
    pub biases_learning_rate: f64,
    /// Seconds of training so far, evaluation not included. A timing.
    pub training_seconds: f64,
}

/// What the gradients looked like in the last update of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Diagnostics {
    /// Epochs done.
    pub epoch: u64,
    /// One entry a layer, from the input on.
    pub layers: Vec<LayerGradient>,
}

/// Size of one layer's gradients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LayerGradient {
    /// Median of |g| over the layer's weights; `None` where not finite.
    pub weights_median: Option<f64>,
    /// Median of |g| over the layer's biases; `None` where not finite.
    pub biases_median: Option<f64>,
}

/// What the trained network makes of some test images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Samples {
    /// Rows and columns of one image.
    pub image_shape: [usize; 2],
    /// Ten test images, row by row, 0..=255: of each label the first, or the
    /// first ten where there are no labels.
    pub images: Vec<Vec<u8>>,
    /// Their labels.
    pub labels: Vec<u8>,
    /// Their reconstructions.
    pub reconstructions: Vec<Vec<u8>>,
    /// Squared error of each reconstruction, summed over pixels.
    pub errors: Vec<Option<f64>>,
    /// Codes of the first 2,000 test images, projected on their first two
    /// principal directions.
    pub codes: Vec<[f32; 2]>,
    /// Labels of those images.
    pub code_labels: Vec<u8>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// SHA-256 of the final weights and biases, little-endian, layer by layer.
    pub weights_sha256: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// All epochs done.
    Completed,
    /// An error became non-finite, or the test error (in a tuning run the
    /// validation error) from epoch 1 on exceeded the error of
    /// the mean image; the run was stopped there.
    Diverged {
        /// Epochs done when that was seen.
        epoch: u64,
    },
    /// A candidate of a tuning that was not among those kept after so many
    /// epochs.
    Stopped {
        /// Epochs done.
        epoch: u64,
    },
    /// The program could not go on.
    Failed {
        /// The error.
        why: String,
    },
}

/// A whole record, read back and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// First line.
    pub header: Header,
    /// Evaluations by epoch, from 0 without a gap.
    pub evaluations: Vec<Evaluation>,
    /// Diagnostics by epoch, from 1.
    pub diagnostics: Vec<Diagnostics>,
    /// Samples, where the run came that far.
    pub samples: Option<Samples>,
    /// The end; `None` only for a `.partial` file.
    pub end: Option<End>,
}

fn check_schema(schema: u32) -> std::result::Result<(), String> {
    if schema == crate::SCHEMA {
        return Ok(());
    }
    let read = crate::SCHEMA;
    Err(format!(
        "schema {schema} where {read} is read; remove it and run the experiment again"
    ))
}

impl Evaluation {
    /// The error that the run is judged by: on the test images, in a tuning
    /// run on the validation images; `None` where it is not finite.
    pub fn error(&self) -> Option<f64> {
        self.validation_error.or(self.test_error)
    }
}

impl RunRecord {
    /// Reads a record, complete (`.jsonl`) or not (`.partial`), and checks it:
    /// a header of this schema first, whose id is that of its settings and of
    /// the file's name; evaluations and diagnostics in order without a gap; in
    /// a complete record an end, and nothing after it. In a `.partial` file a
    /// last line cut short is left out.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Json`] with the line, [`Error::Invalid`].
    pub fn read(path: &Path) -> Result<Self> {
        let partial = path.extension().is_some_and(|e| e == "partial");
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let complete_lines = match text.rfind('\n') {
            Some(end) if partial => &text[..=end],
            None if partial => "",
            _ => &text[..],
        };
        // The schema first: another one has other fields.
        #[derive(Deserialize)]
        struct Version {
            schema: Option<u32>,
        }
        let version = complete_lines.lines().next().map(serde_json::from_str);
        if let Some(Ok(Version {
            schema: Some(schema),
        })) = version
        {
            check_schema(schema).map_err(|what| Error::invalid(path, what))?;
        }
        let mut lines = Vec::new();
        for (index, line) in complete_lines.lines().enumerate() {
            lines.push(serde_json::from_str(line).map_err(|e| Error::json(path, index + 1, e))?);
        }
        let record = Self::from_lines(lines).map_err(|what| Error::invalid(path, what))?;
        let stem = path
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.split('.').next());
        if stem != Some(record.header.run_id.as_str()) {
            return Err(Error::invalid(
                path,
                format!(
                    "the header says run {}, the file's name does not; remove or rename it",
                    record.header.run_id
                ),
            ));
        }
        if record.end.is_none() && !partial {
            return Err(Error::invalid(
                path,
                "it has no end line; remove it and run the experiment again",
            ));
        }
        Ok(record)
    }

    /// Puts lines together; the error says what is wrong with them.
    ///
    /// # Errors
    /// As [`read`](Self::read), without the file.
    pub fn from_lines(lines: Vec<Line>) -> std::result::Result<Self, String> {
        let mut lines = lines.into_iter();
        let Some(Line::Header(header)) = lines.next() else {
            return Err(
                "the first line is no header; remove it and run the experiment again".into(),
            );
        };
        check_schema(header.schema)?;
        if header.semantics == crate::SEMANTICS_VERSION {
            let expected = RunId::new(
                &header.settings,
                header.seed,
                &header.data.sha256,
                header.backend,
            );
            if expected != header.run_id {
                return Err(format!(
                    "its settings belong to run {expected}, its header says {}; it was altered",
                    header.run_id
                ));
            }
        }
        let mut record = Self {
            header,
            evaluations: Vec::new(),
            diagnostics: Vec::new(),
            samples: None,
            end: None,
        };
        for line in lines {
            if record.end.is_some() {
                return Err("a line stands after its end".into());
            }
            match line {
                Line::Header(_) => return Err("it has two headers".into()),
                Line::Evaluation(line) => {
                    if line.epoch != record.evaluations.len() as u64 {
                        return Err(format!(
                            "evaluation of epoch {} where {} is due",
                            line.epoch,
                            record.evaluations.len()
                        ));
                    }
                    record.evaluations.push(line);
                }
                Line::Diagnostics(line) => {
                    if line.epoch != record.diagnostics.len() as u64 + 1 {
                        return Err(format!(
                            "diagnostics of epoch {} where {} is due",
                            line.epoch,
                            record.diagnostics.len() + 1
                        ));
                    }
                    record.diagnostics.push(line);
                }
                Line::Samples(line) => {
                    if record.samples.replace(line).is_some() {
                        return Err("it has two lines of samples".into());
                    }
                }
                Line::End(line) => record.end = Some(line),
            }
        }
        Ok(record)
    }

    /// The record with every timing set to 0 and the number of jobs to 1: what
    /// two runs of the same settings must have in common to the bit.
    pub fn without_timings(mut self) -> Self {
        self.header.environment.jobs = 1;
        for evaluation in &mut self.evaluations {
            evaluation.training_seconds = 0.0;
        }
        self
    }
}
