use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS, SIDE};
use adamix_autoencoder::pca::Pca;
use adamix_autoencoder::{Autoencoder, FineTuning, Workspace, kernel_name};
use adamix_optim::ParamKind;
use adamix_record::{
    Backend, Diagnostics, End, Evaluation, Header, LayerGradient, Line, Outcome, PlannedRun,
    RunRecord, SCHEMA, SEMANTICS_VERSION, Samples, sha256_hex,
};
use candle_core::{DType, Tensor};

use crate::plan::Resolved;
use crate::starts;
use crate::store::{Recorder, Rounding, RunState, Store};
use crate::{Error, Result, environment, mean_image_error};

/// Training images that the training error is taken on, the first ones.
pub(crate) const EVALUATED_TRAIN_IMAGES: usize = 10_000;

/// Images evaluated at once.
const EVALUATION_BATCH: usize = 500;

/// Test images whose codes are recorded.
const CODES: usize = 2_000;

/// What happens while an experiment runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A run's record was there already.
    Skipped(&'a PlannedRun),
    /// A run's record was copied from another experiment's folder.
    Adopted(&'a PlannedRun),
    /// A seed's pre-trained start was in the cache.
    StartCached {
        /// The seed.
        seed: u64,
    },
    /// Pre-training began, or goes on after `done` of `epochs` epochs.
    StartBegun {
        /// The seed.
        seed: u64,
        /// Epochs done, over all RBMs.
        done: u64,
        /// Epochs in all.
        epochs: u64,
    },
    /// An epoch of pre-training ended: `done` of `epochs`, of the RBM `layer`,
    /// with this squared error of its input.
    StartEpoch {
        /// The seed.
        seed: u64,
        /// Epochs done, over all RBMs.
        done: u64,
        /// Epochs in all.
        epochs: u64,
        /// Which RBM, from 0 at the image.
        layer: usize,
        /// Mean squared error of the input of that RBM, summed over units.
        error: f64,
    },
    /// Pre-training ended.
    StartDone {
        /// The seed.
        seed: u64,
    },
    /// A run began, or goes on after `done` of `epochs` epochs.
    RunBegun {
        /// The run.
        run: &'a PlannedRun,
        /// Epochs done.
        done: u64,
        /// Epochs in all.
        epochs: u64,
    },
    /// A run was evaluated.
    RunEvaluated {
        /// The run.
        run: &'a PlannedRun,
        /// Epochs in all.
        epochs: u64,
        /// What was measured.
        evaluation: &'a Evaluation,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: &'a PlannedRun,
        /// How.
        outcome: &'a Outcome,
        /// Its last evaluation.
        last: Option<&'a Evaluation>,
    },
    /// So much arithmetic was done: see [`Work`](crate::Work).
    Work(f64),
    /// So much need not be done: it was found in the cache.
    Spared(f64),
}

/// What a call of [`run`] came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Runs trained to their end by this call.
    pub trained: usize,
    /// Runs that were finished before, here or in another experiment.
    pub found: usize,
    /// Of all runs of the plan, those that diverged.
    pub diverged: usize,
    /// Of all runs of the plan, those that failed.
    pub failed: usize,
}

/// Trains every run of the plan whose record is not complete, up to `jobs` at
/// a time on a thread each, seed by seed so that arms can be compared early.
/// What is recorded does not depend on `jobs`. `event` is called from all
/// threads. Once `stop` is set, every run breaks off at its next update; what
/// was evaluated is kept, and the next call goes on from there.
///
/// # Errors
/// [`Error::Interrupted`] after `stop`; [`Error::Store`], [`Error::Record`]
/// and [`Error::Compute`] where records or starts cannot be written or made. A
/// run whose own computation fails is recorded as failed and is no error.
pub fn run(
    resolved: &Resolved,
    dataset: &Dataset,
    store: &Store,
    jobs: usize,
    stop: &AtomicBool,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut pending = Vec::new();
    for seed in &resolved.plan.seeds {
        for planned in resolved.plan.runs.iter().filter(|run| run.seed == *seed) {
            match finished(store, planned, event)? {
                Some(record) => {
                    summary.found += 1;
                    summary.count(record.end.as_ref().map(|end| &end.outcome));
                }
                None => pending.push(planned),
            }
        }
    }
    let train = first(&dataset.train, resolved.settings.train_images);
    let context = Context {
        resolved,
        evaluated_train: first(&train, EVALUATED_TRAIN_IMAGES),
        train,
        test: &dataset.test,
        mean_image_error: mean_image_error(dataset),
        store,
        jobs,
        stop,
        event,
    };
    let queue = Queue::new(&pending);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, pending.len().max(1)) {
            scope.spawn(|| {
                let _guard = PanicGuard {
                    queue: &queue,
                    stop,
                };
                while let Some(task) = queue.next() {
                    if stop.load(Ordering::Relaxed) {
                        queue.fail(Error::Interrupted);
                        break;
                    }
                    let done = match task {
                        Task::Start(seed) => {
                            starts::start(resolved, &context.train, seed, store, stop, event)
                                .map(|network| queue.started(seed, network))
                        }
                        Task::Run(planned, start) => context
                            .run(planned, &start)
                            .map(|outcome| queue.ended(&outcome)),
                    };
                    if let Err(error) = done {
                        // The first error ends the others at their next update.
                        stop.store(true, Ordering::Relaxed);
                        queue.fail(error);
                    }
                }
            });
        }
    });
    let State { error, ended, .. } = queue.into_state();
    if let Some(error) = error {
        return Err(error);
    }
    for outcome in &ended {
        summary.trained += 1;
        summary.count(Some(outcome));
    }
    Ok(summary)
}

impl Summary {
    fn count(&mut self, outcome: Option<&Outcome>) {
        match outcome {
            Some(Outcome::Diverged { .. }) => self.diverged += 1,
            Some(Outcome::Failed { .. }) => self.failed += 1,
            Some(Outcome::Completed) | None => {}
        }
    }
}

/// The record of a run that is finished here or in a sibling folder.
fn finished(
    store: &Store,
    run: &PlannedRun,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Option<Box<RunRecord>>> {
    let state = store.state(&run.run_id)?;
    if state.is_final()
        && let RunState::Finished(record) = state
    {
        // A process killed at the wrong moment may have left it.
        store.remove_checkpoint(&run.run_id);
        event(Event::Skipped(run));
        return Ok(Some(record));
    }
    let adopted = store.adopt(&run.run_id, &Rounding::here())?;
    if adopted.is_some() {
        event(Event::Adopted(run));
    }
    Ok(adopted)
}

/// The first `count` images, or all.
fn first(images: &Images, count: usize) -> Images {
    let count = count.min(images.count());
    Images {
        pixels: images.pixels[..count * PIXELS].to_vec(),
        labels: images.labels.iter().copied().take(count).collect(),
    }
}

/// What is to be done next: a seed's start before its runs.
struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    runs: Vec<&'a PlannedRun>,
    /// Starts of the seeds that have runs left; `None` while in training.
    starts: BTreeMap<u64, Option<Autoencoder>>,
    ended: Vec<Outcome>,
    error: Option<Error>,
}

enum Task<'a> {
    Start(u64),
    Run(&'a PlannedRun, Autoencoder),
}

impl<'a> Queue<'a> {
    fn new(runs: &[&'a PlannedRun]) -> Self {
        let state = State {
            runs: runs.to_vec(),
            starts: BTreeMap::new(),
            ended: Vec::new(),
            error: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// A thread that panicked has left the state whole: it is changed by
    /// single assignments only.
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first run whose start is there, else the first start that nobody
    /// trains; waits where all that is left waits for a start.
    fn next(&self) -> Option<Task<'a>> {
        let mut state = self.lock();
        loop {
            if state.error.is_some() || state.runs.is_empty() {
                return None;
            }
            let ready = state
                .runs
                .iter()
                .position(|run| matches!(state.starts.get(&run.seed), Some(Some(_))));
            if let Some(index) = ready {
                let run = state.runs.remove(index);
                let last = !state.runs.iter().any(|other| other.seed == run.seed);
                let start = if last {
                    state.starts.remove(&run.seed)
                } else {
                    state.starts.get(&run.seed).cloned()
                };
                if let Some(Some(start)) = start {
                    return Some(Task::Run(run, start));
                }
            }
            let untrained = state
                .runs
                .iter()
                .find(|run| !state.starts.contains_key(&run.seed))
                .map(|run| run.seed);
            if let Some(seed) = untrained {
                state.starts.insert(seed, None);
                return Some(Task::Start(seed));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn started(&self, seed: u64, start: Autoencoder) {
        self.lock().starts.insert(seed, Some(start));
        self.changed.notify_all();
    }

    fn ended(&self, outcome: &Outcome) {
        self.lock().ended.push(outcome.clone());
    }

    /// The first error is kept; that others were interrupted follows from it.
    fn fail(&self, error: Error) {
        let mut state = self.lock();
        if state
            .error
            .as_ref()
            .is_none_or(|first| matches!(first, Error::Interrupted))
        {
            state.error = Some(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn into_state(self) -> State<'a> {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the others where a thread panics: what waits for the start that it
/// trained would wait for ever. The panic itself goes on.
struct PanicGuard<'q, 'a> {
    queue: &'q Queue<'a>,
    stop: &'q AtomicBool,
}

impl Drop for PanicGuard<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.store(true, Ordering::Relaxed);
            self.queue.fail(Error::Interrupted);
        }
    }
}

/// What all runs share.
struct Context<'a> {
    resolved: &'a Resolved,
    train: Images,
    evaluated_train: Images,
    test: &'a Images,
    mean_image_error: f64,
    store: &'a Store,
    jobs: usize,
    stop: &'a AtomicBool,
    event: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Context<'_> {
    /// Trains one run from `start` to its end, or on from its checkpoint.
    fn run(&self, planned: &PlannedRun, start: &Autoencoder) -> Result<Outcome> {
        let header = self.header(planned);
        let (training, lines) = match self.begin(planned, start, &header) {
            Ok((training, lines)) => (Ok(training), lines),
            Err(why) => (Err(Stopped::Run(why)), vec![Line::Header(header)]),
        };
        let mut recorder = self.store.begin(&planned.run_id, &lines)?;
        let trained =
            training.and_then(|training| self.train(planned, training, lines, &mut recorder));
        let (outcome, weights_sha256, last) = match trained {
            Ok(trained) => trained,
            Err(Stopped::Here(error)) => return Err(error),
            Err(Stopped::Run(why)) => (
                Outcome::Failed {
                    why: why.to_string(),
                },
                None,
                None,
            ),
        };
        recorder.write(&Line::End(End {
            outcome: outcome.clone(),
            weights_sha256,
        }))?;
        recorder.finish()?;
        (self.event)(Event::RunEnded {
            run: planned,
            outcome: &outcome,
            last: last.as_ref(),
        });
        Ok(outcome)
    }

    /// The training of a run and the lines of its record so far: from its
    /// checkpoint, or, where there is none that fits, from `start`.
    fn begin(
        &self,
        planned: &PlannedRun,
        start: &Autoencoder,
        header: &Header,
    ) -> candle_core::Result<(FineTuning<'_>, Vec<Line>)> {
        let fine = &self.resolved.settings.fine_tuning;
        let new = || {
            FineTuning::new(
                &self.train,
                start.copy()?,
                vec![self.resolved.optimizer(self.arm(planned))],
                &[planned.seed],
                fine.batch_size,
                fine.loss,
                fine.gradient,
            )
        };
        if let Some((tensors, lines)) = self.store.resume(header) {
            let mut training = new()?;
            if training.restore(&tensors).is_ok() {
                return Ok((training, lines));
            }
        }
        Ok((new()?, vec![Line::Header(header.clone())]))
    }

    /// Trains to the end. `lines` is what its record holds already.
    fn train(
        &self,
        planned: &PlannedRun,
        mut training: FineTuning<'_>,
        lines: Vec<Line>,
        recorder: &mut Recorder,
    ) -> std::result::Result<(Outcome, Option<String>, Option<Evaluation>), Stopped> {
        let epochs = self.resolved.settings.fine_tuning.epochs;
        let mut workspace = Workspace::new(training.network(), EVALUATION_BATCH)?;
        let work = self.resolved.work();
        (self.event)(Event::RunBegun {
            run: planned,
            done: training.epochs(),
            epochs,
        });
        let mut last = lines.into_iter().rev().find_map(|line| match line {
            Line::Evaluation(evaluation) => Some(evaluation),
            _ => None,
        });
        let mut seconds = last
            .as_ref()
            .map_or(0.0, |evaluation| evaluation.training_seconds);
        if last.is_some() {
            let epoch = work.evaluation + self.resolved.steps_per_epoch() as f64 * work.step;
            (self.event)(Event::Spared(
                work.evaluation + training.epochs() as f64 * epoch,
            ));
        } else {
            let evaluation = self.evaluate(&training, &mut workspace, seconds)?;
            recorder.write(&Line::Evaluation(evaluation.clone()))?;
            (self.event)(Event::RunEvaluated {
                run: planned,
                epochs,
                evaluation: &evaluation,
            });
            (self.event)(Event::Work(work.evaluation));
            last = Some(evaluation);
        }
        let mut outcome = last
            .as_ref()
            .and_then(|evaluation| self.diverged(evaluation));
        while outcome.is_none() && training.epochs() < epochs {
            let clock = Instant::now();
            let ended = training.epoch(&mut || {
                (self.event)(Event::Work(work.step));
                if self.stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if !ended {
                return Err(Stopped::Here(Error::Interrupted));
            }
            seconds += clock.elapsed().as_secs_f64();
            let evaluation = self.evaluate(&training, &mut workspace, seconds)?;
            recorder.write(&Line::Evaluation(evaluation.clone()))?;
            recorder.write(&Line::Diagnostics(diagnostics(&training)?))?;
            recorder.checkpoint(&training.state()?)?;
            (self.event)(Event::RunEvaluated {
                run: planned,
                epochs,
                evaluation: &evaluation,
            });
            (self.event)(Event::Work(work.evaluation));
            outcome = self.diverged(&evaluation);
            last = Some(evaluation);
        }
        recorder.write(&Line::Samples(self.samples(&training, &mut workspace)?))?;
        let hash = weights_sha256(training.network())?;
        Ok((outcome.unwrap_or(Outcome::Completed), Some(hash), last))
    }

    fn arm(&self, planned: &PlannedRun) -> usize {
        self.resolved
            .plan
            .arms
            .iter()
            .position(|arm| arm.name == planned.arm)
            .unwrap_or_default()
    }

    fn header(&self, planned: &PlannedRun) -> Header {
        Header {
            schema: SCHEMA,
            semantics: SEMANTICS_VERSION,
            run_id: planned.run_id.clone(),
            experiment_hash: self.resolved.plan.experiment_hash.clone(),
            settings: self
                .resolved
                .run_settings(&self.resolved.plan.arms[self.arm(planned)]),
            seed: planned.seed,
            data: self.resolved.plan.data.clone(),
            backend: Backend::Cpu,
            kernel: kernel_name(),
            environment: environment(self.jobs),
        }
    }

    fn evaluate(
        &self,
        training: &FineTuning<'_>,
        workspace: &mut Workspace,
        training_seconds: f64,
    ) -> candle_core::Result<Evaluation> {
        let mut error = |images: &Images| -> candle_core::Result<Option<f64>> {
            Ok(finite(
                training
                    .network()
                    .reconstruction_errors(images, workspace)?[0],
            ))
        };
        Ok(Evaluation {
            epoch: training.epochs(),
            update: training.updates(),
            train_error: error(&self.evaluated_train)?,
            test_error: error(self.test)?,
            weights_learning_rate: training.learning_rate(0, ParamKind::Weight),
            biases_learning_rate: training.learning_rate(0, ParamKind::Bias),
            training_seconds,
        })
    }

    /// Non-finite, or from epoch 1 on above the mean image's error.
    fn diverged(&self, evaluation: &Evaluation) -> Option<Outcome> {
        let fine = match (evaluation.test_error, evaluation.train_error) {
            (Some(test), Some(_)) => evaluation.epoch == 0 || test <= self.mean_image_error,
            _ => false,
        };
        (!fine).then_some(Outcome::Diverged {
            epoch: evaluation.epoch,
        })
    }

    fn samples(
        &self,
        training: &FineTuning<'_>,
        workspace: &mut Workspace,
    ) -> candle_core::Result<Samples> {
        let network = training.network();
        let ten = ten_images(self.test);
        let last = network.layers().len() - 1;
        let outputs = numbers(&network.outputs(&ten, last, workspace)?)?;
        let errors = outputs
            .chunks_exact(PIXELS)
            .zip(ten.pixels.chunks_exact(PIXELS))
            .map(|(y, x)| {
                finite(
                    y.iter()
                        .zip(x)
                        .map(|(y, x)| (y - f64::from(*x) / 255.0).powi(2))
                        .sum(),
                )
            })
            .collect();
        let coded = first(self.test, CODES);
        let layer = network.code_layer();
        let width = network.layers()[layer].biases.dims()[1];
        let codes = numbers(&network.outputs(&coded, layer, workspace)?)?;
        // A code that is not finite, or of one unit, has no plane of principal directions.
        let plane = if width >= 2 && codes.iter().all(|x| x.is_finite()) {
            Pca::fit(&codes, width).project(&codes, 2)
        } else {
            Vec::new()
        };
        // Three decimals are more than a plot shows.
        let rounded = |x: f64| ((x * 1000.0).round() / 1000.0) as f32;
        Ok(Samples {
            image_shape: [SIDE, SIDE],
            images: ten
                .pixels
                .chunks_exact(PIXELS)
                .map(<[u8]>::to_vec)
                .collect(),
            labels: ten.labels,
            reconstructions: outputs
                .chunks_exact(PIXELS)
                .map(|row| row.iter().map(|y| (y * 255.0).round() as u8).collect())
                .collect(),
            errors,
            codes: plane
                .chunks_exact(2)
                .map(|xy| [rounded(xy[0]), rounded(xy[1])])
                .collect(),
            code_labels: if plane.is_empty() {
                Vec::new()
            } else {
                coded.labels
            },
        })
    }
}

/// Why a run did not come to its end.
enum Stopped {
    /// Its own computation failed: recorded, the others go on.
    Run(candle_core::Error),
    /// Everything stops.
    Here(Error),
}

impl From<candle_core::Error> for Stopped {
    fn from(error: candle_core::Error) -> Self {
        Self::Run(error)
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

fn diagnostics(training: &FineTuning<'_>) -> candle_core::Result<Diagnostics> {
    let layers = training.gradient_medians(0)?.into_iter();
    Ok(Diagnostics {
        epoch: training.epochs(),
        layers: layers
            .map(|[weights, biases]| LayerGradient {
                weights_median: finite(weights),
                biases_median: finite(biases),
            })
            .collect(),
    })
}

/// The first image of each label from 0 to 9, or the first ten where a label
/// has none.
fn ten_images(images: &Images) -> Images {
    let of_label = |label: u8| images.labels.iter().position(|other| *other == label);
    let chosen: Vec<usize> = (0..10)
        .map(of_label)
        .collect::<Option<_>>()
        .unwrap_or_else(|| (0..images.count().min(10)).collect());
    Images {
        pixels: chosen
            .iter()
            .flat_map(|index| &images.pixels[index * PIXELS..][..PIXELS])
            .copied()
            .collect(),
        labels: chosen
            .iter()
            .filter_map(|index| images.labels.get(*index).copied())
            .collect(),
    }
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// SHA-256 of every layer's weights and biases, little-endian.
fn weights_sha256(network: &Autoencoder) -> candle_core::Result<String> {
    let mut bytes = Vec::new();
    for param in network.params() {
        let values = param.var.flatten_all()?.to_vec1::<f32>()?;
        bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
    }
    Ok(sha256_hex(&bytes))
}
