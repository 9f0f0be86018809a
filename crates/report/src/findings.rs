//! The claims: evidence from a protocol, the verdict on it, and both in words.
//! And the control arm, which can take the ground from under all of them.

use adamix_record::{Claim, Role, RunId, Statistic, Text, UpdateCost, UpdateTimes, text};

use crate::index::commit;
use crate::load::{ArmRuns, Experiment, Run, State, Study};
use crate::number::{
    ROUND, RUN, SEED, bound, count, grouped, hundredths, in_a_row, interval, listed, one_by_one,
    percent, range, ratio, signed, significant, tenths,
};
use crate::statistics::{
    Difference, Estimate, MOST_SEEDS, area_under_curve, mean_interval, median, relative_difference,
};
use crate::tables;
use crate::tuning::progress;
use crate::verdict::{
    CostComparison, Evidence, Verdict, contradicting_interval, deciding_interval, declared_lowest,
    verdict,
};

/// A claim of the paper and what the records of one protocol say about it.
pub(crate) struct Finding<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) verdict: Verdict,
    /// One entry for each arm that AdaMix is compared with, in the claim's
    /// order; empty where no verdict is possible.
    pub(crate) compared: Vec<Compared<'a>>,
    /// The effect in one line.
    pub(crate) effect: Text,
    /// The finding in full.
    pub(crate) paragraph: Text,
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
pub(crate) fn declared_figures() -> [(Text, CostFigure); 3] {
    [
        (
            text!("arithmetic operations", "算术运算次数"),
            UpdateCost::arithmetic,
        ),
        (
            text!("bytes of state", "状态字节数"),
            UpdateCost::bytes_of_state,
        ),
        (text!("bytes moved", "读写字节数"), UpdateCost::bytes_moved),
    ]
}

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
    claims
        .map(|claim| finding(experiment, study, claim))
        .collect()
}

fn finding<'a>(experiment: &Experiment, study: &'a Study, claim: &'a Claim) -> Finding<'a> {
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
        effect: Text::default(),
        paragraph: Text::default(),
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
        Evidence::Costs(costs) => finding.describe_costs(experiment, &arms, costs),
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
            self.paragraph = impossible(why);
        }
        self
    }

    fn describe_costs(
        &mut self,
        experiment: &Experiment,
        arms: &Claimed<'_>,
        costs: &[CostComparison],
    ) {
        let label = |i: usize| arms.others[i].label();
        let numbers = |i: usize| interval(&self.compared[i].estimate, ratio);
        let declared: Vec<Text> = declared_figures()
            .iter()
            .enumerate()
            .map(|(figure, (name, _))| {
                let others = costs.iter().enumerate().map(|(i, cost)| {
                    let value = significant(cost.declared[figure].1);
                    let label = label(i);
                    text!("{label} {value}", "{label} {value}", label, value)
                });
                let others: Vec<Text> = others.collect();
                text!(
                    "{name} {ours} ({others})",
                    "{name} {ours}（{others}）",
                    name,
                    ours = significant(costs[0].declared[figure].0),
                    others = in_a_row(&others),
                )
            })
            .collect();
        let measured: Vec<Text> = (0..costs.len())
            .map(|i| {
                text!(
                    "{numbers} against {other}",
                    "对比 {other} 为 {numbers}",
                    numbers = numbers(i),
                    other = label(i),
                )
            })
            .collect();
        let contradiction = bound(self.claim.contradiction_confidence);
        let reason = match self.verdict {
            Verdict::Reproduced => text!(
                "AdaMix is lowest or tied in every declared figure and lowest in at least one, and \
                 every measured interval lies below 1: the claim is reproduced here.",
                "AdaMix 的各项计数开销均为最低或并列最低，且至少一项为最低，各实测置信区间都在 1 以下：\
                 该主张在此得到复现。"
            ),
            Verdict::Contradicted => text!(
                "A measured {contradiction} interval lies above 1: the claim is contradicted here.",
                "有一个实测 {contradiction} 置信区间在 1 以上：结果与该主张相反。",
                contradiction,
            ),
            _ => {
                let open = self.compared.iter().filter(|it| it.estimate.high >= 1.0);
                let open: Vec<Text> = open.map(|it| it.other.label().clone()).collect();
                match (declared_lowest(costs), open.as_slice()) {
                    (true, open) => text!(
                        "AdaMix is lowest or tied in every declared figure and lowest in at least \
                         one, but the measured interval against {open} does not lie below 1: \
                         undecided.",
                        "AdaMix 的各项计数开销均为最低或并列最低，且至少一项为最低，但对比 {open} 的实测置信区间\
                         并不在 1 以下：尚无定论。",
                        open = listed(open),
                    ),
                    (false, []) => text!(
                        "Every measured interval lies below 1, but AdaMix is not lowest or tied \
                         in every declared figure and lowest in one: undecided.",
                        "各实测置信区间都在 1 以下，但 AdaMix 的计数开销并非每项最低或并列最低且至少一项最低：尚无定论。"
                    ),
                    (false, open) => text!(
                        "AdaMix is not lowest or tied in every declared figure and lowest in one, \
                         and the measured interval against {open} does not lie below 1, though no \
                         {contradiction} interval lies above it: undecided.",
                        "AdaMix 的计数开销并非每项最低或并列最低且至少一项最低，对比 {open} 的实测置信区间也不在 1 以下，\
                         但没有 {contradiction} 置信区间在 1 以上：尚无定论。",
                        open = listed(open),
                        contradiction,
                    ),
                }
            }
        };
        let steps: Vec<(&Text, Estimate)> = arms
            .others
            .iter()
            .filter_map(|other| {
                let ours = &arms.ours.cost.as_ref()?.step_seconds;
                let ratios = ratios(ours, &other.cost.as_ref()?.step_seconds);
                let estimate = mean_interval(&ratios, self.claim.confidence)?;
                Some((other.label(), estimate))
            })
            .collect();
        self.effect = text!(
            "update {each}{steps}",
            "更新用时{each}{steps}",
            each = self.sides("", |compared| {
                let Estimate {
                    point, low, high, ..
                } = compared.estimate;
                let point = Text::same(format!("\u{d7} {}", hundredths(point)));
                in_short(point, [low, high], hundredths)
            }),
            steps = match steps.as_slice() {
                [] => Text::default(),
                steps => {
                    let ratios = steps.iter().map(|(_, it)| hundredths(it.point).into());
                    text!(
                        "; step \u{d7} {ratios}",
                        "；训练步 \u{d7} {ratios}",
                        ratios = in_a_row(&ratios.collect::<Vec<_>>()),
                    )
                }
            },
        );
        self.paragraph = text!(
            "Declared cost of one update, per parameter, counted by running the rule: {declared}. \
             Measured time of one update of all parameters, AdaMix divided by the other arm: \
             {measured}, with {confidence} intervals over {rounds} of one session of timing, \
             which another session need not meet. {reason}{share}{timed}",
            "一次更新的计数开销，按每个参数计，由运行规则计数得到：{declared}。更新全部参数一次的实测用时，\
             AdaMix 除以另一方法：{measured}；{confidence} 置信区间取自同一时段内的 {rounds}，换一时段未必落在其内。{reason}{share}{timed}",
            declared = one_by_one(&declared),
            measured = Text::new(listed(&measured).en, Text::join(&measured, "", "，").zh),
            confidence = bound(self.claim.confidence),
            rounds = count(costs[0].ratios.len(), ROUND),
            reason,
            share = share_of_a_step(arms.ours, &steps),
            timed = timed_by(experiment),
        );
    }
}

/// An estimate with the ends of its interval, where it has one, to stand behind
/// the name of an arm.
fn in_short(point: Text, [low, high]: [f64; 2], write: fn(f64) -> String) -> Text {
    if low.is_finite() && high.is_finite() {
        let ends = range(write(low), write(high));
        text!("{point} ({ends})", "（{point}，{ends}）", point, ends)
    } else {
        text!("{point}", "（{point}）", point)
    }
}

/// That no verdict is possible, in a sentence.
fn impossible(why: &Text) -> Text {
    text!("No verdict is possible: {why}.", "无法判定：{why}。", why)
}

impl<'a> Finding<'a> {
    fn describe_errors(&mut self, study: &'a Study, arms: &Claimed<'a>) {
        let measure = match self.claim.statistic {
            Statistic::MeanError => text!("mean test error over the epochs", "各轮平均测试误差"),
            _ => text!("final test error", "最终测试误差"),
        };
        let ours = arms.ours.label();
        let mut seeds: Vec<usize> = self.compared.iter().map(|it| it.estimate.n).collect();
        seeds.sort_unstable();
        seeds.dedup();
        self.effect = text!(
            "{measure}: {each}; {seeds}",
            "{measure}：{each}；{seeds}",
            measure = match self.claim.statistic {
                Statistic::MeanError => text!("mean error", "各轮平均误差"),
                _ => text!("final error", "最终误差"),
            },
            each = self.sides("", |compared| {
                let Estimate {
                    point, low, high, ..
                } = compared.estimate;
                in_short(signed(point).into(), [low, high], tenths)
            }),
            seeds = match seeds[..] {
                [fewest, .., most] => text!(
                    "{fewest} to {most} seeds",
                    "{fewest} 至 {most} 个随机种子",
                    fewest,
                    most
                ),
                _ => count(seeds.first().copied().unwrap_or(0), SEED),
            },
        );
        self.paragraph = text!(
            "In the {measure}, {ours} is {each}. {reason}{choice}{left_out}",
            "就{measure}而言，{ours} {each}。{reason}{choice}{left_out}",
            measure,
            ours,
            each = self.sides("and ", |compared| {
                let numbers = interval(&compared.estimate, percent);
                let seeds = count(compared.estimate.n, SEED);
                text!(
                    "with a difference of {numbers} over {seeds}",
                    "，差值 {numbers}，{seeds}",
                    numbers,
                    seeds
                )
            }),
            reason = self.error_reason(),
            left_out = left_out(study, arms, &self.compared),
            choice = noise_of_the_choice(study),
        );
        for other in &arms.others {
            for run in paired(study, arms.ours, other) {
                if !self.runs.contains(&&run.id) {
                    self.runs.push(&run.id);
                }
            }
        }
    }

    /// Than which arms AdaMix is better or worse, or which the interval cannot
    /// tell it from, with the numbers of each; on cost, faster or slower. `and`
    /// stands before all but the first.
    fn sides(&self, and: &str, numbers: impl Fn(&Compared<'_>) -> Text) -> Text {
        let mut before = None;
        let (level, below, above) = match self.claim.statistic {
            Statistic::UpdateCost => (1.0, text!("faster", "短"), text!("slower", "长")),
            _ => (0.0, text!("better", "优"), text!("worse", "劣")),
        };
        let each = self.compared.iter().map(|compared| {
            let Estimate { low, high, .. } = compared.estimate;
            let clear = (high < level, low > level);
            let first = before.is_none();
            let again = before.replace(clear) == Some(clear);
            let than = |side: &Text| {
                Text::new(
                    match (first, again) {
                        (true, _) => format!("{} than", side.en),
                        (_, true) => format!("{and}than"),
                        _ => format!("{and}{} than", side.en),
                    },
                    format!("{}于", side.zh),
                )
            };
            let side = match clear {
                (true, _) => than(&below),
                (_, true) => than(&above),
                _ if again => text!("nor from", "无法区别于"),
                _ if first => text!("not told from", "无法区别于"),
                _ => Text::new(format!("{and}not told from"), "无法区别于"),
            };
            text!(
                "{side} {other} {numbers}",
                "{side} {other}{numbers}",
                side,
                other = compared.other.label(),
                numbers = numbers(compared),
            )
        });
        Text::join(&each.collect::<Vec<_>>(), ", ", "，")
    }

    fn error_reason(&self) -> Text {
        let claim = self.claim;
        let every = match self.compared.len() {
            1 => text!("The interval lies", "该置信区间"),
            2 => text!("Both intervals lie", "两个置信区间都"),
            _ => text!("All intervals lie", "各置信区间都"),
        };
        match &self.verdict {
            Verdict::Reproduced => text!(
                "{every} below {bound}: the claim is reproduced here.",
                "{every}在 {bound} 以下：该主张在此得到复现。",
                every,
                bound = bound(-claim.margin),
            ),
            Verdict::Contradicted => {
                let worse = self.compared.iter().filter_map(|compared| {
                    let interval = contradicting_interval(claim, &compared.values)?;
                    let numbers = crate::number::interval(&interval, percent);
                    let other = compared.other.label();
                    (interval.low > claim.margin).then(|| {
                        text!(
                            "{other} ({numbers})",
                            "{other}（{numbers}）",
                            other,
                            numbers
                        )
                    })
                });
                let worse: Vec<Text> = worse.collect();
                text!(
                    "The {level} interval lies above +{margin} against {worse}: the claim is \
                     contradicted here.",
                    "对比 {worse}的 {level} 置信区间在 +{margin} 以上：结果与该主张相反。",
                    level = bound(claim.contradiction_confidence),
                    margin = bound(claim.margin),
                    worse = listed(&worse),
                )
            }
            Verdict::NoPracticalDifference => text!(
                "{every} inside \u{b1}{margin}: no practical difference.",
                "{every}在 \u{b1}{margin} 之内：无实际差异。",
                every,
                margin = bound(claim.margin),
            ),
            Verdict::Undecided { seeds: Some(seeds) } => text!(
                "The intervals fit more than one answer: undecided. If the estimates are right, \
                 {seeds} seeds would decide with a chance of {power} (the power).",
                "置信区间与不止一种结论相容：尚无定论。若估计值即为真值，{seeds} 个随机种子将以 {power} \
                 的概率（检验功效）作出判定。",
                seeds = grouped(*seeds as u64),
                power = bound(claim.power),
            ),
            Verdict::Undecided { seeds: None } => text!(
                "The intervals fit more than one answer: undecided. If the estimates are right, no \
                 number of seeds up to {most} would decide.",
                "置信区间与不止一种结论相容：尚无定论。若估计值即为真值，{most} 个以内的随机种子都不足以判定。",
                most = grouped(MOST_SEEDS as u64),
            ),
            Verdict::TooFewSeeds { seeds } => text!(
                "{seeds} too few for a verdict, which needs {needed}.",
                "{seeds}，不足以判定（需要 {needed} 个）。",
                seeds = match seeds {
                    1 => text!("One seed is", "随机种子只有一个"),
                    n => text!("{n} seeds are", "随机种子只有 {n} 个", n),
                },
                needed = claim.fewest_seeds,
            ),
            Verdict::Impossible(why) => impossible(why),
        }
    }
}

/// The runs of two arms whose seeds count in both.
fn paired<'a>(study: &Study, ours: &'a ArmRuns, other: &'a ArmRuns) -> Vec<&'a Run> {
    let counts = |run: &Run| study.test_errors(run).is_some();
    let both = |run: &&Run, other: &ArmRuns| {
        counts(run) && other.runs.iter().any(|r| r.seed == run.seed && counts(r))
    };
    let first = ours.runs.iter().filter(|run| both(run, other));
    let second = other.runs.iter().filter(|run| both(run, ours));
    first.chain(second).collect()
}

/// The ids of the runs behind a comparison of two arms, each once.
pub(crate) fn paired_runs(study: &Study, ours: &ArmRuns, other: &ArmRuns) -> Vec<RunId> {
    let mut ids: Vec<RunId> = Vec::new();
    for run in paired(study, ours, other) {
        if !ids.contains(&run.id) {
            ids.push(run.id.clone());
        }
    }
    ids
}

fn left_out(study: &Study, arms: &Claimed<'_>, compared: &[Compared<'_>]) -> Text {
    let fewest = compared.iter().map(|c| c.estimate.n).min().unwrap_or(0);
    let planned = study.protocol.seeds.len();
    if fewest == planned {
        return Text::default();
    }
    let outstanding = |state: &State| !state.has_ended();
    match arms.all().any(|arm| arm.count(outstanding) > 0) {
        true => text!(
            " Provisional: of {planned} planned seeds not all have ended, and only those that \
             ended in both arms are compared.",
            "暂时结果：计划的 {planned} 个随机种子尚未全部结束，只比较在两种方法中都已结束的。",
            planned
        ),
        false => text!(
            " Of {planned} planned seeds some have no result, and only those that ended in both \
             arms are compared; the runs are listed below.",
            "计划的 {planned} 个随机种子中有的没有结果，只比较在两种方法中都已结束的；各次运行列于下文。",
            planned
        ),
    }
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
pub(crate) fn claimed_arms<'a>(study: &'a Study, claim: &Claim) -> Result<Claimed<'a>, Text> {
    let find = |role| {
        study.only(role).ok_or_else(|| {
            let name = role_name(role);
            let found = study.arms.iter().filter(|arm| arm.arm.role == role);
            match found.count() {
                0 => text!(
                    "no arm has the role of {name}",
                    "没有充当 {name} 的方法",
                    name,
                ),
                n => text!(
                    "{n} arms have the role of {name}, where one is due",
                    "有 {n} 种方法充当 {name}，而只应有一种",
                    n,
                    name,
                ),
            }
        })
    };
    let others: Result<Vec<&ArmRuns>, Text> = claim.against.iter().map(|r| find(*r)).collect();
    let claimed = Claimed {
        ours: find(Role::Adamix)?,
        others: others?,
    };
    // What an update costs does not hang on what is tuned.
    let waiting = claimed.all().find_map(|arm| study.in_tuning(arm));
    if let Some(tried) = waiting.filter(|_| claim.statistic != Statistic::UpdateCost) {
        return Err(text!(
            "the settings of {label} are not chosen: {progress}",
            "{label} 的设置尚未选定：{progress}",
            label = &tried.label,
            progress = progress(tried.candidates.iter().flatten()),
        ));
    }
    Ok(claimed)
}

/// The method whose part an arm has.
pub(crate) fn role_name(role: Role) -> Text {
    match role {
        Role::Adamix => "AdaMix".into(),
        Role::Adagrad => "AdaGrad".into(),
        Role::Adadec => "AdaDec".into(),
        Role::Control => text!("the control", "对照"),
        Role::Baseline => text!("a baseline", "基线"),
    }
}

fn error_evidence(study: &Study, arms: &Claimed<'_>, figure: ErrorFigure) -> Evidence {
    if let Some(why) = arms.all().find_map(|arm| uncounted(study, arm)) {
        return Evidence::Absent(why);
    }
    let difference = |other: &&ArmRuns| {
        compare(study, arms.ours, other, figure).ok_or_else(|| {
            text!(
                "no seed has ended in both AdaMix and {other}",
                "没有随机种子在 AdaMix 与 {other} 中都已结束",
                other = other.label(),
            )
        })
    };
    match arms.others.iter().map(difference).collect() {
        Ok(differences) => Evidence::Errors(differences),
        Err(why) => Evidence::Absent(why),
    }
}

/// Why an arm has no estimate although runs of it have ended, if so.
pub(crate) fn uncounted(study: &Study, arm: &ArmRuns) -> Option<Text> {
    study.lacks_mean_image(arm).then(|| {
        let diverged = arm.diverged();
        text!(
            "{runs} of {arm} diverged and {count} with the mean image's error, which is not \
             measured yet (anchors.json is missing), so the arm has no estimate",
            "{arm} 有 {runs} 发散，{count}平均图像的误差计入，而该误差尚未测得（缺少 anchors.json），\
             因此该方法没有估计值",
            runs = count(diverged, RUN),
            arm = arm.label(),
            count = match diverged {
                1 => text!("counts", "应按"),
                _ => text!("count", "应按"),
            },
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

/// What timed the updates, and whether that is another program than wrote some of
/// the records: the hash of the rules covers what is compared and how it is
/// decided, not how a time is taken.
fn timed_by(experiment: &Experiment) -> Text {
    let Some(cost) = &experiment.cost else {
        return Text::default();
    };
    let by = &cost.environment;
    let runs = experiment.studies.iter().flat_map(Study::runs);
    let mut records = runs.filter_map(|run| run.record.as_ref());
    let other = records.any(|it| it.header.environment.commit != by.commit);
    text!(
        " Timed by the program of commit {commit} on {machine} (cost.json).{other}",
        "计时所用程序的提交：{commit}；机器：{machine}（cost.json）。{other}",
        commit = commit(by),
        machine = tables::timing_machine(cost),
        other = match other {
            true => text!(
                " That is another program than wrote some of the records: the hash of the rules \
                 does not cover how time is taken, and where that changed, the changelog says so.",
                "写入部分记录的是另一版程序：规则的哈希不涵盖计时方法，计时方法若有变化，见变更日志。"
            ),
            false => Text::default(),
        },
    )
}

/// That an interval says nothing of how the settings were chosen, where they were.
fn noise_of_the_choice(study: &Study) -> Text {
    match study.is_tuned() {
        true => text!(
            " The settings were chosen by tuning; the intervals do not contain the noise of that \
             choice.",
            "各设置由调优选定；置信区间不包含该选择的偶然性。"
        ),
        false => Text::default(),
    }
}

/// How much of a training step AdaMix's update is, and how its whole steps stand
/// to those of the other arms, in two sentences.
fn share_of_a_step(ours: &ArmRuns, steps: &[(&Text, Estimate)]) -> Text {
    let share = || {
        let entry = ours.cost.as_ref()?;
        Some(median(&entry.update_seconds)? / median(&entry.step_seconds)?)
    };
    let compared = steps.iter().map(|(label, estimate)| {
        text!(
            "{numbers} against {label}",
            "对比 {label} 为 {numbers}",
            numbers = interval(estimate, ratio),
            label,
        )
    });
    let compared: Vec<Text> = compared.collect();
    share().map_or_else(Text::default, |share| {
        text!(
            " The claim is about an update, which is {share} of AdaMix's training step. Of the time \
             of a whole step, AdaMix's divided by the other arm's is {compared}.",
            "该主张针对一次更新，更新占 AdaMix 训练步的 {share}。整个训练步的用时，AdaMix 除以另一方法：{compared}。",
            share = percent(share),
            compared = Text::new(listed(&compared).en, Text::join(&compared, "", "，").zh),
        )
    })
}

fn cost_evidence(arms: &Claimed<'_>) -> Evidence {
    if arms.all().all(|arm| arm.cost.is_none()) {
        return Evidence::Absent(text!(
            "the time of an update is not measured yet (no file cost.json)",
            "一次更新的用时尚未测得（尚无文件 cost.json）"
        ));
    }
    let entry = |arm: &'_ ArmRuns| {
        let (cost, label) = (arm.cost.clone(), arm.label());
        cost.ok_or_else(|| {
            text!(
                "the cost of {label} is not measured yet",
                "{label} 的开销尚未测得",
                label
            )
        })
    };
    let comparison = |other: &&ArmRuns| {
        let (ours, other) = (entry(arms.ours)?, entry(other)?);
        let ratios = update_ratios(&ours, &other);
        if ratios.is_empty() {
            return Err(text!(
                "cost.json has no measured round",
                "cost.json 中没有实测计时"
            ));
        }
        Ok(CostComparison {
            declared: declared_figures()
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
    ratios(&ours.update_seconds, &other.update_seconds)
}

fn ratios(ours: &[f64], other: &[f64]) -> Vec<f64> {
    ours.iter().zip(other).map(|(a, b)| a / b).collect()
}

/// Whether the seeds cannot tell AdaMix from an arm with its biases and plain
/// stochastic gradient descent on the weights: the interval of the difference
/// of their final errors holds 0.
pub(crate) fn like_control(experiment: &Experiment, study: &Study) -> bool {
    let claim = experiment.claim_on(Statistic::FinalError);
    let confidence = claim.map_or(0.95, |claim| claim.confidence);
    let controls = study.arms.iter().filter(|a| a.arm.role == Role::Control);
    let mut differences = controls.filter_map(|control| {
        let last = |errors: &[f64]| errors.last().copied();
        let difference = compare(study, study.only(Role::Adamix)?, control, last)?;
        mean_interval(&difference.values, confidence)
    });
    differences.any(|estimate| estimate.low <= 0.0 && estimate.high >= 0.0)
}

/// What the control arms, which have AdaMix's biases and plain stochastic
/// gradient descent on the weights, say about AdaMix; one paragraph each. The
/// thresholds are those of the claim on the final error; without one, numbers
/// alone.
pub(crate) fn control_paragraphs(experiment: &Experiment, study: &Study) -> Vec<Text> {
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
                return text!(
                    "No seed has ended in both AdaMix and its control, {label}.",
                    "没有随机种子在 AdaMix 与其对照（{label}）中都已结束。",
                    label,
                );
            };
            let largest = largest_difference(study, ours, control);
            let bits = match largest > 0.0 {
                true => text!(
                    "AdaMix and \u{201c}{label}\u{201d} are not the same computation: after some \
                     epoch of some seed their test errors differ by {largest}.",
                    "AdaMix 与“{label}”并非同一计算：某个种子某一轮之后，两者的测试误差相差 {largest}。",
                    label,
                    largest = percent(largest),
                ),
                false => text!(
                    "AdaMix and \u{201c}{label}\u{201d} have the same test errors after every epoch.",
                    "AdaMix 与“{label}”每一轮之后的测试误差都相同。",
                    label,
                ),
            };
            let numbers = text!(
                "{bits} Their final test errors differ by {difference} over {seeds}.",
                "{bits}两者的最终测试误差相差 {difference}，取自 {seeds}。",
                bits,
                difference = interval(&estimate, percent),
                seeds = count(values.len(), SEED),
            );
            let Some(claim) = claim else {
                return numbers;
            };
            let few = values.len() < claim.fewest_seeds;
            let within = |v: f64| v.abs() < claim.margin;
            let same = values.iter().all(|v| within(*v))
                && (values.len() == 1 || within(estimate.low) && within(estimate.high));
            let holds_zero = estimate.low <= 0.0 && estimate.high >= 0.0;
            let meaning = match (same, holds_zero) {
                (true, _) => text!(
                    " That is within {margin}, which makes no practical difference: in this \
                     setting the reading of AdaMix that was run is only stochastic gradient \
                     descent (SGD) in disguise, and whatever is found above is found of SGD too.",
                    "差别在 {margin} 之内，无实际意义：在此设置下，所运行的 AdaMix 解读只是换了形式的随机梯度下降\
                     （SGD），上文的任何结论对 SGD 同样成立。",
                    margin = bound(claim.margin),
                ),
                (false, true) => text!(
                    " The interval holds 0: by the final error these seeds cannot tell AdaMix from \
                     its control, which does not show that the two are equal.",
                    "该区间包含 0：就最终误差而言，这些随机种子无法区分 AdaMix 与其对照，但这并不说明两者相等。"
                ),
                (false, false) if study.protocol.tuning.is_some() => text!(
                    " The interval leaves 0 out: AdaMix can be told apart from its control, each \
                     with the settings chosen for it, which differ for the biases too.",
                    "该区间不含 0：AdaMix 与其对照可以区分；两者各用为其选定的设置，偏置的设置也不同。"
                ),
                (false, false) => text!(
                    " The interval leaves 0 out: AdaMix can be told apart from its control, SGD \
                     with the same biases.",
                    "该区间不含 0：AdaMix 与其对照（偏置规则相同的 SGD）可以区分。"
                ),
            };
            let few = match few {
                true => text!(
                    " Below {needed} seeds this is an estimate, not a verdict.",
                    "随机种子不足 {needed} 个，这只是估计，不是判定。",
                    needed = claim.fewest_seeds,
                ),
                false => Text::default(),
            };
            numbers + meaning + few
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
