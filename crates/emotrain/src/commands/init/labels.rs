//! The labels of a data file as a label set.

use std::path::Path;

use emotrain_base::Complaint;
use emotrain_curriculum::{CurriculumError, Wheel};
use emotrain_data::{LabelSet, Survey};
use emotrain_recipe::LabelSetName;

use crate::commands::curriculum::labels_of;

/// A label set for a file.
pub(super) struct Labels {
    pub(super) name: LabelSetName,
    pub(super) set: LabelSet,
    /// Why no curriculum by emotion shifts is possible, or `None`.
    pub(super) off_wheel: Option<String>,
}

impl Labels {
    /// A built-in set of which every label occurs, or else the words of the file, the most frequent first.
    ///
    /// # Errors
    /// Fewer than two labels, or more than a set can have.
    pub(super) fn of(found: &Survey, path: &Path) -> anyhow::Result<Self> {
        let words: Vec<&str> = found.labels.iter().map(|(word, _)| word.as_str()).collect();
        let (name, set) = match builtin(found, &words, path) {
            Some(builtin) => builtin,
            None => (LabelSetName::Custom, custom(&words, path)?),
        };
        let off_wheel = match Wheel::builtin().similarity(&set, None) {
            Ok(_) => None,
            Err(error @ CurriculumError::UnknownEmotions { .. }) => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { name, set, off_wheel })
    }
}

fn builtin(found: &Survey, words: &[&str], path: &Path) -> Option<(LabelSetName, LabelSet)> {
    if !found.format.is_own() {
        let name = labels_of(found.format.as_str(), path);
        return Some((name, LabelSet::builtin(name)));
    }
    let names =
        [LabelSetName::Meld, LabelSetName::Iemocap, LabelSetName::Emorynlp, LabelSetName::Dailydialog];
    names.into_iter().map(|name| (name, LabelSet::builtin(name))).find(|(_, set)| {
        let meant: Option<Vec<_>> = words.iter().map(|word| set.resolve(word)).collect();
        meant.is_some_and(|meant| set.iter().all(|label| meant.contains(&label)))
    })
}

fn custom(words: &[&str], path: &Path) -> anyhow::Result<LabelSet> {
    if let [] | [_] = words {
        let found = words.first().map_or("no label".to_owned(), |word| format!("one label, {word:?}"));
        let complaint = Complaint::input(format!("{}: has {found}", path.display()));
        return Err(complaint.hint("a model is trained to tell two labels or more apart").into());
    }
    LabelSet::custom(words.iter().copied(), []).map_err(|error| {
        let complaint = Complaint::input(format!("{}: {error}", path.display()));
        complaint.hint("is the column of the labels the right one? A label is a word, not a text").into()
    })
}
