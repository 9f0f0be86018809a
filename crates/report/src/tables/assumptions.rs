use adamix_record::Role;
use serde_json::Value;

use super::{Table, words};
use crate::load::{Experiment, Study};
use crate::number::significant;

/// One detail: its name, what was run, all readings, how sure it is.
type Row = [String; 4];

/// The readings that were run, in plain words, beside all that the
/// abstract leaves open.
pub(crate) fn assumptions(experiment: &Experiment) -> Table {
    let mut table = Table::new(
        "Details that the paper's abstract leaves open, and the readings that these runs chose. \
         W1 to W5 are readings of the weights' rate, B1 to B4 of the biases'. Here g is the \
         gradient of the loss for the current mini-batch, eta the base learning rate, K the \
         constant under the root, and t the time, counted from 0.",
        vec![
            words("detail"),
            words("what was run"),
            words("all readings"),
            words("how sure"),
        ],
    );
    let mut all: Vec<(Row, Vec<&str>)> = Vec::new();
    for study in experiment.headline() {
        for row in rows(study) {
            match all.iter_mut().find(|(found, _)| *found == row) {
                Some((_, protocols)) => protocols.push(study.label()),
                None => all.push((row, vec![study.label()])),
            }
        }
    }
    // The same detail of several protocols stands together.
    let order: Vec<String> = all.iter().map(|(row, _)| row[0].clone()).collect();
    all.sort_by_key(|(row, _)| order.iter().position(|name| *name == row[0]));
    let headlines = experiment.headline().count();
    table.rows = all
        .into_iter()
        .map(|([detail, run, others, sure], protocols)| {
            let run = match protocols.len() {
                n if n == headlines => run,
                _ => format!("{}: {run}", protocols.join(", ")),
            };
            vec![detail, run, others, sure]
        })
        .collect();
    table
}

fn rows(study: &Study) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |detail: &str, run: String, others: &str, sure: &str| {
        rows.push([detail.into(), run, others.into(), sure.into()]);
    };
    let formulas = "Inferred: only the abstract is known, and it has no formula.";

    for arm in study.arms.iter().filter(|a| a.arm.role == Role::Adamix) {
        let (weights, biases) = (&arm.arm.weights, &arm.arm.biases);
        let rule = weights["rule"].as_str().unwrap_or_default();
        add(
            "AdaMix, rate of the weights",
            weight_reading(rule) + &mark(rule == "adamix-w1", "W1"),
            "W1 from the mini-batch's gradient; W2 from the mean gradient of the last whole \
             epoch; W3 carried on from the previous rate; W4 one rate a tensor; W5 AdaGrad whose \
             sum starts anew each epoch",
            "Inferred: the Chinese abstract says \u{201c}only the current gradient\u{201d}, the \
             English one \u{201c}the current epoch gradient\u{201d}.",
        );
        let schedule = &biases["schedule"];
        let kind = schedule["kind"].as_str().unwrap_or_default();
        add(
            "AdaMix, rate of the biases",
            bias_reading(biases) + &mark(kind == "power", "B1"),
            "B1 power; B2 exponential; B3 their product; B4 power-exponential u(t)^v(t)",
            "Inferred: the abstract says \u{201c}power exponential\u{201d}, which can mean any of \
             these.",
        );
        add(
            "What t counts",
            match schedule["per"].as_str() {
                Some("update") => "mini-batches (the default)".into(),
                Some("epoch") => "whole epochs (the default is mini-batches)".into(),
                _ => "nothing: the rate is constant".into(),
            },
            "mini-batches; whole epochs",
            formulas,
        );
    }
    let constants: Vec<(f64, &str)> = study
        .arms
        .iter()
        .filter_map(|arm| Some((arm.arm.weights["k"].as_f64()?, arm.label())))
        .collect();
    if !constants.is_empty() {
        let all_one = constants.iter().all(|(k, _)| *k == 1.0);
        let constants: Vec<String> = constants
            .iter()
            .map(|(k, label)| format!("{} for {label}", significant(*k)))
            .collect();
        add(
            "K",
            constants.join(", ") + &mark(all_one, "1 for all"),
            "1; 0.01; 0.0001; 0.000001",
            "K = 1 is in Senior et al. 2013 (second-hand); the paper's own value is not known.",
        );
    }
    let protocol = &study.protocol;
    add(
        "Gradient",
        stated(&protocol.settings, "gradient"),
        "mean over the mini-batch (default); sum over it",
        formulas,
    );
    add(
        "Loss in fine-tuning",
        stated(&protocol.settings, "loss"),
        "cross-entropy (default); squared error",
        "Read in the code released with Hinton and Salakhutdinov 2006; AdaMix's own is not known.",
    );
    add(
        "Images a mini-batch",
        protocol.batch_size.to_string() + &mark(protocol.batch_size == 100, "100"),
        "100; 1000",
        "Not known.",
    );
    add(
        "Pre-training, epochs a layer",
        protocol.pre_training_epochs.to_string() + &mark(protocol.pre_training_epochs == 10, "10"),
        "10 (released code); 50 (Science paper); none",
        "Not known.",
    );
    for arm in study.arms.iter().filter(|a| a.arm.role == Role::Adadec) {
        if let Some(tau) = arm.arm.weights["tau"].as_u64() {
            add(
                "AdaDec, window tau in mini-batches",
                tau.to_string() + &mark(tau == 1, "1"),
                "1 (the usual shortened form); 200 (the original)",
                "Inferred: 200 is our reading of Senior et al. 2013.",
            );
        }
    }
    rows
}

/// Says whether a reading is the default, and which is.
fn mark(is_default: bool, default: &str) -> String {
    if is_default {
        " (the default)".into()
    } else {
        format!(" (the default is {default})")
    }
}

fn weight_reading(rule: &str) -> String {
    match rule {
        "adamix-w1" => "W1: eta / \u{221a}(K + g\u{b2}), per weight and mini-batch",
        "adamix-w2" => {
            "W2: eta / \u{221a}(K + g\u{b2}) with the mean gradient of the last whole epoch"
        }
        "adamix-w3" => "W3: the previous rate / \u{221a}(K + g\u{b2}), starting from eta",
        "adamix-w4" => "W4: eta / \u{221a}(K + sum of g\u{b2}), one rate a tensor",
        "adamix-w5" => "W5: AdaGrad whose sum of g\u{b2} starts anew each epoch",
        other => return format!("the rule `{other}`"),
    }
    .to_owned()
}

fn bias_reading(biases: &Value) -> String {
    let schedule = &biases["schedule"];
    let number = |key: &str| {
        schedule[key]
            .as_f64()
            .map_or_else(|| "?".into(), significant)
    };
    let (eta, r, c) = (number("learning-rate"), number("r"), number("c"));
    match schedule["kind"].as_str().unwrap_or_default() {
        "power" => format!("B1: power, {eta} (1 + t/r)^\u{2212}{c}, r = {r} epochs"),
        "exponential" => format!("B2: exponential, {eta} \u{b7} 10^(\u{2212}t/r), r = {r} epochs"),
        "power-times-exponential" => format!(
            "B3: power times exponential, {eta} (1 + t/r)^\u{2212}{c} \u{b7} 10^(\u{2212}t/r), \
             r = {r} epochs"
        ),
        "power-exponential" => {
            format!("B4: power-exponential, {eta} (1 + t/r)^(\u{2212}{c} t/r), r = {r} epochs")
        }
        "constant" => format!("a constant rate, {eta}"),
        other => format!("the schedule `{other}`"),
    }
}

/// The value of the first `key` anywhere in the settings.
fn stated(settings: &Value, key: &str) -> String {
    fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
        match value {
            Value::Object(map) => map
                .get(key)
                .or_else(|| map.values().find_map(|value| find(value, key))),
            _ => None,
        }
    }
    match find(settings, key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "not stated in the records".into(),
    }
}
