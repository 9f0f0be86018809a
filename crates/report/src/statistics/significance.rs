use super::all_finite;

/// Two-sided p value of the sign-flip permutation test that the mean of
/// `values` is 0, exact over all 2^n assignments of signs.
///
/// `None` without values, with one that is not finite, and beyond 20 of them,
/// where 2^n gets long.
pub fn sign_flip_p(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.len() > 20 || !all_finite(values) {
        return None;
    }
    let magnitude: f64 = values.iter().map(|v| v.abs()).sum();
    // Sums in another order differ in their last bits; a tie counts as extreme.
    let observed = values.iter().sum::<f64>().abs() - 1e-12 * magnitude;
    let assignments = 1_u64 << values.len();
    let extreme = (0..assignments)
        .filter(|signs| {
            let flipped: f64 = values
                .iter()
                .enumerate()
                .map(|(i, v)| if signs >> i & 1 == 1 { -v } else { *v })
                .sum();
            flipped.abs() >= observed
        })
        .count();
    Some(extreme as f64 / assignments as f64)
}

/// Two-sided p value of Wilcoxon's signed-rank test that `values` lie
/// symmetrically around 0.
///
/// Values of 0 are left out, as Wilcoxon (1945) does; values of exactly equal
/// size share the mean of their ranks. The p value is exact in either case: the
/// rank sum is compared with its distribution over all 2^n signs of the ranks
/// that are there, so there is no normal approximation. Only zeros give 1.
///
/// `None` without values, with one that is not finite, and beyond 200 of them,
/// where the distribution gets long.
pub fn signed_rank_p(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.len() > 200 || !all_finite(values) {
        return None;
    }
    let mut by_size: Vec<f64> = values.iter().copied().filter(|v| *v != 0.0).collect();
    by_size.sort_by(|a, b| a.abs().total_cmp(&b.abs()));

    // All ranks are doubled: then the mean rank of a tie is a whole number.
    let total = by_size.len() * (by_size.len() + 1);
    let (mut ranked, mut positive) = (0, 0);
    // Chance of every sum of the ranks with a positive sign.
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    for tie in by_size.chunk_by(|a, b| a.abs() == b.abs()) {
        let rank = 2 * ranked + tie.len() + 1;
        ranked += tie.len();
        for value in tie {
            positive += if *value > 0.0 { rank } else { 0 };
            for sum in (0..=total).rev() {
                let with_it = if sum < rank { 0.0 } else { chances[sum - rank] };
                chances[sum] = f64::midpoint(chances[sum], with_it);
            }
        }
    }
    // The distribution is symmetric about half of the total.
    let off_center = |sum: usize| (2 * sum).abs_diff(total);
    let extreme = (0..=total).filter(|sum| off_center(*sum) >= off_center(positive));
    Some(extreme.map(|sum| chances[sum]).sum())
}

/// Holm's adjustment (1979) of a family of p values, in their order: the
/// smallest of m times m, the next times m - 1, and so on, none below the one
/// before it nor above 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[i]);
        adjusted[i] = largest.min(1.0);
    }
    adjusted
}
