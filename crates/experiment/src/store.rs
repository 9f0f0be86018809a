use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use adamix_autoencoder::rounding;
use adamix_record::{
    Backend, End, Header, Line, Outcome, Plan, RunId, RunRecord, SEMANTICS_VERSION, sha256_hex,
};
use candle_core::{Device, Tensor};

use crate::{Error, Machine, Result};

/// Where things are kept: the folder of an experiment's records, and a cache
/// of what can be computed again.
#[derive(Debug, Clone)]
pub struct Store {
    /// The folder of all reports.
    reports: PathBuf,
    /// `reports/<experiment>`
    folder: PathBuf,
    /// Pre-trained starts and checkpoints.
    cache: PathBuf,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq)]
pub enum RunState {
    /// Its record is complete.
    Finished(Box<RunRecord>),
    /// It was begun: its record so far.
    Begun(Box<RunRecord>),
    /// Nothing is there that could be gone on from.
    Missing,
}

impl RunState {
    /// Whether nothing is left to be done. A failed run is tried again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Finished(record) if !failed(record))
    }
}

fn failed(record: &RunRecord) -> bool {
    matches!(
        &record.end,
        Some(End {
            outcome: Outcome::Failed { .. },
            ..
        })
    )
}

/// Tensors by name, as safetensors files hold them.
pub(crate) type Tensors = HashMap<String, Tensor>;

impl Store {
    /// The store of the experiment `name`. Nothing is made yet.
    pub fn new(reports: &Path, name: &str, cache: &Path) -> Self {
        Self {
            reports: reports.to_owned(),
            folder: reports.join(name),
            cache: cache.to_owned(),
        }
    }

    /// `reports/<experiment>`
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folders and takes the experiment for this process, until the
    /// returned file is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] where another process has it, [`Error::Store`].
    pub fn lock(&self) -> Result<File> {
        for folder in [
            self.folder.join("runs"),
            self.cache.join("starts"),
            self.cache.join("anchors"),
            self.checkpoints(),
        ] {
            std::fs::create_dir_all(&folder).map_err(|e| Error::store(&folder, e))?;
        }
        let path = self.folder.join(".lock");
        let file = File::create(&path).map_err(|e| Error::store(&path, e))?;
        match file.try_lock() {
            Ok(()) => {
                self.clear_unfinished_writes();
                Ok(file)
            }
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy { path }),
            Err(std::fs::TryLockError::Error(e)) => Err(Error::store(&path, e)),
        }
    }

    /// Removes the temporary files that a killed process left beside its
    /// checkpoints: nothing else than checkpoints belongs there.
    fn clear_unfinished_writes(&self) {
        let entries = std::fs::read_dir(self.checkpoints())
            .into_iter()
            .flatten()
            .flatten();
        for path in entries.map(|entry| entry.path()) {
            if path
                .extension()
                .is_none_or(|extension| extension != "safetensors")
            {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Writes `plan.json`.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        Ok(adamix_record::write_json(
            &self.folder.join("plan.json"),
            plan,
        )?)
    }

    fn record(&self, run_id: &RunId) -> PathBuf {
        self.folder.join(format!("runs/{run_id}.jsonl"))
    }

    fn partial(&self, run_id: &RunId) -> PathBuf {
        self.folder.join(format!("runs/{run_id}.partial"))
    }

    /// Folder of the checkpoints that belong to this folder of records; another
    /// that has the same run in training has its own.
    fn checkpoints(&self) -> PathBuf {
        let folder = std::path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let name = sha256_hex(folder.as_os_str().as_encoded_bytes());
        self.cache.join("checkpoints").join(&name[..16])
    }

    fn checkpoint(&self, run_id: &RunId) -> PathBuf {
        self.checkpoints().join(format!("{run_id}.safetensors"))
    }

    /// Removes a run's checkpoint, if there is one.
    pub(crate) fn remove_checkpoint(&self, run_id: &RunId) {
        // It may not be there, and where it cannot be removed it does no harm.
        let _ = std::fs::remove_file(self.checkpoint(run_id));
    }

    /// How far a run has come in this experiment's folder.
    ///
    /// # Errors
    /// [`Error::Record`] where its record is damaged.
    pub fn state(&self, run_id: &RunId) -> Result<RunState> {
        let path = self.record(run_id);
        if path.exists() {
            return Ok(RunState::Finished(Box::new(RunRecord::read(&path)?)));
        }
        Ok(match RunRecord::read(&self.partial(run_id)) {
            Ok(record) => RunState::Begun(Box::new(record)),
            Err(_) => RunState::Missing,
        })
    }

    /// Copies the record of a run that another experiment has finished, if
    /// there is one that went `far_enough`: run ids name everything that decides the numbers, up to
    /// their [`Rounding`], which must be this machine's.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Record`].
    pub(crate) fn adopt(
        &self,
        run_id: &RunId,
        here: &Rounding,
        far_enough: &dyn Fn(&RunRecord) -> bool,
    ) -> Result<Option<Box<RunRecord>>> {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(&self.reports)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        folders.sort();
        for folder in folders {
            let path = folder.join(format!("runs/{run_id}.jsonl"));
            if folder == self.folder || !path.exists() {
                continue;
            }
            let record = RunRecord::read(&path)?;
            if failed(&record) || !far_enough(&record) || Rounding::of(&record.header) != *here {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|e| Error::store(&path, e))?;
            adamix_record::write_atomically(&self.record(run_id), &bytes)?;
            return Ok(Some(Box::new(record)));
        }
        Ok(None)
    }

    /// What a run broken off left: its checkpoint, and the lines of its record
    /// up to there. `None` where one of them is missing, damaged, or written
    /// by other numerics than those of `header`: the run then begins anew.
    pub(crate) fn resume(&self, header: &Header) -> Option<(Tensors, Vec<Line>)> {
        let record = RunRecord::read(&self.partial(&header.run_id)).ok()?;
        if Rounding::of(&record.header) != Rounding::of(header) {
            return None;
        }
        let tensors = load(&self.checkpoint(&header.run_id))?;
        let epoch = tensors.get("epoch")?.to_scalar::<i64>().ok()? as usize;
        if record.evaluations.len() <= epoch || record.diagnostics.len() < epoch {
            return None;
        }
        let mut lines = vec![Line::Header(record.header)];
        let mut diagnostics = record.diagnostics.into_iter();
        for evaluation in record.evaluations.into_iter().take(epoch + 1) {
            let later = evaluation.epoch > 0;
            lines.push(Line::Evaluation(evaluation));
            if later {
                lines.extend(diagnostics.next().map(Line::Diagnostics));
            }
        }
        Some((tensors, lines))
    }

    /// Begins a run's record with these lines; what was there is replaced.
    pub(crate) fn begin(&self, run_id: &RunId, lines: &[Line]) -> Result<Recorder> {
        if lines.len() == 1 {
            // A run that begins anew must never be gone on with from an old checkpoint.
            self.remove_checkpoint(run_id);
        }
        let path = self.partial(run_id);
        let text: String = lines.iter().map(to_line).collect();
        adamix_record::write_atomically(&path, text.as_bytes())?;
        let file = File::options()
            .append(true)
            .open(&path)
            .map_err(|e| Error::store(&path, e))?;
        Ok(Recorder {
            file,
            path,
            finished: self.record(run_id),
            checkpoint: self.checkpoint(run_id),
        })
    }

    /// File of the figures of the data set with this checksum, in the cache.
    pub fn anchors(&self, data_sha256: &str) -> PathBuf {
        self.cache.join(format!("anchors/{data_sha256}.json"))
    }

    /// File of a pre-trained start; `partial` while it is in training.
    pub(crate) fn start(&self, id: &str, partial: bool) -> PathBuf {
        let end = if partial {
            "partial.safetensors"
        } else {
            "safetensors"
        };
        self.cache.join(format!("starts/{id}.{end}"))
    }
}

/// What two runs of one id must have in common to have the same bits: the
/// version of the numerics, and how this crate's matrix products round, see
/// [`rounding`].
#[derive(Debug, PartialEq)]
pub(crate) struct Rounding {
    semantics: u32,
    products: String,
}

impl Rounding {
    pub(crate) fn of(header: &Header) -> Self {
        Self {
            semantics: header.semantics,
            products: match header.backend {
                Backend::Cpu => rounding(&header.kernel, &header.environment.processor),
                Backend::Cuda => header.kernel.clone(),
            },
        }
    }

    /// Of what this program computes on `machine`.
    pub(crate) fn on(machine: &Machine) -> Self {
        Self {
            semantics: SEMANTICS_VERSION,
            products: machine.rounding(),
        }
    }
}

/// A record being written.
#[derive(Debug)]
pub(crate) struct Recorder {
    file: File,
    path: PathBuf,
    finished: PathBuf,
    checkpoint: PathBuf,
}

impl Recorder {
    /// Adds a line.
    pub(crate) fn write(&mut self, line: &Line) -> Result<()> {
        self.file
            .write_all(to_line(line).as_bytes())
            .map_err(|e| Error::store(&self.path, e))
    }

    /// Keeps what is needed to go on from the lines written so far.
    pub(crate) fn checkpoint(&self, tensors: &Tensors) -> Result<()> {
        save(&self.checkpoint, tensors)
    }

    /// Ends the record: it gets its final name, the checkpoint goes.
    pub(crate) fn finish(self) -> Result<()> {
        std::fs::rename(&self.path, &self.finished).map_err(|e| Error::store(&self.finished, e))?;
        let _ = std::fs::remove_file(&self.checkpoint);
        Ok(())
    }
}

fn to_line(line: &Line) -> String {
    // Records hold no number that JSON lacks: what is not finite is `None`.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

/// Writes tensors. safetensors does so through a temporary file beside it and a
/// rename, so a reader never sees half of it.
pub(crate) fn save(path: &Path, tensors: &Tensors) -> Result<()> {
    candle_core::safetensors::save(tensors, path)
        .map_err(Error::compute(path.display().to_string()))
}

/// Reads tensors; `None` where the file is missing or damaged, since all of
/// them can be computed again.
pub(crate) fn load(path: &Path) -> Option<Tensors> {
    candle_core::safetensors::load(path, &Device::Cpu).ok()
}
