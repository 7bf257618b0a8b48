//! Asking a hub: redirects are followed by hand, and the token goes to the hub's own server alone.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

use super::names::{Slash, encoded, is_commit, quoted};
use super::trouble::Trouble;
use crate::address::Origin;
use crate::retry_after::retry_after;
use crate::secret::Secret;

/// A server that does not take a connection within this time is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// The same for looking up where it is.
const RESOLVE: Duration = Duration::from_secs(10);
const REDIRECTS: usize = 10;
/// The largest description of a repository that is read, in bytes.
const LARGEST_LISTING: u64 = 32 << 20;

/// A hub and how it is asked.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    /// Who may have the token.
    origin: Origin,
    token: Option<Secret>,
}

/// A commit of a repository and what it holds.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: BTreeSet<String>,
}

/// A file on its way.
pub(super) struct Delivery {
    pub(super) body: Body,
    /// Identifies the content.
    pub(super) tag: Option<String>,
    /// The whole file's size.
    pub(super) size: Option<u64>,
    /// The first byte of the file that the body has.
    pub(super) start: u64,
    /// The sha256 of the whole file, where the hub says it.
    pub(super) sha256: Option<String>,
}

/// What a hub says of itself in its own responses.
#[derive(Default)]
struct Said {
    linked: Option<String>,
    tag: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Client {
    /// Opens no connection yet. A read may take as long as `patience`; `None` where the endpoint is no address of HTTP.
    pub(super) fn new(endpoint: &str, token: Option<Secret>, patience: Duration) -> Option<Self> {
        let origin = Origin::of(&endpoint.parse().ok()?)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(RESOLVE))
            .timeout_connect(Some(CONNECT))
            .timeout_send_request(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience))
            // Sizes and ranges are those of the files themselves.
            .accept_encoding("identity")
            .user_agent(concat!("emotrain/", env!("CARGO_PKG_VERSION")));
        Some(Self { agent: config.build().into(), endpoint: endpoint.to_owned(), origin, token })
    }

    /// What the repository holds at its revision.
    ///
    /// # Errors
    /// A hub that does not say; a commit that could not be a folder's name, or is another than was asked for.
    pub(super) fn listing(&self, name: &str, revision: &str) -> Result<Listing, Trouble> {
        let branch = encoded(revision, Slash::Encoded);
        let url = format!("{}/api/models/{name}/revision/{branch}", self.endpoint);
        let mut said = Said::default();
        let mut response = self.get(&url, None, &mut said)?;
        self.check(&response)?;
        let body = response.body_mut().with_config().limit(LARGEST_LISTING).read_to_vec();
        let body = body.map_err(|error| self.trouble(&error))?;
        let info: Info = serde_json::from_slice(&body).map_err(|error| {
            let what = "its answer is no description of a repository";
            Trouble::Hub(format!("{what} ({error}); look at HF_ENDPOINT"))
        })?;
        if !is_commit(&info.sha) {
            return Err(Trouble::Untrusted(format!("its commit {} is no commit's id", quoted(&info.sha))));
        }
        let is_id = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id && !revision.eq_ignore_ascii_case(&info.sha) {
            return Err(Trouble::Untrusted(format!("it has commit {} for {revision}", quoted(&info.sha))));
        }
        let files = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        Ok(Listing { commit: info.sha, files })
    }

    /// A file of a commit, from this byte on if the server can do that.
    ///
    /// # Errors
    /// A hub that does not give it.
    pub(super) fn file(&self, name: &str, commit: &str, file: &str, from: u64) -> Result<Delivery, Trouble> {
        let path = encoded(file, Slash::Stays);
        let url = format!("{}/{name}/resolve/{commit}/{path}", self.endpoint);
        let mut said = Said::default();
        let response = self.get(&url, (from > 0).then_some(from), &mut said)?;
        if from > 0 && response.status().as_u16() == 416 {
            return self.file(name, commit, file, 0);
        }
        self.check(&response)?;
        let (head, body) = response.into_parts();
        let range = text(&head.headers, "content-range").and_then(|range| Range::read(&range));
        let start = range.as_ref().map_or(0, |range| range.start);
        if start > from {
            return Err(Trouble::Hub(format!(
                "it was asked for a file from byte {from} and sends byte {start}"
            )));
        }
        let length = text(&head.headers, "content-length").and_then(|length| length.parse().ok());
        let size =
            said.size.or(range.and_then(|range| range.size)).or(length.map(|length: u64| start + length));
        let tag = said.linked.or(said.tag).or_else(|| tag(&head.headers));
        Ok(Delivery { body, tag, size, start, sha256: said.sha256 })
    }

    /// The response that redirects lead to.
    fn get(&self, url: &str, from: Option<u64>, said: &mut Said) -> Result<Response<Body>, Trouble> {
        let wrong = || Trouble::Hub("its address is none; look at HF_ENDPOINT".to_owned());
        let mut uri: Uri = url.parse().map_err(|_| wrong())?;
        let mut token = self.token.as_ref();
        for _ in 0..=REDIRECTS {
            let origin = Origin::of(&uri).ok_or_else(wrong)?;
            if origin != self.origin {
                // Once away there is no way back: from there on somebody else says what is asked.
                token = None;
            }
            let mut request = self.agent.get(&uri);
            if let Some(token) = token {
                request = request.header("Authorization", format!("Bearer {}", token.expose()));
            }
            if let Some(from) = from {
                request = request.header("Range", format!("bytes={from}-"));
            }
            let response = request.call().map_err(|error| unreachable(&origin, &error))?;
            if origin == self.origin {
                said.hear(response.headers());
            }
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = text(response.headers(), "location").unwrap_or_default();
            uri = followed(&uri, &location)?;
        }
        Err(Trouble::Hub(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Statuses in words.
    fn check(&self, response: &Response<Body>) -> Result<(), Trouble> {
        let status = response.status().as_u16();
        let words = match status {
            200 | 206 => return Ok(()),
            401 if self.token.is_some() => "it does not exist, or HF_TOKEN is not accepted",
            401 => "it does not exist, or it is private and HF_TOKEN is missing",
            403 if self.token.is_some() => "this HF_TOKEN has no access",
            403 => "it asks for HF_TOKEN, and for the model's conditions to be accepted on its page",
            404 => "no such model or revision",
            429 => "it gets too many requests",
            503 => "it is not available",
            _ => "it answers with an error",
        };
        let reason = format!("{words} (status {status})");
        if !matches!(status, 408 | 429 | 500..) {
            return Err(Trouble::Hub(reason));
        }
        let [after, date] = ["retry-after", "date"].map(|name| text(response.headers(), name));
        let after = after.and_then(|after| retry_after(&after, date.as_deref()));
        Err(Trouble::Passing { reason, after })
    }

    /// What it means that a response ended early.
    fn trouble(&self, error: &ureq::Error) -> Trouble {
        if let ureq::Error::BodyExceedsLimit(limit) = error {
            return Trouble::Hub(format!("its answer is larger than {} MiB", limit >> 20));
        }
        unreachable(&self.origin, error)
    }
}

impl Said {
    /// What it says of the file that a redirect leads to counts for more than what a response says of itself.
    fn hear(&mut self, headers: &HeaderMap) {
        if let Some(linked) = text(headers, "x-linked-etag").map(|tag| bare(&tag)) {
            let is_sha256 = linked.len() == 64 && linked.bytes().all(|byte| byte.is_ascii_hexdigit());
            self.sha256 = is_sha256.then(|| linked.to_ascii_lowercase());
            self.linked = Some(linked);
        }
        if let Some(size) = text(headers, "x-linked-size").and_then(|size| size.parse().ok()) {
            self.size = Some(size);
        }
        self.tag = tag(headers).or(self.tag.take());
    }
}

/// `Content-Range: bytes 5-9/10`.
struct Range {
    start: u64,
    size: Option<u64>,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        Some(Self { start: start.trim().parse().ok()?, size: size.trim().parse().ok() })
    }
}

/// Where a redirect leads.
fn followed(from: &Uri, location: &str) -> Result<Uri, Trouble> {
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, authority) = (from.scheme_str().unwrap_or_default(), from.authority());
    let authority = authority.map_or("", |authority| authority.as_str());
    let path = from.path();
    let is_whole = location.split(['/', '?']).next().is_some_and(|start| start.contains(':'));
    let whole = if is_whole {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let nowhere = || Trouble::Untrusted(format!("it redirects to {}", quoted(location)));
    let uri: Uri = whole.parse().map_err(|_| nowhere())?;
    let (old, new) = (Origin::of(from).ok_or_else(nowhere)?, Origin::of(&uri).ok_or_else(nowhere)?);
    if new.is_open() && !old.is_open() {
        return Err(Trouble::Untrusted(format!(
            "it redirects from https:// to http:// ({})",
            quoted(new.host())
        )));
    }
    if location.is_empty() { Err(nowhere()) } else { Ok(uri) }
}

/// A request that did not get a whole response.
fn unreachable(origin: &Origin, error: &ureq::Error) -> Trouble {
    let reason = format!("{}: {error}", origin.host());
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others stay as they are")]
    let may_pass = match error {
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        _ => false,
    };
    if may_pass { Trouble::passing(reason) } else { Trouble::Hub(reason) }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn tag(headers: &HeaderMap) -> Option<String> {
    text(headers, "etag").map(|tag| bare(&tag))
}

/// A tag without the quotes and the mark of a weak one.
fn bare(tag: &str) -> String {
    tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(from: &str, location: &str) -> Result<String, String> {
        match followed(&from.parse().unwrap(), location) {
            Ok(uri) => Ok(uri.to_string()),
            Err(Trouble::Untrusted(what)) => Err(what),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn redirects_are_resolved_as_browsers_do() {
        for (location, expected) in [
            ("https://cdn.example/x?y=1#z", "https://cdn.example/x?y=1"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/x", "https://hub.example:8443/x"),
            ("/x?to=http://a:b", "https://hub.example:8443/x?to=http://a:b"),
            ("x", "https://hub.example:8443/a/x"),
            ("?x", "https://hub.example:8443/a/b?x"),
        ] {
            assert_eq!(
                leads("https://hub.example:8443/a/b?c=d", location).as_deref(),
                Ok(expected),
                "{location}"
            );
        }
        // What looks like the hub's own address and is another's.
        let uri: Uri =
            leads("https://hub.example/a", "https://hub.example@evil.example/").unwrap().parse().unwrap();
        assert_eq!(Origin::of(&uri).unwrap().host(), "evil.example");
    }

    #[test]
    fn redirects_to_no_address_or_to_a_less_safe_one_are_not_followed() {
        for location in
            ["", "#x", "file:///etc/passwd", "ftp://cdn.example/x", "javascript:x", "https://", "a b"]
        {
            let what = leads("https://hub.example/a", location).unwrap_err();
            assert!(what.starts_with("it redirects to "), "{location}: {what}");
        }
        let what = leads("https://hub.example/a", "http://hub.example/a").unwrap_err();
        assert_eq!(what, "it redirects from https:// to http:// (\"hub.example\")");
        assert!(leads("http://hub.example/a", "https://hub.example/a").is_ok());
    }

    #[test]
    fn parts_of_files_say_where_they_begin() {
        let range = Range::read("bytes 5-9/10").unwrap();
        assert_eq!((range.start, range.size), (5, Some(10)));
        assert_eq!(Range::read("bytes 5-9/*").unwrap().size, None);
        assert!(Range::read("bytes */10").is_none() && Range::read("5-9/10").is_none());
    }
}
