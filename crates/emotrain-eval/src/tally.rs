//! Counts that can be added up, dialogue by dialogue, and the scores that follow from them.

use std::fmt;

use emotrain_data::Label;
use serde::{Deserialize, Serialize};

use crate::report::Headline;

/// One of the scores of a whole evaluation, as in [`Headline`](crate::Headline). Written `weighted_f1`, `macro_f1`,
/// `accuracy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadlineScore {
    /// Mean of the labels' F1, weighted by support.
    WeightedF1,
    /// Mean of the labels' F1.
    MacroF1,
    /// Proportion of correct predictions.
    Accuracy,
}

impl HeadlineScore {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::WeightedF1, Self::MacroF1, Self::Accuracy];

    /// It among the scores of an evaluation.
    pub fn of(self, scores: &Headline) -> f64 {
        match self {
            Self::WeightedF1 => scores.weighted_f1,
            Self::MacroF1 => scores.macro_f1,
            Self::Accuracy => scores.accuracy,
        }
    }

    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WeightedF1 => "weighted_f1",
            Self::MacroF1 => "macro_f1",
            Self::Accuracy => "accuracy",
        }
    }
}

/// The name in tables.
impl fmt::Display for HeadlineScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WeightedF1 => "weighted F1",
            Self::MacroF1 => "macro F1",
            Self::Accuracy => "accuracy",
        })
    }
}

/// How often each label was right, was predicted and was true. Tallies of dialogues add up to that of a test set; a
/// difference of two may be negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreTally {
    /// Right, predicted and true of the first label, then of the next.
    cells: Vec<i64>,
}

impl ScoreTally {
    /// Of no utterance yet, for a set of this many labels.
    pub fn empty(labels: usize) -> Self {
        Self { cells: vec![0; 3 * labels] }
    }

    /// One more utterance.
    pub fn count(&mut self, truth: Label, predicted: Option<Label>) {
        self.cells[3 * truth.index() + 2] += 1;
        if let Some(predicted) = predicted {
            self.cells[3 * predicted.index() + 1] += 1;
            self.cells[3 * predicted.index()] += i64::from(predicted == truth);
        }
    }

    /// Adds a tally as often as `times` says.
    pub(crate) fn add(&mut self, other: &Self, times: i64) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += times * more;
        }
    }

    /// Whether it counts nothing.
    pub(crate) fn is_zero(&self) -> bool {
        self.cells.iter().all(|cell| *cell == 0)
    }

    /// A label's F1.
    pub(crate) fn f1(&self, label: Label) -> f64 {
        let at = 3 * label.index();
        ratio(2 * self.cells[at], self.cells[at + 1] + self.cells[at + 2])
    }

    /// How many utterances it counts.
    pub fn utterances(&self) -> i64 {
        self.cells.iter().skip(2).step_by(3).sum()
    }

    /// As [`score`](crate::score) has it, to the bit.
    pub fn score(&self, score: HeadlineScore) -> f64 {
        let labels = || self.cells.as_chunks::<3>().0.iter();
        let f1 = |&[right, predicted, support]: &[i64; 3]| ratio(2 * right, predicted + support);
        let total = self.utterances();
        match score {
            HeadlineScore::WeightedF1 => {
                labels().map(|label| f1(label) * label[2] as f64).sum::<f64>() / total as f64
            }
            HeadlineScore::MacroF1 => labels().map(f1).sum::<f64>() / (self.cells.len() / 3) as f64,
            HeadlineScore::Accuracy => ratio(labels().map(|[right, _, _]| right).sum(), total),
        }
    }
}

/// A quotient, 0 if the divisor is 0 (scikit-learn's `zero_division=0`).
fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::score;

    proptest! {
        #[test]
        fn scores_are_those_of_the_report_to_the_bit(
            answers in prop::collection::vec((0_usize..5, 0_usize..6), 1..60),
            parts in 1_usize..7,
        ) {
            let truth: Vec<Label> = answers.iter().map(|(truth, _)| Label::from_index(*truth)).collect();
            let predicted: Vec<Option<Label>> =
                answers.iter().map(|(_, one)| (*one < 5).then(|| Label::from_index(*one))).collect();
            let expected = score(&truth, &predicted, 5).unwrap();
            let mut sum = ScoreTally::empty(5);
            for part in 0..parts {
                let mut tally = ScoreTally::empty(5);
                for at in (part..truth.len()).step_by(parts) {
                    tally.count(truth[at], predicted[at]);
                }
                sum.add(&tally, 1);
            }
            let found = HeadlineScore::ALL.map(|score| sum.score(score).to_bits());
            let expected = [expected.weighted_f1, expected.macro_f1, expected.accuracy].map(f64::to_bits);
            prop_assert_eq!(found, expected);
        }
    }
}
