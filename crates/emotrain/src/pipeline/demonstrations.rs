//! Demonstrations from the recipe's bank for the utterances of a file.

use std::path::PathBuf;

use emotrain_data::{LabelSet, ShownDemonstration, Split, SplitKind};
use emotrain_recipe::{LabelSetName, Recipe};
use emotrain_retrieval::{Asked, Bank, Retrieved, Retriever, cache_key, read_cache, write_cache};
use serde_json::{Value, json};

use super::content::Content;
use crate::cli::SplitName;
use crate::exit::Complaint;

/// What was found for the utterances of one file.
#[derive(Debug)]
pub(crate) struct Found {
    key: String,
    retrieved: Retrieved,
    bank: PathBuf,
    bank_hash: String,
    /// By utterance, in the order of the file; the most similar first.
    pub(crate) shown: Vec<Vec<ShownDemonstration>>,
}

impl SplitName {
    /// As banks call it.
    pub(crate) fn kind(self) -> SplitKind {
        match self {
            Self::Train => SplitKind::Train,
            Self::Valid => SplitKind::Valid,
            Self::Test => SplitKind::Test,
        }
    }

    /// The file of a run that keeps what was found for this split.
    fn kept(self, recipe: &Recipe) -> PathBuf {
        recipe.train.output_dir.join(format!("retrieved.{}.json", self.as_str()))
    }
}

/// Looks up what the recipe's prompts show; nothing without a bank or without the slot. What a run has found before is taken from its
/// folder.
///
/// # Errors
/// A bank that cannot be opened or searched; text without utterances.
pub(crate) fn find(
    recipe: &Recipe,
    labels: &LabelSet,
    content: &Content,
    name: SplitName,
) -> anyhow::Result<Option<Found>> {
    let section = &recipe.retrieval;
    let shown = recipe.prompt.slots.has("demonstrations");
    let Some(folder) = section.bank.as_ref().filter(|_| shown) else { return Ok(None) };
    let Content::Dialogues(split) = content else {
        let message = format!("retrieval.bank = \"{}\": plain text has no utterances", folder.display());
        return Err(Complaint::usage(message).hint("leave the section [retrieval] out").into());
    };
    let bank = Bank::open(folder)?;
    let retriever = Retriever::new(&bank, section, None)?;
    let asked = asked(recipe, split, name);
    let key = cache_key(&bank, section, &retriever.engine(), split, &asked);
    let retrieved = match read_cache(&name.kept(recipe), &key, split) {
        Some(kept) => kept,
        None => retriever.for_split(split, &asked)?,
    };
    let shown =
        retrieved.hits.iter().map(|(_, hits)| retriever.shown(hits, labels)).collect::<Result<_, _>>()?;
    let bank_hash = bank.manifest().content_hash();
    Ok(Some(Found { key, retrieved, bank: folder.clone(), bank_hash, shown }))
}

fn asked(recipe: &Recipe, split: &Split, name: SplitName) -> Asked {
    let named = recipe.data.label_set != LabelSetName::Custom;
    let by_labels = || named.then(|| recipe.data.label_set.as_str().to_owned());
    Asked {
        dataset: recipe.retrieval.dataset_name.clone().or_else(by_labels),
        split: name.kind(),
        sha256: Some(split.sha256.clone()),
    }
}

impl Found {
    /// Keeps it in the folder of the run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep(&self, recipe: &Recipe, name: SplitName) -> anyhow::Result<()> {
        Ok(write_cache(&name.kept(recipe), &self.key, &self.retrieved)?)
    }

    /// How it went, for people.
    pub(crate) fn summary(&self) -> String {
        self.retrieved.to_string()
    }

    /// Where it came from, for `run.json`.
    pub(crate) fn record(&self) -> Value {
        json!({ "bank": self.bank, "sha256": self.bank_hash, "engine": self.retrieved.engine.to_string() })
    }
}
