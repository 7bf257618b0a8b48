//! The errors of this crate.

use std::io;

use emotrain_base::{Advice, Complaint, Problems, WriteError};
use emotrain_data::DataError;
use emotrain_hub::HubError;
use emotrain_model::ModelError;
use emotrain_prompt::PromptError;
use emotrain_retrieval::RetrievalError;

/// Why asking fails.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A recipe that does not say enough, a server that refuses, a file of ours that was changed.
    #[error(transparent)]
    Unusable(#[from] Complaint),
    /// Several of them.
    #[error(transparent)]
    Several(#[from] Problems),
    /// An unavailable local model.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A local model or a device that cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tokenizer, a chat template or a query that cannot be used.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Dialogues that cannot be kept, or a bank that cannot be read.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// A file or folder that could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Reading failed; the inner error names the file.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A row that has no JSON form.
    #[error("a row has no JSON form: {0}")]
    NotJson(#[from] serde_json::Error),
}

impl Advice for AskError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Unusable(error) => error,
            Self::Hub(error) => error,
            Self::Model(error) => error,
            Self::Prompt(error) => error,
            Self::Data(error) => error,
            Self::Retrieval(error) => error,
            Self::Write(error) => error,
            Self::Read(error) => error,
            Self::Several(_) | Self::NotJson(_) => return None,
        })
    }

    fn several(&self) -> Option<&Problems> {
        if let Self::Several(problems) = self { Some(problems) } else { None }
    }
}
