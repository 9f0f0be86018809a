//! The three claims: evidence from the study, the verdict on it, and both in
//! words. And the control arm, which can take the ground from under all three.

use adamix_record::{ArmCost, Role, UpdateCost};

use crate::load::{ArmRuns, State, Study};
use crate::number::{bound, count, grouped, interval, percent, ratio, significant};
use crate::statistics::{
    Difference, Estimate, MOST_SEEDS, area_under_curve, mean_interval, median, relative_difference,
};
use crate::verdict::{CostComparison, Evidence, FEWEST_SEEDS, MARGIN, Verdict, verdict};

/// A claim of the paper and what the records say about it.
pub(crate) struct Finding {
    /// `C1`, `C2` or `C3`.
    pub(crate) id: &'static str,
    /// The claim, in a few words.
    pub(crate) claim: &'static str,
    pub(crate) verdict: Verdict,
    /// The effect in one line.
    pub(crate) effect: String,
    /// The finding in full.
    pub(crate) paragraph: String,
}

/// One figure of the cost of an update.
pub(crate) type CostFigure = fn(&UpdateCost) -> f64;

/// The declared figures of cost, as [`CostComparison::declared`] orders them.
pub(crate) const DECLARED: [(&str, CostFigure); 3] = [
    ("arithmetic operations", UpdateCost::arithmetic),
    ("bytes of state", UpdateCost::bytes_of_state),
    ("bytes moved", UpdateCost::bytes_moved),
];

/// The findings on C1, C2 and C3.
pub(crate) fn findings(study: &Study) -> [Finding; 3] {
    [
        error_finding(
            study,
            "C1",
            "lower reconstruction error",
            "The final test error",
            |errors| errors.last().copied(),
        ),
        cost_finding(study),
        error_finding(
            study,
            "C3",
            "faster convergence",
            "The mean test error over the epochs (the area under the error curve)",
            area_under_curve,
        ),
    ]
}

fn error_finding(
    study: &Study,
    id: &'static str,
    claim: &'static str,
    measure: &str,
    figure: fn(&[f64]) -> Option<f64>,
) -> Finding {
    let evidence = error_evidence(study, figure);
    let verdict = verdict(&evidence);
    let (effect, paragraph) = match (&evidence, claimed_arms(study)) {
        (Evidence::Errors(differences), Ok([ours, adagrad, adadec])) => {
            let others = [adagrad, adadec];
            let label = |i: usize| others[i].arm.label.as_str();
            let numbers = |i: usize| interval(&differences[i].estimate, percent);
            let paragraph = format!(
                "{measure} of {ours}, compared seed by seed, differs from that of {} by {} over \
                 {} and from that of {} by {} over {}; a difference below 0 means that {ours} is \
                 lower, per cent are of the other arm's mean, and the numbers in parentheses are \
                 95\u{202f}% intervals. {}{}",
                label(0),
                numbers(0),
                count(differences[0].estimate.n, "seed"),
                label(1),
                numbers(1),
                count(differences[1].estimate.n, "seed"),
                error_reason(&verdict, differences, [label(0), label(1)]),
                left_out(study, differences),
                ours = ours.arm.label,
            );
            let towards = |i: usize| {
                let word = if differences[i].estimate.point < 0.0 {
                    "lower"
                } else {
                    "higher"
                };
                format!("{word} than {}: {}", label(i), numbers(i))
            };
            (format!("{}; {}", towards(0), towards(1)), paragraph)
        }
        _ => impossible(&verdict),
    };
    Finding {
        id,
        claim,
        verdict,
        effect,
        paragraph,
    }
}

fn impossible(verdict: &Verdict) -> (String, String) {
    match verdict {
        Verdict::Impossible(why) => (why.clone(), format!("No verdict is possible: {why}.")),
        _ => (String::new(), String::new()),
    }
}

fn error_reason(verdict: &Verdict, differences: &[Difference; 2], labels: [&str; 2]) -> String {
    match verdict {
        Verdict::Reproduced => format!(
            "Both intervals lie below {}: the claim is reproduced here.",
            bound(-MARGIN)
        ),
        Verdict::Contradicted => {
            let worse: Vec<String> = differences
                .iter()
                .zip(labels)
                .filter(|(difference, _)| difference.corrected.low > MARGIN)
                .map(|(difference, label)| {
                    format!("{label} ({})", interval(&difference.corrected, percent))
                })
                .collect();
            format!(
                "At 97.5\u{202f}%, the level for a claim that falls if either comparison goes \
                 against it, the interval lies above +{} against {}: the claim is contradicted \
                 here.",
                bound(MARGIN),
                worse.join(" and ")
            )
        }
        Verdict::NoPracticalDifference => format!(
            "Both intervals lie inside \u{b1}{}: no practical difference.",
            bound(MARGIN)
        ),
        Verdict::Undecided { seeds: Some(seeds) } => format!(
            "The intervals fit more than one answer: undecided. If the estimates are right, \
             {} seeds would decide with a chance of 80\u{202f}% (the power).",
            grouped(*seeds as u64)
        ),
        Verdict::Undecided { seeds: None } => format!(
            "The intervals fit more than one answer: undecided. If the estimates are right, no \
             number of seeds up to {} would decide.",
            grouped(MOST_SEEDS as u64)
        ),
        Verdict::TooFewSeeds { seeds } => format!(
            "{} too few for a verdict, which needs {FEWEST_SEEDS}; the estimates stand alone.",
            if *seeds == 1 {
                "One seed is".to_owned()
            } else {
                format!("{seeds} seeds are")
            }
        ),
        Verdict::Impossible(why) => format!("No verdict is possible: {why}."),
    }
}

fn left_out(study: &Study, differences: &[Difference; 2]) -> String {
    let compared = differences.iter().map(|d| d.estimate.n).min().unwrap_or(0);
    let planned = study.plan.seeds.len();
    if compared == planned {
        return String::new();
    }
    let outstanding = |state: &State| matches!(state, State::Running { .. } | State::Missing);
    let arms = claimed_arms(study);
    let provisional = if arms.is_ok_and(|arms| arms.iter().any(|a| a.count(outstanding) > 0)) {
        " Runs are outstanding, so this is provisional."
    } else {
        ""
    };
    format!(
        " Of {planned} planned seeds only those that ended in both arms are compared; failed, \
         unfinished and missing runs are listed below.{provisional}"
    )
}

/// AdaMix, AdaGrad and AdaDec, or which of them is missing.
pub(crate) fn claimed_arms(study: &Study) -> Result<[&ArmRuns; 3], String> {
    let find = |role, name| {
        study.only(role).ok_or_else(|| {
            let found = study.arms.iter().filter(|arm| arm.arm.role == role);
            match found.count() {
                0 => format!("no arm has the role of {name}"),
                n => format!("{n} arms have the role of {name}, where one is due"),
            }
        })
    };
    Ok([
        find(Role::Adamix, "AdaMix")?,
        find(Role::Adagrad, "AdaGrad")?,
        find(Role::Adadec, "AdaDec")?,
    ])
}

fn error_evidence(study: &Study, figure: fn(&[f64]) -> Option<f64>) -> Evidence {
    let arms @ [ours, adagrad, adadec] = match claimed_arms(study) {
        Ok(arms) => arms,
        Err(why) => return Evidence::Absent(why),
    };
    if let Some(why) = arms.iter().find_map(|arm| uncounted(study, arm)) {
        return Evidence::Absent(why);
    }
    let difference = |other: &ArmRuns| {
        compare(study, ours, other, figure)
            .ok_or_else(|| format!("no seed has ended in both AdaMix and {}", other.arm.label))
    };
    match (difference(adagrad), difference(adadec)) {
        (Ok(adagrad), Ok(adadec)) => Evidence::Errors([adagrad, adadec]),
        (Err(why), _) | (_, Err(why)) => Evidence::Absent(why),
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
            arm.arm.label,
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
    let others = study.by_seed(other, &figure);
    let (a, b): (Vec<f64>, Vec<f64>) = study
        .by_seed(ours, &figure)
        .into_iter()
        .filter_map(|(seed, a)| {
            let (_, b) = others.iter().find(|(s, _)| *s == seed)?;
            Some((a, *b))
        })
        .unzip();
    relative_difference(&a, &b)
}

fn cost_finding(study: &Study) -> Finding {
    let evidence = cost_evidence(study);
    let verdict = verdict(&evidence);
    let (effect, paragraph) = match (&evidence, claimed_arms(study)) {
        (Evidence::Costs(costs), Ok([_, adagrad, adadec])) => {
            let labels = [&adagrad.arm.label, &adadec.arm.label];
            let numbers = |i: usize| interval(&costs[i].ratio, ratio);
            let declared: Vec<String> = DECLARED
                .iter()
                .enumerate()
                .map(|(figure, (name, _))| {
                    format!(
                        "{name} {} (AdaGrad {}, AdaDec {})",
                        significant(costs[0].declared[figure].0),
                        significant(costs[0].declared[figure].1),
                        significant(costs[1].declared[figure].1),
                    )
                })
                .collect();
            let effect = format!(
                "update time {} of {}'s; {} of {}'s",
                numbers(0),
                labels[0],
                numbers(1),
                labels[1]
            );
            let reason = match verdict {
                Verdict::Reproduced => {
                    "AdaMix is lowest or tied in every declared figure and lowest in at least \
                     one, and both measured intervals lie below 1: the claim is reproduced here."
                }
                Verdict::Contradicted => {
                    "A measured interval lies above 1: the claim is contradicted here."
                }
                _ => {
                    "No measured interval lies above 1, but the claim needs AdaMix lowest or \
                     tied in every declared figure, lowest in one, and both measured intervals \
                     below 1: undecided."
                }
            };
            let paragraph = format!(
                "Declared cost of one update, per parameter, counted by running the rule: {}. \
                 Measured time of one update of all parameters, AdaMix divided by the other arm, \
                 paired by round: {} against {} and {} against {}, with 95\u{202f}% intervals \
                 over rounds of timing, not seeds. {reason}{}",
                declared.join("; "),
                numbers(0),
                labels[0],
                numbers(1),
                labels[1],
                share_of_a_step(study),
            );
            (effect, paragraph)
        }
        _ => impossible(&verdict),
    };
    Finding {
        id: "C2",
        claim: "least computation",
        verdict,
        effect,
        paragraph,
    }
}

/// How much of a training step AdaMix's update is, in a sentence.
fn share_of_a_step(study: &Study) -> String {
    let entry = || {
        let [ours, ..] = claimed_arms(study).ok()?;
        let arms = &study.cost.as_ref()?.arms;
        let entry = arms.iter().find(|entry| entry.arm == ours.arm.name)?;
        Some(median(&entry.update_seconds)? / median(&entry.step_seconds)?)
    };
    entry().map_or_else(String::new, |share| {
        format!(
            " The claim is about an update, which is {} of AdaMix's training step; the table \
             below has the times of whole steps, that of convergence the time to a target.",
            percent(share)
        )
    })
}

fn cost_evidence(study: &Study) -> Evidence {
    let [ours, adagrad, adadec] = match claimed_arms(study) {
        Ok(arms) => arms,
        Err(why) => return Evidence::Absent(why),
    };
    let Some(cost) = &study.cost else {
        return Evidence::Absent("the cost is not measured yet (cost.json is missing)".into());
    };
    let entry = |arm: &ArmRuns| {
        let entry = cost.arms.iter().find(|entry| entry.arm == arm.arm.name);
        entry.ok_or_else(|| format!("the cost of {} is not measured yet", arm.arm.label))
    };
    let comparison = |other| {
        let (ours, other) = (entry(ours)?, entry(other)?);
        Ok(CostComparison {
            declared: DECLARED
                .map(|(_, figure)| (ours.per_parameter(figure), other.per_parameter(figure))),
            ratio: update_ratio(ours, other).ok_or("cost.json has no measured round")?,
        })
    };
    match (comparison(adagrad), comparison(adadec)) {
        (Ok(adagrad), Ok(adadec)) => Evidence::Costs([adagrad, adadec]),
        (Err(why), _) | (_, Err(why)) => Evidence::Absent(why),
    }
}

/// Time of one update, `ours` / `other`, paired by round.
pub(crate) fn update_ratio(ours: &ArmCost, other: &ArmCost) -> Option<Estimate> {
    let rounds = ours.update_seconds.iter().zip(&other.update_seconds);
    let ratios: Vec<f64> = rounds.map(|(a, b)| a / b).collect();
    mean_interval(&ratios, 0.95)
}

/// What the control arms, which have AdaMix's biases and plain stochastic
/// gradient descent on the weights, say about AdaMix; one paragraph each.
pub(crate) fn control_paragraphs(study: &Study) -> Vec<String> {
    let Some(ours) = study.only(Role::Adamix) else {
        return Vec::new();
    };
    let controls = study.arms.iter().filter(|a| a.arm.role == Role::Control);
    controls
        .map(|control| {
            let label = &control.arm.label;
            let last = |errors: &[f64]| errors.last().copied();
            let Some(difference) = compare(study, ours, control, last) else {
                return format!("No seed has ended in both AdaMix and its control, {label}.");
            };
            let numbers = format!(
                "The final test error of {} differs from that of the control arm, {label}, by {} \
                 ({}); the largest difference after any epoch of any seed is {}.",
                ours.arm.label,
                interval(&difference.estimate, percent),
                count(difference.values.len(), "seed"),
                percent(largest_difference(study, ours, control)),
            );
            let few = if difference.values.len() < FEWEST_SEEDS {
                " With so few seeds this is an estimate, not a verdict."
            } else {
                ""
            };
            let within = |v: f64| v.abs() < MARGIN;
            let same = difference.values.iter().all(|v| within(*v))
                && (difference.values.len() == 1
                    || within(difference.estimate.low) && within(difference.estimate.high));
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
