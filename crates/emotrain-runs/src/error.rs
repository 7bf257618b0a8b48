//! The errors of this crate.

use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Complaint, Fault, LockError, WriteError};
use emotrain_eval::EvalError;
use emotrain_recipe::RecipeError;

/// Why the folder of a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A read failed; the inner error names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file or folder could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Another process uses the run's folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file of the run's folder has unexpected contents.
    #[error("{}: {message}", path.display())]
    Unfit {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// How to fix it.
        hint: Option<String>,
    },
    /// A missing or damaged file.
    #[error(transparent)]
    Damaged(#[from] Complaint),
    /// The run's recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Predictions that cannot be scored.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

impl RunError {
    /// A file or folder with unexpected contents.
    pub fn unfit(path: &Path, message: impl Into<String>) -> Self {
        Self::Unfit { path: path.to_path_buf(), message: message.into(), hint: None }
    }

    /// The same with a hint; other errors stay as they are.
    #[must_use]
    pub fn and_hint(mut self, more: impl Into<String>) -> Self {
        if let Self::Unfit { hint, .. } = &mut self {
            *hint = Some(more.into());
        }
        self
    }
}

impl Advice for RunError {
    fn fault(&self) -> Fault {
        match self {
            Self::Write(error) => error.fault(),
            Self::Lock(error) => error.fault(),
            Self::Damaged(error) => error.fault(),
            Self::Recipe(error) => error.fault(),
            Self::Eval(error) => error.fault(),
            Self::Io(error) => error.fault(),
            Self::Unfit { hint: Some(_), .. } => Fault::Usage,
            Self::Unfit { hint: None, .. } => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Write(error) => error.hint().map(str::to_owned),
            Self::Lock(error) => error.hint().map(str::to_owned),
            Self::Damaged(error) => Advice::hint(error),
            Self::Unfit { hint, .. } => hint.clone(),
            Self::Io(_) | Self::Eval(_) | Self::Recipe(_) => None,
        }
    }
}
