use super::{all_finite, ascending};

/// What comes of trying so many settings and keeping the best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestOf {
    /// Settings tried.
    pub settings: usize,
    /// The lowest error among them, in the mean over all choices of them.
    pub mean: f64,
    /// Its 10 % quantile.
    pub low: f64,
    /// Its 90 % quantile.
    pub high: f64,
}

/// The price of tuning: for every n from 1 to N, what the lowest of n settings
/// would have been, had n been drawn without replacement from the N that were
/// tried, whose errors are `tried`.
///
/// Exact from order statistics: none of the k lowest is drawn with probability
/// C(N - k, n) / C(N, n), and given that, the next lowest is drawn with
/// probability n / (N - k). A quantile is the lowest error that is not exceeded
/// with at least its probability. The idea is Dodge et al.'s (2019, "Show your
/// work"); they draw with replacement, which is biased towards higher errors
/// (Tang et al. 2020, "Showing your work doesn't always work").
///
/// `None` without values and with one that is not finite.
pub fn best_of(tried: &[f64]) -> Option<Vec<BestOf>> {
    if tried.is_empty() || !all_finite(tried) {
        return None;
    }
    let sorted = ascending(tried);
    (1..=sorted.len())
        .map(|n| best_of_so_many(&sorted, n))
        .collect()
}

fn best_of_so_many(sorted: &[f64], settings: usize) -> Option<BestOf> {
    // Chance that no lower one is drawn, and the mean up to there.
    let (mut missed, mut mean) = (1.0, 0.0);
    let (mut low, mut high) = (None, None);
    for (lower, error) in sorted.iter().enumerate() {
        let left = (sorted.len() - lower) as f64;
        // It gets to 1, and `missed` to 0, where as many are left as are drawn.
        let drawn = settings as f64 / left;
        mean += missed * drawn * error;
        missed *= 1.0 - drawn;
        // A product of fractions meets a quantile up to its last bits.
        if missed <= 0.9 + 1e-12 {
            low = low.or(Some(*error));
        }
        if missed <= 0.1 + 1e-12 {
            high = high.or(Some(*error));
        }
    }
    Some(BestOf {
        settings,
        mean,
        low: low?,
        high: high?,
    })
}
