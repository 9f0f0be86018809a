//! What the `adamix` program shows on a terminal, in a pipe and to a program.

#![allow(clippy::unwrap_used)]

mod place;

use place::{ARMS, Place, assert_success, text, wait_for_epochs};
use serde_json::Value;

const HEADING: &str =
    "arm                seed   seeds     epoch      error     rates w, b        left";

/// What `adamix run long.toml` writes where it stands on a terminal.
#[cfg(target_os = "linux")]
fn on_a_terminal(variables: [(&str, &str); 2]) -> String {
    let place = Place::new();
    // Long enough for the table to be drawn with every run, however fast it is.
    place.experiment("long", 400, ARMS);
    let adamix = format!("'{}' run long.toml --jobs 2", env!("CARGO_BIN_EXE_adamix"));
    // Of util-linux: runs a command in a pseudo-terminal.
    let mut script = place.program("script");
    script
        .args(["--quiet", "--return", "--command", &adamix, "/dev/null"])
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .envs(variables);
    let output = script.output().unwrap();
    assert_success(&output);
    text(&output.stdout)
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_table_that_is_redrawn() {
    let shown = on_a_terminal([("TERM", "xterm-256color"), ("COLORTERM", "")]);
    assert!(shown.contains(&format!("\u{1b}[1m{HEADING}")), "{shown}");
    // The cursor goes up, the line is cleared.
    assert!(
        shown.contains("\u{1b}[1A") && shown.contains("\u{1b}[2K"),
        "{shown}"
    );
    let rows: Vec<&str> = shown.split(['\r', '\n']).collect();
    let row = |parts: &[&str]| {
        rows.iter()
            .any(|row| parts.iter().all(|part| row.contains(part)))
    };
    // The first seed of two; a constant rate of the weights, a falling one of the biases.
    assert!(
        row(&["adamix ", " 0/2 ", "/400 ", " 0.1000, 0.0", " s"]),
        "{shown}"
    );
    assert!(
        row(&["adagrad ", " 1/2 ", "/400 ", " 0.1000, 0.1000 "]),
        "{shown}"
    );
    assert!(row(&["pre-training RBM 1 ", "/4 "]), "{shown}");
    assert!(shown.contains("4 runs trained"), "{shown}");
    assert!(shown.ends_with("reports/long\r\n"), "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn no_color_takes_the_colours_and_a_dumb_terminal_the_table() {
    let shown = on_a_terminal([("TERM", "xterm-256color"), ("NO_COLOR", "1")]);
    assert!(shown.contains(HEADING), "{shown}");
    assert!(!shown.contains("\u{1b}[1m"), "{shown}");
    let dumb = on_a_terminal([("TERM", "dumb"), ("NO_COLOR", "")]);
    assert!(
        !dumb.contains('\u{1b}') && !dumb.contains(HEADING),
        "{dumb}"
    );
    assert!(dumb.contains("epoch 400/400 error"), "{dumb}");
}

#[test]
fn a_pipe_gets_lines() {
    let place = Place::new();
    let mut command = place.command(&["run", "small.toml"]);
    let output = command.env("TERM", "xterm-256color").output().unwrap();
    assert_success(&output);
    let said = text(&output.stderr);
    assert!(
        !said.contains('\u{1b}') && !said.contains(HEADING),
        "{said}"
    );
    for arm in ["adamix", "adagrad"] {
        let line = format!("{arm:<20} seed 1   epoch 3/3 error ");
        assert!(said.contains(&line), "{said}");
    }
    assert_eq!(text(&output.stdout), "reports/small\n");
}

#[test]
fn a_program_gets_an_object_a_line() {
    let place = Place::new();
    let call = |arguments: &[&str]| -> Vec<Value> {
        let output = place.run(&[arguments, &["--format", "json"]].concat());
        assert_success(&output);
        assert_eq!(text(&output.stderr), "");
        let lines = text(&output.stdout);
        let lines = lines.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    };
    let events = call(&["run", "small.toml"]);
    let named = |name: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["event"] == name)
            .collect()
    };
    let (first, last) = (&events[0], &events[events.len() - 1]);
    assert_eq!(first["event"], "begun");
    assert_eq!(first["name"], "small");
    assert_eq!(first["runs"], 4);
    assert_eq!(last["event"], "ended");
    assert_eq!(last["trained"], 4);
    assert_eq!(last["folder"], "reports/small");
    // Two RBMs, two epochs each, of two seeds.
    assert_eq!(named("start-begun").len(), 2);
    assert_eq!(named("start-epoch").len(), 8);
    assert_eq!(named("start-done").len(), 2);
    assert_eq!(named("run-begun").len(), 4);
    assert_eq!(named("run-evaluated").len(), 16);
    assert_eq!(named("run-ended").len(), 4);
    // What is said of a run is what its record holds.
    let records = place.records("small");
    for record in &records {
        let id = record.header.run_id.as_str();
        let ended = named("run-ended");
        let ended = ended.iter().find(|event| event["run-id"] == id).unwrap();
        assert_eq!(ended["seed"], record.header.seed);
        assert_eq!(ended["outcome"]["how"], "completed");
        let evaluated = named("run-evaluated");
        let errors = evaluated.iter().filter(|event| event["run-id"] == id);
        let errors: Vec<_> = errors
            .map(|event| event["evaluation"]["test-error"].as_f64())
            .collect();
        let expected: Vec<_> = record.evaluations.iter().map(|it| it.test_error).collect();
        assert_eq!(errors, expected);
        assert_eq!(ended["last"]["test-error"].as_f64(), expected[3]);
    }
    assert_eq!(call(&["run", "small.toml"])[1]["event"], "skipped");

    let plan = call(&["plan", "small.toml"]);
    let status = call(&["status"]);
    assert_eq!((plan.len(), status.len()), (1, 1));
    assert_eq!(plan[0]["unfinished"], 0);
    assert_eq!(plan[0]["runs"], status[0]["runs"]);
    let run = &status[0]["runs"][0];
    assert_eq!(run["run-id"], records[0].header.run_id.as_str());
    assert_eq!(run["state"], "finished");
    assert_eq!(run["outcome"]["how"], "completed");
    assert_eq!(run["epoch"], 3);
    assert_eq!(run["error"].as_f64(), records[0].evaluations[3].test_error);

    // Errors are for standard error alone, but a reader of a run learns of its end.
    let output = place.run(&["run", "none", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("none.toml"));
}

#[cfg(unix)]
#[test]
fn a_program_learns_that_a_run_was_interrupted() {
    let place = Place::new();
    place.experiment("long", 2000, ARMS);
    let mut command = place.command(&["run", "long.toml", "--format", "json"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for_epochs(&place, "long", 1, &mut child);
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = text(&output.stdout);
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "stopped");
    assert!(last["why"].as_str().unwrap().contains("interrupted"));
}
