//! Median |g| of the weights against `K`, layer by layer: whether a rule that
//! divides by the root of `K + g^2` does anything that a constant rate does not.

use adamix_record::{Role, RunId, Text, text};

use super::chart::{Curve, Style, data, over_epochs, series};
use super::{Figure, Words};
use crate::Result;
use crate::load::{ArmRuns, Study};
use crate::number::{in_a_row, percent, significant};
use crate::provenance::Provenance;
use crate::statistics::{MedianInterval, TimeToTarget, median, median_interval};

pub(super) fn figure(
    name: &str,
    study: &Study,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let Some(arm) = study.only(Role::Adamix).or_else(|| study.arms.first()) else {
        return Ok(None);
    };
    let mut curves = layers(study, arm);
    let Some(first) = curves.first() else {
        return Ok(None);
    };
    let epochs: Vec<u64> = first.points.iter().map(|(epoch, _)| *epoch).collect();
    let root = arm.arm.weights["k"].as_f64().map(f64::sqrt);
    let divides_by_gradient = ["adamix-w1", "adamix-w2"]
        .iter()
        .any(|rule| arm.arm.weights["rule"] == *rule);
    let words = Words {
        title: text!(
            "Are the gradients large beside the root of K?",
            "与常数 K 的平方根相比，梯度大吗？"
        ),
        caption: text!(
            "Median size |g| of the weights' gradients in the last update of each epoch, by \
             layer, for {arm}: median over the seeds and, shaded, its interval between two of \
             their values, which with fewer than six seeds is their whole range. In dashes: the \
             layers behind the code.",
            "{arm} 各层连接权重的梯度大小 |g| 的中位数，取每轮最后一次更新；再取各随机种子的中位数；\
             阴影为该中位数介于其中两个值之间的区间，种子少于六个时即其全部范围。虚线为编码之后的各层。",
            arm = arm.label(),
        ),
        description: description(&curves, root, divides_by_gradient)
            + root.map_or_else(Text::default, |root| above(&curves, root)),
    };
    if let Some(root) = root {
        curves.push(Curve {
            arm: None,
            label: text!(
                "root of K: above it, g decides",
                "K 的平方根：高于此线时由 g 主导"
            ),
            style: Style::LIMIT,
            points: epochs.into_iter().map(|epoch| (epoch, root)).collect(),
            band: Vec::new(),
            seeds: Vec::new(),
            runs: Vec::new(),
        });
    }
    let y = text!("median |g|", "|g| 的中位数");
    let draw = |width| over_epochs(name, &y, &curves, width);
    let titles = [&text!("epoch", "轮"), &y];
    let data = data(titles, &curves, provenance);
    let figure = Figure::new(name, words, series(titles, &curves), draw)?;
    Ok(Some(figure.with(data)))
}

fn layers(study: &Study, arm: &ArmRuns) -> Vec<Curve> {
    let records = || arm.runs.iter().filter_map(|run| run.record.as_ref());
    let with_record = arm.runs.iter().filter(|run| run.record.is_some());
    let runs: Vec<RunId> = with_record.map(|run| run.id.clone()).collect();
    let count = records()
        .flat_map(|r| r.diagnostics.iter().map(|d| d.layers.len()))
        .max()
        .unwrap_or(0);
    let last = records().map(|r| r.diagnostics.len()).max().unwrap_or(0);
    (0..count)
        .filter_map(|layer| {
            let medians: Vec<(u64, f64, MedianInterval)> = (0..last)
                .filter_map(|i| {
                    let over_seeds: Vec<f64> = records()
                        .filter_map(|r| r.diagnostics.get(i)?.layers.get(layer)?.weights_median)
                        .collect();
                    let interval = median_interval(&all_known(&over_seeds), 0.95)?;
                    Some((i as u64 + 1, median(&over_seeds)?, interval))
                })
                .collect();
            let low = medians.iter().filter_map(|(at, _, i)| Some((*at, i.low?)));
            let high = medians.iter().filter_map(|(at, _, i)| Some((*at, i.high?)));
            (!medians.is_empty()).then(|| Curve {
                arm: None,
                label: label(&study.protocol.layer_sizes, layer),
                style: Style::layer(layer, count),
                points: medians
                    .iter()
                    .map(|(at, median, _)| (*at, *median))
                    .collect(),
                band: low.chain(high.rev()).collect(),
                seeds: Vec::new(),
                runs: runs.clone(),
            })
        })
        .collect()
}

/// Values as times, none of them censored.
fn all_known(values: &[f64]) -> Vec<TimeToTarget> {
    let known = |at: &f64| TimeToTarget {
        at: *at,
        reached: true,
    };
    values.iter().map(known).collect()
}

/// `layer 1 (784 to 1000)`; the sizes run to the code, the network back again.
fn label(sizes: &[usize], layer: usize) -> Text {
    let all: Vec<usize> = sizes
        .iter()
        .chain(sizes.iter().rev().skip(1))
        .copied()
        .collect();
    let number = layer + 1;
    match (all.get(layer), all.get(layer + 1)) {
        (Some(from), Some(to)) => text!(
            "layer {number} ({from} to {to})",
            "第 {number} 层（{from} 至 {to}）",
            number,
            from,
            to,
        ),
        _ => text!("layer {number}", "第 {number} 层", number),
    }
}

/// In how many of the layers g decides for half of the weights, after some epoch.
fn above(layers: &[Curve], root: f64) -> Text {
    let above = layers.iter().filter(|layer| {
        let mut medians = layer.points.iter().map(|(_, median)| *median);
        medians.any(|median| median > root)
    });
    let above: Vec<Text> = above.map(|layer| layer.label.clone()).collect();
    let count = layers.len();
    match above.len() {
        0 => text!(
            " In none of the {count} layers is the median ever above the root of K.",
            "{count} 层中没有一层的中位数曾高于 K 的平方根。",
            count,
        ),
        number => text!(
            " In {number} of the {count} layers the median is above the root of K after some \
             epoch: {labels}.",
            "{count} 层中有 {number} 层的中位数在某一轮之后高于 K 的平方根：{labels}。",
            number,
            count,
            labels = in_a_row(&above),
        ),
    }
}

fn description(layers: &[Curve], root: Option<f64>, divides_by_gradient: bool) -> Text {
    let all = layers.iter().flat_map(|layer| &layer.points);
    let largest = all.map(|(_, median)| *median).fold(0.0, f64::max);
    let size = significant(largest);
    let Some(root) = root else {
        return text!(
            "The largest median is {size}.",
            "最大的中位数为 {size}。",
            size
        );
    };
    let ratio = largest / root;
    let size = text!(
        "The largest median is {size}, {ratio} times the root of K ({root})",
        "最大的中位数为 {size}，是 K 的平方根（{root}）的 {ratio} 倍",
        size,
        ratio = significant(ratio),
        root = significant(root),
    );
    if !divides_by_gradient {
        return size + text!(".", "。");
    }
    let slowed = 1.0 - 1.0 / (1.0 + ratio * ratio).sqrt();
    let meaning = if slowed < 0.01 {
        text!(
            "so for at least half of the weights of every layer, in these updates, a rate divided by \
             the root of K + g\u{b2} is as good as constant",
            "因此在这些更新中，对每层至少一半的连接权重而言，除以 K + g\u{b2} 平方根的学习率几乎是常数"
        )
    } else {
        text!(
            "or more for half of the weights of that layer",
            "该层一半的连接权重降低更多"
        )
    };
    let slowed = if slowed < 1e-4 {
        let bound = percent(1e-4);
        text!("less than {bound}", "不到 {bound}", bound)
    } else {
        percent(slowed).into()
    };
    text!(
        "{size}: at that gradient the root of K + g\u{b2} lowers the rate by {slowed}, {meaning}.",
        "{size}：在该梯度处，K + g\u{b2} 的平方根使学习率降低 {slowed}，{meaning}。",
        size,
        slowed,
        meaning,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_named_where_the_gradient_decides() {
        let layer = |name: &str, medians: [f64; 2]| Curve {
            arm: None,
            label: name.into(),
            style: Style::LIMIT,
            points: vec![(1, medians[0]), (2, medians[1])],
            band: Vec::new(),
            seeds: Vec::new(),
            runs: Vec::new(),
        };
        let layers = [
            layer("one", [0.01, 0.02]),
            layer("two", [0.2, 0.02]),
            layer("three", [0.3, 0.3]),
        ];
        let said =
            " In 2 of the 3 layers the median is above the root of K after some epoch: two, three.";
        assert_eq!(above(&layers, 0.1).en, said);
        assert!(above(&layers, 0.3).en.starts_with(" In none of the 3"));
    }
}
