//! The parts of a data set.

use std::fmt;
use std::path::Path;

use emotrain_recipe::DataSection;
use serde::{Deserialize, Serialize};

/// Which part of a data set an utterance belongs to. Written `train`, `valid`, `test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// What a model learns from.
    Train,
    /// What chooses between checkpoints.
    Valid,
    /// What measures the outcome.
    Test,
}

impl SplitKind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// Whether it measures: what is held out must never be seen in training or in a prompt.
    pub fn is_held_out(self) -> bool {
        self != Self::Train
    }

    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }

    /// The recipe's file of this split; with `data.split` all are parts of one file.
    pub fn file(self, section: &DataSection) -> Option<&Path> {
        match self {
            Self::Train => Some(&section.train),
            Self::Valid if section.split.len() > 1 => Some(&section.train),
            Self::Valid => section.valid.as_deref(),
            Self::Test if section.split.len() > 2 => Some(&section.train),
            Self::Test => section.test.as_deref(),
        }
    }

    /// How many of its samples the recipe wants at most.
    pub fn limit(self, section: &DataSection) -> Option<usize> {
        match self {
            Self::Train => section.max_train_samples,
            Self::Valid => section.max_valid_samples,
            Self::Test => section.max_test_samples,
        }
    }

    /// What a file's name says of its contents: `meld.valid.json`, `dev_sent_emo.csv`, `test.jsonl`.
    /// `None` if it says nothing.
    pub fn of_file_name(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_string_lossy().to_lowercase();
        let mut words = stem.split(|character: char| !character.is_alphabetic());
        words.find_map(Self::of_lower_case)
    }

    /// The split that a word names, as data sets call it: `dev`, `Validation`. `None` if it names none.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::of_lower_case(&word.trim().to_lowercase())
    }

    fn of_lower_case(word: &str) -> Option<Self> {
        match word {
            "train" | "training" => Some(Self::Train),
            "valid" | "validation" | "val" | "dev" | "development" => Some(Self::Valid),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
