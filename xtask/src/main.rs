//! The commands of the workspace, called as `cargo xtask COMMAND`.
//!
//! Thin: training is done by the `adamix` program, which this builds and
//! calls; reports are rendered in process.

mod bench;
mod cuda;
mod readme;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use adamix_report::verdict::Verdict;
use clap::{Args, Parser, Subcommand};
use console::{Color, style};

/// The experiment that runs where none is named and there is no GPU.
const QUICK: &str = "quick";
/// The experiment of the study, which runs where none is named and there is a GPU.
const PAPER: &str = "paper";
/// The crates that train, and those that report. Each half is tested by itself:
/// the crates selected together decide the features of their dependencies, and
/// so what training stands on is compiled once for its tests, for `adamix`, and
/// for the README's worked example.
const TRAINING: [&str; 3] = ["adamix-optim", "adamix-autoencoder", "adamix-experiment"];
const REPORTING: [&str; 3] = ["adamix-record", "adamix-report", "xtask"];

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run an experiment and render its report
    Reproduce(Reproduce),
    /// Render reports again from their records
    Report {
        /// Folders below the reports folder; all where none is given
        names: Vec<String>,
        /// Folder of all reports [default: reports/ of the workspace]
        #[arg(long, value_name = "DIR")]
        reports: Option<PathBuf>,
        /// Render again whenever a record changes, until Ctrl-C; the page reloads itself
        #[arg(long)]
        watch: bool,
        /// Open the first page in the browser
        #[arg(long)]
        open: bool,
        /// Instead, hold two folders of one experiment against each other
        #[arg(long, num_args = 2, value_names = ["DIR", "DIR"], conflicts_with_all = ["names", "watch"])]
        compare: Vec<PathBuf>,
    },
    /// Run the tests
    Test,
    /// Run everything that must hold before a change lands: format, lints, documentation, tests
    Ci {
        /// Instead, check what can be checked of the CUDA code without a GPU: it compiles and
        /// links, its kernels compile, and on an emulated device it computes what the processor
        /// does. Needs python3 with pip and a C++ compiler; a long build the first time
        #[arg(long)]
        cuda: bool,
    },
    /// Hold what a CUDA device computes against the processor; needs a GPU
    CudaCheck {
        /// For `adamix cuda-check`
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Run the benchmarks and write target/bench/summary.json
    Bench {
        /// Also measure PyTorch and JAX, in turns with this program, and write
        /// target/bench/peers.md and peers.json; on MNIST's images too where ADAMIX_DATA is a
        /// folder with them. Needs python3; installs them, several GB,
        /// below target/bench
        #[arg(long)]
        peers: bool,
        /// Instead, how fast cohorts train on a CUDA device, and how that grows with the runs in
        /// lockstep, into target/bench/cuda.md, cuda.svg and cuda.json; with --peers beside the
        /// PyTorch that python3 has
        #[arg(long, conflicts_with_all = ["only_peers", "criterion"])]
        cuda: bool,
        /// Only that, not the benchmarks themselves
        #[arg(long, requires = "peers")]
        only_peers: bool,
        /// Rounds of measurements in turns
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// For criterion: a filter, or options such as `--quick`
        #[arg(last = true, conflicts_with = "only_peers")]
        criterion: Vec<String>,
    },
}

#[derive(Args)]
struct Reproduce {
    /// Name of a file in experiments/, or path of a TOML file [default: quick]
    experiment: Option<String>,
    /// Folder of MNIST's four IDX files, or `mnist`, `curves`, `idx:DIR`
    /// [default: ADAMIX_DATA, else what the experiment says]
    #[arg(long, value_name = "DIR|SPEC")]
    data: Option<String>,
    /// What computes: auto, cpu or cuda
    #[arg(long, default_value = "auto", value_parser = ["auto", "cpu", "cuda"])]
    device: String,
    /// Runs side by side, one thread each [default: physical cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Download nothing
    #[arg(long)]
    offline: bool,
    /// Folder of all reports [default: reports/ of the workspace]; another one to train again
    /// what lies there finished
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,
    /// Open the page in the browser when it is there
    #[arg(long)]
    open: bool,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.task {
        Task::Reproduce(arguments) => reproduce(arguments),
        Task::Report {
            names,
            reports,
            watch,
            open,
            compare,
        } => match &compare[..] {
            [first, second] => held_against(first, second, *open),
            _ => report(names, reports.as_deref(), *watch, *open),
        },
        Task::Test => test(),
        Task::Ci { cuda: true } => cuda::ci(),
        Task::Ci { cuda: false } => ci(),
        Task::CudaCheck { options } => cuda::check(options),
        Task::Bench {
            peers, cuda: true, ..
        } => cuda::bench(*peers),
        Task::Bench {
            peers,
            cuda: false,
            only_peers,
            rounds,
            criterion,
        } => bench(*peers, *only_peers, *rounds, criterion),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Root of the workspace: every path below is relative to it.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned()
}

fn reproduce(arguments: &Reproduce) -> Result<()> {
    // Ctrl-C is for `adamix`, which ends cleanly; this waits for it.
    ctrlc::set_handler(|| {})?;
    // Built before anything is said, so that what is said stays in sight.
    let with_cuda = cuda::wanted(&arguments.device)?;
    let unnamed = if with_cuda { PAPER } else { QUICK };
    let experiment = arguments.experiment.as_deref().unwrap_or(unnamed);
    let mut build = Command::new("cargo");
    build
        .args(["build", "--release", "--package", "adamix-experiment"])
        .current_dir(root());
    if with_cuda {
        cuda::feature(&mut build);
    }
    if !build.status()?.success() {
        return Err("cargo build failed".into());
    }
    if arguments.experiment.is_none() {
        let named = format!("No experiment is named, so this runs `{experiment}`");
        if with_cuda {
            eprintln!("{named}, on the GPU.");
        } else {
            let estimate = estimate(arguments).unwrap_or_else(|| "an unknown time".to_owned());
            eprintln!(
                "{named}, and computes on the processor. The study itself takes {estimate}: cargo xtask reproduce {PAPER}"
            );
        }
    }
    let mut command = adamix("run", experiment, arguments, with_cuda);
    command
        .args(["--device", &arguments.device])
        .stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("adamix run {experiment} did not finish").into());
    }
    // Its last line is the folder.
    let text = String::from_utf8_lossy(&output.stdout);
    let folder = Path::new(text.lines().last().unwrap_or_default());
    render(folder)?;
    write_index(folder.parent().unwrap_or(Path::new(".")))?;
    if arguments.open {
        open::that(folder.join("index.html"))?;
    }
    Ok(())
}

/// `adamix` with the options that this and it have in common. It runs in the
/// user's folder, so that paths mean what the user typed.
fn adamix(subcommand: &str, experiment: &str, arguments: &Reproduce, with_cuda: bool) -> Command {
    let root = root();
    let mut command = Command::new("cargo");
    large_pages(&mut command)
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "adamix-experiment",
        ])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"));
    if with_cuda {
        cuda::feature(&mut command);
    }
    command
        .args(["--", subcommand, experiment])
        .arg("--reports")
        .arg(
            arguments
                .reports
                .clone()
                .unwrap_or_else(|| root.join("reports")),
        )
        .arg("--experiments")
        .arg(root.join("experiments"));
    if let Some(data) = &arguments.data {
        command.args(["--data", data]);
    }
    if let Some(jobs) = arguments.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    if arguments.offline {
        command.arg("--offline");
    }
    command
}

/// Has the C library of Linux ask for large pages, from the first step on: a step walks
/// through more pages of 4 KiB than a processor keeps the places of. Where something
/// else is set, or the library is another, all stays as it is.
fn large_pages(command: &mut Command) -> &mut Command {
    const NAME: &str = "GLIBC_TUNABLES";
    if std::env::var_os(NAME).is_none() {
        command.env(NAME, "glibc.malloc.hugetlb=1");
    }
    command
}

/// How long the study would take here, in words.
fn estimate(arguments: &Reproduce) -> Option<String> {
    // Downloads, and what there is to say of them, are left to the run.
    let mut command = adamix("plan", PAPER, arguments, false);
    command.args(["--format", "json"]).stderr(Stdio::null());
    if !arguments.offline {
        command.arg("--offline");
    }
    let output = command.output().ok()?;
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(format!("about {} here", plan["time-left"].as_str()?))
}

fn report(names: &[String], reports: Option<&Path>, watch: bool, open: bool) -> Result<()> {
    let default = root().join("reports");
    let reports = reports.unwrap_or(&default);
    let folders: Vec<PathBuf> = if names.is_empty() {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(reports)
            .map_err(|error| format!("{}: {error}", reports.display()))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.join("plan.json").exists())
            .collect();
        folders.sort();
        folders
    } else {
        names.iter().map(|name| reports.join(name)).collect()
    };
    let Some(first) = folders.first() else {
        return Err(format!(
            "{}: no report there; run `cargo xtask reproduce` first",
            reports.display()
        )
        .into());
    };
    folders.iter().try_for_each(|folder| render(folder))?;
    write_index(reports)?;
    if open {
        open::that(first.join("index.html"))?;
    }
    if watch {
        follow(reports, &folders)
    } else {
        Ok(())
    }
}

/// Writes the page of all reports.
fn write_index(reports: &Path) -> Result<()> {
    let path = reports.join("index.html");
    let page = adamix_report::index(reports)?;
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Says what changed from the first to the second, and writes the page of it.
fn held_against(first: &Path, second: &Path, open: bool) -> Result<()> {
    let compared = adamix_report::compare(first, second)?;
    let path = second.join("comparison.html");
    std::fs::write(&path, compared.html).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}", compared.summary.trim_end());
    println!("{}", path.display());
    if open {
        open::that(path)?;
    }
    Ok(())
}

/// Renders what changes until Ctrl-C. A page that is followed reloads itself;
/// at the end all are rendered as they stay.
fn follow(reports: &Path, folders: &[PathBuf]) -> Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    let handler = ended.clone();
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))?;
    println!("following; Ctrl-C ends it");
    let mut seen: Vec<_> = vec![None; folders.len()];
    while !ended.load(Ordering::Relaxed) {
        for (folder, seen) in folders.iter().zip(&mut seen) {
            let now = Some(fingerprint(folder));
            if *seen != now {
                *seen = now;
                // A record may be half copied just now; the next round sees it whole.
                match adamix_report::render(folder) {
                    Ok(mut report) => {
                        let reload = "<head>\n<meta http-equiv=\"refresh\" content=\"5\">";
                        report.html = report.html.replacen("<head>", reload, 1);
                        report.write(folder)?;
                        if let Err(error) = write_index(reports) {
                            eprintln!("{error}");
                        }
                        println!("{}", coloured(&report.summary));
                    }
                    Err(error) => eprintln!("{error}"),
                }
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    folders.iter().try_for_each(|folder| render(folder))?;
    write_index(reports)
}

/// What changes where a file that the report is made from does.
fn fingerprint(folder: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let runs = std::fs::read_dir(folder.join("runs"));
    let mut files: Vec<_> = ["plan.json", "anchors.json", "cost.json"]
        .iter()
        .map(|name| folder.join(name))
        .chain(runs.into_iter().flatten().flatten().map(|run| run.path()))
        .filter_map(|path| {
            let metadata = path.metadata().ok()?;
            Some((path, metadata.len(), metadata.modified().ok()))
        })
        .collect();
    files.sort();
    files
}

fn render(folder: &Path) -> Result<()> {
    let report = adamix_report::render(folder)?;
    report.write(folder)?;
    println!("{}", coloured(&report.summary));
    println!("{}", folder.join("index.html").display());
    Ok(())
}

/// A report's summary with what is decided in colour, where standard output is
/// a terminal that takes colours.
fn coloured(summary: &str) -> String {
    let verdicts = [
        (Verdict::Reproduced, Color::Green),
        (Verdict::Contradicted, Color::Red),
    ];
    let verdicts = verdicts.map(|(verdict, colour)| (format!("  {}  ", verdict.name().en), colour));
    let line = |line: &str| {
        let found = verdicts.iter().find(|(name, _)| line.contains(name));
        found.map_or_else(
            || line.to_owned(),
            |(name, colour)| line.replacen(name, &style(name).fg(*colour).to_string(), 1),
        )
    };
    summary.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn bench(peers: bool, only_peers: bool, rounds: usize, criterion: &[String]) -> Result<()> {
    if !only_peers {
        bench::criterion(criterion)?;
    }
    if peers {
        bench::peers(rounds)?;
    }
    Ok(())
}

/// Runs the tests. Those that look at the page in Chromium fail without one;
/// where there is none and nobody has decided, they are left out, and this says so.
fn test() -> Result<()> {
    let undecided = std::env::var_os("ADAMIX_NO_BROWSER").is_none();
    let left_out = undecided && !browser_answers();
    for crates in [TRAINING, REPORTING] {
        let mut tests = Command::new("cargo");
        tests.args(["test", "--release"]).current_dir(root());
        tests.args(crates.map(|name| format!("--package={name}")));
        if left_out {
            tests.env("ADAMIX_NO_BROWSER", "1");
        }
        if !tests.status()?.success() {
            return Err("cargo test failed".into());
        }
    }
    readme::test_worked_example(&root())?;
    if left_out {
        eprintln!(
            "No Chromium was found, so nothing looked at the report's page in a browser: install \
             chromium, or set CHROMIUM to the program, and run the tests again"
        );
    }
    Ok(())
}

/// Whether there is a browser that the report's tests would find.
fn browser_answers() -> bool {
    let named = std::env::var("CHROMIUM").ok();
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(String::from);
    named.into_iter().chain(usual).any(|program| {
        let asked = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    })
}

fn ci() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--release",
        "--",
        "--deny",
        "warnings",
    ])?;
    let status = Command::new("cargo")
        .args(["doc", "--workspace", "--no-deps", "--release"])
        .env("RUSTDOCFLAGS", "--deny warnings")
        .current_dir(root())
        .status()?;
    if !status.success() {
        return Err("cargo doc failed".into());
    }
    test()
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo {} failed", arguments.join(" ")).into())
    }
}
