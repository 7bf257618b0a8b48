//! `manifest.json`: what a bank is made of. Without it a folder is no bank.

use std::io;
use std::path::Path;

use emotrain_data::{SplitKind, sha256_hex, write_atomic};
use serde::{Deserialize, Serialize};

use crate::error::{BankProblem, RetrievalError};
use crate::search::graph::HnswParameters;

/// The version of a bank without an index.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The version of a bank with an index, which programs of the version before do not know.
pub(crate) const WITH_INDEX: u32 = 2;
/// The manifest's name in the folder of a bank.
pub(crate) const MANIFEST: &str = "manifest.json";
/// One [`Demonstration`](emotrain_data::Demonstration) a line.
pub(crate) const DEMONSTRATIONS: &str = "demonstrations.jsonl";
/// One vector a demonstration.
pub(crate) const VECTORS: &str = "vectors.safetensors";
/// The graph of the vectors.
pub(crate) const INDEX: &str = "index.usearch";

/// What a bank is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format: 1, or 2 with an index.
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
    /// The index of the vectors; a bank may be without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexRecord>,
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

/// An index of the vectors and what it was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexRecord {
    /// Which one: `"hnsw"`.
    pub kind: String,
    /// [`HnswParameters::m`].
    pub m: usize,
    /// [`HnswParameters::ef_construction`].
    pub ef_construction: usize,
    /// The digest of the vectors that it was made of.
    pub vectors_sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// Of the file's bytes, in hexadecimal.
    pub sha256: String,
}

impl IndexRecord {
    /// The one kind there is.
    pub(crate) const HNSW: &str = "hnsw";

    pub(crate) fn parameters(&self) -> HnswParameters {
        HnswParameters { m: self.m, ef_construction: self.ef_construction }
    }
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
        if found != FORMAT_VERSION && found != WITH_INDEX {
            let problem = BankProblem::OtherFormat { found, known: WITH_INDEX };
            return Err(RetrievalError::bank(&path, problem));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(bad)?;
        if manifest.index.is_some() != (found == WITH_INDEX) {
            let message = format!("format version {found} does not go with what it says of an index");
            return Err(RetrievalError::bank(&path, BankProblem::BadManifest(message)));
        }
        Ok(manifest)
    }

    /// Names another index, or none.
    pub(crate) fn set_index(&mut self, index: Option<IndexRecord>) {
        self.format_version = if index.is_some() { WITH_INDEX } else { FORMAT_VERSION };
        self.index = index;
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
