//! Overlap between splits.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use emotrain_base::sha256_hex;
use emotrain_recipe::{DataFormat, SharedDialogues};

use super::Split;
use crate::dialogue::Dialogue;
use crate::error::{DataError, DataProblem, Place};

/// Dialogues with fewer words occur in many conversations ("Hi. - Hello!").
const LEAST_WORDS: usize = 3;

/// Dialogues with at least this many words are never equal by accident, whoever the speakers are.
const TELLING_WORDS: usize = 12;

/// A dialogue that occurs in two splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedDialogue {
    /// The earlier split's file.
    pub earlier: PathBuf,
    /// The dialogue's id in it.
    pub earlier_id: String,
    /// The later split's file.
    pub later: PathBuf,
    /// The dialogue's id in it.
    pub later_id: String,
}

impl fmt::Display for SharedDialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { earlier, earlier_id, later_id, .. } = self;
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().display().to_string();
        write!(f, "{later_id} is {earlier_id} of {}", name(earlier))
    }
}

/// Finds overlap between splits: the same file or a copy of it, and dialogues of more than a few words whose texts and
/// speakers are equal up to case, spaces and punctuation, whatever their ids. For long ones the texts alone decide, for
/// shorter ones the id has to be equal, too. Equal ids alone are fine: MELD counts each split from 0.
///
/// # Errors
/// The same file twice. A dialogue in two splits if `rule` refuses it; [`SharedDialogues::Auto`] refuses it in
/// data of one's own and if at least half of a split is shared.
pub fn check_disjoint(
    splits: &[&Split],
    format: DataFormat,
    rule: SharedDialogues,
) -> Result<Vec<SharedDialogue>, DataError> {
    for (index, later) in splits.iter().enumerate() {
        for earlier in &splits[..index] {
            // Parts of one file are different dialogues of it.
            let are_parts = earlier.part.is_some() && later.part.is_some() && earlier.part != later.part;
            if !are_parts && (earlier.sha256 == later.sha256 || same_path(earlier, later)) {
                let problem = DataProblem::SameFile(earlier.path.display().to_string());
                return Err(DataError::new(Place::file(&later.path), problem));
            }
        }
    }
    let (mut seen, mut shared) = (HashMap::new(), Vec::new());
    for (number, split) in splits.iter().enumerate() {
        let before = shared.len();
        for dialogue in &split.dialogues {
            let &mut (first, ref id) =
                seen.entry(key(dialogue)).or_insert_with(|| (number, dialogue.id.clone()));
            if first != number {
                shared.push(SharedDialogue {
                    earlier: splits[first].path.clone(),
                    earlier_id: id.clone(),
                    later: split.path.clone(),
                    later_id: dialogue.id.clone(),
                });
            }
        }
        let is_half = (shared.len() - before) * 2 >= split.dialogues.len();
        let refused = match rule {
            SharedDialogues::Refuse => true,
            SharedDialogues::Auto => format.is_own() || is_half,
            SharedDialogues::Report => false,
        };
        if let Some(first) = shared[before..].first().filter(|_| refused) {
            return Err(refusal(first, shared.len() - before));
        }
    }
    Ok(shared)
}

fn refusal(first: &SharedDialogue, count: usize) -> DataError {
    let subject = Some(format!("dialogue {}", first.later_id));
    let place = Place { path: first.later.clone(), line: None, subject };
    let also = if first.earlier_id == first.later_id {
        first.earlier.display().to_string()
    } else {
        format!("{}, as {}", first.earlier.display(), first.earlier_id)
    };
    DataError::new(place, DataProblem::SharedDialogue { also, more: count - 1 })
}

/// What identifies a dialogue. A short one counts only together with its id.
pub(super) fn key(dialogue: &Dialogue) -> String {
    let (mut text, mut speakers, mut words) = (String::new(), String::new(), 0);
    for utterance in &dialogue.utterances {
        for word in words_of(&utterance.text) {
            text.push_str(&word);
            text.push(' ');
            words += 1;
        }
        text.push('\n');
        speakers.push_str(utterance.speaker.trim());
        speakers.push('\n');
    }
    let identity = match words {
        0..LEAST_WORDS => format!("{}\0{speakers}", dialogue.id),
        LEAST_WORDS..TELLING_WORDS => speakers,
        _ => String::new(),
    };
    sha256_hex(format!("{identity}\0{text}").as_bytes())
}

/// The words of a text in small letters.
pub(super) fn words_of(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase)
}

fn same_path(one: &Split, other: &Split) -> bool {
    match (fs_err::canonicalize(&one.path), fs_err::canonicalize(&other.path)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.path == other.path,
    }
}
