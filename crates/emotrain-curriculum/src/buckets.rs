//! Dialogues sorted by difficulty and split into buckets (PRC-Emo, Algorithm 1).

use emotrain_recipe::{Balance, CurriculumSection, Direction, PhaseScheduler};

use crate::error::CurriculumError;

/// The order of a split's dialogues and its bucket boundaries. Dialogues are indices into the split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// In training order.
    order: Vec<usize>,
    /// The end of each bucket in the order; the last is its length.
    ends: Vec<usize>,
}

impl Buckets {
    /// Sorts dialogues by difficulty (stable), and splits them into `num_buckets` buckets of nearly equally many
    /// utterances or dialogues: each boundary is between two dialogues, as near to the equal share as possible, and no
    /// bucket is empty. Schedulers without buckets have one.
    ///
    /// `utterances` is the number of utterances of each dialogue that are trained on; a dialogue with none is left out.
    ///
    /// # Errors
    /// No dialogues to train on; fewer of them than buckets; a different number of difficulties than dialogues.
    pub fn new(
        section: &CurriculumSection,
        difficulties: &[f64],
        utterances: &[usize],
    ) -> Result<Self, CurriculumError> {
        if difficulties.len() != utterances.len() {
            let (given, dialogues) = (difficulties.len(), utterances.len());
            return Err(CurriculumError::LengthMismatch { given, dialogues });
        }
        let mut order: Vec<usize> = (0..utterances.len()).filter(|&index| utterances[index] > 0).collect();
        let dialogues = order.len();
        if dialogues == 0 {
            return Err(CurriculumError::NoDialogues);
        }
        let buckets = match section.scheduler {
            PhaseScheduler::BabyStep | PhaseScheduler::OnePass => section.num_buckets.max(1),
            PhaseScheduler::None | PhaseScheduler::Competence => 1,
        };
        if buckets > dialogues {
            return Err(CurriculumError::TooFewDialogues { dialogues, buckets });
        }
        order.sort_by(|&one, &other| {
            let ascending = difficulties[one].total_cmp(&difficulties[other]);
            match section.direction {
                Direction::EasyToHard => ascending,
                Direction::HardToEasy => ascending.reverse(),
            }
        });
        let cumulative = cumulative(&order, utterances, section.balance);
        Ok(Self { ends: cuts(&cumulative, buckets), order })
    }

    /// The number of buckets, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there is always a bucket")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All dialogues that are trained on, in training order.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The dialogues of a bucket, counted from 0; never empty.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn bucket(&self, bucket: usize) -> &[usize] {
        &self.order[self.start(bucket)..self.end(bucket)]
    }

    /// The bucket of each of the split's `dialogues` dialogues; `None` for one left out.
    pub fn of_each(&self, dialogues: usize) -> Vec<Option<usize>> {
        let mut buckets = vec![None; dialogues];
        for bucket in 0..self.len() {
            for &dialogue in self.bucket(bucket) {
                if let Some(place) = buckets.get_mut(dialogue) {
                    *place = Some(bucket);
                }
            }
        }
        buckets
    }

    /// The start of a bucket in the order.
    pub(crate) fn start(&self, bucket: usize) -> usize {
        if bucket == 0 { 0 } else { self.ends[bucket - 1] }
    }

    /// The end of a bucket in the order.
    pub(crate) fn end(&self, bucket: usize) -> usize {
        self.ends[bucket]
    }
}

/// Cumulative sizes of the dialogues in the order.
pub(crate) fn cumulative(order: &[usize], utterances: &[usize], balance: Balance) -> Vec<usize> {
    let mut sum = 0;
    let sums = order.iter().map(|&dialogue| {
        sum += match balance {
            Balance::Utterances => utterances[dialogue],
            Balance::Dialogues => 1,
        };
        sum
    });
    sums.collect()
}

/// The ends of `buckets` buckets. There are at least as many dialogues.
fn cuts(cumulative: &[usize], buckets: usize) -> Vec<usize> {
    let total = cumulative.last().copied().unwrap_or(0) as u128;
    let mut ends = Vec::with_capacity(buckets);
    let mut start = 0;
    for bucket in 1..=buckets {
        // Multiplied by the number of buckets, to stay in integers.
        let target = total * bucket as u128;
        let distance = |end: usize| (cumulative[end - 1] as u128 * buckets as u128).abs_diff(target);
        let (least, most) = (start + 1, cumulative.len() - (buckets - bucket));
        let reached = cumulative.partition_point(|&sum| (sum as u128 * buckets as u128) < target) + 1;
        let [below, above] = [reached - 1, reached].map(|end| end.clamp(least, most));
        start = if distance(below) <= distance(above) { below } else { above };
        ends.push(start);
    }
    if let Some(last) = ends.last_mut() {
        *last = cumulative.len();
    }
    ends
}

#[cfg(test)]
mod tests;
