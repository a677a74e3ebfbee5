//! Requests over HTTP, with a bound on everything that comes back.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::address::{Address, Key};
use super::error::EngineError;
use crate::told::{escaped, shortened};

/// How long an engine may take, and how much it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For a whole request.
    pub request: Duration,
    /// Bytes of an answer.
    pub bytes: u64,
}

impl Default for Limits {
    /// Ten seconds, ten minutes, 256 MB.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_mins(10),
            bytes: 256 << 20,
        }
    }
}

/// Bytes of an error that are read: what it says is in its beginning.
const ERROR_BYTES: u64 = 64 << 10;

/// An engine's HTTP side.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    address: Address,
    key: Option<Key>,
    pub(super) limits: Limits,
}

impl Client {
    pub(super) fn new(address: Address, key: Option<Key>, limits: Limits) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would carry the key and the prompt to a place that was not named.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.request))
            // A connection kept open may be closed by the server just as a request is sent on it.
            .max_idle_connections(0)
            .user_agent(concat!("taper/", env!("CARGO_PKG_VERSION")));
        // A proxy of the environment is for what is beyond this machine.
        let config = if address.is_loopback() { config.proxy(None) } else { config };
        Self { agent: config.build().into(), address, key, limits }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The body of a GET, and its `Server` header.
    pub(super) fn get(&self, path: &str) -> Result<(Value, Option<String>), EngineError> {
        let mut request = self.agent.get(self.address.endpoint(path));
        if let Some(key) = &self.key {
            request = request.header("Authorization", key.header());
        }
        let response = request.call().map_err(|error| self.broken(&error))?;
        let response = self.fine(response)?;
        let server = header(&response, "server");
        Ok((self.json(response)?, server))
    }

    /// The body of the answer to a POST.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, EngineError> {
        self.send(path, body).and_then(|response| self.json(response))
    }

    /// The answer to a POST, to be read as it comes.
    pub(super) fn open(&self, path: &str, body: &Value) -> Result<impl Read + use<>, EngineError> {
        let response = self.send(path, body)?;
        let kind = header(&response, "content-type").unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            let body = self.bytes(response, ERROR_BYTES)?;
            let said = shown(&String::from_utf8_lossy(&body));
            return Err(self.odd(format!("expected a stream of events, not {kind:?}: {said}")));
        }
        Ok(response.into_body().into_reader())
    }

    fn send(&self, path: &str, body: &Value) -> Result<Response<Body>, EngineError> {
        let mut request = self.agent.post(self.address.endpoint(path));
        request = request.header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("Authorization", key.header());
        }
        let response = request.send(body.to_string().as_bytes());
        self.fine(response.map_err(|error| self.broken(&error))?)
    }

    fn json(&self, response: Response<Body>) -> Result<Value, EngineError> {
        let bytes = self.bytes(response, self.limits.bytes)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let said = shown(&String::from_utf8_lossy(&bytes[..bytes.len().min(400)]));
            self.odd(format!("expected JSON ({error}): {said}"))
        })
    }

    fn bytes(&self, response: Response<Body>, limit: u64) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.cut(&error))?;
        if bytes.len() as u64 > limit {
            return Err(self.odd(format!("the answer is longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// The answer, unless it is an error or sends elsewhere.
    fn fine(&self, response: Response<Body>) -> Result<Response<Body>, EngineError> {
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let retry_after = header(&response, "retry-after").and_then(|text| text.parse().ok());
        let retry_after = retry_after.map(|seconds: u64| Duration::from_secs(seconds.min(3600)));
        let what = if (300..400).contains(&status) {
            let to = header(&response, "location").unwrap_or_default();
            format!("the server sends elsewhere, to {}; name that address", shown(&to))
        } else {
            // An error whose own text breaks off is still that error.
            let mut body = Vec::new();
            let _ = response.into_body().into_reader().take(ERROR_BYTES).read_to_end(&mut body);
            let said = message(&body);
            match status {
                401 | 403 if self.key.is_some() => {
                    format!("the key in TAPER_ENGINE_KEY or --engine-key-file is refused: {said}")
                }
                401 | 403 => format!("a key is wanted; put it into TAPER_ENGINE_KEY: {said}"),
                _ => said,
            }
        };
        Err(EngineError::Status {
            engine: self.address.to_string(),
            status,
            what: self.without_key(&what),
            retry_after,
        })
    }

    fn broken(&self, error: &ureq::Error) -> EngineError {
        let what = match error {
            ureq::Error::Timeout(_) => format!("no answer in time: {error}"),
            ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                "nothing listens there (connection refused)".to_owned()
            }
            ureq::Error::Io(io) => format!("the connection broke: {io}"),
            ureq::Error::Protocol(_) => format!("no HTTP server: {error}"),
            _ => error.to_string(),
        };
        let what = self.without_key(&what);
        EngineError::Connection { engine: self.address.to_string(), what: shown(&what) }
    }

    /// An answer that ended before it was whole.
    pub(super) fn cut(&self, error: &std::io::Error) -> EngineError {
        let what = shown(&self.without_key(&format!("the answer broke off: {error}")));
        EngineError::Connection { engine: self.address.to_string(), what }
    }

    /// An answer that is not what such a server sends.
    pub(super) fn odd(&self, what: impl Into<String>) -> EngineError {
        let what = self.without_key(&what.into());
        EngineError::Answer { engine: self.address.to_string(), what }
    }

    /// Another server than was meant.
    pub(super) fn other(&self, what: impl Into<String>) -> EngineError {
        EngineError::Other { engine: self.address.to_string(), what: what.into() }
    }

    fn without_key(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.hidden_in(text))
    }
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// What a server's text says, in one line.
fn shown(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&escaped(&text)).into_owned()
}

/// What an error says: each engine has its own place for it.
pub(super) fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let places = ["/error/message", "/message", "/error", "/detail/0/msg", "/detail"];
    let said =
        json.as_ref().and_then(|json| places.iter().find_map(|at| json.pointer(at)?.as_str()));
    let said = said.map_or_else(|| text.to_string(), str::to_owned);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = escaped(&said).into_owned();
    if let Some((at, _)) = line.char_indices().nth(400) {
        line.truncate(at);
        line.push('…');
    }
    if line.is_empty() { "no word on why".to_owned() } else { line }
}
