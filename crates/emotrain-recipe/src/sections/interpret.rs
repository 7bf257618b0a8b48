//! `[interpret]`: the language model that generates the texts of knowledge sources.

use serde::{Deserialize, Serialize};

use crate::blank;
use crate::choices::{Provider, ResponseFormat};

/// `[interpret]`: the model, its API, and retries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterpretSection {
    /// A server, or a model in this process.
    pub provider: Provider,
    /// The server's API address, without `/chat/completions` and without a final slash.
    pub base_url: String,
    /// The model's name on the server, or the local model's Hub id or path; `None` = not set.
    #[serde(with = "blank::text")]
    pub model: Option<String>,
    /// The environment variable with the server's API key; `None` = no key.
    #[serde(with = "blank::text")]
    pub api_key_env: Option<String>,
    /// Concurrent requests, at least 1.
    pub concurrency: usize,
    /// Request timeout in seconds, above 0.
    pub timeout_s: f64,
    /// Retries of a request without a reply.
    pub max_retries: usize,
    /// Seconds before the first retry; doubled for each further one.
    pub retry_backoff_s: f64,
    /// Maximum requests per minute, retries included; `None` = no limit.
    #[serde(with = "blank::count")]
    pub requests_per_minute: Option<usize>,
    /// Sampling temperature; 0 = greedy.
    pub temperature: f64,
    /// Top-p: the probability mass that is sampled from, above 0 and at most 1.
    pub top_p: f64,
    /// Maximum length of a reply in tokens; `None` = the server's default.
    #[serde(with = "blank::count")]
    pub max_tokens: Option<usize>,
    /// How the form of replies is enforced.
    pub response_format: ResponseFormat,
    /// Seed of sampling and of pauses.
    pub seed: u64,
    /// Replies to a question before it counts as failed, at least 1.
    pub max_attempts: usize,
    /// A JSON object with additional members of a request; `None` = none.
    #[serde(with = "blank::text")]
    pub extra_body: Option<String>,
}

impl InterpretSection {
    /// Members of a request that have their own keys, or that would make replies unreadable.
    pub(crate) const OURS: &'static [&'static str] = &[
        "model",
        "messages",
        "temperature",
        "top_p",
        "max_tokens",
        "response_format",
        "seed",
        "stream",
        "n",
    ];
}
