//! The `adamix` program as a user calls it, on small data: what it writes, that
//! it goes on where it was killed, and how it fails.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use adamix_autoencoder::dataset::{Dataset, Images};
use adamix_autoencoder::random::{Purpose, Stream};
use adamix_record::{Anchors, Cost, Outcome, Plan, RunRecord, read_json};

/// A folder with data, an experiment, and places for reports and cache.
struct Place {
    folder: tempfile::TempDir,
}

const ARMS: &str = r#"
[[arm]]
name = "adamix"
label = "AdaMix"
role = "adamix"
weights = { rule = "adamix-w1", schedule = { kind = "constant", learning-rate = 0.1 } }
biases = { rule = "sgd", schedule = { kind = "power", learning-rate = 0.1, r = 10 } }

[[arm]]
name = "adagrad"
label = "AdaGrad"
role = "adagrad"
weights = { rule = "adagrad", schedule = { kind = "constant", learning-rate = 0.1 } }
biases = { rule = "adagrad", schedule = { kind = "constant", learning-rate = 0.1 } }
"#;

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let dataset = Dataset {
            name: "blocks".into(),
            train: images(300, 0),
            test: images(60, 1),
        };
        let data = place.path("blocks");
        std::fs::create_dir(&data).unwrap();
        for (name, bytes) in dataset.files() {
            std::fs::write(data.join(name), bytes).unwrap();
        }
        place.experiment("small", 3, ARMS);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn experiment(&self, name: &str, epochs: u64, arms: &str) {
        let text = format!(
            "title = \"Small\"\nanalysis = \"None.\"\ndataset = \"idx:blocks\"\nseeds = [0, 1]\n\
             layer-sizes = [784, 40, 8]\n[pre-training]\nepochs = 2\nbatch-size = 20\n\
             [fine-tuning]\nepochs = {epochs}\nbatch-size = 20\n{arms}"
        );
        std::fs::write(self.path(&format!("{name}.toml")), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_adamix"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("ADAMIX_DATA")
            .env("ADAMIX_CACHE", self.path("cache"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The records of an experiment, without what may differ between machines
    /// and calls.
    fn records(&self, experiment: &str) -> Vec<RunRecord> {
        let plan = Plan::read(&self.path(&format!("reports/{experiment}/plan.json"))).unwrap();
        let record = |id| {
            RunRecord::read(&self.path(&format!("reports/{experiment}/runs/{id}.jsonl"))).unwrap()
        };
        plan.runs
            .iter()
            .map(|run| record(&run.run_id).without_timings())
            .collect()
    }
}

fn images(count: usize, seed: u64) -> Images {
    let mut stream = Stream::new(seed, Purpose::Curves, 0);
    let mut pixels = vec![0u8; count * 784];
    for (index, image) in pixels.chunks_exact_mut(784).enumerate() {
        let (row, column) = (4 * (index % 5), 4 * (index / 5 % 5));
        for (at, pixel) in image.iter_mut().enumerate() {
            let inside =
                (row..row + 8).contains(&(at / 28)) && (column..column + 8).contains(&(at % 28));
            *pixel = if inside {
                200 + stream.below(50) as u8
            } else {
                stream.below(20) as u8
            };
        }
    }
    Images {
        labels: (0..count).map(|index| (index % 10) as u8).collect(),
        pixels,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

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
    let cost: Cost = read_json(&one.path("reports/small/cost.json")).unwrap();
    assert_eq!(cost.parameters, 2 * (784 * 40 + 40 * 8) + 40 + 8 + 40 + 784);
    assert_eq!(cost.arms.len(), 2);
    assert!(
        cost.arms.iter().all(
            |arm| arm.update_seconds.len() == 15 && arm.update_seconds.iter().all(|s| *s > 0.0)
        )
    );
    assert!(
        cost.arms[0].per_parameter(|cost| cost.state)
            < cost.arms[1].per_parameter(|cost| cost.state)
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
}

/// Waits until some run has evaluated `epochs` epochs.
fn wait_for_epochs(place: &Place, experiment: &str, epochs: usize, child: &mut Child) {
    let begun = Instant::now();
    let folder = place.path(&format!("reports/{experiment}/runs"));
    loop {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be stopped"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no run got that far"
        );
        let files = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let far = |path: PathBuf| {
            std::fs::read_to_string(path)
                .is_ok_and(|text| text.matches("\"evaluation\"").count() > epochs)
        };
        if files
            .filter(|path| path.extension().is_some_and(|e| e == "partial"))
            .any(far)
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a long experiment, stops it once a run is under way, and checks that
/// the next call goes on and ends with the bits of an uninterrupted one.
fn stopped_and_gone_on_with(stop: impl Fn(&mut Child) -> bool) {
    let (whole, broken) = (Place::new(), Place::new());
    for place in [&whole, &broken] {
        place.experiment("long", 40, ARMS);
    }
    assert_success(&whole.run(&["run", "long.toml", "--jobs", "2"]));
    let mut command = broken.command(&["run", "long.toml", "--jobs", "2"]);
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
    let second = broken.run(&["run", "long.toml", "--jobs", "2"]);
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
}

#[test]
fn plan_lists_the_runs_and_estimates_the_rest() {
    let place = Place::new();
    let plan = text(&place.run(&["plan", "small.toml"]).stdout);
    assert!(
        plan.contains("runs    4 = 2 arms x 2 seeds, 3 epochs each"),
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
