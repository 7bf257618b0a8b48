//! What can keep predictions from being scored.

use emotrain_base::{Advice, Fault};
use emotrain_data::{DataError, UtteranceId};

/// A problem with predictions or with the file that holds them.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// Scores of nothing are not defined.
    #[error("there are no utterances to score")]
    NoUtterances,
    /// Each truth needs a prediction and the other way round.
    #[error("{truth} true labels, but {predicted} predictions")]
    LengthMismatch {
        /// Number of true labels.
        truth: usize,
        /// Number of predictions.
        predicted: usize,
    },
    /// A label beyond the number of labels that scores were asked for.
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
    /// A prediction with a score that is not a finite number.
    #[error("{id}: the score of \"{label}\" is {score}")]
    NotFinite {
        /// Which utterance.
        id: UtteranceId,
        /// Which label.
        label: String,
        /// What it is instead.
        score: f64,
    },
    /// A prediction that cannot be scored, being for an utterance without a label.
    #[error("{id}: has no true label")]
    NoTruth {
        /// Which utterance.
        id: UtteranceId,
    },
    /// A true label that is not of the label set.
    #[error("{id}: the true label \"{label}\" is not of the label set")]
    UnknownTruth {
        /// Which utterance.
        id: UtteranceId,
        /// As the predictions spell it.
        label: String,
    },
    /// Two reports that cannot stand side by side.
    #[error("the reports are not of the same labels and utterances")]
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
