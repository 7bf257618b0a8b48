//! Strict parsing of a language model's replies.

use std::collections::HashSet;

use emotrain_data::LabelSet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::text::TextKey;

/// A generated and accepted dialogue. A file of them, one per line, is valid JSONL of dialogues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenDialogue {
    /// Domain and number.
    pub id: String,
    /// The domain.
    pub domain: Option<String>,
    /// The subtopic.
    pub topic: Option<String>,
    /// In conversation order.
    pub utterances: Vec<WrittenTurn>,
}

/// A generated utterance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `speaker`, `text` and `label`")]
pub struct WrittenTurn {
    /// A first name.
    pub speaker: String,
    /// The text.
    pub text: String,
    /// The emotion; after parsing, as named in the label set.
    pub label: String,
}

/// Why a reply was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It exceeded the length limit.
    #[error("it was truncated")]
    CutOff,
    /// The model refused to answer, for this reason.
    #[error("it was refused: {0}")]
    Refused(String),
    /// Reasoning before an answer, or instead of one.
    #[error("it contains reasoning")]
    Reasoning,
    /// Not one JSON object, or text around it.
    #[error("it is not one JSON object: {0}")]
    NotJson(String),
    /// JSON of an unexpected form.
    #[error("it has the wrong form: {0}")]
    WrongForm(String),
    /// Fewer subtopics than requested, not counting blank and repeated ones.
    #[error("it names {found} different subtopics, not {expected}")]
    TooFewSubtopics {
        /// The number of distinct ones.
        found: usize,
        /// The requested number.
        expected: usize,
    },
    /// A dialogue that is too short or too long.
    #[error("it has {found} utterances, not {least} to {most}")]
    TurnCount {
        /// Its utterances.
        found: usize,
        /// The minimum.
        least: usize,
        /// The maximum.
        most: usize,
    },
    /// An utterance or a speaker without text.
    #[error("utterance {0} lacks a speaker or a text")]
    Blank(usize),
    /// Only one speaker.
    #[error("only one person speaks")]
    Monologue,
    /// An unknown label.
    #[error("utterance {turn} has the unknown label \"{label}\"")]
    UnknownLabel {
        /// Counted from 1.
        turn: usize,
        /// As written.
        label: String,
    },
    /// The same utterance more than once.
    #[error("it repeats itself: \"{0}\"")]
    Repeats(String),
    /// An utterance that is in the bank or was generated before.
    #[error("it copies an existing utterance: \"{0}\"")]
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
/// Everything that does not exactly match the request.
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

/// The utterances of a reply, trimmed, with labels as named in the label set.
///
/// # Errors
/// Everything that does not exactly match the request.
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
        return Err(Rejection::NotJson("it does not start with {".to_owned()));
    }
    serde_json::from_str(reply).map_err(|error| {
        let message = error.to_string();
        if error.is_data() { Rejection::WrongForm(message) } else { Rejection::NotJson(message) }
    })
}
