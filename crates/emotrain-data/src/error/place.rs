//! Places in files.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a problem is, as exactly as the reader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file or folder.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
    /// The dialogue or utterance, such as `dialogue 12` or `utterance 12#3`.
    pub subject: Option<String>,
}

impl Place {
    pub(crate) fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), line: None, subject: None }
    }

    pub(crate) fn line(path: &Path, line: usize) -> Self {
        Self { path: path.to_owned(), line: Some(line), subject: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(subject) = &self.subject {
            write!(f, ": {subject}")?;
        }
        Ok(())
    }
}
