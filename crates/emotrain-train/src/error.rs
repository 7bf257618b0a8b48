//! The errors of this crate.

use std::path::{Path, PathBuf};

use emotrain_model::ModelError;

/// Why a training run cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Reading or writing failed; the inner error names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file could not be written whole.
    #[error(transparent)]
    Data(#[from] emotrain_data::DataError),
    /// A model, adapter or state file is unusable.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Labels that cannot be scored.
    #[error(transparent)]
    Eval(#[from] emotrain_eval::EvalError),
    /// A file of the run folder does not hold what it should.
    #[error("{}: {message}", path.display())]
    Run {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A loss, gradient or score is NaN or infinite. Nothing was saved after the last good state.
    #[error("step {step}: the {what} is not a finite number ({value})")]
    NonFinite {
        /// The step, counted from 1.
        step: usize,
        /// What was not finite.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// There is nothing to train on.
    #[error("no training sample has a supervised token")]
    NothingToTrain,
}

impl TrainError {
    /// Advice that goes with the message, when there is any.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Run { hint, .. } => hint.clone(),
            Self::NonFinite { .. } => Some(
                "lower train.learning_rate or train.max_grad_norm; the last saved state is intact".to_owned(),
            ),
            Self::Io(_) | Self::Eval(_) | Self::NothingToTrain => None,
        }
    }

    pub(crate) fn run(path: &Path, message: impl Into<String>) -> Self {
        Self::Run { path: path.to_path_buf(), message: message.into(), hint: None }
    }

    pub(crate) fn run_with_hint(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Run { path: path.to_path_buf(), message: message.into(), hint: Some(hint.into()) }
    }
}
