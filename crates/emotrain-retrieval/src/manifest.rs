//! `manifest.json`: what a bank is made of. Without it a folder is no bank.

use std::io;
use std::path::Path;

use emotrain_data::{SplitKind, sha256_hex, write_atomic};
use serde::{Deserialize, Serialize};

use crate::error::{BankProblem, RetrievalError};

/// The version that this program writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The manifest's name in the folder of a bank.
pub(crate) const MANIFEST: &str = "manifest.json";
/// One [`Demonstration`](emotrain_data::Demonstration) a line.
pub(crate) const DEMONSTRATIONS: &str = "demonstrations.jsonl";
/// One vector a demonstration.
pub(crate) const VECTORS: &str = "vectors.safetensors";

/// What a bank is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub format_version: u32,
    /// How many demonstrations it holds.
    pub count: usize,
    /// The file of demonstrations.
    pub demonstrations: FileRecord,
    /// The file of vectors; a bank may be without.
    pub vectors: Option<VectorsRecord>,
    /// What it was built from, in order.
    pub sources: Vec<Source>,
    /// Whether a validation or test split was put in by force.
    pub held_out_forced: bool,
}

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its length.
    pub bytes: u64,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
}

/// The vectors and what made them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorsRecord {
    /// [`Embedder::identity`](crate::Embedder::identity) of the encoder.
    pub encoder: String,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// The file's length.
    pub bytes: u64,
    /// Of the file's bytes, in hexadecimal.
    pub sha256: String,
}

/// A file that a bank was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name, without the folder.
    pub file: String,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    /// Under which data set its demonstrations went in, unless they say so themselves.
    pub dataset: String,
    /// Which part of it.
    pub split: SplitKind,
    /// Demonstrations it brought.
    pub demonstrations: usize,
}

impl Manifest {
    /// Reads the manifest of the bank in `folder`.
    ///
    /// # Errors
    /// A folder without one, a format that is not ours.
    pub fn read(folder: &Path) -> Result<Self, RetrievalError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let path = folder.join(MANIFEST);
        let text = fs_err::read(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                RetrievalError::bank(folder, BankProblem::NoManifest)
            } else {
                RetrievalError::io(&path, &error)
            }
        })?;
        let bad = |error: serde_json::Error| {
            RetrievalError::bank(&path, BankProblem::BadManifest(error.to_string()))
        };
        let Version { format_version: found } = serde_json::from_slice(&text).map_err(bad)?;
        if found != FORMAT_VERSION {
            let problem = BankProblem::OtherFormat { found, known: FORMAT_VERSION };
            return Err(RetrievalError::bank(&path, problem));
        }
        serde_json::from_slice(&text).map_err(bad)
    }

    /// # Errors
    /// Those of [`write_atomic`].
    pub(crate) fn write(&self, folder: &Path) -> Result<(), RetrievalError> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        Ok(write_atomic(&folder.join(MANIFEST), text.as_bytes())?)
    }

    /// What decides which demonstrations a search gives: equal for banks of equal contents.
    pub fn content_hash(&self) -> String {
        let vectors = self.vectors.as_ref().map_or("", |vectors| vectors.sha256.as_str());
        sha256_hex(format!("{}\n{vectors}\n{}", self.demonstrations.sha256, self.held_out_forced).as_bytes())
    }
}
