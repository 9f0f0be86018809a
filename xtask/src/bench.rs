//! `cargo xtask bench`: criterion's figures in one file, and paired
//! measurements of this program and its peers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::{Result, cargo, large_pages, root};

/// Images evaluated in the case `evaluation`.
const EVALUATED: f64 = 10_000.0;
const SIZES: [f64; 5] = [784.0, 1000.0, 500.0, 250.0, 30.0];
/// Arithmetic of the case `fma`.
const FMA_OPERATIONS: f64 = 2e8;

/// Runs criterion's benchmarks with these arguments, and writes their medians
/// to `target/bench/summary.json`: in seconds, with the machine's name, and as
/// ratios, which alone can be compared between machines.
pub(crate) fn criterion(arguments: &[String]) -> Result<()> {
    let begun = SystemTime::now();
    let mut command = vec!["bench", "--package", "adamix-autoencoder"];
    command.extend(["--bench", "training", "--"]);
    command.extend(arguments.iter().map(String::as_str));
    cargo(&command)?;
    let mut seconds = BTreeMap::new();
    for file in files(&target().join("criterion"))? {
        // Of earlier calls there may be others.
        if !file.ends_with("new/estimates.json") || file.metadata()?.modified()? < begun {
            continue;
        }
        let estimates: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        let benchmark: Value =
            serde_json::from_slice(&std::fs::read(file.with_file_name("benchmark.json"))?)?;
        let name = benchmark["full_id"].as_str().unwrap_or_default().to_owned();
        if let Some(nanoseconds) = estimates["median"]["point_estimate"].as_f64() {
            seconds.insert(name, nanoseconds / 1e9);
        }
    }
    let answer = json!({
        "machine": machine(), "median-seconds": seconds, "ratios": ratios(&seconds),
    });
    let path = folder()?.join("summary.json");
    std::fs::write(&path, serde_json::to_string_pretty(&answer)?)?;
    println!("{}", path.display());
    Ok(())
}

/// The parts of a step by the whole step with AdaGrad, and every rule's update
/// by AdaGrad's.
fn ratios(seconds: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let ratio = |(name, time): (&String, &f64)| {
        let (group, _) = name.split_once('/')?;
        let whole = match group {
            "update" => "update/adagrad".to_owned(),
            _ => format!("{group}/step, adagrad"),
        };
        let ratio = time / seconds.get(&whole).filter(|_| *name != whole)?;
        Some((format!("{name} : {whole}"), ratio))
    };
    seconds.iter().filter_map(ratio).collect()
}

/// Measures this program and its peers in turns, for so many rounds, on one
/// core each and on two side by side, and writes one table of ratios.
pub(crate) fn peers(rounds: usize) -> Result<()> {
    let python = environment()?;
    let scripts = root().join("benches/peers");
    let torch = scripts.join("torch_peer.py").display().to_string();
    let jax = scripts.join("jax_peer.py").display().to_string();
    let python = python.display().to_string();
    let ours = executable()?;
    let commands: [(&str, Vec<&str>); 4] = [
        ("ours", vec![&ours]),
        ("PyTorch eager", vec![&python, &torch, "eager"]),
        ("PyTorch compiled", vec![&python, &torch, "compile"]),
        ("JAX", vec![&python, &jax]),
    ];
    let mut contenders = BTreeMap::new();
    for (name, command) in &commands {
        let mut pair = [Contender::new(command, 0)?, Contender::new(command, 1)?];
        // Compiles and warms up what will be measured; who cannot is left out.
        let warm: Result<Vec<_>> = cases(name).iter().map(|case| pair[0].ask(case)).collect();
        let other = |pair: &mut [Contender; 2]| -> Result<()> {
            for case in cases(name).iter().filter(|case| case.ends_with(STEP)) {
                pair[1].ask(case)?;
            }
            Ok(())
        };
        match warm.and_then(|_| other(&mut pair)) {
            Ok(_) => drop(contenders.insert(*name, pair)),
            Err(error) => eprintln!("{name} is left out: {error}"),
        }
    }

    let mut measured = Measured::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for case in cases("ours") {
            for (name, pair) in &mut contenders {
                if cases(name).contains(&case) {
                    let seconds = pair[0].ask(&case)?;
                    measured.add(name, &case, 1.0 / seconds);
                }
            }
        }
        for images in [NOISE, MNIST] {
            let step = format!("{images}{STEP}");
            for (name, pair) in &mut contenders {
                if cases(name).contains(&step) {
                    pair.iter_mut().try_for_each(|it| it.send(&step))?;
                    let [left, right] = pair;
                    let together = 1.0 / left.receive()? + 1.0 / right.receive()?;
                    measured.add(name, &format!("{images}{PAIR}"), together);
                }
            }
        }
    }

    let versions = contenders.values().map(|pair| pair[0].version.clone());
    let versions: Vec<String> = versions.collect();
    let rows = measured.rows();
    let mut text = format!(
        "# Speed, in paired measurements\n\n{}; {}; {rounds} rounds in turns, a process of one thread pinned to a core each, its processor time.\n\n\
         | | min | median | max |\n|---|---:|---:|---:|\n",
        machine(),
        versions.join(", ")
    );
    for (name, [min, median, max]) in &rows {
        let _ = writeln!(text, "| {name} | {min:.3} | {median:.3} | {max:.3} |");
    }
    let answer = json!({"machine": machine(), "versions": versions, "rounds": rounds,
        "rows": rows.iter().map(|(name, [min, median, max])| json!({"name": name, "min": min, "median": median, "max": max})).collect::<Vec<_>>(),
        "per-second": measured.rates});
    std::fs::write(folder()?.join("peers.md"), &text)?;
    std::fs::write(
        folder()?.join("peers.json"),
        serde_json::to_string_pretty(&answer)?,
    )?;
    println!("{text}");
    Ok(())
}

/// The step that all run.
const STEP: &str = "step-100 adagrad";
/// The same by two processes at once.
const PAIR: &str = "two processes";

const CASES: &[&str] = &[
    "fma",
    STEP,
    "step-100 adamix-w1",
    "step-100 adadec",
    "step-1000 adagrad",
    "cd-1",
    "evaluation",
    "triad",
    "update adamix-w1",
    "update adagrad",
    "update adadec",
];

/// What a case on images of noise begins with: on images with hardly a 0.
const NOISE: &str = "";
/// What a case on MNIST's images begins with.
const MNIST: &str = "mnist ";

/// The cases that depend on the images, for those who are also measured on MNIST's,
/// where `ADAMIX_DATA` is a folder with them.
const ON_MNIST: &[&str] = &[
    STEP,
    "step-100 adamix-w1",
    "step-1000 adagrad",
    "cd-1",
    "evaluation",
];

/// What a contender can do.
fn cases(contender: &str) -> Vec<String> {
    let its: &[&str] = match contender {
        "ours" => CASES,
        "JAX" => &[STEP, "step-1000 adagrad"],
        _ => &[STEP, "step-1000 adagrad", "cd-1", "evaluation"],
    };
    let on_mnist = ON_MNIST.iter().filter(|case| its.contains(case));
    let folder = std::env::var_os("ADAMIX_DATA").map(PathBuf::from);
    let has_images = |folder: PathBuf| {
        let names = ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"];
        names.iter().any(|name| folder.join(name).exists())
    };
    let at_hand = contender != "JAX" && folder.is_some_and(has_images);
    its.iter()
        .map(|case| format!("{NOISE}{case}"))
        .chain(
            on_mnist
                .filter(|_| at_hand)
                .map(|case| format!("{MNIST}{case}")),
        )
        .collect()
}

/// A process that answers the name of a case with a time.
struct Contender {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    version: String,
}

impl Contender {
    /// On the core of this number, where the system can do that.
    fn new(command: &[&str], core: usize) -> Result<Self> {
        let core = core.to_string();
        let pinned = ["taskset", "-c", &core];
        let has_taskset = Command::new("taskset").arg("--version").output().is_ok();
        let words = if has_taskset { &pinned[..] } else { &[] };
        let words: Vec<&str> = words.iter().chain(command).copied().collect();
        // As `cargo xtask reproduce` does it, and for all alike.
        let mut child = large_pages(&mut Command::new(words[0]))
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".into());
        };
        let output = BufReader::new(output);
        let version = String::new();
        Ok(Self {
            child,
            input,
            output,
            version,
        })
    }

    fn ask(&mut self, case: &str) -> Result<f64> {
        self.send(case)?;
        self.receive()
    }

    fn send(&mut self, case: &str) -> Result<()> {
        writeln!(self.input, "{case}")?;
        Ok(self.input.flush()?)
    }

    /// The seconds of processor time of a round of the case.
    fn receive(&mut self) -> Result<f64> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        answer["version"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.version);
        Ok(answer["seconds"].as_f64().ok_or("no time in the answer")?)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // Its input closes too late for it to end by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rounds a second, by contender and case, one number a round of measurements.
#[derive(Default)]
struct Measured {
    rates: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

impl Measured {
    fn add(&mut self, contender: &str, case: &str, rate: f64) {
        let cases = self.rates.entry(contender.to_owned()).or_default();
        cases.entry(case.to_owned()).or_default().push(rate);
    }

    fn of(&self, contender: &str, case: &str) -> Option<&[f64]> {
        Some(self.rates.get(contender)?.get(case)?)
    }

    /// The best of these contenders in each round.
    fn best(&self, contenders: &[&str], case: &str) -> Option<Vec<f64>> {
        let all = contenders.iter().filter_map(|it| self.of(it, case));
        all.map(<[f64]>::to_vec)
            .reduce(|a, b| a.iter().zip(b).map(|(a, b)| a.max(b)).collect())
    }

    /// The table: name, and the least, median and greatest over the rounds.
    fn rows(&self) -> Vec<(String, [f64; 3])> {
        let mut rows = Vec::new();
        let mut row = |name: String, values: Option<Vec<f64>>| {
            if let Some(mut values) = values.filter(|values| !values.is_empty()) {
                values.sort_by(f64::total_cmp);
                let last = values.len() - 1;
                rows.push((name, [values[0], values[last / 2], values[last]]));
            }
        };
        let ratio = |a: Option<&[f64]>, b: Option<&[f64]>, factor: f64| {
            let pairs = a?.iter().zip(b?);
            Some(pairs.map(|(a, b)| factor * a / b).collect::<Vec<_>>())
        };
        let ours = |case: &str| self.of("ours", case);
        let torch = ["PyTorch eager", "PyTorch compiled"];
        let all = ["PyTorch eager", "PyTorch compiled", "JAX"];

        let fma = ours("fma");
        let giga = fma.map(|it| it.iter().map(|it| it * FMA_OPERATIONS / 1e9).collect());
        row("pure FMA, GFLOP/s, one thread".to_owned(), giga);
        for (images, of) in [(NOISE, ""), (MNIST, ", MNIST's images")] {
            let [two, step, cd] = [PAIR, STEP, "cd-1"].map(|case| format!("{images}{case}"));
            for (contenders, case, name) in [
                (
                    &torch[..],
                    &two,
                    "**steps a second, two processes side by side: ours / PyTorch's best",
                ),
                (&all, &two, "**the same: ours / best of PyTorch and JAX"),
                (
                    &torch,
                    &step,
                    "**steps a second, one process: ours / PyTorch's best",
                ),
                (
                    &torch,
                    &cd,
                    "**CD-1 steps a second, first RBM, batch 100: ours / PyTorch's best",
                ),
            ] {
                // JAX is not measured on MNIST's.
                if contenders.iter().all(|it| self.of(it, case).is_some()) {
                    let peers = self.best(contenders, case);
                    row(
                        format!("{name}{of}**"),
                        ratio(ours(case), peers.as_deref(), 1.0),
                    );
                }
            }
        }
        let all_and_ours = ["ours", "PyTorch eager", "PyTorch compiled", "JAX"];
        for contender in all_and_ours {
            row(
                format!("steps a second, AdaGrad, batch 100, two processes: {contender}"),
                self.of(contender, PAIR).map(<[f64]>::to_vec),
            );
        }
        let weights: f64 = 2.0 * SIZES.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        // Three products a layer, but no derivative by the images.
        let step = |batch: f64| 2.0 * batch * (3.0 * weights - SIZES[0] * SIZES[1]);
        let products = [
            (STEP, "step, AdaGrad, batch 100", step(100.0)),
            ("step-100 adamix-w1", "step, AdaMix, batch 100", step(100.0)),
            ("step-100 adadec", "step, AdaDec, batch 100", step(100.0)),
            (
                "step-1000 adagrad",
                "step, AdaGrad, batch 1000",
                step(1000.0),
            ),
            (
                "cd-1",
                "CD-1 step, batch 100",
                5.0 * 2.0 * 100.0 * SIZES[0] * SIZES[1],
            ),
            (
                "evaluation",
                "evaluation of 10,000 images",
                2.0 * EVALUATED * weights,
            ),
        ];
        for (images, of) in [(NOISE, ""), (MNIST, ", MNIST's images")] {
            for (case, name, operations) in products {
                for contender in all_and_ours {
                    row(
                        format!("time of pure FMA / time of {name}{of}: {contender}"),
                        ratio(
                            self.of(contender, &format!("{images}{case}")),
                            fma,
                            operations / FMA_OPERATIONS,
                        ),
                    );
                }
            }
        }
        let parameters = weights + SIZES[0] + SIZES[4] + 2.0 * (SIZES[1] + SIZES[2] + SIZES[3]);
        for (case, name, bytes) in [
            ("update adamix-w1", "AdaMix, 12 bytes", 12.0),
            ("update adagrad", "AdaGrad, 20 bytes", 20.0),
            ("update adadec", "AdaDec, 20 bytes", 20.0),
        ] {
            row(
                format!("bandwidth of the update, out of cache / triad: {name} a parameter"),
                ratio(ours(case), ours("triad"), bytes * parameters / 1e9),
            );
        }
        row(
            "time of AdaMix's update / AdaGrad's".to_owned(),
            ratio(ours("update adagrad"), ours("update adamix-w1"), 1.0),
        );
        row(
            "triad, GB/s, one thread".to_owned(),
            ours("triad").map(<[f64]>::to_vec),
        );
        rows
    }
}

/// The benchmark program, built.
fn executable() -> Result<String> {
    let output = Command::new("cargo")
        .args([
            "bench",
            "--package",
            "adamix-autoencoder",
            "--bench",
            "paired",
        ])
        .args(["--no-run", "--message-format", "json-render-diagnostics"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let messages = text.lines().map(serde_json::from_str::<Value>);
    let found = messages
        .flatten()
        .filter_map(|message| Some(message["executable"].as_str()?.to_owned()))
        .next_back();
    Ok(found.ok_or("cargo built no benchmark program")?)
}

/// The Python of a virtual environment with the peers, made where it is not there.
fn environment() -> Result<PathBuf> {
    let folder = folder()?.join("venv");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| -> Result<()> {
        if command.status()?.success() {
            Ok(())
        } else {
            Err(format!("{command:?} failed").into())
        }
    };
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let requirements = root().join("benches/peers/requirements.txt");
    let install = |what: &[&str]| {
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "install", "--quiet"]).args(what);
        run(&mut command)
    };
    install(&["-r", &requirements.display().to_string()])?;
    if install(&["jax[cpu]"]).is_err() {
        eprintln!("JAX cannot be installed here and is left out");
    }
    Ok(python)
}

/// The processor's model and number of cores, where the system tells them.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |key: &str| {
        let mut lines = text.lines().filter(|line| line.starts_with(key));
        Some(lines.next()?.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let model = of("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let family = match (of("cpu family"), of("model\t")) {
        (Some(family), Some(number)) => format!(" (family {family}, model {number})"),
        _ => String::new(),
    };
    format!("{model}{family}, {cores} cores")
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// `target/bench`
fn folder() -> Result<PathBuf> {
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_within_a_group() {
        let seconds = [
            ("batch 100/step, adagrad", 2.0),
            ("batch 100/forward", 1.0),
            ("batch 1000/forward", 9.0),
            ("loading/the files", 3.0),
            ("update/adagrad", 4.0),
            ("update/sgd", 1.0),
        ];
        let seconds = seconds.map(|(name, seconds)| (name.to_owned(), seconds));
        let found: Vec<_> = ratios(&seconds.into()).into_iter().collect();
        let expected = [
            ("batch 100/forward : batch 100/step, adagrad", 0.5),
            ("update/sgd : update/adagrad", 0.25),
        ];
        assert_eq!(
            found,
            expected.map(|(name, ratio)| (name.to_owned(), ratio))
        );
    }
}
