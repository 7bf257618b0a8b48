//! What several runs were asked, and how each answered.

use emotrain_data::{Label, UtteranceId};
use indexmap::IndexMap;

use crate::error::EvalError;
use crate::predictions::Prediction;
use crate::tally::{HeadlineScore, ScoreTally};

/// The labelled utterances of a test set, in dialogues.
#[derive(Clone, Debug)]
pub struct TestSet {
    labels: Vec<String>,
    utterances: IndexMap<UtteranceId, Place>,
    dialogues: usize,
}

/// An utterance's true label and the number of its dialogue.
#[derive(Clone, Copy, Debug)]
struct Place {
    truth: Label,
    dialogue: usize,
}

/// A run's answers to a [`TestSet`].
#[derive(Clone, Debug)]
pub struct RunAnswers {
    /// Which utterances were answered rightly, in the order of the test set.
    pub(crate) right: Vec<bool>,
    /// By dialogue, in the order of the test set.
    pub(crate) dialogues: Vec<ScoreTally>,
    /// The number of labels.
    pub(crate) labels: usize,
}

impl TestSet {
    /// The utterances of these predictions that have a true label, with this label set.
    ///
    /// # Errors
    /// No utterances with a true label, one that is there twice, or a label that the set lacks.
    pub fn new(predictions: &[Prediction], labels: &[String]) -> Result<Self, EvalError> {
        let mut set = Self { labels: labels.to_vec(), utterances: IndexMap::new(), dialogues: 0 };
        let mut numbers: IndexMap<&str, usize> = IndexMap::new();
        for prediction in predictions {
            let Some(truth) = &prediction.truth else { continue };
            let truth = set.label(&prediction.id, truth)?;
            let next = numbers.len();
            let dialogue = *numbers.entry(&prediction.id.dialogue).or_insert(next);
            let place = Place { truth, dialogue };
            if set.utterances.insert(prediction.id.clone(), place).is_some() {
                return Err(EvalError::RepeatedUtterance { id: prediction.id.clone() });
            }
        }
        set.dialogues = numbers.len();
        if set.utterances.is_empty() { Err(EvalError::NoUtterances) } else { Ok(set) }
    }

    /// A run's answers, in any order.
    ///
    /// # Errors
    /// Other utterances or true labels than those of the set, an utterance that is there twice, or a label that the set
    /// lacks.
    pub fn answers(&self, predictions: &[Prediction]) -> Result<RunAnswers, EvalError> {
        let mut right: Vec<Option<bool>> = vec![None; self.utterances.len()];
        let mut dialogues = vec![ScoreTally::empty(self.labels.len()); self.dialogues];
        for prediction in predictions {
            let Some(truth) = &prediction.truth else { continue };
            let id = || prediction.id.clone();
            let (at, _, place) = self
                .utterances
                .get_full(&prediction.id)
                .ok_or_else(|| EvalError::AnotherUtterance { id: id() })?;
            if self.label(&prediction.id, truth)? != place.truth {
                let expected = self.labels[place.truth.index()].clone();
                return Err(EvalError::AnotherTruth { id: id(), truth: truth.clone(), expected });
            }
            let answer =
                prediction.label.as_ref().map(|label| self.label(&prediction.id, label)).transpose()?;
            if right[at].replace(answer == Some(place.truth)).is_some() {
                return Err(EvalError::RepeatedUtterance { id: id() });
            }
            dialogues[place.dialogue].count(place.truth, answer);
        }
        let all = self.utterances.keys().zip(right);
        let missing = |id: &UtteranceId| EvalError::MissingUtterance { id: id.clone() };
        let right = all.map(|(id, right)| right.ok_or_else(|| missing(id))).collect::<Result<_, _>>()?;
        Ok(RunAnswers { right, dialogues, labels: self.labels.len() })
    }

    fn label(&self, id: &UtteranceId, name: &str) -> Result<Label, EvalError> {
        let place = self.labels.iter().position(|label| label == name);
        place
            .map(Label::from_index)
            .ok_or_else(|| EvalError::UnknownLabel { id: id.clone(), label: name.to_owned() })
    }
}

impl RunAnswers {
    /// The score over all utterances.
    pub(crate) fn score(&self, score: HeadlineScore) -> f64 {
        self.total().score(score)
    }

    /// All dialogues together.
    pub(crate) fn total(&self) -> ScoreTally {
        self.drawn(&vec![1; self.dialogues.len()])
    }

    /// Every dialogue as often as it was drawn.
    pub(crate) fn drawn(&self, times: &[i64]) -> ScoreTally {
        let mut sum = ScoreTally::empty(self.labels);
        for (dialogue, &times) in self.dialogues.iter().zip(times).filter(|(_, times)| **times != 0) {
            sum.add(dialogue, times);
        }
        sum
    }
}

#[cfg(test)]
mod tests;
