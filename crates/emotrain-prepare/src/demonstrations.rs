//! Demonstrations from the recipe's bank for the utterances of a file.

use std::path::PathBuf;

use emotrain_base::Complaint;
use emotrain_data::{
    DataError, Dialogue, LabelPolicy, LabelSet, ShownDemonstration, Split, SplitKind, read_split,
};
use emotrain_hub::{Hub, TextEncoder, encoder_for_bank};
use emotrain_recipe::{LabelSetName, Recipe};
use emotrain_retrieval::{
    Asked, Bank, Embedder, EngineName, Retrieved, Retriever, cache_key, read_cache, write_cache,
};
use emotrain_runs::RetrievalRecord;

use crate::content::Content;
use crate::error::PrepareError;

/// The bank of a recipe, with the encoder that its texts are compared by, unless it is words in common.
pub(crate) struct Library {
    bank: Bank,
    encoder: Option<TextEncoder>,
}

impl Library {
    /// Opens what the recipe names; nothing without a bank, or where prompts do not show demonstrations.
    ///
    /// # Errors
    /// A bank that cannot be opened; a named encoder that is unavailable or not the bank's.
    pub(crate) fn open(recipe: &Recipe, hub: Hub<'_>) -> Result<Option<Self>, PrepareError> {
        let section = &recipe.retrieval;
        let shown = recipe.prompt.slots.has("demonstrations");
        let Some(folder) = section.bank.as_ref().filter(|_| shown) else { return Ok(None) };
        let bank = Bank::open(folder)?;
        let encoder = encoder_for_bank(&bank, &section.encoder, &recipe.model.device, hub)?;
        let library = Self { bank, encoder };
        if library.encoder.is_some() {
            // Told before anything is loaded: a bank with another encoder's vectors.
            library.retriever(recipe)?;
        }
        Ok(Some(library))
    }

    /// How demonstrations are found, wherever the encoder is: for what is stored with an adapter.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub(crate) fn found_by(&self, recipe: &Recipe) -> Result<String, PrepareError> {
        let engine =
            if self.encoder.is_some() { self.retriever(recipe)?.engine() } else { EngineName::Lexical };
        Ok(engine.decisive())
    }

    /// What searches the bank.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub(crate) fn retriever<'a>(&'a self, recipe: &'a Recipe) -> Result<Retriever<'a>, PrepareError> {
        let encoder = self.encoder.as_ref().map(|encoder| encoder as &dyn Embedder);
        Ok(Retriever::new(&self.bank, &recipe.retrieval, encoder)?)
    }
}

/// What was found for the utterances of one file.
#[derive(Debug)]
pub struct RetrievedDemonstrations {
    key: String,
    retrieved: Retrieved,
    bank: PathBuf,
    bank_hash: String,
    /// By utterance, in the order of the file; the most similar first.
    pub shown: Vec<Vec<ShownDemonstration>>,
}

/// The file of a run that keeps what was found for a split.
fn kept(recipe: &Recipe, split: SplitKind) -> PathBuf {
    recipe.train.output_dir.join(format!("retrieved.{split}.json"))
}

/// How demonstrations are looked up for a recipe.
pub(crate) struct Search<'a> {
    pub(crate) library: &'a Library,
    pub(crate) recipe: &'a Recipe,
    pub(crate) labels: &'a LabelSet,
    /// Whether only what the run has kept will do.
    pub(crate) is_kept_only: bool,
}

impl Search<'_> {
    /// The dialogues of the other held-out parts, where one file is divided into splits.
    fn held_out(&self, name: SplitKind) -> Result<Vec<Dialogue>, DataError> {
        let section = &self.recipe.data;
        let parts = [SplitKind::Valid, SplitKind::Test].into_iter();
        let others = parts.filter(|part| !section.split.is_empty() && *part != name);
        let read = others.filter_map(|part| read_split(section, part, self.labels, LabelPolicy::Optional));
        Ok(read.collect::<Result<Vec<Split>, _>>()?.into_iter().flat_map(|split| split.dialogues).collect())
    }

    /// Looks up what the recipe's prompts show. What a run has found before is taken from its folder.
    ///
    /// # Errors
    /// A bank that cannot be searched; text without utterances; nothing kept where that is wanted.
    pub(crate) fn find(
        &self,
        content: &Content,
        name: SplitKind,
    ) -> Result<RetrievedDemonstrations, PrepareError> {
        let Self { library, recipe, labels, is_kept_only } = *self;
        let (section, bank) = (&recipe.retrieval, &library.bank);
        let Content::Dialogues(split) = content else {
            let folder = bank.folder().display();
            let message = format!("retrieval.bank = \"{folder}\": plain text has no utterances");
            return Err(Complaint::usage(message).hint("remove the section [retrieval]").into());
        };
        let retriever = library.retriever(recipe)?;
        let asked = asked(recipe, name, Some(split.sha256.clone()));
        let key = cache_key(bank, section, &retriever.engine(), split, &asked);
        let retrieved = match read_cache(&kept(recipe, name), &key, split) {
            Some(kept) => kept,
            None if is_kept_only => {
                let message = format!(
                    "{}: it is not there, or not of the bank and data as they are now",
                    kept(recipe, name).display()
                );
                return Err(Complaint::input(message).into());
            }
            None => retriever.for_split(split, &asked, &self.held_out(name)?)?,
        };
        let shown =
            retrieved.hits.iter().map(|(_, hits)| retriever.shown(hits, labels)).collect::<Result<_, _>>()?;
        let (bank, bank_hash) = (bank.folder().to_owned(), bank.manifest().content_hash());
        Ok(RetrievedDemonstrations { key, retrieved, bank, bank_hash, shown })
    }
}

/// Where the utterances come from that demonstrations are for.
pub(crate) fn asked(recipe: &Recipe, name: SplitKind, sha256: Option<String>) -> Asked {
    let named = recipe.data.label_set != LabelSetName::Custom;
    let by_labels = || named.then(|| recipe.data.label_set.as_str().to_owned());
    Asked { dataset: recipe.retrieval.dataset_name.clone().or_else(by_labels), split: name, sha256 }
}

impl RetrievedDemonstrations {
    /// Keeps it in the folder of the run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, recipe: &Recipe, name: SplitKind) -> Result<(), PrepareError> {
        Ok(write_cache(&kept(recipe, name), &self.key, &self.retrieved)?)
    }

    /// How it went, for people.
    pub fn summary(&self) -> String {
        self.retrieved.to_string()
    }

    /// Where it came from, for `run.json`.
    pub fn record(&self) -> RetrievalRecord {
        let engine = &self.retrieved.engine;
        RetrievalRecord {
            bank: self.bank.clone(),
            sha256: self.bank_hash.clone(),
            engine: engine.to_string(),
            found_by: Some(engine.decisive()),
        }
    }
}
