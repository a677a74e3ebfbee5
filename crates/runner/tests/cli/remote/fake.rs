//! A server that answers as llama.cpp's does, or as a test wants it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: String,
    pub(super) body: Value,
}

/// The server.
pub(super) struct Fake {
    pub(super) url: String,
    got: Arc<Mutex<Vec<Got>>>,
    over: Arc<AtomicBool>,
    port: u16,
}

impl Fake {
    /// One that behaves well.
    pub(super) fn well() -> Self {
        Self::new(|_, _| false)
    }

    /// One that does this with a request; `false` leaves it to the fake.
    pub(super) fn new(act: impl Fn(&Got, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (seen, ended, act) = (Arc::clone(&got), Arc::clone(&over), Arc::new(act));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(mut stream), seen, act) = (stream, Arc::clone(&seen), Arc::clone(&act))
                else {
                    return;
                };
                thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    seen.lock().unwrap().push(request.clone());
                    if !act(&request, &mut stream) {
                        answer(&request, &mut stream);
                    }
                });
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), got, over, port }
    }

    /// The requests that came.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Listens no more.
    pub(super) fn die(&self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.die();
    }
}

fn read(stream: &TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(count) = lower.strip_prefix("content-length:") {
            length = count.trim().parse().ok()?;
        }
        headers += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Got { path, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// Sends a status, a kind and a body, and closes.
pub(super) fn send(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// Begins a stream of events, whose end is that of the connection.
pub(super) fn begin(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
}

/// An event.
pub(super) fn event(stream: &mut TcpStream, value: &Value) {
    let _ = stream.write_all(format!("data: {value}\n\n").as_bytes());
}

/// A token as llama.cpp streams it.
pub(super) fn token(id: u64, count: u64) -> Value {
    json!({
        "index": 0, "content": format!(" t{id}"), "tokens": [id], "stop": false,
        "tokens_predicted": count, "tokens_evaluated": 2,
        "completion_probabilities": [{
            "id": id, "token": format!(" t{id}"), "logprob": -0.5,
            "top_logprobs": [{"id": id, "token": format!(" t{id}"), "logprob": -0.5}],
        }],
    })
}

/// What llama.cpp ends with.
pub(super) fn end(count: u64) -> Value {
    json!({
        "index": 0, "content": "", "tokens": [], "stop": true, "stop_type": "limit",
        "truncated": false, "tokens_predicted": count, "tokens_evaluated": 2,
        "generation_settings": {"seed": 7, "temperature": 0.0},
    })
}

/// The tokens of a request: a function of prompt, temperature and seed.
fn tokens(body: &Value) -> Vec<u64> {
    let sum: u64 = body["prompt"].as_array().into_iter().flatten().filter_map(Value::as_u64).sum();
    let hot = (body["temperature"].as_f64().unwrap_or(0.0) * 100.0) as u64;
    let seed = body["seed"].as_u64().unwrap_or(0);
    let count = body["n_predict"].as_u64().unwrap_or(1);
    (0..count).map(|i| (sum * 31 + hot * 17 + seed % 1009 * 7 + i * 13) % 2012).collect()
}

/// As llama.cpp's server does with the builtin model.
pub(super) fn answer(got: &Got, stream: &mut TcpStream) {
    let json = "application/json";
    match got.path.as_str() {
        "/v1/models" => {
            let models = json!({"object": "list", "data": [{
                "id": "tiny.gguf", "aliases": ["tiny"], "owned_by": "llamacpp",
                "meta": {"n_vocab": 2012, "n_ctx": 256},
            }]});
            send(stream, "200 OK", json, &models.to_string());
        }
        "/props" => {
            let props = json!({
                "total_slots": 1, "model_path": "models/tiny.gguf", "build_info": "b1-fake",
                "default_generation_settings": {"n_ctx": 256},
            });
            send(stream, "200 OK", json, &props.to_string());
        }
        "/tokenize" => send(stream, "200 OK", json, r#"{"tokens": [0, 280]}"#),
        "/detokenize" => send(stream, "200 OK", json, r#"{"content": "The"}"#),
        "/completion" => {
            let tokens = tokens(&got.body);
            let count = tokens.len() as u64;
            if got.body["stream"] == true {
                begin(stream);
                for (i, &id) in tokens.iter().enumerate() {
                    event(stream, &token(id, i as u64 + 1));
                }
                return event(stream, &end(count));
            }
            let mut whole = end(count);
            let text = tokens.iter().map(|id| format!(" t{id}")).collect::<Vec<_>>().concat();
            (whole["content"], whole["tokens"]) = (json!(text), json!(tokens));
            let said = tokens.iter().map(|&id| token(id, 0)["completion_probabilities"][0].clone());
            whole["completion_probabilities"] = said.collect();
            send(stream, "200 OK", json, &whole.to_string());
        }
        _ => send(stream, "404 Not Found", json, r#"{"error": {"message": "File Not Found"}}"#),
    }
}
