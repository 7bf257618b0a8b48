//! The errors of this crate.

use std::io;

use emotrain_base::{Advice, Complaint, DamagedFile, WriteError};
use emotrain_model::ModelError;
use emotrain_prompt::PromptError;

/// Why a model is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A name that leads nowhere, or files that are not what they should be.
    #[error(transparent)]
    Unusable(#[from] Complaint),
    /// Weights that cannot be loaded.
    #[error("{what} cannot be loaded")]
    Load {
        /// What they are of.
        what: String,
        /// Why.
        source: ModelError,
    },
    /// A configuration, a file of weights or a device that cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tokenizer that cannot be used, or prompts that are not those of the training.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A folder of ours that is not as it was written.
    #[error(transparent)]
    Damaged(#[from] DamagedFile),
    /// A folder that was left half replaced and cannot be put right.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Reading failed; the inner error names the file.
    #[error(transparent)]
    Read(#[from] io::Error),
}

impl Advice for HubError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Unusable(error) => error,
            Self::Load { source, .. } | Self::Model(source) => source,
            Self::Prompt(error) => error,
            Self::Damaged(error) => error,
            Self::Write(error) => error,
            Self::Read(error) => error,
        })
    }
}
