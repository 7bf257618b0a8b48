//! A model behind a server with OpenAI's interface: what it continues a prompt with, and how likely each token was.
//!
//! Two routes lead to it. `/completions` takes a prompt as token ids, or as text: what it answers depends on the weights
//! alone. `/chat/completions` takes messages, which the server renders with its own chat template.

mod reading;

use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use emotrain_base::{Complaint, Listener};
use emotrain_hub::{Secret, overheard};
use emotrain_prompt::Prompt;
use serde_json::{Value, json};

use self::reading::read;
use crate::connection::{Connection, Refusal, Response, key};
use crate::error::AskError;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Attempts at a request, and the pause before the second; it doubles.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// A model behind a server.
pub struct ServedModel {
    connection: Connection,
    base_url: String,
    model: String,
}

/// Where and under which name a model is served.
#[derive(Clone, Copy, Debug)]
pub struct ServedAddress<'a> {
    /// The address before `/completions`, often ending in `/v1`.
    pub base_url: &'a str,
    /// The server's name for the model.
    pub model: &'a str,
    /// The environment variable that holds the key, if the server wants one.
    pub api_key_env: Option<&'a str>,
}

/// A prompt in a form that servers take.
#[derive(Clone, Copy, Debug)]
pub enum ServedPrompt<'a> {
    /// Token ids, taken as they are.
    Ids(&'a [u32]),
    /// The text of the whole prompt, special tokens included.
    Text(&'a str),
    /// Messages, which the server renders.
    Messages {
        /// The messages.
        prompt: &'a Prompt,
        /// Passed to the chat template.
        enable_thinking: bool,
    },
}

/// How far a prompt is continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continue {
    /// The maximum number of tokens.
    pub max_tokens: usize,
    /// How many of the likeliest tokens are wanted at each place; 0 = no log-probabilities.
    pub top_log_probs: usize,
}

/// A token that could have come, with its log-probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogProb {
    /// Its id, where the server says it.
    pub id: Option<u32>,
    /// Its text.
    pub text: String,
    /// The natural logarithm of its probability.
    pub log_prob: f32,
}

/// What a server continued a prompt with.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// The greedy answer.
    pub text: String,
    /// How many tokens the server counted in the prompt.
    pub prompt_tokens: Option<usize>,
    /// For each generated token, the likeliest ones in its place; empty without log-probabilities.
    pub candidates: Vec<Vec<TokenLogProb>>,
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub enum Served {
    /// An answer.
    Continued(Continuation),
    /// The server does not take a request of this form: why.
    Refused(String),
    /// It has no such route or no such model: why.
    Missing(String),
}

impl ServedPrompt<'_> {
    fn route(self) -> &'static str {
        match self {
            Self::Ids(_) | Self::Text(_) => "completions",
            Self::Messages { .. } => "chat/completions",
        }
    }

    /// The request's body; a greedy answer is wanted.
    fn body(self, model: &str, wanted: Continue) -> Value {
        let Continue { max_tokens, top_log_probs } = wanted;
        let mut body = json!({ "model": model, "max_tokens": max_tokens, "temperature": 0 });
        match self {
            Self::Ids(ids) => body["prompt"] = json!(ids),
            Self::Text(text) => body["prompt"] = json!(text),
            Self::Messages { prompt, enable_thinking } => {
                let message = |role: &str, content: &str| json!({ "role": role, "content": content });
                let system = (!prompt.system.is_empty()).then(|| message("system", &prompt.system));
                let messages: Vec<Value> =
                    system.into_iter().chain([message("user", &prompt.user)]).collect();
                body["messages"] = json!(messages);
                body["chat_template_kwargs"] = json!({ "enable_thinking": enable_thinking });
            }
        }
        match (self, top_log_probs) {
            (_, 0) => {}
            (Self::Messages { .. }, top) => {
                body["logprobs"] = json!(true);
                body["top_logprobs"] = json!(top);
            }
            (Self::Ids(_) | Self::Text(_), top) => body["logprobs"] = json!(top),
        }
        body
    }
}

impl ServedModel {
    /// Opens no connection yet. `variable` gives the value of an environment variable.
    ///
    /// # Errors
    /// An address without a scheme, a key that is not there.
    pub fn new(
        address: ServedAddress<'_>,
        variable: fn(&str) -> Option<OsString>,
        listener: &dyn Listener,
    ) -> Result<Self, AskError> {
        let ServedAddress { base_url, model, api_key_env } = address;
        let base_url = base_url.trim_end_matches('/');
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            let message = format!("--endpoint: \"{base_url}\" does not begin with http:// or https://");
            return Err(Complaint::usage(message).hint("for example http://localhost:8000/v1").into());
        }
        let key: Option<Secret> = api_key_env.map(|name| key("--api-key-env", name, variable)).transpose()?;
        if let Some(host) = overheard(base_url).filter(|_| key.is_some()) {
            let warning = format!("the key goes to {host} unencrypted, as --endpoint begins with http://");
            listener.warn(&warning);
        }
        let connection = Connection::new(TIMEOUT, key);
        Ok(Self { connection, base_url: base_url.to_owned(), model: model.to_owned() })
    }

    /// The greedy continuation of a prompt. What may pass is tried again.
    ///
    /// # Errors
    /// A server that cannot be reached, does not let us in, or answers something else than a completion.
    pub fn continued(&self, prompt: ServedPrompt<'_>, wanted: Continue) -> Result<Served, AskError> {
        let url = format!("{}/{}", self.base_url, prompt.route());
        let body = prompt.body(&self.model, wanted);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (reason, is_passing) = match self.connection.post(&url, &body) {
                Ok(response) if (200..300).contains(&response.status) => {
                    let read = read(&response.body).map_err(|reason| unusable(&url, &reason))?;
                    return Ok(Served::Continued(read));
                }
                Ok(Response { status, body, .. }) => {
                    let refusal = Refusal::read(&body, &|text| self.connection.without_key(text));
                    let reason = refusal.with_status(status);
                    match status {
                        404 | 405 | 501 => return Ok(Served::Missing(reason)),
                        400 | 413 | 415 | 422 => return Ok(Served::Refused(reason)),
                        _ => (reason, matches!(status, 408 | 429 | 500..)),
                    }
                }
                Err(error) => (self.connection.without_key(error.to_string()), true),
            };
            if attempt == ATTEMPTS || !is_passing {
                return Err(unusable(&url, &reason).into());
            }
            sleep(PAUSE * 2_u32.pow(attempt - 1));
        }
    }
}

fn unusable(url: &str, reason: &str) -> Complaint {
    let message = format!("{url}: {reason}");
    let hint = "start the server, or check --endpoint, which ends before /completions (often in /v1), --model and \
                --api-key-env";
    Complaint::input(message).hint(hint)
}
