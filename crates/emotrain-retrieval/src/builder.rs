//! Building a bank, and adding to one.
//!
//! A bank is written into a folder next to its destination and then moved there; see [`emotrain_base::Stage`]. Vectors
//! are stored in a journal in that folder as they are computed; a killed build resumes from it.

mod journal;
mod publish;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use emotrain_data::{
    Demonstration, LabelSet, Origin, Split, SplitKind, load_demonstrations, load_prc_demonstrations,
    sha256_file, write_jsonl,
};
use indexmap::IndexMap;

use crate::bank::Bank;
use crate::embed::{Embedder, embed_checked};
use crate::error::{BankProblem, RetrievalError};
use crate::index;
use crate::manifest::{
    DEMONSTRATIONS, FORMAT_VERSION, FileRecord, HnswParameters, IndexRecord, MANIFEST, Manifest, SourceFile,
    VECTORS,
};
use crate::retriever::require_encoder;
use crate::text::TextKey;
use crate::vectors::write_vectors;
use journal::Journal;
use publish::Site;

/// Texts per call of the encoder; their vectors are then stored.
const AT_ONCE: usize = 512;

/// How validation and test splits are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldOut {
    /// Refused.
    Refuse,
    /// Added, and recorded in the manifest.
    Force,
}

/// Collects demonstrations and writes them as a bank.
#[derive(Debug)]
pub struct Builder {
    held_out: HeldOut,
    forced: bool,
    demonstrations: Vec<Demonstration>,
    /// Identity to row.
    ids: HashMap<String, usize>,
    sources: Vec<SourceFile>,
    index: Option<HnswParameters>,
    /// The bank that it was started from; `None` for a new one.
    started_with: Option<Manifest>,
}

/// The result of adding a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// New demonstrations.
    pub added: usize,
    /// Demonstrations that were present already and equal.
    pub known: usize,
}

/// The current phase of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// Computing vectors.
    Vectors,
    /// Building the index.
    Index,
}

/// The progress of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The current phase.
    pub step: BuildStep,
    /// Distinct texts that are done.
    pub done: usize,
    /// Distinct texts in total.
    pub texts: usize,
}

/// The result of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Demonstrations in the bank.
    pub count: usize,
    /// Texts that were encoded.
    pub encoded: usize,
    /// Texts whose vectors were reused: from the old bank, or from an interrupted build.
    pub reused: usize,
}

impl Builder {
    /// Starts a new bank, without demonstrations.
    pub fn new(held_out: HeldOut) -> Self {
        let (demonstrations, ids, sources) = (Vec::new(), HashMap::new(), Vec::new());
        Self { held_out, forced: false, demonstrations, ids, sources, index: None, started_with: None }
    }

    /// Starts with the demonstrations of a bank, in their order.
    ///
    /// # Errors
    /// The errors of [`Bank::demonstration`].
    pub fn with_bank(bank: &Bank, held_out: HeldOut) -> Result<Self, RetrievalError> {
        let mut builder = Self::new(held_out);
        builder.forced = bank.manifest().held_out_forced;
        builder.started_with = Some(bank.manifest().clone());
        builder.sources.clone_from(&bank.manifest().sources);
        builder.index = bank.manifest().index.as_ref().map(IndexRecord::parameters);
        let all: Vec<Demonstration> = bank.iter().collect::<Result<_, _>>()?;
        builder.take(bank.folder(), all)?;
        Ok(builder)
    }

    /// Adds the labelled utterances of a data set.
    ///
    /// # Errors
    /// A validation or test split, according to `origin` or the file's name, unless forced; an identity that exists
    /// with another text.
    pub fn add_split(
        &mut self,
        split: &Split,
        labels: &LabelSet,
        origin: Origin<'_>,
    ) -> Result<Added, RetrievalError> {
        self.add(&split.path, split.sha256.clone(), origin, split.demonstrations(labels, origin))
    }

    /// Adds a JSONL file of demonstrations or dialogues: see [`load_demonstrations`].
    ///
    /// # Errors
    /// The errors of [`Builder::add_split`], and problems of the file.
    pub fn add_jsonl(&mut self, path: &Path, origin: Origin<'_>) -> Result<Added, RetrievalError> {
        let file = load_demonstrations(path, origin)?;
        self.add(path, file.sha256, origin, file.demonstrations)
    }

    /// Adds the list of demonstrations that PRC-Emo publishes: see [`load_prc_demonstrations`].
    ///
    /// # Errors
    /// The errors of [`Builder::add_split`], and problems of the file.
    pub fn add_prc_demonstrations(
        &mut self,
        path: &Path,
        origin: Origin<'_>,
    ) -> Result<Added, RetrievalError> {
        let file = load_prc_demonstrations(path, origin)?;
        self.add(path, file.sha256, origin, file.demonstrations)
    }

    /// Builds an index, or none; by default the bank has one if the bank it was started from has.
    pub fn set_index(&mut self, index: Option<HnswParameters>) {
        self.index = index;
    }

    /// The current number of demonstrations.
    pub fn count(&self) -> usize {
        self.demonstrations.len()
    }

    fn add(
        &mut self,
        path: &Path,
        sha256: String,
        origin: Origin<'_>,
        demonstrations: Vec<Demonstration>,
    ) -> Result<Added, RetrievalError> {
        let splits = demonstrations.iter().map(|one| one.split).chain([origin.split]);
        let said = splits.filter(|split| split.is_held_out()).max();
        let named = SplitKind::of_file_name(path).filter(|split| split.is_held_out());
        if let Some(split) = said.or(named) {
            if self.held_out == HeldOut::Refuse {
                let problem = BankProblem::HeldOut { split, by_name: said.is_none() };
                return Err(RetrievalError::bank(path, problem));
            }
            self.forced = true;
        }
        let source = SourceFile {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256,
            dataset: origin.dataset.to_owned(),
            split: origin.split,
            demonstrations: demonstrations.len(),
        };
        let added = self.take(path, demonstrations)?;
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
        Ok(added)
    }

    fn take(&mut self, path: &Path, demonstrations: Vec<Demonstration>) -> Result<Added, RetrievalError> {
        let mut added = Added { added: 0, known: 0 };
        for one in demonstrations {
            let id = one.id().to_string();
            match self.ids.get(&id) {
                Some(&place) if self.demonstrations[place] == one => added.known += 1,
                Some(_) => return Err(RetrievalError::bank(path, BankProblem::Conflict { id })),
                None => {
                    self.ids.insert(id, self.demonstrations.len());
                    self.demonstrations.push(one);
                    added.added += 1;
                }
            }
        }
        Ok(added)
    }

    /// Writes the bank to `folder`, replacing the one that it was started with. Without an `embedder` it has no vectors and only lexical
    /// search. `report` is called for every batch of texts.
    ///
    /// Only new texts are encoded: vectors are reused from the bank in `folder`, if the same encoder computed them, and
    /// from the journal of an interrupted build.
    ///
    /// # Errors
    /// No demonstrations, a folder with other files in it or with another bank than it was started with, one that
    /// another process builds; an error of the encoder, a full disk. Vectors so far are kept for the next build; an
    /// unfinished index is started again.
    pub fn write(
        self,
        folder: &Path,
        embedder: Option<&dyn Embedder>,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Built, RetrievalError> {
        if self.demonstrations.is_empty() {
            return Err(RetrievalError::bank(folder, BankProblem::Empty));
        }
        let stage = Site::open(folder)?;
        self.check_unchanged(folder)?;
        let count = self.demonstrations.len();
        let mut built = Built { count, encoded: 0, reused: 0 };
        let old = embedder.and_then(|embedder| {
            // A bank that does not open has no vectors to reuse.
            Bank::open(folder).ok().filter(|bank| require_encoder(bank, embedder).is_ok())
        });
        let vectors = match embedder {
            None => None,
            Some(embedder) => {
                let encoder = embedder.identity();
                let mut journal = Journal::open(&stage.journal(), &encoder, embedder.dimensions())?;
                built = self.encode(embedder, old.as_ref(), &mut journal, report)?;
                let keys: Vec<TextKey> =
                    self.demonstrations.iter().map(|one| TextKey::exact(&one.text)).collect();
                let rows = keys.iter().map(|key| vector(*key, old.as_ref(), &journal));
                let path = stage.file(VECTORS);
                Some(write_vectors(&path, &encoder, embedder.dimensions(), &keys, rows)?)
            }
        };
        let path = stage.file(DEMONSTRATIONS);
        write_jsonl(&path, &self.demonstrations)?;
        let bytes = fs_err::metadata(&path).map_err(|error| RetrievalError::io(&path, &error))?.len();
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            count,
            demonstrations: FileRecord { bytes, sha256: sha256_file(&path)? },
            vectors,
            sources: self.sources,
            held_out_forced: self.forced,
            index: None,
            manifest_sha256: None,
        };
        manifest.write(stage.folder())?;
        if let Some(parameters) = self.index {
            let bank = Bank::open(stage.folder())?;
            index::write(&bank, parameters, old.as_ref(), &mut |done, texts| {
                report(Progress { step: BuildStep::Index, done, texts });
            })?;
        }
        drop(old);
        stage.publish()?;
        Ok(built)
    }

    /// Refuses to replace another bank than the one that the builder started from: what was added to it meanwhile would
    /// be lost.
    fn check_unchanged(&self, folder: &Path) -> Result<(), RetrievalError> {
        let there = match Manifest::read(folder) {
            Ok(there) => there,
            Err(error) if matches!(error.problem(), Some(BankProblem::NoManifest)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let contents =
            |bank: &Manifest| (bank.content_hash(), bank.index.as_ref().map(IndexRecord::parameters));
        if self.started_with.as_ref().is_some_and(|before| contents(before) == contents(&there)) {
            return Ok(());
        }
        Err(RetrievalError::bank(folder, BankProblem::ChangedMeanwhile))
    }

    /// Encodes the texts that have no vector in the old bank or the journal; returns how many there were of each.
    fn encode(
        &self,
        embedder: &dyn Embedder,
        old: Option<&Bank>,
        journal: &mut Journal,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Built, RetrievalError> {
        let mut texts: IndexMap<TextKey, &str> = IndexMap::new();
        for one in &self.demonstrations {
            texts.entry(TextKey::exact(&one.text)).or_insert(&one.text);
        }
        let all = texts.len();
        texts.retain(|key, _| old.is_none_or(|bank| bank.with_exact_text(*key).is_none()));
        // Texts of similar length together: an encoder pads a batch to its longest.
        texts.sort_by(|_, one, _, other| one.len().cmp(&other.len()).then(one.cmp(other)));
        let mut built = Built { count: self.demonstrations.len(), encoded: 0, reused: all - texts.len() };
        let texts: Vec<(TextKey, &str)> = texts.into_iter().collect();
        // A batch is encoded as a whole or not at all, so that a resumed build gives the same vectors as an
        // uninterrupted one.
        for batch in texts.chunks(AT_ONCE) {
            if batch.iter().all(|(key, _)| journal.holds(*key)) {
                built.reused += batch.len();
            } else {
                let (keys, batch): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
                let vectors = embed_checked(embedder, &batch)?;
                journal.append(&keys, &vectors)?;
                built.encoded += batch.len();
            }
            report(Progress { step: BuildStep::Vectors, done: built.encoded + built.reused, texts: all });
        }
        Ok(built)
    }
}

fn vector<'v>(
    key: TextKey,
    old: Option<&'v Bank>,
    journal: &Journal,
) -> Result<Cow<'v, [f32]>, RetrievalError> {
    let row = old.and_then(|bank| bank.with_exact_text(key).and_then(|row| bank.vector(row as usize)));
    match row {
        Some(vector) => Ok(Cow::Borrowed(vector)),
        None => journal.read(key).map(Cow::Owned),
    }
}

/// Whether a folder has a bank, complete or not.
pub(crate) fn is_bank(folder: &Path) -> bool {
    folder.join(MANIFEST).exists() || folder.join(DEMONSTRATIONS).exists()
}

#[cfg(test)]
mod tests;
