//! The shapes that answers have. Each reads an event of a stream as it reads a whole answer.

mod chat;
mod legacy;
mod native;
mod sglang;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::Heard;
use crate::outcome::FinishReason;

/// Which shape an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// llama.cpp's `/completion`.
    Native,
    /// `/v1/completions`.
    Legacy,
    /// `/v1/chat/completions`.
    Chat,
    /// SGLang's `/generate`.
    SgLang,
}

/// What was asked that the words of an answer depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Asked {
    pub(super) stops: Vec<String>,
    pub(super) stop_tokens: Vec<u32>,
    /// Tokens that end the text where the engine was told of them as stop tokens.
    pub(super) eos: Vec<u32>,
    /// Whether a stop string stays in the text.
    pub(super) keeps_stops: bool,
    /// Whether it says at which stop a text ended.
    pub(super) names_stops: bool,
}

impl Shape {
    /// Reads an event or an answer.
    pub(super) fn read(self, value: Value, asked: &Asked) -> Result<Heard, String> {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            let said = error.get("message").unwrap_or(error);
            let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
            return Err(format!("the server failed: {said}"));
        }
        match self {
            Self::Native => native::read(value),
            Self::Legacy => legacy::read(value, asked),
            Self::Chat => chat::read(value, asked),
            Self::SgLang => sglang::read(value, asked),
        }
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("the answer is not of its kind: {error}"))
}

/// `token_id:468`, which vLLM writes where it is asked to.
fn id_of(key: &str) -> Option<u32> {
    key.strip_prefix("token_id:")?.parse().ok()
}

/// Why a text ended that an engine calls `stop` or `length`, by what it was stopped at.
fn finish(reason: &str, at: Option<&Value>, text_ends: bool, asked: &Asked) -> FinishReason {
    match (reason, at) {
        ("length", _) => FinishReason::Length,
        ("stop", Some(Value::String(_))) => FinishReason::StopString,
        ("stop", Some(Value::Number(id))) => {
            let id = id.as_u64();
            let among = |ids: &[u32]| ids.iter().any(|&known| Some(u64::from(known)) == id);
            if among(&asked.stop_tokens) && !among(&asked.eos) {
                FinishReason::StopToken
            } else {
                FinishReason::Eos
            }
        }
        ("stop", _) if text_ends => FinishReason::StopString,
        ("stop", _) => {
            let open =
                !asked.stops.is_empty() && !asked.keeps_stops || !asked.stop_tokens.is_empty();
            if open && !asked.names_stops {
                // It does not say at what.
                FinishReason::Stop
            } else {
                FinishReason::Eos
            }
        }
        ("abort" | "error", _) => FinishReason::Error,
        _ => FinishReason::Stop,
    }
}

/// A text without the stop string at its end, which some engines leave there; whether there was one.
fn without_stop(text: &str, asked: &Asked) -> Option<usize> {
    if !asked.keeps_stops {
        return None;
    }
    asked.stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
}
