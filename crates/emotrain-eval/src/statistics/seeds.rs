//! The scores of several seeds of one recipe.

use serde::{Deserialize, Serialize};

use super::distribution::t_critical;
use super::t_test::Moments;
use crate::bootstrap::{Bootstrap, Interval, SplitMix64, percentile_interval};
use crate::error::EvalError;

/// The scores of a recipe's seeds, summarised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSummary {
    /// How many seeds.
    pub seeds: usize,
    /// The mean score.
    pub mean: f64,
    /// The sample standard deviation, with the denominator n − 1; `None` of one seed.
    pub std: Option<f64>,
    /// Student's t interval of the mean, the one to report: `scipy.stats.t.interval(level, n - 1, mean, sem)`. A point
    /// if all seeds have the same score, `None` of one seed.
    pub t_interval: Option<Interval>,
    /// The percentile bootstrap interval of the mean over seeds (Efron and Tibshirani 1993, chapter 13;
    /// `scipy.stats.bootstrap(method="percentile")`), `None` of one seed. Too short for few seeds: at 95 % it holds the
    /// true mean of normal scores with 3 seeds in 73 of 100 cases, with 5 in 83, with 20 in 93; the t interval in 95.
    pub bootstrap_interval: Option<Interval>,
}

impl SeedSummary {
    /// Summarises the scores of seeds.
    ///
    /// # Errors
    /// No scores or one that is not finite, no samples, or a level outside 0 to 1.
    pub fn of(scores: &[f64], bootstrap: Bootstrap) -> Result<Self, EvalError> {
        bootstrap.check()?;
        let count = scores.len();
        if count == 0 || scores.iter().any(|score| !score.is_finite()) {
            return Err(EvalError::NothingToCompare);
        }
        let scale = scores.iter().fold(0.0_f64, |most, score| most.max(score.abs()));
        let Some(Moments { mean, variance }) = Moments::of(scores, scale) else {
            return Ok(Self {
                seeds: count,
                mean: scores[0],
                std: None,
                t_interval: None,
                bootstrap_interval: None,
            });
        };
        let level = bootstrap.level;
        let reach = t_critical(level, (count - 1) as f64) * (variance / count as f64).sqrt();
        let mut draws = SplitMix64::new(bootstrap.seed);
        let resampled = |_| (0..count).map(|_| scores[draws.below(count)]).sum::<f64>() / count as f64;
        let means = (0..bootstrap.samples).map(resampled).collect();
        Ok(Self {
            seeds: count,
            mean,
            std: Some(variance.sqrt()),
            t_interval: Some(Interval { low: mean - reach, high: mean + reach, level }),
            bootstrap_interval: Some(percentile_interval(means, level)),
        })
    }
}
