//! `predictions.jsonl`: one predicted utterance per line.

use std::path::Path;

use emotrain_data::{Label, LabelSet, UtteranceId, write_jsonl};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::EvalError;

/// The prediction for one utterance, labels by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `id`, `label`, `truth` and `scores`")]
pub struct Prediction {
    /// The utterance.
    pub id: UtteranceId,
    /// The predicted label; `None` if the answer named none.
    pub label: Option<String>,
    /// The true label, if known.
    pub truth: Option<String>,
    /// Each label's log-probability in nats given the prompt, in the label set's order; empty if labels
    /// were not scored.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub scores: IndexMap<String, f64>,
}

impl Prediction {
    /// Predicts the label with the highest of `scores`, one per label of the set; the first one in a tie.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`] for a score that is not a number or infinite.
    ///
    /// # Panics
    /// If there is not one score per label.
    pub fn likeliest(
        id: UtteranceId,
        truth: Option<Label>,
        scores: &[f64],
        labels: &LabelSet,
    ) -> Result<Self, EvalError> {
        assert_eq!(scores.len(), labels.len(), "one score per label");
        let mut best = Label::from_index(0);
        for (label, &score) in labels.iter().zip(scores) {
            if !score.is_finite() {
                return Err(EvalError::NotFinite { id, label: labels.name(label).to_owned(), score });
            }
            if score > scores[best.index()] {
                best = label;
            }
        }
        let name = |label| labels.name(label).to_owned();
        let scores = labels.names().iter().cloned().zip(scores.iter().copied()).collect();
        Ok(Self { id, label: Some(name(best)), truth: truth.map(name), scores })
    }
}

/// Writes predictions in order, atomically.
///
/// # Errors
/// A score that JSON cannot represent, or a system error.
pub fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<(), EvalError> {
    for prediction in predictions {
        if let Some((label, &score)) = prediction.scores.iter().find(|(_, score)| !score.is_finite()) {
            let (id, label) = (prediction.id.clone(), label.clone());
            return Err(EvalError::NotFinite { id, label, score });
        }
    }
    Ok(write_jsonl(path, predictions)?)
}

#[cfg(test)]
mod tests;
