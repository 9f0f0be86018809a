//! The report for machines: `report.json`, under `report.schema.json`.

use adamix_record::text;
use serde_json::{Value, json};

use crate::Result;
use crate::citation::Citation;
use crate::export;
use crate::figures::{Figure, Figures};
use crate::findings::{Finding, findings};
use crate::load::{Experiment, Study};
use crate::page::{Shown, how_sure};
use crate::readings::{changes, turning};

/// Version of the form, as `report.schema.json` describes it.
const SCHEMA: u32 = 2;

pub(crate) fn json(
    experiment: &Experiment,
    figures: &Figures,
    shown: &Shown<'_>,
) -> Result<String> {
    let plan = &experiment.plan;
    let citation = Citation::of(experiment, &shown.title);
    let claims = plan.claims.iter().enumerate().map(|(place, claim)| {
        let found = experiment.studies.iter().filter_map(|study| {
            let finding = findings(experiment, study).into_iter().nth(place)?;
            Some(self::finding(study, &finding))
        });
        json!({
            "id": claim.id,
            "text": claim.text,
            "rule": claim.rule(),
            "findings": found.collect::<Vec<Value>>(),
        })
    });
    let figure = |figure: &Figure| {
        let files = ["svg", "pdf"].map(|ending| format!("figures/{}.{ending}", figure.name));
        json!({
            "name": figure.name,
            "files": files,
            "title": figure.words.title,
            "caption": figure.words.caption,
            "description": figure.words.description,
            "series": figure.series,
        })
    };
    let turning = turning(experiment, &changes(experiment));
    let sure = match (how_sure(experiment), turning.is_empty()) {
        (sure, true) => sure,
        (sure, false) => text!("{sure} {turning}", "{sure}{turning}", sure, turning),
    };
    let report = json!({
        "$schema": "report.schema.json",
        "schema": SCHEMA,
        "report-id": experiment.id,
        "experiment": plan.name,
        "title": shown.title,
        "command": plan.command,
        "commits": citation.commits,
        "license": ["MIT", "Apache-2.0"],
        "citation": { "bibtex": citation.bibtex, "cff": citation.cff },
        "how-sure": sure,
        "analysis": plan.analysis,
        "claims": claims.collect::<Vec<Value>>(),
        "tables": shown.tables.iter().map(export::json).collect::<Vec<Value>>(),
        "figures": figures.all().map(figure).collect::<Vec<Value>>(),
        "provenance": serde_json::to_value(&shown.provenance)?,
        "notes": experiment.notes,
    });
    let mut text = serde_json::to_string(&export::ordered(&report)?)?;
    text.push('\n');
    Ok(text)
}

/// What one protocol says about one claim.
fn finding(study: &Study, finding: &Finding<'_>) -> Value {
    let effects = finding.compared.iter().map(|compared| {
        let estimate = &compared.estimate;
        json!({
            "against": compared.other.arm.name,
            "point": estimate.point,
            "low": estimate.low,
            "high": estimate.high,
            "n": estimate.n,
        })
    });
    json!({
        "protocol": study.protocol.name,
        "headline": study.is_headline(),
        "pre-registered": study.registration.name().map(|_| study.registration.holds()),
        "verdict": finding.verdict.name(),
        "effect": finding.effect,
        "paragraph": finding.paragraph,
        "effects": effects.collect::<Vec<Value>>(),
        "runs": finding.runs,
    })
}
