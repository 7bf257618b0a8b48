//! A bank on disk, opened for reading.

mod scan;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use emotrain_data::{Demonstration, SplitKind};
use indexmap::IndexSet;
use rayon::prelude::*;

use crate::error::{BankProblem, RetrievalError};
use crate::manifest::{DEMONSTRATIONS, INDEX, IndexRecord, MANIFEST, Manifest, VECTORS};
use crate::mapped::MappedFile;
use crate::text::{TextKey, fingerprint};
use crate::vectors::Vectors;
use scan::Scan;

/// A demonstration bank: `demonstrations.jsonl`, `vectors.safetensors` and `manifest.json` of one folder.
///
/// Both large files are memory-mapped. The memory per demonstration is what a search needs, 22 bytes; a vector of 384
/// numbers takes 1,536.
#[derive(Debug)]
pub struct Bank {
    folder: PathBuf,
    manifest: Manifest,
    lines: MappedFile,
    entries: Entries,
    dialogues: Vec<BankDialogue>,
    ids: HashMap<DialogueKey, u32>,
    emotions: IndexSet<String>,
    vectors: Option<Arc<Vectors>>,
    index: Option<Arc<MappedFile>>,
    by_text: OnceLock<Vec<u32>>,
    by_exact_text: OnceLock<Vec<u32>>,
}

/// What is kept of each demonstration, by its row in the bank.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// The byte offset of its line.
    starts: Vec<u64>,
    /// Its dialogue, an index into [`Bank::dialogues`].
    pub(crate) dialogues: Vec<u32>,
    /// Its position in the dialogue.
    pub(crate) positions: Vec<u32>,
    /// The key of its normalised text.
    pub(crate) texts: Vec<TextKey>,
    /// Its emotion, an index into [`Bank::emotions`].
    pub(crate) emotions: Vec<u16>,
}

/// A dialogue's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DialogueKey {
    pub(crate) dataset: String,
    pub(crate) split: SplitKind,
    pub(crate) dialogue: String,
}

/// A dialogue of the bank.
#[derive(Debug)]
pub(crate) struct BankDialogue {
    pub(crate) key: DialogueKey,
    /// A fingerprint of its texts in order.
    pub(crate) fingerprint: u64,
    /// The number of distinct texts.
    pub(crate) texts: usize,
}

impl Bank {
    /// Opens the bank in `folder`. The digests of demonstrations and vectors, the header of the vectors and every line
    /// are checked; whether the vectors match their texts is not: see [`check`](crate::check).
    ///
    /// # Errors
    /// A folder that is not a bank; files that are missing, truncated, edited or of another shape; a repeated identity.
    pub fn open(folder: &Path) -> Result<Self, RetrievalError> {
        Self::open_as(folder, Manifest::read(folder)?)
    }

    /// Opens it with this manifest.
    ///
    /// # Errors
    /// The errors of [`Bank::open`].
    pub(crate) fn open_as(folder: &Path, manifest: Manifest) -> Result<Self, RetrievalError> {
        let vectors_path = folder.join(VECTORS);
        let vectors = manifest.vectors.as_ref();
        let vectors =
            vectors.map(|record| Vectors::open(&vectors_path, manifest.count, record)).transpose()?;
        let index = map_index(folder, &manifest)?;
        let path = folder.join(DEMONSTRATIONS);
        let lines = MappedFile::open(&path)?;
        let (scan, digest) = rayon::join(
            || Scan::read(&path, &lines, &manifest, vectors.as_ref()),
            || {
                vectors
                    .as_ref()
                    .zip(manifest.vectors.as_ref())
                    .map(|(vectors, record)| vectors.check_digest(record))
            },
        );
        let scan = scan?;
        digest.transpose()?;
        let mut bank = Self {
            folder: folder.to_owned(),
            manifest,
            lines,
            entries: scan.entries,
            dialogues: scan.dialogues,
            ids: scan.ids,
            emotions: scan.emotions,
            vectors: vectors.map(Arc::new),
            index,
            by_text: OnceLock::new(),
            by_exact_text: OnceLock::new(),
        };
        bank.order_dialogues(&path)?;
        Ok(bank)
    }

    /// Refuses repeated identities, and computes the dialogues' fingerprints.
    fn order_dialogues(&mut self, path: &Path) -> Result<(), RetrievalError> {
        let Entries { dialogues, positions, texts, .. } = &self.entries;
        let place = |row: &u32| (dialogues[*row as usize], positions[*row as usize], *row);
        let mut order = rows(dialogues.len());
        if !order.is_sorted_by_key(place) {
            order.par_sort_unstable_by_key(place);
        }
        for pair in order.windows(2) {
            let (earlier, later) = (place(&pair[0]), place(&pair[1]));
            if (earlier.0, earlier.1) == (later.0, later.1) {
                let id = self.demonstration(later.2 as usize)?.id().to_string();
                let problem = BankProblem::DuplicateId { id, first_line: earlier.2 as usize + 1 };
                return Err(RetrievalError::line(path, later.2 as usize, problem));
            }
        }
        for turns in order.chunk_by(|one, other| dialogues[*one as usize] == dialogues[*other as usize]) {
            let Some(first) = turns.first() else { continue };
            let texts = turns.iter().map(|row| texts[*row as usize]);
            let dialogue = &mut self.dialogues[dialogues[*first as usize] as usize];
            dialogue.fingerprint = fingerprint(texts.clone());
            let mut different: Vec<TextKey> = texts.collect();
            different.sort_unstable();
            different.dedup();
            dialogue.texts = different.len();
        }
        Ok(())
    }

    /// The bank's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The number of demonstrations, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a bank is never empty")]
    pub fn len(&self) -> usize {
        self.entries.starts.len()
    }

    /// The demonstration in a row, counted from 0.
    ///
    /// # Errors
    /// A file that was changed after the bank was opened.
    ///
    /// # Panics
    /// If the row does not exist.
    pub fn demonstration(&self, row: usize) -> Result<Demonstration, RetrievalError> {
        serde_json::from_slice(self.line(row)).map_err(|error| {
            let path = self.folder.join(DEMONSTRATIONS);
            RetrievalError::line(&path, row, BankProblem::BadLine(error.to_string()))
        })
    }

    /// All demonstrations in bank order, read one by one.
    ///
    /// # Errors
    /// The errors of [`Bank::demonstration`].
    pub fn iter(&self) -> impl Iterator<Item = Result<Demonstration, RetrievalError>> + '_ {
        (0..self.len()).map(|row| self.demonstration(row))
    }

    /// The names of its emotions, by their first demonstration.
    pub fn emotions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.emotions.iter().map(String::as_str)
    }

    /// A demonstration's vector, of length 1; `None` in a bank without vectors.
    ///
    /// # Panics
    /// If the row does not exist.
    pub fn vector(&self, row: usize) -> Option<&[f32]> {
        self.vectors.as_ref().map(|vectors| vectors.row(row))
    }

    fn line(&self, row: usize) -> &[u8] {
        let start = self.start(row);
        let end = if row + 1 < self.len() { self.start(row + 1) } else { self.lines.len() };
        &self.lines[start..end]
    }

    #[expect(clippy::cast_possible_truncation, reason = "an offset into mapped memory fits")]
    fn start(&self, row: usize) -> usize {
        self.entries.starts[row] as usize
    }

    pub(crate) fn vectors(&self) -> Option<&Arc<Vectors>> {
        self.vectors.as_ref()
    }

    /// The bytes of the index, not yet checked.
    pub(crate) fn index_bytes(&self) -> Option<&Arc<MappedFile>> {
        self.index.as_ref()
    }

    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    pub(crate) fn dialogues(&self) -> &[BankDialogue] {
        &self.dialogues
    }

    pub(crate) fn dialogue(&self, key: &DialogueKey) -> Option<u32> {
        self.ids.get(key).copied()
    }

    /// The demonstrations whose normalised text has this key, in order.
    pub(crate) fn with_text(&self, text: TextKey) -> &[u32] {
        let key = |row: u32| self.entries.texts[row as usize];
        equal_range(self.by_text.get_or_init(|| sorted(self.len(), key)), key, text)
    }

    /// A demonstration whose vector was computed from exactly this text.
    pub(crate) fn with_exact_text(&self, text: TextKey) -> Option<u32> {
        let vectors = self.vectors.as_ref()?;
        equal_range(self.by_exact_text(), |row| vectors.text(row as usize), text).first().copied()
    }

    /// All demonstrations with vectors, grouped by text and in order; none in a bank without vectors.
    pub(crate) fn by_exact_text(&self) -> &[u32] {
        let Some(vectors) = &self.vectors else { return &[] };
        self.by_exact_text.get_or_init(|| sorted(self.len(), |row| vectors.text(row as usize)))
    }
}

/// The rows `0..count`.
///
/// # Panics
/// If a bank had more than 2³² demonstrations, which [`Scan`] refuses.
fn rows(count: usize) -> Vec<u32> {
    let count = u32::try_from(count).expect("a bank was opened with fewer than 2^32 demonstrations");
    (0..count).collect()
}

fn sorted(count: usize, key: impl Fn(u32) -> TextKey + Sync) -> Vec<u32> {
    let mut order = rows(count);
    order.par_sort_unstable_by_key(|row| (key(*row), *row));
    order
}

fn equal_range(order: &[u32], key: impl Fn(u32) -> TextKey, wanted: TextKey) -> &[u32] {
    let start = order.partition_point(|row| key(*row) < wanted);
    let length = order[start..].partition_point(|row| key(*row) == wanted);
    &order[start..start + length]
}

/// The memory-mapped graph that the manifest names; its size is compared with the manifest's, and the digest of its
/// vectors with the bank's.
///
/// # Errors
/// A file that is missing or truncated, a graph of other vectors.
fn map_index(folder: &Path, manifest: &Manifest) -> Result<Option<Arc<MappedFile>>, RetrievalError> {
    let Some(record) = &manifest.index else { return Ok(None) };
    let path = folder.join(INDEX);
    let fail = |problem| RetrievalError::bank(&path, problem);
    if record.kind != IndexRecord::HNSW {
        let message = format!("it names the index \"{}\"; this program knows \"hnsw\"", record.kind);
        return Err(RetrievalError::bank(&folder.join(MANIFEST), BankProblem::BadManifest(message)));
    }
    if let Err(fault) = record.parameters().check() {
        return Err(RetrievalError::bank(&folder.join(MANIFEST), BankProblem::BadManifest(fault)));
    }
    let vectors = manifest.vectors.as_ref().map(|vectors| &vectors.sha256);
    if vectors != Some(&record.vectors_sha256) {
        return Err(fail(BankProblem::StaleIndex));
    }
    let bytes = MappedFile::open(&path)?;
    let (found, expected) = (bytes.len() as u64, record.bytes);
    if found != expected {
        return Err(fail(BankProblem::OtherSize { found, expected }));
    }
    Ok(Some(Arc::new(bytes)))
}

#[cfg(test)]
mod tests;
