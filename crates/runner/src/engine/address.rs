//! Where an engine is, and the key to it.

use std::fmt;
use std::net::IpAddr;

use super::error::EngineError;

/// The address of an engine: `http://host:port`, perhaps with a path before its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    url: String,
    loopback: bool,
}

impl Address {
    /// Reads an address. Without TLS it must be of this machine, unless `allow_http`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] when it is not such an address.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, EngineError> {
        let refuse = |why: &str| {
            let shown = text.split_once('@').map_or(text, |(_, host)| host);
            Err(EngineError::Refused(format!("--engine {shown}: {why}")))
        };
        let example = "such as http://127.0.0.1:8080";
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => {
                return refuse(&format!("expected an address with http:// or https://, {example}"));
            }
        };
        if scheme != "http" && scheme != "https" {
            return refuse(&format!("expected http:// or https://, {example}"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return refuse("a key does not belong into an address; put it into TAPER_ENGINE_KEY");
        }
        if path.contains(['?', '#']) {
            return refuse("expected an address without ? and #");
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(c);
        if rest.contains(odd) {
            return refuse(&format!("expected an address, {example}"));
        }
        let Some(host) = host_of(authority) else {
            return refuse(&format!("expected a host, and a port up to 65535, {example}"));
        };
        let loopback = is_loopback(host);
        if scheme == "http" && !loopback && !allow_http {
            return refuse(
                "without https all can be read on the way; use https://, or --allow-http",
            );
        }
        // The endpoints bring their own `/v1`.
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path);
        Ok(Self { url: format!("{scheme}://{authority}{path}"), loopback })
    }

    /// Whether it is of this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The address of one of its endpoints.
    pub(super) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// The host of `host:port` or `[v6]:port`; `None` where there is none, or no such port.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let port = port?;
    let is_port = authority.ends_with(port) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let without = port.is_empty() && !authority.ends_with(':');
    (!host.is_empty() && (is_port || without)).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// What opens an engine to its user. It is in no record, log, error or report.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Takes a key as it stands in a variable or a file: without the line break at its end.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] when it cannot stand in a header; `whence` names where it is from.
    pub fn new(text: &str, whence: &str) -> Result<Self, EngineError> {
        let key = text.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "expected one line of visible ASCII characters without spaces";
            return Err(EngineError::Refused(format!("{whence}: {why}")));
        }
        Ok(Self(key.to_owned()))
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A text of a server without the key, which some servers repeat in their errors.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_this_machine_or_has_tls() {
        for (text, loopback) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8000/", true),
            ("http://[::1]:30000/v1", true),
            ("https://api.example.com/v1", false),
            ("https://host/a/b/", false),
        ] {
            let address = Address::parse(text, false).unwrap();
            assert_eq!(address.is_loopback(), loopback, "{text}");
            assert!(!address.to_string().ends_with("/v1"), "{text}");
        }
        let far = "http://10.1.2.3:8000";
        assert!(Address::parse(far, false).unwrap_err().to_string().contains("--allow-http"));
        assert!(Address::parse(far, true).is_ok());
        // Not of this machine, whatever it looks like.
        assert!(Address::parse("http://127.0.0.1.example.com", false).is_err());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "127.0.0.1:8080",
            "ftp://host",
            "http://",
            "http://:80",
            "http://localhost:0",
            "http://localhost:99999",
            "http://localhost:",
            "http://local host",
            "http://[::1:80",
            "https://h?x=1",
            "https://h#x",
        ] {
            let error = Address::parse(text, true).unwrap_err();
            assert!(error.is_refusal() && error.to_string().starts_with("--engine "), "{text}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let error =
            Address::parse("http://user:secret@localhost:1", false).unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("TAPER_ENGINE_KEY"));
        let key = Key::new("secret\n", "TAPER_ENGINE_KEY").unwrap();
        assert!(!format!("{key:?}").contains("secret"));
        assert_eq!(key.hidden_in("wrong: secret!"), "wrong: …!");
        for odd in ["", " \n", "a b", "ä", "a\nb"] {
            assert!(Key::new(odd, "TAPER_ENGINE_KEY").unwrap_err().is_refusal());
        }
    }
}
