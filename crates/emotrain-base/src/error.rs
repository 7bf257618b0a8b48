//! Errors of reading and writing files, with their place.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be written, whichever system call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: cannot be written: {words}", path.display())]
pub struct WriteError {
    /// The file or folder, as the caller named it.
    pub path: PathBuf,
    /// The system's kind of error.
    pub kind: io::ErrorKind,
    /// The system's message.
    pub words: String,
}

impl WriteError {
    /// The error of a system call that was to write `path`.
    pub fn new(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), kind: error.kind(), words: system_words(error) }
    }

    /// A folder is to be put where something is already.
    pub(crate) fn occupied(path: &Path) -> Self {
        let words = "it is already there".to_owned();
        Self { path: path.to_owned(), kind: io::ErrorKind::DirectoryNotEmpty, words }
    }

    pub(crate) fn is_occupied(&self) -> bool {
        self.kind == io::ErrorKind::DirectoryNotEmpty
    }

    /// How to fix it, if that is known.
    pub fn hint(&self) -> Option<&'static str> {
        use io::ErrorKind as Kind;
        let full = [Kind::StorageFull, Kind::QuotaExceeded, Kind::FileTooLarge, Kind::WriteZero];
        let refused = [Kind::PermissionDenied, Kind::ReadOnlyFilesystem];
        if full.contains(&self.kind) {
            Some("free some disk space, then repeat the command; a training continues with --resume")
        } else if refused.contains(&self.kind) {
            Some("name a location that you may write to")
        } else if self.is_occupied() {
            Some("name a folder that does not exist yet, or remove it")
        } else {
            None
        }
    }
}

/// A file that differs from what was written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {damage}", path.display())]
pub struct DamagedFile {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: Damage,
}

impl DamagedFile {
    pub(crate) fn new(path: &Path, damage: Damage) -> Self {
        Self { path: path.to_owned(), damage }
    }

    /// How to fix it, if that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self.damage {
            Damage::OtherSize { .. } | Damage::OtherContent { .. } => Some(
                "use an undamaged copy; if you changed the file on purpose, remove manifest.json from its folder",
            ),
            Damage::NotThere | Damage::BadManifest(_) => Some("use an undamaged copy of the folder"),
            Damage::OtherVersion { .. } => Some("use the version of emotrain that wrote it, or a later one"),
            Damage::NoManifest | Damage::Unreadable(_) => None,
        }
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A folder without a manifest is incomplete, or has lost it.
    #[error("has no manifest.json: it is incomplete, or the file was lost")]
    NoManifest,
    /// An invalid manifest.
    #[error("is not a manifest written by emotrain: {0}")]
    BadManifest(String),
    /// A manifest of a later version of the program.
    #[error("has format version {found}, this program reads {known}")]
    OtherVersion {
        /// The manifest's version.
        found: u64,
        /// The latest known version.
        known: u64,
    },
    /// A file that the manifest names is missing.
    #[error("is missing, but manifest.json names it")]
    NotThere,
    /// A file is shorter or longer than it was when written.
    #[error("is damaged: it has {found} bytes, manifest.json says {expected}")]
    OtherSize {
        /// Its length in bytes.
        found: u64,
        /// The manifest's length in bytes.
        expected: u64,
    },
    /// A file of the right size with different contents.
    #[error("is damaged: its sha256 is {found}, manifest.json says {expected}")]
    OtherContent {
        /// The file's digest.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// A system error, in the system's words.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// The system's message without the path that `fs_err` adds: our errors start with the path already.
pub fn system_words(error: &io::Error) -> String {
    let mut cause: &dyn Error = error;
    if let Some(inner) = error.get_ref() {
        cause = inner;
        while let Some(source) = cause.source() {
            cause = source;
        }
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_kept() {
        for (kind, words) in [
            (io::ErrorKind::StorageFull, "no storage space"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only filesystem or storage medium"),
            (io::ErrorKind::PermissionDenied, "permission denied"),
        ] {
            let error = WriteError::new(Path::new("out/state.json"), &kind.into());
            assert_eq!(error.to_string(), format!("out/state.json: cannot be written: {words}"));
            assert!(error.hint().is_some());
        }
    }
}
