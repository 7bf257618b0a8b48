//! Samples drawn by their labels, so that rare ones come more often.

use std::collections::BTreeMap;

use emotrain_base::random::Key;
use emotrain_data::Label;
use emotrain_prompt::{Sample, Task};
use emotrain_recipe::LabelSampling;

/// How the samples of an epoch are drawn by their labels.
#[derive(Clone, Debug)]
pub(crate) struct LabelDraw {
    sampling: LabelSampling,
    /// Of each sample that asks for an emotion.
    labels: Vec<Option<Label>>,
}

impl LabelDraw {
    /// None where each sample comes once.
    pub(crate) fn new(sampling: LabelSampling, samples: &[Sample]) -> Option<Self> {
        let label = |sample: &Sample| sample.label.filter(|_| sample.task == Some(Task::Emotion));
        let labels = || samples.iter().map(label).collect();
        (sampling != LabelSampling::Natural).then(|| Self { sampling, labels: labels() })
    }

    /// As many samples as the pool has, in its order. A label's share is spread over its samples as evenly as it goes:
    /// of a share of 2.5 times their number each comes twice, and half of them, drawn by the key, once more.
    pub(crate) fn of(&self, pool: &[usize], key: Key) -> Vec<usize> {
        let mut groups = BTreeMap::<Label, Vec<usize>>::new();
        for &sample in pool {
            if let Some(label) = self.labels[sample] {
                groups.entry(label).or_default().push(sample);
            }
        }
        let sizes: Vec<usize> = groups.values().map(Vec::len).collect();
        let mut times = vec![0; self.labels.len()];
        for (group, share) in groups.into_values().zip(shares(&sizes, self.sampling)) {
            let (each, rest) = (share / group.len(), share % group.len());
            let mut order: Vec<usize> = group;
            order.sort_by_key(|&sample| key.with(sample as u64).bits());
            for (place, sample) in order.into_iter().enumerate() {
                times[sample] = each + usize::from(place < rest);
            }
        }
        let times = |sample: usize| if self.labels[sample].is_some() { times[sample] } else { 1 };
        pool.iter().flat_map(|&sample| std::iter::repeat_n(sample, times(sample))).collect()
    }
}

/// The share of each group in the sum of the sizes: rounded down, and what is left to those that lost most.
fn shares(sizes: &[usize], sampling: LabelSampling) -> Vec<usize> {
    let wish = |&size: &usize| match sampling {
        LabelSampling::Natural => size as f64,
        LabelSampling::Balanced => 1.0,
        LabelSampling::Sqrt => (size as f64).sqrt(),
    };
    let (all, wishes): (usize, f64) = (sizes.iter().sum(), sizes.iter().map(wish).sum());
    let exact: Vec<f64> = sizes.iter().map(|size| all as f64 * wish(size) / wishes).collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of samples"
    )]
    let mut shares: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|&one, &other| exact[other].fract().total_cmp(&exact[one].fract()));
    let left = all.saturating_sub(shares.iter().sum());
    for &group in order.iter().take(left) {
        shares[group] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ninety samples of the first label, nine of the second, one of the third; and a sample without one.
    fn draw(sampling: LabelSampling) -> LabelDraw {
        let labels = [(0, 90), (1, 9), (2, 1)].into_iter();
        let labels = labels.flat_map(|(label, count)| vec![Some(Label::from_index(label)); count]);
        LabelDraw { sampling, labels: labels.chain([None]).collect() }
    }

    fn counts(draw: &LabelDraw, drawn: &[usize]) -> [usize; 4] {
        let labels = [Some(0), Some(1), Some(2), None].map(|label| label.map(Label::from_index));
        labels.map(|label| drawn.iter().filter(|&&sample| draw.labels[sample] == label).count())
    }

    #[test]
    fn labels_come_as_often_as_they_should() {
        let all: Vec<usize> = (0..101).collect();
        for (sampling, expected) in [
            (LabelSampling::Balanced, [34, 33, 33, 1]),
            (LabelSampling::Sqrt, [70, 22, 8, 1]),
            (LabelSampling::Natural, [90, 9, 1, 1]),
        ] {
            let draw = draw(sampling);
            let drawn = draw.of(&all, Key::new(1));
            assert_eq!(counts(&draw, &drawn), expected, "{sampling}");
            assert!(drawn.is_sorted() && drawn == draw.of(&all, Key::new(1)));
            let times = |sample: usize| drawn.iter().filter(|&&other| other == sample).count();
            assert!((90..99).all(|sample| times(sample).abs_diff(expected[1] / 9) <= 1));
            let others = draw.of(&all, Key::new(2));
            assert_eq!(counts(&draw, &others), expected);
            assert_eq!(others == drawn, sampling == LabelSampling::Natural);
        }
    }

    #[test]
    fn a_pool_of_a_curriculum_keeps_its_size_and_its_labels() {
        let draw = draw(LabelSampling::Balanced);
        let pool = [95, 3, 2, 1, 0, 100];
        let drawn = draw.of(&pool, Key::new(1));
        assert_eq!(counts(&draw, &drawn), [3, 2, 0, 1]);
        assert_eq!(drawn[..2], [95, 95]);
        assert_eq!(drawn.len(), pool.len());
    }

    #[test]
    fn a_run_without_it_draws_nothing() {
        assert!(LabelDraw::new(LabelSampling::Natural, &[]).is_none());
    }
}
