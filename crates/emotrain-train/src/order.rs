//! The samples of each optimizer step: a pure function of the seed, so that a resumed run continues it.

use std::ops::Range;
use std::sync::Arc;

use emotrain_base::random::Key;
use emotrain_prompt::Sample;
use emotrain_recipe::{EvalSteps, LabelSampling, ShuffleBy, TrainSection};
use rand::RngExt;

use crate::label_draw::LabelDraw;
use crate::micro_batches::{Dialogues, in_order};
use crate::packing::Packing;
use crate::sample_schedule::{EpochSamples, SampleSchedule};

/// Batches per megabatch of length grouping, as in Hugging Face's `get_length_grouped_indices`.
const MEGABATCH: usize = 50;

/// The samples of every step of a run.
#[derive(Clone, Debug)]
pub struct SampleOrder {
    epochs: Vec<Arc<EpochSamples>>,
    shuffle: bool,
    /// Samples per optimizer step: micro-batch size × accumulation steps.
    window: usize,
    micro: usize,
    total_steps: usize,
    seed: u64,
    /// Tokens per sample, if samples are grouped by length.
    lengths: Option<Vec<usize>>,
    /// How samples are drawn by their labels, if they are.
    drawn: Option<LabelDraw>,
    /// Those of the samples, if a step's are grouped by them.
    dialogues: Option<Dialogues>,
    /// The same, if whole dialogues are shuffled.
    whole: Option<Dialogues>,
}

/// A step's position in its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    epoch: usize,
    /// The step counted within the epoch.
    number: usize,
}

impl SampleOrder {
    /// The order of these samples.
    pub fn new(
        section: &TrainSection,
        sampling: LabelSampling,
        samples: &[Sample],
        schedule: &SampleSchedule,
    ) -> Self {
        let micro = section.per_device_train_batch_size;
        let lengths = || samples.iter().map(|sample| sample.ids.len()).collect();
        let mut plan = Self {
            epochs: schedule.epochs.clone(),
            shuffle: schedule.shuffle.is_some(),
            window: micro * section.gradient_accumulation_steps,
            micro,
            total_steps: 0,
            seed: section.seed,
            lengths: section.group_by_length.then(lengths),
            drawn: LabelDraw::new(sampling, samples),
            dialogues: section.group_by_dialogue.then(|| Dialogues::of(samples)),
            whole: (schedule.shuffle == Some(ShuffleBy::Dialogues)).then(|| Dialogues::of(samples)),
        };
        let by_epochs = (0..plan.epochs.len()).map(|epoch| plan.steps_in(epoch)).sum();
        plan.total_steps = section.max_steps.unwrap_or(by_epochs);
        plan
    }

    /// Optimizer steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total_steps
    }

    /// Optimizer steps of an epoch, counted from 0; the last step may have fewer samples.
    pub fn steps_in(&self, epoch: usize) -> usize {
        self.pool(epoch).samples.len().div_ceil(self.window)
    }

    /// Epochs done after `steps` steps, with fraction.
    pub fn epochs_after(&self, steps: usize) -> f64 {
        let at = self.at(steps);
        at.epoch as f64 + at.number as f64 / self.steps_in(at.epoch) as f64
    }

    /// Whether the validation split is evaluated after step `step`, counted from 1: after the last one it is.
    pub fn is_evaluated_after(&self, step: usize, every: EvalSteps) -> bool {
        let is_due = match every {
            EvalSteps::Every(every) => every > 0 && step.is_multiple_of(every),
            EvalSteps::EpochShare(share) => {
                let [before, after] = [step - 1, step].map(|steps| parts(self.epochs_after(steps), share));
                after > before
            }
        };
        is_due || step == self.total_steps
    }

    /// How often the validation split is evaluated.
    pub fn evaluations(&self, every: EvalSteps) -> usize {
        match every {
            EvalSteps::Every(0) => 1,
            EvalSteps::Every(every) => self.total_steps.div_ceil(every),
            EvalSteps::EpochShare(_) => {
                (1..=self.total_steps).filter(|&step| self.is_evaluated_after(step, every)).count()
            }
        }
    }

    /// Tokens of the whole run, from those of each sample.
    pub fn tokens(&self, lengths: &[usize]) -> u64 {
        let sum = |samples: &[usize]| samples.iter().map(|&sample| lengths[sample] as u64).sum::<u64>();
        let At { epoch, number } = self.at(self.total_steps);
        if self.drawn.is_some() {
            let whole: u64 = (0..epoch).map(|epoch| sum(&self.drawn(epoch))).sum();
            return whole + if number > 0 { sum(&self.epoch(epoch)[..number * self.window]) } else { 0 };
        }
        let planned = epoch.min(self.epochs.len());
        let whole: u64 = self.epochs[..planned].iter().map(|epoch| sum(&epoch.samples)).sum();
        let repeated = (epoch - planned) as u64 * sum(&self.pool(epoch).samples);
        let begun = if number > 0 { sum(&self.epoch(epoch)[..number * self.window]) } else { 0 };
        whole + repeated + begun
    }

    /// How many of these tokens are computed once for several samples that begin alike, beyond the first time.
    pub fn shared_tokens(&self, samples: &[Sample], packing: Packing) -> u64 {
        if packing == Packing::Apart {
            return 0;
        }
        let saved = |micro: Vec<usize>| packing.saved(micro.iter().map(|&sample| &samples[sample])) as u64;
        let (mut epoch, mut left, mut sum) = (0, self.total_steps, 0);
        while left > 0 {
            let order = self.epoch(epoch);
            let windows = order.chunks(self.window).take(left);
            left -= windows.len();
            sum += windows.flat_map(|window| self.divided(window)).map(saved).sum::<u64>();
            epoch += 1;
        }
        sum
    }

    /// What the epoch of step `step`, counted from 0, trains on.
    pub fn epoch_of(&self, step: usize) -> &EpochSamples {
        self.pool(self.at(step).epoch)
    }

    /// The steps of the run in the same phase as step `step`.
    pub fn phase_of(&self, step: usize) -> Range<usize> {
        let phase = self.epoch_of(step).phase;
        let (mut first, mut start, mut epoch) = (None, 0, 0);
        while start < self.total_steps {
            let same = self.pool(epoch).phase == phase;
            match first {
                None if same => first = Some(start),
                Some(first) if !same => return first..start,
                _ => {}
            }
            start += self.steps_in(epoch);
            epoch += 1;
        }
        first.unwrap_or(0)..self.total_steps
    }

    /// The micro-batches of step `step`, counted from 0.
    pub fn step(&self, step: usize) -> Vec<Vec<usize>> {
        let At { epoch, number } = self.at(step);
        let order = self.epoch(epoch);
        let end = ((number + 1) * self.window).min(order.len());
        self.divided(&order[number * self.window..end])
    }

    /// The micro-batches of a window.
    fn divided(&self, window: &[usize]) -> Vec<Vec<usize>> {
        match &self.dialogues {
            Some(dialogues) => dialogues.together(window, self.micro),
            None => in_order(window, self.micro),
        }
    }

    /// The order of the samples in one epoch.
    pub fn epoch(&self, epoch: usize) -> Vec<usize> {
        let mut order = self.drawn(epoch);
        if !self.shuffle {
            return order;
        }
        order.sort_unstable();
        let mut rng = Key::new(self.seed).named("order").with(epoch as u64).rng();
        let mut shuffle = |order: &mut [usize]| {
            for last in (1..order.len()).rev() {
                order.swap(last, rng.random_range(0..=last));
            }
        };
        if let Some(dialogues) = &self.whole {
            let dialogues = dialogues.groups(&order);
            let mut order: Vec<usize> = (0..dialogues.len()).collect();
            shuffle(&mut order);
            return order.into_iter().flat_map(|dialogue| dialogues[dialogue].clone()).collect();
        }
        shuffle(&mut order);
        let Some(lengths) = &self.lengths else { return order };
        for megabatch in order.chunks_mut(MEGABATCH * self.window) {
            megabatch.sort_by_key(|&sample| (std::cmp::Reverse(lengths[sample]), sample));
        }
        // Whole windows are shuffled, so that an epoch does not run from long to short.
        let mut windows: Vec<usize> = (0..order.len() / self.window).collect();
        shuffle(&mut windows);
        let rest = order[windows.len() * self.window..].to_vec();
        let window = |w: usize| order[w * self.window..(w + 1) * self.window].iter().copied();
        windows.into_iter().flat_map(window).chain(rest).collect()
    }

    /// The samples of an epoch, in curriculum order.
    fn drawn(&self, epoch: usize) -> Vec<usize> {
        let pool = &self.pool(epoch).samples;
        let key = Key::new(self.seed).named("sampling").with(epoch as u64);
        self.drawn.as_ref().map_or_else(|| pool.clone(), |drawn| drawn.of(pool, key))
    }

    /// Epochs beyond the last repeat it.
    fn pool(&self, epoch: usize) -> &EpochSamples {
        &self.epochs[epoch.min(self.epochs.len() - 1)]
    }

    fn at(&self, step: usize) -> At {
        let mut at = At { epoch: 0, number: step };
        while at.epoch + 1 < self.epochs.len() && at.number >= self.steps_in(at.epoch) {
            at.number -= self.steps_in(at.epoch);
            at.epoch += 1;
        }
        let steps = self.steps_in(at.epoch);
        At { epoch: at.epoch + at.number / steps, number: at.number % steps }
    }
}

/// Whole parts of an epoch in so many epochs. A sum of parts may lie a rounding error below what it stands for.
fn parts(epochs: f64, share: f64) -> f64 {
    (epochs / share + 1e-9).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(samples: usize, grouped: bool) -> SampleOrder {
        let lengths = (0..samples).map(|i| 10 + i * 7 % 50).collect();
        SampleOrder {
            epochs: SampleSchedule::plain(samples, 2, ShuffleBy::Utterances).epochs,
            shuffle: true,
            window: 4,
            micro: 2,
            total_steps: 9,
            seed: 42,
            lengths: grouped.then_some(lengths),
            drawn: None,
            dialogues: None,
            whole: None,
        }
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

    /// Of dialogues of one to five samples.
    #[test]
    fn dialogues_that_are_shuffled_stay_whole_and_in_order() {
        let of: Vec<usize> = (0..100).flat_map(|dialogue| vec![dialogue; 1 + dialogue % 5]).collect();
        let plain = plan(of.len(), false);
        let plan = SampleOrder { whole: Some(Dialogues::numbered(of.clone())), ..plain.clone() };
        let (first, second) = (plan.epoch(0), plan.epoch(1));
        for order in [&first, &second] {
            let dialogues: Vec<&[usize]> = order.chunk_by(|a, b| of[*a] == of[*b]).collect();
            assert_eq!(dialogues.len(), 100, "none is torn");
            assert!(dialogues.iter().all(|dialogue| dialogue.is_sorted()));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..of.len()).collect::<Vec<_>>());
            assert!(!order.is_sorted());
        }
        assert_ne!(first, second, "every epoch has its own order");
        assert_ne!(first, plain.epoch(0));
    }

    #[test]
    fn the_steps_of_an_epoch_cover_it_with_a_partial_last_window() {
        let plan = plan(7, false);
        assert_eq!(plan.steps_in(0), 2);
        assert_eq!(plan.step(0).concat().len(), 4);
        assert_eq!(plan.step(1), vec![plan.epoch(0)[4..6].to_vec(), plan.epoch(0)[6..].to_vec()]);
        assert_eq!(plan.step(2).concat(), plan.epoch(1)[..4]);
        assert_eq!(plan.step(5).concat(), plan.epoch(2)[4..]);
    }

    /// Easy samples first, then all, then all again.
    fn schedule() -> SampleOrder {
        let all = || (0..20).collect::<Vec<_>>();
        let epoch = |phase, samples| Arc::new(EpochSamples { phase, samples });
        let epochs = vec![epoch(0, (0..10).collect()), epoch(1, all()), epoch(1, all())];
        SampleOrder { epochs, total_steps: 3 + 5 + 5, ..plan(20, false) }
    }

    #[test]
    fn epochs_of_a_schedule_have_their_own_samples_and_steps() {
        let plan = schedule();
        let seen = |steps: Range<usize>| {
            let mut seen = steps.flat_map(|step| plan.step(step).concat()).collect::<Vec<_>>();
            seen.sort_unstable();
            seen
        };
        assert_eq!(seen(0..3), (0..10).collect::<Vec<_>>());
        assert_eq!(seen(3..8), (0..20).collect::<Vec<_>>());
        assert_eq!(seen(8..13), seen(13..18));
        assert_ne!(plan.step(8), plan.step(13));
        let shares = [0, 2, 3, 8].map(|step| (plan.epoch_of(step).phase, plan.epochs_after(step)));
        assert_eq!(shares, [(0, 0.0), (0, 2.0 / 3.0), (1, 1.0), (1, 2.0)]);
        assert_eq!([0, 2, 3, 12].map(|step| plan.phase_of(step)), [0..3, 0..3, 3..13, 3..13]);
    }

    #[test]
    fn evaluations_are_counted_as_they_come() {
        let plan = schedule();
        let after = |every| -> Vec<usize> {
            let steps: Vec<usize> = (1..=13).filter(|&step| plan.is_evaluated_after(step, every)).collect();
            assert_eq!(plan.evaluations(every), steps.len());
            steps
        };
        assert_eq!(after(EvalSteps::Every(0)), [13]);
        assert_eq!(after(EvalSteps::Every(5)), [5, 10, 13]);
        assert_eq!(after(EvalSteps::EpochShare(1.0)), [3, 8, 13]);
        assert_eq!(after(EvalSteps::EpochShare(0.5)), [2, 3, 6, 8, 11, 13]);
        assert_eq!(after(EvalSteps::EpochShare(0.001)), (1..=13).collect::<Vec<_>>());
        // A third is not a sum of bits.
        let thirds = SampleOrder { window: 1, total_steps: 9, ..self::plan(3, false) };
        assert_eq!(thirds.evaluations(EvalSteps::EpochShare(1.0 / 3.0)), 9);
    }

    #[test]
    fn tokens_are_those_of_all_steps() {
        let lengths: Vec<usize> = (0..20).map(|sample| 10 + sample * 7 % 50).collect();
        for total_steps in [1, 3, 8, 10, 13, 14, 31] {
            let plan = SampleOrder { total_steps, ..schedule() };
            let steps = (0..total_steps).flat_map(|step| plan.step(step).concat());
            let expected: u64 = steps.map(|sample| lengths[sample] as u64).sum();
            assert_eq!(plan.tokens(&lengths), expected, "{total_steps}");
        }
    }

    #[test]
    fn without_shuffling_a_schedule_keeps_its_order() {
        let plan = SampleOrder { shuffle: false, ..schedule() };
        assert_eq!(plan.step(0), [[0, 1], [2, 3]]);
        assert_eq!(plan.step(3), [[0, 1], [2, 3]]);
    }

    #[test]
    fn grouping_puts_similar_lengths_together() {
        let spread = |plan: &SampleOrder| -> usize {
            let lengths: Vec<usize> = (0..433).map(|i| 10 + i * 7 % 50).collect();
            (0..plan.steps_in(0))
                .map(|step| {
                    let window: Vec<usize> = plan.step(step).concat().iter().map(|&s| lengths[s]).collect();
                    window.iter().max().unwrap() - window.iter().min().unwrap()
                })
                .sum()
        };
        assert!(spread(&plan(433, true)) * 5 < spread(&plan(433, false)));
    }
}
