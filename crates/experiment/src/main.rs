//! The `adamix` program: plan, run and look after experiments.

mod progress;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use adamix_autoencoder::dataset::{Dataset, Spec};
use adamix_experiment::data::{self, Found};
use adamix_experiment::{
    Check, CheckSettings, Error, Experiment, Left, Machine, Resolved, RunState, Speed, Store,
    anchors, ceilings, check, check_memory, compile_kernels, export, find_record, left,
    measure_cost, measure_rate, measure_speed, run,
};
use adamix_record::{
    Anchors, Backend, Cost, Evaluation, Outcome, Plan, PlannedRun, Role, RunRecord, SCHEMA,
    read_json, write_json,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::progress::{Format, Progress, duration, json, say};

/// Trains the arms of an experiment and writes their records.
#[derive(Parser)]
#[command(name = "adamix", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the runs of an experiment, how far they are, and how long the rest takes
    Plan {
        #[command(flatten)]
        options: Options,
        /// Runs side by side, one thread each, that the estimate is for [default: physical cores]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        jobs: Option<u16>,
        /// Form of the answer
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Train what is missing of an experiment, and write records, costs and anchors
    Run {
        #[command(flatten)]
        options: Options,
        /// Threads of the processor, each with a cohort of runs [default: physical cores]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        jobs: Option<u16>,
        /// Form of what is said: a table on a terminal, lines elsewhere, or events
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Write what stands beside the runs, without training: the cost of every arm's update and the
    /// data set's own figures. `run` does the same at its end
    Measure {
        #[command(flatten)]
        options: Options,
        /// Time the updates again where that was done
        #[arg(long)]
        again: bool,
    },
    /// Write a run's pre-trained start, batch order, images, settings and errors, to check it
    /// in another framework
    Export {
        /// The run, as `adamix status NAME` shows it
        run_id: String,
        /// Folder that is written [default: export/RUN_ID]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Epochs of which the order is written
        #[arg(long, default_value_t = 1)]
        epochs: u64,
        /// Folder of the run's data set, or `mnist`, `curves`, `idx:DIR`
        /// [default: ADAMIX_DATA, else by the record's name of it]
        #[arg(long, value_name = "DIR|SPEC")]
        data: Option<String>,
        /// Download nothing
        #[arg(long)]
        offline: bool,
        /// Folder of all reports
        #[arg(long, default_value = "reports")]
        reports: PathBuf,
        /// Folder of data and pre-trained starts [default: adamix in the user's cache folder]
        #[arg(long, env = "ADAMIX_CACHE")]
        cache: Option<PathBuf>,
    },
    /// Hold what a CUDA device computes against the processor, part by part and in whole trainings
    CudaCheck {
        /// Only compile the kernels, for these architectures; needs no GPU
        #[arg(long, value_delimiter = ',', value_name = "70,80,90")]
        compile_for: Vec<i32>,
        /// Folder of MNIST's four IDX files, or `mnist`, `curves`, `idx:DIR`
        #[arg(long, value_name = "DIR|SPEC", default_value = "curves")]
        data: String,
        /// Folder of data [default: adamix in the user's cache folder]
        #[arg(long, env = "ADAMIX_CACHE")]
        cache: Option<PathBuf>,
        /// Units a layer, from the image to the code [default: those of the data set]
        #[arg(long, value_delimiter = ',')]
        layers: Option<Vec<usize>>,
        /// Training images used
        #[arg(long, default_value_t = 10_000)]
        images: usize,
        /// Images a batch
        #[arg(long, default_value_t = 100)]
        batch: usize,
        /// Epochs of fine-tuning, and of pre-training an RBM
        #[arg(long, default_value_t = 5)]
        epochs: u64,
        /// Runs in lockstep
        #[arg(long, default_value_t = 32)]
        cohort: usize,
    },
    /// Time cohorts of the arms AdaMix, AdaGrad and AdaDec of an experiment on a CUDA device, from
    /// one run on until memory ends, beside what the device reaches by itself
    CudaBench {
        #[command(flatten)]
        options: Options,
        /// Runs in lockstep that are timed
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "1,2,4,8,16,30,32,64,128,256,512,1024,2048,4096,8192"
        )]
        cohorts: Vec<usize>,
        /// Form of the answer
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Show how far the experiments in the reports folder are
    Status {
        /// Folder below the reports folder, for example `quick`; all where none is given
        name: Option<String>,
        /// Folder of all reports
        #[arg(long, default_value = "reports")]
        reports: PathBuf,
        /// Form of the answer
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

#[derive(Args)]
struct Options {
    /// Name of a file in the experiments folder, or path of a TOML file
    experiment: String,
    /// Folder of MNIST's four IDX files, or `mnist`, `curves`, `idx:DIR`
    /// [default: ADAMIX_DATA, else what the experiment says]
    #[arg(long, value_name = "DIR|SPEC")]
    data: Option<String>,
    /// Download nothing
    #[arg(long)]
    offline: bool,
    /// Folder of all reports
    #[arg(long, default_value = "reports")]
    reports: PathBuf,
    /// Folder of the experiment files
    #[arg(long, default_value = "experiments")]
    experiments: PathBuf,
    /// Folder of data, pre-trained starts and checkpoints [default: adamix in the user's cache folder]
    #[arg(long, env = "ADAMIX_CACHE")]
    cache: Option<PathBuf>,
    /// What computes; records of a CUDA device are kept in a folder of their own, NAME-cuda
    #[arg(long, value_enum, default_value = "auto")]
    device: Device,
    /// Runs trained in lockstep [default: 1 on the processor, as many as fit on a CUDA device]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    cohort: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Device {
    /// CUDA where it is built in and there is a device, else the processor
    Auto,
    /// The processor
    Cpu,
    /// A CUDA device, or an error
    Cuda,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Plan {
            options,
            jobs,
            format,
        } => plan(&options, jobs, format),
        Command::Run {
            options,
            jobs,
            format,
        } => train(&options, jobs, format),
        Command::Measure { options, again } => measure(&options, again),
        Command::Export {
            run_id,
            to,
            epochs,
            data,
            offline,
            reports,
            cache,
        } => {
            let to = to.unwrap_or_else(|| Path::new("export").join(&run_id));
            write_export(
                &run_id,
                &to,
                epochs,
                data.as_deref(),
                offline,
                &reports,
                cache.as_deref(),
            )
        }
        Command::CudaCheck { compile_for, .. } if !compile_for.is_empty() => {
            compile_kernels(&compile_for).map_err(Into::into)
        }
        Command::CudaCheck {
            compile_for: _,
            data,
            cache,
            layers,
            images,
            batch,
            epochs,
            cohort,
        } => cuda_check(&data, cache.as_deref(), |found| CheckSettings {
            layer_sizes: layers.unwrap_or_else(|| found.spec.default_layers().to_vec()),
            images,
            batch_size: batch,
            epochs,
            cohort,
        }),
        Command::CudaBench {
            options,
            cohorts,
            format,
        } => cuda_bench(&options, &cohorts, format),
        Command::Status {
            name,
            reports,
            format,
        } => status(name.as_deref(), &reports, format),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An experiment, its data and its plan.
struct Prepared {
    found: Found,
    resolved: Resolved,
    store: Store,
}

fn prepare(options: &Options, format: Format) -> Result<Prepared> {
    let cache = cache_folder(options.cache.as_deref())?;
    let experiment = Experiment::find(&options.experiment, &options.experiments)?;
    let wanted = &experiment.file.dataset;
    // ADAMIX_DATA tells where MNIST lies; it does not make an experiment on
    // another data set one on MNIST.
    let variable = std::env::var("ADAMIX_DATA")
        .ok()
        .filter(|_| *wanted == Spec::Mnist);
    let found = data::find(
        wanted,
        options.data.as_deref(),
        variable.as_deref(),
        options.offline,
        &cache,
    )?;
    if let Some(reason) = &found.fallback {
        format.say(&format!(
            "\nMNIST is not here, so this is CURVES in its place, and the report's title says so.\n({reason})\n"
        ));
    }
    let machine = machine(options.device, options.cohort)?;
    let mut resolved = Resolved::new(&experiment, &found, &machine)?;
    let store = Store::new(&options.reports, &resolved.plan.name, &cache);
    resolved.update(&store)?;
    Ok(Prepared {
        found,
        resolved,
        store,
    })
}

/// The cache folder: as asked, else the user's.
fn cache_folder(asked: Option<&Path>) -> Result<PathBuf> {
    Ok(match asked {
        Some(cache) => cache.to_owned(),
        None => dirs::cache_dir()
            .ok_or("there is no cache folder for this user; name one with --cache or ADAMIX_CACHE")?
            .join("adamix"),
    })
}

/// What computes: as asked. Where that is left open, a CUDA device if this
/// program is built for one and there is one; if only that is missing, it says so.
fn machine(device: Device, cohort: Option<u16>) -> Result<Machine> {
    let cohort = cohort.map(usize::from);
    let cpu = || Machine::cpu(cohort.unwrap_or(1));
    Ok(match device {
        Device::Cpu => cpu(),
        Device::Cuda => Machine::cuda(cohort)?,
        Device::Auto => Machine::cuda(cohort).unwrap_or_else(|error| {
            if cfg!(feature = "cuda") {
                say!("{error}: this runs on the processor");
            }
            cpu()
        }),
    })
}

/// Runs side by side: as asked, else one a physical core.
fn jobs(asked: Option<u16>) -> usize {
    asked.map_or_else(|| num_cpus::get_physical().max(1), usize::from)
}

fn plan(options: &Options, asked: Option<u16>, format: Format) -> Result<()> {
    let jobs = jobs(asked);
    let Prepared {
        found,
        resolved,
        store,
    } = prepare(options, format)?;
    let plan = &resolved.plan;
    let states = plan
        .runs()
        .map(|run| Ok((run, store.state(&run.run_id)?)))
        .collect::<Result<Vec<_>>>()?;
    let rate = match resolved.protocols.first() {
        Some(protocol) => measure_rate(&protocol.series, &found.dataset.train)?,
        None => f64::NAN,
    };
    let left = left(&resolved, &store)?;
    let seconds = left.operations / (rate * jobs.min(left.runs.max(1)) as f64);
    if format == Format::Json {
        let runs: Vec<_> = states
            .iter()
            .map(|(run, state)| entry(run, state))
            .collect();
        let protocols: Vec<_> = plan
            .protocols
            .iter()
            .enumerate()
            .map(|(place, protocol)| json!({"name": protocol.name, "hash": protocol.hash, "in-tuning": resolved.in_tuning(place), "runs": protocol.runs.len()}))
            .collect();
        let answer = json!({
            "name": plan.name, "data": plan.data, "jobs": jobs, "protocols": protocols, "runs": runs,
            "unfinished": left.runs, "seconds-left": seconds, "time-left": duration(seconds),
        });
        json(&answer);
        return Ok(());
    }
    println!("{}: {}", plan.name, plan.title.en);
    println!(
        "data    {}, {} images to train on, {} to test on; {}",
        plan.data.name,
        found.dataset.train.count(),
        found.dataset.test.count(),
        found.origin
    );
    for (place, protocol) in plan.protocols.iter().enumerate() {
        println!(
            "\n{}: {} arms x {} seeds, {} epochs each, sha256 {}",
            protocol.name,
            protocol.arms.len(),
            protocol.seeds.len(),
            protocol.epochs,
            &protocol.hash[..16],
        );
        if let Some(tuning) = &protocol.tuning {
            println!(
                "  tuning: {} settings an arm x {} seeds, {} epochs at most; {} of {} arms to be chosen",
                tuning.budget,
                tuning.seeds.len(),
                tuning.rungs.last().map_or(0, |rung| rung.epochs),
                resolved.in_tuning(place),
                tuning.arms.len(),
            );
        }
        for run in &protocol.runs {
            let state = states.iter().find(|(other, _)| other.run_id == run.run_id);
            println!(
                "  {}  {:<24} seed {:<4} {}",
                run.run_id,
                run.arm,
                run.seed,
                state.map_or_else(String::new, |(_, state)| describe(state))
            );
        }
    }
    match left.runs {
        0 => println!("\nrest    nothing: all runs are finished"),
        runs => println!(
            "\nrest    {runs} of {} runs, about {} with {jobs} jobs ({:.0} GFLOP/s a thread, measured just now)",
            left.of,
            duration(seconds),
            rate / 1e9
        ),
    }
    Ok(())
}

fn train(options: &Options, asked: Option<u16>, format: Format) -> Result<()> {
    let jobs = jobs(asked);
    let Prepared {
        found,
        mut resolved,
        store,
    } = prepare(options, format)?;
    let _lock = store.lock()?;
    let left = left(&resolved, &store)?;
    let plan = &resolved.plan;
    match format {
        Format::Text => say!(
            "{}: {} runs on {} ({}), {jobs} jobs",
            plan.name,
            left.of,
            plan.data.name,
            found.origin
        ),
        Format::Json => json(&json!({
            "event": "begun", "name": plan.name, "data": plan.data, "origin": found.origin,
            "fallback": found.fallback, "jobs": jobs, "runs": left.of, "unfinished": left.runs,
        })),
    }

    let progress = Arc::new(Progress::new(left, format));
    let stop = Arc::new(AtomicBool::new(false));
    let (handler, sayer) = (stop.clone(), progress.clone());
    // A second Ctrl-C ends the program at once; a checkpoint is never half written.
    ctrlc::set_handler(move || {
        if handler.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        sayer.line("stopping at the next update; what is evaluated is kept");
    })?;
    let summary = run(
        &mut resolved,
        &found.dataset,
        &store,
        jobs,
        &stop,
        &|event| progress.show(event),
    );
    progress.finish();
    let summary = match summary {
        Ok(_) if stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
        summary => summary,
    };
    let summary = summary.inspect_err(|error| {
        if format == Format::Json {
            json(&json!({"event": "stopped", "why": error.to_string()}));
        }
    })?;
    let plan = &resolved.plan;

    write_tables(&store, &resolved, &found.dataset, &stop, false, format)?;
    let folder = store.folder();
    if format == Format::Json {
        json(&json!({
            "event": "ended", "trained": summary.trained, "found": summary.found,
            "diverged": summary.diverged, "failed": summary.failed, "folder": folder,
        }));
        return Ok(());
    }
    say!(
        "{}: {} runs trained, {} found finished, {} diverged, {} failed",
        plan.name,
        summary.trained,
        summary.found,
        summary.diverged,
        summary.failed
    );
    if summary.trained == 0 {
        say!(
            "every run was there already, nothing was trained; to train again, name another folder with --reports"
        );
    }
    println!("{}", folder.display());
    Ok(())
}

fn measure(options: &Options, again: bool) -> Result<()> {
    let Prepared {
        found,
        resolved,
        store,
    } = prepare(options, Format::Text)?;
    let _lock = store.lock()?;
    store.write_plan(&resolved.plan)?;
    let stop = AtomicBool::new(false);
    write_tables(
        &store,
        &resolved,
        &found.dataset,
        &stop,
        again,
        Format::Text,
    )?;
    println!("{}", store.folder().display());
    Ok(())
}

/// Writes `anchors.json` and `cost.json` where they are not there, or not of
/// this plan.
fn write_tables(
    store: &Store,
    resolved: &Resolved,
    dataset: &Dataset,
    stop: &AtomicBool,
    again: bool,
    format: Format,
) -> Result<()> {
    let plan = &resolved.plan;
    write_anchors(store, dataset, &plan.data.sha256, stop, format)?;
    let path = store.folder().join("cost.json");
    if again || read_json::<Cost>(&path).map_or(true, |cost| !cost.fits(plan)) {
        format.say("timing one update of every arm");
        write_json(&path, &measure_cost(resolved, &dataset.train)?)?;
    }
    Ok(())
}

/// Writes `anchors.json` where it is not there: from the cache, or computed.
fn write_anchors(
    store: &Store,
    dataset: &Dataset,
    sha256: &str,
    stop: &AtomicBool,
    format: Format,
) -> Result<()> {
    let of_this_data = |path: &Path| {
        let anchors = read_json::<Anchors>(path).ok()?;
        (anchors.data_sha256 == sha256 && anchors.schema == SCHEMA).then_some(anchors)
    };
    let path = store.folder().join("anchors.json");
    if of_this_data(&path).is_some() {
        return Ok(());
    }
    let cached = store.anchors(sha256);
    let anchors = match of_this_data(&cached) {
        Some(anchors) => anchors,
        None => {
            format.say(
                "computing the data set's own figures (mean image, principal components, \
                 logistic principal components)",
            );
            let anchors = anchors(dataset, sha256, stop)?;
            write_json(&cached, &anchors)?;
            anchors
        }
    };
    Ok(write_json(&path, &anchors)?)
}

fn write_export(
    run_id: &str,
    to: &Path,
    epochs: u64,
    data: Option<&str>,
    offline: bool,
    reports: &Path,
    cache: Option<&Path>,
) -> Result<()> {
    let cache = cache_folder(cache)?;
    let record = find_record(reports, run_id)?;
    // The record of a folder's data set does not say where the folder is.
    let wanted = record.header.data.name.parse().unwrap_or(Spec::Mnist);
    let variable = std::env::var("ADAMIX_DATA")
        .ok()
        .filter(|_| wanted == Spec::Mnist);
    let found = data::find(&wanted, data, variable.as_deref(), offline, &cache)?;
    let store = Store::new(&cache.join("export"), run_id, &cache);
    let progress = Progress::new(Left::default(), Format::Text);
    let machine = match record.header.backend {
        Backend::Cpu => Machine::cpu(1),
        Backend::Cuda => Machine::cuda(None)?,
    };
    let done = export(
        &record,
        &found.dataset,
        epochs,
        &machine,
        &store,
        to,
        &|event| progress.show(event),
    );
    progress.finish();
    done?;
    println!("{}", to.display());
    Ok(())
}

fn cuda_check(
    data: &str,
    cache: Option<&Path>,
    settings: impl FnOnce(&Found) -> CheckSettings,
) -> Result<()> {
    let machine = Machine::cuda(None)?;
    let cache = cache_folder(cache)?;
    let found = data::find(&Spec::Curves, Some(data), None, true, &cache)?;
    let settings = settings(&found);
    println!(
        "{} on {} ({}), {settings:?}",
        machine.name(),
        found.identity.name,
        found.origin
    );
    println!(
        "{:<62} {:>10} {:>8}",
        "compared with the processor", "difference", "allowed"
    );
    let mut breaches = 0;
    let mut show = |check: Check| {
        let verdict = if check.holds() { "" } else { "  BREACH" };
        breaches += usize::from(!check.holds());
        println!(
            "{:<62} {:>10.1e} {:>8.0e}{verdict}",
            check.name, check.difference, check.bound
        );
    };
    check(&found.dataset, &settings, machine.device(), &mut show)?;
    check_memory(&found, &settings, &mut show)?;
    match breaches {
        0 => Ok(()),
        _ => Err(format!("{breaches} differences are larger than allowed").into()),
    }
}

fn cuda_bench(options: &Options, cohorts: &[usize], format: Format) -> Result<()> {
    // Asked for before data is looked for.
    let machine = match options.device {
        Device::Cpu => Machine::cpu(1),
        _ => Machine::cuda(None)?,
    };
    let experiment = Experiment::find(&options.experiment, &options.experiments)?;
    let cache = cache_folder(options.cache.as_deref())?;
    let wanted = &experiment.file.dataset;
    let found = data::find(wanted, options.data.as_deref(), None, true, &cache)?;
    let resolved = Resolved::new(&experiment, &found, &machine)?;
    let ceilings = ceilings(machine.device())?;
    let name = machine.name();
    if format == Format::Text {
        println!(
            "{name}: f32 products {:.1} TFLOP/s, copies {:.0} GB/s read and written\n",
            ceilings.operations_per_second / 1e12,
            ceilings.bytes_per_second / 1e9
        );
        println!("arm          runs   steps/s  of products  update, ms  of copies");
    }
    let mut all = Vec::new();
    let mut show = |speed: Speed| {
        if format == Format::Text {
            println!(
                "{:<12} {:>4} {:>9.0} {:>12.2} {:>11.3} {:>10.2}",
                speed.arm,
                speed.replicas,
                speed.steps_per_second,
                speed.of_product_rate,
                speed.update_seconds * 1e3,
                speed.of_copy_rate
            );
        }
        all.push(speed);
    };
    let protocol = &resolved.plan.protocols[0];
    let mut series = resolved.protocols[0].series.clone();
    // The experiment's own network, whatever images are at hand.
    let layers = experiment.file.layer_sizes.as_deref();
    series.settings.layer_sizes = layers.unwrap_or(wanted.default_layers()).to_vec();
    let claimed = [Role::Adamix, Role::Adagrad, Role::Adadec];
    for planned in protocol
        .arms
        .iter()
        .filter(|arm| claimed.contains(&arm.role))
    {
        if let Some(arm) = series.arms.iter().find(|arm| arm.name == planned.name) {
            let images = &found.dataset.train;
            measure_speed(&series, arm, images, cohorts, &ceilings, &mut show)?;
        }
    }
    if format == Format::Json {
        let answer = json!({"device": name, "layers": series.settings.layer_sizes, "ceilings": ceilings, "speeds": all});
        println!("{answer}");
    }
    Ok(())
}

fn status(name: Option<&str>, reports: &Path, format: Format) -> Result<()> {
    let folders: Vec<PathBuf> = match name {
        Some(name) => vec![reports.join(name)],
        None => {
            let entries = std::fs::read_dir(reports).map_err(|source| Error::Store {
                path: reports.to_owned(),
                source,
            })?;
            let mut folders: Vec<_> = entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.join("plan.json").exists())
                .collect();
            folders.sort();
            folders
        }
    };
    let mut damaged = 0;
    for folder in folders {
        let plan = match Plan::read(&folder.join("plan.json")) {
            Ok(plan) => plan,
            Err(error) if name.is_some() && !folder.exists() => {
                let there = format!("{}: no such folder ({error})", folder.display());
                return Err(there.into());
            }
            Err(error) => {
                damaged += 1;
                match format {
                    Format::Text => println!("{error}"),
                    Format::Json => json(&json!({"folder": folder, "why": error.to_string()})),
                }
                continue;
            }
        };
        let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
        let store = Store::new(reports, &folder_name, Path::new(""));
        // Protocols may share runs.
        let mut seen = BTreeSet::new();
        let states: Vec<_> = plan
            .runs()
            .filter(|run| seen.insert(&run.run_id))
            .map(|run| (run, store.state(&run.run_id)))
            .collect();
        let count = |is: &dyn Fn(&RunState) -> bool| {
            let states = states.iter().flat_map(|(_, state)| state);
            states.filter(|state| is(state)).count()
        };
        let finished = count(&RunState::is_final);
        let diverged = count(&|state| matches!(outcome(state), Some(Outcome::Diverged { .. })));
        let failed = count(&|state| matches!(outcome(state), Some(Outcome::Failed { .. })));
        damaged += states.iter().filter(|(_, state)| state.is_err()).count();
        if format == Format::Json {
            let runs = states.iter().map(|(run, state)| match state {
                Ok(state) => entry(run, state),
                Err(error) => json!({
                    "run-id": run.run_id, "arm": run.arm, "seed": run.seed,
                    "state": "damaged", "why": error.to_string(),
                }),
            });
            json(&json!({
                "name": plan.name, "finished": finished, "of": states.len(),
                "diverged": diverged, "failed": failed, "runs": runs.collect::<Vec<_>>(),
            }));
            continue;
        }
        let mut line = format!(
            "{}: {finished} of {} runs finished",
            plan.name,
            states.len()
        );
        if diverged > 0 {
            line += &format!(", {diverged} of them diverged");
        }
        if failed > 0 {
            line += &format!("; {failed} failed and will be tried again");
        }
        println!("{line}");
        for (run, state) in &states {
            let state = match state {
                Ok(state) if name.is_some() => describe(state),
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            println!(
                "  {}  {:<24} seed {:<4} {state}",
                run.run_id, run.arm, run.seed
            );
        }
    }
    match damaged {
        0 => Ok(()),
        files => Err(format!("{files} damaged, see above").into()),
    }
}

/// How a run ended, where it did.
fn outcome(state: &RunState) -> Option<&Outcome> {
    match state {
        RunState::Finished(record) => record.end.as_ref().map(|end| &end.outcome),
        RunState::Begun(_) | RunState::Missing => None,
    }
}

/// A run and its state, for a program.
fn entry(run: &PlannedRun, state: &RunState) -> Value {
    let (name, record) = match state {
        RunState::Missing => ("missing", None),
        RunState::Begun(record) => ("begun", Some(record)),
        RunState::Finished(record) => ("finished", Some(record)),
    };
    let last = record.and_then(|record| record.evaluations.last());
    json!({
        "run-id": run.run_id, "arm": run.arm, "seed": run.seed, "state": name,
        "outcome": outcome(state), "epoch": last.map(|last| last.epoch),
        "error": last.and_then(Evaluation::error),
    })
}

fn describe(state: &RunState) -> String {
    let error = |record: &RunRecord| match record.evaluations.last().and_then(Evaluation::error) {
        Some(error) => format!("error {error:.3}"),
        None => "no finite error".to_owned(),
    };
    match state {
        RunState::Missing => "not begun".to_owned(),
        RunState::Begun(record) => format!(
            "begun, {} epochs done",
            record.evaluations.len().saturating_sub(1)
        ),
        RunState::Finished(record) => match outcome(state) {
            Some(Outcome::Diverged { epoch }) => format!("diverged at epoch {epoch}"),
            Some(Outcome::Stopped { epoch }) => {
                format!("stopped after epoch {epoch}, {}", error(record))
            }
            Some(Outcome::Failed { why }) => format!("failed: {why}"),
            Some(Outcome::Completed) | None => format!("finished, {}", error(record)),
        },
    }
}
