//! Experiment files: what is refused, and how that is said.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use adamix_autoencoder::dataset::Spec;
use adamix_experiment::Experiment;

const GOOD: &str = r#"
title = "A title"
analysis = "A text."
seeds = [0, 1]

[fine-tuning]
epochs = 2

[[arm]]
name = "adagrad"
label = "AdaGrad"
role = "adagrad"
weights = { rule = "adagrad", schedule = { kind = "constant", learning-rate = 0.1 } }

[arm.biases]
rule = "adadec"
tau = 3
schedule = { kind = "power", learning-rate = 0.1, r = 10 }
"#;

fn parse(text: &str) -> Result<Experiment, String> {
    Experiment::parse(Path::new("experiments/good.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let experiment = parse(GOOD).unwrap();
    assert_eq!(experiment.name, "good");
    assert_eq!(experiment.file.dataset, Spec::Mnist);
    let written = serde_json::to_value(&experiment.file).unwrap();
    assert_eq!(
        written["fine-tuning"],
        serde_json::json!({"epochs": 2, "batch-size": 100, "loss": "cross-entropy", "gradient": "mean"})
    );
    assert_eq!(written["pre-training"]["weight-cost"], 2e-4);
    assert_eq!(written["pre-training"]["top-learning-rate"], 1e-3);
    assert_eq!(
        written["arm"][0]["biases"],
        serde_json::json!({"rule": "adadec", "k": 1.0, "gamma": 0.999, "tau": 3,
            "schedule": {"kind": "power", "learning-rate": 0.1, "r": 10.0, "c": 0.75, "per": "update"}})
    );
}

#[test]
fn errors_name_file_line_key_and_the_nearest_valid_key() {
    for (change, with, expected) in [
        (
            "seeds =",
            "seads =",
            "experiments/good.toml:4: unknown field `seads`",
        ),
        ("seeds =", "seads =", "did you mean `seeds`?"),
        (
            "epochs = 2",
            "epoch = 2",
            "experiments/good.toml:7: unknown field `epoch`",
        ),
        ("epochs = 2", "epoch = 2", "did you mean `epochs`?"),
        (
            "tau = 3",
            "taw = 3",
            "experiments/good.toml:17: unknown field `taw`",
        ),
        ("tau = 3", "taw = 3", "did you mean `tau`?"),
        (
            "rule = \"adagrad\"",
            "rule = \"adagard\"",
            "experiments/good.toml:13: unknown variant `adagard`",
        ),
        (
            "rule = \"adagrad\"",
            "rule = \"adagard\"",
            "did you mean `adagrad`?",
        ),
        (
            "r = 10",
            "r = \"x\"",
            "invalid type: string \"x\", expected f64",
        ),
        (
            "r = 10 }",
            "r = 10, rr = 1 }",
            "experiments/good.toml:18: unknown field `rr`",
        ),
        (
            "label = \"AdaGrad\"\n",
            "",
            "experiments/good.toml:9: missing field `label`",
        ),
        (
            "rule = \"adadec\"",
            "rule = \"sgd\"",
            "experiments/good.toml:17: unknown field `tau`",
        ),
        (
            "role = \"adagrad\"",
            "role = \"tau\"",
            "experiments/good.toml:12: unknown variant `tau`",
        ),
        (
            "[fine-tuning]",
            "[pre-training]\nmomentum = 1.5\n[fine-tuning]",
            "pre-training.momentum: 1.5: must be at least 0 and below 1",
        ),
        (
            "[fine-tuning]",
            "[pre-training]\nweight-cost = nan\n[fine-tuning]",
            "pre-training.weight-cost: NaN: must be at least 0",
        ),
        (
            "seeds = [0, 1]",
            "seeds = [-1]",
            "experiments/good.toml:4: invalid value: integer `-1`",
        ),
        (
            "[0, 1]",
            "[0, 0]",
            "experiments/good.toml: seeds: 0 stands twice",
        ),
        ("[0, 1]", "[]", "seeds: there is none"),
        (
            "epochs = 2",
            "epochs = 0",
            "fine-tuning.epochs: 0: must be at least 1",
        ),
        (
            "tau = 3",
            "tau = 0",
            "arm `adagrad`, biases: tau: 0: must be finite and at least 1",
        ),
        (
            "tau = 3",
            "gamma = 1.5",
            "arm `adagrad`, biases: gamma: 1.5: must be at least 0 and below 1, in f32 too",
        ),
        (
            "seeds = [0, 1]",
            "seeds = [0, 1",
            "experiments/good.toml:6: missing comma",
        ),
    ] {
        assert!(GOOD.contains(change), "{change}");
        let error = parse(&GOOD.replacen(change, with, 1)).unwrap_err();
        assert!(
            error.contains(expected),
            "`{with}`:\n  {error}\n  {expected}"
        );
    }
}

#[test]
fn an_unknown_name_lists_the_experiments() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments"));
    let error = Experiment::find("quikc", folder).unwrap_err().to_string();
    assert!(
        error.contains("quikc.toml")
            && error.contains("anchor, curves, long, paper, quick, readings"),
        "{error}"
    );
}

#[test]
fn the_projects_experiments_are_valid() {
    for name in ["quick", "anchor", "paper", "readings", "long"] {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments"));
        let experiment = Experiment::find(name, folder).unwrap();
        assert!(
            experiment.file.analysis.en.len() > 300 && experiment.file.analysis.zh.len() > 300,
            "{name} says what is assumed"
        );
    }
}

#[test]
fn a_key_that_is_wrong_here_and_right_elsewhere_is_found_here() {
    let text = GOOD
        .replace("rule = \"adagrad\"", "rule = \"adagrad\", k = 1.0")
        .replace("rule = \"adadec\"\ntau = 3", "rule = \"sgd\"\nk = 3");
    let error = parse(&text).unwrap_err();
    assert!(
        error.starts_with("experiments/good.toml:17: unknown field `k`"),
        "{error}"
    );
}
