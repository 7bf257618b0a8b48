//! Errors of scoring predictions.

use emotrain_base::{Advice, Fault};
use emotrain_data::{DataError, UtteranceId};

/// A problem with predictions or with the file that holds them.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// No utterances: scores are undefined.
    #[error("there are no utterances to score")]
    NoUtterances,
    /// There must be one prediction per true label.
    #[error("{truth} true labels, but {predicted} predictions")]
    LengthMismatch {
        /// Number of true labels.
        truth: usize,
        /// Number of predictions.
        predicted: usize,
    },
    /// A label outside the number of labels being scored.
    #[error("label {label} is out of range: there are {labels} labels")]
    LabelOutOfRange {
        /// The label's index.
        label: usize,
        /// The number of labels.
        labels: usize,
    },
    /// A bootstrap without samples, or with a level outside 0 to 1.
    #[error("a bootstrap needs at least 1 sample and a level between 0 and 1")]
    InvalidBootstrap,
    /// A score that is not a finite number.
    #[error("{id}: the score of \"{label}\" is {score}")]
    NotFinite {
        /// The utterance.
        id: UtteranceId,
        /// The label.
        label: String,
        /// Its value.
        score: f64,
    },
    /// Two reports that cannot be compared.
    #[error("the reports have different labels or utterances")]
    NotComparable,
    /// The file of predictions could not be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl Advice for EvalError {
    fn fault(&self) -> Fault {
        if let Self::Data(error) = self { error.fault() } else { Fault::Input }
    }
}
