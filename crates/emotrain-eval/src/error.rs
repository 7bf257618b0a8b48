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
    /// An utterance that has two predictions.
    #[error("utterance {id} is there twice")]
    RepeatedUtterance {
        /// The utterance.
        id: UtteranceId,
    },
    /// A label that the label set lacks.
    #[error("utterance {id}: the label \"{label}\" is not in the label set")]
    UnknownLabel {
        /// The utterance.
        id: UtteranceId,
        /// Its label.
        label: String,
    },
    /// An utterance that the other runs were not asked.
    #[error("utterance {id} is not in the other test set")]
    AnotherUtterance {
        /// The utterance.
        id: UtteranceId,
    },
    /// An utterance that only the other runs were asked.
    #[error("utterance {id} of the other test set is missing")]
    MissingUtterance {
        /// The utterance.
        id: UtteranceId,
    },
    /// An utterance whose true label is another one than that of the other runs.
    #[error("utterance {id}: the true label is \"{truth}\", in the other test set \"{expected}\"")]
    AnotherTruth {
        /// The utterance.
        id: UtteranceId,
        /// Its true label here.
        truth: String,
        /// Its true label there.
        expected: String,
    },
    /// A group of runs to compare that has none, or a single group.
    #[error("a comparison needs two groups of at least one run each")]
    NothingToCompare,
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

    fn hint(&self) -> Option<String> {
        let same_file = "only runs that were scored on the same file can be compared: evaluate them with the same \
data.valid or data.test";
        match self {
            Self::AnotherUtterance { .. } | Self::MissingUtterance { .. } | Self::AnotherTruth { .. } => {
                Some(same_file.to_owned())
            }
            Self::Data(error) => error.hint(),
            Self::NoUtterances
            | Self::LengthMismatch { .. }
            | Self::LabelOutOfRange { .. }
            | Self::InvalidBootstrap
            | Self::NotFinite { .. }
            | Self::RepeatedUtterance { .. }
            | Self::UnknownLabel { .. }
            | Self::NothingToCompare
            | Self::NotComparable => None,
        }
    }
}
