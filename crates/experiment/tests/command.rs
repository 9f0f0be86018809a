//! The `adamix` program as a user calls it, on small data: what it writes, that
//! it goes on where it was killed, and how it fails.

#![allow(clippy::unwrap_used)]

mod place;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use adamix_record::{Anchors, Cost, Outcome, RunRecord, read_json};
use place::{ARMS, Place, assert_success, text, wait_for_epochs};

#[test]
fn a_run_writes_complete_records_whatever_the_number_of_jobs() {
    let (one, two) = (Place::new(), Place::new());
    let first = one.run(&["run", "small.toml", "--jobs", "1"]);
    assert_success(&first);
    assert_eq!(text(&first.stdout), "reports/small\n");
    assert_success(&two.run(&["run", "small.toml", "--jobs", "2"]));
    let records = one.records("small");
    assert_eq!(records.len(), 4);
    assert!(
        records == two.records("small"),
        "records differ between --jobs 1 and 2"
    );
    // Nor do they depend on what was trained in lockstep: three of four runs, on
    // two threads, then the fourth; starts likewise.
    let three = Place::new();
    assert_success(&three.run(&["run", "small.toml", "--jobs", "2", "--cohort", "3"]));
    assert!(
        records == three.records("small"),
        "records differ between --cohort 1 and 3"
    );

    for record in &records {
        assert_eq!(record.evaluations.len(), 4);
        assert_eq!(record.evaluations[3].update, 45);
        assert_eq!(record.diagnostics.len(), 3);
        assert_eq!(record.end.as_ref().unwrap().outcome, Outcome::Completed);
        assert_eq!(
            record
                .end
                .as_ref()
                .unwrap()
                .weights_sha256
                .as_ref()
                .unwrap()
                .len(),
            64
        );
        let samples = record.samples.as_ref().unwrap();
        assert_eq!(
            (samples.images.len(), samples.labels.clone()),
            (10, (0..10).collect())
        );
        assert_eq!(samples.codes.len(), 60);
        // The same pre-trained start for all arms of a seed.
        let same = |other: &&RunRecord| other.header.seed == record.header.seed;
        assert!(
            records
                .iter()
                .filter(same)
                .all(|other| other.evaluations[0].test_error == record.evaluations[0].test_error)
        );
        let (first, last) = (
            record.evaluations[0].test_error.unwrap(),
            record.evaluations[3].test_error.unwrap(),
        );
        assert!(last < first, "{first} {last}");
    }
    // The biases' power schedule, r = 10 epochs of 15 updates.
    let adamix = records
        .iter()
        .find(|record| record.header.settings["weights"]["rule"] == "adamix-w1")
        .unwrap();
    assert_eq!(adamix.evaluations[3].weights_learning_rate, 0.1);
    assert!((adamix.evaluations[3].biases_learning_rate - 0.1 * 1.3f64.powf(-0.75)).abs() < 1e-12);

    let anchors: Anchors = read_json(&one.path("reports/small/anchors.json")).unwrap();
    assert!(anchors.principal_components[2].test_error < anchors.mean_image_test_error);
    let logistic = anchors.logistic_pca.unwrap();
    assert_eq!(logistic.components, 30);
    assert!(logistic.train_error < anchors.principal_components[2].train_error);
    let cost: Cost = read_json(&one.path("reports/small/cost.json")).unwrap();
    let ceilings = cost.ceilings.unwrap();
    assert!(ceilings.operations_per_second > 1e8 && ceilings.bytes_per_second > 1e8);
    let entries = &cost.entries;
    assert_eq!(entries[0].weights.parameters, 2 * (784 * 40 + 40 * 8));
    assert_eq!(entries[0].biases.parameters, 40 + 8 + 40 + 784);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].arms, ["default/adamix"]);
    assert!(
        entries.iter().all(
            |arm| arm.update_seconds.len() == 15 && arm.update_seconds.iter().all(|s| *s > 0.0)
        )
    );
    assert!(
        entries[0].per_parameter(|cost| cost.state) < entries[1].per_parameter(|cost| cost.state)
    );

    // Nothing is trained again, nothing overwritten.
    let path = one.path(&format!(
        "reports/small/runs/{}.jsonl",
        records[0].header.run_id
    ));
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    let again = one.run(&["run", "small.toml"]);
    assert_success(&again);
    assert!(
        text(&again.stderr).contains("0 runs trained, 4 found finished"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        before
    );
    // Another experiment that has one of these runs copies it.
    one.experiment("part", 3, ARMS.split("\n\n").next().unwrap());
    let part = one.run(&["run", "part.toml"]);
    assert_success(&part);
    assert!(
        text(&part.stderr).contains("0 runs trained, 2 found finished"),
        "{}",
        text(&part.stderr)
    );
    let status = text(&one.run(&["status"]).stdout);
    assert_eq!(
        status,
        "part: 2 of 2 runs finished\nsmall: 4 of 4 runs finished\n"
    );
    // A damaged record is named; the others are shown all the same.
    let id = &records[1].header.run_id;
    std::fs::write(one.path(&format!("reports/part/runs/{id}.jsonl")), "{}\n").unwrap();
    let damaged = one.run(&["status"]);
    let shown = text(&damaged.stdout);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(
        shown.contains("part: 1 of 2 runs finished") && shown.contains("small: 4 of 4"),
        "{shown}"
    );
    assert!(shown.contains(&format!("{id}.jsonl")), "{shown}");
    let nowhere = one.run(&["status", "nowhere"]);
    assert!(
        text(&nowhere.stderr).contains("nowhere: no such folder"),
        "{}",
        text(&nowhere.stderr)
    );
}

#[test]
fn a_cohort_that_was_killed_goes_on_as_other_cohorts() {
    let mut parts = vec!["run", "long.toml", "--jobs", "1", "--cohort", "4"];
    let first = parts.clone();
    parts[5] = "3";
    stopped_and_gone_on(&first, &parts, |child| {
        child.kill().unwrap();
        false
    });
}

/// Starts a long experiment, stops it once a run is under way, and checks that
/// the next call goes on and ends with the bits of an uninterrupted one.
fn stopped_and_gone_on_with(stop: impl Fn(&mut Child) -> bool) {
    let command = ["run", "long.toml", "--jobs", "2"];
    stopped_and_gone_on(&command, &command, stop);
}

/// The same with a command for what is stopped and one for what goes on.
fn stopped_and_gone_on(first: &[&str], second: &[&str], stop: impl Fn(&mut Child) -> bool) {
    let (whole, broken) = (Place::new(), Place::new());
    for place in [&whole, &broken] {
        place.experiment("long", 40, ARMS);
    }
    assert_success(&whole.run(&["run", "long.toml", "--jobs", "2"]));
    let mut command = broken.command(first);
    let mut child = command
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_epochs(&broken, "long", 3, &mut child);
    let cleanly = stop(&mut child);
    let status = child.wait().unwrap();
    assert!(!status.success());
    assert_eq!(status.code(), cleanly.then_some(1));
    let second = broken.run(second);
    assert_success(&second);
    assert!(
        text(&second.stderr).contains("goes on after epoch"),
        "{}",
        text(&second.stderr)
    );
    assert!(
        whole.records("long") == broken.records("long"),
        "records differ from an uninterrupted run's"
    );
    let folders = std::fs::read_dir(broken.path("cache/checkpoints")).unwrap();
    let left = folders
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .count();
    assert_eq!(left, 0, "checkpoints of finished runs are removed");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    stopped_and_gone_on_with(|child| {
        child.kill().unwrap();
        false
    });
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_cleanly_and_goes_on_to_the_same_bits() {
    stopped_and_gone_on_with(|child| {
        let interrupted = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(interrupted.success());
        true
    });
}

#[test]
fn a_second_process_is_refused() {
    let place = Place::new();
    place.experiment("long", 2000, ARMS);
    let mut child = place
        .command(&["run", "long.toml"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_epochs(&place, "long", 0, &mut child);
    let second = place.run(&["run", "long.toml"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("another process runs this experiment"),
        "{}",
        text(&second.stderr)
    );
}

#[test]
fn a_diverging_arm_is_recorded_and_the_others_finish() {
    let place = Place::new();
    let wild = ARMS.replace(
        "\"adagrad\", schedule = { kind = \"constant\", learning-rate = 0.1 }",
        "\"sgd\", schedule = { kind = \"constant\", learning-rate = 1e30 }",
    );
    place.experiment("wild", 3, &wild);
    assert_success(&place.run(&["run", "wild.toml"]));
    let outcomes: Vec<_> = place
        .records("wild")
        .into_iter()
        .map(|record| record.end.unwrap().outcome)
        .collect();
    assert_eq!(outcomes[..2], [Outcome::Completed, Outcome::Completed]);
    assert_eq!(
        outcomes[2..],
        [
            Outcome::Diverged { epoch: 1 },
            Outcome::Diverged { epoch: 1 }
        ]
    );

    // The status says so, and what failed is not finished.
    let status = text(&place.run(&["status", "wild"]).stdout);
    let line = "wild: 4 of 4 runs finished, 2 of them diverged\n";
    assert!(status.starts_with(line), "{status}");
    assert_eq!(
        status.matches("diverged at epoch 1\n").count(),
        2,
        "{status}"
    );
    let id = &place.records("wild")[0].header.run_id;
    let path = place.path(&format!("reports/wild/runs/{id}.jsonl"));
    let record = std::fs::read_to_string(&path).unwrap();
    let (how, failed) = (
        "{\"how\":\"completed\"}",
        "{\"how\":\"failed\",\"why\":\"no memory\"}",
    );
    assert!(record.contains(how));
    std::fs::write(&path, record.replace(how, failed)).unwrap();
    let status = text(&place.run(&["status", "wild"]).stdout);
    let line = "wild: 3 of 4 runs finished, 2 of them diverged; 1 failed and will be tried again\n";
    assert!(status.starts_with(line), "{status}");
    assert!(status.contains("failed: no memory\n"), "{status}");
    let json = place.run(&["status", "wild", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["finished"], 3);
    assert_eq!(json["diverged"], 2);
    assert_eq!(json["failed"], 1);
    assert_eq!(json["runs"][0]["outcome"]["why"], "no memory");
    assert_eq!(json["runs"][2]["outcome"]["epoch"], 1);
    // It is tried again.
    let again = place.run(&["run", "wild.toml"]);
    let line = "1 runs trained, 3 found finished, 2 diverged, 0 failed";
    assert!(
        text(&again.stderr).contains(line),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn plan_lists_the_runs_and_estimates_the_rest() {
    let place = Place::new();
    let plan = text(&place.run(&["plan", "small.toml"]).stdout);
    assert!(
        plan.contains("default: 2 arms x 2 seeds, 3 epochs each, sha256"),
        "{plan}"
    );
    assert_eq!(plan.matches("not begun").count(), 4, "{plan}");
    let json = place.run(&["plan", "small.toml", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["unfinished"], 4);
    assert!(json["seconds-left"].as_f64().unwrap() > 0.0);
    assert!(
        !Path::new(&place.path("reports")).exists(),
        "a plan writes nothing"
    );
}

#[test]
fn costs_and_anchors_are_measured_without_training() {
    let place = Place::new();
    assert_success(&place.run(&["measure", "small.toml"]));
    let cost = || read_json::<Cost>(&place.path("reports/small/cost.json")).unwrap();
    let first = cost();
    assert!(place.path("reports/small/anchors.json").exists());
    assert_eq!(
        std::fs::read_dir(place.path("reports/small/runs"))
            .unwrap()
            .count(),
        0
    );
    assert_success(&place.run(&["run", "small.toml"]));
    assert_eq!(cost(), first, "measured once");
    assert_success(&place.run(&["measure", "small.toml", "--again"]));
    assert_ne!(cost(), first);
}

#[test]
fn failures_have_their_exit_codes_and_say_what_to_do() {
    let place = Place::new();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["run"], 2, "Usage"),
        (
            &["run", "small.toml", "--device", "tpu"],
            2,
            "possible values: auto, cpu, cuda",
        ),
        (&["run", "none"], 1, "none.toml"),
        (
            &["run", "small.toml", "--jobs", "0"],
            2,
            "for '--jobs <JOBS>'",
        ),
        (
            &["run", "small.toml", "--device", "cuda"],
            1,
            "--device cuda",
        ),
        (
            &["run", "small.toml", "--data", "nowhere"],
            1,
            "--data nowhere",
        ),
        (
            &["run", "small.toml", "--data", "mnist", "--offline"],
            1,
            "three ways",
        ),
    ];
    for (arguments, code, expected) in cases {
        let output = place.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
