//! Whether the rules of a protocol were fixed before its runs.
//!
//! [`Protocol::hash`](adamix_record::Protocol::hash) covers the claims' rules,
//! the settings, the seeds, the arms and the tuning, and stands in the header
//! of every record. A record counts for a protocol in one of two ways.
//!
//! - It carries the protocol's own hash: all of that stood as it stands now
//!   when the record was written.
//! - It is shared: another protocol of the same plan lists the same run, and
//!   the record carries that one's hash, which covers the same claims' rules and
//!   this very run. It does not cover the choice of the arms and seeds to
//!   compare, so at least one record must carry the protocol's own hash.
//!
//! Any other record was written under rules that are not known here.

use std::collections::{BTreeMap, BTreeSet};

use adamix_record::{Plan, RunId};

use crate::load::{Run, Study};
use crate::number::{count, listed};

/// Under which hashes the records of a protocol were written. Records of a
/// protocol's tuning count too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Registration {
    hash: String,
    /// Records that carry the protocol's own hash.
    own: usize,
    /// Records that carry the hash of another protocol which lists the same
    /// run, by that protocol's label.
    shared: BTreeMap<String, usize>,
    /// Planned runs without a record.
    outstanding: usize,
    /// Records that carry any other hash.
    pub(crate) foreign: Vec<RunId>,
}

impl Registration {
    pub(crate) fn of(plan: &Plan, study: &Study) -> Self {
        let protocol = &study.protocol;
        let mut found = Self {
            hash: protocol.hash.clone(),
            ..Self::default()
        };
        let mut seen = BTreeSet::new();
        for run in study.all_runs() {
            if !seen.insert(&run.id) {
                continue;
            }
            let Some(hash) = written_under(run) else {
                found.outstanding += 1;
                continue;
            };
            if *hash == protocol.hash {
                found.own += 1;
                continue;
            }
            let lender = plan.protocols.iter().find(|other| {
                let tuned = other.tuning.iter().flat_map(|tuning| tuning.runs());
                other.hash == *hash && other.runs.iter().chain(tuned).any(|r| r.run_id == run.id)
            });
            match lender {
                Some(lender) => *found.shared.entry(lender.label.en.clone()).or_default() += 1,
                None => found.foreign.push(run.id.clone()),
            }
        }
        found
    }

    fn records(&self) -> usize {
        self.own + self.shared.values().sum::<usize>() + self.foreign.len()
    }

    /// Whether the verdicts may be called pre-registered.
    pub(crate) fn holds(&self) -> bool {
        self.own > 0 && self.foreign.is_empty()
    }

    /// The short form of the hash.
    pub(crate) fn short_hash(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }

    /// Whether no record can show anything yet.
    fn is_open(&self) -> bool {
        let borrowed = self.own == 0 && self.foreign.is_empty();
        self.records() == 0 || borrowed && self.outstanding > 0
    }

    /// What the hashes say, in a word or two; `None` where no record says
    /// anything yet.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self.is_open() {
            true => None,
            _ if self.holds() => Some("fixed before the first run"),
            _ => Some("not pre-registered"),
        }
    }

    /// What the hashes say, in full.
    pub(crate) fn sentence(&self) -> String {
        let hash = self.short_hash();
        let records = self.records();
        if self.is_open() {
            return format!(
                "No record of its own yet. The rules, settings, seeds and arms have the hash {hash}\u{2026}; \
                 every record will carry the one it was written under."
            );
        }
        let shared: Vec<String> = self
            .shared
            .iter()
            .map(|(label, n)| {
                format!(
                    "{n} {} by the protocol \u{201c}{label}\u{201d} too and {} its hash, which \
                     covers the same rules of the claims and the settings and seeds of these runs",
                    if *n == 1 { "is listed" } else { "are listed" },
                    carry(*n),
                )
            })
            .collect();
        let own = format!(
            "{} of {} {} it",
            self.own,
            count(records, "record"),
            carry(self.own)
        );
        let found = std::iter::once(own).chain(shared);
        let found = found.collect::<Vec<_>>().join("; ");
        if self.holds() {
            return format!("Fixed before the first run (hash {hash}\u{2026}): {found}.");
        }
        if self.foreign.is_empty() {
            return format!(
                "Not pre-registered: nothing shows that this choice of arms and seeds (hash \
                 {hash}\u{2026}) was fixed before the runs, for {found}."
            );
        }
        let ids: Vec<&str> = self.foreign.iter().map(RunId::as_str).collect();
        format!(
            "Not pre-registered (hash {hash}\u{2026}): {found}; {} written under other \
             rules, settings, seeds or arms, or by another experiment: {}. The verdicts stand, \
             but these records do not show that their rules were fixed first.",
            match ids.len() {
                1 => "1 was".to_owned(),
                n => format!("{n} were"),
            },
            listed(&ids)
        )
    }
}

fn carry(n: usize) -> &'static str {
    if n == 1 { "carries" } else { "carry" }
}

fn written_under(run: &Run) -> Option<&String> {
    run.record.as_ref().map(|r| &r.header.protocol_hash)
}
