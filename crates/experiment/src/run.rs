use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS, SIDE};
use adamix_autoencoder::pca::Pca;
use adamix_autoencoder::{Autoencoder, FineTuning, Workspace};
use adamix_optim::ParamKind;
use adamix_record::{
    Backend, Diagnostics, End, Environment, Evaluation, Header, LayerGradient, Line, Outcome,
    PlannedRun, RunRecord, SCHEMA, SEMANTICS_VERSION, Samples, sha256_hex,
};
use candle_core::{DType, Tensor};
use serde::Serialize;

use crate::plan::{Series, SeriesArm};
use crate::starts;
use crate::store::{Recorder, Rounding, RunState, Store, Tensors};
use crate::{Error, Machine, Resolved, Result, environment, mean_image_error, tune};

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
    /// These runs together did not fit the memory of the device: they are trained
    /// by halves.
    Halved {
        /// How many they are.
        runs: usize,
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

/// Trains every run of the plan whose record is not complete, on `threads`
/// threads of the processor, each with a cohort of runs in lockstep, usually of
/// one; or on a CUDA device, with a cohort of as many as fit its memory. Protocol
/// by protocol and seed by seed, so that arms can be compared early. Where a protocol's settings are tuned, that is
/// done first, and `resolved` and `plan.json` get what was chosen. What is
/// recorded does not depend on `threads`, nor on the cohorts, on a CUDA device up
/// to rounding. `event` is called from all threads.
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
            match finished(self.store, &series.machine, &job, event)? {
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
        let machine = &series.machine;
        let largest = pending.iter().filter_map(|job| series.arm(&job.run));
        let largest = largest.map(|arm| series.bytes(arm)).max().unwrap_or(0);
        let cohorts = Cohorts {
            runs: machine.cohort(largest),
            starts: machine.cohort(series.start_bytes()),
        };
        let threads = match machine.backend() {
            Backend::Cpu => fitting(largest * cohorts.runs as u64, self.threads),
            Backend::Cuda => 1,
        };
        let train = first(&dataset.train, series.settings.train_images);
        let context = Context {
            session: Self { threads, ..self },
            series,
            evaluated_train: first(&train, EVALUATED_TRAIN_IMAGES),
            train,
            held_out: &dataset.test,
            mean_image_error: mean_image_error(dataset),
        };
        let queue = Queue::new(&pending, cohorts);
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
                            Task::Start(seeds) => {
                                let images = &context.train;
                                starts::starts(series, images, &seeds, self.store, stop, event)
                                    .map(|networks| queue.started(&seeds, networks))
                            }
                            Task::Run(runs) => {
                                context.run(&runs).map(|outcomes| queue.ended(outcomes))
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

/// How many trainings of `bytes` each may stand side by side: as asked, but no
/// more than fit into the memory that is free. At least one.
fn fitting(bytes: u64, asked: usize) -> usize {
    // Where the system does not tell, it is the user who knows.
    let Ok(mut system) = sysinfo::System::new() else {
        return asked;
    };
    system.refresh_memory();
    let fit = system.available_memory().checked_div(bytes);
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
    machine: &Machine,
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
    let adopted = store.adopt(&run.run_id, &Rounding::on(machine), &far_enough)?;
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

/// How many are trained in lockstep.
#[derive(Debug, Clone, Copy)]
struct Cohorts {
    runs: usize,
    starts: usize,
}

/// What is to be done next: a seed's start before its runs.
struct Queue<'a> {
    cohorts: Cohorts,
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
    /// The starts of these seeds.
    Start(Vec<u64>),
    /// These runs, each from its start.
    Run(Vec<(&'a Job, Autoencoder)>),
}

impl<'a> Queue<'a> {
    fn new(jobs: &'a [Job], cohorts: Cohorts) -> Self {
        let state = State {
            runs: jobs.iter().collect(),
            starts: BTreeMap::new(),
            ended: Vec::new(),
            error: None,
        };
        Self {
            cohorts,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// A thread that panicked has left the state whole: it is changed by
    /// single assignments only.
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first runs whose starts are there, as many as make a cohort; where
    /// they are fewer, the first starts that nobody trains come before them.
    /// Waits where all that is left waits for a start.
    fn next(&self) -> Option<Task<'a>> {
        let mut state = self.lock();
        loop {
            if state.error.is_some() || state.runs.is_empty() {
                return None;
            }
            let ready: Vec<usize> = (0..state.runs.len())
                .filter(|index| state.is_ready(*index))
                .take(self.cohorts.runs)
                .collect();
            let untrained = if ready.len() < self.cohorts.runs {
                state.untrained(self.cohorts.starts)
            } else {
                Vec::new()
            };
            if !untrained.is_empty() {
                state
                    .starts
                    .extend(untrained.iter().map(|seed| (*seed, None)));
                return Some(Task::Start(untrained));
            }
            if !ready.is_empty() {
                let runs = state.take(&ready);
                return Some(Task::Run(runs));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn started(&self, seeds: &[u64], networks: Vec<Autoencoder>) {
        let mut state = self.lock();
        for (seed, network) in seeds.iter().zip(networks) {
            state.starts.insert(*seed, Some(network));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// These runs ended; those that paused are not among them.
    fn ended(&self, outcomes: Vec<Outcome>) {
        self.lock().ended.extend(outcomes);
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

impl<'a> State<'a> {
    /// Whether the start of a run is there.
    fn is_ready(&self, run: usize) -> bool {
        matches!(self.starts.get(&self.runs[run].run.seed), Some(Some(_)))
    }

    /// The first seeds whose starts nobody has trained or trains.
    fn untrained(&self, most: usize) -> Vec<u64> {
        let mut seeds = Vec::new();
        for seed in self.runs.iter().map(|job| job.run.seed) {
            if seeds.len() < most && !seeds.contains(&seed) && !self.starts.contains_key(&seed) {
                seeds.push(seed);
            }
        }
        seeds
    }

    /// Takes these runs off, with their starts; a start that no other run needs
    /// is forgotten.
    fn take(&mut self, runs: &[usize]) -> Vec<(&'a Job, Autoencoder)> {
        let mut taken = Vec::new();
        for run in runs.iter().rev() {
            let job = self.runs.remove(*run);
            taken.extend(
                self.starts
                    .get(&job.run.seed)
                    .cloned()
                    .flatten()
                    .map(|start| (job, start)),
            );
        }
        let needed: BTreeSet<u64> = self.runs.iter().map(|job| job.run.seed).collect();
        self.starts
            .retain(|seed, start| start.is_none() || needed.contains(seed));
        taken.reverse();
        taken
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

/// A run of a cohort before it is trained: where it goes on from.
struct Begun<'j> {
    job: &'j Job,
    arm: &'j SeriesArm,
    start: &'j Autoencoder,
    header: Header,
    /// Its checkpoint, and the lines of its record up to there.
    state: Option<(Tensors, Vec<Line>)>,
}

/// A run in training.
struct Member<'j> {
    job: &'j Job,
    recorder: Option<Recorder>,
    last: Option<Evaluation>,
    seconds: f64,
    /// How it ended or, where it is paused, `None` without a recorder.
    outcome: Option<Outcome>,
}

impl Member<'_> {
    fn is_over(&self) -> bool {
        self.recorder.is_none()
    }
}

impl Context<'_> {
    /// Trains these runs from their starts, or on from their checkpoints, each as
    /// far as it is to go. Says how those ended that are not to go on later.
    fn run(&self, runs: &[(&Job, Autoencoder)]) -> Result<Vec<Outcome>> {
        // In lockstep are only runs after equally many epochs.
        let mut cohorts: BTreeMap<u64, Vec<Begun<'_>>> = BTreeMap::new();
        for (job, start) in runs {
            let Some(arm) = self.series.arm(&job.run) else {
                continue;
            };
            let header = self.header(&job.run, arm);
            let state = self.session.store.resume(&header);
            let epoch = state.as_ref().map_or(0, |(_, lines)| evaluations(lines));
            cohorts.entry(epoch).or_default().push(Begun {
                job,
                arm,
                start,
                header,
                state,
            });
        }
        let mut outcomes = Vec::new();
        for cohort in cohorts.into_values() {
            self.cohort(&cohort, &mut outcomes)?;
        }
        Ok(outcomes)
    }

    /// Trains a cohort; by halves where it does not fit the memory. A run whose
    /// computation fails alone is recorded as failed.
    fn cohort(&self, cohort: &[Begun<'_>], outcomes: &mut Vec<Outcome>) -> Result<()> {
        let error = match self.train(cohort) {
            Ok(ended) => {
                outcomes.extend(ended);
                return Ok(());
            }
            Err(Stopped::Here(error)) => return Err(error),
            Err(Stopped::Run(error)) => error,
        };
        let memory = starts::out_of_memory(&error);
        if let [one] = cohort {
            if self.series.machine.backend() == Backend::Cuda && !memory {
                // Nothing can be trusted any more that is on the device.
                return Err(Error::compute(format!("run {}", one.header.run_id))(error));
            }
            if one.state.is_some() {
                // Its checkpoint may be what is wrong: the run is begun anew.
                self.session.store.remove_checkpoint(&one.header.run_id);
                outcomes.extend(self.run(&[(one.job, one.start.clone())])?);
                return Ok(());
            }
            return self
                .record_failure(one, &error)
                .map(|outcome| outcomes.push(outcome));
        }
        if !memory && self.series.machine.backend() == Backend::Cuda {
            return Err(Error::compute(format!("{} runs in lockstep", cohort.len()))(error));
        }
        (self.session.event)(Event::Halved { runs: cohort.len() });
        for half in cohort.chunks(cohort.len().div_ceil(2)) {
            // What was recorded before it failed counts: its runs are begun again
            // from their last checkpoints.
            let again: Vec<(&Job, Autoencoder)> = half
                .iter()
                .map(|one| (one.job, one.start.clone()))
                .collect();
            outcomes.extend(self.run(&again)?);
        }
        Ok(())
    }

    fn record_failure(&self, begun: &Begun<'_>, why: &candle_core::Error) -> Result<Outcome> {
        let run = &begun.job.run;
        let lines = [Line::Header(begun.header.clone())];
        let outcome = Outcome::Failed {
            why: why.to_string(),
        };
        let mut recorder = self.session.store.begin(&run.run_id, &lines)?;
        recorder.write(&Line::End(End {
            outcome: outcome.clone(),
            weights_sha256: None,
        }))?;
        recorder.finish()?;
        (self.session.event)(Event::RunEnded {
            run,
            outcome: &outcome,
            last: None,
        });
        Ok(outcome)
    }

    /// The training of a cohort, where its runs have come to.
    fn begin(&self, cohort: &[Begun<'_>]) -> candle_core::Result<FineTuning<'_>> {
        let fine = &self.series.settings.fine_tuning;
        let starts: Vec<Autoencoder> = cohort.iter().map(|one| one.start.clone()).collect();
        let seeds: Vec<u64> = cohort.iter().map(|one| one.header.seed).collect();
        let optimizers = cohort.iter().map(|one| self.series.optimizer(one.arm));
        let mut training = FineTuning::new(
            &self.train,
            Autoencoder::stack(&starts)?.to_device(&self.series.machine.device)?,
            optimizers.collect(),
            &seeds,
            fine.batch_size,
            fine.loss,
            fine.gradient,
        )?;
        let states: Option<Vec<&Tensors>> = cohort
            .iter()
            .map(|one| one.state.as_ref().map(|(tensors, _)| tensors))
            .collect();
        if let Some(states) = states {
            training.restore(&states)?;
        }
        Ok(training)
    }

    /// Trains a cohort in lockstep, each run as far as its job says. Says how
    /// those ended that are not to go on later.
    fn train(&self, cohort: &[Begun<'_>]) -> std::result::Result<Vec<Outcome>, Stopped> {
        let epochs = self.series.settings.fine_tuning.epochs;
        let until = |job: &Job| match job.until {
            Until::End => epochs,
            Until::Pause(epoch) | Until::Stop(epoch) => epoch.min(epochs),
        };
        let mut training = self.begin(cohort)?;
        let mut workspace = Workspace::new(training.network(), EVALUATION_BATCH)?;
        let work = self.series.work();
        let mut members = Vec::new();
        for begun in cohort {
            let fresh = [Line::Header(begun.header.clone())];
            let lines = begun.state.as_ref().map_or(&fresh[..], |(_, lines)| lines);
            let last = lines.iter().rev().find_map(|line| match line {
                Line::Evaluation(evaluation) => Some(evaluation.clone()),
                _ => None,
            });
            let run = &begun.job.run;
            members.push(Member {
                job: begun.job,
                recorder: Some(self.session.store.begin(&run.run_id, lines)?),
                seconds: last.as_ref().map_or(0.0, |last| last.training_seconds),
                last,
                outcome: None,
            });
            (self.session.event)(Event::RunBegun {
                run,
                done: training.epochs(),
                epochs: until(begun.job),
            });
        }
        if training.epochs() == 0 {
            self.evaluate(&training, &mut workspace, &mut members)?;
        }
        let mut kept = Instant::now();
        loop {
            for (replica, member) in members.iter_mut().enumerate() {
                if member.is_over() {
                    continue;
                }
                let diverged = member.last.as_ref().and_then(|last| self.diverged(last));
                if diverged.is_some() || training.epochs() >= until(member.job) {
                    self.end(&training, replica, member, diverged, epochs)?;
                }
            }
            let alive = members.iter().filter(|member| !member.is_over()).count();
            if alive == 0 {
                break;
            }
            let clock = Instant::now();
            let ended = training.epoch(&mut || {
                (self.session.event)(Event::Work(work.step * alive as f64));
                if self.session.stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if !ended {
                return Err(Stopped::Here(Error::Interrupted));
            }
            // Those in lockstep share the time.
            let seconds = clock.elapsed().as_secs_f64() / members.len() as f64;
            for member in &mut members {
                member.seconds += seconds;
            }
            self.evaluate(&training, &mut workspace, &mut members)?;
            let pausing = |member: &Member<'_>| {
                matches!(member.job.until, Until::Pause(_))
                    && training.epochs() >= until(member.job)
            };
            let due = kept.elapsed() >= starts::between_checkpoints(self.series);
            for (replica, member) in members.iter().enumerate() {
                if let Some(recorder) = member.recorder.as_ref().filter(|_| due || pausing(member))
                {
                    recorder.checkpoint(&training.state(replica)?)?;
                }
            }
            if due {
                kept = Instant::now();
            }
        }
        Ok(members
            .into_iter()
            .filter_map(|member| member.outcome)
            .collect())
    }

    /// Ends a run that has come to where its job ends, or has diverged: the end
    /// of its record, unless it is to go on later.
    fn end(
        &self,
        training: &FineTuning<'_>,
        replica: usize,
        member: &mut Member<'_>,
        diverged: Option<Outcome>,
        epochs: u64,
    ) -> std::result::Result<(), Stopped> {
        let Some(mut recorder) = member.recorder.take() else {
            return Ok(());
        };
        let run = &member.job.run;
        let done = training.epochs();
        let outcome = match (diverged, member.job.until) {
            (Some(diverged), _) => diverged,
            (None, Until::Pause(_)) if done < epochs => {
                (self.session.event)(Event::RunPaused { run });
                return Ok(());
            }
            (None, Until::Stop(_)) if done < epochs => Outcome::Stopped { epoch: done },
            (None, _) => Outcome::Completed,
        };
        let network = training.network().replica(replica)?;
        if !self.validates() {
            recorder.write(&Line::Samples(self.samples(&network)?))?;
        }
        recorder.write(&Line::End(End {
            outcome: outcome.clone(),
            weights_sha256: Some(weights_sha256(&network)?),
        }))?;
        recorder.finish()?;
        (self.session.event)(Event::RunEnded {
            run,
            outcome: &outcome,
            last: member.last.as_ref(),
        });
        member.outcome = Some(outcome);
        Ok(())
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
            backend: self.series.machine.backend(),
            kernel: self.series.machine.kernel.clone(),
            environment: Environment {
                gpu: self.series.machine.gpu.clone(),
                ..environment(self.session.threads)
            },
        }
    }

    /// Evaluates all networks and writes that down for those still in training;
    /// after an epoch, the sizes of their gradients too.
    fn evaluate(
        &self,
        training: &FineTuning<'_>,
        workspace: &mut Workspace,
        members: &mut [Member<'_>],
    ) -> std::result::Result<(), Stopped> {
        let mut errors =
            |images: &Images| training.network().reconstruction_errors(images, workspace);
        let train = errors(&self.evaluated_train)?;
        let held_out = errors(self.held_out)?;
        let epoch = training.epochs();
        let medians = match epoch {
            0 => Vec::new(),
            _ => training.gradient_medians()?,
        };
        let work = self.series.work();
        for (replica, member) in members.iter_mut().enumerate() {
            let Some(recorder) = &mut member.recorder else {
                continue;
            };
            let held_out = finite(held_out[replica]);
            let (test_error, validation_error) = if self.validates() {
                (None, held_out)
            } else {
                (held_out, None)
            };
            let evaluation = Evaluation {
                epoch,
                update: training.updates(),
                train_error: finite(train[replica]),
                test_error,
                validation_error,
                weights_learning_rate: training.learning_rate(replica, ParamKind::Weight),
                biases_learning_rate: training.learning_rate(replica, ParamKind::Bias),
                training_seconds: member.seconds,
            };
            recorder.write(&Line::Evaluation(evaluation.clone()))?;
            if let Some(medians) = medians.get(replica) {
                recorder.write(&Line::Diagnostics(diagnostics(epoch, medians)))?;
            }
            let until = match member.job.until {
                Until::End => self.series.settings.fine_tuning.epochs,
                Until::Pause(epoch) | Until::Stop(epoch) => epoch,
            };
            (self.session.event)(Event::RunEvaluated {
                run: &member.job.run,
                epochs: until.min(self.series.settings.fine_tuning.epochs),
                evaluation: &evaluation,
            });
            (self.session.event)(Event::Work(work.evaluation));
            member.last = Some(evaluation);
        }
        Ok(())
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

    /// Of a network of one replica, on the CPU.
    fn samples(&self, network: &Autoencoder) -> candle_core::Result<Samples> {
        let workspace = &mut Workspace::new(network, EVALUATION_BATCH)?;
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

fn diagnostics(epoch: u64, medians: &[[f64; 2]]) -> Diagnostics {
    let layers = medians.iter().map(|[weights, biases]| LayerGradient {
        weights_median: finite(*weights),
        biases_median: finite(*biases),
    });
    Diagnostics {
        epoch,
        layers: layers.collect(),
    }
}

/// How many epochs the lines of a record reach.
fn evaluations(lines: &[Line]) -> u64 {
    let last = lines.iter().rev().find_map(|line| match line {
        Line::Evaluation(evaluation) => Some(evaluation.epoch),
        _ => None,
    });
    last.unwrap_or(0)
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
