//! Chats, one per line, as other trainers read them:
//! `{"messages": [{"role": "user", "content": "…", "name": "Ada", "label": "joy"}]}`, or `ShareGPT`'s
//! `{"conversations": [{"from": "human", "value": "…"}]}`. The speaker is the name, or else the role; the id is `id`, or
//! else the line's number. Messages of the system are no turns. Other keys are metadata.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::assemble::{RawDialogue, RawUtterance, Spot};
use super::keys::OwnKeys;
use crate::error::{DataProblem, Found, Wanted};
use crate::fields::Fields;

/// Roles that instruct a model and say nothing in the conversation.
const INSTRUCTIONS: [&str; 2] = ["system", "developer"];

/// Keys that say the same: OpenAI's and `ShareGPT`'s.
const LISTS: [&str; 2] = ["messages", "conversations"];
const ROLES: [&str; 2] = ["role", "from"];
const CONTENTS: [&str; 2] = ["content", "value"];

/// The dialogue of a line.
pub(super) fn dialogue<'a>(
    line: &'a str,
    spot: Spot,
    keys: OwnKeys<'_>,
) -> Result<RawDialogue<'a>, DataProblem> {
    let row = Fields::of_line(line, "`messages` or `conversations`")?;
    let mut row = row.without_nulls(&["id", "messages", "conversations"]);
    keys.rename_row(&mut row)?;
    let id = row.name("id")?.unwrap_or_else(|| Cow::Owned(spot.line.to_string()));
    let Some(key) = one_of(&row, LISTS)? else {
        return Err(row.missing("messages", &["conversations"]));
    };
    let messages = row.list(key)?.unwrap_or_default();
    let count = messages.len();
    let mut utterances = Vec::with_capacity(count);
    for (number, message) in messages.into_iter().enumerate() {
        let has = "`role` and `content`, or `from` and `value`";
        let mut message = Fields::of_value(message, format!("message {number}: "), has)?;
        keys.rename_turn(&mut message)?;
        utterances.extend(utterance(message, spot.offset)?);
    }
    let left_out = count - utterances.len();
    Ok(RawDialogue { id, offset: spot.offset, utterances, metadata: row.into_metadata(), left_out })
}

/// The one of two keys that is there.
///
/// # Errors
/// Both are.
fn one_of(fields: &Fields<'_>, keys: [&'static str; 2]) -> Result<Option<&'static str>, DataProblem> {
    let [one, other] = keys;
    if fields.has(one) && fields.has(other) {
        let (place, keys) = (fields.place().to_owned(), [one, other]);
        return Err(DataProblem::BothKeys { place, keys });
    }
    Ok(keys.into_iter().find(|key| fields.has(key)))
}

/// The turn; `None` for an instruction.
fn utterance(message: Fields<'_>, offset: usize) -> Result<Option<RawUtterance<'_>>, DataProblem> {
    let mut message = message.without_nulls(&["role", "from", "name", "label"]);
    let role = match one_of(&message, ROLES)? {
        Some(key) => message.text(key)?,
        None => None,
    };
    if role.as_deref().is_some_and(|role| INSTRUCTIONS.contains(&role)) {
        return Ok(None);
    }
    let Some(key) = one_of(&message, CONTENTS)? else {
        return Err(message.missing("content", &["value"]));
    };
    let text = match message.take(key) {
        Some(content) => text(content, key, &message)?,
        None => String::new(),
    };
    let (name, label) = (message.name("name")?, message.label("label")?);
    if label.is_none()
        && let Some(problem) = message.misspelt(&["label"])
    {
        return Err(problem);
    }
    let missing = || message.missing("role", &["from"]);
    let speaker = name.clone().or_else(|| role.clone()).ok_or_else(missing)?;
    let mut metadata = message.into_metadata();
    if let (Some(_), Some(role)) = (name, role) {
        metadata.push("role", &role);
    }
    Ok(Some(RawUtterance { speaker, text: Cow::Owned(text), label: label.into(), offset, metadata }))
}

/// The text of a message's content: text, or a list of parts that are text.
fn text(content: &RawValue, key: &'static str, message: &Fields<'_>) -> Result<String, DataProblem> {
    let place = message.place();
    let parts = match serde_json::from_str(content.get()) {
        Ok(Value::String(text)) => return Ok(text),
        Ok(Value::Array(parts)) => parts,
        _ if Found::of(content) == Found::Null => {
            return Err(DataProblem::NoContent { place: place.to_owned(), key });
        }
        _ => return Err(message.wrong(key, Wanted::Text, content)),
    };
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (Some("text") | None, Some(text)) => texts.push(text.to_owned()),
            (Some(kind), _) if kind != "text" => {
                let message = format!("{place}a part of `{key}` is {kind:?}, and only text is read");
                return Err(DataProblem::WrongForm(message));
            }
            _ => return Err(DataProblem::WrongForm(format!("{place}a part of `{key}` has no text"))),
        }
    }
    Ok(texts.join(" "))
}
