//! `[interpret]`: the language model that writes the texts of knowledge sources.

use serde::{Deserialize, Serialize};

use crate::blank;
use crate::choices::{Provider, ResponseFormat};

/// `[interpret]`: who is asked, over which wire, and how patiently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterpretSection {
    /// A server, or a model in this process.
    pub provider: Provider,
    /// Where the server's interface begins, without `/chat/completions` and without a slash at the end.
    pub base_url: String,
    /// The model as the server calls it, or the local model's Hub id or path; `None` = not said.
    #[serde(with = "blank::text")]
    pub model: Option<String>,
    /// The environment variable that holds the server's key; `None` = the server asks for none.
    #[serde(with = "blank::text")]
    pub api_key_env: Option<String>,
    /// Questions under way at once, at least 1.
    pub concurrency: usize,
    /// Seconds after which a question counts as not answered, above 0.
    pub timeout_s: f64,
    /// Repetitions of a question that got no reply.
    pub max_retries: usize,
    /// Seconds before the first repetition; doubled for each further one.
    pub retry_backoff_s: f64,
    /// Most requests in a minute, repetitions included; `None` = no limit.
    #[serde(with = "blank::count")]
    pub requests_per_minute: Option<usize>,
    /// Sampling temperature; 0 = greedy.
    pub temperature: f64,
    /// Share of the probability that is drawn from, above 0 and at most 1.
    pub top_p: f64,
    /// Longest reply in tokens; `None` = as the server has it.
    #[serde(with = "blank::count")]
    pub max_tokens: Option<usize>,
    /// What keeps replies to their form.
    pub response_format: ResponseFormat,
    /// Seed of replies and of pauses.
    pub seed: u64,
    /// Replies that a question gets before it counts as failed, at least 1.
    pub max_attempts: usize,
    /// A JSON object whose members a server gets beside ours; `None` = none.
    #[serde(with = "blank::text")]
    pub extra_body: Option<String>,
}

impl InterpretSection {
    /// Members of a request that have keys of their own, or whose replies we could not read.
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
