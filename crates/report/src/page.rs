//! The page and the summary for a terminal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use adamix_record::{
    Backend, Claim as Rule, Comparison, DataIdentity, Role, RunId, SEMANTICS_VERSION, Statistic,
    Text, canonical_json, text,
};
use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, Value};
use serde::Serialize;

use crate::Result;
use crate::citation::Citation;
use crate::export::{Download, downloads};
use crate::figures::{Figure, Figures, ProtocolFigures};
use crate::findings::{Finding, control_paragraphs, findings, like_control, uncounted};
use crate::load::{ArmRuns, Experiment, Run, State, Study};
use crate::number::{
    self, ARM, EPOCH, Noun, RUN, SEED, TUNING_RUN, bound, count, grouped, in_a_row, listed,
    one_by_one, slug,
};
use crate::provenance::Provenance;
use crate::readings::{changes, deciding, reading, turning};
use crate::statistics::RESAMPLES;
use crate::tables::{self, Cell as TableCell, Column, Table};

const TEMPLATE: &str = include_str!("../templates/index.html");
pub(crate) const STYLE: &str = include_str!("../templates/style.css");
pub(crate) const SCRIPT: &str = include_str!("../templates/page.js");

/// Everything that the template shows.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    /// What the script needs to know of the arms, as JSON.
    arms: &'a str,
    /// And of the curves.
    curves: String,
    title: Text,
    tested: Text,
    /// What the short names of arms stand for.
    short_names: Text,
    claims: Vec<Claim<'a>>,
    protocols: Vec<Protocol<'a>>,
    /// Number of protocols that decide and have begun, and so stand side by side
    /// at the top.
    shown: usize,
    /// A sentence on each that decides and has not begun.
    not_begun: Vec<Text>,
    /// Of the intervals that decide.
    confidence: String,
    /// How the claims are decided, in plain words.
    rules: Vec<Text>,
    /// Which readings answer a claim otherwise.
    turning: Text,
    sure: Text,
    runs_line: Text,
    readings: Option<Readings<'a>>,
    costs: Vec<Cost<'a>>,
    /// Ids of the claims about each statistic, in brackets.
    claimed: Claimed,
    mean_image_error: Option<String>,
    reference: Vec<TableView>,
    analysis: Analysis<'a>,
    assumptions: TableView,
    checklist: TableView,
    artifacts: TableView,
    coverage: TableView,
    resamples: String,
    notes: &'a [Text],
    data: &'a DataIdentity,
    name: &'a str,
    command: &'a str,
    numerics: u32,
    settings: Vec<(Text, String)>,
    environments: TableView,
    runs: TableView,
    tuning_runs: Option<TableView>,
    /// The runs behind the numbers, as JSON.
    provenance: String,
    /// The tables' files, by the tables' names.
    downloads: BTreeMap<String, Vec<Download>>,
    /// And what is in them, compressed.
    archive: String,
    id: &'a str,
    citation: &'a Citation,
}

#[derive(Serialize)]
struct Claimed {
    final_error: Text,
    mean_error: Text,
    update_cost: Text,
}

/// The experiment's own text in paragraphs.
#[derive(Serialize)]
struct Analysis<'a> {
    en: Vec<&'a str>,
    zh: Vec<&'a str>,
}

/// A claim with what each headline protocol says about it.
#[derive(Serialize)]
struct Claim<'a> {
    id: &'a str,
    text: &'a Text,
    cells: Vec<Cell>,
    /// The findings in full: protocols that come to the same, on a cost say,
    /// share one.
    found: Vec<Found>,
}

/// A finding in full.
#[derive(Serialize)]
struct Found {
    labels: Vec<Text>,
    /// The same as one text.
    protocols: Text,
    cell: Cell,
}

/// What one protocol says about one claim, or neighbours that say the same.
#[derive(Clone, Serialize)]
struct Cell {
    protocol: Text,
    /// How many protocols.
    protocols: usize,
    verdict: Text,
    /// Class of the badge's colour.
    class: &'static str,
    /// Whether the rules were fixed first; `None` where no record says
    /// anything yet.
    registered: Option<bool>,
    effect: Text,
    paragraph: Text,
    /// Ids of the runs behind it, and their places among all.
    runs: Vec<String>,
    places: String,
    /// The file behind it, where it is no run.
    source: Option<&'static str>,
}

/// One headline protocol.
#[derive(Serialize)]
struct Protocol<'a> {
    slug: String,
    label: &'a Text,
    /// Whether it holds the arms that some claim compares.
    decides: bool,
    /// Whether it stands at the top.
    at_top: bool,
    /// Whether some run of its arms has a record.
    has_runs: bool,
    progress: Text,
    hash: &'a str,
    registration: Text,
    figures: &'a ProtocolFigures,
    /// Place of the run behind the pictures of each arm.
    pictured: BTreeMap<&'a str, String>,
    notes: Vec<Text>,
    final_errors: Option<TableView>,
    final_differences: Option<TableView>,
    convergence: Option<TableView>,
    area_differences: Option<TableView>,
    /// Name of the table of all curves, which is in files only.
    curves: Option<String>,
    control: Vec<Text>,
    ablation: Option<TableView>,
    tuning: Option<TableView>,
}

/// What the open details decide.
#[derive(Serialize)]
struct Readings<'a> {
    deciding: Vec<Text>,
    ledger: TableView,
    maps: Vec<&'a Figure>,
    /// Of those with another reading of one detail and some run.
    cells: Vec<ReadingCell>,
    cross: Option<TableView>,
}

/// The evidence of a protocol with other readings than the default.
#[derive(Serialize)]
struct ReadingCell {
    /// Its label, what differs from the default, and what it says of the claims.
    heading: Text,
    registration: Text,
    claims: Vec<(String, Cell)>,
    notes: Vec<Text>,
    final_errors: TableView,
    final_differences: Option<TableView>,
    area_differences: Option<TableView>,
    ablation: Option<TableView>,
    tuning: Option<TableView>,
}

/// The cost of the arms of protocols that share it.
#[derive(Serialize)]
struct Cost<'a> {
    /// Empty where there is only one.
    protocols: Text,
    disagreements: Vec<Text>,
    declared: TableView,
    measured: TableView,
    roofline: Option<&'a Figure>,
}

/// A table as the template shows it.
#[derive(Clone, Serialize)]
struct TableView {
    name: String,
    caption: Text,
    columns: Vec<Column>,
    rows: Vec<RowView>,
    /// Whether the table of the runs shows what is behind it.
    traced: bool,
    /// Columns without any value, which stand in the files alone.
    left_out: Option<Text>,
}

#[derive(Clone, Serialize)]
struct RowView {
    /// Places of the runs behind all its cells that have any.
    runs: String,
    cells: Vec<CellView>,
}

#[derive(Clone, Serialize)]
struct CellView {
    text: Text,
    badge: Option<&'static str>,
    below: Vec<Text>,
    /// Places of the runs behind it, where they are not those of the row or
    /// not all that is behind it.
    runs: String,
    source: Option<&'static str>,
    place: Option<String>,
}

/// Takes the tables of the page down as they are shown.
struct Shelf<'a> {
    provenance: Provenance<'a>,
    tables: RefCell<Vec<Table>>,
}

impl Shelf<'_> {
    fn show(&self, table: Table) -> TableView {
        let empty = |column: usize| {
            let mut cells = table.rows.iter().filter_map(|row| row.get(column));
            !table.rows.is_empty() && cells.all(|cell| cell.text.en == tables::NOTHING)
        };
        let (left_out, kept): (Vec<usize>, Vec<usize>) =
            (0..table.columns.len()).partition(|column| empty(*column));
        let heading = |column: &usize| table.columns[*column].heading.clone();
        let left_out: Vec<Text> = left_out.iter().map(heading).collect();
        let keep = |row: &Vec<TableCell>| -> Vec<TableCell> {
            kept.iter()
                .filter_map(|column| row.get(*column).cloned())
                .collect()
        };
        let view = TableView {
            name: table.name.clone(),
            caption: table.caption.clone(),
            columns: kept
                .iter()
                .map(|column| table.columns[*column].clone())
                .collect(),
            rows: table.rows.iter().map(|row| self.row(&keep(row))).collect(),
            left_out: (!left_out.is_empty()).then(|| {
                text!(
                    "No value yet: {columns}.",
                    "尚无数值：{columns}。",
                    columns = in_a_row(&left_out)
                )
            }),
            traced: table
                .rows
                .iter()
                .flatten()
                .any(|cell| !cell.runs.is_empty())
                && !["runs", "tuning-runs"].contains(&table.name.as_str()),
        };
        self.tables.borrow_mut().push(table);
        view
    }

    /// Takes a table down that lies beside the page only, and gives its name.
    fn keep(&self, table: Table) -> String {
        let name = table.name.clone();
        self.tables.borrow_mut().push(table);
        name
    }

    fn show_any(&self, table: Option<Table>) -> Option<TableView> {
        table.map(|table| self.show(table))
    }

    fn row(&self, cells: &[TableCell]) -> RowView {
        let places = cells.iter().map(|cell| self.provenance.places(&cell.runs));
        let places: Vec<String> = places.collect();
        let mut some = places.iter().filter(|places| !places.is_empty());
        let shared = some
            .next()
            .filter(|first| some.all(|other| other == *first));
        let shared = shared.cloned().unwrap_or_default();
        RowView {
            cells: cells
                .iter()
                .zip(places)
                .map(|(cell, runs)| CellView {
                    text: cell.text.clone(),
                    badge: cell.badge,
                    below: cell.below.clone(),
                    runs: if shared.is_empty() || cell.source.is_some() {
                        runs
                    } else {
                        String::new()
                    },
                    source: cell.source,
                    place: cell.place.clone(),
                })
                .collect(),
            runs: shared,
        }
    }
}

/// What the page and the machine-readable report share.
pub(crate) struct Shown<'a> {
    pub(crate) html: String,
    pub(crate) title: Text,
    pub(crate) tables: Vec<Table>,
    pub(crate) provenance: Provenance<'a>,
}

/// The page, and what is in it.
pub(crate) fn show<'a>(
    experiment: &'a Experiment,
    figures: &Figures,
    provenance: Provenance<'a>,
) -> Result<Shown<'a>> {
    let plan = &experiment.plan;
    let shelf = Shelf {
        provenance,
        tables: RefCell::default(),
    };
    let title = title(experiment);
    let citation = Citation::of(experiment, &title);
    let headline = experiment.headline().zip(&figures.protocols);
    let mut page = Page {
        style: STYLE,
        script: SCRIPT,
        arms: &figures.arms,
        curves: figures.curves(),
        title: title.clone(),
        tested: tested(experiment),
        short_names: short_names(experiment),
        claims: claims(experiment, &shelf),
        protocols: headline
            .map(|(study, figures)| protocol(experiment, study, figures, &shelf))
            .collect(),
        shown: begun(experiment).len(),
        not_begun: not_begun(experiment),
        confidence: bound(confidence(experiment)),
        rules: rules(experiment),
        turning: turning(experiment, &changes(experiment)),
        sure: how_sure(experiment),
        runs_line: match experiment.backend {
            None => runs_line(experiment) + text!(".", "。"),
            Some(backend) => text!(
                "{runs}; computed by {backend}.",
                "{runs}；由{backend}计算。",
                runs = runs_line(experiment),
                backend = self::backend(backend),
            ),
        },
        readings: readings(experiment, figures, &shelf),
        costs: costs(experiment, figures, &shelf),
        claimed: Claimed {
            final_error: claimed(experiment, Statistic::FinalError),
            mean_error: claimed(experiment, Statistic::MeanError),
            update_cost: claimed(experiment, Statistic::UpdateCost),
        },
        mean_image_error: experiment
            .anchors
            .as_ref()
            .map(|anchors| number::error(anchors.mean_image_test_error)),
        reference: tables::reference(experiment)
            .into_iter()
            .flatten()
            .map(|table| shelf.show(table))
            .collect(),
        analysis: Analysis {
            en: paragraphs(&plan.analysis.en),
            zh: paragraphs(&plan.analysis.zh),
        },
        assumptions: shelf.show(tables::assumptions(experiment)),
        checklist: shelf.show(tables::checklist(experiment)),
        artifacts: shelf.show(tables::artifacts(experiment)),
        coverage: shelf.show(tables::coverage()),
        resamples: grouped(RESAMPLES as u64),
        notes: &experiment.notes,
        data: &plan.data,
        name: &plan.name,
        command: &plan.command,
        numerics: numerics(experiment),
        settings: settings(experiment)?,
        environments: shelf.show(tables::environments(experiment)),
        runs: shelf.show(tables::runs(experiment)),
        tuning_runs: shelf.show_any(tables::tuning_runs(experiment)),
        provenance: shelf.provenance.json()?,
        downloads: BTreeMap::new(),
        archive: String::new(),
        id: &experiment.id,
        citation: &citation,
    };
    let tables = shelf.tables.into_inner();
    (page.downloads, page.archive) = downloads(&tables)?;
    let mut environment = Environment::new();
    add_both(&mut environment);
    environment.add_function("number", numbering());
    environment.add_template("index.html", TEMPLATE)?;
    let template = environment.get_template("index.html")?;
    let html = template.render(Serde(&page))?;
    Ok(Shown {
        html,
        title,
        tables,
        provenance: shelf.provenance,
    })
}

/// Lets a template write texts in both languages.
pub(crate) fn add_both(environment: &mut Environment<'_>) {
    environment.add_filter("both", both);
    environment.add_function("both", |en: &str, zh: &str| in_both(en, zh));
}

/// Numbers figures and tables in the order in which they stand in the page.
fn numbering() -> impl Fn(&str) -> Value {
    let (figures, tables) = (AtomicUsize::new(1), AtomicUsize::new(1));
    move |kind| {
        let (en, zh, next) = match kind {
            "figure" => ("Figure", "图", &figures),
            _ => ("Table", "表", &tables),
        };
        let n = next.fetch_add(1, Ordering::Relaxed);
        in_both(&format!("{en} {n}."), &format!("{zh} {n}."))
    }
}

/// A text in both languages, of which the style shows one; what is the same in
/// both stands once.
fn both(value: &Value) -> Value {
    let form = |key: &str| {
        let form = value.get_attr(key).ok()?;
        Some(HtmlEscape(form.as_str()?).to_string())
    };
    match (form("en"), form("zh")) {
        (Some(en), Some(zh)) => in_both(&en, &zh),
        _ => Value::from_safe_string(HtmlEscape(&value.to_string()).to_string()),
    }
}

/// The same of markup.
fn in_both(en: &str, zh: &str) -> Value {
    Value::from_safe_string(match en == zh {
        true => en.to_owned(),
        false => format!("<span lang=\"en\">{en}</span><span lang=\"zh-Hans\">{zh}</span>"),
    })
}

/// The protocols that decide and of which something has run, or all that decide
/// where nothing has.
pub(crate) fn begun(experiment: &Experiment) -> Vec<&Study> {
    let deciding: Vec<&Study> = experiment.deciding().collect();
    let some: Vec<&Study> = deciding.iter().copied().filter(|s| s.has_runs()).collect();
    if some.is_empty() { deciding } else { some }
}

/// A sentence on each protocol that decides and has not begun.
pub(crate) fn not_begun(experiment: &Experiment) -> Vec<Text> {
    let begun = begun(experiment);
    let waiting = experiment
        .deciding()
        .filter(|study| !begun.iter().any(|begun| std::ptr::eq(*begun, *study)));
    let sentence = |study: &Study| {
        text!(
            "\u{201c}{label}\u{201d} gives no verdict on errors yet: {progress}.",
            "“{label}”对误差尚无判定：{progress}。",
            label = study.label(),
            progress = study.progress(),
        )
    };
    waiting.map(sentence).collect()
}

/// How the claims are decided, in plain words: claims of one rule together.
fn rules(experiment: &Experiment) -> Vec<Text> {
    let mut groups: Vec<(Vec<Text>, &Rule)> = Vec::new();
    for claim in &experiment.plan.claims {
        let id = Text::same(&claim.id);
        let same = |(_, rule): &&mut (Vec<Text>, &Rule)| {
            let without = |c: &Rule| Rule {
                id: String::new(),
                text: Text::default(),
                statistic: Statistic::FinalError,
                ..c.clone()
            };
            without(rule) == without(claim)
        };
        match groups.iter_mut().find(same) {
            Some((ids, _)) => ids.push(id),
            None => groups.push((vec![id], claim)),
        }
    }
    groups
        .iter()
        .flat_map(|(ids, claim)| rule(&listed(ids), claim))
        .collect()
}

fn rule(ids: &Text, claim: &Rule) -> Vec<Text> {
    let (level, high) = (
        bound(claim.confidence),
        bound(claim.contradiction_confidence),
    );
    let margin = bound(claim.margin);
    match claim.comparison {
        Comparison::PairedRelative => vec![
            text!(
                "{ids}: the difference in error is taken seed by seed, AdaMix minus the other arm, \
                 in per cent of the other's mean; below 0 AdaMix is better.",
                "{ids}：误差之差按随机种子逐一取得，为 AdaMix 减另一方法，以后者均值的百分比表示；小于 0 表示 AdaMix 更好。",
                ids
            ),
            text!(
                "Reproduced: the {level} Student interval lies below \u{2212}{margin} against every arm \
                 that the claim names.",
                "已复现：对主张中指明的每种方法，{level} 的 Student 置信区间都在 \u{2212}{margin} 以下。",
                level,
                margin
            ),
            text!(
                "Contradicted: against any of them the {high} interval lies above +{margin}; the level \
                 is higher because each of them has a chance to contradict.",
                "与主张相反：只要对其中某一种，{high} 的置信区间在 +{margin} 以上；每种方法都可能使主张被否定，因此取更高的置信水平。",
                high,
                margin
            ),
            text!(
                "No practical difference: all {level} intervals lie within \u{b1}{margin}. Else \
                 undecided.",
                "无实际差异：各 {level} 置信区间都在 \u{b1}{margin} 之内。其余情形：尚无定论。",
                level,
                margin
            ),
            text!(
                "Too few seeds: fewer than {seeds} have ended in both arms, and there is an estimate \
                 but no verdict.",
                "随机种子太少：在两种方法中都已结束的不足 {seeds} 个，只有估计值，不作判定。",
                seeds = claim.fewest_seeds
            ),
        ],
        Comparison::DeclaredAndMeasured => vec![
            text!(
                "{ids}: the cost of one update, declared (operations, bytes of state, bytes moved) \
                 and measured (time of AdaMix divided by that of the other arm).",
                "{ids}：一次更新的开销，分计数开销（运算次数、状态字节数、读写字节数）与实测用时（AdaMix 除以另一方法）。",
                ids
            ),
            text!(
                "Reproduced: AdaMix is lowest or tied in every declared figure and lowest in one, \
                 and every {level} interval of the time ratio lies below 1. Contradicted: one \
                 {high} interval lies above 1. Else undecided. It rests on rounds of timing, not on \
                 seeds, so that it needs none.",
                "已复现：AdaMix 的各项计数开销最低或并列最低，至少一项最低，且用时之比的各 {level} 置信区间都在 1 以下。\
                 与主张相反：有一个 {high} 置信区间在 1 以上。其余情形：尚无定论。该判定取自多次计时，与随机种子无关。",
                level,
                high
            ),
        ],
    }
}

/// The claims, each with one cell a headline protocol.
fn claims<'a>(experiment: &'a Experiment, shelf: &Shelf<'_>) -> Vec<Claim<'a>> {
    let claims = experiment.plan.claims.iter();
    let mut claims: Vec<Claim<'_>> = claims
        .map(|claim| Claim {
            id: &claim.id,
            text: &claim.text,
            cells: Vec::new(),
            found: Vec::new(),
        })
        .collect();
    for study in begun(experiment) {
        for (claim, finding) in claims.iter_mut().zip(findings(experiment, study)) {
            let cell = cell(study, finding, shelf);
            let same = |found: &&mut Found| {
                found.cell.paragraph == cell.paragraph && found.cell.registered == cell.registered
            };
            let label = study.label().clone();
            match claim.found.iter_mut().find(same) {
                Some(found) => {
                    found.labels.push(label);
                    found.protocols = listed(&found.labels);
                }
                None => claim.found.push(Found {
                    protocols: label.clone(),
                    labels: vec![label],
                    cell: cell.clone(),
                }),
            }
            match claim.cells.last_mut() {
                Some(last)
                    if last.effect == cell.effect
                        && last.places == cell.places
                        && last.verdict == cell.verdict
                        && last.registered == cell.registered =>
                {
                    last.protocols += 1;
                    last.protocol = text!(
                        "{first}; {second}",
                        "{first}；{second}",
                        first = &last.protocol,
                        second = &cell.protocol,
                    );
                }
                _ => claim.cells.push(cell),
            }
        }
    }
    let shown = begun(experiment).len();
    for cell in claims.iter_mut().flat_map(|claim| &mut claim.cells) {
        if cell.protocols > 1 && cell.protocols == shown {
            cell.protocol = text!("each of them", "每种方案");
        }
    }
    claims
}

fn cell(study: &Study, finding: Finding<'_>, shelf: &Shelf<'_>) -> Cell {
    let registration = &study.registration;
    Cell {
        protocol: study.short_label(),
        protocols: 1,
        verdict: finding.verdict.name(),
        class: finding.class(),
        registered: registration.name().map(|_| registration.holds()),
        runs: finding.runs.iter().map(|id| id.to_string()).collect(),
        places: shelf.provenance.places(finding.runs.iter().copied()),
        source: (finding.claim.statistic == Statistic::UpdateCost).then_some("cost.json"),
        effect: finding.effect,
        paragraph: finding.paragraph,
    }
}

/// What keeps arms of a protocol from having an estimate, a sentence each.
fn notes(study: &Study) -> Vec<Text> {
    let uncounted = study.arms.iter().filter_map(|arm| uncounted(study, arm));
    uncounted.map(|why| why + text!(".", "。")).collect()
}

fn protocol<'a>(
    experiment: &'a Experiment,
    study: &'a Study,
    figures: &'a ProtocolFigures,
    shelf: &Shelf<'_>,
) -> Protocol<'a> {
    let differences = |statistic| shelf.show_any(tables::differences(experiment, study, statistic));
    Protocol {
        slug: slug(&study.protocol.name),
        label: study.label(),
        decides: experiment
            .deciding()
            .any(|deciding| std::ptr::eq(deciding, study)),
        at_top: begun(experiment)
            .iter()
            .any(|begun| std::ptr::eq(*begun, study)),
        has_runs: study.has_runs(),
        progress: study.progress(),
        hash: &study.protocol.hash,
        registration: study.registration.sentence(),
        figures,
        pictured: figures
            .reconstructions
            .iter()
            .flat_map(|shown| &shown.figure.series)
            .filter_map(|of| Some((of.arm.as_deref()?, shelf.provenance.places(&of.runs))))
            .collect(),
        notes: notes(study),
        final_errors: shelf.show_any(study.has_runs().then(|| tables::final_errors(study))),
        final_differences: differences(Statistic::FinalError),
        convergence: shelf.show_any(tables::convergence(study)),
        area_differences: differences(Statistic::MeanError),
        curves: tables::curves(study).map(|table| shelf.keep(table)),
        control: control_paragraphs(experiment, study),
        ablation: shelf.show_any(tables::ablation(study)),
        tuning: shelf.show_any(tables::tuning(study)),
    }
}

/// `None` where the plan has no open detail.
fn readings<'a>(
    experiment: &'a Experiment,
    figures: &'a Figures,
    shelf: &Shelf<'_>,
) -> Option<Readings<'a>> {
    if experiment.plan.details.is_empty() {
        return None;
    }
    let changes = changes(experiment);
    // Where AdaMix has no run, all that is known stands in the ledger.
    let begun = changes.iter().map(|change| change.study).filter(|study| {
        let ours = study.only(Role::Adamix);
        ours.is_some_and(ArmRuns::has_record) || study.has_tuned()
    });
    Some(Readings {
        deciding: deciding(experiment, &changes),
        ledger: shelf.show(tables::ledger(experiment, &changes)),
        maps: [&figures.readings, &figures.tuned_readings]
            .into_iter()
            .flatten()
            .collect(),
        cells: begun
            .map(|study| reading_cell(experiment, study, shelf))
            .collect(),
        cross: tables::cross(experiment).map(|(table, behind)| {
            behind.into_iter().for_each(|table| drop(shelf.keep(table)));
            shelf.show(table)
        }),
    })
}

fn reading_cell(experiment: &Experiment, study: &Study, shelf: &Shelf<'_>) -> ReadingCell {
    let differs = study.changed.iter().filter_map(|place| {
        let detail = experiment.plan.details.get(*place)?;
        let reading = &detail.readings[reading(experiment, study, *place)?];
        Some(reading.meaning.head())
    });
    let differs = in_a_row(&differs.collect::<Vec<_>>());
    let findings = findings(experiment, study);
    let verdicts: Vec<Text> = findings
        .iter()
        .map(|finding| {
            let (id, verdict) = (&finding.claim.id, finding.verdict.name());
            text!("{id} {verdict}", "{id} {verdict}", id, verdict)
        })
        .collect();
    let mut heading = study.label().clone();
    if !heading.en.contains(&differs.en) {
        heading += text!(" ({differs})", "（{differs}）", differs);
    }
    if !verdicts.is_empty() {
        let verdicts = one_by_one(&verdicts);
        heading += text!(": {verdicts}", "：{verdicts}", verdicts);
    }
    let differences = |statistic| shelf.show_any(tables::differences(experiment, study, statistic));
    ReadingCell {
        heading,
        registration: study.registration.sentence(),
        claims: findings
            .into_iter()
            .map(|finding| (finding.claim.id.clone(), cell(study, finding, shelf)))
            .collect(),
        notes: notes(study)
            .into_iter()
            .chain(
                tables::disagreements(study)
                    .into_iter()
                    .map(|(_, text)| text),
            )
            .collect(),
        final_errors: shelf.show(tables::final_errors(study)),
        final_differences: differences(Statistic::FinalError),
        area_differences: differences(Statistic::MeanError),
        ablation: shelf.show_any(tables::ablation(study)),
        tuning: shelf.show_any(tables::tuning(study)),
    }
}

/// One entry for headline protocols whose arms cost the same.
fn costs<'a>(experiment: &Experiment, figures: &'a Figures, shelf: &Shelf<'_>) -> Vec<Cost<'a>> {
    let Some(cost) = &experiment.cost else {
        return Vec::new();
    };
    let alike = tables::alike_in_cost(experiment);
    let alone = alike.len() == 1;
    alike
        .iter()
        .zip(&figures.rooflines)
        .filter_map(|(studies, roofline)| {
            let study = *studies.first()?;
            let labels: Vec<&Text> = studies.iter().map(|study| study.label()).collect();
            Some(Cost {
                protocols: if alone {
                    Text::default()
                } else {
                    listed(&labels)
                },
                disagreements: tables::disagreements(study)
                    .into_iter()
                    .map(|(_, text)| text)
                    .collect(),
                declared: shelf.show(tables::declared(study)),
                measured: shelf.show(tables::measured(study, cost)),
                roofline: roofline.as_ref(),
            })
        })
        .collect()
}

/// ` (C1)`: the claims about a statistic, for a heading.
fn claimed(experiment: &Experiment, statistic: Statistic) -> Text {
    let claims = experiment.plan.claims.iter();
    let ids: Vec<Text> = claims
        .filter(|claim| claim.statistic == statistic)
        .map(|claim| claim.id.as_str().into())
        .collect();
    match ids.as_slice() {
        [] => Text::default(),
        ids => text!(" ({ids})", "（{ids}）", ids = in_a_row(ids)),
    }
}

/// What is set, with a heading each: of every headline protocol for all arms,
/// then arm by arm.
fn settings(experiment: &Experiment) -> Result<Vec<(Text, String)>> {
    let mut settings = Vec::new();
    let alone = experiment.headline().count() == 1;
    for study in experiment.headline() {
        let protocol = &study.protocol;
        let named = |what: Text| match alone {
            true => what,
            false => text!(
                "{study}: {what}",
                "{study}：{what}",
                study = study.label(),
                what
            ),
        };
        let all = text!("All arms", "全部方法");
        settings.push((named(all), pretty(&protocol.settings)?));
        for arm in &protocol.arms {
            let mut label = arm.label.clone();
            if study
                .arms
                .iter()
                .any(|a| a.arm.name == arm.name && study.in_tuning(a).is_some())
            {
                label += text!(
                    " (of what is tuned, these values only hold the place)",
                    "（待调优的取值仅为占位）"
                );
            }
            let weights = text!("{label}, weights", "{label}，连接权重", label = &label);
            let biases = text!("{label}, biases", "{label}，偏置", label = &label);
            settings.push((named(weights), pretty(&arm.weights)?));
            settings.push((named(biases), pretty(&arm.biases)?));
        }
    }
    Ok(settings)
}

/// Plain text for a terminal: the runs, then one line a claim for each headline
/// protocol.
pub(crate) fn summary(experiment: &Experiment) -> String {
    let mut text = format!(
        "{}\n  {}\n  {}\n",
        title(experiment).en,
        plan_and_state(experiment).en,
        runs_line(experiment).en
    );
    let alone = experiment.deciding().count() == 1;
    for study in experiment.deciding() {
        let findings = findings(experiment, study);
        let width = |texts: Vec<&str>| texts.iter().map(|text| text.chars().count()).max();
        let claims = findings
            .iter()
            .map(|finding| finding.claim.text.en.as_str());
        let claims = width(claims.collect()).unwrap_or(0);
        let names: Vec<Text> = findings.iter().map(|f| f.verdict.name()).collect();
        let verdicts = width(names.iter().map(|name| name.en.as_str()).collect()).unwrap_or(0);
        if !alone {
            text += &format!("  {}\n", study.label().en);
        }
        for finding in &findings {
            let claim = &finding.claim;
            text += &format!(
                "  {} {:claims$}  {:verdicts$}  {}\n",
                claim.id,
                claim.text.en,
                finding.verdict.name().en,
                finding.effect.en,
            );
        }
        if study.registration.name().is_some() && !study.registration.holds() {
            text += "  not pre-registered: some records were written under another hash\n";
        }
    }
    if !experiment.plan.details.is_empty() {
        for sentence in deciding(experiment, &changes(experiment)) {
            text += &format!("  {}\n", sentence.en);
        }
    }
    text
}

/// The experiment's title; what is not MNIST says so.
pub(crate) fn title(experiment: &Experiment) -> Text {
    let plan = &experiment.plan;
    let (title, data) = (&plan.title, plan.data.name.to_uppercase());
    if experiment.is_mnist() || title.en.contains(&data) {
        title.clone()
    } else {
        text!("{data}: {title}", "{data}：{title}", data, title)
    }
}

/// What was tested, in a few sentences.
fn tested(experiment: &Experiment) -> Text {
    let studies = shown_studies(experiment);
    // What differs between protocols is given for each of them.
    let each = |figure: &dyn Fn(&Study) -> Text| {
        let mut found: Vec<Text> = Vec::new();
        for figure in studies.iter().map(|study| figure(study)) {
            if !found.contains(&figure) {
                found.push(figure);
            }
        }
        Text::join(&found, " or ", "或 ")
    };
    let sizes = each(&|study| {
        let sizes = study.protocol.layer_sizes.iter();
        let sizes: Vec<String> = sizes.map(usize::to_string).collect();
        sizes.join("-").into()
    });
    let code = each(&|study| match study.protocol.layer_sizes.last() {
        Some(code) => code.to_string().into(),
        None => text!("a few", "若干"),
    });
    let control = match studies.iter().find_map(|study| study.only(Role::Control)) {
        Some(_) => text!(
            " The control has AdaMix's rates of the biases and plain gradient descent on the weights.",
            "对照组的偏置采用 AdaMix 的学习率，连接权重采用普通梯度下降。"
        ),
        None => Text::default(),
    };
    let pre_trained = studies.iter().any(|s| s.protocol.pre_training_epochs > 0);
    let pre_training = match pre_trained {
        true => text!(
            " after pre-training as restricted Boltzmann machines (RBM)",
            "，事先作为受限玻尔兹曼机（RBM）逐层预训练"
        ),
        false => Text::default(),
    };
    text!(
        "AdaMix (He and Li 2016, known to us by its abstract only) is a learning-rate strategy: a \
         connection weight's rate depends on its current gradient only, a bias's is \
         power-exponential. Each method, or arm, trains the same deep autoencoder ({sizes} units \
         and back) to squeeze images of {data} into {code} numbers and rebuild them: {epochs} \
         (passes over {train} images){pre_training}, once a seed (which fixes every random \
         draw).{control} Planned: {state}.{others} Measured is the reconstruction error: the squared \
         difference from the image, summed over pixels, averaged over {test} test images; lower is \
         better.",
        "AdaMix（贺昱曜、李宝奇 2016，我们只知道其摘要）是一种学习率策略：连接权重的学习率仅与当前梯度有关，\
         偏置的学习率为幂指数型。每种方法都训练同一个深度自编码器（{sizes} 个单元，再逆序还原），把 {data} 的图像\
         压缩为 {code} 个数、再由这些数重构：训练 {epochs}（一轮即遍历 {train} 幅图像一次）{pre_training}，每个随机种子\
         （决定全部随机抽取）一次。{control}计划：{state}。{others}衡量指标是重构误差：与原图像之差的平方，按像素求和，再对 \
         {test} 幅测试图像取平均；越低越好。",
        sizes,
        data = data(experiment),
        code,
        epochs = each(&|study| count(study.epochs() as usize, EPOCH)),
        train = each(&|study| grouped(study.protocol.train_images as u64).into()),
        pre_training,
        control,
        state = plan_and_state(experiment),
        others = other_readings(experiment),
        test = each(&|study| grouped(study.protocol.test_images as u64).into()),
    )
}

/// The data set, with what its images show where that is known.
fn data(experiment: &Experiment) -> Text {
    let name = experiment.plan.data.name.to_uppercase();
    match name.as_str() {
        "MNIST" => text!("MNIST (handwritten digits)", "MNIST（手写数字）"),
        "CURVES" => text!("CURVES (drawn curves)", "CURVES（绘出的曲线）"),
        _ => name.into(),
    }
}

/// What is planned under each headline protocol, or under each where there is
/// none, and how far it is.
pub(crate) fn plan_and_state(experiment: &Experiment) -> Text {
    let one = |study: &Study| {
        text!(
            "\u{201c}{label}\u{201d} ({arms}, {seeds}; {progress})",
            "“{label}”（{arms}、{seeds}；{progress}）",
            label = study.label(),
            arms = count(study.arms.len(), ARM),
            seeds = count(study.protocol.seeds.len(), SEED),
            progress = study.progress(),
        )
    };
    match shown_studies(experiment).as_slice() {
        [only] => text!(
            "{arms}, {seeds}; {progress}",
            "{arms}、{seeds}；{progress}",
            arms = count(only.arms.len(), ARM),
            seeds = count(only.protocol.seeds.len(), SEED),
            progress = only.progress(),
        ),
        several => listed(&several.iter().map(|study| one(study)).collect::<Vec<_>>()),
    }
}

/// How many protocols read open details in another way, and how far they are, in
/// a sentence with a space before it.
fn other_readings(experiment: &Experiment) -> Text {
    let others = || experiment.studies.iter().filter(|s| !s.changed.is_empty());
    let one = others().filter(|study| study.changed.len() == 1).count();
    let several = others().count() - one;
    if one + several == 0 {
        return Text::default();
    }
    let whole = |study: &&Study| {
        let chosen = study.arms.iter().all(|arm| study.in_tuning(arm).is_none());
        chosen && study.runs().all(|run| run.state.has_ended())
    };
    text!(
        " Beside them an open detail is read in another way, one at a time in {one} protocols and \
         two or more at once in {several}; {whole} of these are complete.",
        "此外，未明细节换用其他解读：{one} 个方案每次改变一项，{several} 个方案同时改变两项或更多；其中 {whole} 个已全部运行。",
        one,
        several,
        whole = others().filter(whole).count(),
    )
}

/// The headline protocols, or all where there is none.
fn shown_studies(experiment: &Experiment) -> Vec<&Study> {
    match experiment.headline().next() {
        Some(_) => experiment.headline().collect(),
        None => experiment.studies.iter().collect(),
    }
}

/// What W, B and SGD in the names of arms stand for, where they stand there.
fn short_names(experiment: &Experiment) -> Text {
    let arms = experiment.headline().flat_map(|study| &study.arms);
    let words: Vec<&str> = arms
        .flat_map(|arm| arm.label().en.split(|c: char| !c.is_alphanumeric()))
        .collect();
    let reading = |word: &&str| {
        let number = word.strip_prefix(['W', 'B']);
        number.is_some_and(|number| number.len() == 1 && number.chars().all(|c| c.is_ascii_digit()))
    };
    let mut names = Text::default();
    if words.iter().any(reading) {
        names += text!(
            " W, B with a number: our readings of its rates of weights, of biases.",
            "W、B 加数字：我们对其连接权重、偏置学习率的解读。"
        );
    }
    if words.contains(&"SGD") {
        names += text!(" SGD: stochastic gradient descent.", "SGD：随机梯度下降。");
    }
    names
}

/// The version of the numerics that computed the records; that of this program
/// where there is none.
fn numerics(experiment: &Experiment) -> u32 {
    let mut runs = experiment.studies.iter().flat_map(Study::all_runs);
    runs.find_map(|run| Some(run.record.as_ref()?.header.semantics))
        .unwrap_or(SEMANTICS_VERSION)
}

fn confidence(experiment: &Experiment) -> f64 {
    let claims = &experiment.plan.claims;
    claims.first().map_or(0.95, |claim| claim.confidence)
}

/// What the intervals cover, and what they do not.
pub(crate) fn how_sure(experiment: &Experiment) -> Text {
    let few = by_design(experiment);
    let alike: Vec<Text> = begun(experiment)
        .into_iter()
        .filter(|study| like_control(experiment, study))
        .map(|study| study.label().clone())
        .collect();
    let control = match alike.is_empty() {
        true => Text::default(),
        false => text!(
            " By its final error AdaMix cannot be told from its control ({protocols}), so what is \
             found there may be about plain gradient descent.",
            "就最终误差而言，AdaMix 与其对照无法区分（{protocols}），因此那里的结果可能只是关于普通梯度下降的结论。",
            protocols = listed(&alike),
        ),
    };
    let choice = match begun(experiment).iter().any(|study| study.is_tuned()) {
        true => text!(
            ", nor, where settings were tuned, the noise of that choice",
            "，在设置经过调优之处也不涵盖该选择的偶然性"
        ),
        false => Text::default(),
    };
    text!(
        "All arms of a seed share one start and one order of images, so they are compared seed by \
         seed. Intervals of errors cover the chance of the seeds at {confidence}, those of times \
         the rounds of one session; none covers our reading of the paper, whose formulas and \
         constants we do not know (see the assumptions){choice}.{few}{control}",
        "同一随机种子下，所有方法的起点与图像顺序都相同，因此按随机种子逐一比较。误差的置信区间以 {confidence} 的水平\
         涵盖随机种子带来的偶然性，用时的置信区间涵盖同一时段内的各次计时；它们都不涵盖我们对论文的解读，论文的公式与常数我们并不知道（见“假设”一节）{choice}。{few}{control}",
        confidence = bound(confidence(experiment)),
        choice,
        few,
        control,
    )
}

/// Which protocol has too few seeds planned for a verdict on errors, if one has.
pub(crate) fn by_design(experiment: &Experiment) -> Text {
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
    match (few.first(), needed) {
        (Some(study), Some(needed)) => text!(
            " With {seeds} {which} gives estimates of errors and no verdict on them, which needs \
             {needed}.",
            "{which}只有 {seeds}，因此给出误差的估计值而不作判定，判定需要 {needed} 个。",
            seeds = count(study.protocol.seeds.len(), SEED),
            which = match experiment.deciding().count() {
                1 => text!("this page", "本页"),
                _ => text!(
                    "the protocol \u{201c}{study}\u{201d}",
                    "“{study}”方案",
                    study = study.label(),
                ),
            },
            needed,
        ),
        _ => Text::default(),
    }
}

/// `30 runs planned: 29 completed, 1 failed`; runs of the tuning apart.
pub(crate) fn runs_line(experiment: &Experiment) -> Text {
    let studies = || experiment.studies.iter();
    let mut parts = vec![states(RUN, studies().flat_map(Study::runs))];
    let more = unchosen(experiment);
    if more > 0 {
        parts.push(text!(
            "{more} more when their settings are chosen",
            "另有 {more}待其设置选定",
            more = count(more, RUN),
        ));
    }
    if studies().any(|study| study.tuning_runs().next().is_some()) {
        parts.push(states(TUNING_RUN, studies().flat_map(Study::tuning_runs)));
    }
    one_by_one(&parts)
}

/// Runs whose ids are known only when their settings are chosen.
pub(crate) fn unchosen(experiment: &Experiment) -> usize {
    let studies = experiment.studies.iter();
    let arms = studies.flat_map(|study| study.arms.iter().map(move |arm| (study, arm)));
    let unchosen = arms.filter(|(study, arm)| study.in_tuning(arm).is_some());
    unchosen.map(|(study, _)| study.protocol.seeds.len()).sum()
}

fn states<'a>(what: Noun, runs: impl Iterator<Item = &'a Run>) -> Text {
    // Shared by arms or protocols, a run counts once.
    let runs: Vec<&Run> = runs.collect();
    let all = runs.len();
    let runs = runs.into_iter();
    let runs: BTreeMap<&RunId, &State> = runs.map(|run| (&run.id, &run.state)).collect();
    let kind = |state: &State| match state {
        State::Completed => 0,
        State::Stopped { .. } => 1,
        State::Diverged { .. } => 2,
        State::Failed { .. } => 3,
        State::Running { .. } => 4,
        State::Missing => 5,
    };
    let names = [
        text!("completed", "完成"),
        text!("stopped early", "提前停止"),
        text!("diverged", "发散"),
        text!("failed", "失败"),
        text!("still running", "仍在运行"),
        text!("missing", "缺失"),
    ];
    let counts: Vec<Text> = names
        .iter()
        .enumerate()
        .map(|(place, name)| (runs.values().filter(|s| kind(s) == place).count(), name))
        .filter(|(n, _)| *n > 0)
        .map(|(n, name)| text!("{n} {name}", "{name} {n} 次", n, name))
        .collect();
    let mut planned = count(runs.len(), what);
    if runs.len() < all {
        planned += text!(" (shared ones counted once)", "（共用的只计一次）");
    }
    match counts.as_slice() {
        [] => text!("{planned} planned", "计划 {planned}", planned),
        counts => text!(
            "{planned} planned: {counts}",
            "计划 {planned}：{counts}",
            planned,
            counts = in_a_row(counts),
        ),
    }
}

fn backend(backend: Backend) -> Text {
    match backend {
        Backend::Cpu => text!("the processor (CPU)", "处理器（CPU）"),
        Backend::Cuda => text!("a graphics processor (CUDA)", "图形处理器（CUDA）"),
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
