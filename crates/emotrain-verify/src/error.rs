//! The errors of this crate.

use emotrain_ask::AskError;
use emotrain_base::{Advice, Complaint, LockError};
use emotrain_eval::EvalError;
use emotrain_export::ExportError;
use emotrain_hub::HubError;
use emotrain_model::ModelError;
use emotrain_prepare::PrepareError;
use emotrain_prompt::PromptError;
use emotrain_recipe::RecipeError;
use emotrain_train::TrainError;

/// Why a comparison cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A command that does not fit its run, an export or a server that cannot be used.
    #[error(transparent)]
    Unusable(#[from] Complaint),
    /// The recipe of the run.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// An unavailable base, or something trained that is damaged.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Data and prompts of the run.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A tokenizer or a template.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Weights that cannot be loaded, or a device.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The record of the run.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A model that cannot be asked.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Answers that cannot be compared.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A server that cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A scratch folder that cannot be used.
    #[error(transparent)]
    Locked(#[from] LockError),
}

impl Advice for VerifyError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Unusable(error) => error,
            Self::Recipe(error) => error,
            Self::Hub(error) => error,
            Self::Prepare(error) => error,
            Self::Prompt(error) => error,
            Self::Model(error) => error,
            Self::Export(error) => error,
            Self::Train(error) => error,
            Self::Eval(error) => error,
            Self::Ask(error) => error,
            Self::Locked(error) => error,
        })
    }
}
