//! `manifest.json`: the contents of a bank. A folder without it is not a bank.

use std::io;
use std::path::Path;

use emotrain_base::{limits, sha256_hex, write_atomic};
use emotrain_data::SplitKind;
use serde::{Deserialize, Serialize};

use crate::error::{BankProblem, RetrievalError};

/// The version that is written.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// The previous version, without a digest of the manifest itself and without an index.
const FIRST_VERSION: u32 = 1;
/// The size limit of a manifest.
const MOST_BYTES: u64 = 1 << 26;
/// The manifest's name in the folder of a bank.
pub(crate) const MANIFEST: &str = "manifest.json";
/// One [`Demonstration`](emotrain_data::Demonstration) per line.
pub(crate) const DEMONSTRATIONS: &str = "demonstrations.jsonl";
/// One vector per demonstration.
pub(crate) const VECTORS: &str = "vectors.safetensors";
/// The graph of the vectors.
pub(crate) const INDEX: &str = "index.usearch";

/// The contents of a bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format: 2, or 1 for banks of the previous program.
    pub format_version: u32,
    /// The number of demonstrations.
    pub count: usize,
    /// The file of demonstrations.
    pub demonstrations: FileRecord,
    /// The file of vectors, if the bank has vectors.
    pub vectors: Option<VectorsRecord>,
    /// Its sources, in order.
    pub sources: Vec<SourceFile>,
    /// Whether a validation or test split was added by force.
    pub held_out_forced: bool,
    /// The index of the vectors, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexRecord>,
    /// SHA-256 of the rest of the manifest, in hexadecimal; version 1 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
}

/// A file as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// The vectors and their encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorsRecord {
    /// [`Embedder::identity`](crate::Embedder::identity) of the encoder.
    pub encoder: String,
    /// The width of a vector.
    pub dimensions: usize,
    /// The file's length.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// An index of the vectors and its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexRecord {
    /// The kind: `"hnsw"`.
    pub kind: String,
    /// [`HnswParameters::m`].
    pub m: usize,
    /// [`HnswParameters::ef_construction`].
    pub ef_construction: usize,
    /// The digest of its vectors.
    pub vectors_sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl IndexRecord {
    /// The only kind.
    pub(crate) const HNSW: &str = "hnsw";

    pub(crate) fn parameters(&self) -> HnswParameters {
        HnswParameters { m: self.m, ef_construction: self.ef_construction }
    }
}

/// A file from which a bank was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name, without the folder.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The data set of its demonstrations, unless they name their own.
    pub dataset: String,
    /// The split of its demonstrations.
    pub split: SplitKind,
    /// The number of demonstrations it added.
    pub demonstrations: usize,
}

impl Manifest {
    /// Reads the manifest of the bank in `folder`.
    ///
    /// # Errors
    /// A folder without one, an unknown format.
    pub fn read(folder: &Path) -> Result<Self, RetrievalError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        // A process may have been killed while it replaced this bank.
        emotrain_base::recover(folder)?;
        let path = folder.join(MANIFEST);
        let unreadable = |error: io::Error| {
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                RetrievalError::bank(folder, BankProblem::NoManifest)
            } else {
                RetrievalError::io(&path, &error)
            }
        };
        let metadata = fs_err::metadata(&path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(RetrievalError::bank(&path, BankProblem::NotAFile));
        }
        if metadata.len() > MOST_BYTES {
            let message = format!("it has {} bytes", metadata.len());
            return Err(RetrievalError::bank(&path, BankProblem::BadManifest(message)));
        }
        let text = emotrain_base::read(&path, limits::CONFIG).map_err(unreadable)?;
        let bad = |error: serde_json::Error| {
            RetrievalError::bank(&path, BankProblem::BadManifest(error.to_string()))
        };
        let Version { format_version: found } = serde_json::from_slice(&text).map_err(bad)?;
        if found != FORMAT_VERSION && found != FIRST_VERSION {
            let problem = BankProblem::OtherFormat { found, known: FORMAT_VERSION };
            return Err(RetrievalError::bank(&path, problem));
        }
        let mut manifest: Self = serde_json::from_slice(&text).map_err(bad)?;
        let said = manifest.manifest_sha256.take();
        if found == FIRST_VERSION {
            if said.is_some() || manifest.index.is_some() {
                let message = "version 1 has no index and no digest".to_owned();
                return Err(RetrievalError::bank(&path, BankProblem::BadManifest(message)));
            }
            return Ok(manifest);
        }
        let digest = manifest.digest();
        if said.as_ref() != Some(&digest) {
            let expected = said.unwrap_or_else(|| "nothing".to_owned());
            return Err(RetrievalError::bank(&path, BankProblem::OtherContent { found: digest, expected }));
        }
        Ok(manifest)
    }

    /// The digest of everything else.
    fn digest(&self) -> String {
        let rest = Self { manifest_sha256: None, ..self.clone() };
        sha256_hex(serde_json::to_string(&rest).unwrap_or_default().as_bytes())
    }

    /// # Errors
    /// The errors of [`write_atomic`].
    pub(crate) fn write(&self, folder: &Path) -> Result<(), RetrievalError> {
        let mut manifest = Self { format_version: FORMAT_VERSION, ..self.clone() };
        manifest.manifest_sha256 = Some(manifest.digest());
        let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        text.push('\n');
        Ok(write_atomic(&folder.join(MANIFEST), text.as_bytes())?)
    }

    /// A digest of what determines search results: equal for banks with equal contents.
    pub fn content_hash(&self) -> String {
        let vectors = self.vectors.as_ref().map_or("", |vectors| vectors.sha256.as_str());
        sha256_hex(format!("{}\n{vectors}\n{}", self.demonstrations.sha256, self.held_out_forced).as_bytes())
    }
}

/// The parameters of a graph, named as in hnswlib and FAISS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HnswParameters {
    /// Neighbours per node, twice as many on the lowest level. At least 2.
    pub m: usize,
    /// Candidates examined for a new node.
    pub ef_construction: usize,
}

impl Default for HnswParameters {
    /// usearch's defaults.
    fn default() -> Self {
        Self { m: 16, ef_construction: 128 }
    }
}

impl HnswParameters {
    /// Refuses parameters for which no graph can be built.
    ///
    /// # Errors
    /// The problem with them.
    pub(crate) fn check(self) -> Result<(), String> {
        let Self { m, ef_construction } = self;
        if (2..=512).contains(&m) && (1..=65_536).contains(&ef_construction) {
            return Ok(());
        }
        Err(format!(
            "an index with m {m} and ef_construction {ef_construction}; the limits are 2 to 512 and 1 to 65536"
        ))
    }
}
