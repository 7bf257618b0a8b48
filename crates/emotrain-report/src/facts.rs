//! What a report of a run is made of. Whoever gathers it decides what of it there is.

use std::collections::BTreeMap;

use emotrain_data::{Dialogue, ShownDemonstration, SplitKind, UtteranceId};
use emotrain_eval::Prediction;
use emotrain_recipe::Recipe;
use emotrain_runs::{MetricsLine, StoredRun};

/// A run and what is known about its data.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The run. Its report has scores of the split.
    pub run: StoredRun,
    /// The split whose predictions are shown.
    pub split: SplitKind,
    /// The training curves.
    pub metrics: Vec<MetricsLine>,
    /// The answers.
    pub predictions: Vec<Prediction>,
    /// The wrong answers to show, as [`confident_errors`](crate::confident_errors) lists them.
    pub errors: Vec<UtteranceId>,
    /// The resolved recipe, if it loads.
    pub recipe: Option<Recipe>,
    /// What the recipe is compared with.
    pub against: Against,
    /// The data files of the run as they are now.
    pub files: Vec<FileFacts>,
    /// What was remarkable when they were read: dialogues in two splits.
    pub shared: Vec<String>,
    /// The dialogues of the split, if its file is the one that was scored.
    pub dialogues: Vec<Dialogue>,
    /// The dialogues of the split by difficulty, the easiest bucket first.
    pub difficulty: Option<DifficultyFacts>,
    /// The demonstrations that prompts could show, by utterance; none without a bank.
    pub demonstrations: BTreeMap<UtteranceId, Vec<ShownDemonstration>>,
    /// The prompts of the errors.
    pub prompts: BTreeMap<UtteranceId, PromptFacts>,
    /// What could not be had, each with its reason.
    pub missing: Vec<String>,
}

/// What a recipe is compared with.
#[derive(Clone, Debug)]
pub enum Against {
    /// The defaults.
    Defaults,
    /// Another run.
    Run {
        /// Its folder.
        name: String,
        /// Its resolved recipe.
        recipe: Box<Recipe>,
    },
}

/// A data file of a run, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The split it is.
    pub split: String,
    /// Whether it is what the run read.
    pub state: FileState,
    /// What it holds, if it was read.
    pub counts: Option<FileCounts>,
}

/// Whether a file is what a run read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It has the digest of `run.json`.
    Same,
    /// It has another one.
    Changed,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// What a data file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Dialogues.
    pub dialogues: usize,
    /// Utterances.
    pub utterances: usize,
    /// Of these, without a label.
    pub unlabelled: usize,
    /// Of these, with repaired text.
    pub mended: usize,
    /// Of these, with lost characters.
    pub damaged: usize,
    /// Utterances by label.
    pub labels: Vec<usize>,
}

/// Dialogues by difficulty.
#[derive(Clone, Debug, PartialEq)]
pub struct DifficultyFacts {
    /// What difficulty is meant.
    pub name: String,
    /// The buckets, the easiest first.
    pub buckets: Vec<DifficultyBucket>,
}

/// Dialogues of similar difficulty.
#[derive(Clone, Debug, PartialEq)]
pub struct DifficultyBucket {
    /// The least difficulty of the bucket.
    pub low: f64,
    /// The greatest.
    pub high: f64,
    /// The ids of its dialogues.
    pub dialogues: Vec<String>,
}

/// What a model was shown for an utterance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptFacts {
    /// The system message; may be empty.
    pub system: String,
    /// The user's message.
    pub user: String,
    /// Demonstrations of the bank that are in the prompt, the most similar first.
    pub demonstrations: usize,
    /// Knowledge sources with their texts for the utterance.
    pub knowledge: Vec<(String, String)>,
}
