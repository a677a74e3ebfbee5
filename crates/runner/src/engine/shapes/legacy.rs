//! `/v1/completions`, as vLLM, MAX, transformers and others answer.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::chat::Spoken;
use super::{Asked, finish, id_of, typed, without_stop};
use crate::engine::answer::{Counts, Heard, HeardChoice, Likely, TokenLogprob};

#[derive(Debug, Deserialize)]
struct Event {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Usage {
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: Option<usize>,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        Self { prompt: Some(usage.prompt_tokens), generated: usage.completion_tokens }
    }
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default, alias = "matched_stop")]
    stop_reason: Option<Value>,
    #[serde(default)]
    token_ids: Option<Vec<u32>>,
    #[serde(default)]
    prompt_token_ids: Option<Vec<u32>>,
}

/// Log-probabilities as OpenAI had them first; llama.cpp has those of chats in their place.
#[derive(Debug, Default, Deserialize)]
struct Logprobs {
    #[serde(default)]
    tokens: Option<Vec<String>>,
    #[serde(default, rename = "token_logprobs")]
    of_tokens: Option<Vec<Option<f64>>>,
    #[serde(default, rename = "top_logprobs")]
    top: Option<Vec<Option<Map<String, Value>>>>,
    #[serde(default)]
    content: Option<Vec<Spoken>>,
}

pub(super) fn read(value: Value, asked: &Asked) -> Result<Heard, String> {
    let event: Event = typed(value)?;
    let mut heard =
        Heard { counts: event.usage.map(Counts::from).unwrap_or_default(), ..Heard::default() };
    for mut choice in event.choices {
        heard.prompt_tokens = choice.prompt_token_ids.take().or(heard.prompt_tokens);
        let mut text = choice.text.unwrap_or_default();
        let cut = without_stop(&text, asked);
        text.truncate(cut.unwrap_or(text.len()));
        let at = choice.stop_reason.filter(|at| !at.is_null());
        heard.choices.push(HeardChoice {
            index: choice.index,
            text,
            tokens: choice.token_ids,
            finish: choice
                .finish_reason
                .map(|reason| finish(&reason, at.as_ref(), cut.is_some(), asked)),
            logprobs: choice.logprobs.unwrap_or_default().into_list(),
            cumulative: false,
            generated: None,
        });
    }
    Ok(heard)
}

impl Logprobs {
    fn into_list(self) -> Vec<TokenLogprob> {
        if let Some(content) = self.content {
            return content.into_iter().map(TokenLogprob::from).collect();
        }
        let tokens = self.tokens.unwrap_or_default();
        let top = self.top.unwrap_or_default();
        let chosen = self.of_tokens.unwrap_or_default();
        let count = tokens.len().max(chosen.len());
        let one = |at: usize| {
            let name = tokens.get(at);
            let id = name.and_then(|name| id_of(name));
            let mut likely: Vec<Likely> =
                top.get(at).into_iter().flatten().flatten().filter_map(likely).collect();
            likely.sort_by(|a, b| b.logprob.total_cmp(&a.logprob));
            TokenLogprob {
                token: id,
                text: name.filter(|_| id.is_none()).cloned(),
                logprob: chosen.get(at).copied().flatten(),
                top: likely,
            }
        };
        (0..count).map(one).collect()
    }
}

fn likely((name, logprob): (&String, &Value)) -> Option<Likely> {
    let token = id_of(name);
    let text = token.is_none().then(|| name.clone());
    Some(Likely { token, text, logprob: logprob.as_f64()? })
}
