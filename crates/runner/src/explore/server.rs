//! The server of the page: who may ask, and what is sent.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tiny_http::{Header, Method, Request, Response, Server};

use super::assets::asset;
use super::{Explorer, secret};

/// Questions answered at a time.
const THREADS: usize = 8;
/// Bytes of a question.
const MOST_BYTES: u64 = 1 << 20;
/// How often a waiting thread looks whether the program ends.
const TICK: Duration = Duration::from_millis(100);

/// What every answer says of itself: nothing is loaded from elsewhere or told to it, and nothing is kept.
const HEADERS: [(&str, &str); 7] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
];

/// Where to listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The address of this machine to listen on: `127.0.0.1` unless others are to reach the page.
    pub host: String,
    /// The port; 0 for a free one.
    pub port: u16,
    /// Names under which a tunnel or another machine reaches the page, beside this machine's own.
    pub allowed_hosts: Vec<String>,
}

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another --port, or 0 for a free one")]
    Listen {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
}

/// A server that listens.
pub struct ExploreServer {
    server: Server,
    explorer: Explorer,
    host: String,
    port: u16,
    /// What `Host` may be.
    hosts: Vec<String>,
    secret: String,
}

impl std::fmt::Debug for ExploreServer {
    /// Not the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExploreServer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl ExploreServer {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When the address is taken, or is none of this machine's.
    pub fn bind(explorer: Explorer, listen: &Listen) -> Result<Self, ExploreError> {
        let address = format!("{}:{}", bracketed(&listen.host), listen.port);
        let failed = |reason: String| ExploreError::Listen { address: address.clone(), reason };
        let listener =
            std::net::TcpListener::bind(&address).map_err(|error| failed(error.to_string()))?;
        let port = listener.local_addr().map_err(|error| failed(error.to_string()))?.port();
        let server =
            Server::from_listener(listener, None).map_err(|error| failed(error.to_string()))?;
        let own = ["127.0.0.1", "localhost", "[::1]", &bracketed(&listen.host)]
            .map(|host| format!("{host}:{port}"));
        let mut hosts = own.to_vec();
        for host in &listen.allowed_hosts {
            hosts.extend([host.clone(), format!("{host}:{port}")]);
        }
        Ok(Self { server, explorer, host: listen.host.clone(), port, hosts, secret: secret() })
    }

    /// The address of the page, with its token.
    pub fn address(&self) -> String {
        format!("http://{}:{}/{}/", bracketed(&self.host), self.port, self.secret)
    }

    /// Answers until `stop`.
    pub fn serve(&self, stop: &AtomicBool) {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        match self.server.recv_timeout(TICK) {
                            // What cannot be written is gone with its reader.
                            Ok(Some(request)) => drop(self.answer(request, stop)),
                            Ok(None) => {}
                            Err(_) => return,
                        }
                    }
                });
            }
        });
    }

    fn answer(&self, mut request: Request, stop: &AtomicBool) -> io::Result<()> {
        let Some(path) = self.allowed(&request) else {
            return refuse(request, 403, "open the address that `taper explore` prints");
        };
        if request.method() == &Method::Get {
            return match asset(&path) {
                Some((kind, text)) => {
                    request.respond(with_headers(Response::from_string(text), kind))
                }
                None => refuse(request, 404, "there is no such page"),
            };
        }
        let question = path.strip_prefix("api/").map(str::to_owned);
        let (Some(question), &Method::Post) = (question, request.method()) else {
            return refuse(request, 405, "a question is a POST to api/");
        };
        let mut body = Vec::new();
        request.as_reader().take(MOST_BYTES + 1).read_to_end(&mut body)?;
        if body.len() as u64 > MOST_BYTES {
            return refuse(request, 413, "the question is longer than 1 MB");
        }
        if question == "run" {
            return self.stream(request, &body, stop);
        }
        match self.explorer.answer(&question, &body) {
            Ok(answer) => {
                let text = answer.to_string();
                request.respond(with_headers(Response::from_string(text), "application/json"))
            }
            Err(denied) => refuse(request, 400, &denied.to_string()),
        }
    }

    /// The path behind the token, if the request may have an answer.
    fn allowed(&self, request: &Request) -> Option<String> {
        let header = |name: &'static str| {
            let of_name = |header: &&Header| header.field.equiv(name);
            request.headers().iter().find(of_name).map(|header| header.value.as_str())
        };
        let is_ours = |host: &str| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if !header("Host").is_some_and(is_ours) {
            return None;
        }
        let origin_is_ours = |origin: &str| {
            let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            host.is_some_and(is_ours)
        };
        if !header("Origin").is_none_or(origin_is_ours) {
            return None;
        }
        let path = request.url().split('?').next()?.strip_prefix('/')?;
        let (token, path) = path.split_once('/')?;
        same(token, &self.secret).then(|| path.to_owned())
    }

    /// The tokens of a run, each as soon as it is there.
    fn stream(&self, request: Request, body: &[u8], stop: &AtomicBool) -> io::Result<()> {
        let mut out = Chunks(request.into_writer());
        out.head()?;
        if let Err(denied) = self.explorer.run(body, &mut out, &|| stop.load(Ordering::Relaxed)) {
            let line = json!({ "error": denied.to_string() });
            out.write_all(format!("{line}\n").as_bytes())?;
        }
        out.end()
    }
}

/// A response that is written piece by piece, in HTTP's chunked form.
struct Chunks(Box<dyn Write + Send>);

impl Chunks {
    fn head(&mut self) -> io::Result<()> {
        write!(self.0, "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n")?;
        for (name, value) in HEADERS {
            write!(self.0, "{name}: {value}\r\n")?;
        }
        write!(self.0, "Transfer-Encoding: chunked\r\n\r\n")
    }

    fn end(&mut self) -> io::Result<()> {
        write!(self.0, "0\r\n\r\n")?;
        self.0.flush()
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            write!(self.0, "{:x}\r\n", bytes.len())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn refuse(request: Request, status: u16, why: &str) -> io::Result<()> {
    let text = json!({ "error": why }).to_string();
    let response = with_headers(Response::from_string(text), "application/json");
    request.respond(response.with_status_code(status))
}

fn with_headers<R: Read>(mut response: Response<R>, kind: &str) -> Response<R> {
    for (name, value) in HEADERS.into_iter().chain([("Content-Type", kind)]) {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(a: &str, b: &str) -> bool {
    let differ = a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && differ == 0
}

/// An address of IPv6 in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}
