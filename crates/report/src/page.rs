//! The page and the summary for a terminal.

use std::collections::BTreeMap;

use adamix_record::{Backend, DataIdentity, RunId, Statistic, canonical_json};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use crate::Result;
use crate::figures::{Figure, Figures, ProtocolFigures};
use crate::findings::{Finding, control_paragraphs, findings, uncounted};
use crate::load::{Experiment, Run, State, Study};
use crate::number::{self, bound, count, grouped, listed, slug};
use crate::readings::{changes, deciding, reading};
use crate::statistics::{RESAMPLES, area_under_curve};
use crate::tables::{self, Gallery, Ledger, Table};

const TEMPLATE: &str = include_str!("../templates/index.html");
const STYLE: &str = include_str!("../templates/style.css");

/// Everything that the template shows.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    title: String,
    tested: String,
    claims: Vec<Claim<'a>>,
    protocols: Vec<Protocol<'a>>,
    /// Number of protocols that decide, and so stand side by side at the top.
    deciding: usize,
    sure: String,
    runs_line: String,
    backend: Option<&'static str>,
    readings: Option<Readings<'a>>,
    costs: Vec<Cost>,
    /// Ids of the claims about each statistic, in brackets.
    claimed: Claimed,
    mean_image_error: Option<String>,
    reference: Option<Table>,
    analysis: Vec<&'a str>,
    assumptions: Table,
    coverage: Table,
    resamples: String,
    notes: &'a [String],
    data: &'a DataIdentity,
    name: &'a str,
    command: &'a str,
    settings: Vec<(String, String)>,
    environments: Table,
    runs: Table,
    tuning_runs: Option<Table>,
}

#[derive(Serialize)]
struct Claimed {
    final_error: String,
    mean_error: String,
    update_cost: String,
}

/// A claim with what each headline protocol says about it.
#[derive(Serialize)]
struct Claim<'a> {
    id: &'a str,
    text: &'a str,
    cells: Vec<Cell<'a>>,
    /// The findings in full: protocols that come to the same, on a cost say,
    /// share one.
    found: Vec<Found<'a>>,
}

/// A finding in full.
#[derive(Serialize)]
struct Found<'a> {
    protocols: Vec<&'a str>,
    cell: Cell<'a>,
}

/// What one protocol says about one claim.
#[derive(Clone, Serialize)]
struct Cell<'a> {
    protocol: &'a str,
    verdict: &'static str,
    /// Class of the badge's colour.
    class: &'static str,
    /// Whether the rules were fixed first, in a word.
    registered: Option<&'static str>,
    effect: String,
    paragraph: String,
    runs: Vec<&'a str>,
}

/// One headline protocol.
#[derive(Serialize)]
struct Protocol<'a> {
    slug: String,
    label: &'a str,
    /// Whether it holds the arms that some claim compares.
    decides: bool,
    hash: &'a str,
    registration: String,
    figures: &'a ProtocolFigures,
    notes: Vec<String>,
    final_errors: Table,
    final_differences: Option<Table>,
    convergence: Option<Table>,
    area_differences: Option<Table>,
    gallery: Option<Gallery>,
    control: Vec<String>,
    ablation: Option<Table>,
    tuning: Option<Table>,
}

/// What the open details decide.
#[derive(Serialize)]
struct Readings<'a> {
    deciding: Vec<String>,
    ledger: Ledger,
    maps: Vec<&'a Figure>,
    cells: Vec<ReadingCell<'a>>,
}

/// The evidence of a protocol with other readings than the default.
#[derive(Serialize)]
struct ReadingCell<'a> {
    slug: String,
    label: &'a str,
    /// What differs from the default, in words.
    differs: String,
    registration: String,
    claims: Vec<(&'a str, Cell<'a>)>,
    notes: Vec<String>,
    final_errors: Table,
    final_differences: Option<Table>,
    area_differences: Option<Table>,
    ablation: Option<Table>,
    tuning: Option<Table>,
}

/// The cost of the arms of protocols that share it.
#[derive(Serialize)]
struct Cost {
    /// Empty where there is only one.
    protocols: String,
    slug: String,
    disagreements: Vec<String>,
    declared: Table,
    measured: Table,
}

pub(crate) fn html(experiment: &Experiment, figures: &Figures) -> Result<String> {
    let plan = &experiment.plan;
    let headline = experiment.headline().zip(&figures.protocols);
    let page = Page {
        style: STYLE,
        title: title(experiment),
        tested: tested(experiment),
        claims: claims(experiment),
        protocols: headline
            .map(|(study, figures)| protocol(experiment, study, figures))
            .collect::<Result<_>>()?,
        deciding: experiment.deciding().count(),
        sure: how_sure(experiment),
        runs_line: runs_line(experiment),
        backend: experiment.backend.map(backend),
        readings: readings(experiment, figures),
        costs: costs(experiment),
        claimed: Claimed {
            final_error: claimed(experiment, Statistic::FinalError),
            mean_error: claimed(experiment, Statistic::MeanError),
            update_cost: claimed(experiment, Statistic::UpdateCost),
        },
        mean_image_error: experiment
            .anchors
            .as_ref()
            .map(|anchors| number::error(anchors.mean_image_test_error)),
        reference: tables::reference(experiment),
        analysis: paragraphs(&plan.analysis.en),
        assumptions: tables::assumptions(experiment),
        coverage: tables::coverage(),
        resamples: grouped(RESAMPLES as u64),
        notes: &experiment.notes,
        data: &plan.data,
        name: &plan.name,
        command: &plan.command,
        settings: settings(experiment)?,
        environments: tables::environments(experiment),
        runs: tables::runs(experiment),
        tuning_runs: tables::tuning_runs(experiment),
    };
    let mut environment = Environment::new();
    environment.add_template("index.html", TEMPLATE)?;
    let template = environment.get_template("index.html")?;
    Ok(template.render(Serde(&page))?)
}

/// The claims, each with one cell a headline protocol.
fn claims(experiment: &Experiment) -> Vec<Claim<'_>> {
    let claims = experiment.plan.claims.iter();
    let mut claims: Vec<Claim<'_>> = claims
        .map(|claim| Claim {
            id: &claim.id,
            text: &claim.text.en,
            cells: Vec::new(),
            found: Vec::new(),
        })
        .collect();
    for study in experiment.deciding() {
        for (claim, finding) in claims.iter_mut().zip(findings(experiment, study)) {
            let cell = cell(study, finding);
            let same = |found: &&mut Found<'_>| {
                found.cell.paragraph == cell.paragraph && found.cell.registered == cell.registered
            };
            match claim.found.iter_mut().find(same) {
                Some(found) => found.protocols.push(study.label()),
                None => claim.found.push(Found {
                    protocols: vec![study.label()],
                    cell: cell.clone(),
                }),
            }
            claim.cells.push(cell);
        }
    }
    claims
}

fn cell<'a>(study: &'a Study, finding: Finding<'a>) -> Cell<'a> {
    Cell {
        protocol: study.label(),
        verdict: finding.verdict.name(),
        class: finding.class(),
        registered: study.registration.name(),
        runs: finding.runs.iter().map(|id| id.as_str()).collect(),
        effect: finding.effect,
        paragraph: finding.paragraph,
    }
}

fn protocol<'a>(
    experiment: &'a Experiment,
    study: &'a Study,
    figures: &'a ProtocolFigures,
) -> Result<Protocol<'a>> {
    let last = |errors: &[f64]| errors.last().copied();
    let claim = |statistic| experiment.claim_on(statistic);
    let uncounted = study.arms.iter().filter_map(|arm| uncounted(study, arm));
    Ok(Protocol {
        slug: slug(&study.protocol.name),
        label: study.label(),
        decides: experiment
            .deciding()
            .any(|deciding| std::ptr::eq(deciding, study)),
        hash: &study.protocol.hash,
        registration: study.registration.sentence(),
        figures,
        notes: uncounted.map(|why| format!("{why}.")).collect(),
        final_errors: tables::final_errors(study),
        final_differences: tables::differences(
            study,
            claim(Statistic::FinalError),
            "Final test error",
            last,
        ),
        convergence: tables::convergence(study),
        area_differences: tables::differences(
            study,
            claim(Statistic::MeanError),
            "Mean test error over the epochs",
            area_under_curve,
        ),
        gallery: tables::gallery(study)?,
        control: control_paragraphs(experiment, study),
        ablation: tables::ablation(study),
        tuning: tables::tuning(study),
    })
}

/// `None` where the plan has no open detail.
fn readings<'a>(experiment: &'a Experiment, figures: &'a Figures) -> Option<Readings<'a>> {
    let plan = &experiment.plan;
    if plan.details.is_empty() {
        return None;
    }
    let changes = changes(experiment);
    let others = experiment.studies.iter().filter(|s| !s.is_headline());
    let last = |errors: &[f64]| errors.last().copied();
    Some(Readings {
        deciding: deciding(experiment, &changes),
        ledger: tables::ledger(experiment, &changes),
        maps: [&figures.readings, &figures.tuned_readings]
            .into_iter()
            .flatten()
            .collect(),
        cells: others
            .map(|study| {
                let differs = study.changed.iter().filter_map(|place| {
                    let detail = plan.details.get(*place)?;
                    let reading = &detail.readings[reading(experiment, study, *place)?];
                    Some(format!("{} {}", detail.label.en, reading.name))
                });
                let findings = findings(experiment, study).into_iter();
                let uncounted = study.arms.iter().filter_map(|arm| uncounted(study, arm));
                let claim = |statistic| experiment.claim_on(statistic);
                ReadingCell {
                    slug: slug(&study.protocol.name),
                    label: study.label(),
                    differs: differs.collect::<Vec<_>>().join(", "),
                    registration: study.registration.sentence(),
                    claims: findings
                        .map(|finding| (finding.claim.id.as_str(), cell(study, finding)))
                        .collect(),
                    notes: uncounted.map(|why| format!("{why}.")).collect(),
                    final_errors: tables::final_errors(study),
                    final_differences: tables::differences(
                        study,
                        claim(Statistic::FinalError),
                        "Final test error",
                        last,
                    ),
                    area_differences: tables::differences(
                        study,
                        claim(Statistic::MeanError),
                        "Mean test error over the epochs",
                        area_under_curve,
                    ),
                    ablation: tables::ablation(study),
                    tuning: tables::tuning(study),
                }
            })
            .collect(),
    })
}

/// One entry for headline protocols whose arms cost the same; one that holds
/// fewer of them goes with it.
fn costs(experiment: &Experiment) -> Vec<Cost> {
    let Some(cost) = &experiment.cost else {
        return Vec::new();
    };
    let key = |study: &Study| -> Vec<_> {
        let arms = study.arms.iter();
        let of = |arm: &crate::load::ArmRuns| Some((arm.label().to_owned(), arm.cost.clone()?));
        arms.filter_map(of).collect()
    };
    let mut alike: Vec<(Vec<_>, Vec<&Study>)> = Vec::new();
    for study in experiment.headline() {
        let key = key(study);
        let held = |found: &Vec<_>| key.iter().all(|arm| found.contains(arm));
        match alike.iter_mut().find(|(found, _)| held(found)) {
            Some((_, studies)) => studies.push(study),
            None if key.is_empty() => {}
            None => alike.push((key, vec![study])),
        }
    }
    let alone = alike.len() == 1;
    alike
        .iter()
        .filter_map(|(_, studies)| {
            let study = *studies.first()?;
            let labels: Vec<&str> = studies.iter().map(|study| study.label()).collect();
            Some(Cost {
                protocols: if alone {
                    String::new()
                } else {
                    listed(&labels)
                },
                slug: slug(&study.protocol.name),
                disagreements: tables::disagreements(study),
                declared: tables::declared(study),
                measured: tables::measured(study, cost),
            })
        })
        .collect()
}

/// ` (C1)`: the claims about a statistic, for a heading.
fn claimed(experiment: &Experiment, statistic: Statistic) -> String {
    let claims = experiment.plan.claims.iter();
    let ids: Vec<&str> = claims
        .filter(|claim| claim.statistic == statistic)
        .map(|claim| claim.id.as_str())
        .collect();
    match ids.as_slice() {
        [] => String::new(),
        ids => format!(" ({})", ids.join(", ")),
    }
}

/// What is set, with a heading each: of every headline protocol for all arms,
/// then arm by arm.
fn settings(experiment: &Experiment) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let alone = experiment.headline().count() == 1;
    for study in experiment.headline() {
        let protocol = &study.protocol;
        let named = |what: &str| match alone {
            true => what.to_owned(),
            false => format!("{}: {what}", study.label()),
        };
        settings.push((named("All arms"), pretty(&protocol.settings)?));
        for arm in &protocol.arms {
            let label = &arm.label.en;
            settings.push((named(&format!("{label}, weights")), pretty(&arm.weights)?));
            settings.push((named(&format!("{label}, biases")), pretty(&arm.biases)?));
        }
    }
    Ok(settings)
}

/// Plain text for a terminal: the runs, then one line a claim for each headline
/// protocol.
pub(crate) fn summary(experiment: &Experiment) -> String {
    let mut text = format!("{}\n  {}\n", title(experiment), runs_line(experiment));
    let alone = experiment.deciding().count() == 1;
    for study in experiment.deciding() {
        let findings = findings(experiment, study);
        let width = |texts: Vec<&str>| texts.iter().map(|text| text.chars().count()).max();
        let claims = findings
            .iter()
            .map(|finding| finding.claim.text.en.as_str());
        let claims = width(claims.collect()).unwrap_or(0);
        let verdicts = findings.iter().map(|finding| finding.verdict.name());
        let verdicts = width(verdicts.collect()).unwrap_or(0);
        if !alone {
            text += &format!("  {}\n", study.label());
        }
        for finding in &findings {
            let claim = &finding.claim;
            text += &format!(
                "  {} {:claims$}  {:verdicts$}  {}\n",
                claim.id,
                claim.text.en,
                finding.verdict.name(),
                finding.effect
            );
        }
        if study.registration.name().is_some() && !study.registration.holds() {
            text += "  not pre-registered: some records were written under another hash\n";
        }
    }
    if !experiment.plan.details.is_empty() {
        for sentence in deciding(experiment, &changes(experiment)) {
            text += &format!("  {sentence}\n");
        }
    }
    text
}

/// The experiment's title; what is not MNIST says so.
fn title(experiment: &Experiment) -> String {
    let plan = &experiment.plan;
    let (title, data) = (&plan.title.en, plan.data.name.to_uppercase());
    if experiment.is_mnist() || title.contains(&data) {
        title.clone()
    } else {
        format!("{data}: {title}")
    }
}

/// What was tested, in a few sentences.
fn tested(experiment: &Experiment) -> String {
    let studies: Vec<&Study> = match experiment.headline().next() {
        Some(_) => experiment.headline().collect(),
        None => experiment.studies.iter().collect(),
    };
    let mut arms: Vec<&str> = Vec::new();
    for arm in studies.iter().flat_map(|study| &study.arms) {
        if !arms.contains(&arm.label()) {
            arms.push(arm.label());
        }
    }
    // What differs between protocols is given for each of them.
    let each = |figure: &dyn Fn(&Study) -> String| {
        let mut found: Vec<String> = Vec::new();
        for figure in studies.iter().map(|study| figure(study)) {
            if !found.contains(&figure) {
                found.push(figure);
            }
        }
        found.join(" or ")
    };
    let sizes = each(&|study| {
        let sizes = study.protocol.layer_sizes.iter();
        let sizes: Vec<String> = sizes.map(usize::to_string).collect();
        sizes.join("-")
    });
    let code = each(&|study| {
        let code = study.protocol.layer_sizes.last();
        code.map_or_else(|| "a few".into(), usize::to_string)
    });
    let protocols = match studies.as_slice() {
        [] | [_] => String::new(),
        several => {
            let labels: Vec<String> = several
                .iter()
                .map(|study| format!("\u{201c}{}\u{201d}", study.label()))
                .collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            format!(
                " They did so under {} protocols, side by side on this page: {}.",
                several.len(),
                listed(&labels)
            )
        }
    };
    format!(
        "{} each trained the same deep autoencoder ({sizes} units and back), a network that \
         squeezes an image of the data set {} into {code} numbers and rebuilds it from them, for \
         {} (passes over {} training images) from {} (numbers that fix every random draw).\
         {protocols} The measure is the reconstruction error: the squared difference between an \
         image and its reconstruction, summed over pixels and averaged over {} test images; lower \
         is better.",
        match arms.as_slice() {
            [] => "No arm".to_owned(),
            arms => listed(arms),
        },
        experiment.plan.data.name.to_uppercase(),
        each(&|study| count(study.epochs() as usize, "epoch")),
        each(&|study| grouped(study.protocol.train_images as u64)),
        each(&|study| count(study.protocol.seeds.len(), "seed")),
        each(&|study| grouped(study.protocol.test_images as u64)),
    )
}

fn how_sure(experiment: &Experiment) -> String {
    let claims = &experiment.plan.claims;
    let needed = claims
        .iter()
        .filter(|claim| claim.statistic != Statistic::UpdateCost)
        .map(|claim| claim.fewest_seeds)
        .max();
    let few: Vec<&Study> = experiment
        .deciding()
        .filter(|study| needed.is_some_and(|needed| study.protocol.seeds.len() < needed))
        .collect();
    let few = match (few.first(), needed) {
        (Some(study), Some(needed)) => format!(
            " With {} {} gives estimates of errors and no verdict on them, which needs {needed}.",
            count(study.protocol.seeds.len(), "seed"),
            if experiment.deciding().count() == 1 {
                "this page".to_owned()
            } else {
                format!("the protocol \u{201c}{}\u{201d}", study.label())
            }
        ),
        _ => String::new(),
    };
    let confidence = claims.first().map_or(0.95, |claim| claim.confidence);
    format!(
        "All arms of a seed share one start and one order of images, so they are compared seed by \
         seed. Intervals cover the chance of the seeds at {}; they do not cover our reading of \
         the paper, whose formulas and constants we do not know (see the assumptions).{few}",
        bound(confidence)
    )
}

/// `30 runs planned: 29 completed, 1 failed`; runs of the tuning apart.
fn runs_line(experiment: &Experiment) -> String {
    let studies = || experiment.studies.iter();
    let mut line = states("run", studies().flat_map(Study::runs));
    if studies().any(|study| study.tuning_runs().next().is_some()) {
        line += "; ";
        line += &states("tuning run", studies().flat_map(Study::tuning_runs));
    }
    let waiting: Vec<(&Study, usize)> = studies()
        .map(|study| {
            let arms = study.arms.iter().filter(|arm| study.in_tuning(arm));
            (study, arms.count())
        })
        .filter(|(_, arms)| *arms > 0)
        .collect();
    let each: Vec<String> = match waiting.len() {
        0..=3 => waiting
            .iter()
            .map(|(study, n)| format!("{} of \u{201c}{}\u{201d}", count(*n, "arm"), study.label()))
            .collect(),
        n => vec![format!(
            "{} of {n} protocols",
            count(waiting.iter().map(|(_, n)| n).sum(), "arm")
        )],
    };
    if !each.is_empty() {
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        line += &format!(
            "; still in tuning, with no run planned yet: {}",
            listed(&each)
        );
    }
    line
}

fn states<'a>(what: &str, runs: impl Iterator<Item = &'a Run>) -> String {
    // Shared by arms or protocols, a run counts once.
    let runs: BTreeMap<&RunId, &State> = runs.map(|run| (&run.id, &run.state)).collect();
    let name = |state: &State| match state {
        State::Completed => "completed",
        State::Stopped { .. } => "stopped early",
        State::Diverged { .. } => "diverged",
        State::Failed { .. } => "failed",
        State::Running { .. } => "still running",
        State::Missing => "missing",
    };
    let order = [
        "completed",
        "stopped early",
        "diverged",
        "failed",
        "still running",
        "missing",
    ];
    let counts: Vec<String> = order
        .iter()
        .map(|kind| (runs.values().filter(|s| name(s) == *kind).count(), kind))
        .filter(|(n, _)| *n > 0)
        .map(|(n, kind)| format!("{n} {kind}"))
        .collect();
    let planned = format!("{} planned", count(runs.len(), what));
    match counts.as_slice() {
        [] => planned,
        counts => format!("{planned}: {}", counts.join(", ")),
    }
}

fn backend(backend: Backend) -> &'static str {
    match backend {
        Backend::Cpu => "the processor (CPU)",
        Backend::Cuda => "a graphics processor (CUDA)",
    }
}

fn paragraphs(text: &str) -> Vec<&str> {
    let paragraphs = text.split("\n\n").map(str::trim);
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect()
}

/// Indented JSON with its keys in order.
fn pretty(value: &serde_json::Value) -> Result<String> {
    let ordered: serde_json::Value = serde_json::from_str(&canonical_json(value))?;
    Ok(serde_json::to_string_pretty(&ordered)?)
}
