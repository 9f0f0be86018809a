use super::{Table, numbers, words};
use crate::number::{count, fixed, grouped};
use crate::statistics::{COVERAGE, COVERAGE_TRIALS, COVERAGE_VALUES, Population};

/// How often the intervals hold what they should, as simulated.
pub(crate) fn coverage() -> Table {
    let mut table = Table::new(
        format!(
            "How often 95\u{202f}% intervals from {} hold the true mean, in per cent of {} \
             simulated samples each. The log-normal distribution has a skewness of 6.2: where \
             differences are as skewed as that, the Student interval is too narrow.",
            count(COVERAGE_VALUES, "seed"),
            grouped(COVERAGE_TRIALS as u64),
        ),
        vec![
            words("values drawn from"),
            numbers("Student (decides)"),
            numbers("bootstrap-t"),
            numbers("BCa"),
        ],
    );
    for coverage in COVERAGE {
        let name = match coverage.population {
            Population::Normal => "a normal distribution",
            Population::LogNormal => "a log-normal distribution",
        };
        let shares = [coverage.student, coverage.bootstrap_t, coverage.bca];
        let mut row = vec![name.to_owned()];
        row.extend(shares.map(|share| fixed(100.0 * share, 1)));
        table.rows.push(row);
    }
    table
}
