//! How throughput grows with the runs that are trained in lockstep on a device.

use adamix_record::text;

use super::chart::{Curve, Style, over, series};
use super::{Figure, Words};
use crate::Result;

/// Draws steps a second, those of all runs together, against the runs in
/// lockstep, a curve an arm, on `device`: an SVG. The runs are powers of two;
/// others are left out.
///
/// # Errors
/// Where it cannot be drawn.
pub fn growth(device: &str, arms: &[(String, Vec<(u64, f64)>)]) -> Result<String> {
    let titles = [
        text!(
            "runs in lockstep, as a power of two",
            "同步训练的运行数（2 的幂次）"
        ),
        text!(
            "steps a second, all runs together",
            "每秒步数（所有运行合计）"
        ),
    ];
    let curves: Vec<Curve> = arms
        .iter()
        .enumerate()
        .map(|(i, (name, points))| Curve {
            arm: None,
            label: name.as_str().into(),
            style: Style::of(i),
            points: points
                .iter()
                .filter(|(runs, _)| runs.is_power_of_two())
                .map(|(runs, speed)| (u64::from(runs.ilog2()), *speed))
                .collect(),
            band: Vec::new(),
            seeds: Vec::new(),
            runs: Vec::new(),
        })
        .collect();
    let all = arms.iter().flat_map(|(_, points)| points);
    let most = all.max_by(|a, b| a.1.total_cmp(&b.1)).copied();
    let (runs, steps) = most.unwrap_or_default();
    let words = Words {
        title: text!(
            "How does throughput grow with the runs in lockstep?",
            "吞吐量如何随同步训练的运行数增长？"
        ),
        caption: text!("On {device}.", "设备：{device}。", device),
        description: text!(
            "On {device}, the most is {steps} steps a second, with {runs} runs.",
            "在 {device} 上，最多为每秒 {steps} 步（{runs} 个运行）。",
            device,
            steps = format!("{steps:.0}"),
            runs,
        ),
    };
    let titles = [&titles[0], &titles[1]];
    let numbers = series(titles, &curves);
    let draw = |width| over("growth", titles, &curves, width);
    Figure::new("growth", words, numbers, draw).map(|figure| figure.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arm_has_a_curve_over_powers_of_two() {
        let points = vec![(1, 100.0), (2, 190.0), (30, 1500.0), (32, 1600.0)];
        let arms = ["adamix", "adagrad"].map(|name| (name.to_owned(), points.clone()));
        let svg = growth("Made-up GPU", &arms).expect("drawn");
        assert!(
            svg.contains(">adamix<") && svg.contains(">adagrad<"),
            "{svg}"
        );
        assert!(svg.contains("the most is 1600 steps a second, with 32 runs"));
        // The powers 0, 1 and 5, and not the cohort of 30.
        let marks = svg.matches("<circle").count();
        assert_eq!(marks, 3, "{svg}");
    }
}
