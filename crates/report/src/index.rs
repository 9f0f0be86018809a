//! The page of all reports of a folder, and two reports of one experiment
//! beside each other: what changed, and whether by more than seeds differ.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_record::{RunId, Text, text};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use crate::findings::findings;
use crate::load::{self, ArmRuns, Experiment, Run, Study};
use crate::number::{RUN, count, interval, one_by_one, percent};
use crate::page;
use crate::statistics::{mean, mean_interval, relative_difference, standard_deviation};
use crate::{Error, Result};

const TEMPLATE: &str = include_str!("../templates/reports.html");

/// Two reports of one experiment beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// A page that loads nothing else.
    pub html: String,
    /// One line an arm, in plain text for a terminal.
    pub summary: String,
}

/// All that the template shows.
#[derive(Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    title: Text,
    reports: Vec<Entry>,
    comparisons: Vec<Compared>,
}

/// One folder of records.
#[derive(Serialize)]
struct Entry {
    folder: String,
    /// Whether its page is there.
    rendered: bool,
    title: Text,
    /// What is planned in it and how far it is; and that it gives no verdict
    /// by design, if so.
    what: Text,
    /// Why its records could not be read; the rest is then empty.
    fault: String,
    runs: Text,
    /// Protocols that decide, and a sentence on each that has not begun.
    /// Whether several protocols decide.
    several: bool,
    not_begun: Vec<Text>,
    claims: Vec<ClaimRow>,
    id: String,
    machines: Text,
    /// Of the programs that trained.
    commits: Vec<String>,
    /// Of the program that timed the updates, where one did.
    timed: Option<String>,
}

/// A claim with a verdict of each of the protocols.
#[derive(Serialize)]
struct ClaimRow {
    claim: Text,
    found: Vec<Found>,
}

/// The verdict on a claim.
#[derive(Serialize)]
struct Found {
    protocol: Text,
    class: &'static str,
    verdict: Text,
    effect: Text,
}

/// What two reports have in common, and what not.
#[derive(Serialize)]
struct Compared {
    first: String,
    second: String,
    /// What differs about them as wholes.
    notes: Vec<Text>,
    /// Claim, verdict of the first, of the second.
    verdicts: Vec<[Text; 3]>,
    arms: Vec<Row>,
}

/// One arm of a protocol in both.
#[derive(Serialize)]
struct Row {
    arm: Text,
    /// Runs in both, of which with the same weights to the bit.
    paired: String,
    same: String,
    difference: Text,
    spread: Text,
    outcome: Text,
    /// Class of the outcome's colour.
    class: &'static str,
}

/// Makes the page of all reports in `reports`: every folder there with a plan,
/// the most seeds first, and every two of one experiment compared. One whose records cannot be read is listed with the reason.
///
/// # Errors
/// Where the folder itself cannot be read.
pub fn index(reports: &Path) -> Result<String> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(reports).map_err(|e| Error::io(reports, e))? {
        let path = entry.map_err(|e| Error::io(reports, e))?.path();
        if path.join("plan.json").exists() {
            folders.push(path);
        }
    }
    folders.sort();
    let mut entries = Vec::new();
    let mut read: Vec<(String, Experiment)> = Vec::new();
    for path in &folders {
        let folder = name(path);
        let rendered = path.join("index.html").exists();
        match load::experiment(path) {
            Ok(experiment) => {
                let seeds = experiment.deciding().map(|s| s.protocol.seeds.len());
                let seeds = seeds.max().unwrap_or(0);
                entries.push((seeds, entry(&folder, rendered, &experiment)));
                read.push((folder, experiment));
            }
            Err(fault) => entries.push((
                0,
                Entry {
                    title: Text::same(&folder),
                    folder,
                    rendered,
                    what: Text::default(),
                    fault: fault.to_string(),
                    runs: Text::default(),
                    several: false,
                    not_begun: Vec::new(),
                    claims: Vec::new(),
                    id: String::new(),
                    machines: Text::default(),
                    commits: Vec::new(),
                    timed: None,
                },
            )),
        }
    }
    entries.sort_by_key(|(seeds, _)| std::cmp::Reverse(*seeds));
    let mut comparisons = Vec::new();
    for (i, (first, a)) in read.iter().enumerate() {
        for (second, b) in &read[i + 1..] {
            if related(a, b) {
                comparisons.push(compared([first, second], [a, b]));
            }
        }
    }
    html(Page {
        style: page::STYLE,
        script: page::SCRIPT,
        title: text!("Reports", "报告"),
        reports: entries.into_iter().map(|(_, entry)| entry).collect(),
        comparisons,
    })
}

/// Compares the records of two folders of one experiment: of one name, or with
/// a protocol whose rules, settings, seeds and arms are the same.
///
/// Runs are paired by their id. Where both ended in the same weights to the
/// bit, nothing changed. Else the final errors are compared: a mean difference
/// no larger than the standard deviation over the seeds is what another seed
/// would do too, and counts as within noise.
///
/// # Errors
/// Where records cannot be read, and where the two are of other experiments.
pub fn compare(first: &Path, second: &Path) -> Result<Comparison> {
    let [a, b] = [load::experiment(first)?, load::experiment(second)?];
    if !related(&a, &b) {
        return Err(Error::Mixed {
            path: second.join("plan.json"),
            key: "name",
            value: b.plan.name,
            expected: format!(
                "{} says {}, and no protocol is the same",
                first.join("plan.json").display(),
                a.plan.name
            ),
            remedy: "give two reports of one experiment",
        });
    }
    let [left, right] = [first, second].map(|path| path.display().to_string());
    let compared = compared([&left, &right], [&a, &b]);
    let mut summary = format!("{left} beside {right}\n");
    for note in &compared.notes {
        summary += &format!("  {}\n", note.en);
    }
    for [claim, first, second] in &compared.verdicts {
        summary += &format!("  {}: {}, then {}\n", claim.en, first.en, second.en);
    }
    for row in &compared.arms {
        summary += &format!("  {}: {}\n", row.arm.en, row.outcome.en);
    }
    let html = html(Page {
        style: page::STYLE,
        script: page::SCRIPT,
        title: page::title(&a),
        reports: Vec::new(),
        comparisons: vec![compared],
    })?;
    Ok(Comparison { html, summary })
}

fn html(page: Page) -> Result<String> {
    let mut environment = Environment::new();
    page::add_both(&mut environment);
    environment.add_template("reports.html", TEMPLATE)?;
    let template = environment.get_template("reports.html")?;
    Ok(template.render(Serde(&page))?)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn entry(folder: &str, rendered: bool, experiment: &Experiment) -> Entry {
    let begun = page::begun(experiment);
    let claims = experiment.plan.claims.iter().map(|rule| ClaimRow {
        claim: claim(&rule.id, &rule.text),
        found: Vec::new(),
    });
    let mut claims: Vec<ClaimRow> = claims.collect();
    for study in &begun {
        for (row, finding) in claims.iter_mut().zip(findings(experiment, study)) {
            let found = Found {
                protocol: study.short_label(),
                class: finding.class(),
                verdict: finding.verdict.name(),
                effect: finding.effect,
            };
            // One measurement may hold for several protocols.
            let same = |last: &&mut Found| {
                (&last.verdict, &last.effect) == (&found.verdict, &found.effect)
            };
            match row.found.last_mut().filter(same) {
                Some(last) => {
                    last.protocol = one_by_one(&[last.protocol.clone(), found.protocol]);
                }
                None => row.found.push(found),
            }
        }
    }
    Entry {
        folder: folder.to_owned(),
        rendered,
        title: page::title(experiment),
        what: text!(
            "Of {data}: {state}.{few}",
            "{data}：{state}。{few}",
            data = experiment.plan.data.name.to_uppercase(),
            state = page::plan_and_state(experiment),
            few = page::by_design(experiment),
        ),
        fault: String::new(),
        runs: page::runs_line(experiment),
        several: begun.len() > 1,
        not_begun: page::not_begun(experiment),
        claims,
        id: experiment.id.clone(),
        machines: one_by_one(&different(experiment, machine)),
        commits: different(experiment, |e, _| commit(e)),
        timed: experiment.cost.as_ref().map(|c| commit(&c.environment)),
    }
}

/// The commit of a program, marked where its source had been changed, and its day.
pub(crate) fn commit(environment: &adamix_record::Environment) -> String {
    let commit = environment.commit.as_deref().unwrap_or("?");
    let short = commit.get(..7).unwrap_or(commit);
    let changed = if environment.dirty { "+" } else { "" };
    match &environment.commit_date {
        Some(date) => format!("{short}{changed} ({date})"),
        None => format!("{short}{changed}"),
    }
}

/// What a program ran on, with its matrix-product kernel, which tells more where
/// an older record names a processor by its maker alone.
pub(crate) fn machine(environment: &adamix_record::Environment, kernel: &str) -> Text {
    let gpu: Text = environment.gpu.iter().fold(Text::default(), |all, gpu| {
        all + text!(", {gpu}", "，{gpu}", gpu = gpu.as_str())
    });
    text!(
        "{processor}, {cores} cores{gpu}, {kernel}",
        "{processor}，{cores} 核{gpu}，{kernel}",
        processor = environment.processor.as_str(),
        cores = environment.cores,
        gpu,
        kernel,
    )
}

fn claim(id: &str, claim: &Text) -> Text {
    text!("{id}, {claim}", "{id}，{claim}", id, claim)
}

fn within(protocol: &Text, what: &Text) -> Text {
    text!("{protocol}: {what}", "{protocol}：{what}", protocol, what)
}

/// What the machines and programs of an experiment say, each thing once.
fn different<T: PartialEq>(
    experiment: &Experiment,
    say: impl Fn(&adamix_record::Environment, &str) -> T,
) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for (environment, kernel, _) in experiment.environments() {
        let text = say(environment, kernel);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

fn related(a: &Experiment, b: &Experiment) -> bool {
    let mut protocols = a.plan.protocols.iter();
    a.plan.name == b.plan.name
        || protocols.any(|p| b.plan.protocols.iter().any(|q| p.hash == q.hash))
}

fn compared([first, second]: [&str; 2], [a, b]: [&Experiment; 2]) -> Compared {
    let mut notes = Vec::new();
    let (data, other) = (&a.plan.data, &b.plan.data);
    if data.sha256 != other.sha256 {
        notes.push(text!(
            "The data sets differ: {data} and {other}. No run can be the same.",
            "数据集不同：{data} 与 {other}，不可能有相同的运行。",
            data = &data.name,
            other = &other.name,
        ));
    }
    let (mut verdicts, mut arms) = (Vec::new(), Vec::new());
    for study in &a.studies {
        let same = |s: &&Study| s.protocol.hash == study.protocol.hash;
        let named = |s: &&Study| s.protocol.name == study.protocol.name;
        let other = b.studies.iter().find(same);
        let Some(other) = other.or_else(|| b.studies.iter().find(named)) else {
            notes.push(text!(
                "\u{201c}{protocol}\u{201d} is in the first alone.",
                "「{protocol}」只在前一份报告中。",
                protocol = study.label(),
            ));
            continue;
        };
        if study.protocol.hash != other.protocol.hash {
            notes.push(text!(
                "\u{201c}{protocol}\u{201d} has other rules, settings, seeds or arms in the \
                 second: its hash differs.",
                "「{protocol}」在后一份报告中的规则、设置、随机种子或方法不同：哈希不同。",
                protocol = study.label(),
            ));
        }
        if study.is_headline() {
            let pairs = findings(a, study).into_iter().zip(findings(b, other));
            for (ours, theirs) in pairs.filter(|(ours, theirs)| ours.claim.id == theirs.claim.id) {
                let claim = claim(&ours.claim.id, &ours.claim.text);
                verdicts.push([
                    within(study.label(), &claim),
                    ours.verdict.name(),
                    theirs.verdict.name(),
                ]);
            }
        }
        for arm in &study.arms {
            let mut others = other.arms.iter();
            if let Some(theirs) = others.find(|theirs| theirs.arm.name == arm.arm.name) {
                arms.push(row([study, other], [arm, theirs]));
            }
        }
    }
    for study in &b.studies {
        let mut ours = a.studies.iter().map(|s| &s.protocol);
        let protocol = &study.protocol;
        if !ours.any(|p| p.hash == protocol.hash || p.name == protocol.name) {
            notes.push(text!(
                "\u{201c}{protocol}\u{201d} is in the second alone.",
                "「{protocol}」只在后一份报告中。",
                protocol = study.label(),
            ));
        }
    }
    let machines = [a, b].map(|e| different(e, |e, kernel| format!("{}, {kernel}", e.processor)));
    if machines[0] != machines[1] {
        let [one, two] =
            machines.map(|all| one_by_one(&all.into_iter().map(Text::from).collect::<Vec<_>>()));
        notes.push(text!(
            "Other machines: {one}; then {two}. Times are not compared.",
            "机器不同：{one}；然后是 {two}。不比较用时。",
            one,
            two,
        ));
    }
    Compared {
        first: first.to_owned(),
        second: second.to_owned(),
        notes,
        verdicts,
        arms,
    }
}

fn row([study, other]: [&Study; 2], [arm, theirs]: [&ArmRuns; 2]) -> Row {
    let by_id: BTreeMap<&RunId, &Run> = theirs.runs.iter().map(|run| (&run.id, run)).collect();
    let (mut paired, mut same, mut fates) = (0, 0, 0);
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for run in &arm.runs {
        let Some(twin) = by_id.get(&run.id) else {
            continue;
        };
        if run.record.is_none() || twin.record.is_none() {
            continue;
        }
        paired += 1;
        let weights = |run: &Run| run.record.as_ref()?.end.as_ref()?.weights_sha256.clone();
        same += usize::from(weights(run).is_some() && weights(run) == weights(twin));
        fates += usize::from(run.state != twin.state);
        let last = |study: &Study, run: &Run| study.test_errors(run)?.last().copied();
        if let Some((a, b)) = last(study, run).zip(last(other, twin)) {
            ours.push(a);
            others.push(b);
        }
    }
    let spread = standard_deviation(&ours) / mean(&ours);
    let difference = relative_difference(&others, &ours);
    let estimate = difference
        .as_ref()
        .and_then(|d| mean_interval(&d.values, 0.95));
    let (outcome, class) = match &estimate {
        _ if paired == 0 => (text!("no run in common", "没有共同的运行"), "open"),
        _ if same == paired => (text!("the same, to the bit", "完全相同，逐位一致"), "for"),
        _ if fates > 0 => (
            text!(
                "{runs} ended otherwise",
                "{runs}的结局不同",
                runs = count(fates, RUN),
            ),
            "against",
        ),
        Some(e) if ours == others => (
            text!("the same errors, other weights", "误差相同，连接权重不同"),
            if e.point == 0.0 { "for" } else { "open" },
        ),
        Some(_) if !spread.is_finite() => (
            text!(
                "changed; one seed does not tell by how much seeds differ",
                "有变化；单个随机种子无从得知种子之间的差异"
            ),
            "open",
        ),
        Some(e) if e.point.abs() <= spread => {
            (text!("changed, within noise", "有变化，在噪声之内"), "open")
        }
        Some(_) => (
            text!("changed, beyond noise", "有变化，超出噪声"),
            "against",
        ),
        None => (text!("no error to compare", "没有可比较的误差"), "open"),
    };
    Row {
        arm: within(study.label(), arm.label()),
        paired: paired.to_string(),
        same: same.to_string(),
        difference: estimate.map_or_else(|| "\u{2013}".into(), |e| interval(&e, percent)),
        spread: match spread.is_finite() {
            true => percent(spread).into(),
            false => "\u{2013}".into(),
        },
        outcome,
        class,
    }
}
