//! A place to run experiments in, shared by the whole-command tests.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use adamix_autoencoder::dataset::{Dataset, Images};
use adamix_autoencoder::random::{Purpose, Stream};
use adamix_record::{Plan, RunRecord};

/// A folder with data, an experiment, and places for reports and cache.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

pub(crate) const ARMS: &str = r#"
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
    pub(crate) fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.data(images(300, 0), images(60, 1));
        place.experiment("small", 3, ARMS);
        place
    }

    /// Puts these images into the folder that the experiments name.
    pub(crate) fn data(&self, train: Images, test: Images) {
        let name = "blocks".into();
        let folder = self.path("blocks");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in (Dataset { name, train, test }).files() {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn experiment(&self, name: &str, epochs: u64, arms: &str) {
        let text = format!(
            "title = \"Small\"\nanalysis = \"None.\"\ndataset = \"idx:blocks\"\nseeds = [0, 1]\n\
             layer-sizes = [784, 40, 8]\n[pre-training]\nepochs = 2\nbatch-size = 20\n\
             [fine-tuning]\nepochs = {epochs}\nbatch-size = 20\n{arms}"
        );
        std::fs::write(self.path(&format!("{name}.toml")), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_adamix"));
        command.args(arguments);
        command
    }

    /// Another program in this place.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .current_dir(self.folder.path())
            .env_remove("ADAMIX_DATA")
            .env("ADAMIX_CACHE", self.path("cache"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The records of an experiment, without what may differ between machines
    /// and calls.
    pub(crate) fn records(&self, experiment: &str) -> Vec<RunRecord> {
        let plan = Plan::read(&self.path(&format!("reports/{experiment}/plan.json"))).unwrap();
        let record = |id| {
            RunRecord::read(&self.path(&format!("reports/{experiment}/runs/{id}.jsonl"))).unwrap()
        };
        plan.runs()
            .map(|run| record(&run.run_id).without_timings())
            .collect()
    }
}

pub(crate) fn images(count: usize, seed: u64) -> Images {
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

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// Waits until some run has evaluated `epochs` epochs.
pub(crate) fn wait_for_epochs(place: &Place, experiment: &str, epochs: usize, child: &mut Child) {
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
