//! Wilcoxon's signed-rank test.

use serde::{Deserialize, Serialize};

/// Wilcoxon's signed-rank test (1945) of paired values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRank {
    /// The smaller of the sums of ranks of either sign.
    pub statistic: f64,
    /// Two-sided p-value. With 5 pairs it cannot be below 0.0625.
    pub p: f64,
}

impl SignedRank {
    /// `scipy.stats.wilcoxon(second, first)` with its exact distribution; with ties, that of `PermutationMethod`: all
    /// assignments of signs to the ranks at hand. Pairs without a difference are left out, equal differences share the
    /// mean of their ranks.
    ///
    /// `None` if no pair differs.
    pub(crate) fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        let mut differences: Vec<f64> =
            first.iter().zip(second).map(|(one, other)| other - one).filter(|apart| *apart != 0.0).collect();
        if differences.is_empty() || differences.iter().any(|apart| !apart.is_finite()) {
            return None;
        }
        differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let ranks = doubled_ranks(&differences);
        let total: usize = ranks.iter().sum();
        let positive =
            ranks.iter().zip(&differences).filter(|(_, apart)| **apart > 0.0).map(|(rank, _)| rank);
        let positive: usize = positive.sum();
        let smaller = positive.min(total - positive);
        let at_most: f64 = sums(&ranks, total)[..=smaller].iter().sum();
        Some(Self { statistic: smaller as f64 / 2.0, p: (2.0 * at_most).min(1.0) })
    }
}

/// Twice the rank of each of the ascending differences, which is whole also for the mean rank of equal ones.
fn doubled_ranks(ascending: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::new();
    #[expect(clippy::float_cmp, reason = "a tie is of equal numbers")]
    for tied in ascending.chunk_by(|a, b| a.abs() == b.abs()) {
        ranks.resize(ranks.len() + tied.len(), 2 * ranks.len() + tied.len() + 1);
    }
    ranks
}

/// The probability of each sum of ranks if each counts with probability 1/2.
fn sums(ranks: &[usize], total: usize) -> Vec<f64> {
    let mut sums = vec![0.0; total + 1];
    sums[0] = 1.0;
    for &rank in ranks {
        for sum in (0..=total).rev() {
            let with = if sum >= rank { sums[sum - rank] } else { 0.0 };
            sums[sum] = f64::midpoint(sums[sum], with);
        }
    }
    sums
}
