//! What a language model replied, taken to the letter.

use std::collections::HashSet;

use emotrain_data::LabelSet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::text::TextKey;

/// A dialogue that was written and taken. A file of them, one a line, is one of our JSONL of dialogues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenDialogue {
    /// Domain and number.
    pub id: String,
    /// Walk of life.
    pub domain: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// In the order in which they are said.
    pub utterances: Vec<WrittenTurn>,
}

/// An utterance that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `speaker`, `text` and `label`")]
pub struct WrittenTurn {
    /// A first name.
    pub speaker: String,
    /// What is said.
    pub text: String,
    /// The emotion; after parsing the label set's own word.
    pub label: String,
}

/// Why a reply was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It was longer than it may be.
    #[error("it was cut off")]
    CutOff,
    /// The model did not reply to this question, for a reason of its own.
    #[error("it was refused: {0}")]
    Refused(String),
    /// Thoughts instead of an answer, or before it.
    #[error("it holds reasoning text")]
    Reasoning,
    /// Not one JSON object, or something around it.
    #[error("it is not one JSON object: {0}")]
    NotJson(String),
    /// JSON of another form.
    #[error("it has the wrong form: {0}")]
    WrongForm(String),
    /// Fewer subtopics than asked for, blank or repeated ones not counted.
    #[error("it names {found} different subtopics, not {expected}")]
    TooFewSubtopics {
        /// Different ones.
        found: usize,
        /// As many as asked for.
        expected: usize,
    },
    /// A dialogue that is too short or too long.
    #[error("it has {found} utterances, not {least} to {most}")]
    TurnCount {
        /// Its utterances.
        found: usize,
        /// Fewest.
        least: usize,
        /// Most.
        most: usize,
    },
    /// An utterance or a speaker without text.
    #[error("utterance {0} lacks a speaker or a text")]
    Blank(usize),
    /// One person alone.
    #[error("only one person speaks")]
    Monologue,
    /// A label that is none of those asked for.
    #[error("utterance {turn} has the unknown label \"{label}\"")]
    UnknownLabel {
        /// Counted from 1.
        turn: usize,
        /// As it was written.
        label: String,
    },
    /// The same utterance more than once.
    #[error("it repeats itself: \"{0}\"")]
    Repeats(String),
    /// An utterance that is in the bank or was written before.
    #[error("it copies what is there: \"{0}\"")]
    Duplicate(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `subtopics`")]
struct Subtopics {
    subtopics: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `utterances`")]
struct Dialogue {
    utterances: Vec<WrittenTurn>,
}

/// The subtopics of a reply, the first `count` of them.
///
/// # Errors
/// Everything that is not exactly what was asked for.
pub fn parse_subtopics(reply: &str, count: usize) -> Result<Vec<String>, Rejection> {
    let Subtopics { subtopics } = parse(reply)?;
    let mut seen = HashSet::new();
    let trimmed = subtopics.iter().map(|one| one.trim()).filter(|one| !one.is_empty());
    let different: Vec<String> =
        trimmed.filter(|one| seen.insert(TextKey::same(one))).map(str::to_owned).collect();
    if different.len() < count {
        return Err(Rejection::TooFewSubtopics { found: different.len(), expected: count });
    }
    Ok(different.into_iter().take(count).collect())
}

/// The utterances of a reply, trimmed, labels in the label set's own words.
///
/// # Errors
/// Everything that is not exactly what was asked for.
pub fn parse_dialogue(
    reply: &str,
    labels: &LabelSet,
    least: usize,
    most: usize,
) -> Result<Vec<WrittenTurn>, Rejection> {
    let Dialogue { utterances } = parse(reply)?;
    if !(least..=most).contains(&utterances.len()) {
        return Err(Rejection::TurnCount { found: utterances.len(), least, most });
    }
    let mut seen = HashSet::new();
    let mut turns = Vec::with_capacity(utterances.len());
    for (turn, WrittenTurn { speaker, text, label }) in (1..).zip(utterances) {
        let (speaker, text) = (speaker.trim().to_owned(), text.trim().to_owned());
        if speaker.is_empty() || text.is_empty() {
            return Err(Rejection::Blank(turn));
        }
        let Some(known) = labels.resolve(&label) else { return Err(Rejection::UnknownLabel { turn, label }) };
        if !seen.insert(TextKey::same(&text)) {
            return Err(Rejection::Repeats(text));
        }
        turns.push(WrittenTurn { speaker, text, label: labels.name(known).to_owned() });
    }
    if turns.len() > 1 && turns.iter().all(|turn| turn.speaker == turns[0].speaker) {
        return Err(Rejection::Monologue);
    }
    Ok(turns)
}

fn parse<T: DeserializeOwned>(reply: &str) -> Result<T, Rejection> {
    let lower = reply.to_lowercase();
    if ["<think>", "</think>", "<thinking>", "<reasoning>"].iter().any(|mark| lower.contains(mark)) {
        return Err(Rejection::Reasoning);
    }
    let reply = reply.trim();
    if !reply.starts_with('{') {
        return Err(Rejection::NotJson("it does not begin with {".to_owned()));
    }
    serde_json::from_str(reply).map_err(|error| {
        let message = error.to_string();
        if error.is_data() { Rejection::WrongForm(message) } else { Rejection::NotJson(message) }
    })
}
