//! A split once it is encoded.

use emotrain_prompt::{Sample, Task, TokenCounts};

use super::{Content, Found, Known, Purpose};
use crate::cli::SplitName;

/// A data file with its samples.
pub(crate) struct Material {
    pub(crate) name: SplitName,
    pub(crate) purpose: Purpose,
    pub(crate) content: Content,
    /// What its prompts show, where the recipe has a bank.
    pub(crate) found: Option<Found>,
    /// What is known about its utterances.
    pub(crate) known: Known,
    pub(crate) samples: Vec<Sample>,
}

impl Material {
    /// Counts of the samples.
    pub(crate) fn counts(&self) -> TokenCounts {
        TokenCounts::of(&self.samples)
    }

    /// How many of the samples ask for something else than an emotion.
    pub(super) fn auxiliary(&self) -> usize {
        let counts = Task::counts(&self.samples);
        Task::AUXILIARY.iter().filter_map(|task| counts.get(task)).sum()
    }

    /// The counts for people; questions without answers supervise nothing by their nature.
    pub(crate) fn counted(&self) -> String {
        self.counts().to_string().replace(" (0 supervised)", "")
    }
}
