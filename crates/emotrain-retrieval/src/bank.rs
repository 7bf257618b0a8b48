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
/// Both large files are memory-mapped. In memory stands, for each demonstration, what a search asks
/// about it, 22 bytes; vectors of 384 numbers have 1,536.
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

/// What is known of each demonstration, by its place in the bank.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Where its line begins, in bytes.
    starts: Vec<u64>,
    /// Its dialogue, a place in [`Bank::dialogues`].
    pub(crate) dialogues: Vec<u32>,
    /// Its place in the dialogue.
    pub(crate) positions: Vec<u32>,
    /// Its normalised text.
    pub(crate) texts: Vec<TextKey>,
    /// Its emotion, a place in [`Bank::emotions`].
    pub(crate) emotions: Vec<u16>,
}

/// A dialogue's name.
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
    /// Of its texts in order.
    pub(crate) fingerprint: u64,
    /// How many different texts it has.
    pub(crate) texts: usize,
}

impl Bank {
    /// Opens the bank in `folder`. The digests of demonstrations and vectors, the header of the vectors and every line
    /// are checked; what the vectors are made of is not: that is for [`check`](crate::check).
    ///
    /// # Errors
    /// A folder that is no bank; files that are missing, cut off, edited or of another shape; an
    /// identity that is used twice.
    pub fn open(folder: &Path) -> Result<Self, RetrievalError> {
        Self::open_as(folder, Manifest::read(folder)?)
    }

    /// Opens it as this manifest has it.
    ///
    /// # Errors
    /// Those of [`Bank::open`].
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

    /// Refuses an identity that is used twice, and takes the dialogues' fingerprints.
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

    /// What it is made of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many demonstrations it holds, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a bank is never empty")]
    pub fn len(&self) -> usize {
        self.entries.starts.len()
    }

    /// The demonstration at a place, counted from 0.
    ///
    /// # Errors
    /// A file that was changed after the bank was opened.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn demonstration(&self, row: usize) -> Result<Demonstration, RetrievalError> {
        serde_json::from_slice(self.line(row)).map_err(|error| {
            let path = self.folder.join(DEMONSTRATIONS);
            RetrievalError::line(&path, row, BankProblem::BadLine(error.to_string()))
        })
    }

    /// All demonstrations in the order of the bank, read one by one.
    ///
    /// # Errors
    /// Those of [`Bank::demonstration`].
    pub fn iter(&self) -> impl Iterator<Item = Result<Demonstration, RetrievalError>> + '_ {
        (0..self.len()).map(|row| self.demonstration(row))
    }

    /// The names of the emotions in it, by their first demonstration.
    pub fn emotions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.emotions.iter().map(String::as_str)
    }

    /// A demonstration's vector, of length 1; `None` in a bank without vectors.
    ///
    /// # Panics
    /// If there is no such place.
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

    /// The bytes of the index, unread.
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

    /// A demonstration with a vector that was made of exactly this text.
    pub(crate) fn with_exact_text(&self, text: TextKey) -> Option<u32> {
        let vectors = self.vectors.as_ref()?;
        equal_range(self.by_exact_text(), |row| vectors.text(row as usize), text).first().copied()
    }

    /// All demonstrations, those with vectors of one text together and in order; none in a bank without vectors.
    pub(crate) fn by_exact_text(&self) -> &[u32] {
        let Some(vectors) = &self.vectors else { return &[] };
        self.by_exact_text.get_or_init(|| sorted(self.len(), |row| vectors.text(row as usize)))
    }
}

/// The places `0..count`.
///
/// # Panics
/// If a bank had more than 2³² demonstrations: [`Scan`] refuses such.
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

/// The bytes of the graph that the manifest names, mapped; their number is compared with the manifest's, and the
/// vectors that they were made of with the bank's.
///
/// # Errors
/// A file that is missing or was cut off, a graph of other vectors.
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
