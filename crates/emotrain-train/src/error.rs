//! The errors of this crate.

use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Complaint, DamagedFile, Fault, LockError, WriteError};
use emotrain_model::ModelError;
use emotrain_prompt::PromptError;
use emotrain_recipe::RecipeError;

/// Why a training run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A read failed; the inner error names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file or folder could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Another process uses the run's folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A saved step or result that is damaged.
    #[error("{damaged}")]
    Damaged {
        /// The file and its damage.
        damaged: DamagedFile,
        /// How to fix it.
        hint: Option<String>,
    },
    /// A model, adapter or state file is unusable.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Labels that cannot be scored.
    #[error(transparent)]
    Eval(#[from] emotrain_eval::EvalError),
    /// A file of the run's folder has unexpected contents.
    #[error("{}: {message}", path.display())]
    Run {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// How to fix it.
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
    /// The adapter that training should start from.
    #[error("lora.init_from cannot be loaded")]
    Init(#[source] ModelError),
    /// A missing adapter, or one that is not what the recipe says.
    #[error(transparent)]
    Unfit(#[from] Complaint),
    /// The recipe's defaults.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// An answer of the model that has no text.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// There are no supervised tokens to train on.
    #[error("no training sample has a supervised token")]
    NothingToTrain,
}

impl TrainError {
    /// A hint for the message, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Write(error) => error.hint().map(str::to_owned),
            Self::Lock(error) => error.hint().map(str::to_owned),
            Self::Model(error) | Self::Init(error) => error.hint(),
            Self::Unfit(error) => Advice::hint(error),
            Self::Prompt(error) => error.hint(),
            Self::Run { hint, .. } | Self::Damaged { hint, .. } => hint.clone(),
            Self::NonFinite { .. } => Some(
                "lower train.learning_rate or train.max_grad_norm; the last saved state is intact".to_owned(),
            ),
            Self::Io(_) | Self::Eval(_) | Self::Recipe(_) | Self::NothingToTrain => None,
        }
    }

    pub(crate) fn run(path: &Path, message: impl Into<String>) -> Self {
        Self::Run { path: path.to_path_buf(), message: message.into(), hint: None }
    }

    /// A saved step beyond the end of the run.
    pub(crate) fn beyond(path: &Path, total_steps: usize) -> Self {
        let message = format!("is beyond the run's {total_steps} steps");
        Self::run(path, message)
            .and_hint("choose an earlier step with save.resume_from_checkpoint".to_owned())
    }

    pub(crate) fn and_hint(mut self, more: String) -> Self {
        if let Self::Run { hint, .. } = &mut self {
            *hint = Some(more);
        }
        self
    }

    pub(crate) fn run_with_hint(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Run { path: path.to_path_buf(), message: message.into(), hint: Some(hint.into()) }
    }
}

impl Advice for TrainError {
    fn fault(&self) -> Fault {
        match self {
            Self::NonFinite { .. } => Fault::NonFinite,
            Self::Write(error) => error.fault(),
            Self::Lock(error) => error.fault(),
            Self::Model(error) | Self::Init(error) => error.fault(),
            Self::Unfit(error) => error.fault(),
            Self::Recipe(error) => error.fault(),
            Self::Prompt(error) => error.fault(),
            Self::Eval(error) => error.fault(),
            Self::Io(error) => error.fault(),
            Self::Run { hint: Some(_), .. } => Fault::Usage,
            Self::Run { hint: None, .. } | Self::Damaged { .. } | Self::NothingToTrain => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}
