//! The claims: evidence from a protocol, the verdict on it, and both in words.
//! And the control arm, which can take the ground from under all of them.

use adamix_record::{Claim, Role, RunId, Statistic, UpdateCost, UpdateTimes};

use crate::load::{ArmRuns, Experiment, Run, State, Study};
use crate::number::{bound, count, grouped, interval, listed, percent, ratio, significant};
use crate::statistics::{
    Difference, Estimate, MOST_SEEDS, area_under_curve, mean_interval, median, relative_difference,
};
use crate::verdict::{
    CostComparison, Evidence, Verdict, contradicting_interval, deciding_interval, verdict,
};

/// A claim of the paper and what the records of one protocol say about it.
pub(crate) struct Finding<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) verdict: Verdict,
    /// One entry for each arm that AdaMix is compared with, in the claim's
    /// order; empty where no verdict is possible.
    pub(crate) compared: Vec<Compared<'a>>,
    /// The effect in one line.
    pub(crate) effect: String,
    /// The finding in full.
    pub(crate) paragraph: String,
    /// The runs behind the numbers.
    pub(crate) runs: Vec<&'a RunId>,
}

/// AdaMix beside one arm.
pub(crate) struct Compared<'a> {
    pub(crate) other: &'a ArmRuns,
    /// The effect with the claim's deciding interval: a relative difference,
    /// or of [`Statistic::UpdateCost`] a ratio of times.
    pub(crate) estimate: Estimate,
    /// What it is the mean of: one value a seed, or one a round of timing.
    pub(crate) values: Vec<f64>,
}

/// One figure of the cost of an update.
pub(crate) type CostFigure = fn(&UpdateCost) -> f64;

/// The declared figures of cost, as [`CostComparison::declared`] orders them.
pub(crate) const DECLARED: [(&str, CostFigure); 3] = [
    ("arithmetic operations", UpdateCost::arithmetic),
    ("bytes of state", UpdateCost::bytes_of_state),
    ("bytes moved", UpdateCost::bytes_moved),
];

/// A figure of the test errors by epoch, from the start on.
pub(crate) type ErrorFigure = fn(&[f64]) -> Option<f64>;

/// The figure of the errors that a statistic compares; `None` for a cost.
pub(crate) fn error_figure(statistic: Statistic) -> Option<ErrorFigure> {
    match statistic {
        Statistic::FinalError => Some(|errors| errors.last().copied()),
        Statistic::MeanError => Some(area_under_curve),
        Statistic::UpdateCost => None,
    }
}

/// The finding on every claim of the plan.
pub(crate) fn findings<'a>(experiment: &'a Experiment, study: &'a Study) -> Vec<Finding<'a>> {
    let claims = experiment.plan.claims.iter();
    claims.map(|claim| finding(study, claim)).collect()
}

fn finding<'a>(study: &'a Study, claim: &'a Claim) -> Finding<'a> {
    let arms = claimed_arms(study, claim);
    let evidence = match (&arms, error_figure(claim.statistic)) {
        (Err(why), _) => Evidence::Absent(why.clone()),
        (Ok(arms), Some(figure)) => error_evidence(study, arms, figure),
        (Ok(arms), None) => cost_evidence(arms),
    };
    let verdict = verdict(claim, &evidence);
    let mut finding = Finding {
        claim,
        verdict,
        compared: Vec::new(),
        effect: String::new(),
        paragraph: String::new(),
        runs: Vec::new(),
    };
    let Ok(arms) = arms else {
        return finding.impossible();
    };
    finding.compared = match &evidence {
        Evidence::Errors(differences) => compared(claim, &arms, differences, |d| &d.values),
        Evidence::Costs(costs) => compared(claim, &arms, costs, |c| &c.ratios),
        Evidence::Absent(_) => Vec::new(),
    };
    if finding.compared.is_empty() {
        return finding.impossible();
    }
    match &evidence {
        Evidence::Costs(costs) => finding.describe_costs(&arms, costs),
        _ => finding.describe_errors(study, &arms),
    }
    finding
}

fn compared<'a, T>(
    claim: &Claim,
    arms: &Claimed<'a>,
    evidence: &[T],
    values: impl Fn(&T) -> &Vec<f64>,
) -> Vec<Compared<'a>> {
    let pairs = arms.others.iter().zip(evidence);
    let compared = pairs.map(|(other, evidence)| {
        let values = values(evidence);
        Some(Compared {
            other,
            estimate: deciding_interval(claim, values)?,
            values: values.clone(),
        })
    });
    compared.collect::<Option<_>>().unwrap_or_default()
}

impl Finding<'_> {
    /// Class of the verdict's colour.
    pub(crate) fn class(&self) -> &'static str {
        match self.verdict {
            Verdict::Reproduced => "for",
            Verdict::Contradicted => "against",
            _ => "open",
        }
    }

    fn impossible(mut self) -> Self {
        if let Verdict::Impossible(why) = &self.verdict {
            self.effect.clone_from(why);
            self.paragraph = format!("No verdict is possible: {why}.");
        }
        self
    }

    fn describe_costs(&mut self, arms: &Claimed<'_>, costs: &[CostComparison]) {
        let label = |i: usize| arms.others[i].label();
        let numbers = |i: usize| interval(&self.compared[i].estimate, ratio);
        let declared: Vec<String> = DECLARED
            .iter()
            .enumerate()
            .map(|(figure, (name, _))| {
                let others: Vec<String> = costs
                    .iter()
                    .enumerate()
                    .map(|(i, cost)| {
                        format!("{} {}", label(i), significant(cost.declared[figure].1))
                    })
                    .collect();
                let ours = significant(costs[0].declared[figure].0);
                format!("{name} {ours} ({})", others.join(", "))
            })
            .collect();
        let all = 0..costs.len();
        let effect: Vec<String> = all
            .clone()
            .map(|i| format!("{} of {}'s", numbers(i), label(i)))
            .collect();
        let measured: Vec<String> = all
            .map(|i| format!("{} against {}", numbers(i), label(i)))
            .collect();
        let measured: Vec<&str> = measured.iter().map(String::as_str).collect();
        let (confidence, contradiction) = (
            bound(self.claim.confidence),
            bound(self.claim.contradiction_confidence),
        );
        let reason = match self.verdict {
            Verdict::Reproduced => {
                "AdaMix is lowest or tied in every declared figure and lowest in at least one, \
                 and every measured interval lies below 1: the claim is reproduced here."
                    .to_owned()
            }
            Verdict::Contradicted => format!(
                "A measured interval lies above 1 at {contradiction}, the level for a claim that \
                 falls if any comparison goes against it: the claim is contradicted here."
            ),
            _ => format!(
                "No measured interval lies above 1 at {contradiction}, but the claim needs AdaMix \
                 lowest or tied in every declared figure, lowest in one, and every measured \
                 interval below 1: undecided."
            ),
        };
        self.effect = format!("update time {}", effect.join("; "));
        self.paragraph = format!(
            "Declared cost of one update, per parameter, counted by running the rule: {}. \
             Measured time of one update of all parameters (cost.json), AdaMix divided by the \
             other arm, paired by round: {}, with {confidence} intervals over {} of timing, not seeds. \
             {reason}{}",
            declared.join("; "),
            listed(&measured),
            count(costs[0].ratios.len(), "round"),
            share_of_a_step(arms.ours),
        );
    }
}

impl<'a> Finding<'a> {
    fn describe_errors(&mut self, study: &'a Study, arms: &Claimed<'a>) {
        let measure = match self.claim.statistic {
            Statistic::MeanError => {
                "The mean test error over the epochs (the area under the error curve)"
            }
            _ => "The final test error",
        };
        let numbers = |compared: &Compared<'_>| interval(&compared.estimate, percent);
        let differs: Vec<String> = self
            .compared
            .iter()
            .map(|compared| {
                format!(
                    "from that of {} by {} over {}",
                    compared.other.label(),
                    numbers(compared),
                    count(compared.estimate.n, "seed"),
                )
            })
            .collect();
        let differs: Vec<&str> = differs.iter().map(String::as_str).collect();
        let effect: Vec<String> = self
            .compared
            .iter()
            .map(|compared| {
                let word = if compared.estimate.point < 0.0 {
                    "lower"
                } else {
                    "higher"
                };
                format!(
                    "{word} than {}: {}",
                    compared.other.label(),
                    numbers(compared)
                )
            })
            .collect();
        self.effect = effect.join("; ");
        self.paragraph = format!(
            "{measure} of {ours}, compared seed by seed, differs {}; a difference below 0 means \
             that {ours} is lower, per cent are of the other arm's mean, and the numbers in \
             parentheses are {} intervals. {}{}",
            listed(&differs),
            bound(self.claim.confidence),
            self.error_reason(),
            left_out(study, arms, &self.compared),
            ours = arms.ours.label(),
        );
        let both = |run: &&Run, other: &ArmRuns| {
            study.test_errors(run).is_some()
                && other
                    .runs
                    .iter()
                    .any(|r| r.seed == run.seed && study.test_errors(r).is_some())
        };
        for other in &arms.others {
            let ours = arms.ours.runs.iter().filter(|run| both(run, other));
            let theirs = other.runs.iter().filter(|run| both(run, arms.ours));
            for run in ours.chain(theirs) {
                if !self.runs.contains(&&run.id) {
                    self.runs.push(&run.id);
                }
            }
        }
    }

    fn error_reason(&self) -> String {
        let claim = self.claim;
        let every = match self.compared.len() {
            1 => "The interval lies",
            2 => "Both intervals lie",
            _ => "All intervals lie",
        };
        match &self.verdict {
            Verdict::Reproduced => format!(
                "{every} below {}: the claim is reproduced here.",
                bound(-claim.margin)
            ),
            Verdict::Contradicted => {
                let worse = self.compared.iter().filter_map(|compared| {
                    let interval = contradicting_interval(claim, &compared.values)?;
                    (interval.low > claim.margin).then(|| {
                        let numbers = crate::number::interval(&interval, percent);
                        format!("{} ({numbers})", compared.other.label())
                    })
                });
                let worse: Vec<String> = worse.collect();
                format!(
                    "At {}, the level for a claim that falls if any comparison goes against it, \
                     the interval lies above +{} against {}: the claim is contradicted here.",
                    bound(claim.contradiction_confidence),
                    bound(claim.margin),
                    worse.join(" and ")
                )
            }
            Verdict::NoPracticalDifference => format!(
                "{every} inside \u{b1}{}: no practical difference.",
                bound(claim.margin)
            ),
            Verdict::Undecided { seeds: Some(seeds) } => format!(
                "The intervals fit more than one answer: undecided. If the estimates are right, \
                 {} seeds would decide with a chance of {} (the power).",
                grouped(*seeds as u64),
                bound(claim.power)
            ),
            Verdict::Undecided { seeds: None } => format!(
                "The intervals fit more than one answer: undecided. If the estimates are right, \
                 no number of seeds up to {} would decide.",
                grouped(MOST_SEEDS as u64)
            ),
            Verdict::TooFewSeeds { seeds } => format!(
                "{} too few for a verdict, which needs {}; the estimates stand alone.",
                if *seeds == 1 {
                    "One seed is".to_owned()
                } else {
                    format!("{seeds} seeds are")
                },
                claim.fewest_seeds
            ),
            Verdict::Impossible(why) => format!("No verdict is possible: {why}."),
        }
    }
}

fn left_out(study: &Study, arms: &Claimed<'_>, compared: &[Compared<'_>]) -> String {
    let fewest = compared.iter().map(|c| c.estimate.n).min().unwrap_or(0);
    let planned = study.protocol.seeds.len();
    if fewest == planned {
        return String::new();
    }
    let outstanding = |state: &State| matches!(state, State::Running { .. } | State::Missing);
    let provisional = if arms.all().any(|arm| arm.count(outstanding) > 0) {
        " Runs are outstanding, so this is provisional."
    } else {
        ""
    };
    format!(
        " Of {planned} planned seeds only those that ended in both arms are compared; failed, \
         unfinished and missing runs are listed below.{provisional}"
    )
}

/// The arms that a claim is about.
pub(crate) struct Claimed<'a> {
    pub(crate) ours: &'a ArmRuns,
    /// In the claim's order.
    pub(crate) others: Vec<&'a ArmRuns>,
}

impl<'a> Claimed<'a> {
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a ArmRuns> {
        std::iter::once(self.ours).chain(self.others.iter().copied())
    }
}

/// The arms that the claim compares, or which of them is missing.
pub(crate) fn claimed_arms<'a>(study: &'a Study, claim: &Claim) -> Result<Claimed<'a>, String> {
    let find = |role| {
        study.only(role).ok_or_else(|| {
            let name = role_name(role);
            let found = study.arms.iter().filter(|arm| arm.arm.role == role);
            match found.count() {
                0 => format!("no arm has the role of {name}"),
                n => format!("{n} arms have the role of {name}, where one is due"),
            }
        })
    };
    let others: Result<Vec<&ArmRuns>, String> = claim.against.iter().map(|r| find(*r)).collect();
    let claimed = Claimed {
        ours: find(Role::Adamix)?,
        others: others?,
    };
    // What an update costs does not hang on what is tuned.
    let waiting = claimed.all().find(|arm| study.in_tuning(arm));
    if let Some(arm) = waiting.filter(|_| claim.statistic != Statistic::UpdateCost) {
        return Err(format!(
            "the settings of {} are still being tuned",
            arm.label()
        ));
    }
    Ok(claimed)
}

/// The method whose part an arm has.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Adamix => "AdaMix",
        Role::Adagrad => "AdaGrad",
        Role::Adadec => "AdaDec",
        Role::Control => "the control",
        Role::Baseline => "a baseline",
    }
}

fn error_evidence(study: &Study, arms: &Claimed<'_>, figure: ErrorFigure) -> Evidence {
    if let Some(why) = arms.all().find_map(|arm| uncounted(study, arm)) {
        return Evidence::Absent(why);
    }
    let difference = |other: &&ArmRuns| {
        compare(study, arms.ours, other, figure)
            .ok_or_else(|| format!("no seed has ended in both AdaMix and {}", other.label()))
    };
    match arms.others.iter().map(difference).collect() {
        Ok(differences) => Evidence::Errors(differences),
        Err(why) => Evidence::Absent(why),
    }
}

/// Why an arm has no estimate although runs of it have ended, if so.
pub(crate) fn uncounted(study: &Study, arm: &ArmRuns) -> Option<String> {
    study.lacks_mean_image(arm).then(|| {
        let diverged = arm.diverged();
        format!(
            "{} of {} diverged and count{} with the mean image's error, which is not measured \
             yet (anchors.json is missing), so the arm has no estimate",
            count(diverged, "run"),
            arm.label(),
            if diverged == 1 { "s" } else { "" },
        )
    })
}

/// The paired relative difference of a figure of the test errors, over the
/// seeds that count in both arms.
pub(crate) fn compare(
    study: &Study,
    ours: &ArmRuns,
    other: &ArmRuns,
    figure: impl Fn(&[f64]) -> Option<f64>,
) -> Option<Difference> {
    let (a, b) = pairs(study, ours, other, figure);
    relative_difference(&a, &b)
}

/// A figure of the test errors of both arms, over the seeds that count in both.
pub(crate) fn pairs(
    study: &Study,
    ours: &ArmRuns,
    other: &ArmRuns,
    figure: impl Fn(&[f64]) -> Option<f64>,
) -> (Vec<f64>, Vec<f64>) {
    let others = study.by_seed(other, &figure);
    study
        .by_seed(ours, &figure)
        .into_iter()
        .filter_map(|(seed, a)| {
            let (_, b) = others.iter().find(|(s, _)| *s == seed)?;
            Some((a, *b))
        })
        .unzip()
}

/// How much of a training step AdaMix's update is, in a sentence.
fn share_of_a_step(ours: &ArmRuns) -> String {
    let share = || {
        let entry = ours.cost.as_ref()?;
        Some(median(&entry.update_seconds)? / median(&entry.step_seconds)?)
    };
    share().map_or_else(String::new, |share| {
        format!(
            " The claim is about an update, which is {} of AdaMix's training step; the table \
             below has the times of whole steps, that of convergence the time to a target.",
            percent(share)
        )
    })
}

fn cost_evidence(arms: &Claimed<'_>) -> Evidence {
    if arms.all().all(|arm| arm.cost.is_none()) {
        return Evidence::Absent("the cost is not measured yet (cost.json is missing)".into());
    }
    let entry = |arm: &'_ ArmRuns| {
        let cost = arm.cost.clone();
        cost.ok_or_else(|| format!("the cost of {} is not measured yet", arm.label()))
    };
    let comparison = |other: &&ArmRuns| {
        let (ours, other) = (entry(arms.ours)?, entry(other)?);
        let ratios = update_ratios(&ours, &other);
        if ratios.is_empty() {
            return Err("cost.json has no measured round".to_owned());
        }
        Ok(CostComparison {
            declared: DECLARED
                .map(|(_, figure)| (ours.per_parameter(figure), other.per_parameter(figure))),
            ratios,
        })
    };
    match arms.others.iter().map(comparison).collect() {
        Ok(costs) => Evidence::Costs(costs),
        Err(why) => Evidence::Absent(why),
    }
}

/// Times of one update, `ours` / `other`, round by round.
pub(crate) fn update_ratios(ours: &UpdateTimes, other: &UpdateTimes) -> Vec<f64> {
    let rounds = ours.update_seconds.iter().zip(&other.update_seconds);
    rounds.map(|(a, b)| a / b).collect()
}

/// What the control arms, which have AdaMix's biases and plain stochastic
/// gradient descent on the weights, say about AdaMix; one paragraph each. The
/// thresholds are those of the claim on the final error; without one, numbers
/// alone.
pub(crate) fn control_paragraphs(experiment: &Experiment, study: &Study) -> Vec<String> {
    let claim = experiment.claim_on(Statistic::FinalError);
    let Some(ours) = study.only(Role::Adamix) else {
        return Vec::new();
    };
    let controls = study.arms.iter().filter(|a| a.arm.role == Role::Control);
    controls
        .map(|control| {
            let label = control.label();
            let last = |errors: &[f64]| errors.last().copied();
            let difference = compare(study, ours, control, last).map(|d| d.values);
            let Some((values, estimate)) = difference.and_then(|values| {
                let confidence = claim.map_or(0.95, |claim| claim.confidence);
                let estimate = mean_interval(&values, confidence)?;
                Some((values, estimate))
            }) else {
                return format!("No seed has ended in both AdaMix and its control, {label}.");
            };
            let numbers = format!(
                "The final test error of {} differs from that of the control arm, {label}, by {} \
                 ({}); the largest difference after any epoch of any seed is {}.",
                ours.label(),
                interval(&estimate, percent),
                count(values.len(), "seed"),
                percent(largest_difference(study, ours, control)),
            );
            let Some(claim) = claim else {
                return numbers;
            };
            let few = if values.len() < claim.fewest_seeds {
                " With so few seeds this is an estimate, not a verdict."
            } else {
                ""
            };
            let within = |v: f64| v.abs() < claim.margin;
            let same = values.iter().all(|v| within(*v))
                && (values.len() == 1 || within(estimate.low) && within(estimate.high));
            if same {
                format!(
                    "{numbers} AdaMix cannot be told apart from its control: in this setting the \
                     reading of AdaMix that was run is only stochastic gradient descent (SGD) in \
                     disguise, and whatever is found above is found of SGD too.{few}"
                )
            } else if !few.is_empty() {
                format!("{numbers} In these seeds AdaMix differs from its control.{few}")
            } else {
                format!(
                    "{numbers} AdaMix can be told apart from its control: what is found above is \
                     not found of SGD with the same biases.{few}"
                )
            }
        })
        .collect()
}

/// The largest paired difference of test errors after any epoch, relative to
/// the other's error there.
fn largest_difference(study: &Study, ours: &ArmRuns, other: &ArmRuns) -> f64 {
    let pairs = ours.runs.iter().flat_map(|a| {
        let b = other.runs.iter().find(|b| b.seed == a.seed)?;
        Some((study.test_errors(a)?, study.test_errors(b)?))
    });
    pairs
        .flat_map(|(a, b)| a.into_iter().zip(b).skip(1))
        .map(|(a, b)| (a / b - 1.0).abs())
        .fold(0.0, f64::max)
}
