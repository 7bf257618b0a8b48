//! What goes over the wire: the form of a question, and what a server's response means.

use std::time::Duration;

use emotrain_base::Complaint;
use emotrain_hub::retry_after;
use emotrain_recipe::{InterpretSection, ResponseFormat};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{ChatQuestion, Reply, ReplyEnd};
use crate::connection::{Refusal, Response};

/// What all requests have in common.
#[derive(Clone, Debug)]
pub(super) struct Form {
    common: Map<String, Value>,
    response_format: ResponseFormat,
}

impl Form {
    /// The members that the section asks for.
    ///
    /// # Errors
    /// Further members that are not a JSON object, which a loaded recipe excludes.
    pub(super) fn new(section: &InterpretSection, model: &str) -> Result<Self, Complaint> {
        let mut common = Map::new();
        common.insert("model".to_owned(), model.into());
        common.insert("temperature".to_owned(), section.temperature.into());
        common.insert("top_p".to_owned(), section.top_p.into());
        if let Some(most) = section.max_tokens {
            common.insert("max_tokens".to_owned(), most.into());
        }
        if let Some(text) = &section.extra_body {
            let more: Map<String, Value> = serde_json::from_str(text)
                .map_err(|error| Complaint::usage(format!("interpret.extra_body: {error}")))?;
            common.extend(more);
        }
        Ok(Self { common, response_format: section.response_format })
    }

    /// The request's body.
    pub(super) fn body(&self, question: &ChatQuestion) -> Value {
        let message = |role: &str, content: &str| json!({ "role": role, "content": content });
        let mut messages = vec![message("user", &question.user)];
        if !question.system.is_empty() {
            messages.insert(0, message("system", &question.system));
        }
        let mut body = self.common.clone();
        body.insert("messages".to_owned(), messages.into());
        body.insert("seed".to_owned(), question.seed.into());
        if self.response_format == ResponseFormat::JsonSchema && !question.keys.is_empty() {
            body.insert("response_format".to_owned(), json_schema(&question.keys));
        }
        Value::Object(body)
    }
}

/// An object with exactly these keys, each with a text, in OpenAI's form of a schema that is held to.
fn json_schema(keys: &[String]) -> Value {
    let texts: Map<String, Value> =
        keys.iter().map(|key| (key.clone(), json!({ "type": "string" }))).collect();
    let schema =
        json!({ "type": "object", "properties": texts, "required": keys, "additionalProperties": false });
    json!({ "type": "json_schema", "json_schema": { "name": "reply", "strict": true, "schema": schema } })
}

/// What a response means for its question, or what no response means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// An answer.
    Reply(Reply),
    /// The question is too long, and no repetition will shorten it.
    TooLong(String),
    /// It may pass: put the question again, not before so long.
    Passing { reason: String, after: Option<Duration> },
    /// It holds for every question.
    Lasting(Complaint),
}

impl Meaning {
    /// A trouble that may pass, with no word on when.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), after: None }
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

/// Reads a response. `words` removes secrets from a text.
pub(super) fn meaning(response: &Response, words: &dyn Fn(String) -> String) -> Meaning {
    let Response { status, body, .. } = response;
    match status {
        // Some servers have sent a good status before they fail.
        200..=299 => match Refusal::said_in(body, words) {
            Some(refusal) => {
                let said = Response { status: refusal.status.unwrap_or(*status), ..response.clone() };
                trouble(&said, &refusal)
            }
            None => completion(body, words),
        },
        300..=399 => {
            let place = response.location.as_deref().map_or_else(String::new, |to| format!(" to {to}"));
            let message = format!("the server redirects{} (status {status})", words(place));
            let hint = "set interpret.base_url to the address of the redirect";
            Meaning::Lasting(Complaint::input(message).hint(hint))
        }
        _ => trouble(response, &Refusal::read(body, words)),
    }
}

fn completion(body: &[u8], words: &dyn Fn(String) -> String) -> Meaning {
    let completion: Completion = match serde_json::from_slice(body) {
        Ok(completion) => completion,
        // The error's text holds none of the body.
        Err(error) => return Meaning::passing(format!("the response is not a chat completion: {error}")),
    };
    let mut choices = completion.choices.into_iter();
    let (Some(Choice { message, finish_reason }), None) = (choices.next(), choices.next()) else {
        return Meaning::passing("the response does not hold exactly one choice");
    };
    let finish = match finish_reason.as_deref() {
        None | Some("stop") => ReplyEnd::Stop,
        Some("length") => ReplyEnd::Length,
        Some(other) => ReplyEnd::Other(words(other.to_owned())),
    };
    Meaning::Reply(Reply { text: words(message.content.unwrap_or_default()), finish })
}

fn trouble(response: &Response, refusal: &Refusal) -> Meaning {
    let Response { status, .. } = response;
    let reason = refusal.with_status(*status);
    if matches!(status, 200..=299 | 400 | 413 | 422) && refusal.is_about_length() {
        return Meaning::TooLong(reason);
    }
    let is_spent = refusal.kind.contains("insufficient_quota");
    if matches!(status, 200..=299 | 408 | 429 | 500..) && !is_spent {
        let after = response.retry_after.as_deref();
        let after = after.and_then(|value| retry_after(value, response.date.as_deref()));
        return Meaning::Passing { reason, after };
    }
    let hint = match status {
        401 | 403 => {
            "interpret.api_key_env names the environment variable that holds the key; the model, too, may be closed to it"
        }
        404 => {
            "check interpret.base_url, which ends before /chat/completions (often in /v1), and at interpret.model, the server's own name for it"
        }
        200..=299 | 429 => "the account's budget is spent",
        _ => {
            "check interpret.model, temperature, top_p, max_tokens, response_format and extra_body: the server does not \
             take one of them"
        }
    };
    Meaning::Lasting(Complaint::input(format!("the server refuses ({reason})")).hint(hint))
}
