use adamix_record::{Text, text};

use super::{Cell, Table, arm_column, numbers, of_protocol};
use crate::load::Study;
use crate::number::error;

/// The error curve of every run that counts, a column an epoch: whole, however
/// many runs there are. `None` where there is none.
pub(crate) fn curves(study: &Study) -> Option<Table> {
    let mut columns = vec![arm_column(), numbers(text!("seed", "随机种子"))];
    let epoch = |epoch: u64| numbers(text!("epoch {epoch}", "第 {epoch} 轮", epoch));
    columns.extend((0..=study.epochs()).map(epoch));
    let mut table = Table::new(
        of_protocol("curves", &study.protocol),
        text!(
            "Test error of every run by epoch; a run that diverged has the mean image's error from \
             there on.",
            "每次运行各轮的测试误差；发散的运行自发散起按平均图像的误差计。"
        ),
        columns,
    );
    for arm in &study.arms {
        let label: &Text = arm.label();
        let curves = study.by_seed(arm, |errors| Some(errors.to_vec()));
        for ((seed, errors), id) in curves.into_iter().zip(study.counted(arm)) {
            let mut row = vec![
                label.into(),
                Cell::number(seed as f64, |_| seed.to_string()),
            ];
            row.extend(errors.into_iter().map(|e| Cell::number(e, error)));
            // Once a row is enough: the row is one run.
            row[1].runs = vec![id];
            table.rows.push(row);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
