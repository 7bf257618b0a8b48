//! Which dialogues each epoch trains on (PRC-Emo, Algorithm 1; Platanios 2019, Eq. 7 and 8).

use emotrain_recipe::{Balance, CurriculumSection, Pacing, PhaseScheduler};

use crate::buckets::{Buckets, cumulative};

/// What one epoch trains on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch<'s> {
    /// Its phase, from 0. A new phase starts exactly when the set of dialogues changes.
    pub phase: usize,
    /// Fraction of all trained utterances, above 0 and at most 1.
    pub share: f64,
    /// Dialogues as indices into the split, in training order.
    pub dialogues: &'s [usize],
}

/// The epochs of a run: a pure function of recipe and difficulties.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    buckets: Buckets,
    scheduler: PhaseScheduler,
    epochs_per_phase: usize,
    competence: Competence,
    /// Cumulative, by [`CurriculumSection::balance`].
    balanced: Vec<usize>,
    /// Cumulative utterances.
    utterances: Vec<usize>,
}

/// The growth of the fraction in [`PhaseScheduler::Competence`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Competence {
    initial: f64,
    epochs: usize,
    pacing: Pacing,
}

impl Competence {
    /// `c(t)` of Platanios 2019, where `t` is the number of past epochs.
    fn share(self, epoch: usize) -> f64 {
        if epoch >= self.epochs {
            return 1.0;
        }
        let (start, passed) = (self.initial, epoch as f64 / self.epochs as f64);
        let share = match self.pacing {
            Pacing::Linear => passed * (1.0 - start) + start,
            Pacing::Root => (passed * (1.0 - start * start) + start * start).sqrt(),
        };
        share.min(1.0)
    }
}

impl Schedule {
    /// The schedule of a recipe over its buckets, with the `utterances` they were made from.
    ///
    /// # Panics
    /// If `utterances` is shorter than the number of dialogues.
    pub fn new(section: &CurriculumSection, buckets: Buckets, utterances: &[usize]) -> Self {
        let competence = Competence {
            initial: section.initial_competence,
            epochs: section.competence_epochs,
            pacing: section.pacing,
        };
        Self {
            scheduler: section.scheduler,
            epochs_per_phase: section.epochs_per_phase.max(1),
            competence,
            balanced: cumulative(buckets.order(), utterances, section.balance),
            utterances: cumulative(buckets.order(), utterances, Balance::Utterances),
            buckets,
        }
    }

    /// The buckets.
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// What an epoch, counted from 0, trains on. There is no last one: after the phases, every epoch has everything.
    ///
    /// [`PhaseScheduler::Competence`] uses the fraction at the start of an epoch for all of it, where Platanios 2019
    /// increases it with every step: an epoch is then a set of dialogues that is seen once, as with the other
    /// schedulers. It has at least one dialogue.
    pub fn epoch(&self, epoch: usize) -> Epoch<'_> {
        let buckets = &self.buckets;
        let all = 0..buckets.order().len();
        let (last, passed) = (buckets.len() - 1, epoch / self.epochs_per_phase);
        let (phase, part) = match self.scheduler {
            PhaseScheduler::None => (0, all),
            PhaseScheduler::BabyStep => (passed.min(last), 0..buckets.end(passed.min(last))),
            // A single bucket has everything already.
            PhaseScheduler::OnePass if passed > last => (last + usize::from(last > 0), all),
            PhaseScheduler::OnePass => (passed, buckets.start(passed)..buckets.end(passed)),
            PhaseScheduler::Competence => (self.growths(epoch), 0..self.covered(epoch)),
        };
        let before = |end: usize| if end == 0 { 0 } else { self.utterances[end - 1] };
        let share = (before(part.end) - before(part.start)) as f64 / before(self.utterances.len()) as f64;
        Epoch { phase, share, dialogues: &buckets.order()[part] }
    }

    /// How often the set of dialogues of [`PhaseScheduler::Competence`] has grown.
    fn growths(&self, epoch: usize) -> usize {
        let epochs = 1..=epoch.min(self.competence.epochs);
        epochs.filter(|&epoch| self.covered(epoch) != self.covered(epoch - 1)).count()
    }

    /// The number of leading dialogues that make up the fraction of an epoch.
    fn covered(&self, epoch: usize) -> usize {
        let share = self.competence.share(epoch);
        let total = self.balanced.last().copied().unwrap_or(0);
        let short = self.balanced.partition_point(|&sum| (sum as f64) < share * total as f64);
        (short + 1).min(self.balanced.len())
    }
}

#[cfg(test)]
mod tests;
