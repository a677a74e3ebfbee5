//! llama.cpp's `/completion`.

use serde::Deserialize;
use serde_json::Value;

use super::typed;
use crate::engine::answer::{Counts, Heard, HeardChoice, Likely, TokenLogprob};
use crate::outcome::FinishReason;

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default)]
    index: usize,
    content: String,
    #[serde(default)]
    tokens: Vec<u32>,
    stop: bool,
    #[serde(default)]
    stop_type: Option<String>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    tokens_predicted: Option<usize>,
    #[serde(default)]
    tokens_evaluated: Option<usize>,
    #[serde(default)]
    generation_settings: Option<Value>,
    #[serde(default)]
    completion_probabilities: Vec<Probability>,
    #[serde(default)]
    timings: Option<Timings>,
}

#[derive(Debug, Deserialize)]
struct Timings {
    #[serde(default)]
    prompt_ms: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Probability {
    id: u32,
    token: String,
    #[serde(default)]
    logprob: Option<f64>,
    #[serde(default)]
    top_logprobs: Vec<Top>,
}

#[derive(Debug, Deserialize)]
struct Top {
    id: u32,
    token: String,
    logprob: f64,
}

pub(super) fn read(value: Value) -> Result<Heard, String> {
    let events: Vec<Event> = match value {
        Value::Array(_) => typed(value)?,
        one => vec![typed(one)?],
    };
    let mut heard = Heard::default();
    for event in events {
        if event.stop {
            let prompt_ms = event.timings.as_ref().and_then(|timings| timings.prompt_ms);
            heard.prompt_s = prompt_ms.map(|ms| ms / 1000.0).or(heard.prompt_s);
            heard.settings = event.generation_settings.clone().or(heard.settings);
        }
        heard.counts =
            Counts { prompt: event.tokens_evaluated.or(heard.counts.prompt), generated: None };
        heard.choices.push(choice(event)?);
    }
    Ok(heard)
}

fn choice(event: Event) -> Result<HeardChoice, String> {
    let finish = match event.stop.then_some(event.stop_type.as_deref()) {
        None => None,
        Some(Some("eos")) => Some(FinishReason::Eos),
        Some(Some("word")) => Some(FinishReason::StopString),
        Some(Some("limit")) if event.truncated => Some(FinishReason::ContextFull),
        Some(Some("limit")) => Some(FinishReason::Length),
        Some(other) => return Err(format!("the answer ends for {other:?}, which is not known")),
    };
    let probability = |one: Probability| TokenLogprob {
        token: Some(one.id),
        text: Some(one.token),
        logprob: one.logprob,
        top: one
            .top_logprobs
            .into_iter()
            .map(|top| Likely { token: Some(top.id), text: Some(top.token), logprob: top.logprob })
            .collect(),
    };
    Ok(HeardChoice {
        index: event.index,
        text: event.content,
        tokens: Some(event.tokens),
        finish,
        logprobs: event.completion_probabilities.into_iter().map(probability).collect(),
        cumulative: false,
        generated: event.stop.then_some(event.tokens_predicted).flatten(),
    })
}
