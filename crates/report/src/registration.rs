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

use adamix_record::{Plan, Protocol, RunId, Text, text};

use crate::load::{Run, Study};
use crate::number::{RECORD, count, listed, one_by_one};

/// Foreign records that are named at most.
const FEW: usize = 3;

/// Under which hashes the records of a protocol were written. Records of a
/// protocol's tuning count too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Registration {
    hash: String,
    /// Records that carry the protocol's own hash.
    own: usize,
    /// Records that carry the hash of another protocol which lists the same
    /// run, by that protocol's English label.
    shared: BTreeMap<String, (Text, usize)>,
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
                Some(Protocol { label, .. }) => {
                    let shared = found.shared.entry(label.en.clone());
                    shared.or_insert_with(|| (label.clone(), 0)).1 += 1;
                }
                None => found.foreign.push(run.id.clone()),
            }
        }
        found
    }

    fn records(&self) -> usize {
        self.own + self.shared.values().map(|(_, n)| n).sum::<usize>() + self.foreign.len()
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
    pub(crate) fn name(&self) -> Option<Text> {
        match self.is_open() {
            true => None,
            _ if self.holds() => Some(text!("all under these rules", "全部依据这些规则")),
            _ => Some(text!("not pre-registered", "未预先登记")),
        }
    }

    /// What the hashes say, in full.
    pub(crate) fn sentence(&self) -> Text {
        let hash = self.short_hash();
        let records = self.records();
        if self.is_open() {
            return text!(
                "No record of its own yet. The rules, settings, seeds and arms have the hash \
                 {hash}\u{2026}; every record will carry the one it was written under.",
                "本方案尚无记录。规则、设置、随机种子和各方法的哈希为 {hash}\u{2026}；每份记录都将带有\
                 写入时所依据的哈希。",
                hash,
            );
        }
        let shared = self.shared.values().map(|(label, n)| {
            text!(
                "{n} {listed} by the protocol \u{201c}{label}\u{201d} too and {carry} its hash, \
                 which covers the same rules of the claims and the settings and seeds of these runs",
                "{n} {listed}“{label}”方案，{carry}其哈希，该哈希涵盖同样的主张规则以及这些运行的设置与随机种子",
                n,
                listed = match *n {
                    1 => text!("is listed", "份同时列入"),
                    _ => text!("are listed", "份同时列入"),
                },
                carry = carry(*n),
                label,
            )
        });
        let own = text!(
            "{own} of {records} {carry} it",
            "{records} 中有 {own} 份{carry}此哈希",
            own = self.own,
            records = count(records, RECORD),
            carry = carry(self.own),
        );
        let found: Vec<Text> = std::iter::once(own).chain(shared).collect();
        let found = one_by_one(&found);
        if self.holds() {
            return text!(
                "All records were written under these rules (hash {hash}\u{2026}): {found}. The \
                 hash covers neither the claims' wording nor how time is taken, and tells no date; \
                 that the rules stood before the runs can be checked in the history of the commits.",
                "全部记录都依据这些规则写入（哈希 {hash}\u{2026}）：{found}。哈希不涵盖主张的措辞与计时方法，也不含日期；规则是否先于运行，可由提交历史核对。",
                hash,
                found,
            );
        }
        if self.foreign.is_empty() {
            return text!(
                "Not pre-registered: nothing shows that this choice of arms and seeds (hash \
                 {hash}\u{2026}) was fixed before the runs, for {found}.",
                "未预先登记：没有证据表明所比较的方法与随机种子（哈希 {hash}\u{2026}）在运行之前已固定，因为 {found}。",
                hash,
                found,
            );
        }
        let mut ids: Vec<Text> = self.foreign.iter().map(|id| id.as_str().into()).collect();
        let foreign = ids.len();
        if foreign > FEW {
            ids.truncate(FEW);
            ids.push(text!("{n} more", "另外 {n} 份", n = foreign - FEW));
        }
        text!(
            "Not pre-registered (hash {hash}\u{2026}): {found}; {foreign} written under other \
             rules, settings, seeds or arms, or by another experiment: {ids}. The verdicts stand, \
             but these records do not show that their rules were fixed first.",
            "未预先登记（哈希 {hash}\u{2026}）：{found}；{foreign}是在其他规则、设置、随机种子或方法之下，\
             或由另一实验写入的：{ids}。判定仍然有效，但这些记录不能证明规则在先。",
            hash,
            found,
            foreign = match foreign {
                1 => text!("1 was", "1 份"),
                n => text!("{n} were", "{n} 份", n),
            },
            ids = listed(&ids),
        )
    }
}

fn carry(n: usize) -> Text {
    match n {
        1 => text!("carries", "带有"),
        _ => text!("carry", "带有"),
    }
}

fn written_under(run: &Run) -> Option<&String> {
    run.record.as_ref().map(|r| &r.header.protocol_hash)
}
