//! What the open details decide: every protocol beside the default readings.

use adamix_record::{Claim, Detail, Reading, Role, RunId, Statistic, Text, text};

use crate::findings::{Finding, claimed_arms, compare, findings};
use crate::load::{Experiment, Study};
use crate::number::{in_a_row, listed, one_by_one, percent, ratio};
use crate::statistics::Estimate;
use crate::tables::claim_name;
use crate::verdict::Verdict;

/// A protocol with another reading of one detail, and what it says.
pub(crate) struct Change<'a> {
    /// The detail, by its place in the plan.
    pub(crate) detail: usize,
    /// Its reading, by its place in the detail.
    pub(crate) reading: usize,
    pub(crate) study: &'a Study,
    /// One a claim.
    pub(crate) findings: Vec<Finding<'a>>,
}

/// The protocols that differ from the default in exactly one detail, detail by
/// detail in the plan's order; those that are tuned last.
pub(crate) fn changes(experiment: &Experiment) -> Vec<Change<'_>> {
    let mut changes: Vec<Change<'_>> = experiment
        .studies
        .iter()
        .filter_map(|study| {
            let [detail] = study.changed.as_slice() else {
                return None;
            };
            Some(Change {
                detail: *detail,
                reading: reading(experiment, study, *detail)?,
                study,
                findings: findings(experiment, study),
            })
        })
        .collect();
    changes.sort_by_key(|change| (change.study.is_tuned(), change.detail, change.reading));
    changes
}

/// The reading that a protocol has of a detail, by their places.
pub(crate) fn reading(experiment: &Experiment, study: &Study, detail: usize) -> Option<usize> {
    let detail = experiment.plan.details.get(detail)?;
    let name = study.protocol.readings.get(&detail.name)?;
    detail.readings.iter().position(|r| r.name == *name)
}

/// Whether some arm that the claim compares has no record yet.
pub(crate) fn not_run(study: &Study, claim: &Claim) -> bool {
    if claim.statistic == Statistic::UpdateCost {
        return false;
    }
    claimed_arms(study, claim).is_ok_and(|arms| arms.all().any(|arm| !arm.has_record()))
}

/// What a finding comes to, coarsely: a verdict or, with too few seeds for one,
/// the sign of the estimate.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// Its name.
    Verdict(Text),
    /// Whether AdaMix is lower than, or as fast as, each arm it is compared with.
    Sign(bool),
}

impl Finding<'_> {
    /// Whether AdaMix is below each of the others, by the estimates; `None`
    /// where there is none.
    fn below_all(&self) -> Option<bool> {
        let level = match self.claim.statistic {
            Statistic::UpdateCost => 1.0,
            _ => 0.0,
        };
        let mut compared = self.compared.iter();
        (!self.compared.is_empty()).then(|| compared.all(|c| c.estimate.point < level))
    }

    fn verdict_if_any(&self) -> Option<Text> {
        match self.verdict {
            Verdict::TooFewSeeds { .. } | Verdict::Impossible(_) => None,
            _ => Some(self.verdict.name()),
        }
    }

    /// The answers of two findings in the same terms.
    fn answers(&self, other: &Self) -> Option<[Answer; 2]> {
        if let (Some(ours), Some(other)) = (self.verdict_if_any(), other.verdict_if_any()) {
            return Some([Answer::Verdict(ours), Answer::Verdict(other)]);
        }
        Some([
            Answer::Sign(self.below_all()?),
            Answer::Sign(other.below_all()?),
        ])
    }
}

impl Answer {
    fn words(&self, claim: &Claim) -> Text {
        let all = match claim.against.len() {
            2 => text!("both", "两者"),
            _ => text!("each", "每种方法"),
        };
        match (self, claim.statistic) {
            (Self::Verdict(name), _) => name.clone(),
            (Self::Sign(true), Statistic::UpdateCost) => {
                text!("faster than {all}", "比{all}都快", all)
            }
            (Self::Sign(true), _) => text!("lower than {all}", "低于{all}", all),
            (Self::Sign(false), Statistic::UpdateCost) => {
                text!("not faster than {all}", "并非比{all}都快", all)
            }
            (Self::Sign(false), _) => text!("not lower than {all}", "并非低于{all}", all),
        }
    }

    /// The same, marked where it is no verdict.
    fn marked(&self, claim: &Claim) -> Text {
        let words = self.words(claim);
        match self {
            Self::Verdict(_) => words,
            Self::Sign(_) => text!("by estimate {words}", "按估计值{words}", words),
        }
    }

    /// With what it is the answer of.
    fn with_default(&self, claim: &Claim) -> Text {
        let words = self.words(claim);
        match self {
            Self::Verdict(_) => text!(
                "{words} with the default readings",
                "默认解读下{words}",
                words,
            ),
            Self::Sign(_) => text!(
                "by the estimates, with too few seeds for a verdict, AdaMix is {words} of the \
                 others with the default readings",
                "随机种子太少，不足以判定；按估计值，默认解读下 AdaMix {words}",
                words,
            ),
        }
    }
}

/// With too few seeds for a verdict, on which side the estimates are.
pub(crate) fn side(finding: &Finding<'_>) -> Option<Text> {
    let Verdict::TooFewSeeds { .. } = finding.verdict else {
        return None;
    };
    Some(Answer::Sign(finding.below_all()?).marked(finding.claim))
}

/// One sentence a claim: which open details decide it. Where some protocols
/// are tuned, they are compared among themselves.
pub(crate) fn deciding(experiment: &Experiment, changes: &[Change<'_>]) -> Vec<Text> {
    let of_kind = |tuned: bool| {
        let changes: Vec<&Change<'_>> = changes
            .iter()
            .filter(|change| change.study.is_tuned() == tuned)
            .collect();
        match (tuned, changes.as_slice()) {
            (true, []) => Vec::new(),
            (false, []) if experiment.studies.iter().all(Study::is_tuned) => Vec::new(),
            (_, changes) => deciding_among(experiment, changes, tuned),
        }
    };
    let both = [of_kind(false), of_kind(true)];
    both.concat()
}

fn deciding_among(experiment: &Experiment, changes: &[&Change<'_>], tuned: bool) -> Vec<Text> {
    let plan = &experiment.plan;
    let default = experiment.deciding().find(|s| s.is_tuned() == tuned);
    let default = default.map(|study| findings(experiment, study));
    let claims = plan.claims.iter().enumerate();
    claims
        .map(|(index, claim)| {
            let name = claim_name(claim);
            let name = match tuned {
                true => text!("{name}, settings tuned", "{name}，设置经过调优", name),
                false => name,
            };
            let Some(default) = default.as_ref().map(|findings| &findings[index]) else {
                return text!(
                    "{name}: no protocol has the default readings to compare with.",
                    "{name}：没有采用默认解读的方案可供比较。",
                    name,
                );
            };
            let (mut turned, mut same, mut open) = (Vec::new(), Vec::new(), Vec::new());
            let mut answer = None;
            for (place, detail) in plan.details.iter().enumerate() {
                let label = &detail.label;
                let mut changed = Vec::new();
                let (mut known, mut unknown) = (0, Vec::new());
                for change in changes.iter().filter(|change| change.detail == place) {
                    let finding = &change.findings[index];
                    let reading = detail.readings[change.reading].meaning.head();
                    let Some([new, old]) = finding.answers(default) else {
                        unknown.push(reading);
                        continue;
                    };
                    known += 1;
                    if new != old {
                        let words = new.words(claim);
                        changed.push(text!(
                            "{reading}: {words}",
                            "{reading}：{words}",
                            reading,
                            words
                        ));
                    }
                    answer = answer.or(Some(old));
                }
                let with = |what: Text| text!("{label} ({what})", "{label}（{what}）", label, what);
                if !unknown.is_empty() {
                    open.push(with(listed(&unknown)));
                }
                if !changed.is_empty() {
                    turned.push(with(in_a_row(&changed)));
                } else if known > 0 {
                    same.push(label.clone());
                }
            }
            let Some(answer) = answer else {
                return text!(
                    "{name}: nothing to compare yet.",
                    "{name}：尚无可比较的结果。",
                    name
                );
            };
            let old = answer.with_default(claim);
            let mut sentence = match turned.as_slice() {
                [] => text!(
                    "{name}: {old}; no open detail that was run changes the answer",
                    "{name}：{old}；已运行的未明细节均不改变结论",
                    name,
                    old,
                ),
                turned => text!(
                    "{name}: {old}; the answer hangs on {turned}",
                    "{name}：{old}；结论取决于 {turned}",
                    name,
                    old,
                    turned = listed(turned),
                ),
            };
            if !turned.is_empty() && !same.is_empty() {
                sentence += text!(
                    "; it does not hang on: {same}",
                    "；与下列细节无关：{same}",
                    same = one_by_one(&same),
                );
            }
            if !open.is_empty() {
                sentence += text!(
                    "; without a result yet: {open}",
                    "；尚无结果：{open}",
                    open = listed(&open),
                );
            }
            sentence + text!(".", "。")
        })
        .collect()
}

/// Which readings answer a claim otherwise than the default ones, in a sentence;
/// empty where none does. Of what is not tuned.
pub(crate) fn turning(experiment: &Experiment, changes: &[Change<'_>]) -> Text {
    let plan = &experiment.plan;
    let default = experiment.deciding().find(|study| !study.is_tuned());
    let default = default.map_or_else(Vec::new, |study| findings(experiment, study));
    let turned = default.iter().enumerate().filter_map(|(index, default)| {
        let changes = changes.iter().filter(|change| !change.study.is_tuned());
        // By answer, so that each stands once.
        let mut answers: Vec<(Text, Vec<Text>)> = Vec::new();
        for change in changes {
            let Some([new, old]) = change.findings[index].answers(default) else {
                continue;
            };
            if new == old {
                continue;
            }
            let detail = &plan.details[change.detail];
            let reading = detail.readings[change.reading].meaning.head();
            let answer = new.marked(default.claim);
            match answers.iter_mut().find(|(found, _)| *found == answer) {
                Some((_, readings)) => readings.push(reading),
                None => answers.push((answer, vec![reading])),
            }
        }
        let answers: Vec<Text> = answers
            .iter()
            .map(|(answer, readings)| {
                let readings = in_a_row(readings);
                text!(
                    "{answer}: {readings}",
                    "{answer}：{readings}",
                    answer,
                    readings
                )
            })
            .collect();
        (!answers.is_empty()).then(|| {
            text!(
                "{id} ({answers})",
                "{id}（{answers}）",
                id = &default.claim.id,
                answers = one_by_one(&answers),
            )
        })
    });
    let turned: Vec<Text> = turned.collect();
    match turned.as_slice() {
        [] => Text::default(),
        turned => text!(
            "Other readings of the paper, with nothing tuned for them, point elsewhere: {turned}.",
            "对论文的其他解读（未为其调优任何设置）指向不同的结果：{turned}。",
            turned = one_by_one(turned),
        ),
    }
}

/// The whole cross of the details in which protocols differ two or more at a
/// time, as a grid.
pub(crate) struct Cross<'a> {
    /// The details that the rows and, last, the columns run over.
    pub(crate) details: Vec<&'a Detail>,
    /// The readings that each row stands for.
    pub(crate) rows: Vec<Vec<&'a Reading>>,
    pub(crate) columns: Vec<&'a Reading>,
    /// Row by row.
    pub(crate) cells: Vec<Vec<CrossCell>>,
}

/// A combination of readings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CrossCell {
    NotPlanned,
    /// No estimate, since no seed has ended in all arms that are compared.
    NotRun,
    Known {
        /// The largest of the relative differences of the final test error.
        difference: Estimate,
        /// Whether a run that is compared diverged.
        diverged: bool,
        /// The runs that are compared.
        runs: Vec<RunId>,
    },
}

/// The cross of the protocols that are tuned, or of those that are not;
/// `None` where none of them differs in two details.
pub(crate) fn cross(experiment: &Experiment, tuned: bool) -> Option<Cross<'_>> {
    let plan = &experiment.plan;
    let several = |study: &&Study| study.is_tuned() == tuned && study.changed.len() > 1;
    let crossed: Vec<usize> = (0..plan.details.len())
        .filter(|detail| {
            let mut studies = experiment.studies.iter().filter(several);
            studies.any(|study| study.changed.contains(detail))
        })
        .collect();
    let readings = |detail: usize| 0..plan.details[detail].readings.len();
    // The columns run over the detail with the most readings but the first.
    let column = crossed.iter().skip(1).max_by_key(|d| readings(**d).len());
    let column = column.or(crossed.first())?;
    let over_rows: Vec<usize> = crossed.iter().copied().filter(|d| d != column).collect();
    // Every combination of the rows' readings, the first detail slowest.
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for detail in &over_rows {
        rows = rows
            .iter()
            .flat_map(|row| {
                readings(*detail).map(move |reading| {
                    let mut row = row.clone();
                    row.push(reading);
                    row
                })
            })
            .collect();
    }
    let cell = |row: &[usize], reading_of_column: usize| {
        let wanted = |study: &&Study| {
            let inside =
                study.is_tuned() == tuned && study.changed.iter().all(|d| crossed.contains(d));
            let mut pairs = over_rows
                .iter()
                .zip(row)
                .chain([(column, &reading_of_column)]);
            inside && pairs.all(|(d, r)| reading(experiment, study, *d) == Some(*r))
        };
        // Of several protocols with the same readings, one that has a result.
        let studies = experiment.studies.iter().filter(wanted);
        let mut cells = studies.map(|study| known(experiment, study));
        let first = cells.next().unwrap_or(CrossCell::NotPlanned);
        match first {
            CrossCell::NotRun => cells.find(|c| *c != CrossCell::NotRun).unwrap_or(first),
            _ => first,
        }
    };
    let named = |detail: usize, reading: usize| &plan.details[detail].readings[reading];
    Some(Cross {
        details: over_rows
            .iter()
            .chain([column])
            .map(|detail| &plan.details[*detail])
            .collect(),
        cells: rows
            .iter()
            .map(|row| {
                readings(*column)
                    .map(|reading| cell(row, reading))
                    .collect()
            })
            .collect(),
        rows: rows
            .iter()
            .map(|row| {
                let names = over_rows.iter().zip(row);
                names
                    .map(|(detail, reading)| named(*detail, *reading))
                    .collect()
            })
            .collect(),
        columns: readings(*column)
            .map(|reading| named(*column, reading))
            .collect(),
    })
}

/// Roles that the cross compares AdaMix with: those of the claim on the final
/// error.
pub(crate) fn crossed_roles(experiment: &Experiment) -> Vec<Role> {
    experiment
        .claim_on(Statistic::FinalError)
        .map_or_else(|| vec![Role::Adagrad, Role::Adadec], |c| c.against.clone())
}

fn known(experiment: &Experiment, study: &Study) -> CrossCell {
    let last = |errors: &[f64]| errors.last().copied();
    let found = || {
        let ours = study.only(Role::Adamix)?;
        let mut diverged = ours.diverged() > 0;
        let mut runs = study.counted(ours);
        let mut largest: Option<Estimate> = None;
        for role in crossed_roles(experiment) {
            let other = study.only(role)?;
            diverged |= other.diverged() > 0;
            runs.extend(study.counted(other));
            let difference = compare(study, ours, other, last)?.estimate;
            if largest.is_none_or(|largest| difference.point > largest.point) {
                largest = Some(difference);
            }
        }
        let difference = largest.filter(|largest| largest.point.is_finite())?;
        Some(CrossCell::Known {
            difference,
            diverged,
            runs,
        })
    };
    found().unwrap_or(CrossCell::NotRun)
}

/// The effect beside each arm, a line each.
pub(crate) fn effects(finding: &Finding<'_>) -> Vec<Text> {
    let compared = finding.compared.iter();
    compared
        .map(|compared| {
            let write = match finding.claim.statistic {
                Statistic::UpdateCost => ratio,
                _ => percent,
            };
            text!(
                "{effect} against {other}",
                "{effect}，对比 {other}",
                effect = crate::number::interval(&compared.estimate, write),
                other = compared.other.label(),
            )
        })
        .collect()
}
