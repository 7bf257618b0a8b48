//! The samples of an optimizer step, divided into its micro-batches.

use std::cmp::Reverse;
use std::collections::HashMap;

use emotrain_prompt::Sample;

/// Which samples are of one dialogue.
#[derive(Clone, Debug)]
pub(crate) struct Dialogues {
    /// Of each sample, a number of its dialogue.
    of: Vec<usize>,
}

impl Dialogues {
    /// Of samples whose dialogues have these numbers.
    #[cfg(test)]
    pub(crate) fn numbered(of: Vec<usize>) -> Self {
        Self { of }
    }

    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut numbers = HashMap::new();
        let number = |sample: &Sample| {
            let next = numbers.len();
            *numbers.entry(sample.id.dialogue.clone()).or_insert(next)
        };
        Self { of: samples.iter().map(number).collect() }
    }

    /// Micro-batches as [`in_order`] has them, but each dialogue in one of them, as far as it fits: the largest first, each
    /// in the first one that has room for it, and what fits nowhere is divided. Without two samples of a dialogue the
    /// order stays.
    pub(crate) fn together(&self, window: &[usize], micro: usize) -> Vec<Vec<usize>> {
        let mut batches = in_order(window, micro);
        let mut room: Vec<usize> = batches.iter().map(Vec::len).collect();
        batches.iter_mut().for_each(Vec::clear);
        let mut dialogues = self.groups(window);
        dialogues.sort_by_key(|dialogue| Reverse(dialogue.len()));
        for dialogue in dialogues {
            let mut left = &dialogue[..];
            while !left.is_empty() {
                let fits = room.iter().position(|&room| room >= left.len());
                let most = (0..room.len()).max_by_key(|&at| (room[at], Reverse(at)));
                let Some(at) = fits.or(most) else { break };
                let (now, later) = left.split_at(left.len().min(room[at]));
                batches[at].extend(now);
                room[at] -= now.len();
                left = later;
            }
        }
        batches
    }

    /// The samples of each dialogue among these, in the order of its first.
    pub(crate) fn groups(&self, window: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut places = HashMap::new();
        for &sample in window {
            let place = *places.entry(self.of[sample]).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(sample);
        }
        groups
    }
}

/// Micro-batches of `micro` samples, of which the last may have fewer.
pub(crate) fn in_order(window: &[usize], micro: usize) -> Vec<Vec<usize>> {
    window.chunks(micro).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_is_in_one_micro_batch_where_it_fits() {
        let dialogues = |of: &[usize]| Dialogues { of: of.to_vec() };
        let together = |of: &[usize], micro| {
            let window: Vec<usize> = (0..of.len()).collect();
            dialogues(of).together(&window, micro)
        };
        // Dialogue 1 has the samples 1, 3 and 4.
        assert_eq!(together(&[0, 1, 2, 1, 1, 5, 6], 3), [vec![1, 3, 4], vec![0, 2, 5], vec![6]]);
        assert_eq!(together(&[0, 1, 2, 3, 4], 2), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(together(&[7, 7, 7, 7, 7], 2), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(together(&[0, 1, 1, 0, 1], 3), [vec![1, 2, 4], vec![0, 3]]);
        assert_eq!(together(&[], 3), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn no_sample_is_lost_and_no_micro_batch_is_larger() {
        for count in 1..40 {
            for micro in 1..7 {
                let of: Vec<usize> = (0..count).map(|at| at * at % 5).collect();
                let window: Vec<usize> = (0..count).rev().collect();
                let batches = Dialogues { of }.together(&window, micro);
                let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
                assert_eq!(sizes, in_order(&window, micro).iter().map(Vec::len).collect::<Vec<_>>());
                let mut all = batches.concat();
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
            }
        }
    }
}
