//! What reviewers ask: the machine-learning reproducibility checklist and the
//! evidence for the ACM's badges, answered from the records.

use std::collections::BTreeMap;

use adamix_record::{RunId, RunRecord, Text, text};

use super::{Cell, Table, words};
use crate::findings::findings;
use crate::load::{Experiment, State, Study};
use crate::number::{
    ARM, RECORD, RUN, count, grouped, in_a_row, listed, one_by_one, range, significant, slug,
};
use crate::page::{runs_line, unchosen};
use crate::statistics::median;

/// How far an item is answered.
#[derive(Clone, Copy)]
enum Answer {
    Yes,
    InPart,
    No,
    DoesNotApply,
}

impl Answer {
    fn name(self) -> Text {
        match self {
            Self::Yes => text!("yes", "是"),
            Self::InPart => text!("in part", "部分"),
            Self::No => text!("not answered", "未回答"),
            Self::DoesNotApply => text!("does not apply", "不适用"),
        }
    }

    /// As evidence for a badge.
    fn evidence(self) -> Text {
        match self {
            Self::Yes => text!("yes", "有"),
            Self::InPart => text!("in part", "部分"),
            Self::No => text!("none in the records", "记录中没有"),
            Self::DoesNotApply => text!("does not apply", "不适用"),
        }
    }

    fn given(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The items of the checklist of Pineau et al., version 2.0, in our own short
/// words and in its order.
pub(crate) fn checklist(experiment: &Experiment) -> Table {
    let mut items = Items::new(
        experiment,
        "checklist",
        text!(
            "The machine-learning reproducibility checklist (Pineau et al., version 2.0, as used \
             by NeurIPS), its items in our own short words, answered from these records.",
            "机器学习可重复性清单（Pineau 等，2.0 版，NeurIPS 采用）；条目为我们的简短转述，依据这些记录作答。"
        ),
        [text!("item", "条目"), text!("answered", "回答")],
        Answer::name,
    );
    algorithms(experiment, &mut items);
    data(experiment, &mut items);
    code(experiment, &mut items);
    results(experiment, &mut items);
    items.table
}

fn algorithms(experiment: &Experiment, items: &mut Items) {
    items.add(
        text!("Algorithms: described clearly", "算法：描述清楚"),
        Answer::InPart,
        text!(
            "Every constant of every arm stands under Settings and in each record. The formulas \
             of AdaMix are reconstructed from the paper's abstract: which readings, the table of \
             assumptions says.",
            "各方法的全部常数见“设置”一节及每份记录。AdaMix 的公式由论文摘要重建：所取的解读见假设表。"
        ),
        "table-assumptions",
    );
    items.add(
        text!("Algorithms: assumptions explained", "算法：说明假设"),
        Answer::Yes,
        text!(
            "One row a detail that the abstract leaves open, with all readings and how sure each is.",
            "摘要未说明的细节各占一行，列出全部解读及其可靠程度。"
        ),
        "table-assumptions",
    );
    let counted = experiment.cost.is_some();
    items.add(
        text!(
            "Algorithms: complexity (time, memory, sample size)",
            "算法：复杂度（时间、内存、样本量）"
        ),
        if counted { Answer::InPart } else { Answer::No },
        match counted {
            true => text!(
                "Arithmetic, bytes of state and bytes moved by an update are counted and its time \
                 is measured, for this network. Sample size is not varied.",
                "一次更新的算术运算、状态字节与读写字节已计数，用时已实测，均就本网络而言。未改变样本量。"
            ),
            false => text!(
                "The time of an update is not measured yet: there is no file cost.json.",
                "一次更新的用时尚未测得：尚无文件 cost.json。"
            ),
        },
        "cost",
    );
    items.add(
        text!(
            "Theory: claims stated, proofs complete",
            "理论：陈述命题，证明完整"
        ),
        Answer::DoesNotApply,
        text!("No theoretical claim is made.", "不提出理论命题。"),
        "verdicts",
    );
}

fn data(experiment: &Experiment, items: &mut Items) {
    let data = &experiment.plan.data;
    let name = data.name.to_uppercase();
    let mut sizes: Vec<Text> = Vec::new();
    for study in experiment.headline() {
        let protocol = &study.protocol;
        let size = text!(
            "{train} training and {test} test images",
            "{train} 幅训练图像、{test} 幅测试图像",
            train = grouped(protocol.train_images as u64),
            test = grouped(protocol.test_images as u64),
        );
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    let sizes = one_by_one(&sizes);
    items.add(
        text!("Data: number of examples", "数据：样本数"),
        Answer::given(!sizes.en.is_empty()),
        match sizes.en.is_empty() {
            true => text!("The plan has no headline protocol.", "计划中没有主要方案。"),
            false => text!("{name}: {sizes}.", "{name}：{sizes}。", name, sizes),
        },
        "records",
    );
    let mut splits: Vec<Text> = Vec::new();
    for tuning in experiment
        .studies
        .iter()
        .filter_map(|s| s.protocol.tuning.as_ref())
    {
        let split = text!(
            "settings are chosen on {validation} validation images split from the training \
             images, after training on {train}; no test image is seen there",
            "设置在由训练图像划出的 {validation} 幅验证图像上选择，训练用 {train} 幅；其间不使用测试图像",
            validation = grouped(tuning.validation_images as u64),
            train = grouped(tuning.train_images as u64),
        );
        if !splits.contains(&split) {
            splits.push(split);
        }
    }
    items.add(
        text!(
            "Data: training, validation and test splits",
            "数据：训练、验证与测试的划分"
        ),
        Answer::Yes,
        match splits.is_empty() {
            true => text!(
                "Training and test images are those of the data set. There is no validation \
                 split, since nothing was tuned.",
                "训练与测试图像按数据集本身划分。未作调优，因此没有验证集。"
            ),
            false => text!(
                "Training and test images are those of the data set; {splits}.",
                "训练与测试图像按数据集本身划分；{splits}。",
                splits = one_by_one(&splits),
            ),
        },
        "records",
    );
    items.add(
        text!(
            "Data: what was excluded, pre-processing",
            "数据：排除了什么、如何预处理"
        ),
        Answer::InPart,
        text!(
            "The checksum covers the whole data set, the number of images used is that above, and \
             pixels run from 0 to 1. Which images a smaller number leaves out is in the source, \
             not in the records.",
            "校验和涵盖整个数据集，所用图像数如上，像素取值为 0 至 1。用图较少时略去哪些图像，见源代码而不在记录中。"
        ),
        "records",
    );
    items.add(
        text!("Data: a link to download it", "数据：下载链接"),
        Answer::InPart,
        match data.canonical {
            true => text!(
                "No address is in the records. The checksum is that of {name} as published, and \
                 the command below finds or downloads it.",
                "记录中没有下载地址。校验和与公布的 {name} 一致，下方命令会查找或下载该数据。",
                name,
            ),
            false => text!(
                "No address is in the records, only the name and the checksum.",
                "记录中没有下载地址，只有名称与校验和。"
            ),
        },
        "records",
    );
    let made = data.name == "curves";
    items.add(
        text!("Data: how new data were collected", "数据：新数据如何采集"),
        if made {
            Answer::InPart
        } else {
            Answer::DoesNotApply
        },
        match made {
            true => text!(
                "The program makes this data set; how, its source says.",
                "该数据集由程序生成；方法见其源代码。"
            ),
            false => text!("No data were collected.", "未采集新数据。"),
        },
        "records",
    );
}

fn code(experiment: &Experiment, items: &mut Items) {
    let environments = experiment.environments();
    let some = !environments.is_empty();
    let no_record = || text!("There is no record yet.", "尚无记录。");
    items.add(
        text!("Code: dependencies", "代码：依赖"),
        Answer::given(some),
        match some {
            true => text!(
                "Each record has the compiler's version and the checksum of Cargo.lock, which \
                 fixes every dependency.",
                "每份记录都有编译器版本与 Cargo.lock 的校验和，后者固定了全部依赖。"
            ),
            false => no_record(),
        },
        "table-environments",
    );
    let named = environments
        .iter()
        .all(|(e, _, _)| e.commit.is_some() && !e.dirty);
    for what in [
        text!("Code: training", "代码：训练"),
        text!("Code: evaluation", "代码：评估"),
    ] {
        items.add(
            what,
            match some {
                true => Answer::InPart,
                false => Answer::No,
            },
            match (some, named) {
                (false, _) => no_record(),
                (true, true) => text!(
                    "The commit that ran stands in each record. The page does not hold the source.",
                    "每份记录都写明运行所用的提交。本页不含源代码。"
                ),
                (true, false) => text!(
                    "Some records come from a source that is not wholly a named commit. The page \
                     does not hold the source.",
                    "部分记录所用的源代码并不完全对应某个提交。本页不含源代码。"
                ),
            },
            "table-environments",
        );
    }
    items.add(
        text!("Code: trained models", "代码：训练所得模型"),
        Answer::No,
        text!(
            "The records hold the checksum of each run's final weights, not the weights; training \
             again from the same seed gives them.",
            "记录中只有每次运行最终权重的校验和而没有权重本身；以同一随机种子重新训练即可得到。"
        ),
        "table-runs",
    );
    items.add(
        text!(
            "Code: results with the exact command for them",
            "代码：结果及得到结果的确切命令"
        ),
        Answer::Yes,
        text!(
            "This page; the command stands under Records.",
            "本页；命令见“记录”一节。"
        ),
        "records",
    );
}

fn results(experiment: &Experiment, items: &mut Items) {
    let tuned: Vec<&Study> = experiment.studies.iter().filter(|s| s.is_tuned()).collect();
    let choosing = tuned
        .iter()
        .flat_map(|study| study.arms.iter().filter_map(|arm| study.in_tuning(arm)))
        .count();
    let place = match tuned.iter().find(|study| study.is_headline()) {
        Some(study) => format!("protocol-{}", slug(&study.protocol.name)),
        None => "records".to_owned(),
    };
    items.add(
        text!(
            "Results: range of hyper-parameters, how they were chosen, final values",
            "结果：超参数范围、选择方法与最终取值"
        ),
        match choosing {
            0 => Answer::Yes,
            _ => Answer::InPart,
        },
        match tuned.len() {
            0 => text!(
                "Nothing was tuned: the experiment file gives every value. They stand under \
                 Settings.",
                "未作调优：全部取值由实验文件给出，见“设置”。"
            ),
            n => text!(
                "In {n} of {all} protocols settings are tuned; tables and figures there give the \
                 candidates and the rule.{choice}",
                "{all} 个方案中有 {n} 个需要调优；其图表给出候选设置与规则。{choice}",
                n,
                all = experiment.studies.len(),
                choice = match choosing {
                    0 => text!(
                        " All are chosen; the values stand under Settings.",
                        "均已选定，取值见“设置”。"
                    ),
                    n => text!(
                        " Not yet chosen: the settings of {arms}.",
                        "尚未选定：{arms}的设置。",
                        arms = count(n, ARM)
                    ),
                },
            ),
        },
        &place,
    );
    items.add(
        text!(
            "Results: number of training and evaluation runs",
            "结果：训练与评估的运行次数"
        ),
        Answer::Yes,
        text!(
            "{runs}. Each is evaluated before its first update and after every epoch.",
            "{runs}。每次运行在首次更新之前与每轮之后各评估一次。",
            runs = runs_line(experiment),
        ),
        "table-runs",
    );
    items.add(
        text!("Results: measure defined", "结果：度量的定义"),
        Answer::Yes,
        text!(
            "The reconstruction error stands in the first paragraph, differences and tests under \
             Method.",
            "重构误差的定义见首段，差值与检验见“统计方法”一节。"
        ),
        "method",
    );
    let deciding = experiment.deciding().chain(experiment.headline()).next();
    let place = deciding.map_or_else(
        || "records".to_owned(),
        |study| format!("protocol-{}", slug(&study.protocol.name)),
    );
    let arms = || {
        experiment
            .deciding()
            .flat_map(|study| study.arms.iter().map(move |a| (study, a)))
    };
    let ended = || arms().map(|(study, arm)| study.final_errors(arm).len());
    let (fewest, most) = (ended().min(), ended().max().unwrap_or(0));
    let all =
        arms().all(|(study, arm)| study.final_errors(arm).len() == study.protocol.seeds.len());
    items.add(
        text!(
            "Results: central tendency and variation",
            "结果：集中趋势与离散程度"
        ),
        match fewest {
            Some(2..) if all => Answer::Yes,
            Some(_) if most > 0 => Answer::InPart,
            _ => Answer::No,
        },
        match fewest {
            Some(fewest) => text!(
                "Means with 95\u{202f}% intervals over the seeds that have ended: {ended} an arm; \
                 differences paired by seed, with their number beside each.",
                "均值附 95\u{202f}% 置信区间，取自已结束的随机种子，每种方法 {ended} 个；差值按随机种子\
                 配对，并列出其数目。",
                ended = match fewest == most {
                    true => most.to_string().into(),
                    false => range(fewest.to_string(), most.to_string()),
                },
            ),
            None => text!(
                "No protocol holds the arms that a claim compares.",
                "没有方案含主张所比较的方法。"
            ),
        },
        &place,
    );
    let (answer, runtime) = runtime(experiment);
    items.add(
        text!("Results: runtime or energy", "结果：运行时间或能耗"),
        answer,
        runtime,
        "table-environments",
    );
    let environments = experiment.environments();
    let mut machines: Vec<String> = Vec::new();
    let timed = experiment.cost.iter().map(|cost| &cost.environment);
    for e in environments.iter().map(|(e, ..)| *e).chain(timed) {
        let machine = e.gpu.as_ref().unwrap_or(&e.processor);
        let machine = format!("{machine} ({} cores, {})", e.cores, e.platform);
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    items.add(
        text!("Results: computing infrastructure", "结果：计算设施"),
        Answer::given(!machines.is_empty()),
        match machines.is_empty() {
            true => text!("There is no record yet.", "尚无记录。"),
            false => listed(&machines) + text!(".", "。"),
        },
        "table-environments",
    );
}

/// Seconds that a run of the headline protocols trained: the median and the
/// range, since what else a machine did is in them. Only where one machine, by
/// one kernel, ran all of a protocol.
fn runtime(experiment: &Experiment) -> (Answer, Text) {
    let mut times: Vec<Text> = Vec::new();
    for study in experiment.headline() {
        let runs = study.runs().filter(|run| run.state == State::Completed);
        let records: Vec<&RunRecord> = runs.filter_map(|run| run.record.as_deref()).collect();
        let seconds = records
            .iter()
            .filter_map(|record| record.evaluations.last());
        let seconds: Vec<f64> = seconds.map(|last| last.training_seconds).collect();
        let label = study.label();
        let machine = |record: &RunRecord| {
            let header = &record.header;
            let e = &header.environment;
            let (processor, gpu) = (e.processor.clone(), e.gpu.clone());
            (processor, gpu, e.jobs, header.kernel.clone())
        };
        let mixed = records
            .windows(2)
            .any(|two| machine(two[0]) != machine(two[1]));
        let (Some(middle), Some(first)) = (median(&seconds), records.first()) else {
            continue;
        };
        times.push(match mixed {
            true => text!(
                "{label} no median, since machines, kernels or numbers of runs side by side differ",
                "{label} 不取中位数，因机器、内核或同时运行的数目不同",
                label,
            ),
            false => text!(
                "{label} {middle} ({ends}), {jobs} side by side",
                "{label} {middle}（{ends}），同时进行 {jobs}",
                label,
                middle = significant(middle),
                ends = range(
                    significant(seconds.iter().copied().fold(f64::INFINITY, f64::min)),
                    significant(seconds.iter().copied().fold(0.0, f64::max)),
                ),
                jobs = count(first.header.environment.jobs, RUN),
            ),
        });
    }
    if times.is_empty() {
        return (
            Answer::No,
            text!("No run has completed yet.", "尚无完成的运行。"),
        );
    }
    (
        Answer::InPart,
        text!(
            "Median seconds of fine-tuning a run, and their range (what else the machine did is in \
             them): {times}. Pre-training and energy are not measured.",
            "每次运行反向微调秒数的中位数及范围（含机器当时其他负载的影响）：{times}。未测预训练用时与能耗。",
            times = one_by_one(&times),
        ),
    )
}

/// Evidence for each of the badges of the ACM, version 1.1.
pub(crate) fn artifacts(experiment: &Experiment) -> Table {
    let mut items = Items::new(
        experiment,
        "artifacts",
        text!(
            "Evidence that this report gives for each badge of the ACM's artifact review (version \
             1.1). Badges are awarded by reviewers; none is claimed here.",
            "本报告就 ACM 成果评审（1.1 版）各徽章所能给出的依据。徽章由评审人授予，此处不主张任何一项。"
        ),
        [text!("badge", "徽章"), text!("evidence", "依据")],
        Answer::evidence,
    );
    items.add(
        text!("Artifacts Available", "成果可获取（Artifacts Available）"),
        Answer::InPart,
        text!(
            "Report {id}, under MIT or Apache-2.0, names its commits and command. That it lies in \
             an archive with a permanent address cannot be seen from the records.",
            "报告 {id} 采用 MIT 或 Apache-2.0 许可，并写明提交与命令。它是否存放于有永久地址的档案库，\
             无法由记录得知。",
            id = experiment.id,
        ),
        "cite",
    );
    // A run that protocols share counts once.
    let runs = experiment.studies.iter().flat_map(Study::all_runs);
    let runs: BTreeMap<&RunId, bool> = runs.map(|run| (&run.id, run.record.is_some())).collect();
    let with_record = runs.values().filter(|there| **there).count();
    let planned = runs.len() + unchosen(experiment);
    items.add(
        text!(
            "Artifacts Evaluated \u{2013} Functional",
            "成果已评估：可用（Functional）"
        ),
        if with_record == planned && planned > 0 { Answer::Yes } else { Answer::InPart },
        text!(
            "Documented: method and assumptions. Consistent: every number names its runs, or the \
             file or source it is from. Complete: \
             {records} of {planned} planned. Exercisable: one command trains what is missing and \
             renders this page.",
            "文档：方法与假设。一致：每个数值都列出所依据的运行，或所出自的文件、来源。完整：计划 {planned} 份，已有 {records}。\
             可执行：一条命令即可运行缺失部分并生成本页。",
            records = count(with_record, RECORD),
            planned,
        ),
        "records",
    );
    items.add(
        text!(
            "Artifacts Evaluated \u{2013} Reusable",
            "成果已评估：可复用（Reusable）"
        ),
        Answer::InPart,
        text!(
            "Every table lies beside this page as CSV, JSON and LaTeX, every figure as SVG and \
             PDF, and report.json holds all of it under a versioned schema. Use by others is not \
             in the records.",
            "每个表格以 CSV、JSON 和 LaTeX，每幅图以 SVG 和 PDF 存于本页旁；report.json 按带版本的模式含其全部内容。\
             他人的使用情况不在记录中。"
        ),
        "records",
    );
    let machines = experiment.environments().len();
    items.add(
        text!("Results Reproduced", "结果已复现（Results Reproduced）"),
        Answer::No,
        text!(
            "This takes another team with these artifacts. Programs and machines that wrote \
             the records: {machines}; who ran them they do not say. The checksum of \
             each run's final weights lets another team compare to the bit.",
            "这需要另一团队使用这些成果。写入记录的程序与机器：{machines} 种；未说明由谁运行。每次运行最终权重的\
             校验和可供另一团队逐位比较。",
            machines,
        ),
        "table-runs",
    );
    let mut verdicts: Vec<Text> = Vec::new();
    for study in experiment.deciding() {
        let found = findings(experiment, study);
        let found: Vec<Text> = found
            .iter()
            .map(|finding| {
                let (id, verdict) = (&finding.claim.id, finding.verdict.name());
                text!("{id} {verdict}", "{id} {verdict}", id, verdict)
            })
            .collect();
        let (label, found) = (study.label(), in_a_row(&found));
        verdicts.push(text!("{label}: {found}", "{label}：{found}", label, found));
    }
    let verdicts = match verdicts.is_empty() {
        true => text!("there is no verdict yet", "尚无判定"),
        false => one_by_one(&verdicts),
    };
    items.add(
        text!("Results Replicated", "结果已重现（Results Replicated）"),
        Answer::No,
        text!(
            "Of this report: no independent study is in the records. Of He and Li's claims: this \
             report is a try without their artifacts, with formulas read from the abstract; \
             {verdicts}.",
            "就本报告而言：记录中没有独立研究。就贺与李的主张而言：本报告是不用其成果的一次尝试，公式由摘要解读；{verdicts}。",
            verdicts,
        ),
        "verdicts",
    );
    items.table
}

/// A table of items under way, and how it writes an answer.
struct Items {
    table: Table,
    write: fn(Answer) -> Text,
    /// Ids of the sections of protocols, with their titles.
    protocols: Vec<(String, Text)>,
}

impl Items {
    fn new(
        experiment: &Experiment,
        name: &str,
        caption: Text,
        [item, answer]: [Text; 2],
        write: fn(Answer) -> Text,
    ) -> Self {
        let columns = vec![
            words(item),
            words(answer),
            words(text!("from the records", "依据记录")),
            words(text!("place", "位置")),
        ];
        Self {
            table: Table::new(name, caption, columns),
            write,
            protocols: experiment
                .headline()
                .map(|study| {
                    let id = format!("protocol-{}", slug(&study.protocol.name));
                    (id, study.label().clone())
                })
                .collect(),
        }
    }

    /// What stands above the element of the page with this id.
    fn title(&self, place: &str) -> Text {
        match place {
            "table-assumptions" => text!("Assumptions", "假设"),
            "table-environments" => text!("Machines and programs", "机器与程序"),
            "table-runs" => text!("Runs", "运行"),
            "verdicts" => text!("The claims", "主张"),
            "cost" => text!("Cost of an update", "一次更新的开销"),
            "method" => text!("Method", "统计方法"),
            "cite" => text!("Cite this report", "引用本报告"),
            protocol => {
                let named = |(name, _): &&(String, Text)| name == protocol;
                let found = self.protocols.iter().find(named);
                found.map_or_else(|| text!("Records", "记录"), |(_, label)| label.clone())
            }
        }
    }

    /// `place` is the id of an element of the page.
    fn add(&mut self, item: Text, answer: Answer, evidence: Text, place: &str) {
        self.table.rows.push(vec![
            item.into(),
            (self.write)(answer).into(),
            evidence.into(),
            Cell {
                place: Some(format!("#{place}")),
                ..self.title(place).into()
            },
        ]);
    }
}
