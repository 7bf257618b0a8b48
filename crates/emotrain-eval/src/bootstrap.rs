//! Bootstrap intervals of the headline score over the choice of test utterances.

use emotrain_data::Label;
use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::metrics::Counts;

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resampled sets, at least 1; a thousand is customary.
    pub samples: usize,
    /// Confidence level, between 0 and 1; 0.95 is customary.
    pub level: f64,
    /// The same seed gives the same interval.
    pub seed: u64,
}

/// The confidence interval of a score, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The confidence level, such as 0.95.
    pub level: f64,
}

/// The percentile bootstrap interval of weighted F1 (Efron 1979), resampling utterances with replacement. It treats
/// utterances as independent, which those of one dialogue are not: the true uncertainty is larger. Comparisons of runs
/// resample dialogues.
///
/// # Errors
/// Those of [`score`](crate::score), no samples, or a level outside 0 to 1.
pub fn weighted_f1_interval(
    truth: &[Label],
    predicted: &[Option<Label>],
    label_count: usize,
    bootstrap: Bootstrap,
) -> Result<Interval, EvalError> {
    bootstrap.check()?;
    Counts::of(truth, predicted, label_count)?; // checks the arguments
    let mut random = SplitMix64::new(bootstrap.seed);
    let scores: Vec<f64> = (0..bootstrap.samples)
        .map(|_| {
            let mut counts = Counts::empty(label_count);
            for _ in truth {
                let drawn = random.below(truth.len());
                counts.add(truth[drawn], predicted[drawn]);
            }
            counts.weighted_f1()
        })
        .collect();
    Ok(percentile_interval(scores, bootstrap.level))
}

impl Bootstrap {
    /// Refuses a bootstrap that makes no sense.
    ///
    /// # Errors
    /// No samples, or a level outside 0 to 1.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        let makes_sense = self.samples > 0 && self.level > 0.0 && self.level < 1.0;
        if makes_sense { Ok(()) } else { Err(EvalError::InvalidBootstrap) }
    }
}

/// The interval between the quantiles of resampled values that leave the same share outside on either side (Efron 1979).
pub(crate) fn percentile_interval(mut values: Vec<f64>, level: f64) -> Interval {
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail), level }
}

/// The quantile of ascending values by linear interpolation (the default of `NumPy`).
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let place = share * (ascending.len() - 1) as f64;
    let next = ascending.iter().enumerate().find(|(index, _)| *index as f64 >= place);
    let (index, high) = next.map_or((ascending.len() - 1, ascending[ascending.len() - 1]), |(i, v)| (i, *v));
    let low = ascending[index.saturating_sub(1)];
    high + (low - high) * (index as f64 - place)
}

/// Steele, Lea and Flood's `SplitMix64` (2014): small, and the same on every machine and version.
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly distributed below `bound`, except for a bias of `bound` in 2⁶⁴.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.next()) * bound as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0) // below `bound`, so it always fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fourth of `count` answers is wrong.
    fn answers(count: usize) -> (Vec<Label>, Vec<Option<Label>>) {
        let label = |index: usize| Label::from_index(index % 3);
        let predicted = |index| Some(label(if index % 4 == 0 { index + 1 } else { index }));
        ((0..count).map(label).collect(), (0..count).map(predicted).collect())
    }

    fn interval(count: usize, seed: u64) -> Interval {
        let (truth, predicted) = answers(count);
        weighted_f1_interval(&truth, &predicted, 3, Bootstrap { samples: 400, level: 0.95, seed }).unwrap()
    }

    #[test]
    fn the_interval_holds_the_score_and_shrinks_with_more_utterances() {
        let (small, large) = (interval(60, 1), interval(1_500, 1));
        for interval in [small, large] {
            assert!(interval.low < 0.75 && 0.75 < interval.high, "{interval:?}");
        }
        // The standard error of a proportion of 3/4 among 60 is 0.056, hence ±0.11.
        assert!((small.high - small.low - 0.22).abs() < 0.04, "{small:?}");
        assert!((large.high - large.low - 0.044).abs() < 0.01, "{large:?}");
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(interval(60, 7), interval(60, 7));
        assert_ne!(interval(60, 7), interval(60, 8));
    }

    #[test]
    fn one_sample_is_an_interval_of_one_point() {
        let (truth, predicted) = answers(30);
        let bootstrap = Bootstrap { samples: 1, level: 0.9, seed: 0 };
        let interval = weighted_f1_interval(&truth, &predicted, 3, bootstrap).unwrap();
        assert!((interval.high - interval.low).abs() < 1e-12, "{interval:?}");
    }

    /// Stored reports have intervals that were computed so.
    #[test]
    fn intervals_of_earlier_versions_are_found_again_to_the_bit() {
        let (truth, mut predicted) = answers(97);
        predicted.iter_mut().step_by(11).for_each(|answer| *answer = None);
        let of = |samples, level, seed| {
            let bootstrap = Bootstrap { samples, level, seed };
            let Interval { low, high, .. } = weighted_f1_interval(&truth, &predicted, 3, bootstrap).unwrap();
            format!("{low:?} {high:?}")
        };
        assert_eq!(of(1_000, 0.95, 0), "0.6224715910879385 0.8036289940712016");
        assert_eq!(of(250, 0.9, 7), "0.6340336121448801 0.7892268467759195");
        assert_eq!(of(3, 0.5, 1), "0.7155406064376024 0.7313588294840629");
    }

    #[test]
    fn bootstraps_that_make_no_sense_are_refused() {
        let (truth, predicted) = answers(30);
        for (samples, level) in [(0, 0.95), (10, 0.0), (10, 1.0), (10, f64::NAN)] {
            let bootstrap = Bootstrap { samples, level, seed: 0 };
            let refused = weighted_f1_interval(&truth, &predicted, 3, bootstrap);
            assert!(matches!(refused, Err(EvalError::InvalidBootstrap)));
        }
    }

    #[test]
    fn quantiles_interpolate() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        let found = [0.0, 0.1, 0.5, 0.6, 1.0].map(|share| quantile(&values, share));
        for (found, expected) in found.iter().zip([1.0, 1.4, 4.0, 5.6, 16.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
        assert!((quantile(&[3.0], 0.3) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64::new(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
