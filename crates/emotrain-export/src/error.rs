//! The errors of this crate.

use emotrain_base::{Advice, Complaint, DamagedFile, LockError, WriteError};
use emotrain_hub::HubError;
use emotrain_model::ModelError;
use emotrain_recipe::RecipeError;
use emotrain_runs::RunError;

/// Why something cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A source, a format or a server that do not go together.
    #[error(transparent)]
    Unusable(#[from] Complaint),
    /// A file that is not as it was written.
    #[error(transparent)]
    Damaged(#[from] DamagedFile),
    /// An unavailable base.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Weights that cannot be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The recipe of a run.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The record of a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A folder that another process writes.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// A folder that cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file that cannot be read; the inner error names it.
    #[error(transparent)]
    Read(#[from] std::io::Error),
}

impl Advice for ExportError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Unusable(error) => error,
            Self::Damaged(error) => error,
            Self::Hub(error) => error,
            Self::Model(error) => error,
            Self::Recipe(error) => error,
            Self::Run(error) => error,
            Self::Locked(error) => error,
            Self::Write(error) => error,
            Self::Read(error) => error,
        })
    }
}
