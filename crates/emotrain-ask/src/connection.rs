//! One request to a server over HTTP, and what its response says.

use std::ffi::OsString;
use std::time::Duration;

use emotrain_base::Complaint;
use emotrain_hub::Secret;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::HeaderMap;

/// A server that does not accept a connection within this many seconds is unavailable.
const CONNECT_S: f64 = 10.0;
/// The largest response that is read, in bytes.
const LARGEST: u64 = 16 << 20;
/// The maximum number of characters of a server's message that are shown.
const SHOWN: usize = 300;

/// How requests are sent. Every request has a connection of its own, so that no response can be taken for that of
/// another request.
pub(crate) struct Connection {
    agent: Agent,
    key: Option<Secret>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What a server says about a request that it did not answer.
pub(crate) struct Refusal {
    /// Short enough to be shown.
    pub(crate) message: String,
    /// Its kind, in lower case, where it has one.
    pub(crate) kind: String,
    /// The status that it names itself.
    pub(crate) status: Option<u16>,
}

impl Connection {
    /// Opens no connection yet. `timeout` is that of a whole request.
    pub(crate) fn new(timeout: Duration, key: Option<Secret>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.min(Duration::from_secs_f64(CONNECT_S))))
            .user_agent(concat!("emotrain/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().into(), key }
    }

    /// Posts a JSON body.
    pub(crate) fn post(&self, url: &str, body: &Value) -> Result<Response, ureq::Error> {
        let mut request = self.agent.post(url).content_type("application/json");
        request = request.header("Accept", "application/json").header("Connection", "close");
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {}", key.expose()));
        }
        let mut response = request.send(body.to_string())?;
        let header = |headers: &HeaderMap, name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let headers = response.headers();
        let [retry_after, date, location] =
            ["retry-after", "date", "location"].map(|name| header(headers, name));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec()?;
        Ok(Response { status, retry_after, date, location, body })
    }

    /// A server's words, without the key.
    pub(crate) fn without_key(&self, text: String) -> String {
        match &self.key {
            Some(key) => key.hide_in(text),
            None => text,
        }
    }
}

impl Refusal {
    /// Reads the body of a response; `words` removes secrets.
    pub(crate) fn read(body: &[u8], words: &dyn Fn(String) -> String) -> Self {
        let text = String::from_utf8_lossy(body).into_owned();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let error = value.get("error").unwrap_or(&value);
        let member = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let candidates = [member("message"), member("detail"), error.as_str().unwrap_or_default(), &text];
        let message = candidates.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_default();
        let mut message = words(message.split_whitespace().collect::<Vec<_>>().join(" "));
        if let Some((end, _)) = message.char_indices().nth(SHOWN) {
            message.truncate(end);
            message.push('…');
        }
        let kind = format!("{} {}", member("code"), member("type")).to_lowercase();
        let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        Self { message, kind, status: status.filter(|status| (400..600).contains(status)) }
    }

    /// The error that a body with a good status holds, where it does.
    pub(crate) fn said_in(body: &[u8], words: &dyn Fn(String) -> String) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let error = value.get("error").filter(|error| !error.is_null())?;
        Some(Self::read(json!({ "error": error }).to_string().as_bytes(), words))
    }

    /// Whether it says that the question is longer than the model can read.
    pub(crate) fn is_about_length(&self) -> bool {
        let message = self.message.to_lowercase();
        let spoken = ["context length", "context size", "context window", "maximum input length"];
        self.kind.contains("context_length")
            || self.kind.contains("exceed_context_size")
            || spoken.iter().any(|words| message.contains(words))
    }

    /// The status with the message.
    pub(crate) fn with_status(&self, status: u16) -> String {
        if self.message.is_empty() {
            format!("status {status}")
        } else {
            format!("status {status}: {}", self.message)
        }
    }
}

/// The key in the environment variable that `setting` names.
///
/// # Errors
/// A variable that is not set, is empty, or holds what no key can.
pub(crate) fn key(
    setting: &str,
    name: &str,
    variable: fn(&str) -> Option<OsString>,
) -> Result<Secret, Complaint> {
    let Some(value) = variable(name) else {
        let message = format!("{setting}: the environment variable {name} is not set or is empty");
        return Err(Complaint::usage(message)
            .hint(format!("export {name}=…, or name none: a server of one's own often wants no key")));
    };
    value.to_str().and_then(Secret::new).ok_or_else(|| {
        let message = format!("{setting}: the value of {name} is not a key");
        Complaint::usage(message).hint("a key is one word of plain letters, digits and signs")
    })
}
