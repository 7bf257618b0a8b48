//! Which samples each optimizer step sees: a pure function of the seed, so a resumed run continues it.

use emotrain_model::random::Key;
use emotrain_recipe::TrainSection;
use rand::RngExt;

/// Batches per megabatch of length grouping, as in Hugging Face's `get_length_grouped_indices`.
const MEGABATCH: usize = 50;

/// The samples of every step of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    samples: usize,
    /// Samples per optimizer step: micro-batch size × accumulation steps.
    window: usize,
    micro: usize,
    total_steps: usize,
    seed: u64,
    /// Tokens per sample, where steps are to hold samples of like length.
    lengths: Option<Vec<usize>>,
}

impl Plan {
    /// The plan for samples of these lengths in tokens.
    pub fn new(section: &TrainSection, lengths: Vec<usize>) -> Self {
        let samples = lengths.len();
        let micro = section.per_device_train_batch_size;
        let window = micro * section.gradient_accumulation_steps;
        let steps_per_epoch = samples.div_ceil(window);
        let total_steps = section.max_steps.unwrap_or(section.num_train_epochs * steps_per_epoch);
        let lengths = section.group_by_length.then_some(lengths);
        Self { samples, window, micro, total_steps, seed: section.seed, lengths }
    }

    /// Optimizer steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// Optimizer steps until every sample was seen once; the last one may hold fewer samples.
    pub fn steps_per_epoch(&self) -> usize {
        self.samples.div_ceil(self.window)
    }

    /// The micro-batches of step `step`, counted from 0.
    pub fn step(&self, step: usize) -> Vec<Vec<usize>> {
        let (epoch, number) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let order = self.epoch(epoch);
        let end = ((number + 1) * self.window).min(self.samples);
        order[number * self.window..end].chunks(self.micro).map(<[usize]>::to_vec).collect()
    }

    /// The order of all samples in one epoch.
    pub fn epoch(&self, epoch: usize) -> Vec<usize> {
        let mut rng = Key::new(self.seed).named("order").with(epoch as u64).rng();
        let mut shuffle = |order: &mut [usize]| {
            for last in (1..order.len()).rev() {
                order.swap(last, rng.random_range(0..=last));
            }
        };
        let mut order: Vec<usize> = (0..self.samples).collect();
        shuffle(&mut order);
        let Some(lengths) = &self.lengths else { return order };
        for megabatch in order.chunks_mut(MEGABATCH * self.window) {
            megabatch.sort_by_key(|&sample| (std::cmp::Reverse(lengths[sample]), sample));
        }
        // Whole windows change places, so that an epoch does not run from long to short.
        let mut windows: Vec<usize> = (0..self.samples / self.window).collect();
        shuffle(&mut windows);
        let rest = order[windows.len() * self.window..].to_vec();
        let window = |w: usize| order[w * self.window..(w + 1) * self.window].iter().copied();
        windows.into_iter().flat_map(window).chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(samples: usize, grouped: bool) -> Plan {
        let lengths = (0..samples).map(|i| 10 + i * 7 % 50).collect();
        Plan { samples, window: 4, micro: 2, total_steps: 9, seed: 42, lengths: grouped.then_some(lengths) }
    }

    #[test]
    fn every_epoch_is_a_permutation() {
        for grouped in [false, true] {
            for samples in [1, 4, 7, 433] {
                let plan = plan(samples, grouped);
                let seen: Vec<Vec<usize>> = (0..2).map(|epoch| plan.epoch(epoch)).collect();
                for order in &seen {
                    let mut sorted = order.clone();
                    sorted.sort_unstable();
                    assert_eq!(sorted, (0..samples).collect::<Vec<_>>());
                }
                assert!(samples < 50 || seen[0] != seen[1]);
            }
        }
    }

    #[test]
    fn the_steps_of_an_epoch_cover_it_with_a_partial_last_window() {
        let plan = plan(7, false);
        assert_eq!(plan.steps_per_epoch(), 2);
        assert_eq!(plan.step(0).concat().len(), 4);
        assert_eq!(plan.step(1), vec![plan.epoch(0)[4..6].to_vec(), plan.epoch(0)[6..].to_vec()]);
        assert_eq!(plan.step(2).concat(), plan.epoch(1)[..4]);
    }

    #[test]
    fn grouping_puts_like_lengths_together() {
        let spread = |plan: &Plan| -> usize {
            let lengths: Vec<usize> = (0..433).map(|i| 10 + i * 7 % 50).collect();
            (0..plan.steps_per_epoch())
                .map(|step| {
                    let window: Vec<usize> = plan.step(step).concat().iter().map(|&s| lengths[s]).collect();
                    window.iter().max().unwrap() - window.iter().min().unwrap()
                })
                .sum()
        };
        assert!(spread(&plan(433, true)) * 5 < spread(&plan(433, false)));
    }
}
