//! A server that was found, asked who it is, and can be called.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::address::{Address, Key};
use super::answer::{Answer, Collector, Piece};
use super::call::{Call, Prompt};
use super::dialect::Dialect;
use super::error::EngineError;
use super::events::{Broken, Events};
use super::http::{Client, Limits};
use super::profile::Profile;
use super::text::OwnTokenizer;

/// How to find a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Connect {
    /// Where it is.
    pub address: Address,
    /// How it is spoken to; `None` to ask it.
    pub dialect: Option<Dialect>,
    /// The model's name there; `None` for the only one.
    pub model: Option<String>,
    /// What opens it.
    pub key: Option<Key>,
    /// How long it may take, and how much it may say.
    pub limits: Limits,
}

impl Connect {
    /// To a server that is asked for the rest.
    pub fn new(address: Address) -> Self {
        Self { address, dialect: None, model: None, key: None, limits: Limits::default() }
    }
}

/// A server that answers, and what it says of itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Server {
    client: Client,
    /// What is known of it.
    pub profile: Profile,
}

/// What is sent to the one who waits for an answer.
enum News {
    Piece(Piece),
    Ended(Result<(), EngineError>),
}

/// How often one who waits looks whether to stop.
const LOOK: Duration = Duration::from_millis(25);

impl Server {
    /// Finds a server and asks who it is.
    ///
    /// # Errors
    ///
    /// When nothing answers, when it is no engine, another one than was said, or has no such model.
    pub fn connect(connect: Connect) -> Result<Self, EngineError> {
        let Connect { address, dialect, model, key, limits } = connect;
        let client = Client::new(address, key, limits);
        let models = client.get("/v1/models");
        let found = identify(&client, &models)?;
        let dialect = match (dialect, found) {
            (Some(dialect), Some(found)) if !agrees(dialect, found) => {
                let what = format!("this is {found}; use --dialect {found}, or auto");
                return Err(client.other(what));
            }
            (Some(dialect), _) => dialect,
            (None, Some(found)) => found,
            (None, None) => {
                let what =
                    "no engine that is known answers here; if it is one, name it by --dialect";
                return Err(client.other(what));
            }
        };
        let models = models.map_or(Value::Null, |(body, _)| body);
        let url = Some(client.address().to_string());
        let mut server = Self { client, profile: Profile { url, ..Profile::of(dialect) } };
        server.choose_model(model, &models)?;
        server.ask_facts();
        Ok(server)
    }

    /// Uses this tokenizer for prompts, after a probe that it is the model's own.
    ///
    /// # Errors
    ///
    /// When it is another model's, and when the server cannot be asked.
    pub fn with_tokenizer(mut self, own: OwnTokenizer) -> Result<Self, EngineError> {
        own.probe(&self)?;
        self.profile.set_tokenizer(own);
        Ok(self)
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        self.client.address()
    }

    /// With another bound on the bytes of an answer.
    pub(super) fn with_limit(mut self, bytes: u64) -> Self {
        self.client.limits.bytes = bytes;
        self
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn choose_model(&mut self, wanted: Option<String>, models: &Value) -> Result<(), EngineError> {
        let list = models["data"].as_array().cloned().unwrap_or_default();
        let names = |model: &Value| -> Vec<String> {
            let aliases = model["aliases"].as_array().cloned().unwrap_or_default();
            let all = std::iter::once(&model["id"]).chain(&aliases);
            all.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let chosen = match &wanted {
            Some(wanted) => {
                let found = list.iter().find(|model| names(model).contains(wanted));
                // Some servers do not list what they have.
                if found.is_none() && !list.is_empty() {
                    let there: Vec<String> = list.iter().flat_map(names).take(10).collect();
                    let there = crate::told::escaped(&there.join(", ")).into_owned();
                    let what = format!("there is no model {wanted:?}; there are {there}");
                    return Err(self.client.other(what));
                }
                found
            }
            None if list.len() > 1 && self.profile.dialect == Dialect::OpenAi => {
                let there: Vec<String> = list.iter().flat_map(names).take(10).collect();
                let there = crate::told::escaped(&there.join(", ")).into_owned();
                let what = format!("there are several models; name one by --engine-model: {there}");
                return Err(self.client.other(what));
            }
            None => list.first(),
        };
        let id = chosen.and_then(|model| model["id"].as_str()).map(str::to_owned);
        self.profile.model = wanted.or(id);
        if let Some(model) = chosen {
            self.profile.root = model["root"].as_str().map(str::to_owned);
            let length = model["max_model_len"].as_u64().or(model["meta"]["n_ctx"].as_u64());
            self.profile.context_length = length.map(|length| length as usize);
            self.profile.vocab_size = model["meta"]["n_vocab"].as_u64().map(|size| size as usize);
        }
        Ok(())
    }

    /// What the server says of itself where it says it. What it does not say stays open.
    fn ask_facts(&mut self) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self.profile.dialect {
            Dialect::LlamaCpp => {
                let Ok((props, _)) = self.client.get("/props") else { return };
                self.profile.root = text(&props["model_path"]);
                self.profile.version = text(&props["build_info"]);
                self.profile.slots = props["total_slots"].as_u64().map(|slots| slots as usize);
                let length = props["default_generation_settings"]["n_ctx"].as_u64();
                self.profile.context_length =
                    length.map(|n| n as usize).or(self.profile.context_length);
                // Rows that pass through the model together have other last bits.
                self.profile.reproducible = self.profile.slots == Some(1);
            }
            Dialect::Vllm | Dialect::Max => {
                let Ok((version, _)) = self.client.get("/version") else { return };
                self.profile.version = text(&version["version"]);
            }
            Dialect::SgLang => {
                let Ok((info, _)) = self.client.get("/get_server_info") else { return };
                self.profile.version = text(&info["version"]);
                self.profile.root = text(&info["model_path"]).or(self.profile.root.take());
            }
            // One request at a time.
            Dialect::Transformers => {
                self.profile.reproducible = true;
                self.profile.slots = Some(1);
                self.profile.root = self.profile.root.take().or_else(|| self.profile.model.clone());
            }
            Dialect::OpenAi => {}
        }
    }

    /// The server's own tokens of a text, with those that it puts around a prompt; `None` where it has
    /// no endpoint for that.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn tokenize(&self, text: &str) -> Result<Option<Vec<u32>>, EngineError> {
        let body = match self.profile.dialect {
            Dialect::LlamaCpp => {
                json!({ "content": text, "add_special": true, "parse_special": true })
            }
            Dialect::Vllm | Dialect::SgLang => {
                json!({ "model": self.profile.model, "prompt": text, "add_special_tokens": true })
            }
            _ => return Ok(None),
        };
        let answer = self.client.post("/tokenize", &body)?;
        let ids = answer["tokens"].as_array().map(|ids| ids.iter().map(id).collect());
        match ids {
            Some(Some(ids)) => Ok(Some(ids)),
            _ => Err(self.client.odd("/tokenize answers without tokens")),
        }
    }

    /// The server's own text of tokens; `None` where it has no endpoint for that.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn detokenize(&self, ids: &[u32]) -> Result<Option<String>, EngineError> {
        if !matches!(self.profile.dialect, Dialect::LlamaCpp | Dialect::Vllm | Dialect::SgLang) {
            return Ok(None);
        }
        let answer = self
            .client
            .post("/detokenize", &json!({ "model": self.profile.model, "tokens": ids }))?;
        let text = ["content", "prompt", "text"].iter().find_map(|key| answer[key].as_str());
        match text {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.client.odd("/detokenize answers without a text")),
        }
    }

    /// A text as this engine is best given it: as tokens of the given tokenizer or of its own where it
    /// takes tokens, otherwise as it is.
    ///
    /// # Errors
    ///
    /// When the tokenizer or the server fails.
    pub fn prompt(&self, text: &str) -> Result<Prompt, EngineError> {
        if !self.profile.dialect.takes_ids() {
            return Ok(Prompt::Text(text.to_owned()));
        }
        if self.profile.own.is_some() {
            return self.profile.prompt(text);
        }
        Ok(self.tokenize(text)?.map_or_else(|| Prompt::Text(text.to_owned()), Prompt::Ids))
    }

    /// Sends a request, and hands on the text as it comes. On a thread of its own, so that `stop` is
    /// heard while the server says nothing; the connection is then closed.
    ///
    /// The answer is what there is, whole or not; the result says whether it is whole.
    pub fn answer(
        &self,
        call: &Call,
        stop: &dyn Fn() -> bool,
        heard: &mut dyn FnMut(&Piece) -> bool,
    ) -> (Answer, Result<(), EngineError>) {
        let (sender, receiver) = sync_channel(64);
        let collector = Arc::new(Mutex::new(Collector::new(call.choices, call.stream)));
        let (client, call, there) = (self.client.clone(), call.clone(), Arc::clone(&collector));
        let work = move || carry_out(&client, &call, &there, &sender);
        let began = thread::Builder::new().name("engine request".to_owned()).spawn(work);
        let ended = match began {
            Ok(_) => wait(&receiver, stop, heard),
            Err(error) => Err(self.client.cut(&error)),
        };
        (locked(&collector).clone().into_answer(), ended)
    }
}

/// What is in a lock: a thread that panicked leaves it as good as it was.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(
    receiver: &Receiver<News>,
    stop: &dyn Fn() -> bool,
    heard: &mut dyn FnMut(&Piece) -> bool,
) -> Result<(), EngineError> {
    loop {
        if stop() {
            return Err(EngineError::Cancelled);
        }
        match receiver.recv_timeout(LOOK) {
            Ok(News::Piece(piece)) => {
                if !heard(&piece) {
                    return Err(EngineError::Cancelled);
                }
            }
            Ok(News::Ended(ended)) => return ended,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(EngineError::Cancelled),
        }
    }
}

/// Sends a request and reads its answer, until it is whole, fails, or is no longer waited for.
fn carry_out(
    client: &Client,
    call: &Call,
    collector: &Mutex<Collector>,
    sender: &SyncSender<News>,
) {
    let ended = read(client, call, collector, &mut |piece| sender.send(News::Piece(piece)).is_ok());
    // The one who waited may be gone by now.
    let _ = sender.send(News::Ended(ended));
}

fn read(
    client: &Client,
    call: &Call,
    collector: &Mutex<Collector>,
    send: &mut dyn FnMut(Piece) -> bool,
) -> Result<(), EngineError> {
    let began = Instant::now();
    let odd = |what: String| client.odd(what);
    let mut take = |value: Value| {
        let heard = call.shape.read(value, &call.asked).map_err(odd)?;
        let pieces = locked(collector).take(heard).map_err(odd)?;
        // With no one to wait for it the connection is closed.
        let all = pieces.into_iter().all(&mut *send);
        if all { Ok(()) } else { Err(EngineError::Cancelled) }
    };
    if !call.stream {
        take(client.post(call.path, &call.body)?)?;
        return locked(collector).check().map_err(odd);
    }
    let mut events = Events::new(client.open(call.path, &call.body)?, client.limits.bytes);
    loop {
        let data = match events.next() {
            Ok(Some(b"[DONE]") | None) => break,
            Ok(Some(data)) => data,
            Err(Broken::Io(error)) => return Err(client.cut(&error)),
            Err(Broken::Endless) => {
                let limit = client.limits.bytes;
                return Err(client.odd(format!("the answer is longer than {limit} bytes")));
            }
        };
        let value: Value = serde_json::from_slice(data)
            .map_err(|error| client.odd(format!("an event is not JSON: {error}")))?;
        take(value)?;
        if began.elapsed() > client.limits.request {
            return Err(client.odd("the answer takes too long"));
        }
    }
    locked(collector).check().map_err(odd)
}

/// Which engine answers, by what it alone has; `None` for one that is not known.
fn identify(
    client: &Client,
    models: &Result<(Value, Option<String>), EngineError>,
) -> Result<Option<Dialect>, EngineError> {
    let (models, header) = match models {
        Ok((models, header)) => (models, header.as_deref().unwrap_or_default()),
        // It does not list its models, which is no reason to give up.
        Err(EngineError::Status { status, .. }) if !matches!(status, 401 | 403) => {
            return Ok(without_models(client));
        }
        Err(EngineError::Answer { .. }) => {
            let what = "this is no engine: /v1/models does not answer with JSON";
            return Err(client.other(what));
        }
        Err(error) => return Err(error.clone()),
    };
    let Some(first) = models["data"].get(0) else { return Ok(without_models(client)) };
    let owner = first["owned_by"].as_str().unwrap_or_default();
    Ok(match owner {
        "llamacpp" => Some(Dialect::LlamaCpp),
        "vllm" => Some(Dialect::Vllm),
        "sglang" => Some(Dialect::SgLang),
        _ if header.starts_with("llama.cpp") => Some(Dialect::LlamaCpp),
        // MAX names no owner, and has a version.
        "" if client.get("/version").is_ok_and(|(body, _)| body["version"].is_string()) => {
            Some(Dialect::Max)
        }
        _ => Some(without_models(client).unwrap_or(Dialect::OpenAi)),
    })
}

/// llama.cpp and transformers have endpoints that no other has.
fn without_models(client: &Client) -> Option<Dialect> {
    let props = client.get("/props").is_ok_and(|(props, _)| props["total_slots"].is_u64());
    if props {
        return Some(Dialect::LlamaCpp);
    }
    let (api, _) = client.get("/openapi.json").ok()?;
    api["paths"].get("/load_model").map(|_| Dialect::Transformers)
}

/// Whether a server that calls itself `found` may be spoken to in a dialect.
fn agrees(dialect: Dialect, found: Dialect) -> bool {
    dialect == found || dialect == Dialect::OpenAi || found == Dialect::OpenAi
}

fn id(value: &Value) -> Option<u32> {
    // llama.cpp has objects here if it was asked for pieces.
    let number = value.as_u64().or_else(|| value["id"].as_u64())?;
    u32::try_from(number).ok()
}
