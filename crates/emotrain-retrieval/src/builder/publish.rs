//! The folder in which a bank is built, and its publication.

use std::path::{Path, PathBuf};

use emotrain_base::{Stage, WriteError, recover};

use crate::builder::{is_bank, journal};
use crate::error::{BankProblem, RetrievalError};
use crate::manifest::{DEMONSTRATIONS, INDEX, MANIFEST, VECTORS};

/// Our files in a bank's folder.
const FILES: &[&str] = &[MANIFEST, DEMONSTRATIONS, VECTORS, INDEX];

/// A bank being built. The journal of an interrupted build is reused.
pub(super) struct Site(Stage);

impl Site {
    /// Opens the build folder of a bank at `target`.
    ///
    /// # Errors
    /// A destination with something else in it, that another process builds at, or that is not writable.
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

    /// Moves the new bank to its destination, with the files that others put into the old one's folder.
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
