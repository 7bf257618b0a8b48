//! Label sets, and the one table of emotion names.

mod unlabelled;

use std::collections::HashMap;

use emotrain_recipe::{DataSection, LabelSetName, composed, folded, has_control};
use serde::{Deserialize, Serialize};

use crate::error::DataProblem;
use crate::mend::without_invisible;

/// MELD's labels in the order of its published integer labels.
const MELD: &[&str] = &["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"];
/// IEMOCAP's six, in the order that is customary for the six-class task.
const IEMOCAP: &[&str] = &["happy", "sad", "neutral", "angry", "excited", "frustrated"];
/// EmoryNLP's seven, the primary emotions of the feeling wheel.
const EMORYNLP: &[&str] = &["joyful", "mad", "peaceful", "neutral", "sad", "powerful", "scared"];
/// DailyDialog's labels in the order of its published integers, 0 to 6.
const DAILYDIALOG: &[&str] = &["no_emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise"];

/// Names of the same emotion in different data sets: each is an alias of the built-in label in its row. Three-letter
/// names are IEMOCAP's own abbreviations.
const SAME_EMOTION: &[&[&str]] = &[
    &["neutral", "no_emotion", "neu"],
    &["joy", "happy", "happiness", "joyful", "hap"],
    &["sadness", "sad"],
    &["anger", "angry", "mad", "ang"],
    &["fear", "scared", "afraid", "fearful", "fea"],
    &["surprise", "surprised", "sur"],
    &["disgust", "disgusted", "dis"],
    &["excitement", "excited", "exc"],
    &["frustration", "frustrated", "fru"],
];

/// The maximum number of labels: a [`Label`] is one byte.
const MOST_LABELS: usize = 256;

/// An emotion, as an index into a [`LabelSet`]. Serialised as that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(u8);

impl Label {
    /// The label's index in its set.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The label with an index.
    ///
    /// # Panics
    /// If `index` is above 255, the limit of a label set.
    pub fn from_index(index: usize) -> Self {
        let Ok(index) = u8::try_from(index) else { panic!("label index {index} is above 255") };
        Self(index)
    }
}

/// Why labels do not form a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelSetError {
    /// Fewer than two labels.
    #[error("a label set needs at least 2 labels, got {0}")]
    TooFew(usize),
    /// More labels than [`Label`] can represent.
    #[error("a label set has at most 256 labels, got {0}")]
    TooMany(usize),
    /// An empty label or alias.
    #[error("a label or alias is empty")]
    EmptyName,
    /// A label or alias with a line break or another control character.
    #[error("the label or alias {0:?} has a line break or another control character")]
    Control(String),
    /// Two labels, or a label and an alias, that differ only in case, spacing or Unicode normalisation.
    #[error("\"{0}\" means two labels")]
    Ambiguous(String),
    /// A label that is also a word for unlabelled utterances.
    #[error("data.context_labels names \"{0}\", which is a label of the label set")]
    LabelAsContext(String),
    /// An alias of something that is not a label.
    #[error("alias \"{alias}\" names \"{label}\", which is not a label")]
    AliasOfNothing {
        /// The alias.
        alias: String,
        /// Its target.
        label: String,
    },
}

/// A closed, ordered set of emotions with the spellings that files may use for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    names: Vec<String>,
    /// Normalised spelling to label; never iterated.
    spellings: HashMap<String, Label>,
    /// The recipe's words for unlabelled utterances, normalised.
    context: Vec<String>,
    /// Whether it is the set that knows no label.
    is_unknowing: bool,
}

impl LabelSet {
    /// The labels of a published data set in its own order, with other data sets' names for the same emotions as
    /// aliases. [`LabelSetName::Custom`] has no labels of its own: see [`LabelSet::custom`].
    ///
    /// # Panics
    /// For [`LabelSetName::Custom`].
    pub fn builtin(name: LabelSetName) -> Self {
        let names = match name {
            LabelSetName::Meld => MELD,
            LabelSetName::Iemocap => IEMOCAP,
            LabelSetName::Emorynlp => EMORYNLP,
            LabelSetName::Dailydialog => DAILYDIALOG,
            LabelSetName::Custom => panic!("a custom label set is made from the recipe's labels"),
        };
        let aliases = names.iter().flat_map(|name| synonyms(name).map(move |synonym| (synonym, *name)));
        match Self::custom(names.iter().copied(), aliases) {
            Ok(set) => set,
            Err(error) => panic!("the table of built-in labels is wrong: {error}"),
        }
    }

    /// A custom label set: `names` in order, and `aliases` as pairs of alias and label name.
    ///
    /// # Errors
    /// Fewer than 2 or more than 256 labels, empty names, a line break in a name, a spelling of two labels, an alias of something that is not a
    /// label.
    pub fn custom<'a>(
        names: impl IntoIterator<Item = &'a str>,
        aliases: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LabelSetError> {
        let names: Vec<&str> = names.into_iter().collect();
        let aliases: Vec<(&str, &str)> = aliases.into_iter().collect();
        let words = names.iter().chain(aliases.iter().map(|(alias, _)| alias));
        if let Some(word) = words.copied().find(|word| has_control(word)) {
            return Err(LabelSetError::Control(word.to_owned()));
        }
        let names: Vec<String> =
            names.into_iter().map(|name| composed(without_invisible(name).trim())).collect();
        if names.len() < 2 {
            return Err(LabelSetError::TooFew(names.len()));
        }
        if names.len() > MOST_LABELS {
            return Err(LabelSetError::TooMany(names.len()));
        }
        let mut set =
            Self { names: Vec::new(), spellings: HashMap::new(), context: Vec::new(), is_unknowing: false };
        for (index, name) in names.iter().enumerate() {
            set.add_spelling(name, Label::from_index(index))?;
        }
        let own = set.spellings.clone();
        for (alias, label) in aliases {
            let Some(&target) = own.get(&normalise(label)) else {
                return Err(LabelSetError::AliasOfNothing { alias: alias.into(), label: label.into() });
            };
            if set.spellings.get(&normalise(alias)) != Some(&target) {
                set.add_spelling(alias, target)?;
            }
        }
        set.names = names;
        Ok(set)
    }

    /// A set that knows no label and no mark of data sets: every word and every number of a file is unknown to it.
    pub(crate) fn unknowing() -> Self {
        let Ok(set) = Self::custom(["\u{f0000}", "\u{f0001}"], []) else {
            unreachable!("two labels are a set")
        };
        Self { is_unknowing: true, ..set }
    }

    /// Whether it is that set.
    pub(crate) fn is_unknowing(&self) -> bool {
        self.is_unknowing
    }

    /// The label set of a recipe's `[data]` section.
    ///
    /// # Errors
    /// The errors of [`LabelSet::custom`] for a custom set; [`LabelSetError::LabelAsContext`].
    pub fn from_section(section: &DataSection) -> Result<Self, LabelSetError> {
        let mut set = if section.label_set == LabelSetName::Custom {
            let names = section.labels.iter().map(String::as_str);
            let aliases = section.label_aliases.iter();
            Self::custom(names, aliases.map(|(alias, label)| (alias.as_str(), label.as_str())))?
        } else {
            Self::builtin(section.label_set)
        };
        if let Some(label) = section.context_labels.iter().find(|word| set.resolve(word).is_some()) {
            return Err(LabelSetError::LabelAsContext(label.clone()));
        }
        set.context = section.context_labels.iter().map(|word| normalise(word)).collect();
        Ok(set)
    }

    fn add_spelling(&mut self, spelling: &str, label: Label) -> Result<(), LabelSetError> {
        let key = normalise(spelling);
        if key.is_empty() {
            return Err(LabelSetError::EmptyName);
        }
        match self.spellings.insert(key, label) {
            None => Ok(()),
            Some(_) => Err(LabelSetError::Ambiguous(spelling.trim().to_owned())),
        }
    }

    /// The label with this name or alias, ignoring case, Unicode normalisation, and the difference between spaces,
    /// hyphens and underscores.
    pub fn resolve(&self, spelling: &str) -> Option<Label> {
        // Fast path: most files use our spelling.
        let known = self.spellings.get(spelling);
        known.or_else(|| self.spellings.get(&normalise(spelling))).copied()
    }

    /// The label with this number as its name, or else with this place.
    ///
    /// # Errors
    /// A number without a label.
    pub(crate) fn numbered(&self, number: i64) -> Result<Label, DataProblem> {
        self.resolve(&number.to_string()).map_or_else(|| self.at(number), Ok)
    }

    /// The label with this place.
    ///
    /// # Errors
    /// A place without a label.
    pub(crate) fn at(&self, place: i64) -> Result<Label, DataProblem> {
        match usize::try_from(place) {
            Ok(place) if place < self.len() => Ok(Label::from_index(place)),
            _ => Err(DataProblem::LabelOutOfRange { label: place, last: self.len() - 1 }),
        }
    }

    /// The problem with a word that is none of the labels.
    pub(crate) fn unknown(&self, word: &str) -> DataProblem {
        DataProblem::UnknownLabel {
            label: word.trim().to_owned(),
            nearest: self.nearest(word).map(str::to_owned),
            known: self.names.join(", "),
        }
    }

    /// Whether a spelling that is no label means "no label": nothing at all, the marks of published data sets (`xxx`,
    /// `oth`, -1), or a word of `data.context_labels`.
    pub fn is_unlabelled(&self, spelling: &str) -> bool {
        let is_mark =
            if self.is_unknowing { normalise(spelling).is_empty() } else { is_unlabelled(spelling) };
        is_mark || self.context.contains(&normalise(spelling))
    }

    /// The label's name.
    ///
    /// # Panics
    /// If the label belongs to a larger set.
    pub fn name(&self, label: Label) -> &str {
        &self.names[label.index()]
    }

    /// The names of all labels, by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of labels: 2 to 256.
    #[expect(clippy::len_without_is_empty, reason = "a label set is never empty")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// All labels, by index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Label> + use<> {
        (0..self.names.len()).map(Label::from_index)
    }

    /// The label whose name or alias is most similar to a misspelling, or that is the same emotion, if there is one; for
    /// hints.
    pub fn nearest(&self, misspelling: &str) -> Option<&str> {
        let wrong = normalise(misspelling);
        let mut known: Vec<(Label, &str)> =
            self.spellings.iter().map(|(spelling, label)| (*label, spelling.as_str())).collect();
        known.sort_unstable();
        let near = emotrain_base::nearest(&wrong, known.iter().map(|(_, spelling)| *spelling));
        let emotion = emotion_of(misspelling);
        let same = || self.names.iter().map(String::as_str).find(|name| emotion_of(name) == emotion);
        near.map(|near| self.name(self.spellings[near])).or_else(same)
    }
}

/// Whether a word in a file means "no label" in every label set: nothing at all, or a mark of published data sets.
pub(crate) fn is_unlabelled(word: &str) -> bool {
    normalise(word).is_empty() || unlabelled::is_mark(word)
}

/// The name that all data sets share for the emotion `word`: "joy" for "happy" and for "Happiness". A word that no
/// built-in set has is its own name, in lower case with underscores.
pub fn emotion_of(word: &str) -> String {
    let word = normalise(word);
    let row = SAME_EMOTION.iter().find(|row| row.contains(&word.as_str()));
    row.and_then(|row| row.first()).map_or(word, |name| (*name).to_owned())
}

/// Whether a built-in set has an emotion of this name.
pub(crate) fn is_emotion(word: &str) -> bool {
    let word = normalise(word);
    let builtin = [MELD, IEMOCAP, EMORYNLP, DAILYDIALOG];
    let is_same = SAME_EMOTION.iter().any(|row| row.contains(&word.as_str()));
    is_same || builtin.iter().any(|set| set.contains(&word.as_str()))
}

/// The other names in the row of `name`.
fn synonyms(name: &'static str) -> impl Iterator<Item = &'static str> {
    let row = SAME_EMOTION.iter().find(|row| row.contains(&name)).copied().unwrap_or_default();
    row.iter().copied().filter(move |synonym| *synonym != name)
}

/// The normalised spelling, visible characters only.
fn normalise(spelling: &str) -> String {
    folded(&without_invisible(spelling))
}

#[cfg(test)]
mod tests;
