//! Demonstrations: labelled utterances that a prompt shows as examples.
//!
//! A [`Demonstration`] is an utterance that knows where it comes from. Ids of dialogues collide between
//! data sets and between the splits of one, so its identity is data set, split, dialogue and position
//! together. It keeps the word its data set has for the emotion and beside it the name that all data
//! sets share, so that a prompt can show the word of the data set it asks about.

mod load;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::label::{LabelSet, emotion_of};
use crate::split::Split;
use crate::split_kind::SplitKind;

pub use self::load::{DemonstrationFile, load_demonstrations, load_prc_demonstrations};

/// A labelled utterance to learn from by example. One line of JSON:
///
/// ```json
/// {"dataset":"meld","split":"train","dialogue":"12","position":3,"speaker":"Ana","text":"…","label":"happy","emotion":"joy"}
/// ```
///
/// `speaker` and `domain` may be absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demonstration {
    /// The data set's name, never empty.
    pub dataset: String,
    /// Its part.
    pub split: SplitKind,
    /// The dialogue's id within the split, never empty.
    pub dialogue: String,
    /// Place in the dialogue, counted from 0.
    pub position: usize,
    /// Who said it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Walk of life it is about, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What was said: trimmed, mended, never empty.
    pub text: String,
    /// The emotion, in the data set's own word.
    pub label: String,
    /// The emotion, in the word that all data sets share: see [`emotion_of`].
    pub emotion: String,
}

/// What names a demonstration. Written `dataset/split/dialogue#position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DemonstrationId<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// Its part.
    pub split: SplitKind,
    /// The dialogue's id.
    pub dialogue: &'a str,
    /// Place in the dialogue, counted from 0.
    pub position: usize,
}

impl fmt::Display for DemonstrationId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}#{}", self.dataset, self.split, self.dialogue, self.position)
    }
}

/// Where utterances come from that become demonstrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// Its part.
    pub split: SplitKind,
    /// Walk of life of all of them, where it is one.
    pub domain: Option<&'a str>,
}

/// A demonstration as a prompt shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownDemonstration {
    /// What was said.
    pub text: String,
    /// The emotion, in the word of the data set that the prompt asks about where it has one.
    pub label: String,
    /// The data set it comes from, if that is to be shown.
    pub source: Option<String>,
    /// How similar it is to the utterance in question, if that is to be shown.
    pub score: Option<f32>,
}

impl Demonstration {
    /// Its identity.
    pub fn id(&self) -> DemonstrationId<'_> {
        DemonstrationId {
            dataset: &self.dataset,
            split: self.split,
            dialogue: &self.dialogue,
            position: self.position,
        }
    }

    /// The word for its emotion in a prompt about `target`'s data: that label set's own where it has
    /// one for this emotion, else the word of the data set it comes from.
    pub fn shown_label<'a>(&'a self, target: &'a LabelSet) -> &'a str {
        let known = target.resolve(&self.label).or_else(|| target.resolve(&self.emotion));
        known.map_or(&self.label, |label| target.name(label))
    }
}

impl Split {
    /// The split's utterances as demonstrations, in order; those without a label are left out.
    ///
    /// # Panics
    /// If an utterance has a label that is not of `labels`, which the split was read with.
    pub fn demonstrations(&self, labels: &LabelSet, origin: Origin<'_>) -> Vec<Demonstration> {
        let dialogues = self.dialogues.iter();
        let turns = dialogues.flat_map(|dialogue| {
            dialogue.utterances.iter().enumerate().map(move |(position, turn)| (dialogue, position, turn))
        });
        let labelled = turns.filter_map(|(dialogue, position, turn)| {
            let label = labels.name(turn.label?);
            Some(Demonstration {
                dataset: origin.dataset.to_owned(),
                split: origin.split,
                dialogue: dialogue.id.clone(),
                position,
                speaker: Some(turn.speaker.clone()),
                domain: origin.domain.map(str::to_owned),
                text: turn.text.clone(),
                label: label.to_owned(),
                emotion: emotion_of(label),
            })
        });
        labelled.collect()
    }
}

#[cfg(test)]
mod tests;
