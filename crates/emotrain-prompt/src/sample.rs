//! Samples, the input of training and evaluation: token ids and where supervision starts.

use std::collections::BTreeMap;
use std::fmt;

use emotrain_data::{Label, UtteranceId};

use crate::task::Task;

/// One utterance as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The target utterance.
    pub id: UtteranceId,
    /// The question; `None` for plain text.
    pub task: Option<Task>,
    /// The prompt's tokens, then those of the answer, if there is one.
    pub ids: Vec<u32>,
    /// `ids[prompt_len..]` are supervised; equal to `ids.len()` without an answer.
    pub prompt_len: usize,
    /// The true label, if known.
    pub label: Option<Label>,
    /// Earlier utterances of the window that were dropped to fit.
    pub dropped_history: usize,
    /// Later utterances of the window that were dropped to fit.
    pub dropped_future: usize,
    /// Demonstrations in the prompt.
    pub demonstrations: usize,
    /// Demonstrations that were dropped to fit, the least similar ones.
    pub dropped_demonstrations: usize,
}

impl Sample {
    /// The number of samples per question; plain text has none.
    pub fn tasks(samples: &[Self]) -> BTreeMap<Task, usize> {
        let mut counts = BTreeMap::new();
        for task in samples.iter().filter_map(|sample| sample.task) {
            *counts.entry(task).or_default() += 1;
        }
        counts
    }

    /// The tokens of the prompt, up to the answer.
    pub fn prompt(&self) -> &[u32] {
        &self.ids[..self.prompt_len]
    }

    /// Index of the first token in the loss: never the first of a sample, which has no predecessor.
    pub fn supervised_from(&self) -> usize {
        self.prompt_len.max(1)
    }

    /// The number of tokens in the loss.
    pub fn supervised(&self) -> usize {
        self.ids.len().saturating_sub(self.supervised_from())
    }

    /// The tokens that follow the prompt.
    pub fn completion(&self) -> &[u32] {
        &self.ids[self.prompt_len..]
    }
}

/// One token of a [`Sample`], for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The token's id.
    pub id: u32,
    /// Its part of the text; empty if a later token completes the character.
    pub text: String,
    /// Whether it is in the loss.
    pub supervised: bool,
}

/// Token counts of a list of samples. Displayed as one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Number of samples.
    pub samples: usize,
    /// Tokens of all samples.
    pub tokens: usize,
    /// Tokens in the loss.
    pub supervised_tokens: usize,
    /// Tokens of the longest sample.
    pub longest: usize,
    /// Samples that dropped utterances of their window to fit.
    pub shortened: usize,
    /// Utterances dropped from all windows together.
    pub dropped_utterances: usize,
    /// Demonstrations in all prompts together.
    pub demonstrations: usize,
    /// Demonstrations dropped to fit.
    pub dropped_demonstrations: usize,
}

impl TokenCounts {
    /// Counts the samples.
    pub fn of(samples: &[Sample]) -> Self {
        let mut counts = Self::default();
        for sample in samples {
            let dropped = sample.dropped_history + sample.dropped_future;
            counts.samples += 1;
            counts.tokens += sample.ids.len();
            counts.supervised_tokens += sample.supervised();
            counts.longest = counts.longest.max(sample.ids.len());
            counts.shortened += usize::from(dropped > 0);
            counts.dropped_utterances += dropped;
            counts.demonstrations += sample.demonstrations;
            counts.dropped_demonstrations += sample.dropped_demonstrations;
        }
        counts
    }
}

impl fmt::Display for TokenCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, tokens, supervised_tokens, longest, shortened, dropped_utterances, .. } = self;
        let Self { demonstrations, dropped_demonstrations, .. } = self;
        write!(f, "{samples} samples, {tokens} tokens ({supervised_tokens} supervised), longest {longest}")?;
        if *shortened > 0 {
            write!(f, "; {shortened} shortened by {dropped_utterances} context utterances to fit")?;
        }
        if *demonstrations + *dropped_demonstrations > 0 {
            write!(f, "; {demonstrations} demonstrations shown")?;
        }
        if *dropped_demonstrations > 0 {
            write!(f, ", {dropped_demonstrations} dropped to fit")?;
        }
        Ok(())
    }
}
