//! Data sets as files: a split of dialogues, a split of plain documents, and what must not be shared.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::dialogue::{Dialogue, UtteranceId};
use crate::error::{DataError, DataProblem, Place};
use crate::label::LabelSet;
use crate::summary::SplitSummary;

/// The dialogues of one file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The file they come from (for DailyDialog the file of dialogues).
    pub path: PathBuf,
    /// Of the bytes read: for DailyDialog the dialogues followed by the emotions.
    pub sha256: String,
    /// In the file's order; at least one.
    pub dialogues: Vec<Dialogue>,
    /// Utterances whose text or speaker held stray control characters.
    pub mended: usize,
}

impl Split {
    /// The number of utterances in all dialogues.
    pub fn utterance_count(&self) -> usize {
        self.dialogues.iter().map(|dialogue| dialogue.utterances.len()).sum()
    }

    /// Every utterance's id, in order.
    pub fn utterance_ids(&self) -> impl Iterator<Item = UtteranceId> + '_ {
        self.dialogues.iter().flat_map(|dialogue| {
            (0..dialogue.utterances.len()).map(|position| dialogue.utterance_id(position))
        })
    }

    /// Counts for people to read.
    pub fn summary(&self, labels: &LabelSet) -> SplitSummary {
        SplitSummary::of(self, labels)
    }
}

/// The documents of a plain text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSplit {
    /// The file they come from.
    pub path: PathBuf,
    /// Of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// In the file's order; at least one, none empty, lines within one separated by `\n`.
    pub documents: Vec<String>,
    /// Documents that held stray control characters.
    pub mended: usize,
}

/// Refuses splits that share data: the same file or a copy of it twice, or a dialogue with equal
/// id and equal texts in two of them. Equal ids alone are fine: MELD counts each split from 0.
///
/// # Errors
/// The first thing shared, placed in the later split.
pub fn check_disjoint(splits: &[&Split]) -> Result<(), DataError> {
    for (index, later) in splits.iter().enumerate() {
        for earlier in &splits[..index] {
            if earlier.sha256 == later.sha256 || same_path(earlier, later) {
                let problem = DataProblem::SameFile(earlier.path.display().to_string());
                return Err(DataError::new(Place::file(&later.path), problem));
            }
        }
    }
    let mut seen: HashMap<&str, Vec<(&Split, &Dialogue)>> = HashMap::new();
    for split in splits {
        for dialogue in &split.dialogues {
            let namesakes = seen.entry(&dialogue.id).or_default();
            if let Some((earlier, _)) = namesakes.iter().find(|(_, other)| same_texts(other, dialogue)) {
                let subject = Some(format!("dialogue {}", dialogue.id));
                let place = Place { path: split.path.clone(), line: None, subject };
                let problem = DataProblem::SharedDialogue(earlier.path.display().to_string());
                return Err(DataError::new(place, problem));
            }
            namesakes.push((split, dialogue));
        }
    }
    Ok(())
}

fn same_path(one: &Split, other: &Split) -> bool {
    match (fs_err::canonicalize(&one.path), fs_err::canonicalize(&other.path)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.path == other.path,
    }
}

fn same_texts(one: &Dialogue, other: &Dialogue) -> bool {
    one.utterances
        .iter()
        .map(|utterance| &utterance.text)
        .eq(other.utterances.iter().map(|utterance| &utterance.text))
}

#[cfg(test)]
mod tests;
