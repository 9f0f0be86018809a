//! Numbers as the page writes them.

use adamix_record::{Text, text};

use crate::statistics::Estimate;

const MINUS: &str = "\u{2212}";
/// Keeps a number and its unit on one line.
const THIN_SPACE: char = '\u{202f}';

/// Decimals with a true minus sign.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    // Rounding first, so that no "-0.00" is written.
    let scale = 10_f64.powi(decimals as i32);
    let rounded = (value * scale).round() / scale + 0.0;
    format!("{rounded:.decimals$}").replace('-', MINUS)
}

/// A reconstruction error.
pub(crate) fn error(value: f64) -> String {
    fixed(value, 3)
}

/// A relative difference in per cent.
pub(crate) fn percent(value: f64) -> String {
    format!("{}{THIN_SPACE}%", fixed(100.0 * value, 2))
}

/// A relative difference in per cent to one decimal, with its sign.
pub(crate) fn signed(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}{THIN_SPACE}%", tenths(value))
}

/// The same without sign and unit, for the ends of its interval.
pub(crate) fn tenths(value: f64) -> String {
    fixed(100.0 * value, 1)
}

/// A bound in whole per cent, or as few decimals as it has.
pub(crate) fn bound(value: f64) -> String {
    format!("{}{THIN_SPACE}%", significant(100.0 * value))
}

/// A ratio of times.
pub(crate) fn ratio(value: f64) -> String {
    fixed(value, 3)
}

/// A ratio of times in a line that has little room.
pub(crate) fn hundredths(value: f64) -> String {
    fixed(value, 2)
}

/// A whole number with its thousands apart: `60,000`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value to three significant digits, without an exponent where it can be.
pub(crate) fn significant(value: f64) -> String {
    digits(value, 3)
}

/// A value to `most` significant digits and without zeros at its end.
pub(crate) fn digits(value: f64, most: usize) -> String {
    let decimals = most.saturating_sub(1);
    let exponent = value.abs().log10().floor();
    let (text, power) = if (-4.0..=6.0).contains(&exponent) {
        let decimals = (decimals as i32 - exponent as i32).max(0);
        (fixed(value, decimals as usize), String::new())
    } else if value == 0.0 || !value.is_finite() {
        (fixed(value, 0), String::new())
    } else {
        let text = format!("{value:.decimals$e}").replace('-', MINUS);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        (mantissa.to_owned(), format!("e{exponent}"))
    };
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{power}")
}

/// A setting, unrounded: distinct values stay distinct.
pub(crate) fn exact(value: f64) -> String {
    let text = match value.abs() {
        size if size == 0.0 || (1e-6..1e16).contains(&size) => value.to_string(),
        _ => format!("{value:e}"),
    };
    text.replace('-', MINUS)
}

/// A setting in a text: unrounded, or to three digits where it has more than
/// six, which no one chose as they stand, such as a third.
pub(crate) fn setting(value: f64) -> String {
    match format!("{value:.5e}").parse() == Ok(value) {
        true => exact(value),
        false => significant(value),
    }
}

/// `point (low to high)`; the point alone where the interval is infinite.
pub(crate) fn interval(estimate: &Estimate, write: impl Fn(f64) -> String) -> Text {
    let Estimate {
        point, low, high, ..
    } = *estimate;
    let point = write(point);
    if low.is_finite() && high.is_finite() {
        let ends = range(write(low), write(high));
        text!("{point} ({ends})", "{point}（{ends}）", point, ends)
    } else {
        text!(
            "{point} (no interval from one value)",
            "{point}（单个数值，无区间）",
            point,
        )
    }
}

/// `low to high`.
pub(crate) fn range(low: impl Into<Text>, high: impl Into<Text>) -> Text {
    let (low, high) = (low.into(), high.into());
    text!("{low} to {high}", "{low} 至 {high}", low, high)
}

/// What is counted: its English name for one, and the Chinese one with its
/// measure word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noun(&'static str, &'static str);

pub(crate) const SEED: Noun = Noun("seed", "个随机种子");
pub(crate) const RUN: Noun = Noun("run", "次运行");
pub(crate) const TUNING_RUN: Noun = Noun("tuning run", "次调优运行");
pub(crate) const EPOCH: Noun = Noun("epoch", "轮");
pub(crate) const RECORD: Noun = Noun("record", "份记录");
pub(crate) const ROUND: Noun = Noun("round", "次轮番计时");
pub(crate) const ARM: Noun = Noun("arm", "种方法");
pub(crate) const CANDIDATE: Noun = Noun("candidate", "组候选设置");

/// `1 seed`, `2 seeds`.
pub(crate) fn count(n: usize, Noun(en, zh): Noun) -> Text {
    let plural = if n == 1 { "" } else { "s" };
    Text::new(format!("{n} {en}{plural}"), format!("{n} {zh}"))
}

/// What stands between items: commas, or semicolons where an item has commas
/// of its own.
fn between(items: &[Text]) -> (&'static str, &'static str) {
    let any = |has: fn(&Text) -> bool| items.iter().any(has);
    (
        if any(|item| item.en.contains(", ")) {
            "; "
        } else {
            ", "
        },
        if any(|item| item.zh.contains(['，', '、'])) {
            "；"
        } else {
            "、"
        },
    )
}

/// `a, b and c`.
pub(crate) fn listed<T: Clone + Into<Text>>(items: &[T]) -> Text {
    let items: Vec<Text> = items.iter().cloned().map(Into::into).collect();
    match items.as_slice() {
        [] => Text::default(),
        [one] => one.clone(),
        [first @ .., last] => {
            let (en, zh) = between(&items);
            let first = Text::join(first, en, zh);
            text!("{first} and {last}", "{first} 和 {last}", first, last)
        }
    }
}

/// `a, b, c`.
pub(crate) fn in_a_row(items: &[Text]) -> Text {
    let (en, zh) = between(items);
    Text::join(items, en, zh)
}

/// `a; b; c`.
pub(crate) fn one_by_one(items: &[Text]) -> Text {
    Text::join(items, "; ", "；")
}

/// A name as it can stand in an address or a file's name.
pub(crate) fn slug(name: &str) -> String {
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
        _ => '-',
    };
    name.chars().map(safe).collect()
}

/// A p value.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 {
        format!("{p:.5}")
    } else {
        format!("{p:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_written() {
        assert_eq!(fixed(-0.0001, 2), "0.00");
        assert_eq!(percent(-0.03378), "\u{2212}3.38\u{202f}%");
        assert_eq!(bound(-0.01), "\u{2212}1\u{202f}%");
        assert_eq!(grouped(2_837_314), "2,837,314");
        assert_eq!(grouped(100), "100");
        assert_eq!(significant(1234.5), "1235");
        assert_eq!(significant(0.012345), "0.0123");
        assert_eq!(significant(2.0), "2");
        assert_eq!(significant(1.5e-9), "1.5e\u{2212}9");
        assert_eq!(significant(0.0), "0");
        assert_eq!(
            [0.999, 0.9999, 1.0, 1e-6, 1e-7, 0.0, -0.75].map(exact),
            [
                "0.999",
                "0.9999",
                "1",
                "0.000001",
                "1e\u{2212}7",
                "0",
                "\u{2212}0.75"
            ]
        );
        assert_eq!(
            [0.99999, 1e-6, 10.0 / 3.0, 0.1 + 0.2].map(setting),
            ["0.99999", "0.000001", "3.33", "0.3"]
        );
        assert_eq!(digits(4.35000000001, 6), "4.35");
        assert_eq!(digits(1e-5, 6), "1e\u{2212}5");
        assert_eq!(p_value(0.001953125), "0.002");
        assert_eq!(count(1, SEED), Text::new("1 seed", "1 个随机种子"));
        assert_eq!(count(2, EPOCH), Text::new("2 epochs", "2 轮"));
        assert_eq!(
            listed(&["SGD", "Adam", "AdaGrad"]),
            Text::new("SGD, Adam and AdaGrad", "SGD、Adam 和 AdaGrad")
        );
        let items = [Text::new("SGD, W1", "SGD，W1"), "Adam".into()];
        assert_eq!(
            in_a_row(&items),
            Text::new("SGD, W1; Adam", "SGD，W1；Adam")
        );
    }
}
