//! The errors of this crate.

use emotrain_base::{Advice, Complaint, LockError, Problems, WriteError};
use emotrain_eval::EvalError;
use emotrain_runs::RunError;

/// Why a sweep cannot be read, expanded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A read failed; the inner error names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file or folder could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Another process uses a folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A sweep file or a file of a sweep's folder is wrong.
    #[error(transparent)]
    Unfit(#[from] Complaint),
    /// All that is wrong with the sweep file and its runs.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The folder of a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Scores that cannot be summarised.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

impl Advice for SweepError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Io(error) => error,
            Self::Write(error) => error,
            Self::Lock(error) => error,
            Self::Unfit(error) => error,
            Self::Run(error) => error,
            Self::Eval(error) => error,
            Self::Problems(_) => return None,
        })
    }

    fn several(&self) -> Option<&Problems> {
        match self {
            Self::Problems(problems) => Some(problems),
            Self::Io(_) | Self::Write(_) | Self::Lock(_) | Self::Unfit(_) | Self::Run(_) | Self::Eval(_) => {
                None
            }
        }
    }
}
