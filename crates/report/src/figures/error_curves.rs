//! Test error against epoch: the mean over seeds with its interval.

use adamix_record::{Text, text};

use super::chart::{Curve, Style, data, over_epochs, series};
use super::{Figure, Words};
use crate::Result;
use crate::load::Study;
use crate::number::{self, in_a_row, listed};
use crate::provenance::Provenance;
use crate::statistics::{Estimate, mean_interval};

/// With `seeds`, the page holds the curve of each.
pub(super) fn figure(
    name: &str,
    study: &Study,
    seeds: bool,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let curves = curves(study, seeds);
    if curves.is_empty() {
        return Ok(None);
    }
    let words = Words {
        title: text!(
            "How does the test error fall with the epochs?",
            "测试误差如何随轮数下降？"
        ),
        caption: text!(
            "Reconstruction error on the test images after each epoch (one pass over the training \
             images), on a logarithmic scale: mean over the seeds and, shaded, the 95\u{202f}% \
             Student interval of that mean (left out for an arm with a diverged run, whose mean \
             holds the error of the mean image). Epoch 0 is the shared start. Bands wider than \
             the frame are cut there.",
            "每一轮（遍历训练图像一次）之后测试图像上的重构误差，对数刻度：各随机种子的均值，阴影为该均值的 \
             95\u{202f}% Student 置信区间（有运行发散的方法不画，其均值含平均图像的误差）。第 0 轮为共同的\
             起点。超出画面的阴影在边缘截断。"
        ),
        description: description(study, &curves),
    };
    let y = text!("test error", "测试误差");
    let draw = |width| over_epochs(name, &y, &curves, width);
    let titles = [&text!("epoch", "轮"), &y];
    let data = data(titles, &curves, provenance);
    let figure = Figure::new(name, words, series(titles, &curves), draw)?;
    Ok(Some(figure.with(data)))
}

fn curves(study: &Study, seeds: bool) -> Vec<Curve> {
    let arms = study.arms.iter();
    arms.filter_map(|arm| {
        let runs = study.by_seed(arm, |errors| Some(errors.to_vec()));
        let at = |epoch: u64| {
            let errors: Vec<f64> = runs.iter().map(|(_, run)| run[epoch as usize]).collect();
            Some((epoch, mean_interval(&errors, 0.95)?))
        };
        let means: Vec<(u64, Estimate)> = (0..=study.epochs()).map(at).collect::<Option<_>>()?;
        let low = means.iter().map(|(epoch, mean)| (*epoch, mean.low));
        let high = means.iter().map(|(epoch, mean)| (*epoch, mean.high));
        // The band of an arm with a diverged run would fill the figure.
        let banded = runs.len() > 1 && arm.diverged() == 0;
        Some(Curve {
            arm: Some(arm.arm.name.clone()),
            label: arm.label().clone(),
            style: Style::of(arm.style),
            points: means
                .iter()
                .map(|(epoch, mean)| (*epoch, mean.point))
                .collect(),
            band: low.chain(high.rev()).filter(|_| banded).collect(),
            seeds: if seeds { runs } else { Vec::new() },
            runs: study.counted(arm),
        })
    })
    .collect()
}

fn description(study: &Study, curves: &[Curve]) -> Text {
    let ends = curves
        .iter()
        .filter_map(|curve| Some((&curve.label, curve.points.last()?.1)));
    let mut ends: Vec<(&Text, f64)> = ends.collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ends: Vec<Text> = ends
        .iter()
        .map(|(label, error)| {
            let error = number::error(*error);
            text!("{label} {error}", "{label} {error}", label, error)
        })
        .collect();
    text!(
        "{course}Mean test error after epoch {epochs}, lowest first: {ends}.",
        "{course}第 {epochs} 轮之后的平均测试误差，由低到高：{ends}。",
        course = course(curves),
        epochs = study.epochs(),
        ends = in_a_row(&ends),
    )
}

/// Which arm has the lowest mean, from which epoch to which.
fn course(curves: &[Curve]) -> Text {
    let last = curves.iter().map(|curve| curve.points.len()).min();
    let mut turns: Vec<(usize, &Text)> = Vec::new();
    for epoch in 1..last.unwrap_or(0) {
        let at = |curve: &Curve| curve.points[epoch].1;
        let lowest = curves.iter().min_by(|a, b| at(a).total_cmp(&at(b)));
        let Some(lowest) = lowest.map(|curve| &curve.label) else {
            continue;
        };
        if turns.last().is_none_or(|(_, label)| *label != lowest) {
            turns.push((epoch, lowest));
        }
    }
    match turns.as_slice() {
        _ if curves.len() < 2 => Text::default(),
        [] => Text::default(),
        [(_, label)] => text!(
            "{label} has the lowest mean after every epoch. ",
            "每一轮之后 {label} 的均值都最低。",
            label
        ),
        [(_, before), (epoch, label)] => text!(
            "{label} has the lowest mean from epoch {epoch} on, before it {before}. ",
            "从第 {epoch} 轮起 {label} 的均值最低，此前为 {before}。",
            label,
            epoch,
            before,
        ),
        [.., (epoch, label)] => {
            let mut taking: Vec<Text> = Vec::new();
            for (_, one) in &turns {
                if !taking.contains(one) {
                    taking.push((*one).clone());
                }
            }
            // A name with a comma would fall apart among the others.
            for name in &mut taking {
                if name.en.contains(", ") {
                    *name = text!("\u{201c}{name}\u{201d}", "“{name}”", name);
                }
            }
            text!(
                "{taking} take turns at the lowest mean, {label} has it from epoch {epoch} on. ",
                "{taking} 轮流最低，从第 {epoch} 轮起为 {label}。",
                taking = listed(&taking),
                label,
                epoch,
            )
        }
    }
}
