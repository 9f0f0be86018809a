//! Protocols, readings and tuning, as the program plans and runs them.

#![allow(clippy::unwrap_used)]

mod place;

use std::process::Stdio;

use adamix_record::{Outcome, Plan, Protocol, RunRecord, TunedArm};
use place::{ARMS, Place, assert_success, images, text, wait_for_epochs};

/// Halving over a grid of 3 x 2 candidates an arm. AdaMix is best at the highest
/// rate, so that its grid is extended.
const TUNE: &str = r#"
[[protocol]]
name = "common"
label = "Common"
set.seeds = [0]

[[protocol]]
name = "tuned"
label = { en = "Tuned", zh = "调优" }

[protocol.tune]
seeds = [7, 8]
budget = 6
validation-images = 60
rung = [{ epochs = 1, keep = 3 }, { epochs = 2, keep = 2 }, { epochs = 4, keep = 1 }]

[[protocol.tune.space]]
arms = ["adamix"]
axis = [
  { name = "learning-rate", keys = ["weights.schedule.learning-rate", "biases.schedule.learning-rate"], values = [0.001, 0.01, 0.1], extend = true },
  { name = "k", keys = ["weights.k"], values = [1.0, 0.01] },
]

[[protocol.tune.space]]
arms = ["adagrad"]
axis = [
  { name = "learning-rate", keys = ["weights.schedule.learning-rate", "biases.schedule.learning-rate"], values = [0.001, 0.01, 0.1], extend = true },
  { name = "k", keys = ["weights.k", "biases.k"], values = [1.0, 0.01] },
]
"#;

fn plan(place: &Place, experiment: &str) -> Plan {
    Plan::read(&place.path(&format!("reports/{experiment}/plan.json"))).unwrap()
}

fn record(place: &Place, experiment: &str, id: impl std::fmt::Display) -> RunRecord {
    RunRecord::read(&place.path(&format!("reports/{experiment}/runs/{id}.jsonl"))).unwrap()
}

fn arms_with(tables: &str) -> String {
    format!("{ARMS}{tables}")
}

fn protocol<'a>(plan: &'a Plan, name: &str) -> &'a Protocol {
    plan.protocols.iter().find(|p| p.name == name).unwrap()
}

/// Mean validation error over the seeds after `epochs`, from the records.
fn error_after(place: &Place, arm: &TunedArm, candidate: usize, epochs: usize) -> Option<f64> {
    let runs = &arm.candidates[candidate].runs;
    let errors: Option<Vec<f64>> = runs
        .iter()
        .map(|run| {
            let record = record(place, "tuned", &run.run_id);
            if let Outcome::Diverged { .. } = record.end.as_ref()?.outcome {
                return Some(f64::INFINITY);
            }
            record.evaluations.get(epochs)?.validation_error
        })
        .collect();
    Some(errors?.iter().sum::<f64>() / runs.len() as f64)
}

#[test]
fn halving_keeps_the_best_and_runs_the_winner_on_fresh_seeds() {
    let place = Place::new();
    place.experiment("tuned", 5, &arms_with(TUNE));
    let output = place.run(&["run", "tuned.toml", "--jobs", "2"]);
    assert_success(&output);
    let plan = plan(&place, "tuned");
    let tuned = protocol(&plan, "tuned");
    let tuning = tuned.tuning.as_ref().unwrap();
    assert_eq!((tuning.train_images, tuning.validation_images), (240, 60));
    assert_eq!(tuning.settings["validation-images"], 60);
    assert_eq!(tuning.settings["fine-tuning"]["epochs"], 4);

    for (arm, tuned_arm) in tuned.arms.iter().zip(&tuning.arms) {
        // By the records alone: who goes on is who has the lower error.
        let of_budget = |candidate: &usize| !tuned_arm.candidates[*candidate].extension;
        let mut alive: Vec<usize> = (0..tuned_arm.candidates.len()).filter(of_budget).collect();
        assert_eq!(alive.len(), 6);
        for (epochs, keep) in [(1, 3), (2, 2)] {
            let mut ranked: Vec<(f64, usize)> = alive
                .iter()
                .map(|i| (error_after(&place, tuned_arm, *i, epochs).unwrap(), *i))
                .collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (_, dropped) in &ranked[keep..] {
                for run in &tuned_arm.candidates[*dropped].runs {
                    let record = record(&place, "tuned", &run.run_id);
                    let outcome = &record.end.as_ref().unwrap().outcome;
                    if !matches!(outcome, Outcome::Diverged { .. }) {
                        assert_eq!(record.evaluations.len(), epochs + 1);
                        let epoch = epochs as u64;
                        assert_eq!(*outcome, Outcome::Stopped { epoch });
                    }
                    assert!(record.samples.is_none());
                }
            }
            alive = ranked[..keep].iter().map(|(_, i)| *i).collect();
        }
        let extension = (0..tuned_arm.candidates.len()).filter(|i| !of_budget(i));
        let finalists: Vec<usize> = alive.into_iter().chain(extension).collect();
        let errors: Vec<f64> = finalists
            .iter()
            .map(|i| error_after(&place, tuned_arm, *i, 4).unwrap())
            .collect();
        let best = (0..errors.len())
            .min_by(|a, b| errors[*a].total_cmp(&errors[*b]))
            .unwrap();
        assert_eq!(tuned_arm.chosen, Some(finalists[best]));

        // The winner's settings are the arm's, on the protocol's own seeds.
        let chosen = &tuned_arm.candidates[finalists[best]];
        assert_eq!(
            (&arm.weights, &arm.biases),
            (&chosen.weights, &chosen.biases)
        );
        assert_eq!(arm.weights["schedule"]["learning-rate"], chosen.values[0]);
        assert_eq!(arm.weights["k"], chosen.values[1]);
        let runs: Vec<_> = tuned
            .runs
            .iter()
            .filter(|run| run.arm == arm.name)
            .collect();
        assert_eq!(runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [0, 1]);
        for run in runs {
            let record = record(&place, "tuned", &run.run_id);
            assert_eq!(record.header.settings["weights"], chosen.weights);
            assert_eq!(record.header.settings["protocol"]["train-images"], 300);
            assert_eq!(record.header.protocol_hash, tuned.hash);
            assert_eq!(record.evaluations.len(), 6);
            assert!(
                record
                    .evaluations
                    .iter()
                    .all(|e| e.test_error.is_some() && e.validation_error.is_none())
            );
        }
        // No tuning run has a test error.
        for run in tuned_arm.candidates.iter().flat_map(|c| &c.runs) {
            let record = record(&place, "tuned", &run.run_id);
            assert!([7, 8].contains(&record.header.seed));
            assert!(
                record
                    .evaluations
                    .iter()
                    .all(|e| e.test_error.is_none() && e.validation_error.is_some())
            );
        }
    }

    // AdaMix is best at the highest rate of the grid, which is therefore
    // extended beyond it, once, beside both values of K.
    let adamix = &tuning.arms[0];
    assert_eq!(adamix.axes[0].values.len(), 4);
    assert!(
        (adamix.axes[0].values[3] - 1.0).abs() < 1e-12,
        "{:?}",
        adamix.axes
    );
    let added: Vec<_> = adamix.candidates.iter().filter(|c| c.extension).collect();
    assert_eq!(
        added.iter().map(|c| c.values[1]).collect::<Vec<_>>(),
        [1.0, 0.01]
    );
    assert_eq!(
        adamix.axes[1].values,
        [1.0, 0.01],
        "not asked to be extended"
    );

    // The common protocol has its own seeds and shares what it can.
    assert_eq!(protocol(&plan, "common").seeds, [0]);
    assert_ne!(protocol(&plan, "common").hash, tuned.hash);
    let again = place.run(&["run", "tuned.toml"]);
    assert_success(&again);
    assert!(
        text(&again.stderr).contains("tuned: 0 runs trained"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(
        Plan::read(&place.path("reports/tuned/plan.json")).unwrap(),
        plan
    );
    let shown = text(&place.run(&["plan", "tuned.toml"]).stdout);
    assert!(shown.contains("0 of 2 arms to be chosen"), "{shown}");
    assert!(shown.contains("nothing: all runs are finished"), "{shown}");
}

#[test]
fn a_search_that_was_killed_goes_on_to_the_same_records() {
    let (whole, broken) = (Place::new(), Place::new());
    for place in [&whole, &broken] {
        place.experiment("tuned", 5, &arms_with(TUNE));
    }
    assert_success(&whole.run(&["run", "tuned.toml", "--jobs", "2"]));
    let mut command = broken.command(&["run", "tuned.toml", "--jobs", "1"]);
    let quiet = command.stderr(Stdio::null()).stdout(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    // Some candidate has passed the first rung and is paused or goes on.
    wait_for_epochs(&broken, "tuned", 2, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_success(&broken.run(&["run", "tuned.toml", "--jobs", "1"]));
    assert_eq!(plan(&whole, "tuned"), plan(&broken, "tuned"));
    assert!(
        whole.records("tuned") == broken.records("tuned"),
        "records differ"
    );
}

#[test]
fn tuning_sees_no_test_image() {
    let (one, other) = (Place::new(), Place::new());
    let grid = TUNE.replace(
        "rung = [{ epochs = 1, keep = 3 }, { epochs = 2, keep = 2 }, { epochs = 4, keep = 1 }]",
        "rung = [{ epochs = 2, keep = 1 }]",
    );
    for place in [&one, &other] {
        place.experiment("tuned", 2, &arms_with(&grid));
    }
    other.data(images(300, 0), images(60, 5));
    for place in [&one, &other] {
        assert_success(&place.run(&["run", "tuned.toml"]));
    }
    let errors = |place: &Place| -> Vec<Option<f64>> {
        let plan = plan(place, "tuned");
        let tuning = protocol(&plan, "tuned").tuning.clone().unwrap();
        tuning
            .runs()
            .flat_map(|run| record(place, "tuned", &run.run_id).evaluations)
            .map(|evaluation| evaluation.validation_error)
            .collect()
    };
    assert_eq!(errors(&one), errors(&other));
    let chosen = |place: &Place| {
        let plan = plan(place, "tuned");
        let tuning = protocol(&plan, "tuned").tuning.clone().unwrap();
        tuning.arms.iter().map(|arm| arm.chosen).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&one), chosen(&other));
}

#[test]
fn candidates_are_drawn_from_ranges_by_their_seed() {
    let space = |sample: &str| {
        arms_with(
            &TUNE
                .split("[[protocol.tune.space]]")
                .next()
                .unwrap()
                .replace("budget = 6", "budget = 8"),
        ) + &format!(
            r#"
[[protocol.tune.space]]
arms = ["adamix", "adagrad"]
sample = {{ {sample} }}
axis = [
  {{ name = "learning-rate", keys = ["weights.schedule.learning-rate"], range = [0.001, 0.1] }},
  {{ name = "k", keys = ["weights.k"], range = [1e-4, 1.0] }},
]
"#
        )
    };
    let values = |sample: &str| -> Vec<Vec<f64>> {
        let place = Place::new();
        place.experiment("drawn", 5, &space(sample));
        // Stopped before it trains much: the plan is written first.
        let mut command = place.command(&["run", "drawn.toml"]);
        let mut child = command
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_epochs(&place, "drawn", 0, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let plan = plan(&place, "drawn");
        let tuning = protocol(&plan, "tuned").tuning.clone().unwrap();
        tuning.arms[0]
            .candidates
            .iter()
            .map(|c| c.values.clone())
            .collect()
    };
    let sobol = values("kind = \"sobol\", seed = 1");
    assert_eq!(sobol, values("kind = \"sobol\", seed = 1"));
    assert_ne!(sobol, values("kind = \"sobol\", seed = 2"));
    let uniform = values("kind = \"log-uniform\", seed = 1");
    for points in [&sobol, &uniform] {
        assert_eq!(points.len(), 8);
        assert!(
            points
                .iter()
                .all(|p| (0.001..=0.1).contains(&p[0]) && (1e-4..=1.0).contains(&p[1]))
        );
    }
    // 8 points of a Sobol sequence fall one into each eighth of every axis.
    for (axis, [low, high]) in [[0.001, 0.1], [1e-4_f64, 1.0]].into_iter().enumerate() {
        let mut eighths: Vec<usize> = sobol
            .iter()
            .map(|p| (8.0 * (p[axis] / low).ln() / (high / low).ln()) as usize)
            .collect();
        eighths.sort_unstable();
        assert_eq!(eighths, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

#[test]
fn what_cannot_be_tuned_fairly_is_refused() {
    let place = Place::new();
    for (change, with, expected) in [
        (
            "seeds = [7, 8]",
            "seeds = [1]",
            "tune.seeds: 1 is a seed of the protocol",
        ),
        (
            "budget = 6",
            "budget = 5",
            "the grid of arm `adamix` has 6 settings, budget says 5",
        ),
        ("values = [1.0, 0.01]", "values = [1.0, -1.0]", "k"),
        (
            "[\"weights.k\"]",
            "[\"weights.kk\"]",
            "arm `adamix` has no number at `weights.kk`",
        ),
        (
            "arms = [\"adamix\"]",
            "arms = [\"adagrad\"]",
            "arm `adamix` must stand in exactly one",
        ),
        (
            "{ epochs = 4, keep = 1 }",
            "{ epochs = 4, keep = 2 }",
            "the last rung keeps 1",
        ),
        (
            "{ epochs = 2, keep = 2 }",
            "{ epochs = 1, keep = 2 }",
            "epochs must be at least 1 and rise",
        ),
        (
            "{ epochs = 1, keep = 3 }",
            "{ epochs = 1, keep = 7 }",
            "never rise",
        ),
        (
            "validation-images = 60",
            "validation-images = 290",
            "leave a batch of the 300",
        ),
        (
            "values = [1.0, 0.01]",
            "range = [1.0, 0.01]",
            "from above 0 to more",
        ),
        (
            "values = [1.0, 0.01]",
            "range = [0.01, 1.0]",
            "space.sample: missing",
        ),
        ("set.seeds = [0]", "set.sedes = [0]", "set: `sedes`"),
        (
            "set.seeds = [0]",
            "set.arm.adam.weights.k = 1",
            "set.arm: `adam`: there is no such arm",
        ),
        (
            "set.seeds = [0]",
            "arms = [\"adam\"]",
            "arms: `adam`: there is no such arm",
        ),
        (
            "set.seeds = [0]",
            "set.arm.adagrad.weights.k = 0",
            "arm `adagrad`, weights: k",
        ),
        (
            "name = \"tuned\"\nlabel",
            "name = \"common\"\nlabel",
            "`common` stands twice",
        ),
    ] {
        assert!(TUNE.contains(change), "{change}");
        place.experiment("wrong", 5, &arms_with(&TUNE.replacen(change, with, 1)));
        let output = place.run(&["plan", "wrong.toml"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "`{with}`: {said}");
        assert!(
            said.contains("wrong.toml") && said.contains(expected),
            "`{with}`: {said}"
        );
    }
}

const READINGS: &str = r#"
[[detail]]
name = "k"
label = "K"
[[detail.reading]]
name = "1"
meaning = "K = 1"
source = "second-hand"
set.arm.adagrad = { weights.k = 1.0, biases.k = 1.0 }
set.arm.adamix.weights.k = 1.0
[[detail.reading]]
name = "0.01"
meaning = "K = 0.01"
source = "inferred"
set.arm.adagrad = { weights.k = 0.01, biases.k = 0.01 }
set.arm.adamix.weights.k = 0.01

[[detail]]
name = "gradient"
label = "Gradient"
[[detail.reading]]
name = "mean"
meaning = "mean"
source = "inferred"
[[detail.reading]]
name = "sum"
meaning = "sum"
source = "inferred"
set.fine-tuning.gradient = "sum"

[[detail]]
name = "weight-rate"
label = "Weight rate"
[[detail.reading]]
name = "w1"
meaning = "W1"
source = "inferred"
[[detail.reading]]
name = "w3"
meaning = "W3"
source = "inferred"
set.arm.adamix.weights = { rule = "adamix-w3", k = 1.0 }

[[cross]]
name = "cross"
label = "Cross"
details = ["k", "gradient", "weight-rate"]
without = [{ weight-rate = ["w3"], k = ["0.01"] }]
"#;

#[test]
fn two_readings_of_one_name_are_refused() {
    let place = Place::new();
    let readings = READINGS.replace("meaning = \"K = 0.01\"", "meaning = \"K = 1: smaller\"");
    place.experiment("wrong", 1, &arms_with(&readings));
    let output = place.run(&["plan", "wrong.toml"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = "wrong.toml: detail `k`, reading.meaning: `K = 1` stands twice";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn readings_come_one_at_a_time_and_crossed_with_the_small_gradient_rate_held() {
    let place = Place::new();
    let extra = "
[[arm]]
name = \"ablation\"
label = \"Ablation\"
role = \"baseline\"
weights = { rule = \"adagrad\", schedule = { kind = \"constant\", learning-rate = 0.1 } }
biases = { rule = \"sgd\", schedule = { kind = \"constant\", learning-rate = 0.1 } }
";
    let text_of = format!("{ARMS}{extra}{READINGS}");
    place.experiment("readings", 1, &text_of);
    let path = place.path("readings.toml");
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        written.replacen(
            "[pre-training]",
            "scaling = \"small-gradient\"\n[pre-training]",
            1,
        ),
    )
    .unwrap();
    assert_success(&place.run(&["run", "readings.toml", "--jobs", "2"]));
    let plan = plan(&place, "readings");
    let names: Vec<&str> = plan.protocols.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "default",
            "k=0.01",
            "gradient=sum",
            "weight-rate=w3",
            "cross/k=1+gradient=sum+weight-rate=w3",
            "cross/k=0.01+gradient=sum+weight-rate=w1",
        ]
    );
    let readings = &protocol(&plan, "cross/k=1+gradient=sum+weight-rate=w3").readings;
    assert_eq!(readings["k"], "1");
    assert_eq!(readings["gradient"], "sum");
    assert_eq!(readings["weight-rate"], "w3");
    // Baselines stand in the file's own protocol only.
    let arms = |name: &str| protocol(&plan, name).arms.len();
    assert_eq!((arms("default"), arms("k=0.01")), (3, 2));

    // eta = 0.1 sqrt(K), divided by the batch size of 20 for summed gradients.
    let rate = |name: &str, arm: usize, group: &str| {
        let arm = &protocol(&plan, name).arms[arm];
        let group = if group == "weights" {
            &arm.weights
        } else {
            &arm.biases
        };
        group["schedule"]["learning-rate"].as_f64().unwrap()
    };
    for (name, arm, group, expected) in [
        ("default", 0, "weights", 0.1),
        ("k=0.01", 0, "weights", 0.01),
        ("k=0.01", 0, "biases", 0.1),
        ("k=0.01", 1, "biases", 0.01),
        ("gradient=sum", 0, "weights", 0.005),
        ("gradient=sum", 0, "biases", 0.005),
        (
            "cross/k=0.01+gradient=sum+weight-rate=w1",
            1,
            "weights",
            0.0005,
        ),
    ] {
        let found = rate(name, arm, group);
        assert!(
            (found - expected).abs() < 1e-15,
            "{name} {arm} {group}: {found}"
        );
    }
    let w3 = &protocol(&plan, "weight-rate=w3").arms[0].weights;
    assert_eq!(w3["rule"], "adamix-w3");
    assert_eq!(w3["schedule"]["kind"], "constant", "the schedule stays");

    // Protocols share runs where the settings are the same: AdaGrad's in W1 and W3.
    let id = |name: &str| {
        let runs = &protocol(&plan, name).runs;
        runs.iter()
            .find(|run| run.arm == "adagrad")
            .unwrap()
            .run_id
            .clone()
    };
    assert_eq!(id("default"), id("weight-rate=w3"));
    assert_ne!(id("default"), id("k=0.01"));
    let files = std::fs::read_dir(place.path("reports/readings/runs"))
        .unwrap()
        .count();
    let mut ids: Vec<_> = plan.runs().map(|run| &run.run_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(files, ids.len());
}
