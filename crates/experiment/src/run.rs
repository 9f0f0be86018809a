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
use serde::Serialize;

use crate::plan::{Series, SeriesArm};
use crate::starts;
use crate::store::{Recorder, Rounding, RunState, Store};
use crate::{Error, Resolved, Result, environment, mean_image_error, tune};

/// Training images that the training error is taken on, the first ones.
pub(crate) const EVALUATED_TRAIN_IMAGES: usize = 10_000;

/// Images evaluated at once.
pub(crate) const EVALUATION_BATCH: usize = 500;

/// Test images whose codes are recorded.
const CODES: usize = 2_000;

/// What happens while an experiment runs. `adamix run --format json` writes them
/// out, an object each: the variant is `event`, a run is its `run-id`, `arm`
/// and `seed`, and all else has the names and the form that it has in a record.
#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Event<'a> {
    /// These runs are next: those of a protocol, or of one rung of its tuning.
    #[serde(skip)]
    Round(&'a [Job]),
    /// A run's record was there already.
    Skipped {
        /// The run.
        #[serde(flatten)]
        run: &'a PlannedRun,
    },
    /// A run's record was copied from another experiment's folder.
    Adopted {
        /// The run.
        #[serde(flatten)]
        run: &'a PlannedRun,
    },
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
        #[serde(flatten)]
        run: &'a PlannedRun,
        /// Epochs done.
        done: u64,
        /// Epochs in all.
        epochs: u64,
    },
    /// A run was evaluated.
    RunEvaluated {
        /// The run.
        #[serde(flatten)]
        run: &'a PlannedRun,
        /// Epochs in all.
        epochs: u64,
        /// What was measured.
        evaluation: &'a Evaluation,
    },
    /// A run came as far as it was to go for now: see [`Until::Pause`].
    RunPaused {
        /// The run.
        #[serde(flatten)]
        run: &'a PlannedRun,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        #[serde(flatten)]
        run: &'a PlannedRun,
        /// How.
        outcome: &'a Outcome,
        /// Its last evaluation.
        last: Option<&'a Evaluation>,
    },
    /// So much arithmetic was done: see [`Work`](crate::Work).
    #[serde(skip)]
    Work(f64),
}

/// A run that is to be trained, and how far.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The run.
    pub run: PlannedRun,
    /// How far.
    pub until: Until,
}

/// How far a run is to be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the end of its epochs.
    End,
    /// To the end of this epoch; its record stays open, so that it can go on.
    Pause(u64),
    /// To the end of this epoch, where its record ends.
    Stop(u64),
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

/// Trains every run of the plan whose record is not complete, up to `threads`
/// at a time on a thread each, protocol by protocol and seed by seed so that
/// arms can be compared early. Where a protocol's settings are tuned, that is
/// done first, and `resolved` and `plan.json` get what was chosen. What is
/// recorded does not depend on `threads`. `event` is called from all threads.
/// Once `stop` is set, every run breaks off at its next update; what was
/// evaluated is kept, and the next call goes on from there.
///
/// # Errors
/// [`Error::Interrupted`] after `stop`; [`Error::Store`], [`Error::Record`]
/// and [`Error::Compute`] where records or starts cannot be written or made. A
/// run whose own computation fails is recorded as failed and is no error.
pub fn run(
    resolved: &mut Resolved,
    dataset: &Dataset,
    store: &Store,
    threads: usize,
    stop: &AtomicBool,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Summary> {
    let session = Session {
        store,
        threads,
        stop,
        event,
    };
    let mut summary = Summary::default();
    store.write_plan(&resolved.plan)?;
    for place in 0..resolved.protocols.len() {
        while let Some(search) = &mut resolved.protocols[place].search {
            let next = search.next(store)?;
            let idle = next.jobs.is_empty() && next.chosen.is_empty();
            if !next.jobs.is_empty() {
                let split = tune::split(dataset, &search.series.settings);
                let split = split.as_ref().unwrap_or(dataset);
                session.train(&search.series, next.jobs, split, &mut summary)?;
            }
            if idle {
                break;
            }
            // Also where grids were extended and nothing is chosen yet.
            resolved.take_over(place, &next.chosen);
            store.write_plan(&resolved.plan)?;
        }
        let series = &resolved.protocols[place].series;
        let mut jobs: Vec<Job> = Vec::new();
        for seed in &resolved.plan.protocols[place].seeds {
            let of_seed = series.runs.iter().filter(|run| run.seed == *seed).cloned();
            jobs.extend(of_seed.map(|run| Job {
                run,
                until: Until::End,
            }));
        }
        session.train(series, jobs, dataset, &mut summary)?;
    }
    Ok(summary)
}

/// What all trainings of a call share.
#[derive(Clone, Copy)]
struct Session<'a> {
    store: &'a Store,
    threads: usize,
    stop: &'a AtomicBool,
    event: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Session<'_> {
    /// Trains these runs of a series as far as they are to go.
    fn train(
        self,
        series: &Series,
        jobs: Vec<Job>,
        dataset: &Dataset,
        summary: &mut Summary,
    ) -> Result<()> {
        let Self { stop, event, .. } = self;
        event(Event::Round(&jobs));
        let mut pending = Vec::new();
        for job in jobs {
            match finished(self.store, &job, event)? {
                Some(record) => {
                    summary.found += 1;
                    summary.count(record.end.as_ref().map(|end| &end.outcome));
                }
                None => pending.push(job),
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        let threads = fitting(series, &pending, self.threads);
        let train = first(&dataset.train, series.settings.train_images);
        let context = Context {
            session: Self { threads, ..self },
            series,
            evaluated_train: first(&train, EVALUATED_TRAIN_IMAGES),
            train,
            held_out: &dataset.test,
            mean_image_error: mean_image_error(dataset),
        };
        let queue = Queue::new(&pending);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(pending.len()) {
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
                                let images = &context.train;
                                starts::start(series, images, seed, self.store, stop, event)
                                    .map(|network| queue.started(seed, network))
                            }
                            Task::Run(job, start) => {
                                context.run(job, &start).map(|outcome| queue.ended(outcome))
                            }
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
        Ok(())
    }
}

/// How many of these runs may stand side by side: as asked, but no more than
/// fit into the memory that is free. At least one.
fn fitting(series: &Series, jobs: &[Job], asked: usize) -> usize {
    // Where the system does not tell, it is the user who knows.
    let Ok(mut system) = sysinfo::System::new() else {
        return asked;
    };
    system.refresh_memory();
    let bytes = jobs.iter().filter_map(|job| series.arm(&job.run));
    let largest = bytes.map(|arm| series.bytes(arm)).max().unwrap_or(0);
    let fit = system.available_memory().checked_div(largest);
    asked.min(fit.map_or(usize::MAX, |fit| fit as usize)).max(1)
}

impl Summary {
    fn count(&mut self, outcome: Option<&Outcome>) {
        match outcome {
            Some(Outcome::Diverged { .. }) => self.diverged += 1,
            Some(Outcome::Failed { .. }) => self.failed += 1,
            Some(Outcome::Completed | Outcome::Stopped { .. }) | None => {}
        }
    }
}

/// The record of a run that is finished here or in a sibling folder. One that a
/// search stopped is not finished where it is to go further.
fn finished(
    store: &Store,
    job: &Job,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Option<Box<RunRecord>>> {
    let run = &job.run;
    let far_enough = |record: &RunRecord| {
        let stopped = match record.end.as_ref().map(|end| &end.outcome) {
            Some(Outcome::Stopped { epoch }) => *epoch,
            _ => return true,
        };
        match job.until {
            Until::End => false,
            Until::Pause(epoch) | Until::Stop(epoch) => epoch <= stopped,
        }
    };
    let state = store.state(&run.run_id)?;
    if state.is_final()
        && let RunState::Finished(record) = state
    {
        if !far_enough(&record) {
            return Ok(None);
        }
        // A process killed at the wrong moment may have left it.
        store.remove_checkpoint(&run.run_id);
        event(Event::Skipped { run });
        return Ok(Some(record));
    }
    let adopted = store.adopt(&run.run_id, &Rounding::here(), &far_enough)?;
    if adopted.is_some() {
        event(Event::Adopted { run });
    }
    Ok(adopted)
}

/// The first `count` images, or all.
pub(crate) fn first(images: &Images, count: usize) -> Images {
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
    runs: Vec<&'a Job>,
    /// Starts of the seeds that have runs left; `None` while in training.
    starts: BTreeMap<u64, Option<Autoencoder>>,
    ended: Vec<Outcome>,
    error: Option<Error>,
}

enum Task<'a> {
    Start(u64),
    Run(&'a Job, Autoencoder),
}

impl<'a> Queue<'a> {
    fn new(jobs: &'a [Job]) -> Self {
        let state = State {
            runs: jobs.iter().collect(),
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
                .position(|job| matches!(state.starts.get(&job.run.seed), Some(Some(_))));
            if let Some(index) = ready {
                let job = state.runs.remove(index);
                let seed = job.run.seed;
                let last = !state.runs.iter().any(|other| other.run.seed == seed);
                let start = if last {
                    state.starts.remove(&seed)
                } else {
                    state.starts.get(&seed).cloned()
                };
                if let Some(Some(start)) = start {
                    return Some(Task::Run(job, start));
                }
            }
            let untrained = state
                .runs
                .iter()
                .map(|job| job.run.seed)
                .find(|seed| !state.starts.contains_key(seed));
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

    /// A run ended, or paused where there is no outcome.
    fn ended(&self, outcome: Option<Outcome>) {
        self.lock().ended.extend(outcome);
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
    session: Session<'a>,
    series: &'a Series,
    train: Images,
    evaluated_train: Images,
    held_out: &'a Images,
    mean_image_error: f64,
}

impl Context<'_> {
    /// Trains one run from `start`, or on from its checkpoint, as far as it is
    /// to go; `None` where it is then to go on later.
    fn run(&self, job: &Job, start: &Autoencoder) -> Result<Option<Outcome>> {
        let planned = &job.run;
        let Some(arm) = self.series.arm(planned) else {
            return Ok(None);
        };
        let header = self.header(planned, arm);
        let (training, lines) = match self.begin(arm, start, &header) {
            Ok((training, lines)) => (Ok(training), lines),
            Err(why) => (Err(Stopped::Run(why)), vec![Line::Header(header)]),
        };
        let mut recorder = self.session.store.begin(&planned.run_id, &lines)?;
        let trained = training.and_then(|training| self.train(job, training, lines, &mut recorder));
        let (outcome, weights_sha256, last) = match trained {
            Ok(Some(trained)) => trained,
            Ok(None) => {
                (self.session.event)(Event::RunPaused { run: planned });
                return Ok(None);
            }
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
        (self.session.event)(Event::RunEnded {
            run: planned,
            outcome: &outcome,
            last: last.as_ref(),
        });
        Ok(Some(outcome))
    }

    /// The training of a run and the lines of its record so far: from its
    /// checkpoint, or, where there is none that fits, from `start`.
    fn begin(
        &self,
        arm: &SeriesArm,
        start: &Autoencoder,
        header: &Header,
    ) -> candle_core::Result<(FineTuning<'_>, Vec<Line>)> {
        let fine = &self.series.settings.fine_tuning;
        let new = || {
            FineTuning::new(
                &self.train,
                start.copy()?,
                vec![self.series.optimizer(arm)],
                &[header.seed],
                fine.batch_size,
                fine.loss,
                fine.gradient,
            )
        };
        if let Some((tensors, lines)) = self.session.store.resume(header) {
            let mut training = new()?;
            if training.restore(&tensors).is_ok() {
                return Ok((training, lines));
            }
        }
        Ok((new()?, vec![Line::Header(header.clone())]))
    }

    /// Trains as far as the job says; `None` where the run is paused there.
    /// `lines` is what its record holds already.
    fn train(
        &self,
        job: &Job,
        mut training: FineTuning<'_>,
        lines: Vec<Line>,
        recorder: &mut Recorder,
    ) -> std::result::Result<Option<Trained>, Stopped> {
        let planned = &job.run;
        let epochs = self.series.settings.fine_tuning.epochs;
        let until = match job.until {
            Until::End => epochs,
            Until::Pause(epoch) | Until::Stop(epoch) => epoch.min(epochs),
        };
        let mut workspace = Workspace::new(training.network(), EVALUATION_BATCH)?;
        let work = self.series.work();
        (self.session.event)(Event::RunBegun {
            run: planned,
            done: training.epochs(),
            epochs: until,
        });
        let mut last = lines.into_iter().rev().find_map(|line| match line {
            Line::Evaluation(evaluation) => Some(evaluation),
            _ => None,
        });
        let mut seconds = last
            .as_ref()
            .map_or(0.0, |evaluation| evaluation.training_seconds);
        if last.is_none() {
            let evaluation = self.evaluate(&training, &mut workspace, seconds)?;
            recorder.write(&Line::Evaluation(evaluation.clone()))?;
            (self.session.event)(Event::RunEvaluated {
                run: planned,
                epochs: until,
                evaluation: &evaluation,
            });
            (self.session.event)(Event::Work(work.evaluation));
            last = Some(evaluation);
        }
        let mut outcome = last
            .as_ref()
            .and_then(|evaluation| self.diverged(evaluation));
        while outcome.is_none() && training.epochs() < until {
            let clock = Instant::now();
            let ended = training.epoch(&mut || {
                (self.session.event)(Event::Work(work.step));
                if self.session.stop.load(Ordering::Relaxed) {
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
            (self.session.event)(Event::RunEvaluated {
                run: planned,
                epochs: until,
                evaluation: &evaluation,
            });
            (self.session.event)(Event::Work(work.evaluation));
            outcome = self.diverged(&evaluation);
            last = Some(evaluation);
        }
        let outcome = match (outcome, job.until) {
            (Some(diverged), _) => diverged,
            (None, Until::Pause(_)) if until < epochs => return Ok(None),
            (None, Until::Stop(epoch)) if until < epochs => Outcome::Stopped { epoch },
            (None, _) => Outcome::Completed,
        };
        if !self.validates() {
            recorder.write(&Line::Samples(self.samples(&training, &mut workspace)?))?;
        }
        let hash = weights_sha256(training.network())?;
        Ok(Some((outcome, Some(hash), last)))
    }

    /// Whether the error is taken on validation images: a tuning run.
    fn validates(&self) -> bool {
        self.series.settings.validation_images.is_some()
    }

    fn header(&self, planned: &PlannedRun, arm: &SeriesArm) -> Header {
        Header {
            schema: SCHEMA,
            semantics: SEMANTICS_VERSION,
            run_id: planned.run_id.clone(),
            protocol_hash: self.series.hash.clone(),
            settings: self.series.run_settings(arm),
            seed: planned.seed,
            data: self.series.data.clone(),
            backend: Backend::Cpu,
            kernel: kernel_name(),
            environment: environment(self.session.threads),
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
        let train_error = error(&self.evaluated_train)?;
        let held_out = error(self.held_out)?;
        let (test_error, validation_error) = if self.validates() {
            (None, held_out)
        } else {
            (held_out, None)
        };
        Ok(Evaluation {
            epoch: training.epochs(),
            update: training.updates(),
            train_error,
            test_error,
            validation_error,
            weights_learning_rate: training.learning_rate(0, ParamKind::Weight),
            biases_learning_rate: training.learning_rate(0, ParamKind::Bias),
            training_seconds,
        })
    }

    /// Non-finite, or from epoch 1 on above the mean image's error.
    fn diverged(&self, evaluation: &Evaluation) -> Option<Outcome> {
        let fine = match (evaluation.error(), evaluation.train_error) {
            (Some(error), Some(_)) => evaluation.epoch == 0 || error <= self.mean_image_error,
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
        let ten = ten_images(self.held_out);
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
        let coded = first(self.held_out, CODES);
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

/// How a run ended, the hash of its weights, and its last evaluation.
type Trained = (Outcome, Option<String>, Option<Evaluation>);

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
