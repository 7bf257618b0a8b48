//! The errors of this crate.

use std::io;

use emotrain_base::{Advice, Complaint, Problems};
use emotrain_curriculum::CurriculumError;
use emotrain_data::DataError;
use emotrain_hub::HubError;
use emotrain_model::ModelError;
use emotrain_prompt::PromptError;
use emotrain_retrieval::RetrievalError;
use emotrain_runs::RunError;
use emotrain_train::TrainError;

/// Why a recipe cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Things that the recipe names and that do not fit together.
    #[error(transparent)]
    Unusable(#[from] Complaint),
    /// Several of these errors.
    #[error(transparent)]
    Several(#[from] Problems),
    /// An unavailable model or encoder.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A model that cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tokenizer, a template or an utterance that cannot be used.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Data that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A bank that cannot be searched.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// Dialogues that cannot be ordered.
    #[error(transparent)]
    Curriculum(#[from] CurriculumError),
    /// An adapter that training cannot start from, or a run's folder that cannot be used.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The folder of a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Reading failed; the inner error names the file.
    #[error(transparent)]
    Read(#[from] io::Error),
}

impl Advice for PrepareError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Unusable(error) => error,
            Self::Hub(error) => error,
            Self::Model(error) => error,
            Self::Prompt(error) => error,
            Self::Data(error) => error,
            Self::Retrieval(error) => error,
            Self::Curriculum(error) => error,
            Self::Train(error) => error,
            Self::Run(error) => error,
            Self::Read(error) => error,
            Self::Several(_) => return None,
        })
    }

    fn several(&self) -> Option<&Problems> {
        if let Self::Several(problems) = self { Some(problems) } else { None }
    }
}
