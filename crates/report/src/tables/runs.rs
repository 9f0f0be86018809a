use std::collections::BTreeMap;

use adamix_record::{Environment, RunId, Text, text};

use super::{Cell, Column, NOTHING, Table, arm_column, numbers, words};
use crate::load::{Experiment, Run, State, Study};
use crate::number::{RECORD, RUN, count, error};

/// Every planned run and what became of it. A run that several arms or
/// protocols share stands once; those of an arm that are missing share a row.
pub(crate) fn runs(experiment: &Experiment) -> Table {
    let mut rows = Rows::of(experiment);
    for study in &experiment.studies {
        for arm in &study.arms {
            for run in &arm.runs {
                let last = study.test_errors(run).and_then(|e| e.last().copied());
                rows.add(study, run, arm.label(), last, study.epochs());
            }
        }
    }
    rows.table(
        "runs",
        text!(
            "Every run of the plan; an arm's missing runs stand in one row, with their ids in the \
             files and, in the page, behind the row. The run id is a checksum over settings, seed, \
             data, backend and version of the numerics. Each record is a text file, one JSON \
             object a line.",
            "计划中的每次运行；同一方法缺失的运行合为一行，其编号见文件，在页面中则可由该行查得。运行编号是对\
             设置、随机种子、数据、计算后端和数值版本所取的校验和。每份记录是一个文本文件，每行一个 JSON 对象。"
        ),
        text!("final test error", "最终测试误差"),
    )
}

/// Every run of the tuning; `None` where nothing is tuned.
pub(crate) fn tuning_runs(experiment: &Experiment) -> Option<Table> {
    let mut rows = Rows::of(experiment);
    for study in &experiment.studies {
        let rungs = study.protocol.tuning.iter().flat_map(|t| &t.rungs);
        let epochs = rungs.map(|rung| rung.epochs).max().unwrap_or(0);
        for tuned in &study.tuning {
            for (number, runs) in tuned.candidates.iter().enumerate() {
                let label = &tuned.label;
                let name = text!("{label}, {number}", "{label}，{number}", label, number);
                for run in runs {
                    let evaluation = run.record.as_ref().and_then(|r| r.evaluations.last());
                    let last = evaluation.and_then(|e| e.validation_error);
                    rows.add(study, run, &name, last, epochs);
                }
            }
        }
    }
    (!rows.rows.is_empty()).then(|| {
        rows.table(
            "tuning-runs",
            text!(
                "Every run of the tuning, by arm and number of the candidate. Its error is on the \
                 validation images, where it ended.",
                "调优的每次运行，按方法和候选设置的序号排列。误差为运行结束时在验证图像上的误差。"
            ),
            text!("last validation error", "末次验证误差"),
        )
    })
}

/// Runs whose records are links; more of them would make the page too large.
const MOST_LINKED: usize = 2000;

/// Rows in the order of the plan, each run once.
struct Rows<'a> {
    /// Whether a column tells the protocol.
    several: bool,
    rows: Vec<Row<'a>>,
    /// Row of each run.
    found: BTreeMap<&'a RunId, usize>,
}

struct Row<'a> {
    study: &'a Study,
    name: Text,
    run: &'a Run,
    /// Its last error, and the epochs that were planned.
    last: Option<f64>,
    epochs: u64,
    /// How many more arms or protocols have the run.
    more: usize,
}

impl<'a> Rows<'a> {
    fn of(experiment: &Experiment) -> Self {
        Self {
            several: experiment.studies.len() > 1,
            rows: Vec::new(),
            found: BTreeMap::new(),
        }
    }

    fn add(&mut self, study: &'a Study, run: &'a Run, name: &Text, last: Option<f64>, epochs: u64) {
        if let Some(place) = self.found.get(&run.id) {
            self.rows[*place].more += 1;
            return;
        }
        self.found.insert(&run.id, self.rows.len());
        self.rows.push(Row {
            study,
            name: name.clone(),
            run,
            last,
            epochs,
            more: 0,
        });
    }

    fn table(self, name: &str, caption: Text, figure: Text) -> Table {
        let protocol = text!(
            "protocol, as the experiment file names it",
            "方案（实验文件中的名称）"
        );
        let mut columns = columns(figure);
        if self.several {
            columns.insert(1, words(protocol));
        }
        let mut table = Table::new(name, caption, columns);
        let missing = |row: &Row<'_>| matches!(row.run.state, State::Missing);
        let together = |a: &Row<'_>, b: &Row<'_>| {
            let [p, q] = [a, b].map(|row| &row.study.protocol.name);
            missing(a) && missing(b) && p == q && a.name == b.name && a.more == b.more
        };
        for rows in self.rows.chunk_by(together) {
            let ids: Vec<RunId> = rows.iter().map(|row| row.run.id.clone()).collect();
            let mut cells = cells(rows);
            if self.several {
                cells.insert(1, rows[0].study.protocol.name.as_str().into());
            }
            let cells = cells.into_iter().map(|cell| cell.of(&ids));
            table.rows.push(cells.collect());
        }
        if table.rows.len() > MOST_LINKED {
            let cells = table.rows.iter_mut().flatten();
            cells.for_each(|cell| cell.place = None);
        }
        table
    }
}

fn columns(figure: Text) -> Vec<Column> {
    vec![
        arm_column(),
        numbers(text!("seed", "随机种子")),
        words(text!("run id", "运行编号")),
        words(text!("state", "状态")),
        numbers(figure),
        words(text!("record", "记录")),
    ]
}

/// What became of a run, in words.
pub(crate) fn state(study: &Study, state: &State, planned: u64) -> Text {
    match state {
        State::Completed => text!("completed", "完成"),
        State::Diverged { epoch } => {
            let counted = match study.mean_image_error {
                Some(_) => text!("counts with the mean image's error", "按平均图像的误差计入"),
                None => text!(
                    "cannot count: the mean image's error is not measured yet",
                    "无法计入：平均图像的误差尚未测得"
                ),
            };
            text!(
                "diverged at epoch {epoch}; {counted}",
                "在第 {epoch} 轮发散；{counted}",
                epoch,
                counted,
            )
        }
        State::Stopped { epoch } => {
            text!(
                "not kept after epoch {epoch}",
                "第 {epoch} 轮后未保留",
                epoch
            )
        }
        State::Failed { why } => text!("failed: {why}", "失败：{why}", why),
        State::Running { epochs } => text!(
            "running, or interrupted; {epochs} of {planned} epochs",
            "运行中或已中断；已完成 {epochs} 轮，共 {planned} 轮",
            epochs,
            planned,
        ),
        State::Missing => text!("missing", "缺失"),
    }
}

/// One run, or several that are missing alike.
fn cells(rows: &[Row<'_>]) -> Vec<Cell> {
    let Row {
        study,
        name,
        run,
        last,
        epochs,
        more,
    } = &rows[0];
    let name = match more {
        0 => name.clone(),
        more => text!(
            "{name} (shared with {more} more arms or protocols)",
            "{name}（与另外 {more} 处共用）",
            name,
            more
        ),
    };
    let seeds: Vec<String> = rows.iter().map(|row| row.run.seed.to_string()).collect();
    vec![
        name.into(),
        match rows.len() {
            1 => Cell::number(run.seed as f64, |_| run.seed.to_string()),
            _ => seeds.join(" ").into(),
        },
        match rows.len() {
            1 => run.id.as_str().into(),
            n => count(n, RUN).into(),
        },
        state(study, &run.state, *epochs).into(),
        Cell::or_nothing(last.map(|last| Cell::number(last, error))),
        Cell::or_nothing(run.file().map(|file| Cell {
            place: Some(file.clone()),
            ..file.into()
        })),
    ]
}

/// Every machine and program that wrote records, and the one that was timed: a
/// column each.
pub(crate) fn environments(experiment: &Experiment) -> Table {
    let records = experiment
        .environments()
        .into_iter()
        .map(|(e, kernel, n)| (count(n, RECORD), e, kernel));
    let timed = experiment
        .cost
        .iter()
        .map(|cost| (Text::same("cost.json"), &cost.environment, NOTHING));
    let all: Vec<(Text, &Environment, &str)> = records.chain(timed).collect();
    let none = || text!("none", "无");
    let same = |text: &str| Cell::from(text);
    type Write<'a> = &'a dyn Fn(&Environment, &str) -> Cell;
    let rows: [(Text, Write<'_>); 11] = [
        ("adamix".into(), &|e, _| same(&e.version)),
        (text!("commit", "提交（commit）"), &|e, _| {
            let commit = match &e.commit {
                Some(commit) => Text::same(commit.as_str()),
                None => text!("unknown", "未知"),
            };
            match e.dirty {
                true => text!("{commit}, with changes", "{commit}，有未提交的改动", commit).into(),
                false => commit.into(),
            }
        }),
        (text!("compiler", "编译器"), &|e, _| same(&e.rustc)),
        (
            text!("features", "编译特性"),
            &|e, _| match e.features.is_empty() {
                true => none().into(),
                false => e.features.join(" ").into(),
            },
        ),
        (text!("platform", "平台"), &|e, _| same(&e.platform)),
        (text!("processor", "处理器"), &|e, _| same(&e.processor)),
        (text!("cores", "核心数"), &|e, _| Cell::whole(e.cores)),
        (
            text!("GPU (graphics processor)", "GPU（图形处理器）"),
            &|e, _| e.gpu.as_deref().map_or_else(none, Text::same).into(),
        ),
        (text!("matrix kernel", "矩阵内核"), &|_, kernel| {
            same(kernel)
        }),
        (text!("jobs", "并行任务数"), &|e, _| {
            Cell::whole(e.jobs)
        }),
        ("Cargo.lock SHA-256".into(), &|e, _| same(&e.lock_sha256)),
    ];
    let mut columns = vec![words(text!("written by", "写入环境"))];
    columns.extend(all.iter().map(|(what, ..)| words(what)));
    let mut table = Table::new(
        "environments",
        text!("Where the records were written.", "各份记录的产生环境。"),
        columns,
    );
    for (name, write) in rows {
        let mut row = vec![name.into()];
        row.extend(all.iter().map(|(_, e, kernel)| write(e, kernel)));
        table.rows.push(row);
    }
    table
}
