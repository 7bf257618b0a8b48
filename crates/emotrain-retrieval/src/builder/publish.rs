//! The folder in which a bank is made, and how it takes its place.

use std::io;
use std::path::{Path, PathBuf};

use crate::builder::{is_bank, journal};
use crate::error::{BankProblem, RetrievalError};
use crate::manifest::{DEMONSTRATIONS, INDEX, MANIFEST, VECTORS};

/// A folder beside the bank's place: `.name.building`. The bank it replaces is `.name.replaced` for a
/// moment.
pub(super) struct Stage {
    folder: PathBuf,
    target: PathBuf,
    replaced: PathBuf,
}

impl Stage {
    /// Opens the stage of a bank at `target`; one that was left behind is gone on with.
    ///
    /// # Errors
    /// A place that holds something else, or that cannot be written to.
    pub(super) fn open(target: &Path) -> Result<Self, RetrievalError> {
        let fail = |error: io::Error| RetrievalError::io(target, &error);
        let Some(name) = target.file_name() else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "the path names no folder");
            return Err(fail(error));
        };
        let beside = |end: &str| target.with_file_name(format!(".{}.{end}", name.to_string_lossy()));
        let stage =
            Self { folder: beside("building"), replaced: beside("replaced"), target: target.to_owned() };
        if !target.exists() && stage.replaced.exists() {
            // A build was stopped between its two renames.
            fs_err::rename(&stage.replaced, target).map_err(fail)?;
        }
        if target.exists() && !is_bank(target) && !is_empty(target).map_err(fail)? {
            return Err(RetrievalError::bank(target, BankProblem::NotOurs));
        }
        fs_err::create_dir_all(&stage.folder).map_err(fail)?;
        // Of a build that was stopped only the journal is of use.
        for name in [MANIFEST, DEMONSTRATIONS, VECTORS, INDEX] {
            remove_file(&stage.file(name)).map_err(fail)?;
        }
        Ok(stage)
    }

    /// A file of the new bank; `""` is its folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.clone() } else { self.folder.join(name) }
    }

    pub(super) fn journal(&self) -> PathBuf {
        journal::place(&self.folder)
    }

    /// Puts the new bank in its place, with the files that others put into the old one's folder.
    pub(super) fn publish(self) -> Result<(), RetrievalError> {
        let fail = |error: io::Error| RetrievalError::io(&self.target, &error);
        let remove = |folder: &Path| match fs_err::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove_file(&self.journal()).map_err(fail)?;
        remove(&self.replaced).map_err(fail)?;
        if self.target.exists() {
            self.take_along().map_err(fail)?;
            fs_err::rename(&self.target, &self.replaced).map_err(fail)?;
        }
        fs_err::rename(&self.folder, &self.target).map_err(fail)?;
        remove(&self.replaced).map_err(fail)
    }
}

impl Stage {
    fn take_along(&self) -> io::Result<()> {
        for entry in fs_err::read_dir(&self.target)? {
            let name = entry?.file_name();
            if ![MANIFEST, DEMONSTRATIONS, VECTORS, INDEX].iter().any(|ours| name == *ours) {
                fs_err::rename(self.target.join(&name), self.folder.join(&name))?;
            }
        }
        Ok(())
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs_err::read_dir(folder)?.next().is_none())
}
