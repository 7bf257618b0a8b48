//! Classification scores, equal to scikit-learn's with `labels` = all labels of the set and `zero_division` = 0.

use emotrain_data::Label;
use serde::{Deserialize, Serialize};

use crate::error::EvalError;

/// Scores over some utterances, as fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Proportion of correct predictions.
    pub accuracy: f64,
    /// Mean of the labels' F1 weighted by their support: the headline score (PRC-Emo's).
    pub weighted_f1: f64,
    /// Unweighted mean of the labels' F1, labels without support included.
    pub macro_f1: f64,
    /// Per label, by index.
    pub labels: Vec<LabelScores>,
    /// Counts, row = truth, column = prediction; unparsed answers are in no column.
    pub confusion: Vec<Vec<usize>>,
    /// Answers that name no label of the set. They count as wrong.
    pub unparsed: usize,
}

/// Scores of one label, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScores {
    /// Proportion of correct ones among the predictions of this label.
    pub precision: f64,
    /// Proportion of correct ones among the utterances that truly have this label.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Utterances that truly have this label.
    pub support: usize,
}

impl Scores {
    /// The number of utterances scored.
    pub fn utterances(&self) -> usize {
        self.labels.iter().map(|label| label.support).sum()
    }
}

/// Scores of predictions; `None` is an answer that names no label of the set.
///
/// # Errors
/// No utterances, slices of different lengths, or a label not below `label_count`.
pub fn score(truth: &[Label], predicted: &[Option<Label>], label_count: usize) -> Result<Scores, EvalError> {
    Ok(Counts::of(truth, predicted, label_count)?.scores())
}

/// Scores of always predicting the most frequent label of `truth` (the first one in a tie): the baseline to beat.
///
/// # Errors
/// No utterances, or a label not below `label_count`.
pub fn majority(truth: &[Label], label_count: usize) -> Result<Scores, EvalError> {
    let mut counts = vec![0_usize; label_count];
    for label in truth {
        let labels = label_count;
        *counts
            .get_mut(label.index())
            .ok_or(EvalError::LabelOutOfRange { label: label.index(), labels })? += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let frequent = counts.iter().position(|&count| count == most).map(Label::from_index);
    score(truth, &vec![frequent; truth.len()], label_count)
}

/// Counts of each pair of true and predicted label.
pub(crate) struct Counts {
    /// Row = truth, column = prediction.
    confusion: Vec<Vec<usize>>,
    /// By truth.
    unparsed: Vec<usize>,
}

impl Counts {
    pub(crate) fn of(truth: &[Label], predicted: &[Option<Label>], labels: usize) -> Result<Self, EvalError> {
        if truth.len() != predicted.len() {
            return Err(EvalError::LengthMismatch { truth: truth.len(), predicted: predicted.len() });
        }
        if truth.is_empty() {
            return Err(EvalError::NoUtterances);
        }
        let mut counts = Self::empty(labels);
        for (truth, predicted) in truth.iter().zip(predicted) {
            for label in [Some(*truth), *predicted].into_iter().flatten() {
                if label.index() >= labels {
                    return Err(EvalError::LabelOutOfRange { label: label.index(), labels });
                }
            }
            counts.add(*truth, *predicted);
        }
        Ok(counts)
    }

    pub(crate) fn empty(labels: usize) -> Self {
        Self { confusion: vec![vec![0; labels]; labels], unparsed: vec![0; labels] }
    }

    pub(crate) fn add(&mut self, truth: Label, predicted: Option<Label>) {
        match predicted {
            Some(predicted) => self.confusion[truth.index()][predicted.index()] += 1,
            None => self.unparsed[truth.index()] += 1,
        }
    }

    fn support(&self, label: usize) -> usize {
        self.confusion[label].iter().sum::<usize>() + self.unparsed[label]
    }

    fn label_scores(&self, label: usize) -> LabelScores {
        let right = self.confusion[label][label];
        let predicted: usize = self.confusion.iter().map(|row| row[label]).sum();
        let support = self.support(label);
        LabelScores {
            precision: ratio(right, predicted),
            recall: ratio(right, support),
            f1: ratio(2 * right, predicted + support),
            support,
        }
    }

    pub(crate) fn weighted_f1(&self) -> f64 {
        weighted_f1(&self.all_label_scores())
    }

    fn all_label_scores(&self) -> Vec<LabelScores> {
        (0..self.confusion.len()).map(|label| self.label_scores(label)).collect()
    }

    fn scores(self) -> Scores {
        let labels = self.all_label_scores();
        let total: usize = labels.iter().map(|label| label.support).sum();
        let right: usize = (0..labels.len()).map(|label| self.confusion[label][label]).sum();
        Scores {
            accuracy: ratio(right, total),
            weighted_f1: weighted_f1(&labels),
            macro_f1: labels.iter().map(|label| label.f1).sum::<f64>() / labels.len() as f64,
            labels,
            unparsed: self.unparsed.iter().sum(),
            confusion: self.confusion,
        }
    }
}

fn weighted_f1(labels: &[LabelScores]) -> f64 {
    let total: usize = labels.iter().map(|label| label.support).sum();
    labels.iter().map(|label| label.f1 * label.support as f64).sum::<f64>() / total as f64
}

/// A quotient, 0 if the divisor is 0 (scikit-learn's `zero_division=0`).
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
