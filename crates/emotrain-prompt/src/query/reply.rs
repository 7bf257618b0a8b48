//! Strict parsing of a reply: one JSON object with exactly the requested keys.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Tags around a model's reasoning.
const REASONING: [&str; 5] = ["<think>", "</think>", "<thinking>", "</thinking>", "<reasoning>"];

/// Why a reply is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// An empty reply.
    #[error("it is empty")]
    Empty,
    /// Reasoning before an answer, or instead of one.
    #[error("it contains reasoning")]
    Reasoning,
    /// Not one JSON object, or text around it.
    #[error("it is not one JSON object: {0}")]
    NotJson(String),
    /// A requested key is missing.
    #[error("it lacks the key \"{0}\"")]
    Missing(String),
    /// A key that was not requested.
    #[error("it has the key \"{0}\", which was not requested")]
    Additional(String),
    /// A repeated key.
    #[error("it has the key \"{0}\" twice")]
    Twice(String),
    /// A value of another type.
    #[error("the value of \"{0}\" is not a text")]
    NotText(String),
    /// An empty text.
    #[error("the text of \"{0}\" is empty")]
    Blank(String),
}

/// The texts of a reply in the order of `keys`, trimmed.
///
/// A code fence around the whole reply is removed: models often add one, and it has no meaning. Any other text around
/// the object, and any sign of reasoning, makes the reply unusable.
///
/// # Errors
/// Everything except one JSON object with exactly these keys and non-empty texts.
pub fn read_reply(reply: &str, keys: &[String]) -> Result<Vec<String>, BadReply> {
    let lower = reply.to_lowercase();
    if REASONING.iter().any(|mark| lower.contains(mark)) {
        return Err(BadReply::Reasoning);
    }
    let reply = unfenced(reply);
    if reply.is_empty() {
        return Err(BadReply::Empty);
    }
    if !reply.starts_with('{') {
        return Err(BadReply::NotJson("it does not start with {".to_owned()));
    }
    let members = members(reply).map_err(|error| BadReply::NotJson(error.to_string()))?;
    for (at, (name, _)) in members.iter().enumerate() {
        if !keys.contains(name) {
            return Err(BadReply::Additional(name.clone()));
        }
        if members[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(BadReply::Twice(name.clone()));
        }
    }
    let text = |key: &String| {
        let member = members.iter().find(|(name, _)| name == key);
        let (_, value) = member.ok_or_else(|| BadReply::Missing(key.clone()))?;
        let text = value.as_str().ok_or_else(|| BadReply::NotText(key.clone()))?.trim();
        let has_letters = text.chars().any(char::is_alphanumeric);
        if has_letters { Ok(text.to_owned()) } else { Err(BadReply::Blank(key.clone())) }
    };
    keys.iter().map(text).collect()
}

/// A reply without surrounding white space and code fence.
pub fn unfenced(reply: &str) -> &str {
    let reply = reply.trim();
    let inside = || {
        let (opening, rest) = reply.strip_prefix("```")?.split_once('\n')?;
        let is_name = opening.trim().chars().all(char::is_alphanumeric);
        let inside = rest.strip_suffix("```")?;
        (is_name && !inside.contains("```")).then(|| inside.trim())
    };
    inside().unwrap_or(reply)
}

/// The members of an object in their order; keys must be unique.
fn members(text: &str) -> Result<Vec<(String, Value)>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Members)?;
    json.end()?;
    Ok(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
