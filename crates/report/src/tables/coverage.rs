use adamix_record::text;

use super::{Cell, Table, numbers, words};
use crate::number::{SEED, count, fixed, grouped};
use crate::statistics::{COVERAGE, COVERAGE_TRIALS, COVERAGE_VALUES, Population};

/// How often the intervals hold what they should, as simulated.
pub(crate) fn coverage() -> Table {
    let mut table = Table::new(
        "coverage",
        text!(
            "How often intervals from {seeds} hold the true mean, in per cent of {trials} \
             simulated samples each; all are at 95\u{202f}% but for the second column, at the \
             97.5\u{202f}% that contradict a claim. Where differences are as skewed as the last \
             row's, the Student interval is too narrow.",
            "由 {seeds} 得到的置信区间包含真实均值的频率（%），每种情形各模拟 {trials} 个样本；除第二列为判定\
             “与主张相反”所用的 97.5\u{202f}% 外，均为 95\u{202f}%。若差值偏斜如末行，Student 置信区间就过窄。",
            seeds = count(COVERAGE_VALUES, SEED),
            trials = grouped(COVERAGE_TRIALS as u64),
        ),
        vec![
            words(text!("values drawn from", "取值分布")),
            numbers(text!("Student (decides)", "Student（据此判定）")),
            numbers(text!(
                "Student at 97.5\u{202f}% (decides against)",
                "97.5\u{202f}% Student（据此判定相反）"
            )),
            numbers("bootstrap-t"),
            numbers("BCa"),
        ],
    );
    for coverage in COVERAGE {
        let name = match coverage.population {
            Population::Normal => text!("a normal distribution", "正态分布"),
            Population::LittleSkewed => text!(
                "a log-normal distribution of skewness 0.8",
                "偏度 0.8 的对数正态分布"
            ),
            Population::VerySkewed => text!(
                "a log-normal distribution of skewness 6.2",
                "偏度 6.2 的对数正态分布"
            ),
        };
        let shares = [
            coverage.student,
            coverage.student_975,
            coverage.bootstrap_t,
            coverage.bca,
        ];
        let mut row = vec![name.into()];
        row.extend(
            shares.map(|share| Cell::number(100.0 * share, |s| fixed(s, 1)).sourced("simulation")),
        );
        table.rows.push(row);
    }
    table
}
