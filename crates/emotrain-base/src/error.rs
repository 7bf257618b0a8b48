//! What can go wrong with a file, and where.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be written, whichever call of the system failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: cannot be written: {words}", path.display())]
pub struct WriteError {
    /// The file or folder, as it was asked for.
    pub path: PathBuf,
    /// The system's kind of error.
    pub kind: io::ErrorKind,
    /// The system's words.
    pub words: String,
}

impl WriteError {
    /// The error of a call that was to write `path`.
    pub fn new(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), kind: error.kind(), words: system_words(error) }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        use io::ErrorKind as Kind;
        let full = [Kind::StorageFull, Kind::QuotaExceeded, Kind::FileTooLarge, Kind::WriteZero];
        let refused = [Kind::PermissionDenied, Kind::ReadOnlyFilesystem];
        if full.contains(&self.kind) {
            Some("make room on the disk, then give the command again; a training goes on with --resume")
        } else if refused.contains(&self.kind) {
            Some("name a place that you may write to")
        } else {
            None
        }
    }
}

/// A file that is not what was written.
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

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self.damage {
            Damage::OtherSize { .. } | Damage::OtherContent { .. } => Some(
                "take an undamaged copy; if you changed the file on purpose, remove manifest.json from its folder",
            ),
            Damage::NotThere | Damage::BadManifest(_) => Some("take an undamaged copy of the folder"),
            Damage::OtherVersion { .. } => Some("use the version of emotrain that wrote it, or a later one"),
            Damage::NoManifest | Damage::Unreadable(_) => None,
        }
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A folder without a manifest was never finished, or has lost it.
    #[error("has no manifest.json: it was not written to the end, or the file was lost")]
    NoManifest,
    /// A manifest that cannot be understood.
    #[error("is not a manifest of emotrain: {0}")]
    BadManifest(String),
    /// A manifest of a later version of the program.
    #[error("has format version {found}, this program reads {known}")]
    OtherVersion {
        /// The manifest's.
        found: u64,
        /// The last one known.
        known: u64,
    },
    /// A file that the manifest names is not there.
    #[error("is not there, but manifest.json names it")]
    NotThere,
    /// A file is shorter or longer than it was written.
    #[error("is damaged: it has {found} bytes, manifest.json says {expected}")]
    OtherSize {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// A file of the right size with other contents.
    #[error("is damaged: its sha256 is {found}, manifest.json says {expected}")]
    OtherContent {
        /// The file's digest.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// The system refused; its own words.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// The system's message without the path that `fs_err` puts around it: our errors begin with it already.
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
