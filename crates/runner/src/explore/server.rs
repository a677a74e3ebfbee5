//! The server of the page: who may ask, and what is sent.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::assets::asset;
use super::{Denied, Explorer, secret};

/// Questions that are worked on at a time; more wait.
const MOST_AT_WORK: usize = 16;
/// Bytes of a question.
const MOST_BYTES: usize = 1 << 20;
/// How long the head of a question may take.
const HEAD: Duration = Duration::from_secs(10);
/// How often it is looked whether the program ends.
const TICK: Duration = Duration::from_millis(100);
const JSON: &str = "application/json";

/// What every answer says of itself: nothing is loaded from elsewhere or told to it, and nothing is kept.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
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
    /// What answers cannot be started.
    #[error("cannot serve the page: {0}")]
    Serve(String),
}

/// A server that listens.
pub struct ExploreServer {
    shared: Arc<Shared>,
    listener: TcpListener,
    host: String,
    port: u16,
}

/// What every connection has in common.
struct Shared {
    explorer: Explorer,
    /// What `Host` may be.
    hosts: Vec<String>,
    secret: String,
    ended: AtomicBool,
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
        let host = bracketed(&listen.host);
        let address = format!("{host}:{}", listen.port);
        let failed = |error: io::Error| ExploreError::Listen {
            address: address.clone(),
            reason: error.to_string(),
        };
        let listener = TcpListener::bind(&address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let own = ["127.0.0.1", "localhost", "[::1]", &host].map(|host| format!("{host}:{port}"));
        let mut hosts = own.to_vec();
        for other in &listen.allowed_hosts {
            hosts.extend([other.clone(), format!("{other}:{port}")]);
        }
        let ended = AtomicBool::new(false);
        let shared = Arc::new(Shared { explorer, hosts, secret: secret(), ended });
        Ok(Self { shared, listener, host, port })
    }

    /// The address of the page, with its token.
    pub fn address(&self) -> String {
        format!("http://{}:{}/{}/", self.host, self.port, self.shared.secret)
    }

    /// Answers until `stop`.
    ///
    /// # Errors
    ///
    /// When the system has no threads for it.
    pub fn serve(self, stop: &AtomicBool) -> Result<(), ExploreError> {
        let failed = |error: io::Error| ExploreError::Serve(error.to_string());
        let runtime = runtime().map_err(failed)?;
        let Self { shared, listener, .. } = self;
        let served = runtime.block_on(accept(&shared, listener, stop)).map_err(failed);
        shared.ended.store(true, Ordering::Relaxed);
        runtime.shutdown_timeout(10 * TICK);
        served
    }
}

fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).max_blocking_threads(MOST_AT_WORK).enable_io().enable_time().build()
}

/// Takes connections until `stop`.
async fn accept(shared: &Arc<Shared>, listener: TcpListener, stop: &AtomicBool) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    while !stop.load(Ordering::Relaxed) {
        // One that is gone before it is taken, and a system out of handles, are over in a moment.
        let Ok(Ok((stream, _))) = tokio::time::timeout(TICK, listener.accept()).await else {
            continue;
        };
        // Small answers go out at once. Where that cannot be had they come a little later.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // What cannot be sent is gone with its reader.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
    Ok(())
}

type Answer = Response<Either<Full<Bytes>, Lines>>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let Some(path) = shared.allowed(&request) else {
        let what = "open the address that `taper explore` prints";
        return Ok(refusal(StatusCode::FORBIDDEN, what));
    };
    if request.method() == Method::GET {
        return Ok(match asset(&path) {
            Some((kind, text)) => whole(StatusCode::OK, kind, text.into()),
            None => refusal(StatusCode::NOT_FOUND, "there is no such page"),
        });
    }
    let question = path.strip_prefix("api/").filter(|_| request.method() == Method::POST);
    let Some(question) = question.map(str::to_owned) else {
        return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "a question is a POST to api/"));
    };
    let Ok(body) = Limited::new(request.into_body(), MOST_BYTES).collect().await else {
        let what = "the question is longer than 1 MB, or was cut off";
        return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, what));
    };
    let body = body.to_bytes();
    if question == "run" {
        return Ok(run(shared, body));
    }
    let work = move || shared.explorer.answer(&question, &body);
    Ok(match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => whole(StatusCode::OK, JSON, answer.to_string().into()),
        Ok(Err(denied)) => refusal(StatusCode::BAD_REQUEST, &denied.to_string()),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed"),
    })
}

/// The tokens of a run, each as soon as it is there.
fn run(shared: Arc<Shared>, body: Bytes) -> Answer {
    let (sender, lines) = mpsc::channel(64);
    tokio::task::spawn_blocking(move || {
        let mut out = Sink(sender);
        let stop = || shared.ended.load(Ordering::Relaxed);
        if let Err(Denied(why)) = shared.explorer.run(&body, &mut out, &stop) {
            // Nothing reads it if the page was closed.
            let _ = out.write_all(format!("{}\n", json!({ "error": why })).as_bytes());
        }
    });
    with_headers(Response::new(Either::Right(Lines(lines))), "application/x-ndjson")
}

impl Shared {
    /// The path behind the token, if the request may have an answer.
    fn allowed(&self, request: &Request<Incoming>) -> Option<String> {
        let header = |name: HeaderName| {
            let text = request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
            text.map(str::to_owned)
        };
        let is_ours = |host: &str| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if !header(HOST).is_some_and(|host| is_ours(&host)) {
            return None;
        }
        let origin_is_ours = |origin: String| {
            let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            host.is_some_and(is_ours)
        };
        if !header(ORIGIN).is_none_or(origin_is_ours) {
            return None;
        }
        let (token, path) = request.uri().path().strip_prefix('/')?.split_once('/')?;
        same(token, &self.secret).then(|| path.to_owned())
    }
}

/// A body whose pieces are sent as they come.
struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Where a run writes such pieces.
struct Sink(mpsc::Sender<Bytes>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refusal(status: StatusCode, why: &str) -> Answer {
    whole(status, JSON, json!({ "error": why }).to_string().into())
}

fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    with_headers(response, kind)
}

fn with_headers(mut response: Answer, kind: &'static str) -> Answer {
    let all = HEADERS.into_iter().chain([("content-type", kind)]);
    for (name, value) in all {
        let value = hyper::header::HeaderValue::from_static(value);
        response.headers_mut().insert(HeaderName::from_static(name), value);
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
