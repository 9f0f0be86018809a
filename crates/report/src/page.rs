//! The page and the summary for a terminal.

use adamix_record::{Backend, DataIdentity, canonical_json};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use crate::Result;
use crate::figures::Figures;
use crate::findings::{Finding, control_paragraphs, uncounted};
use crate::load::{State, Study};
use crate::number::{self, count, grouped};
use crate::statistics::area_under_curve;
use crate::tables::{self, Gallery, Table};
use crate::verdict::{FEWEST_SEEDS, Verdict};

const TEMPLATE: &str = include_str!("../templates/index.html");
const STYLE: &str = include_str!("../templates/style.css");

/// A claim as the template takes it.
#[derive(Serialize)]
struct Claim<'a> {
    id: &'a str,
    claim: &'a str,
    verdict: &'a str,
    effect: &'a str,
    paragraph: &'a str,
    /// Class of the badge's colour.
    class: &'static str,
}

/// Everything that the template shows.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    title: String,
    tested: String,
    claims: Vec<Claim<'a>>,
    sure: String,
    runs_line: String,
    backend: Option<&'static str>,
    figures: &'a Figures,
    uncounted: Vec<String>,
    final_errors: Table,
    final_differences: Option<Table>,
    convergence: Option<Table>,
    area_differences: Option<Table>,
    declared: Option<Table>,
    measured: Option<Table>,
    disagreements: Vec<String>,
    gallery: Option<Gallery>,
    mean_image_error: Option<String>,
    reference: Option<Table>,
    control: Vec<String>,
    analysis: Vec<&'a str>,
    assumptions: Table,
    notes: &'a [String],
    data: &'a DataIdentity,
    name: &'a str,
    command: &'a str,
    experiment_hash: &'a str,
    settings: Vec<(String, String)>,
    environments: Table,
    runs: Table,
}

pub(crate) fn html(study: &Study, findings: &[Finding], figures: &Figures) -> Result<String> {
    let plan = &study.plan;
    let last = |errors: &[f64]| errors.last().copied();
    let page = Page {
        style: STYLE,
        title: title(study),
        tested: tested(study),
        claims: findings.iter().map(claim).collect(),
        sure: how_sure(study),
        runs_line: runs_line(study),
        backend: study.backend.map(backend),
        figures,
        uncounted: study
            .arms
            .iter()
            .filter_map(|arm| uncounted(study, arm))
            .collect(),
        final_errors: tables::final_errors(study),
        final_differences: tables::differences(study, "Final test error", last),
        convergence: tables::convergence(study),
        area_differences: tables::differences(
            study,
            "Mean test error over the epochs",
            area_under_curve,
        ),
        declared: tables::declared(study),
        measured: tables::measured(study),
        disagreements: tables::disagreements(study),
        gallery: tables::gallery(study)?,
        mean_image_error: study.mean_image_error().map(number::error),
        reference: tables::reference(study),
        control: control_paragraphs(study),
        analysis: paragraphs(&plan.analysis),
        assumptions: tables::assumptions(study),
        notes: &study.notes,
        data: &plan.data,
        name: &plan.name,
        command: &plan.command,
        experiment_hash: &plan.experiment_hash,
        settings: settings(study)?,
        environments: tables::environments(study),
        runs: tables::runs(study),
    };
    let mut environment = Environment::new();
    environment.add_template("index.html", TEMPLATE)?;
    let template = environment.get_template("index.html")?;
    Ok(template.render(Serde(&page))?)
}

/// What is set, with a heading each: for all arms, then arm by arm.
fn settings(study: &Study) -> Result<Vec<(String, String)>> {
    let plan = &study.plan;
    let mut settings = vec![("All arms".to_owned(), pretty(&plan.protocol.settings)?)];
    for arm in &plan.arms {
        settings.push((format!("{}, weights", arm.label), pretty(&arm.weights)?));
        settings.push((format!("{}, biases", arm.label), pretty(&arm.biases)?));
    }
    Ok(settings)
}

/// Plain text for a terminal: the runs, then one line a claim.
pub(crate) fn summary(study: &Study, findings: &[Finding]) -> String {
    let width = |text: fn(&Finding) -> &str| {
        let lengths = findings.iter().map(|finding| text(finding).chars().count());
        lengths.max().unwrap_or(0)
    };
    let claims = width(|finding| finding.claim);
    let verdicts = width(|finding| finding.verdict.name());
    let mut text = format!("{}\n  {}\n", title(study), runs_line(study));
    for Finding {
        id,
        claim,
        verdict,
        effect,
        ..
    } in findings
    {
        let verdict = verdict.name();
        text += &format!("  {id} {claim:claims$}  {verdict:verdicts$}  {effect}\n");
    }
    text
}

fn claim(finding: &Finding) -> Claim<'_> {
    Claim {
        id: finding.id,
        claim: finding.claim,
        verdict: finding.verdict.name(),
        effect: &finding.effect,
        paragraph: &finding.paragraph,
        class: match finding.verdict {
            Verdict::Reproduced => "for",
            Verdict::Contradicted => "against",
            _ => "open",
        },
    }
}

/// The experiment's title; what is not MNIST says so.
fn title(study: &Study) -> String {
    let (title, data) = (&study.plan.title, study.plan.data.name.to_uppercase());
    if study.is_mnist() || title.contains(&data) {
        title.clone()
    } else {
        format!("{data}: {title}")
    }
}

/// What was tested, in two sentences.
fn tested(study: &Study) -> String {
    let protocol = &study.plan.protocol;
    let sizes: Vec<String> = protocol.layer_sizes.iter().map(usize::to_string).collect();
    let arms: Vec<&str> = study
        .plan
        .arms
        .iter()
        .map(|arm| arm.label.as_str())
        .collect();
    format!(
        "{} each trained the same deep autoencoder ({} units and back), a network that squeezes \
         an image of the data set {} into {} numbers and rebuilds it from them, for {} (passes \
         over {} training images) from {} (numbers that fix every random draw). The measure is \
         the reconstruction error: the squared difference between an image and its \
         reconstruction, summed over pixels and averaged over {} test images; lower is better.",
        listed(&arms),
        sizes.join("-"),
        study.plan.data.name.to_uppercase(),
        sizes.last().map_or("a few", String::as_str),
        count(study.epochs() as usize, "epoch"),
        grouped(protocol.train_images as u64),
        count(study.plan.seeds.len(), "seed"),
        grouped(protocol.test_images as u64),
    )
}

/// `a, b and c`.
fn listed(items: &[&str]) -> String {
    match items {
        [] => "No arm".into(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn how_sure(study: &Study) -> String {
    let seeds = study.plan.seeds.len();
    let few = if seeds < FEWEST_SEEDS {
        format!(
            " With {} this page gives estimates of errors and no verdict on them, which needs \
             {FEWEST_SEEDS}.",
            count(seeds, "seed")
        )
    } else {
        String::new()
    };
    format!(
        "All arms of a seed share one start and one order of images, so they are compared seed by \
         seed. Intervals cover the chance of the seeds at 95\u{202f}%; they do not cover our \
         reading of the paper, whose formulas and constants we do not know (see the \
         assumptions).{few}"
    )
}

/// `30 runs planned: 29 completed, 1 failed`.
fn runs_line(study: &Study) -> String {
    let total = |is: fn(&State) -> bool| -> usize { study.arms.iter().map(|a| a.count(is)).sum() };
    let counts: Vec<String> = [
        (total(|s| *s == State::Completed), "completed"),
        (total(|s| matches!(s, State::Diverged { .. })), "diverged"),
        (total(|s| matches!(s, State::Failed { .. })), "failed"),
        (
            total(|s| matches!(s, State::Running { .. })),
            "still running",
        ),
        (total(|s| *s == State::Missing), "missing"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, state)| format!("{n} {state}"))
    .collect();
    format!(
        "{} planned: {}",
        count(study.plan.runs.len(), "run"),
        counts.join(", ")
    )
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
