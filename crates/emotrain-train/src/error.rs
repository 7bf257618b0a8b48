//! The errors of this crate.

use emotrain_base::{Advice, Complaint, DamagedFile, Fault, LockError, WriteError};
use emotrain_model::ModelError;
use emotrain_prompt::PromptError;
use emotrain_recipe::RecipeError;
use emotrain_runs::RunError;

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
    /// Another process writes to a folder.
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
    /// The folder of a run that cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A loss, gradient or score is NaN or infinite. Nothing was saved after the last good state.
    #[error("step {step}: the {what} is not a finite number ({value})")]
    NonFinite {
        /// The step, counted from 1; 0 where none was trained.
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
            Self::Run(error) => error.hint(),
            Self::Damaged { hint, .. } => hint.clone(),
            Self::NonFinite { step: 0, .. } => Some(
                "no step was trained: the base's weights, or the adapter's, hold NaN or numbers too large for model.dtype; \
                 download or export them again, or write dtype = \"float32\" under [model]"
                    .to_owned(),
            ),
            Self::NonFinite { .. } => Some(
                "lower train.learning_rate or train.max_grad_norm; the last saved state is intact".to_owned(),
            ),
            Self::Io(_) | Self::Eval(_) | Self::Recipe(_) | Self::NothingToTrain => None,
        }
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
            Self::Run(error) => error.fault(),
            Self::Damaged { .. } | Self::NothingToTrain => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}
