//! Conversations and their parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::label::Label;
use crate::metadata::Metadata;

/// One turn: speaker, text and emotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// The speaker's name in the data set, never empty.
    pub speaker: String,
    /// The text: trimmed, repaired, never empty.
    pub text: String,
    /// The true emotion; `None` if it is not known.
    pub label: Option<Label>,
    /// What the file says of it beyond that.
    pub metadata: Metadata,
}

impl Utterance {
    /// An utterance without metadata.
    pub fn new(speaker: String, text: String, label: Option<Label>) -> Self {
        Self { speaker, text, label, metadata: Metadata::default() }
    }
}

/// Utterances in conversation order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// Unique within its split; other splits may use the same id for a different conversation.
    pub id: String,
    /// At least one.
    pub utterances: Vec<Utterance>,
    /// What the file says of it beyond that.
    pub metadata: Metadata,
}

impl Dialogue {
    /// A dialogue without metadata.
    pub fn new(id: String, utterances: Vec<Utterance>) -> Self {
        Self { id, utterances, metadata: Metadata::default() }
    }

    /// The distinct speakers, by first utterance.
    pub fn speakers(&self) -> Vec<&str> {
        let mut speakers: Vec<&str> = Vec::new();
        for utterance in &self.utterances {
            if !speakers.contains(&utterance.speaker.as_str()) {
                speakers.push(&utterance.speaker);
            }
        }
        speakers
    }

    /// The id of the utterance at `position`, counted from 0.
    pub fn utterance_id(&self, position: usize) -> UtteranceId {
        UtteranceId { dialogue: self.id.clone(), position }
    }
}

/// An utterance's identity within a split; written `dialogue#position`, for example `12#3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtteranceId {
    /// The dialogue's id.
    pub dialogue: String,
    /// Position in the dialogue, counted from 0.
    pub position: usize,
}

impl fmt::Display for UtteranceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.dialogue, self.position)
    }
}

/// A text that is not of the form `dialogue#position`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an utterance id: expected dialogue#position, for example 12#3")]
pub struct ParseUtteranceIdError(String);

impl FromStr for UtteranceId {
    type Err = ParseUtteranceIdError;

    /// Split at the last `#`, because a dialogue's id may contain one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseUtteranceIdError(text.to_owned());
        let (dialogue, position) = text.rsplit_once('#').ok_or_else(wrong)?;
        if dialogue.is_empty() || !position.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let position = position.parse().map_err(|_| wrong())?;
        Ok(Self { dialogue: dialogue.to_owned(), position })
    }
}

impl Serialize for UtteranceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtteranceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utterance(speaker: &str) -> Utterance {
        Utterance::new(speaker.into(), "Right.".into(), None)
    }

    #[test]
    fn speakers_come_once_in_order_of_appearance() {
        let dialogue = Dialogue::new("kitchen".into(), ["Noor", "Eli", "Noor"].map(utterance).into());
        assert_eq!(dialogue.speakers(), ["Noor", "Eli"]);
    }

    #[test]
    fn utterance_ids_are_read_as_they_are_written() {
        let id = UtteranceId { dialogue: "a#b".into(), position: 7 };
        assert_eq!(id.to_string(), "a#b#7");
        assert_eq!("a#b#7".parse(), Ok(id.clone()));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, r#""a#b#7""#);
        assert_eq!(serde_json::from_str::<UtteranceId>(&json).unwrap(), id);
    }

    #[test]
    fn other_texts_are_not_utterance_ids() {
        for text in ["", "12", "#3", "12#", "12#x", "12#-1", "12#+1", "12#99999999999999999999999"] {
            assert!(text.parse::<UtteranceId>().is_err(), "{text} was read");
        }
    }
}
