//! The part of a validation split that is evaluated during training.

use std::collections::BTreeMap;

use emotrain_base::random::Key;
use emotrain_data::Label;
use emotrain_prompt::Sample;

use crate::validate::{Questions, Validation};

/// The places of `limit` samples in ascending order, all without a limit: each label has its share of them, rounded, and
/// at least one if there is room. Which ones is a function of the samples' places alone, so that runs of all seeds are
/// measured on the same.
pub fn validation_sample(samples: &[Sample], limit: Option<usize>) -> Vec<usize> {
    let count = limit.unwrap_or(samples.len());
    if count >= samples.len() {
        return (0..samples.len()).collect();
    }
    let mut groups = BTreeMap::<Option<Label>, Vec<usize>>::new();
    for (place, sample) in samples.iter().enumerate() {
        groups.entry(sample.label).or_default().push(place);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    let key = Key::new(0).named("eval.max_samples");
    let drawn = groups.into_iter().zip(shares(&sizes, count)).flat_map(|(mut places, share)| {
        places.sort_by_key(|&place| key.with(place as u64).bits());
        places.truncate(share);
        places
    });
    let mut drawn: Vec<usize> = drawn.collect();
    drawn.sort_unstable();
    drawn
}

/// `count` in the proportions of the sizes, whose sum is larger: one each, from the first on, then one by one to the
/// group that is furthest below its share.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let mut shares: Vec<usize> = (0..sizes.len()).map(|group| usize::from(group < count)).collect();
    // Below its share by this much, times `all`.
    let lacking = |group: usize, has: usize| (sizes[group] * count) as i128 - (has * all) as i128;
    for _ in sizes.len()..count {
        let open = (0..sizes.len()).rev().filter(|&group| shares[group] < sizes[group]);
        let Some(next) = open.max_by_key(|&group| lacking(group, shares[group])) else { break };
        shares[next] += 1;
    }
    shares
}

impl Validation {
    /// The part that is evaluated during training, if that is not all of it.
    pub fn sample(&self, limit: Option<usize>) -> Option<Self> {
        let samples = match self {
            Self::Questions(Questions { samples, .. }) | Self::Sequences(samples) => samples,
        };
        let places = validation_sample(samples, limit);
        if places.len() == samples.len() {
            return None;
        }
        let samples = places.into_iter().map(|place| samples[place].clone()).collect();
        Some(match self {
            Self::Questions(Questions { completions, .. }) => {
                Self::Questions(Questions { samples, completions: completions.clone() })
            }
            Self::Sequences(_) => Self::Sequences(samples),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::sample;

    fn samples(labels: &[usize]) -> Vec<Sample> {
        labels.iter().enumerate().map(|(position, &label)| sample(position, None, label)).collect()
    }

    #[test]
    fn labels_keep_their_proportions_and_none_is_lost() {
        let labels: Vec<usize> = [(0, 70), (1, 28), (2, 2)].iter().flat_map(|&(l, n)| vec![l; n]).collect();
        let all = samples(&labels);
        for (limit, expected) in [(10, [7, 2, 1]), (50, [35, 14, 1]), (3, [1, 1, 1]), (2, [1, 1, 0])] {
            let drawn = validation_sample(&all, Some(limit));
            let count = |label| drawn.iter().filter(|&&place| labels[place] == label).count();
            assert_eq!([0, 1, 2].map(count), expected, "{limit}");
            assert!(drawn.is_sorted() && drawn == validation_sample(&all, Some(limit)));
        }
        assert_ne!(validation_sample(&all, Some(50)), (0..50).collect::<Vec<_>>());
        for limit in [None, Some(100), Some(999)] {
            assert_eq!(validation_sample(&all, limit), (0..100).collect::<Vec<_>>());
        }
    }
}
