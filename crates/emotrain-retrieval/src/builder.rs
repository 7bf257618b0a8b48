//! Building a bank, and adding to one.
//!
//! A bank is written whole into a folder beside its place and then put there; see [`emotrain_base::Stage`]. Vectors are kept in a journal in that folder as they are made; a build that was
//! killed goes on from it.

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

/// Texts that are handed to an encoder at a time, and kept when they are done.
const AT_ONCE: usize = 512;

/// What becomes of validation and test splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldOut {
    /// They are refused.
    Refuse,
    /// They go in, and the manifest says so.
    Force,
}

/// Collects demonstrations and writes them as a bank.
#[derive(Debug)]
pub struct Builder {
    held_out: HeldOut,
    forced: bool,
    demonstrations: Vec<Demonstration>,
    /// Identities to places.
    ids: HashMap<String, usize>,
    sources: Vec<SourceFile>,
    index: Option<HnswParameters>,
    /// The contents of the bank that it was started with.
    started_with: Option<String>,
}

/// What a file brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// New demonstrations.
    pub added: usize,
    /// Demonstrations that were there already, word for word.
    pub known: usize,
}

/// What a build is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildStep {
    /// Texts get their vectors.
    Vectors,
    /// Vectors get their place in the index.
    Index,
}

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub step: BuildStep,
    /// Different texts that are done.
    pub done: usize,
    /// Different texts in all.
    pub texts: usize,
}

/// What a build did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Demonstrations in the bank.
    pub count: usize,
    /// Texts that were encoded.
    pub encoded: usize,
    /// Texts whose vectors were there: from the bank before, or from a build that was stopped.
    pub reused: usize,
}

impl Builder {
    /// Starts without demonstrations.
    pub fn new(held_out: HeldOut) -> Self {
        let (demonstrations, ids, sources) = (Vec::new(), HashMap::new(), Vec::new());
        Self { held_out, forced: false, demonstrations, ids, sources, index: None, started_with: None }
    }

    /// Starts with the demonstrations of a bank, in their order.
    ///
    /// # Errors
    /// Those of [`Bank::demonstration`].
    pub fn with_bank(bank: &Bank, held_out: HeldOut) -> Result<Self, RetrievalError> {
        let mut builder = Self::new(held_out);
        builder.forced = bank.manifest().held_out_forced;
        builder.started_with = Some(bank.manifest().content_hash());
        builder.sources.clone_from(&bank.manifest().sources);
        builder.index = bank.manifest().index.as_ref().map(IndexRecord::parameters);
        let all: Vec<Demonstration> = bank.iter().collect::<Result<_, _>>()?;
        builder.take(bank.folder(), all)?;
        Ok(builder)
    }

    /// Adds the labelled utterances of a data set.
    ///
    /// # Errors
    /// A validation or test split, by what `origin` or the file's name says, unless by force; an identity
    /// that is there with another text.
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
    /// As [`Builder::add_split`], and what is wrong with the file.
    pub fn add_jsonl(&mut self, path: &Path, origin: Origin<'_>) -> Result<Added, RetrievalError> {
        let file = load_demonstrations(path, origin)?;
        self.add(path, file.sha256, origin, file.demonstrations)
    }

    /// Adds the list of demonstrations that PRC-Emo publishes: see [`load_prc_demonstrations`].
    ///
    /// # Errors
    /// As [`Builder::add_split`], and what is wrong with the file.
    pub fn add_prc_demonstrations(
        &mut self,
        path: &Path,
        origin: Origin<'_>,
    ) -> Result<Added, RetrievalError> {
        let file = load_prc_demonstrations(path, origin)?;
        self.add(path, file.sha256, origin, file.demonstrations)
    }

    /// Gives the bank an index, or none; without this it has one if the bank had that was started with.
    pub fn set_index(&mut self, index: Option<HnswParameters>) {
        self.index = index;
    }

    /// How many demonstrations there are by now.
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

    /// Writes the bank to `folder`, in place of one that is there. Without an `embedder` it gets no vectors
    /// and can be searched by words in common only. `tell` hears of every batch of texts.
    ///
    /// Only texts that are new are encoded: vectors are taken from the bank in `folder`, if the same
    /// encoder made them, and from the journal of a build that was stopped.
    ///
    /// # Errors
    /// No demonstrations, a folder with other things in it, what the encoder reports, a full disk. What
    /// was encoded by then is kept for the next build; an index that was not finished is begun again.
    pub fn write(
        self,
        folder: &Path,
        embedder: Option<&dyn Embedder>,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Built, RetrievalError> {
        if self.demonstrations.is_empty() {
            return Err(RetrievalError::bank(folder, BankProblem::Empty));
        }
        let stage = Site::open(folder)?;
        self.check_unchanged(folder)?;
        let count = self.demonstrations.len();
        let mut built = Built { count, encoded: 0, reused: 0 };
        let old = embedder.and_then(|embedder| {
            // A bank that cannot be opened has no vectors to take over.
            Bank::open(folder).ok().filter(|bank| require_encoder(bank, embedder).is_ok())
        });
        let vectors = match embedder {
            None => None,
            Some(embedder) => {
                let encoder = embedder.identity();
                let mut journal = Journal::open(&stage.journal(), &encoder, embedder.dimensions())?;
                self.encode(embedder, old.as_ref(), &mut journal, (&mut built, tell))?;
                let keys: Vec<TextKey> =
                    self.demonstrations.iter().map(|one| TextKey::exact(&one.text)).collect();
                let rows = keys.iter().map(|key| vector(*key, old.as_ref(), &journal));
                let path = stage.file(VECTORS);
                Some(write_vectors(&path, (&encoder, embedder.dimensions()), &keys, rows)?)
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
            index::write(&bank, (parameters, old.as_ref()), &mut |done, texts| {
                tell(Progress { step: BuildStep::Index, done, texts });
            })?;
        }
        drop(old);
        stage.publish()?;
        Ok(built)
    }

    /// Refuses to replace another bank than the one whose demonstrations were taken: what was added to that meanwhile
    /// would be lost.
    fn check_unchanged(&self, folder: &Path) -> Result<(), RetrievalError> {
        let there = Manifest::read(folder).ok().map(|manifest| manifest.content_hash());
        match &self.started_with {
            Some(before) if there.as_ref().is_some_and(|there| there != before) => {
                Err(RetrievalError::bank(folder, BankProblem::ChangedMeanwhile))
            }
            _ => Ok(()),
        }
    }

    /// Encodes the texts that neither the old bank nor the journal has vectors of.
    fn encode(
        &self,
        embedder: &dyn Embedder,
        old: Option<&Bank>,
        journal: &mut Journal,
        (built, tell): (&mut Built, &mut dyn FnMut(Progress)),
    ) -> Result<(), RetrievalError> {
        let mut texts: IndexMap<TextKey, &str> = IndexMap::new();
        for one in &self.demonstrations {
            texts.entry(TextKey::exact(&one.text)).or_insert(&one.text);
        }
        let all = texts.len();
        texts.retain(|key, _| old.is_none_or(|bank| bank.with_exact_text(*key).is_none()));
        // Texts of like length together: an encoder pads a batch to its longest.
        texts.sort_by(|_, one, _, other| one.len().cmp(&other.len()).then(one.cmp(other)));
        built.reused = all - texts.len();
        let texts: Vec<(TextKey, &str)> = texts.into_iter().collect();
        // A batch is encoded whole or not at all, so that going on gives what one go would have given.
        for batch in texts.chunks(AT_ONCE) {
            if batch.iter().all(|(key, _)| journal.holds(*key)) {
                built.reused += batch.len();
            } else {
                let (keys, batch): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
                let vectors = embed_checked(embedder, &batch)?;
                journal.append(&keys, &vectors)?;
                built.encoded += batch.len();
            }
            tell(Progress { step: BuildStep::Vectors, done: built.encoded + built.reused, texts: all });
        }
        Ok(())
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

/// Whether a folder holds a bank, complete or not.
pub(crate) fn is_bank(folder: &Path) -> bool {
    folder.join(MANIFEST).exists() || folder.join(DEMONSTRATIONS).exists()
}

#[cfg(test)]
mod tests;
