//! What each epoch trains on: a curriculum in terms of samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use emotrain_prompt::Sample;
use emotrain_recipe::ShuffleBy;

use crate::event::Event;

/// What one epoch trains on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochSamples {
    /// The curriculum's phase, from 0.
    pub phase: usize,
    /// The samples, in curriculum order.
    pub samples: Vec<usize>,
}

/// A sample's place in a curriculum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplePlace {
    /// The difficulty of its dialogue.
    pub difficulty: f64,
    /// Its bucket, from 0, the easiest.
    pub bucket: usize,
}

/// The epochs of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleSchedule {
    /// At least one, none of them empty; equal ones share their samples. Steps beyond the last repeat it.
    pub epochs: Vec<Arc<EpochSamples>>,
    /// How the samples of an epoch are shuffled, if they are.
    pub shuffle: Option<ShuffleBy>,
    /// One per sample, or empty.
    pub places: Vec<SamplePlace>,
}

impl SampleSchedule {
    /// No curriculum: every epoch has every sample.
    pub fn plain(samples: usize, epochs: usize, shuffle: ShuffleBy) -> Self {
        let epoch = Arc::new(EpochSamples { phase: 0, samples: (0..samples).collect() });
        Self { epochs: vec![epoch; epochs], shuffle: Some(shuffle), places: Vec::new() }
    }

    /// The event of this epoch's phase.
    pub(crate) fn phase_event(&self, epoch: &EpochSamples) -> Event {
        let (phase, samples) = (epoch.phase, epoch.samples.len());
        let share = if self.places.is_empty() { 1.0 } else { samples as f64 / self.places.len() as f64 };
        Event::Phase { phase, samples, share }
    }

    /// The curriculum's progress and a step's metrics in it, by name: the phase, the fraction of all samples in the
    /// epoch, the mean difficulty of the step, and the loss per supervised token of each bucket in the step. Empty
    /// without a curriculum.
    ///
    /// `samples`: index, negative log-likelihood and number of supervised tokens of each sample.
    pub(crate) fn scalars(
        &self,
        epoch: &EpochSamples,
        samples: &[(usize, f64, usize)],
    ) -> Vec<(String, f64)> {
        if self.places.is_empty() || samples.is_empty() {
            return Vec::new();
        }
        let difficulty: f64 = samples.iter().map(|(sample, ..)| self.places[*sample].difficulty).sum();
        let mut scalars = vec![
            ("curriculum/phase".to_owned(), epoch.phase as f64),
            ("curriculum/share".to_owned(), epoch.samples.len() as f64 / self.places.len() as f64),
            ("curriculum/difficulty".to_owned(), difficulty / samples.len() as f64),
        ];
        let losses = mean_losses(samples, |sample| Some(self.places[sample].bucket));
        let named = |(bucket, loss)| (format!("curriculum/loss_bucket_{}", bucket + 1), loss);
        scalars.extend(losses.into_iter().map(named));
        scalars
    }
}

/// The loss per supervised token of each kind of question in a step, by name. Empty if all samples of the run ask the
/// same question.
///
/// `scored` is what [`SampleSchedule::scalars`] takes as `samples`.
pub(crate) fn task_scalars(samples: &[Sample], scored: &[(usize, f64, usize)]) -> Vec<(String, f64)> {
    if Sample::tasks(samples).len() < 2 {
        return Vec::new();
    }
    let losses = mean_losses(scored, |sample| samples[sample].task);
    losses.into_iter().map(|(task, loss)| (format!("loss/{}", task.as_str()), loss)).collect()
}

/// The loss per supervised token of each group of samples; a sample without a group is ignored.
fn mean_losses<G: Ord>(
    samples: &[(usize, f64, usize)],
    group: impl Fn(usize) -> Option<G>,
) -> BTreeMap<G, f64> {
    let mut groups = BTreeMap::<G, (f64, usize)>::new();
    for (sample, sum, tokens) in samples {
        if let Some(group) = group(*sample) {
            let (total, count) = groups.entry(group).or_default();
            *total += sum;
            *count += tokens;
        }
    }
    let groups = groups.into_iter().filter(|(_, (_, tokens))| *tokens > 0);
    groups.map(|(group, (sum, tokens))| (group, sum / tokens as f64)).collect()
}
