//! The labels of a data file as a label set.

use std::path::Path;

use emotrain_base::{Complaint, nearest};
use emotrain_curriculum::{CurriculumError, Wheel};
use emotrain_data::{LabelSet, Survey, emotion_of};
use emotrain_recipe::LabelSetName;

use crate::commands::curriculum::labels_of;

/// A label set for a file.
pub(super) struct Labels {
    pub(super) name: LabelSetName,
    pub(super) set: LabelSet,
    /// Why no curriculum by emotion shifts is possible, or `None`.
    pub(super) off_wheel: Option<String>,
    /// Labels that may be misspelt: `hapy × 1: did you mean joy?`
    pub(super) slips: Vec<String>,
    /// Labels that may stand for none, and those that seem to be several.
    pub(super) unmeant: Vec<String>,
}

/// Words that often stand for no label, folded.
const NO_LABEL: [&str; 12] =
    ["n/a", "#n/a", "na", "?", "??", "unknown", "unclear", "unsure", "undefined", "tbd", "todo", "skip"];

/// What separates labels of one cell.
const BETWEEN: [char; 5] = [',', ';', '|', '/', '+'];

/// A label that occurs at most so often may be a slip.
const SLIP: usize = 2;

/// And one that occurs this many times as often may be what is meant.
const MEANT: usize = 5;

impl Labels {
    /// A built-in set of which every label occurs, or else the words of the file by the alphabet: another file with the
    /// same labels has the same prompt.
    ///
    /// # Errors
    /// Fewer than two labels, or more than a set can have.
    pub(super) fn of(found: &Survey, path: &Path) -> anyhow::Result<Self> {
        let mut words: Vec<&str> = found.labels.iter().map(|(word, _)| word.as_str()).collect();
        words.sort_by_key(|word| word.to_lowercase());
        let (name, set) = match builtin(found, &words, path) {
            Some(builtin) => builtin,
            None => (LabelSetName::Custom, custom(&words, path)?),
        };
        let off_wheel = match Wheel::builtin().similarity(&set, None) {
            Ok(_) => None,
            Err(error @ CurriculumError::UnknownEmotions { .. }) => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let slips = if name == LabelSetName::Custom { slips(found) } else { Vec::new() };
        Ok(Self { name, set, off_wheel, slips, unmeant: unmeant(found) })
    }
}

/// What is to be said of labels that are none, or several.
fn unmeant(found: &Survey) -> Vec<String> {
    let words = || found.labels.iter().map(|(word, _)| word.as_str());
    let counted = |chosen: &dyn Fn(&str) -> bool| -> (Vec<String>, Vec<String>) {
        let chosen = found.labels.iter().filter(|(word, _)| chosen(word));
        chosen.map(|(word, count)| (format!("{word} × {count}"), format!("{word:?}"))).unzip()
    };
    let is_none = |word: &str| NO_LABEL.contains(&word.trim().to_lowercase().as_str());
    let is_label = |part: &str| words().any(|word| word.to_lowercase() == part.trim().to_lowercase());
    let is_several = |word: &str| word.contains(BETWEEN) && word.split(BETWEEN).all(is_label);
    let mut told = Vec::new();
    let (counts, names) = counted(&is_none);
    if !counts.is_empty() {
        told.push(format!(
            "{}: if that stands for no label, take it out of labels and write context_labels = [{}] under [data]",
            counts.join(", "),
            names.join(", ")
        ));
    }
    let (counts, _) = counted(&is_several);
    if !counts.is_empty() {
        told.push(format!(
            "{}: several labels at once are one of their own; an utterance has one",
            counts.join(", ")
        ));
    }
    told
}

/// Labels that hardly occur beside a frequent one of a near name.
fn slips(found: &Survey) -> Vec<String> {
    let rare = found.labels.iter().filter(|(_, count)| *count <= SLIP);
    let meant = |word: &str, count: usize| {
        let frequent = || {
            let often = found.labels.iter().filter(move |(_, other)| *other >= MEANT * count);
            often.map(|(other, _)| other.as_str())
        };
        // By its letters, or by those of a word for the same emotion: "hapy" for "joy".
        nearest(&word.to_lowercase(), frequent()).or_else(|| {
            let emotion =
                BUILTIN.iter().find_map(|set| LabelSet::builtin(*set).nearest(word).map(emotion_of))?;
            frequent().find(|other| emotion_of(other) == emotion)
        })
    };
    rare.filter_map(|(word, count)| {
        let meant = meant(word, *count).filter(|meant| *meant != word)?;
        Some(format!("{word} × {count}: did you mean {meant}?"))
    })
    .collect()
}

const BUILTIN: [LabelSetName; 4] =
    [LabelSetName::Meld, LabelSetName::Iemocap, LabelSetName::Emorynlp, LabelSetName::Dailydialog];

fn builtin(found: &Survey, words: &[&str], path: &Path) -> Option<(LabelSetName, LabelSet)> {
    if !found.format.is_own() {
        let name = labels_of(found.format.as_str(), path);
        return Some((name, LabelSet::builtin(name)));
    }
    BUILTIN.into_iter().map(|name| (name, LabelSet::builtin(name))).find(|(_, set)| {
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
