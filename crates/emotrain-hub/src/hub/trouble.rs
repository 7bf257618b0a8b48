//! What goes wrong with a file, before it is known which model it belongs to.

use std::io;
use std::path::PathBuf;

/// Why a file did not come.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The hub refuses it, or cannot be asked; asking again would not help.
    Hub(String),
    /// It may come if it is asked for again.
    Passing(String),
    /// The hub says what nobody should follow.
    Untrusted(String),
    /// A link in the cache leads out of it.
    LeavesCache(PathBuf),
    /// The cache cannot be read or written; the error names the file.
    Cache(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Cache(error)
    }
}
