use adamix_record::{PrincipalComponents, Role};

use super::{NOTHING, Table, numbers, words};
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::{count, error};
use crate::statistics::mean;

/// Figures of other work beside ours. They are all of MNIST, so `None` for any
/// other data set.
pub(crate) fn reference(experiment: &Experiment) -> Option<Table> {
    if !experiment.is_mnist() {
        return None;
    }
    let mut table = Table::new(
        "Reference figures, all reconstruction errors on MNIST as defined above. Source tags: \
         read, at its source; second, from a secondary source; measured, by us. Networks, \
         training time and pre-training differ, so nearness shows plausibility, not agreement. \
         No number of the AdaMix paper is known, and none is compared with.",
        vec![
            words("what"),
            numbers("theirs"),
            words("source"),
            words("ours"),
        ],
    );
    let mut add = |what: &str, theirs: &str, source: &str, ours: Option<String>| {
        let ours = ours.unwrap_or_else(|| NOTHING.into());
        table
            .rows
            .push(vec![what.into(), theirs.into(), source.into(), ours]);
    };
    let anchor = |value: Option<f64>| {
        Some(match (&experiment.anchors, value) {
            (None, _) => "not measured yet".to_owned(),
            (Some(_), None) => "not measured".to_owned(),
            (Some(_), Some(value)) => error(value),
        })
    };
    let components = |n: usize, value: fn(&PrincipalComponents) -> f64| {
        let all = experiment
            .anchors
            .iter()
            .flat_map(|a| &a.principal_components);
        anchor(all.into_iter().find(|p| p.components == n).map(value))
    };
    let ours = "independent computation in float64 (measured)";
    add(
        "mean training image, test",
        "52.90",
        ours,
        anchor(experiment.anchors.as_ref().map(|a| a.mean_image_test_error)),
    );
    for (what, theirs, n) in [
        ("principal components, 2, test", "43.645", 2),
        ("principal components, 6, test", "32.651", 6),
        ("principal components, 30, test", "13.866", 30),
    ] {
        add(what, theirs, ours, components(n, |p| p.test_error));
    }
    add(
        "principal components, 30, train",
        "14.207",
        ours,
        components(30, |p| p.train_error),
    );
    let science = "Hinton and Salakhutdinov 2006, figure 2B (second, exact quote)";
    add(
        "principal components, 30, test",
        "13.87",
        science,
        components(30, |p| p.test_error),
    );
    let logistic = experiment
        .anchors
        .as_ref()
        .and_then(|a| a.logistic_pca.as_ref());
    let logistic = logistic.filter(|fitted| fitted.components == 30);
    add(
        "logistic principal components, 30, test (ours: a linear code with logistic outputs, \
         trained until a pass gained less than 0.01\u{202f}%; in parentheses the gap to theirs)",
        "8.01",
        science,
        logistic.map_or_else(
            || anchor(None),
            |fitted| {
                let (test, gap) = (fitted.test_error, fitted.test_error - 8.01);
                Some(format!("{} ({gap:+.2})", error(test)))
            },
        ),
    );
    let lowest = lowest(experiment, |e| e.test_error);
    let lowest_train = self::lowest(experiment, |e| e.train_error);
    add(
        "deep autoencoder, 30 code units, test",
        "3.00",
        science,
        lowest.clone(),
    );
    let walk = "released code of Hinton and Salakhutdinov, 10 pre-training epochs, stopped at \
                fine-tuning epoch 35, in a public walk-through (second)";
    add("deep autoencoder, test", "4.520", walk, lowest);
    add(
        "deep autoencoder, train",
        "4.318",
        walk,
        lowest_train.clone(),
    );
    let sutskever = "Sutskever, Martens, Dahl and Hinton 2013, table 1: 750,000 updates, batch \
                     200 (second)";
    for (what, theirs) in [
        ("stochastic gradient descent (SGD), train", "2.1"),
        ("Nesterov's momentum, best, train", "0.73"),
        ("Hessian-free optimisation, train", "0.69"),
    ] {
        add(what, theirs, sutskever, lowest_train.clone());
    }
    // The prototype's settings were chosen by nobody's validation error.
    let untuned = experiment.headline().find(|s| s.protocol.tuning.is_none());
    if let Some(study) = untuned.filter(|s| s.protocol.pre_training_epochs == 10) {
        prototype(study, add);
    }
    Some(table)
}

/// Figures of the prototype that was written before this program: the same
/// network after 10 pre-training epochs.
fn prototype(study: &Study, mut add: impl FnMut(&str, &str, &str, Option<String>)) {
    let source = "independent prototype, one seed, 10 pre-training epochs, batch 100 (measured)";
    let start = study.arms.first().and_then(|arm| at_epoch(study, arm, 0));
    add("before fine-tuning, test", "12.8", source, start);
    for (name, theirs, role) in [
        ("AdaMix (W1 + B1; eta 0.1, K 1)", "6.99", Role::Adamix),
        ("AdaGrad (eta 0.1, K 1)", "5.37", Role::Adagrad),
        ("AdaDec (eta 0.1, K 1)", "5.54", Role::Adadec),
    ] {
        let ours = study.only(role).and_then(|arm| at_epoch(study, arm, 4));
        if ours.is_some() {
            add(&format!("{name}, 4 epochs, test"), theirs, source, ours);
        }
    }
}

fn at_epoch(study: &Study, arm: &ArmRuns, epoch: usize) -> Option<String> {
    let by_seed = study.by_seed(arm, |errors| errors.get(epoch).copied());
    let errors: Vec<f64> = by_seed.into_iter().map(|(_, error)| error).collect();
    (!errors.is_empty()).then(|| {
        let seeds = count(errors.len(), "seed");
        format!("{} ({}, {seeds})", error(mean(&errors)), arm.label())
    })
}

/// The lowest mean final error among the arms of all protocols, with the
/// arm's name.
fn lowest(
    experiment: &Experiment,
    value: fn(&adamix_record::Evaluation) -> Option<f64>,
) -> Option<String> {
    let studies = experiment.studies.iter();
    let arms = studies.flat_map(|study| study.arms.iter().map(move |arm| (study, arm)));
    let means = arms.filter_map(|(study, arm)| {
        let completed = arm
            .runs
            .iter()
            .filter(|run| study.test_errors(run).is_some());
        let errors: Option<Vec<f64>> = completed
            .map(|run| value(run.record.as_ref()?.evaluations.last()?))
            .collect();
        // An arm with a diverged run has no mean to stand here.
        let errors = errors.filter(|e| !e.is_empty() && arm.diverged() == 0)?;
        Some((mean(&errors), errors.len(), study, arm))
    });
    let (lowest, n, study, arm) = means.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let protocol = match experiment.studies.len() {
        1 => String::new(),
        _ => format!(", {}", study.label()),
    };
    Some(format!(
        "{} ({}{protocol}, {} epochs, {})",
        error(lowest),
        arm.label(),
        study.epochs(),
        count(n, "seed")
    ))
}
