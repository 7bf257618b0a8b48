//! Splits: a split of dialogues, a split of plain documents, and overlap between them.

mod divide;
mod near;
mod shared;

use std::path::PathBuf;

use crate::dialogue::{Dialogue, UtteranceId};
use crate::split_kind::SplitKind;

pub(crate) use self::divide::divide;
pub use self::near::{NearCopy, near_copies};
pub use self::shared::{SharedDialogue, check_disjoint};

/// The dialogues of one file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The file (for DailyDialog the dialogues file).
    pub path: PathBuf,
    /// SHA-256 of the bytes read: for DailyDialog the dialogues followed by the emotions.
    pub sha256: String,
    /// In file order; at least one.
    pub dialogues: Vec<Dialogue>,
    /// Utterances whose text or speaker was repaired.
    pub mended: usize,
    /// Utterances with characters that were lost before: the text has U+FFFD.
    pub damaged: usize,
    /// Messages that are no turns and were left out.
    pub left_out: usize,
    /// A column of a table that is read without positions, which gives the rows of dialogues another order.
    pub other_order: Option<String>,
    /// Which part of the file it is, where `data.split` divides it.
    pub part: Option<SplitKind>,
}

impl Split {
    /// Dialogues as they are, which no file is vouched for by: `path` is what messages call their source.
    pub fn of(path: PathBuf, dialogues: Vec<Dialogue>) -> Self {
        let (sha256, part, other_order) = (String::new(), None, None);
        Self { path, sha256, dialogues, mended: 0, damaged: 0, left_out: 0, other_order, part }
    }

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
}

/// The documents of a plain text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSplit {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// In file order; at least one, none empty, lines within one separated by `\n`.
    pub documents: Vec<String>,
    /// Documents that were repaired.
    pub mended: usize,
}

#[cfg(test)]
mod tests;
