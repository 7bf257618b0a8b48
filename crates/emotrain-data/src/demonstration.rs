//! Demonstrations: labelled utterances that a prompt shows as examples.
//!
//! A [`Demonstration`] is an utterance with its origin. Dialogue ids collide between data sets and between the splits
//! of one, so it is identified by data set, split, dialogue and position together. It has its data set's label and the
//! name that all data sets share for that emotion, so that a prompt can show the label of its own data set.

mod load;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::label::{LabelSet, emotion_of};
use crate::split::Split;
use crate::split_kind::SplitKind;

pub use self::load::{DemonstrationFile, load_demonstrations, load_prc_demonstrations};

/// A labelled utterance shown as an example. One line of JSON:
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
    /// The split.
    pub split: SplitKind,
    /// The dialogue's id within the split, never empty.
    pub dialogue: String,
    /// Position in the dialogue, counted from 0.
    pub position: usize,
    /// The speaker, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// The domain, such as "family", if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The text: trimmed, repaired, never empty.
    pub text: String,
    /// The emotion, as the data set names it.
    pub label: String,
    /// The emotion's name shared by all data sets: see [`emotion_of`].
    pub emotion: String,
}

/// The identity of a demonstration. Written `dataset/split/dialogue#position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DemonstrationId<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// The split.
    pub split: SplitKind,
    /// The dialogue's id.
    pub dialogue: &'a str,
    /// Position in the dialogue, counted from 0.
    pub position: usize,
}

impl fmt::Display for DemonstrationId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}#{}", self.dataset, self.split, self.dialogue, self.position)
    }
}

/// The origin of utterances that become demonstrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// The split.
    pub split: SplitKind,
    /// The domain of all of them, if there is one.
    pub domain: Option<&'a str>,
}

/// A demonstration as shown in a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownDemonstration {
    /// The text.
    pub text: String,
    /// The emotion, as the prompt's data set names it if it has that emotion.
    pub label: String,
    /// The data set it comes from, if shown.
    pub source: Option<String>,
    /// Its similarity to the target utterance, if shown.
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

    /// The name of its emotion in a prompt for `target`'s data: that label set's own name if it has the emotion, else
    /// the name in the demonstration's data set.
    pub fn shown_label<'a>(&'a self, target: &'a LabelSet) -> &'a str {
        let known = target.resolve(&self.label).or_else(|| target.resolve(&self.emotion));
        known.map_or(&self.label, |label| target.name(label))
    }
}

impl Split {
    /// The split's utterances as demonstrations, in order, without unlabelled ones.
    ///
    /// # Panics
    /// If an utterance has a label that is not in `labels`, which the split was read with.
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
