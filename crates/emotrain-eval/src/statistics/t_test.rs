//! Student's and Welch's t tests.

use serde::{Deserialize, Serialize};

use super::distribution::{t_critical, t_two_sided};
use crate::bootstrap::Interval;

/// A t test of whether two means differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TTest {
    /// The difference of the means, the second less the first, in standard errors.
    pub statistic: f64,
    /// Degrees of freedom.
    pub degrees_of_freedom: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// The confidence interval of the difference.
    pub interval: Interval,
    /// The standard error of the difference.
    pub standard_error: f64,
}

impl TTest {
    /// Student's test (1908) of the differences of pairs: `scipy.stats.ttest_rel(second, first)`.
    ///
    /// `None` for fewer than two pairs, or if all differ by the same: the spread is not known then.
    pub(crate) fn paired(first: &[f64], second: &[f64], level: f64) -> Option<Self> {
        let differences: Vec<f64> = first.iter().zip(second).map(|(one, other)| other - one).collect();
        let scale = first.iter().chain(second).fold(0.0_f64, |most, value| most.max(value.abs()));
        let Moments { mean, variance } = Moments::of(&differences, scale)?;
        let count = differences.len() as f64;
        Self::new(mean, (variance / count).sqrt(), count - 1.0, level)
    }

    /// Welch's test (1947) of two samples whose variances may differ, with Satterthwaite's degrees of freedom:
    /// `scipy.stats.ttest_ind(second, first, equal_var=False)`.
    ///
    /// `None` if a sample has fewer than two values, or if neither varies.
    pub(crate) fn welch(first: &[f64], second: &[f64], level: f64) -> Option<Self> {
        let [one, other] = [first, second].map(|sample| {
            let scale = sample.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            Moments::of(sample, scale)
        });
        let (one, other) = (one?, other?);
        let [m, n] = [first.len(), second.len()].map(|count| count as f64);
        let [u, v] = [one.variance / m, other.variance / n];
        let freedom = (u + v).powi(2) / (u * u / (m - 1.0) + v * v / (n - 1.0));
        Self::new(other.mean - one.mean, (u + v).sqrt(), freedom, level)
    }

    fn new(difference: f64, standard_error: f64, degrees_of_freedom: f64, level: f64) -> Option<Self> {
        let statistic = difference / standard_error;
        if !statistic.is_finite() || !degrees_of_freedom.is_finite() {
            return None;
        }
        let reach = t_critical(level, degrees_of_freedom) * standard_error;
        let interval = Interval { low: difference - reach, high: difference + reach, level };
        let p = t_two_sided(statistic, degrees_of_freedom);
        Some(Self { statistic, degrees_of_freedom, p, interval, standard_error })
    }
}

/// Mean and sample variance.
pub(super) struct Moments {
    pub(super) mean: f64,
    /// With the denominator n − 1.
    pub(super) variance: f64,
}

impl Moments {
    /// Those of at least two values that come from numbers of this scale. Values that differ by no more than their
    /// rounding errors are equal: their variance is 0, not the square of those errors.
    pub(super) fn of(values: &[f64], scale: f64) -> Option<Self> {
        let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
        if values.len() < 2 || !(high - low).is_finite() {
            return None;
        }
        if high - low <= 4.0 * f64::EPSILON * scale {
            return Some(Self { mean: values[0], variance: 0.0 });
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Some(Self { mean, variance })
    }
}
