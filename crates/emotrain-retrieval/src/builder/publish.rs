//! The folder in which a bank is made, and how it takes its place.

use std::path::{Path, PathBuf};

use emotrain_base::{Stage, WriteError, recover};

use crate::builder::{is_bank, journal};
use crate::error::{BankProblem, RetrievalError};
use crate::manifest::{DEMONSTRATIONS, INDEX, MANIFEST, VECTORS};

/// What a bank's folder holds of ours.
const FILES: &[&str] = &[MANIFEST, DEMONSTRATIONS, VECTORS, INDEX];

/// A bank in the making. Of a build that was stopped the journal is gone on with.
pub(super) struct Site(Stage);

impl Site {
    /// Opens the site of a bank at `target`.
    ///
    /// # Errors
    /// A place that holds something else, that another process builds at, or that cannot be written to.
    pub(super) fn open(target: &Path) -> Result<Self, RetrievalError> {
        recover(target)?;
        if target.exists() && !is_bank(target) && !is_empty(target)? {
            return Err(RetrievalError::bank(target, BankProblem::NotOurs));
        }
        Ok(Self(Stage::reopen(target, FILES)?))
    }

    /// The folder of the new bank.
    pub(super) fn folder(&self) -> &Path {
        self.0.folder()
    }

    /// A file of the new bank.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(super) fn journal(&self) -> PathBuf {
        journal::place(self.folder())
    }

    /// Puts the new bank in its place, with the files that others put into the old one's folder.
    pub(super) fn publish(self) -> Result<(), RetrievalError> {
        let journal = self.journal();
        match fs_err::remove_file(&journal) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WriteError::new(&journal, &error).into())
            }
            _ => Ok(self.0.publish()?),
        }
    }
}

fn is_empty(folder: &Path) -> Result<bool, RetrievalError> {
    let entries = fs_err::read_dir(folder).map_err(|error| RetrievalError::io(folder, &error));
    Ok(entries?.next().is_none())
}
