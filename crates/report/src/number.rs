//! Numbers as the page writes them.

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

/// A bound in whole per cent, or as few decimals as it has.
pub(crate) fn bound(value: f64) -> String {
    format!("{}{THIN_SPACE}%", significant(100.0 * value))
}

/// A ratio of times.
pub(crate) fn ratio(value: f64) -> String {
    fixed(value, 3)
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

/// `point (low to high)`; the point alone where the interval is infinite.
pub(crate) fn interval(estimate: &Estimate, write: impl Fn(f64) -> String) -> String {
    let Estimate {
        point, low, high, ..
    } = *estimate;
    if low.is_finite() && high.is_finite() {
        format!("{} ({} to {})", write(point), write(low), write(high))
    } else {
        format!("{} (no interval from one value)", write(point))
    }
}

/// `1 seed`, `2 seeds`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// `a, b and c`.
pub(crate) fn listed(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
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
        assert_eq!(digits(4.35000000001, 6), "4.35");
        assert_eq!(digits(1e-5, 6), "1e\u{2212}5");
        assert_eq!(p_value(0.001953125), "0.002");
        assert_eq!(count(1, "seed"), "1 seed");
    }
}
