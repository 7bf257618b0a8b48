//! Kinds of files that are no text.

use std::fmt;

/// The kind of a file that is not UTF-8 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// With its article.
    pub name: &'static str,
    /// How to fix it.
    pub hint: &'static str,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
