//! McNemar's test of which of two runs is right more often.

use serde::{Deserialize, Serialize};

use super::distribution::{chi_square_tail, fair_coin_cdf};

/// McNemar's test (1947) of two runs on the same utterances. It takes utterances for independent, which those of one
/// dialogue are not, and compares accuracies, whatever score is compared elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McNemar {
    /// Utterances that only the baseline answered rightly.
    pub only_baseline: usize,
    /// Utterances that only the other run answered rightly.
    pub only_other: usize,
    /// Two-sided p-value of the exact test, `statsmodels.stats.contingency_tables.mcnemar(exact=True)`: the utterances
    /// that one run alone answered rightly are fair coins. 1 if there are none.
    pub exact_p: f64,
    /// Chi-square with Edwards's continuity correction (1948), as `mcnemar(exact=False, correction=True)` of statsmodels
    /// has it; `None` if no utterance was answered rightly by one run alone.
    pub chi_square: Option<f64>,
    /// Its p-value with one degree of freedom.
    pub chi_square_p: Option<f64>,
}

impl McNemar {
    /// The test of two runs that answered these utterances rightly.
    pub(crate) fn of(baseline: &[bool], other: &[bool]) -> Self {
        let only = |one: &[bool], another: &[bool]| {
            one.iter().zip(another).filter(|(one, another)| **one && !**another).count()
        };
        Self::of_counts(only(baseline, other), only(other, baseline))
    }

    pub(crate) fn of_counts(only_baseline: usize, only_other: usize) -> Self {
        let (fewer, all) = (only_baseline.min(only_other), only_baseline + only_other);
        let apart = only_baseline.abs_diff(only_other) as f64;
        let chi_square = (all > 0).then(|| (apart - 1.0).powi(2) / all as f64);
        Self {
            only_baseline,
            only_other,
            exact_p: (2.0 * fair_coin_cdf(fewer, all)).min(1.0),
            chi_square,
            chi_square_p: chi_square.map(chi_square_tail),
        }
    }
}

/// One p-value of several that depend on each other in an unknown way, as those of several seeds on the same utterances
/// do: with the k-th smallest of n, n/k times that one (Rüger 1978; Vovk and Wang 2020, Combining p-values via
/// averaging). k is that of the median, the upper one of an even number. `None` of none.
pub(crate) fn combined(p: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut ascending: Vec<f64> = p.into_iter().collect();
    ascending.sort_by(f64::total_cmp);
    let at = ascending.len() / 2;
    let factor = ascending.len() as f64 / (at + 1) as f64;
    ascending.get(at).map(|median| (factor * median).min(1.0))
}
