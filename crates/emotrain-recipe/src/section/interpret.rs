//! `[interpret]`: the language model that generates the texts of knowledge sources.

use std::ops::Bound::{Excluded, Included};

use serde_json::{Map, Value};

use crate::blank;
use crate::key::Kind;
use crate::problem::{Fault, Violations};

/// From zero to an hour.
const PAUSE: Kind = Kind::Number(Included(0.0), Included(3600.0));
/// Up to a day.
const PATIENCE: Kind = Kind::Number(Excluded(0.0), Included(86400.0));
const TEMPERATURE: Kind = Kind::Number(Included(0.0), Included(2.0));

section! {
    /// `[interpret]`: the model, its API, and retries.
    InterpretSection = "interpret" {
        /// A server, or a model in this process.
        provider: Provider = Kind::Choice(Provider::NAMES);
        /// The server's API address, without `/chat/completions` and without a final slash.
        base_url: String = Kind::Text;
        /// The model's name on the server, or the local model's Hub id or path; `None` = not set.
        #[serde(with = "blank::text")]
        model: Option<String> = Kind::Model;
        /// The environment variable with the server's API key; `None` = no key.
        #[serde(with = "blank::text")]
        api_key_env: Option<String> = Kind::Text;
        /// Concurrent requests, at least 1.
        concurrency: usize = Kind::one_to(1024);
        /// Request timeout in seconds, above 0.
        timeout_s: f64 = PATIENCE;
        /// Retries of a request without a reply.
        max_retries: usize = Kind::up_to(1000);
        /// Seconds before the first retry; doubled for each further one.
        retry_backoff_s: f64 = PAUSE;
        /// Maximum requests per minute, retries included; `None` = no limit.
        #[serde(with = "blank::count")]
        requests_per_minute: Option<usize> = Kind::up_to(1_000_000);
        /// Sampling temperature; 0 = greedy.
        temperature: f64 = TEMPERATURE;
        /// Top-p: the probability mass that is sampled from, above 0 and at most 1.
        top_p: f64 = Kind::SHARE_ABOVE_ZERO;
        /// Maximum length of a reply in tokens; `None` = the server's default.
        #[serde(with = "blank::count")]
        max_tokens: Option<usize> = Kind::up_to(1_000_000);
        /// How the form of replies is enforced.
        response_format: ResponseFormat = Kind::Choice(ResponseFormat::NAMES);
        /// Seed of sampling and of pauses.
        seed: u64 = Kind::up_to(i64::MAX);
        /// Replies to a question before it counts as failed, at least 1.
        max_attempts: usize = Kind::one_to(1000);
        /// A JSON object with additional members of a request; `None` = none.
        #[serde(with = "blank::text")]
        extra_body: Option<String> = Kind::Text;
    }
}

choices! {
    /// Where the language model for knowledge runs.
    Provider {
        /// Behind an OpenAI-compatible API.
        Openai = "openai",
        /// In this process.
        Local = "local",
    }
}

choices! {
    /// How the form of a reply is enforced.
    #[derive(Default)]
    ResponseFormat {
        /// By the wording of the question only.
        #[default]
        Text = "text",
        /// By the JSON Schema of the requested object.
        JsonSchema = "json_schema",
    }
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

    /// The server's address, and the parameters that are forwarded to it.
    pub(crate) fn check_requests(&self, violated: &mut Violations) {
        if let Some(fault) = wrong_address(&self.base_url) {
            violated.add(&["interpret.base_url"], fault);
        }
        for fault in self.extra_body.iter().flat_map(|text| wrong_members(text)) {
            violated.add(&["interpret.extra_body"], fault);
        }
    }
}

fn wrong_address(url: &str) -> Option<Fault> {
    // Not shown in the message: it may contain a password.
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
        let fault = Fault::new("interpret.base_url is not an address of http:// or https://");
        return Some(
            fault.hint("write the part before /chat/completions: base_url = \"http://localhost:8000/v1\""),
        );
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        let fault = Fault::new("interpret.base_url contains a user name or a password");
        return Some(fault.hint("put the key into an environment variable and its name into api_key_env"));
    }
    if url.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "?#".contains(letter)) {
        return Some(Fault::new("interpret.base_url contains a space, \"?\" or \"#\""));
    }
    let path = rest.trim_end_matches('/');
    path.ends_with("/chat/completions").then(|| {
        Fault::new("interpret.base_url contains /chat/completions, which is added to it")
            .hint("write only the part before it")
    })
}

fn wrong_members(text: &str) -> Vec<Fault> {
    let members: Map<String, Value> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => {
            let fault = Fault::new(format!("interpret.extra_body is not a JSON object: {error}"));
            let example = r#"extra_body = '{"chat_template_kwargs": {"enable_thinking": false}}'"#;
            return vec![fault.hint(format!("write a JSON object in single quotes: {example}"))];
        }
    };
    let ours = members.keys().filter(|name| InterpretSection::OURS.contains(&name.as_str()));
    let fault = |name: &String| {
        let fault =
            Fault::new(format!("interpret.extra_body sets \"{name}\", which has to be set elsewhere"));
        if matches!(name.as_str(), "messages" | "stream" | "n") {
            fault.hint("remove it: emotrain sets the messages and the reply format")
        } else {
            fault.hint(format!("it has a key of its own: {name} = … under [interpret]"))
        }
    };
    ours.map(fault).collect()
}
