//! Whose machine an address leads to.

use std::net::IpAddr;

use ureq::http::Uri;

/// What has to agree for two addresses to be answered by the same server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The server of an address; `None` where it is no address of HTTP.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let is_tls = match uri.scheme_str()?.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        // The host alone: without user information and port.
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        Some(Self { is_tls, host, port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }) })
    }

    /// Whether what is sent to it can be read on the way.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_tls
    }

    /// Whether it is this machine, so that what is sent to it does not leave.
    pub(crate) fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// The host, without the port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

/// The host to which what is sent to this address goes unencrypted, over a network.
pub fn overheard(address: &str) -> Option<String> {
    let origin = Origin::of(&address.parse().ok()?)?;
    (origin.is_open() && !origin.is_here()).then(|| origin.host().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> Option<Origin> {
        Origin::of(&address.parse().ok()?)
    }

    #[test]
    fn this_machine_is_known_by_its_host() {
        for here in [
            "http://localhost:8000/v1",
            "http://LOCALHOST/v1",
            "http://127.0.0.1",
            "http://127.3.2.1:80/v1",
            "http://[::1]:8000/v1",
            "http://[::ffff:127.0.0.1]/v1",
            "http://user:pass@localhost/v1",
        ] {
            assert_eq!(overheard(here), None, "{here}");
            assert!(origin(here).unwrap().is_here(), "{here}");
        }
        for (far, host) in [
            ("http://localhost.example.com/v1", "localhost.example.com"),
            ("http://127.0.0.1.example.com/v1", "127.0.0.1.example.com"),
            ("http://127.example.com", "127.example.com"),
            ("http://127.0.0.1@example.com/v1", "example.com"),
            ("http://localhost:80@example.com/v1", "example.com"),
            ("HTTP://Example.com/v1", "example.com"),
            ("http://[::2]:8000/v1", "[::2]"),
            ("http://192.168.0.7/v1", "192.168.0.7"),
            ("http://example.com/http://localhost", "example.com"),
            ("http://example.com?http://127.0.0.1", "example.com"),
        ] {
            assert_eq!(overheard(far).as_deref(), Some(host), "{far}");
        }
        assert_eq!(overheard("https://example.com/v1"), None);
    }

    #[test]
    fn a_server_is_scheme_host_and_port() {
        assert_eq!(origin("http://hub/a"), origin("http://HUB:80/b?c"));
        assert_eq!(origin("https://hub"), origin("https://hub:443/x"));
        for other in ["https://hub/a", "http://hub:8080/a", "http://hub.example/a", "http://cdn.hub/a"] {
            assert_ne!(origin("http://hub/a"), origin(other), "{other}");
        }
        for no_address in ["ftp://hub/a", "file:///etc/passwd", "/a/b", "hub"] {
            assert_eq!(origin(no_address), None, "{no_address}");
        }
    }
}
