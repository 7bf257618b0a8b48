//! Chats, one per line, as other trainers read them:
//! `{"messages": [{"role": "user", "content": "…", "name": "Ada", "label": "joy"}]}`, or `ShareGPT`'s
//! `{"conversations": [{"from": "human", "value": "…"}]}`. The speaker is the name, or else the role; the id is `id`, or
//! else the line's number. Messages of the system are no turns. Other keys are metadata.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::assemble::{RawDialogue, RawUtterance, Spot};
use super::cell::Cell;
use super::slips;
use crate::error::DataProblem;
use crate::metadata::Metadata;

/// Roles that instruct a model and say nothing in the conversation.
const INSTRUCTIONS: [&str; 2] = ["system", "developer"];

#[derive(Deserialize)]
#[serde(expecting = "an object with `messages` or `conversations`")]
struct Chat<'a> {
    #[serde(borrow, default)]
    id: Option<Cell<'a>>,
    #[serde(borrow, default)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(borrow, default)]
    conversations: Option<Vec<Message<'a>>>,
    #[serde(flatten)]
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `role` and `content`, or `from` and `value`")]
struct Message<'a> {
    #[serde(alias = "from")]
    role: Option<String>,
    #[serde(default, alias = "value")]
    content: Option<Value>,
    #[serde(borrow, default)]
    name: Option<Cell<'a>>,
    #[serde(borrow, default)]
    label: Option<Cell<'a>>,
    #[serde(flatten)]
    metadata: Metadata,
}

/// The dialogue of a line.
pub(super) fn dialogue(line: &str, spot: Spot) -> Result<RawDialogue<'_>, DataProblem> {
    let chat: Chat<'_> = serde_json::from_str(line).map_err(|error| slips::chat_problem(&error, line))?;
    let messages = match (chat.messages, chat.conversations) {
        (Some(messages), None) | (None, Some(messages)) => messages,
        (Some(_), Some(_)) => {
            let message = "has both `messages` and `conversations`";
            return Err(DataProblem::WrongForm(message.to_owned()));
        }
        (None, None) => {
            let misspelt = chat.metadata.misspelt(&["messages", "conversations"]);
            return Err(match misspelt {
                Some((key, near)) => slips::unknown_key("", key, near),
                None => DataProblem::WrongForm("missing field `messages`".to_owned()),
            });
        }
    };
    let count = messages.len();
    let mut utterances = Vec::with_capacity(count);
    for (number, message) in messages.into_iter().enumerate() {
        let place = format!("message {number}: ");
        utterances.extend(message.utterance(&place, spot.offset)?);
    }
    let id = chat.id.map_or_else(|| Cow::Owned(spot.line.to_string()), Cell::into_text);
    let left_out = count - utterances.len();
    Ok(RawDialogue { id, offset: spot.offset, utterances, metadata: chat.metadata, left_out })
}

impl<'a> Message<'a> {
    /// The turn; `None` for an instruction.
    fn utterance(mut self, place: &str, offset: usize) -> Result<Option<RawUtterance<'a>>, DataProblem> {
        let misspelt = |keys: &[&'static str]| {
            self.metadata.misspelt(keys).map(|(key, near)| slips::unknown_key(place, key, near))
        };
        let missing = |key: &str| DataProblem::WrongForm(format!("{place}missing field `{key}`"));
        let role = self.role.take();
        if role.as_deref().is_some_and(|role| INSTRUCTIONS.contains(&role)) {
            return Ok(None);
        }
        let Some(content) = self.content.take() else {
            return Err(misspelt(&["content", "value"]).unwrap_or_else(|| missing("content")));
        };
        if self.label.is_none()
            && let Some(problem) = misspelt(&["label"])
        {
            return Err(problem);
        }
        let text = Cow::Owned(text(content, place)?);
        let speaker = match (self.name, role) {
            (Some(name), role) => {
                if let Some(role) = role {
                    self.metadata.push("role", Value::String(role));
                }
                name.into_text()
            }
            (None, Some(role)) => Cow::Owned(role),
            (None, None) => return Err(misspelt(&["role", "from"]).unwrap_or_else(|| missing("role"))),
        };
        let label = self.label.into();
        Ok(Some(RawUtterance { speaker, text, label, offset, metadata: self.metadata }))
    }
}

/// The text of a message's content: text, or a list of parts that are text.
fn text(content: Value, place: &str) -> Result<String, DataProblem> {
    let parts = match content {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(slips::wrong_type(place, "content", "text", &other));
        }
    };
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (Some("text") | None, Some(text)) => texts.push(text.to_owned()),
            (Some(kind), _) if kind != "text" => {
                let message = format!("{place}a part of `content` is {kind:?}, and only text is read");
                return Err(DataProblem::WrongForm(message));
            }
            _ => {
                let message = format!("{place}a part of `content` has no text");
                return Err(DataProblem::WrongForm(message));
            }
        }
    }
    Ok(texts.join(" "))
}
