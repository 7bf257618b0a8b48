//! Rows of token ids, packed without padding.

mod tree;
mod visible;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use visible::{Visible, union};

/// A token to predict: the hidden state of `row` is scored on `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Row of the batch whose hidden state predicts the token.
    pub row: usize,
    /// The token predicted.
    pub id: u32,
}

/// A sequence to train on: `ids[supervised_from..]` are predicted, each from the tokens before it.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Token ids, prompt and completion.
    pub ids: &'a [u32],
    /// Index of the first supervised token; 0 supervises all (the first token has nothing before it and is skipped).
    pub supervised_from: usize,
}

impl<'a> Sequence<'a> {
    /// The tokens that take a row: all but the last, which is only predicted.
    fn fed(&self) -> &'a [u32] {
        &self.ids[..self.ids.len().saturating_sub(1)]
    }
}

/// Packed rows: segments are concatenated, never attend to each other, and each counts its positions from 0. A segment
/// is a sequence, or a tree of sequences that begin alike.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) ids: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) segments: Vec<Range<usize>>,
    pub(crate) visible: Vec<Visible>,
    pub(crate) targets: Vec<Target>,
    /// Of each target; empty = all 1.
    pub(crate) weights: Vec<f32>,
}

impl Batch {
    /// Packs sequences for training. A sequence's last token is only predicted, so it takes no row.
    pub fn sequences(sequences: &[Sequence]) -> Self {
        let mut batch = Self::default();
        for sequence in sequences {
            let start = batch.ids.len();
            batch.push_rows(sequence.fed(), 0, Visible::causal);
            batch.segments.push(start..batch.ids.len());
            batch.push_targets(sequence, |position| start + position);
        }
        batch
    }

    /// The same, with the loss of each target multiplied by its weight in training.
    ///
    /// # Panics
    /// If there is not one weight for each target.
    #[must_use]
    pub fn with_weights(self, weights: Vec<f32>) -> Self {
        assert_eq!(weights.len(), self.targets.len(), "a weight for each target");
        Self { weights, ..self }
    }

    /// Packs prompts, each followed by every completion as a branch of its own: the prompt is computed once,
    /// a branch sees the prompt and itself. The targets go prompt by prompt, completion by completion,
    /// token by token.
    ///
    /// # Panics
    /// If a prompt or a completion is empty.
    pub fn choices(prompts: &[&[u32]], completions: &[Vec<u32>]) -> Self {
        let mut batch = Self::default();
        for prompt in prompts {
            assert!(!prompt.is_empty(), "a prompt needs a token");
            let start = batch.ids.len();
            batch.push_rows(prompt, 0, Visible::causal);
            let before: Arc<[Range<usize>]> = std::iter::once(0..prompt.len()).collect();
            for completion in completions {
                let (&last, fed) = completion.split_last().expect("a completion needs a token");
                let own_start = batch.ids.len() - start;
                batch.push_rows(fed, prompt.len(), |row| {
                    Visible::after(&before, own_start..own_start + row + 1)
                });
                let rows = std::iter::once(prompt.len() - 1).chain(own_start..own_start + fed.len());
                let ids = fed.iter().copied().chain([last]);
                batch.targets.extend(rows.zip(ids).map(|(row, id)| Target { row: start + row, id }));
            }
            batch.segments.push(start..batch.ids.len());
        }
        batch
    }

    /// Batches one after the other as one, with the rows of each. None sees another: their segments stay apart.
    pub(crate) fn joined<'a>(batches: impl IntoIterator<Item = &'a Self>) -> (Self, Vec<Range<usize>>) {
        let (mut joined, mut rows) = (Self::default(), Vec::new());
        for batch in batches {
            let start = joined.rows();
            joined.ids.extend(&batch.ids);
            joined.positions.extend(&batch.positions);
            joined.segments.extend(batch.segments.iter().map(|own| own.start + start..own.end + start));
            joined.visible.extend(batch.visible.iter().cloned());
            let target = |target: &Target| Target { row: target.row + start, id: target.id };
            joined.targets.extend(batch.targets.iter().map(target));
            if !batch.weights.is_empty() {
                joined.weights.resize(joined.targets.len() - batch.targets.len(), 1.0);
                joined.weights.extend(&batch.weights);
            }
            rows.push(start..joined.rows());
        }
        if !joined.weights.is_empty() {
            joined.weights.resize(joined.targets.len(), 1.0);
        }
        (joined, rows)
    }

    /// One row per token of `ids`, nothing to predict: for looking at logits.
    pub(crate) fn plain(ids: &[u32]) -> Self {
        let mut batch = Self::default();
        batch.push_rows(ids, 0, Visible::causal);
        batch.segments.push(0..ids.len());
        batch
    }

    /// Number of rows: the tokens that go through the model.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// The tokens to predict.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The weight of each target, if they are not all 1.
    pub fn weights(&self) -> Option<&[f32]> {
        (!self.weights.is_empty()).then_some(&self.weights)
    }

    fn push_rows(&mut self, ids: &[u32], first_position: usize, visible: impl Fn(usize) -> Visible) {
        for (row, &id) in ids.iter().enumerate() {
            self.ids.push(id);
            self.positions.push(u32::try_from(first_position + row).expect("positions fit u32"));
            self.visible.push(visible(row));
        }
    }

    /// Appends the supervised tokens of a sequence, given the row of each of its positions.
    fn push_targets(&mut self, sequence: &Sequence, row: impl Fn(usize) -> usize) {
        for (index, &id) in sequence.ids.iter().enumerate().skip(sequence.supervised_from.max(1)) {
            self.targets.push(Target { row: row(index - 1), id });
        }
    }

    /// The rows whose hidden state is needed after the last layer, ascending, each once.
    pub(crate) fn target_rows(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = self.targets.iter().map(|target| target.row).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_predicts_its_supervised_tokens_from_the_row_before() {
        let batch = Batch::sequences(&[
            Sequence { ids: &[5, 6, 7, 8], supervised_from: 2 },
            Sequence { ids: &[1, 2], supervised_from: 0 },
        ]);
        assert_eq!(batch.ids, [5, 6, 7, 1]);
        assert_eq!(batch.positions, [0, 1, 2, 0]);
        assert_eq!(batch.segments, [0..3, 3..4]);
        let targets = [Target { row: 1, id: 7 }, Target { row: 2, id: 8 }, Target { row: 3, id: 2 }];
        assert_eq!(batch.targets, targets);
    }

    #[test]
    fn batches_keep_their_weights_when_they_are_joined() {
        let plain = Batch::sequences(&[Sequence { ids: &[1, 2, 3], supervised_from: 0 }]);
        let weighted = plain.clone().with_weights(vec![2.0, 0.5]);
        assert_eq!(Batch::joined([&plain, &plain]).0.weights(), None);
        let joined = Batch::joined([&plain, &weighted, &plain]).0;
        assert_eq!(joined.weights(), Some(&[1.0, 1.0, 2.0, 0.5, 1.0, 1.0][..]));
    }

    #[test]
    fn branches_share_the_prompt_and_see_only_it_and_themselves() {
        let batch = Batch::choices(&[&[1, 2, 3]], &[vec![7], vec![8, 9], vec![4, 5, 6]]);
        assert_eq!(batch.ids, [1, 2, 3, 8, 4, 5]);
        assert_eq!(batch.positions, [0, 1, 2, 3, 3, 4]);
        let sees: Vec<Vec<usize>> =
            batch.visible.iter().map(|visible| visible.ranges().flatten().collect()).collect();
        assert_eq!(sees[3], [0, 1, 2, 3]);
        assert_eq!(sees[5], [0, 1, 2, 4, 5]);
        let rows: Vec<(usize, u32)> = batch.targets.iter().map(|t| (t.row, t.id)).collect();
        assert_eq!(rows, [(2, 7), (2, 8), (3, 9), (2, 4), (4, 5), (5, 6)]);
        assert_eq!(batch.target_rows(), [2, 3, 4, 5]);
    }
}
