//! What tuning tried and what came of it. All errors here are on the
//! validation images; none is ever mixed with a test error.

use std::collections::BTreeMap;

use adamix_record::{Axis, RunId, Text, text};
use serde_json::Value;

use crate::load::{Run, State, Study, TuningRuns};
use crate::number::listed;
use crate::statistics::mean;

/// What came of one candidate, over its seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tried {
    /// Mean validation error after all epochs.
    Completed(f64),
    /// It was not among those kept: mean validation error where it stopped.
    Stopped { epoch: u64, error: f64 },
    /// A run of it diverged.
    Diverged,
    /// A run of it failed.
    Failed,
    /// A run of it has not ended.
    Outstanding,
}

impl Tried {
    /// Its error, where it has one.
    pub(crate) fn error(self) -> Option<f64> {
        match self {
            Self::Completed(error) | Self::Stopped { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// What came of a candidate with these runs.
pub(crate) fn tried(runs: &[Run]) -> Tried {
    let any = |is: fn(&State) -> bool| runs.iter().any(|run| is(&run.state));
    if runs.is_empty() || any(|s| matches!(s, State::Missing | State::Running { .. })) {
        return Tried::Outstanding;
    }
    if any(|s| matches!(s, State::Failed { .. })) {
        return Tried::Failed;
    }
    if any(|s| matches!(s, State::Diverged { .. })) {
        return Tried::Diverged;
    }
    let last = |run: &Run| run.record.as_ref()?.evaluations.last()?.validation_error;
    let errors: Option<Vec<f64>> = runs.iter().map(last).collect();
    let Some(error) = errors.map(|errors| mean(&errors)) else {
        return Tried::Diverged;
    };
    let stopped = runs.iter().filter_map(|run| match run.state {
        State::Stopped { epoch } => Some(epoch),
        _ => None,
    });
    stopped
        .max()
        .map_or(Tried::Completed(error), |epoch| Tried::Stopped {
            epoch,
            error,
        })
}

/// Mean validation error of a candidate after an epoch, over its seeds; `None`
/// where a run has none there.
pub(crate) fn error_after(runs: &[Run], epoch: u64) -> Option<f64> {
    let error = |run: &Run| {
        let mut evaluations = run.record.as_ref()?.evaluations.iter();
        evaluations.find(|it| it.epoch == epoch)?.validation_error
    };
    let errors: Option<Vec<f64>> = runs.iter().map(error).collect();
    errors.filter(|it| !it.is_empty()).map(|it| mean(&it))
}

/// The epochs that every candidate is given: those of the first rung.
pub(crate) fn first_rung(study: &Study) -> Option<u64> {
    let tuning = study.protocol.tuning.as_ref()?;
    Some(tuning.rungs.first()?.epochs)
}

/// What an axis searches, in words.
pub(crate) fn axis_name(axis: &Axis) -> Text {
    match axis.name.as_str() {
        "learning-rate" => text!("learning rate", "学习率"),
        "k" => "K".into(),
        "c" => text!("exponent c of the power schedule", "幂型策略的指数 c"),
        "beta" => text!("momentum beta", "动量系数 beta"),
        "beta2" => text!("decay beta2 of the mean square", "均方的衰减系数 beta2"),
        "rho" => text!("decay rho of the mean square", "均方的衰减系数 rho"),
        "weight-decay" => text!("weight decay", "权重衰减"),
        other => other.into(),
    }
}

/// How far the choice of the settings is, from the runs that it takes.
pub(crate) fn progress<'a>(runs: impl Iterator<Item = &'a Run>) -> Text {
    let ended: BTreeMap<&RunId, bool> = runs.map(|run| (&run.id, run.state.has_ended())).collect();
    let (n, of) = (ended.values().filter(|ended| **ended).count(), ended.len());
    match n {
        0 => text!(
            "tuning not begun, 0 of {of} runs",
            "调优尚未开始，{of} 次运行中完成 0 次",
            of
        ),
        n if n < of => text!(
            "tuning under way, {n} of {of} runs",
            "调优进行中，{of} 次运行中完成 {n} 次",
            n,
            of
        ),
        _ => text!("tuned, not yet chosen", "已调优，尚未选定"),
    }
}

/// What the axis called learning rate is, where it is not eta itself, in a
/// sentence with a space before it.
pub(crate) fn meaning_of_rate(study: &Study) -> Text {
    let arms = study.tuning.iter();
    let scaled = arms.filter(|arm| arm.rate_is_of_small_gradients());
    let scaled: Vec<Text> = scaled.map(|arm| arm.label.clone()).collect();
    match scaled.as_slice() {
        [] => Text::default(),
        arms => text!(
            " For {arms} the learning rate is that of small gradients, eta divided by the root of \
             K.",
            "对 {arms}，学习率指小梯度时的学习率，即 eta 除以 K 的平方根。",
            arms = listed(arms),
        ),
    }
}

impl TuningRuns {
    /// What came of every candidate, in order.
    pub(crate) fn tried(&self) -> Vec<Tried> {
        self.candidates.iter().map(|runs| tried(runs)).collect()
    }

    /// The axis that is a learning rate, with its place.
    pub(crate) fn learning_rate(&self) -> Option<(usize, &Axis)> {
        let mut axes = self.tuned.axes.iter().enumerate();
        axes.find(|(_, axis)| axis.name == "learning-rate")
    }

    /// Whether the axis is the rate of small gradients, eta divided by the root
    /// of K, rather than eta itself.
    pub(crate) fn rate_is_of_small_gradients(&self) -> bool {
        let Some((place, _)) = self.learning_rate() else {
            return false;
        };
        self.tuned.candidates.iter().any(|candidate| {
            let number = |value: &Value| value.as_f64();
            let eta = number(&candidate.weights["schedule"]["learning-rate"]);
            let root = number(&candidate.weights["k"]).map(f64::sqrt);
            eta.zip(root).is_some_and(|(eta, root)| {
                let rate = candidate.values[place];
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
                !close(eta, rate) && close(eta, rate * root)
            })
        })
    }

    /// The error of every candidate of the budget as a price list needs it: one
    /// that was stopped counts with its error there, one that diverged with the
    /// mean image's. `None` where some candidate has none. Those of an extension
    /// are no chance draws, since the others' errors led to them, and are left out.
    pub(crate) fn errors(&self, study: &Study) -> Option<Vec<f64>> {
        let error = |tried: Tried| match tried {
            Tried::Diverged => study.mean_image_error,
            other => other.error(),
        };
        self.budget().map(|runs| error(tried(runs))).collect()
    }

    /// The runs of every candidate of the budget, those of an extension left out.
    pub(crate) fn budget(&self) -> impl Iterator<Item = &[Run]> {
        let candidates = self.tuned.candidates.iter().zip(&self.candidates);
        let budget = candidates.filter(|(candidate, _)| !candidate.extension);
        budget.map(|(_, runs)| runs.as_slice())
    }
}
