//! Building `adamix` with the feature `cuda`, and what is checked of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::{Result, root};

/// Whether a program of this name runs.
fn answers(program: &str, argument: &str) -> bool {
    let asked = Command::new(program)
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Whether to build with CUDA: never for `cpu`, where there is a compiler and a
/// GPU for `auto`, always for `cuda`.
///
/// # Errors
/// Where `cuda` is asked for and one of the two is missing.
pub(crate) fn wanted(device: &str) -> Result<bool> {
    if device == "cpu" {
        return Ok(false);
    }
    let missing = [
        (
            "nvcc",
            "--version",
            "the CUDA compiler; install the CUDA toolkit and put its bin folder on PATH",
        ),
        ("nvidia-smi", "-L", "an NVIDIA GPU with its driver"),
    ]
    .into_iter()
    .find(|(program, argument, _)| !answers(program, argument));
    match missing {
        None => Ok(true),
        Some((program, argument, what)) if device == "cuda" => Err(format!(
            "--device cuda: `{program} {argument}` does not run: this machine lacks {what}"
        )
        .into()),
        Some(_) => Ok(false),
    }
}

/// Has `cargo` build with CUDA, such that the program opens CUDA's libraries when
/// it needs them and starts where there are none. With a target named, the flag
/// does not reach build scripts, which are to link as they do.
pub(crate) fn feature(command: &mut Command) -> &mut Command {
    command
        .args(["--features", "cuda", "--target", TARGET])
        .env("RUSTFLAGS", "--cfg feature=\"dynamic-loading\"")
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// `cargo COMMAND --release --package adamix-experiment`, with CUDA.
fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args([subcommand, "--release", "--package", "adamix-experiment"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"));
    feature(&mut cargo);
    cargo
}

fn succeed(command: &mut Command, what: &str) -> Result<()> {
    if command.status()?.success() {
        Ok(())
    } else {
        Err(format!("{what} failed").into())
    }
}

/// Builds with CUDA and calls `adamix cuda-check` with these options; a second
/// time, small, under `compute-sanitizer`, where that is installed.
pub(crate) fn check(options: &[String]) -> Result<()> {
    wanted("cuda")?;
    let check = |sanitizer: Option<&str>, options: &[String]| {
        let mut command = cargo("run");
        if let Some(program) = sanitizer {
            command.env(
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
                // Some calls fail by intent, where memory is made to end.
                format!("{program} --report-api-errors no --error-exitcode 1"),
            );
        }
        command.args(["--quiet", "--", "cuda-check"]).args(options);
        succeed(&mut command, "adamix cuda-check")
    };
    check(None, options)?;
    if !answers("compute-sanitizer", "--version") {
        eprintln!("compute-sanitizer is not installed: memory was not checked");
        return Ok(());
    }
    check(Some("compute-sanitizer"), &SMALL.map(String::from))
}

/// Options of a check that is done in seconds wherever it runs.
const SMALL: [&str; 10] = [
    "--images",
    "60",
    "--batch",
    "20",
    "--epochs",
    "2",
    "--cohort",
    "5",
    "--layers",
    "784,40,20,6",
];

/// Builds with CUDA, times cohorts of `paper`'s arms until memory ends, where asked
/// PyTorch on the same device, and the whole of `paper`, and writes
/// `target/bench/cuda.{json,md,svg}`.
pub(crate) fn bench(peers: bool) -> Result<()> {
    wanted("cuda")?;
    let root = root();
    let mut command = cargo("run");
    command
        .args([
            "--quiet",
            "--",
            "cuda-bench",
            "paper",
            "--data",
            "curves",
            "--format",
            "json",
        ])
        .arg("--experiments")
        .arg(root.join("experiments"))
        .stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    if !output.status.success() {
        return Err("adamix cuda-bench failed".into());
    }
    let mut all: Value = serde_json::from_slice(&output.stdout)?;
    let speeds = all["speeds"].as_array().cloned().unwrap_or_default();
    let mut table = format!(
        "{}: f32 products {:.1} TFLOP/s, copies {:.0} GB/s read and written\n\n\
         | arm | runs in lockstep | steps/s | of products | update, ms | of copies |\n\
         |---|---:|---:|---:|---:|---:|\n",
        all["device"].as_str().unwrap_or_default(),
        number(&all["ceilings"]["operations-per-second"]) / 1e12,
        number(&all["ceilings"]["bytes-per-second"]) / 1e9
    );
    for speed in &speeds {
        table += &format!(
            "| {} | {} | {:.0} | {:.2} | {:.3} | {:.2} |\n",
            speed["arm"].as_str().unwrap_or_default(),
            speed["replicas"],
            number(&speed["steps-per-second"]),
            number(&speed["of-product-rate"]),
            number(&speed["update-seconds"]) * 1e3,
            number(&speed["of-copy-rate"])
        );
    }
    if peers {
        let ours = speeds
            .iter()
            .find(|speed| speed["arm"] == "adagrad" && speed["replicas"] == REPLICAS);
        let ours = ours.map_or(f64::NAN, |speed| number(&speed["steps-per-second"]));
        let mut measured = Vec::new();
        table += &format!(
            "\n| PyTorch, {REPLICAS} runs of AdaGrad | steps/s | adagrad here is so many times as fast |\n\
             |---|---:|---:|\n"
        );
        for method in ["eager", "graph", "batched"] {
            let output = Command::new("python3")
                .arg(root.join("benches/peers/torch_cuda.py"))
                .args([method, &REPLICAS.to_string()])
                .stderr(Stdio::inherit())
                .output()?;
            if !output.status.success() {
                table +=
                    &format!("| {method} | failed; it needs a PyTorch with CUDA in python3 | |\n");
                continue;
            }
            let peer: Value = serde_json::from_slice(&output.stdout)?;
            let theirs = number(&peer["steps-per-second"]);
            table += &format!("| {method} | {theirs:.0} | {:.1} |\n", ours / theirs);
            measured.push(peer);
        }
        all["peers"] = measured.into();
    }
    let whole = whole_paper()?;
    table += &match whole {
        Some(minutes) => format!("\n`paper`, pre-training included: {minutes:.1} minutes\n"),
        None => {
            "\n`paper` did not run to its end; it needs MNIST, such as by ADAMIX_DATA\n".to_owned()
        }
    };
    all["paper-minutes"] = whole.into();
    let mut arms: Vec<(String, Vec<(u64, f64)>)> = Vec::new();
    for speed in &speeds {
        let name = speed["arm"].as_str().unwrap_or_default();
        if arms.last().is_none_or(|(last, _)| last != name) {
            arms.push((name.to_owned(), Vec::new()));
        }
        if let Some((_, points)) = arms.last_mut() {
            let runs = speed["replicas"].as_u64().unwrap_or(0);
            points.push((runs, number(&speed["steps-per-second"])));
        }
    }
    let device = all["device"].as_str().unwrap_or_default();
    let figure = adamix_report::growth(device, &arms)?;
    println!("{table}");
    let folder = root.join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let files = [
        ("cuda.json", serde_json::to_string_pretty(&all)? + "\n"),
        ("cuda.md", table),
        ("cuda.svg", figure),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text)?;
        println!("{}", folder.join(name).display());
    }
    Ok(())
}

/// Minutes that the whole of `paper` takes, from nothing but the data: its records
/// and pre-trained starts are thrown away.
fn whole_paper() -> Result<Option<f64>> {
    let folder = root().join("target/bench/paper");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut command = cargo("run");
    command
        .args(["--quiet", "--", "run", "paper", "--device", "cuda"])
        .arg("--experiments")
        .arg(root().join("experiments"))
        .arg("--reports")
        .arg(folder.join("reports"))
        .arg("--cache")
        .arg(folder.join("cache"))
        .stdout(Stdio::null());
    let clock = Instant::now();
    let ended = command.status()?.success();
    Ok(ended.then(|| clock.elapsed().as_secs_f64() / 60.0))
}

/// Runs that PyTorch is compared at.
const REPLICAS: u64 = 30;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// What can be checked of the CUDA code without a GPU: that it compiles and
/// links with a compiler from PyPI, that the kernels compile for three
/// architectures, that the program starts, says what is missing and trains on the
/// processor, and that on an emulated device it computes what the processor does. The program with
/// CUDA has a target folder of its own.
pub(crate) fn ci() -> Result<()> {
    let root = root();
    let toolkit = root.join("target/cuda");
    let script = |name: &str| Command::new(root.join("emulator").join(name));
    succeed(script("toolkit.sh").arg(&toolkit), "emulator/toolkit.sh")?;
    let home = toolkit.join("nvidia/cu13");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(home.join("bin")).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths)?;
    let mut build = cargo("build");
    build
        .env("CUDA_HOME", &home)
        .env("PATH", &path)
        .env("NVCC", toolkit.join("nvcc"))
        .env("CUDA_COMPUTE_CAP", "90")
        .env("CARGO_TARGET_DIR", toolkit.join("target"));
    succeed(&mut build, "building with the feature `cuda`")?;
    let program = toolkit.join("target").join(TARGET).join("release/adamix");

    for (libraries, architectures) in [("lib12", "70,80,90"), ("lib13", "80,90")] {
        let mut compile = adamix(&program, &toolkit.join(libraries));
        compile.args(["cuda-check", "--compile-for", architectures]);
        succeed(
            &mut compile,
            &format!("compiling the kernels for {architectures}"),
        )?;
    }
    let output = adamix(&program, Path::new("")).arg("cuda-check").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !said.contains("the system finds no libcuda") {
        return Err(format!("without a driver, `adamix cuda-check` said: {said}").into());
    }
    let folder = toolkit.join("without-driver");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut run = adamix(&program, Path::new(""));
    run.arg("run")
        .arg(root.join(".ci/smoke.toml"))
        .args(["--device", "auto", "--data", "curves", "--offline"])
        .arg("--reports")
        .arg(folder.join("reports"))
        .arg("--cache")
        .arg(folder.join("cache"));
    let output = run.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.contains("this runs on the processor") {
        return Err(format!("without a driver, `adamix run` said: {said}").into());
    }
    let emulated: PathBuf = toolkit.join("emulated");
    succeed(script("build.sh").arg(&emulated), "emulator/build.sh")?;
    let mut check = adamix(&program, &emulated);
    check.arg("cuda-check").args(SMALL);
    succeed(&mut check, "adamix cuda-check on the emulated device")
}

/// The program with these libraries alone.
fn adamix(program: &Path, libraries: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", libraries);
    command
}
