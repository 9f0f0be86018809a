use adamix_record::text;

use super::{Cell, Table, numbers, words};
use crate::number::{SEED, count, fixed, grouped};
use crate::statistics::{COVERAGE, COVERAGE_TRIALS, COVERAGE_VALUES, Population};

/// How often the intervals hold what they should, as simulated.
pub(crate) fn coverage() -> Table {
    let mut table = Table::new(
        "coverage",
        text!(
            "How often 95\u{202f}% intervals from {seeds} hold the true mean, in per cent of \
             {trials} simulated samples each. The log-normal distribution has a skewness of 6.2: \
             where differences are as skewed as that, the Student interval is too narrow.",
            "由 {seeds} 得到的 95\u{202f}% 置信区间包含真实均值的频率（%），每种情形各模拟 {trials} \
             个样本。所用对数正态分布的偏度为 6.2：若差值偏斜至此，Student 置信区间就过窄。",
            seeds = count(COVERAGE_VALUES, SEED),
            trials = grouped(COVERAGE_TRIALS as u64),
        ),
        vec![
            words(text!("values drawn from", "取值分布")),
            numbers(text!("Student (decides)", "Student（据此判定）")),
            numbers("bootstrap-t"),
            numbers("BCa"),
        ],
    );
    for coverage in COVERAGE {
        let name = match coverage.population {
            Population::Normal => text!("a normal distribution", "正态分布"),
            Population::LogNormal => text!("a log-normal distribution", "对数正态分布"),
        };
        let shares = [coverage.student, coverage.bootstrap_t, coverage.bca];
        let mut row = vec![name.into()];
        row.extend(
            shares.map(|share| Cell::number(100.0 * share, |s| fixed(s, 1)).sourced("simulation")),
        );
        table.rows.push(row);
    }
    table
}
