//! Records on disk: what is read back, and what is refused.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use adamix_record::*;
use serde_json::json;

fn environment() -> Environment {
    Environment {
        version: "0.1.0".into(),
        commit: None,
        commit_date: None,
        dirty: false,
        lock_sha256: "00".into(),
        rustc: "rustc".into(),
        features: vec![],
        platform: "linux".into(),
        processor: "processor".into(),
        cores: 2,
        gpu: None,
        jobs: 2,
    }
}

fn lines() -> Vec<Line> {
    let settings = json!({"b": {"x": 1, "a": 0.1}, "a": [1, 2]});
    let evaluation = |epoch: u64| {
        Line::Evaluation(Evaluation {
            epoch,
            update: 10 * epoch,
            train_error: Some(0.1 + epoch as f64),
            validation_error: None,
            test_error: (epoch < 2).then_some(1.0 / 3.0),
            weights_learning_rate: 0.1,
            biases_learning_rate: 0.2,
            training_seconds: epoch as f64,
        })
    };
    let diagnostics = |epoch| {
        let layer = LayerGradient {
            weights_median: Some(1e-9),
            biases_median: None,
        };
        Line::Diagnostics(Diagnostics {
            epoch,
            layers: vec![layer],
        })
    };
    vec![
        Line::Header(Header {
            schema: SCHEMA,
            semantics: SEMANTICS_VERSION,
            run_id: RunId::new(&settings, 3, "ab", Backend::Cpu),
            protocol_hash: "ef".into(),
            settings,
            seed: 3,
            data: DataIdentity {
                name: "mnist".into(),
                canonical: true,
                sha256: "ab".into(),
            },
            backend: Backend::Cpu,
            kernel: "gemm".into(),
            environment: environment(),
        }),
        evaluation(0),
        evaluation(1),
        diagnostics(1),
        evaluation(2),
        diagnostics(2),
        Line::End(End {
            outcome: Outcome::Diverged { epoch: 2 },
            weights_sha256: None,
        }),
    ]
}

fn text(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n")
        .collect()
}

fn id() -> String {
    let Line::Header(header) = &lines()[0] else {
        unreachable!()
    };
    header.run_id.to_string()
}

/// Writes `text` to a file of this name and reads it as a record.
fn read(name: &str, text: &str) -> std::result::Result<RunRecord, String> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    RunRecord::read(&path).map_err(|error| {
        error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), "")
    })
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    let record = read(&format!("{}.jsonl", id()), &text(&lines())).unwrap();
    assert_eq!(record, RunRecord::from_lines(lines()).unwrap());
    assert_eq!(
        record.evaluations[1].test_error,
        Some(1.0 / 3.0),
        "numbers come back to the bit"
    );
    assert_eq!(record.evaluations[2].test_error, None);
    assert_eq!(record.evaluations.len(), 3);
    let without = record.without_timings();
    assert!(
        without
            .evaluations
            .iter()
            .all(|evaluation| evaluation.training_seconds == 0.0)
    );
    assert_eq!(without.header.environment.jobs, 1);
}

#[test]
fn of_a_partial_record_the_line_cut_short_is_left_out() {
    let whole = text(&lines()[..4]);
    for cut in [1, 20, whole.lines().last().unwrap().len()] {
        let record = read(&format!("{}.partial", id()), &whole[..whole.len() - cut]).unwrap();
        assert_eq!((record.evaluations.len(), record.diagnostics.len()), (2, 0));
        assert_eq!(record.end, None);
    }
}

#[test]
fn damaged_records_are_refused_with_file_line_and_reason() {
    let name = format!("{}.jsonl", id());
    let changed_header = |change: fn(&mut Header)| {
        let mut lines = lines();
        let Line::Header(header) = &mut lines[0] else {
            unreachable!()
        };
        change(header);
        text(&lines)
    };
    let without = |index: usize| {
        let mut lines = lines();
        lines.remove(index);
        text(&lines)
    };
    let whole = text(&lines());
    let two_headers = text(&[&lines()[..1], &lines()[..]].concat());
    for (name, text, expected) in [
        (name.as_str(), String::new(), "the first line is no header"),
        (&name, text(&lines()[..6]), "it has no end line"),
        (
            &name,
            whole.replacen("\"evaluation\"", "\"evaluatoin\"", 1),
            ":2: unknown variant `evaluatoin`",
        ),
        (
            &name,
            whole.replacen("\"epoch\":1", "\"epoch\":1,\"epic\":1", 1),
            ":3: unknown field `epic`",
        ),
        (
            &name,
            whole[..whole.len() - 5].to_owned(),
            ":7: EOF while parsing",
        ),
        (&name, without(0), "the first line is no header"),
        (&name, without(2), "evaluation of epoch 2 where 1 is due"),
        (&name, without(3), "diagnostics of epoch 2 where 1 is due"),
        (
            &name,
            whole.clone() + &text(&lines()[1..2]),
            "a line stands after its end",
        ),
        (&name, two_headers, "it has two headers"),
        (
            &name,
            changed_header(|header| header.seed = 4),
            "it was altered",
        ),
        (
            &name,
            changed_header(|header| header.schema = 0),
            "schema 0 where 2 is read",
        ),
        (
            "0123456789abcdef.jsonl",
            whole.clone(),
            "the file's name does not",
        ),
    ] {
        let error = read(name, &text).unwrap_err();
        assert!(
            error.starts_with(name) && error.contains(expected),
            "{error}\n{expected}"
        );
    }
    let missing = RunRecord::read(&PathBuf::from("nowhere.jsonl"))
        .unwrap_err()
        .to_string();
    assert!(missing.starts_with("nowhere.jsonl: "), "{missing}");
}

#[test]
fn a_plan_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let plan = Plan {
        schema: SCHEMA,
        name: "small".into(),
        title: Text::new("Small", "小"),
        command: "cargo xtask reproduce small".into(),
        analysis: Text::default(),
        data: DataIdentity {
            name: "curves".into(),
            canonical: true,
            sha256: "ab".into(),
        },
        claims: vec![],
        details: vec![],
        protocols: vec![Protocol {
            name: "default".into(),
            label: Text::same("Default"),
            hash: "00".into(),
            readings: Default::default(),
            seeds: vec![0],
            layer_sizes: vec![784, 10],
            train_images: 100,
            test_images: 10,
            pre_training_epochs: 1,
            epochs: 1,
            batch_size: 10,
            settings: json!({}),
            arms: vec![Arm {
                name: "a".into(),
                label: Text::same("A"),
                role: Role::Adamix,
                weights: json!({}),
                biases: json!({}),
            }],
            runs: vec![PlannedRun {
                run_id: RunId::new(&json!({}), 0, "ab", Backend::Cpu),
                arm: "a".into(),
                seed: 0,
            }],
            tuning: None,
        }],
    };
    write_json(&path, &plan).unwrap();
    assert_eq!(Plan::read(&path).unwrap(), plan);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no temporary file is left"
    );
    let (mut newer, mut other_seed, mut empty) = (plan.clone(), plan.clone(), plan);
    newer.schema = 7;
    other_seed.protocols[0].seeds = vec![5];
    empty.protocols.clear();
    for (changed, expected) in [
        (newer, "schema 7 where 2 is read"),
        (
            other_seed,
            "has arm `a` and seed 0, which protocol `default` does not list",
        ),
        (empty, "it has no protocol"),
    ] {
        write_json(&path, &changed).unwrap();
        let error = Plan::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("plan.json") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn costs_weigh_the_groups_by_their_parameters() {
    let group = |parameters, state| GroupCost {
        rule: "sgd".into(),
        parameters,
        per_parameter: UpdateCost {
            additions: 1.0,
            multiplications: 2.0,
            divisions: 3.0,
            square_roots: 4.0,
            loads: 5.0,
            stores: 6.0,
            state,
        },
    };
    let arm = UpdateTimes {
        arms: vec!["default/a".into()],
        batch_size: 100,
        steps_per_epoch: 600,
        weights: group(3, 2.0),
        biases: group(1, 0.0),
        update_seconds: vec![],
        step_seconds: vec![],
    };
    assert_eq!(arm.per_parameter(UpdateCost::arithmetic), 10.0);
    assert_eq!(arm.per_parameter(UpdateCost::bytes_moved), 44.0);
    assert_eq!(arm.per_parameter(UpdateCost::bytes_of_state), 6.0);
}

#[test]
fn a_text_is_one_string_or_one_a_language() {
    let text: Text = serde_json::from_str("\"SGD\"").unwrap();
    assert_eq!(text, Text::same("SGD"));
    let text: Text = serde_json::from_str(r#"{"en": "rate", "zh": "学习率"}"#).unwrap();
    assert_eq!(text, Text::new("rate", "学习率"));
    for wrong in [r#"{"en": "rate"}"#, "3"] {
        let error = serde_json::from_str::<Text>(wrong).unwrap_err().to_string();
        assert!(error.contains("a string or a table"), "{error}");
    }
}

#[test]
fn a_claim_that_nothing_can_decide_is_refused() {
    let good = Claim {
        id: "C1".into(),
        text: Text::same("lower error"),
        statistic: Statistic::FinalError,
        comparison: Comparison::PairedRelative,
        against: vec![Role::Adagrad],
        margin: 0.01,
        confidence: 0.95,
        contradiction_confidence: 0.975,
        fewest_seeds: 10,
        power: 0.8,
    };
    assert_eq!(good.check(), Ok(()));
    type Change = fn(&mut Claim);
    let changes: [(&str, Change); 6] = [
        ("confidence", |claim| claim.confidence = 1.0),
        ("contradiction-confidence", |claim| {
            claim.contradiction_confidence = 0.0
        }),
        ("power", |claim| claim.power = f64::NAN),
        ("margin", |claim| claim.margin = -0.1),
        ("against", |claim| claim.against.clear()),
        ("comparison", |claim| {
            claim.statistic = Statistic::UpdateCost
        }),
    ];
    for (key, change) in changes {
        let mut claim = good.clone();
        change(&mut claim);
        assert_eq!(claim.check().unwrap_err().0, key);
    }
    // Prose is no part of what is hashed.
    let mut other = good.clone();
    other.text = Text::same("reworded");
    assert_eq!(other.rule(), good.rule());
    other.margin = 0.02;
    assert_ne!(other.rule(), good.rule());
}
