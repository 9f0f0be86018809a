//! What a user sees while an experiment runs: a table that is redrawn on a
//! terminal, lines elsewhere, both on standard error; or JSON lines on standard
//! output for a program.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use adamix_experiment::{Event, Left};
use adamix_record::{Evaluation, Outcome, PlannedRun};
use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// A line on standard error. A reader that has gone away ends no training.
macro_rules! say {
    ($($text:tt)*) => {{ let _ = writeln!(std::io::stderr(), $($text)*); }};
}
pub(crate) use say;

/// Who reads the answer.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For a reader
    Text,
    /// For a program: one JSON object a line, on standard output
    Json,
}

impl Format {
    /// A line for a reader, on standard error; a program gets none.
    pub(crate) fn say(self, text: &str) {
        if self == Self::Text {
            say!("{text}");
        }
    }
}

/// A line for a program, on standard output.
pub(crate) fn json(line: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(line) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Time between two lines about the whole where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(20);

/// The name of pre-training where an arm's stands otherwise.
const PRE_TRAINING: &str = "pre-training";

/// Shows the events of a run.
pub(crate) struct Progress {
    format: Format,
    table: MultiProgress,
    heading: ProgressBar,
    total: ProgressBar,
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    /// Rows of the table: what is in training, by arm and seed.
    rows: BTreeMap<(String, u64), Row>,
    /// Of every arm of the round in training, seeds done and in all.
    seeds: BTreeMap<String, [usize; 2]>,
    /// Arithmetic left at the beginning, and done since.
    work: f64,
    done: f64,
    begun: Instant,
    last_line: Instant,
    runs: usize,
    ended: usize,
}

struct Row {
    bar: ProgressBar,
    begun: Instant,
    /// Epochs done when it began.
    from: u64,
}

impl Progress {
    pub(crate) fn new(left: Left, format: Format) -> Self {
        let table = MultiProgress::with_draw_target(match format {
            Format::Text => ProgressDrawTarget::stderr(),
            Format::Json => ProgressDrawTarget::hidden(),
        });
        let terminal = !table.is_hidden();
        let heading = table.add(bar("{wide_msg:.bold}"));
        let total = table.add(bar("{bar:40} {msg}"));
        total.set_length(1000);
        let now = Instant::now();
        let state = State {
            rows: BTreeMap::new(),
            seeds: BTreeMap::new(),
            work: left.operations,
            done: 0.0,
            begun: now,
            last_line: now,
            runs: left.of,
            ended: left.of - left.runs,
        };
        Self {
            format,
            table,
            heading,
            total,
            terminal,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn show(&self, event: Event<'_>) {
        if self.format == Format::Json {
            if !matches!(event, Event::Round(_) | Event::Work(_)) {
                json(&event);
            }
            return;
        }
        match event {
            Event::Halved { runs } => self.line(&format!(
                "{runs} runs do not fit the device's memory together, trained by halves"
            )),
            Event::Round(jobs) => {
                let mut state = self.lock();
                state.seeds.clear();
                for job in jobs {
                    state.seeds.entry(job.run.arm.clone()).or_default()[1] += 1;
                }
            }
            Event::Skipped { run } => self.seed_done(run),
            Event::Adopted { run } => {
                let found = "found finished in another experiment's folder";
                self.line(&format!("{} {found}", key(&run.arm, run.seed)));
                self.seed_done(run);
                self.lock().ended += usize::from(!run.arm.contains('/'));
            }
            Event::StartCached { seed } => {
                self.line(&format!("{} in the cache", key(PRE_TRAINING, seed)));
            }
            Event::StartBegun { seed, done, epochs } => {
                self.begin(PRE_TRAINING, seed, [done, epochs]);
            }
            Event::StartEpoch {
                seed,
                done,
                epochs,
                layer,
                error,
            } => {
                let (rbm, error) = (format!("RBM {}", layer + 1), format!("{error:.3}"));
                let line = format!("{rbm} squared error {error}");
                let cells = [format!("{PRE_TRAINING} {rbm}"), error, String::new()];
                self.advance(PRE_TRAINING, seed, [done, epochs], cells, &line);
            }
            Event::StartDone { seed } => {
                self.end(PRE_TRAINING, seed);
                self.line(&format!("{} done", key(PRE_TRAINING, seed)));
            }
            Event::RunBegun { run, done, epochs } => {
                self.begin(&run.arm, run.seed, [done, epochs]);
            }
            Event::RunEvaluated {
                run,
                epochs,
                evaluation,
            } => {
                let error = shown(evaluation.error());
                let line = format!("error {error}");
                let cells = [run.arm.clone(), error, rates(evaluation)];
                self.advance(&run.arm, run.seed, [evaluation.epoch, epochs], cells, &line);
            }
            Event::RunPaused { run } => {
                self.end(&run.arm, run.seed);
                self.seed_done(run);
            }
            Event::RunEnded { run, outcome, last } => {
                self.end(&run.arm, run.seed);
                self.line(&format!(
                    "{} {}",
                    key(&run.arm, run.seed),
                    ended(outcome, last)
                ));
                self.seed_done(run);
                self.lock().ended += usize::from(!run.arm.contains('/'));
            }
            Event::Work(work) => {
                self.lock().done += work;
                self.whole();
            }
        }
    }

    /// The bar, or now and then a line, about the whole.
    fn whole(&self) {
        let mut state = self.lock();
        let elapsed = state.begun.elapsed();
        if elapsed < Duration::from_secs(3) {
            return;
        }
        let share = (state.done / state.work).clamp(0.0, 1.0);
        let left = elapsed.as_secs_f64() * (1.0 - share) / share.max(1e-9);
        let message = format!(
            "{} of {} runs, {:.0} %, about {} left",
            state.ended,
            state.runs,
            100.0 * share,
            duration(left)
        );
        if self.terminal {
            self.total.set_position((1000.0 * share) as u64);
            self.total.set_message(message);
        } else if state.last_line.elapsed() >= LINE_EVERY {
            state.last_line = Instant::now();
            say!("{message}");
        }
    }

    fn seed_done(&self, run: &PlannedRun) {
        if let Some([done, _]) = self.lock().seeds.get_mut(&run.arm) {
            *done += 1;
        }
    }

    fn begin(&self, what: &str, seed: u64, epochs: [u64; 2]) {
        if !self.terminal {
            let [done, all] = epochs;
            if done > 0 {
                say!("{} goes on after epoch {done} of {all}", key(what, seed));
            }
            return;
        }
        self.heading.set_message(row(HEADING));
        let row = Row {
            bar: self.table.insert_before(&self.total, bar("{wide_msg}")),
            begun: Instant::now(),
            from: epochs[0],
        };
        let mut state = self.lock();
        let cells = [what.to_owned(), String::new(), String::new()];
        row.show(state.seeds.get(what), seed, epochs, cells);
        state.rows.insert((what.to_owned(), seed), row);
    }

    fn advance(&self, what: &str, seed: u64, epochs: [u64; 2], cells: [String; 3], line: &str) {
        let state = self.lock();
        if let Some(row) = state.rows.get(&(what.to_owned(), seed)) {
            row.show(state.seeds.get(what), seed, epochs, cells);
        } else if !self.terminal {
            let [done, epochs] = epochs;
            say!("{} epoch {done}/{epochs} {line}", key(what, seed));
        }
    }

    fn end(&self, what: &str, seed: u64) {
        if let Some(row) = self.lock().rows.remove(&(what.to_owned(), seed)) {
            row.bar.finish_and_clear();
            self.table.remove(&row.bar);
        }
    }

    /// A line that stays, above the table.
    pub(crate) fn line(&self, text: &str) {
        if self.terminal {
            // An error here is one of the terminal's; nothing is lost but the line.
            let _ = self.table.println(text);
        } else {
            self.format.say(text);
        }
    }

    /// Removes the table.
    pub(crate) fn finish(&self) {
        self.heading.finish_and_clear();
        self.total.finish_and_clear();
        let _ = self.table.clear();
    }
}

/// The columns of the table: arm, seed, seeds of the arm done, epoch, error,
/// learning rates of weights and biases, time left.
const HEADING: [&str; 7] = [
    "arm",
    "seed",
    "seeds",
    "epoch",
    "error",
    "rates w, b",
    "left",
];

/// Cells under their headings, within 80 columns.
fn row(cells: [impl Display; 7]) -> String {
    let [arm, seed, seeds, epoch, error, rates, left] = cells;
    format!("{arm:<18} {seed:>4} {seeds:>7} {epoch:>9} {error:>10} {rates:>14} {left:>11}")
}

impl Row {
    /// Draws it: its arm's seeds done and in all, its epochs likewise, and the
    /// cells of the arm, the error and the rates.
    fn show(
        &self,
        seeds: Option<&[usize; 2]>,
        seed: u64,
        [done, epochs]: [u64; 2],
        [arm, error, rates]: [String; 3],
    ) {
        let an_epoch = match done.saturating_sub(self.from) {
            0 => None,
            here => Some(self.begun.elapsed().as_secs_f64() / here as f64),
        };
        let left = epochs.saturating_sub(done) as f64;
        self.bar.set_message(row([
            arm,
            seed.to_string(),
            seeds.map_or_else(String::new, |[done, all]| format!("{done}/{all}")),
            format!("{done}/{epochs}"),
            error,
            rates,
            an_epoch.map_or_else(String::new, |seconds| duration(seconds * left)),
        ]));
    }
}

fn key(name: &str, seed: u64) -> String {
    format!("{name:<20} seed {seed:<3}")
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn shown(error: Option<f64>) -> String {
    error.map_or_else(|| "not finite".to_owned(), |error| format!("{error:.4}"))
}

/// The learning rates of weights and biases.
fn rates(evaluation: &Evaluation) -> String {
    let rate = |rate: f64| match rate {
        0.001.. => format!("{rate:.4}"),
        _ => format!("{rate:.1e}"),
    };
    format!(
        "{}, {}",
        rate(evaluation.weights_learning_rate),
        rate(evaluation.biases_learning_rate)
    )
}

fn ended(outcome: &Outcome, last: Option<&Evaluation>) -> String {
    let (error, train, seconds) = match last {
        Some(last) => (
            shown(last.error()),
            shown(last.train_error),
            last.training_seconds,
        ),
        None => (shown(None), shown(None), 0.0),
    };
    match outcome {
        Outcome::Completed => format!(
            "error {error}, train error {train}, {} of training",
            duration(seconds)
        ),
        Outcome::Diverged { epoch } => format!("diverged at epoch {epoch}, error {error}"),
        Outcome::Stopped { epoch } => format!("stopped after epoch {epoch}, error {error}"),
        Outcome::Failed { why } => format!("failed: {why}"),
    }
}

/// Seconds for a reader: `42 s`, `3 min 20 s`, `5 h 10 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
