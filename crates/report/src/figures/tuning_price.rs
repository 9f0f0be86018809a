//! What tuning costs: the lowest validation error to expect of so many tries.

use adamix_record::{Text, text};

use super::chart::{Curve, Style, data, over, series};
use super::{Figure, Words};
use crate::Result;
use crate::load::{Study, TuningRuns};
use crate::number::{self, ARM, count, one_by_one, percent, range};
use crate::provenance::Provenance;
use crate::statistics::{BestOf, best_of};

pub(super) fn figure(
    name: &str,
    study: &Study,
    provenance: &Provenance<'_>,
) -> Result<Option<Figure>> {
    let priced: Vec<(&TuningRuns, Vec<BestOf>)> = study
        .tuning
        .iter()
        .filter_map(|arm| Some((arm, best_of(&arm.errors(study)?)?)))
        .collect();
    if priced.is_empty() {
        return Ok(None);
    }
    let curves: Vec<Curve> = priced
        .iter()
        .map(|(arm, prices)| {
            let points = |value: fn(&BestOf) -> f64| {
                let points = prices.iter();
                points.map(move |price| (price.settings as u64, value(price)))
            };
            Curve {
                arm: Some(arm.tuned.arm.clone()),
                label: arm.label.clone(),
                style: Style::of(arm.style),
                points: points(|price| price.mean).collect(),
                band: points(|price| price.low)
                    .chain(points(|price| price.high).rev())
                    .collect(),
                seeds: Vec::new(),
                runs: arm.runs(),
            }
        })
        .collect();
    let missing = study.tuning.len() - priced.len();
    let missing = match missing {
        0 => Text::default(),
        n => text!(
            " {arms} left out, of which some candidate has no error yet.",
            "{arms}未画出，因其某组候选设置尚无误差。",
            arms = match n {
                1 => text!("1 arm is", "1 种方法"),
                _ => count(n, ARM) + text!(" are", ""),
            },
        ),
    };
    let words = Words {
        title: text!(
            "How low an error do so many candidates buy?",
            "试多少组候选设置能换来多低的误差？"
        ),
        caption: text!(
            "The price of tuning: the lowest validation error to expect had only so many of the \
             candidates been tried, drawn without replacement, and, shaded, from its 10\u{202f}% \
             to its 90\u{202f}% quantile; exact, from order statistics. Candidates of an \
             extension, to which the others' errors led, are left out. A candidate that was stopped counts with its error there, \
             which is an upper bound as long as training lowers it; one that diverged counts with \
             the mean image's error on the test images, the only one that is known.{missing}",
            "调优的代价：若只试其中若干组候选设置（不放回抽取），期望得到的最低验证误差；阴影为其 10\u{202f}% \
             至 90\u{202f}% 分位数；由次序统计量精确算出。扩展的候选设置由其他候选的误差引出，不计入。中途停止的候选设置按停止时的误差\
             计，只要训练仍在降低误差，它就是上界；发散的按平均图像在测试图像上的误差计，这是唯一已知的值。{missing}",
            missing,
        ),
        description: description(&priced),
    };
    let titles = [
        text!("candidates tried", "所试候选设置数"),
        text!("validation error", "验证误差"),
    ];
    let draw = |width| over(name, titles.each_ref(), &curves, width);
    let data = data(titles.each_ref(), &curves, provenance);
    let figure = Figure::new(name, words, series(titles.each_ref(), &curves), draw)?;
    Ok(Some(figure.with(data)))
}

fn description(priced: &[(&TuningRuns, Vec<BestOf>)]) -> Text {
    let prices: Vec<Text> = priced
        .iter()
        .filter_map(|(arm, prices)| {
            let (one, all) = (prices.first()?, prices.last()?);
            Some(text!(
                "{arm} {first} after one and {last} after {settings}",
                "{arm} 试一组后 {first}，试 {settings} 组后 {last}",
                arm = &arm.label,
                first = number::error(one.mean),
                last = number::error(all.mean),
                settings = all.settings,
            ))
        })
        .collect();
    text!(
        "{answer}To expect: {prices}.",
        "{answer}期望值：{prices}。",
        answer = answer(priced),
        prices = one_by_one(&prices),
    )
}

/// The answer to the title: what all candidates buy, and what half of them do.
fn answer(priced: &[(&TuningRuns, Vec<BestOf>)]) -> Text {
    let lowest = |prices: &[BestOf]| prices.last().map(|price| price.mean);
    let ends = priced.iter().filter_map(|(_, prices)| lowest(prices));
    let mut ends: Vec<f64> = ends.collect();
    ends.sort_by(f64::total_cmp);
    let halves = priced.iter().filter_map(|(_, prices)| {
        let half = prices.get(prices.len().div_ceil(2).checked_sub(1)?)?;
        Some(half.mean / lowest(prices)? - 1.0)
    });
    let most = halves.fold(0.0, f64::max);
    let (Some(first), Some(last)) = (ends.first(), ends.last()) else {
        return Text::default();
    };
    let [first, last] = [first, last].map(|error| number::error(*error));
    let error = match first == last {
        true => first.into(),
        false => range(first, last),
    };
    text!(
        "All candidates of an arm, those of an extension left out, buy an error of {error}, and half of them an expected one at \
         most {most} above it. ",
        "试完一种方法的全部候选设置（不计扩展的候选设置），误差为 {error}；只试一半，期望误差至多高出 {most}。",
        error,
        most = percent(most),
    )
}
