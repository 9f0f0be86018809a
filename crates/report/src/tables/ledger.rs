use adamix_record::Statistic;
use serde::Serialize;

use super::NOTHING;
use crate::findings::{Finding, findings};
use crate::load::{Experiment, Study};
use crate::number::p_value;
use crate::readings::{Change, effects, not_run, side};
use crate::statistics::{holm, sign_flip_p};

/// What each other reading of an open detail says about the claims.
#[derive(Serialize)]
pub(crate) struct Ledger {
    pub(crate) caption: String,
    /// Ids and words of the claims, a column each.
    pub(crate) claims: Vec<String>,
    pub(crate) rows: Vec<LedgerRow>,
}

/// One reading.
#[derive(Serialize)]
pub(crate) struct LedgerRow {
    pub(crate) detail: String,
    pub(crate) reading: String,
    pub(crate) meaning: String,
    pub(crate) source: String,
    /// One a claim.
    pub(crate) cells: Vec<LedgerCell>,
}

/// What one reading says about one claim.
#[derive(Serialize)]
pub(crate) struct LedgerCell {
    pub(crate) verdict: &'static str,
    /// Class of the badge's colour.
    pub(crate) class: &'static str,
    /// A line for each arm that is compared.
    pub(crate) effects: Vec<String>,
    /// The adjusted p value.
    pub(crate) p: String,
}

/// The ledger: the default readings first, then one change after the other.
pub(crate) fn ledger(experiment: &Experiment, changes: &[Change<'_>]) -> Ledger {
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
    let mut rows: Vec<LedgerRow> = experiment
        .deciding()
        .map(|study| LedgerRow {
            detail: "All details".into(),
            reading: format!("default ({})", study.label()),
            meaning: "the first reading of each".into(),
            source: NOTHING.into(),
            cells: findings(experiment, study)
                .iter()
                .map(|finding| cell(study, finding, None))
                .collect(),
        })
        .collect();
    rows.extend(changes.iter().enumerate().map(|(i, change)| {
        let detail = &experiment.plan.details[change.detail];
        let reading = &detail.readings[change.reading];
        let cells = change.findings.iter().enumerate();
        LedgerRow {
            detail: detail.label.en.clone(),
            reading: match change.study.is_tuned() {
                true => format!("{}, tuned", reading.name),
                false => reading.name.clone(),
            },
            meaning: reading.meaning.en.clone(),
            source: reading.source.en.clone(),
            cells: cells
                .map(|(claim, finding)| cell(change.study, finding, adjusted[claim][i]))
                .collect(),
        }
    }));
    let seeds = changes.iter().map(|c| c.study.protocol.seeds.len());
    let floor = seeds.max().filter(|seeds| *seeds < 10).map(|seeds| {
        format!(
            " From {seeds} seeds no p value can be below {}, before any adjustment.",
            p_value(2.0 / 2_f64.powi(seeds as i32))
        )
    });
    Ledger {
        caption: format!(
            "The ledger of readings: what changes where one open detail is read in another way \
             and all others stay at their default. Exploratory: it was not fixed which of these \
             rows matters, and there are many of them. p is the larger of the exact sign-flip p \
             values of the comparisons that the claim needs, Holm-adjusted within the claim over \
             the rows below the default; a claim on cost has none, since its intervals are over \
             rounds of timing.{}",
            floor.unwrap_or_default()
        ),
        claims: claims
            .iter()
            .map(|claim| format!("{}, {}", claim.id, claim.text.en))
            .collect(),
        rows,
    }
}

/// The p value of a finding: all comparisons must hold, so the largest counts.
fn p(finding: &Finding<'_>) -> Option<f64> {
    if finding.claim.statistic == Statistic::UpdateCost {
        return None;
    }
    let each: Option<Vec<f64>> = finding
        .compared
        .iter()
        .map(|compared| sign_flip_p(&compared.values))
        .collect();
    each?.into_iter().reduce(f64::max)
}

fn cell(study: &Study, finding: &Finding<'_>, p: Option<f64>) -> LedgerCell {
    if not_run(study, finding.claim) {
        return LedgerCell {
            verdict: "not run yet",
            class: "open",
            effects: Vec::new(),
            p: String::new(),
        };
    }
    let mut effects: Vec<String> = side(finding).into_iter().chain(effects(finding)).collect();
    if effects.is_empty() {
        effects.push(finding.effect.clone());
    }
    LedgerCell {
        verdict: finding.verdict.name(),
        class: finding.class(),
        effects,
        p: p.map_or_else(String::new, |p| format!("p {}", p_value(p))),
    }
}
