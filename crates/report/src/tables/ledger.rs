use adamix_record::{Claim, Role, RunId, Statistic, Text, text};

use super::differences::FEWEST_TO_TEST;
use super::{Cell, Column, Table, differences, disagreements, final_errors, tuning, words};
use crate::findings::{Finding, findings};
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::{SEED, count, p_value};
use crate::readings::{Change, effects, not_run, reading, side};
use crate::statistics::{holm, sign_flip_p};

/// What each other reading of an open detail says about the claims: the default
/// readings first, then one change after the other.
pub(crate) fn ledger(experiment: &Experiment, changes: &[Change<'_>]) -> Table {
    let claims = &experiment.plan.claims;
    // Within each claim, over all changes that have a p value.
    let adjusted: Vec<Vec<Option<f64>>> = (0..claims.len())
        .map(|claim| {
            let raw: Vec<Option<f64>> = changes
                .iter()
                .map(|change| p(&change.findings[claim]))
                .collect();
            let known: Vec<f64> = raw.iter().copied().flatten().collect();
            let mut adjusted = holm(&known).into_iter();
            raw.into_iter()
                .map(|p| p.and_then(|_| adjusted.next()))
                .collect()
        })
        .collect();
    let mut columns = vec![
        words(text!("detail", "细节")),
        words(text!("reading", "解读")),
    ];
    columns.extend(claims.iter().map(claim_column));
    columns.push(words(text!("source, and how sure", "来源与可靠程度")));
    let caption = text!(
        "The ledger of readings: what changes where one open detail is read in another way and \
         all others stay at their default. Exploratory: it was not fixed which of these rows \
         matters, and there are many of them. p, given from {fewest} seeds on, is the larger of \
         the exact sign-flip p values of the comparisons that the claim needs, Holm-adjusted \
         within the claim over the rows below the default that have one, so it rises as rows come \
         in; it tells no direction. A claim on cost has none, since its intervals are over rounds \
         of timing.",
        "解读一览：某一未明细节换一种解读、其余保持默认时，结论如何变化。属探索性分析：事先并未规定哪一行\
         重要，而行数又多。p 自 {fewest} 个随机种子起给出，取该主张所需各项比较的精确符号翻转 p 值中较大者，并在\
         同一主张内对默认解读以下已有 p 值的各行作 Holm 校正，因此会随行数增加而变大；它不表示方向。关于开销的\
         主张没有 p 值，因为其置信区间取自多次计时。",
        fewest = FEWEST_TO_TEST,
    );
    let mut table = Table::new("ledger", caption, columns);
    for study in experiment.deciding() {
        let mut row = vec![
            text!("All details", "全部细节").into(),
            text!(
                "default ({study})",
                "默认（{study}）",
                study = study.label()
            )
            .into(),
        ];
        let findings = findings(experiment, study);
        row.extend(findings.iter().map(|finding| cell(study, finding, None)));
        row.push(match table.rows.is_empty() {
            true => defaults(experiment),
            false => text!("as above", "同上").into(),
        });
        table.rows.push(row);
    }
    for (i, change) in changes.iter().enumerate() {
        let detail = &experiment.plan.details[change.detail];
        let reading = &detail.readings[change.reading];
        let name = reading.meaning.head();
        let meaning = Some(&reading.meaning).filter(|meaning| **meaning != name);
        let mut row: Vec<Cell> = vec![
            (&detail.label).into(),
            Cell {
                below: meaning.into_iter().cloned().collect(),
                ..match change.study.is_tuned() {
                    true => text!("{name}, tuned", "{name}，调优", name).into(),
                    false => name.into(),
                }
            },
        ];
        let cells = change.findings.iter().enumerate();
        row.extend(cells.map(|(claim, finding)| cell(change.study, finding, adjusted[claim][i])));
        row.push((&reading.source).into());
        table.rows.push(row);
    }
    table
}

/// What the claims come to where several open details are read in another way
/// at once, a row a protocol, with the tables behind it, which lie in files;
/// `None` where no protocol is of that kind.
pub(crate) fn cross(experiment: &Experiment) -> Option<(Table, Vec<Table>)> {
    let several = experiment.studies.iter().filter(|s| s.changed.len() > 1);
    let studies: Vec<&Study> = several.collect();
    let details = &experiment.plan.details;
    let changed = |place: &usize| studies.iter().any(|study| study.changed.contains(place));
    let details: Vec<usize> = (0..details.len()).filter(changed).collect();
    let column = |place: &usize| words(&experiment.plan.details[*place].label);
    let mut columns: Vec<Column> = details.iter().map(column).collect();
    columns.push(words(text!("settings", "设置")));
    columns.extend(experiment.plan.claims.iter().map(claim_column));
    columns.extend([
        words(text!("final errors", "最终误差")),
        words(text!("differences", "差值")),
        words(text!("tuning", "调优")),
    ]);
    let mut table = Table::new(
        "cross",
        text!(
            "Combinations: what the claims come to where two or more open details are read in \
             another way at once. Exploratory, and without p values. Arms whose updates are the \
             same work share one timing. Where something has run, the errors of the arms, their \
             differences from AdaMix and what was tuned lie in files, named in columns of their own.",
            "组合：同时有两个或更多未明细节换一种解读时，各主张的结果。属探索性分析，不给 p 值。更新运算相同的\
             方法共用一次计时。已有运行的组合，其各方法的误差、与 AdaMix 的差值以及调优过程见文件，由单独的列指明。"
        ),
        columns,
    );
    let mut behind = Vec::new();
    for study in studies {
        let readings = details.iter().map(|place| {
            let name = reading(experiment, study, *place)?;
            let reading = &experiment.plan.details[*place].readings[name];
            Some(reading.meaning.head().into())
        });
        let mut row: Vec<Cell> = readings.map(Cell::or_nothing).collect();
        row.push(match study.is_tuned() {
            true => text!("tuned", "调优").into(),
            false => text!("not tuned", "未调优").into(),
        });
        let findings = findings(experiment, study);
        row.extend(findings.iter().map(|finding| cell(study, finding, None)));
        let own = study.only(Role::Adamix).is_some_and(ArmRuns::has_record);
        let tables = [
            own.then(|| final_errors(study)),
            differences(experiment, study, Statistic::FinalError).filter(|_| own),
            tuning(study).filter(|_| study.has_tuned()),
        ];
        for table in tables {
            row.push(Cell::or_nothing(table.as_ref().map(|table| Cell {
                place: Some(format!("tables/{}.csv", table.name)),
                ..Cell::from("CSV")
            })));
            behind.extend(table);
        }
        table.rows.push(row);
    }
    (!table.rows.is_empty()).then_some((table, behind))
}

/// Each detail's default reading with its source.
fn defaults(experiment: &Experiment) -> Cell {
    let first = experiment.plan.details.iter().filter_map(|detail| {
        let reading = detail.readings.first()?;
        Some(text!(
            "{name}: {source}",
            "{name}：{source}",
            name = reading.meaning.head(),
            source = &reading.source,
        ))
    });
    Cell {
        below: first.collect(),
        ..text!("of each default:", "各默认解读：").into()
    }
}

fn claim_column(claim: &Claim) -> Column {
    Column {
        heading: claim_name(claim),
        class: "claim",
    }
}

/// `C1, lower reconstruction error`.
pub(crate) fn claim_name(claim: &Claim) -> Text {
    text!(
        "{id}, {words}",
        "{id}，{words}",
        id = claim.id,
        words = &claim.text
    )
}

/// The p value of a finding: all comparisons must hold, so the largest counts.
fn p(finding: &Finding<'_>) -> Option<f64> {
    if finding.claim.statistic == Statistic::UpdateCost {
        return None;
    }
    let each: Option<Vec<f64>> = finding
        .compared
        .iter()
        .map(|compared| {
            let enough = compared.values.len() >= FEWEST_TO_TEST;
            enough.then(|| sign_flip_p(&compared.values)).flatten()
        })
        .collect();
    each?.into_iter().reduce(f64::max)
}

fn cell(study: &Study, finding: &Finding<'_>, p: Option<f64>) -> Cell {
    if not_run(study, finding.claim) {
        return Cell {
            badge: Some("open"),
            ..text!("not run yet", "尚未运行").into()
        };
    }
    let mut below: Vec<Text> = side(finding).into_iter().chain(effects(finding)).collect();
    if below.is_empty() {
        below.push(finding.effect.clone());
    }
    let disagree = |role: &Role| finding.claim.against.contains(role);
    match finding.claim.statistic {
        Statistic::UpdateCost if disagreements(study).iter().any(|(role, _)| disagree(role)) => {
            below.push(text!(
                "declared and measured disagree",
                "计数开销与实测不一致"
            ));
        }
        Statistic::UpdateCost => {}
        _ => {
            let seeds = finding.compared.iter().map(|it| it.estimate.n).min();
            below.extend(seeds.map(|n| count(n, SEED)));
        }
    }
    below.extend(p.map(|p| Text::same(format!("p {}", p_value(p)))));
    let estimates = finding.compared.iter().map(|compared| compared.estimate);
    Cell {
        badge: Some(finding.class()),
        below,
        values: estimates
            .flat_map(|e| [e.point, e.low, e.high])
            .chain(p)
            .collect(),
        source: (finding.claim.statistic == Statistic::UpdateCost).then_some("cost.json"),
        ..Cell::from(finding.verdict.name())
    }
    .of(&finding
        .runs
        .iter()
        .map(|id| (*id).clone())
        .collect::<Vec<RunId>>())
}
