//! What a user sees while an experiment runs: bars on a terminal, lines
//! elsewhere. Everything goes to standard error.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use adamix_experiment::{Event, Left};
use adamix_record::{Evaluation, Outcome};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on standard error. A reader that has gone away ends no training.
macro_rules! say {
    ($($text:tt)*) => {{ let _ = writeln!(std::io::stderr(), $($text)*); }};
}
pub(crate) use say;

/// Time between two lines about the whole where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(20);

/// Shows the events of a run.
pub(crate) struct Progress {
    bars: MultiProgress,
    total: ProgressBar,
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    /// Bars of what is in training, by a key of their own.
    active: BTreeMap<String, ProgressBar>,
    /// Arithmetic left at the beginning, and done since.
    work: f64,
    done: f64,
    begun: Instant,
    last_line: Instant,
    runs: usize,
    ended: usize,
}

impl Progress {
    pub(crate) fn new(left: Left) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let terminal = !bars.is_hidden();
        let total = bars.add(ProgressBar::new(1000));
        total.set_style(style("{bar:40} {msg}"));
        let now = Instant::now();
        let state = State {
            active: BTreeMap::new(),
            work: left.operations,
            done: 0.0,
            begun: now,
            last_line: now,
            runs: left.of,
            ended: left.of - left.runs,
        };
        Self {
            bars,
            total,
            terminal,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn show(&self, event: Event<'_>) {
        match event {
            Event::Skipped(_) => {}
            Event::Halved { runs } => self.line(&format!(
                "{runs} runs do not fit the device's memory together, trained by halves"
            )),
            Event::Adopted(run) => {
                self.line(&format!(
                    "{:<20} seed {:<3} found finished in another experiment's folder",
                    run.arm, run.seed
                ));
                self.lock().ended += usize::from(!run.arm.contains('/'));
            }
            Event::StartCached { seed } => self.line(&format!(
                "{:<20} seed {seed:<3} in the cache",
                "pre-training"
            )),
            Event::StartBegun { seed, done, epochs } => {
                self.begin(&key("pre-training", seed), done, epochs)
            }
            Event::StartEpoch {
                seed,
                done,
                epochs,
                layer,
                error,
            } => {
                let message = format!("RBM {} squared error {error:.3}", layer + 1);
                self.advance(&key("pre-training", seed), done, epochs, &message);
            }
            Event::StartDone { seed } => {
                self.end(&key("pre-training", seed));
                self.line(&format!("{:<20} seed {seed:<3} done", "pre-training"));
            }
            Event::RunBegun { run, done, epochs } => {
                self.begin(&key(&run.arm, run.seed), done, epochs)
            }
            Event::RunEvaluated {
                run,
                epochs,
                evaluation,
            } => {
                let message = format!("error {}", shown(evaluation.error()));
                self.advance(&key(&run.arm, run.seed), evaluation.epoch, epochs, &message);
            }
            Event::RunPaused { run } => self.end(&key(&run.arm, run.seed)),
            Event::RunEnded { run, outcome, last } => {
                self.end(&key(&run.arm, run.seed));
                self.line(&format!(
                    "{:<20} seed {:<3} {}",
                    run.arm,
                    run.seed,
                    ended(outcome, last)
                ));
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

    fn begin(&self, key: &str, done: u64, epochs: u64) {
        if self.terminal {
            let bar = self
                .bars
                .insert_before(&self.total, ProgressBar::new(epochs));
            bar.set_style(style("{prefix:32} {bar:24} {pos}/{len} {msg}"));
            bar.set_prefix(key.to_owned());
            bar.set_position(done);
            self.lock().active.insert(key.to_owned(), bar);
        } else if done > 0 {
            say!("{key} goes on after epoch {done} of {epochs}");
        }
    }

    fn advance(&self, key: &str, done: u64, epochs: u64, message: &str) {
        if let Some(bar) = self.lock().active.get(key) {
            bar.set_position(done);
            bar.set_message(message.to_owned());
        } else if !self.terminal {
            say!("{key} epoch {done}/{epochs} {message}");
        }
    }

    fn end(&self, key: &str) {
        if let Some(bar) = self.lock().active.remove(key) {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            // An error here is one of the terminal's; nothing is lost but the line.
            let _ = self.bars.println(text);
        } else {
            say!("{text}");
        }
    }

    /// Removes the bars.
    pub(crate) fn finish(&self) {
        self.total.finish_and_clear();
        let _ = self.bars.clear();
    }
}

fn key(name: &str, seed: u64) -> String {
    format!("{name:<20} seed {seed:<3}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn shown(error: Option<f64>) -> String {
    error.map_or_else(|| "not finite".to_owned(), |error| format!("{error:.4}"))
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
