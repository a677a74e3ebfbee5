//! `/v1/chat/completions`.

use serde::Deserialize;
use serde_json::Value;

use super::legacy::Usage;
use super::{Asked, finish, id_of, typed, without_stop};
use crate::engine::answer::{Counts, Heard, HeardChoice, Likely, TokenLogprob};

#[derive(Debug, Deserialize)]
struct Event {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    prompt_token_ids: Option<Vec<u32>>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: usize,
    #[serde(default, alias = "delta")]
    message: Option<Message>,
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

#[derive(Debug, Default, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Logprobs {
    #[serde(default)]
    content: Option<Vec<Spoken>>,
}

/// A token of an answer, as chats have it. llama.cpp names its id as well.
#[derive(Debug, Deserialize)]
pub(super) struct Spoken {
    #[serde(default)]
    id: Option<u32>,
    token: String,
    #[serde(default)]
    logprob: Option<f64>,
    #[serde(default)]
    top_logprobs: Vec<Self>,
}

impl Spoken {
    fn named(&self) -> (Option<u32>, Option<String>) {
        let id = self.id.or_else(|| id_of(&self.token));
        (id, (!self.token.starts_with("token_id:")).then(|| self.token.clone()))
    }
}

impl From<Spoken> for TokenLogprob {
    fn from(spoken: Spoken) -> Self {
        let (token, text) = spoken.named();
        let top = spoken.top_logprobs.iter().filter_map(|top| {
            let (token, text) = top.named();
            Some(Likely { token, text, logprob: top.logprob? })
        });
        Self { token, text, logprob: spoken.logprob, top: top.collect() }
    }
}

pub(super) fn read(value: Value, asked: &Asked) -> Result<Heard, String> {
    let event: Event = typed(value)?;
    let mut heard = Heard {
        counts: event.usage.map(Counts::from).unwrap_or_default(),
        prompt_tokens: event.prompt_token_ids,
        ..Heard::default()
    };
    for choice in event.choices {
        let mut text = choice.message.and_then(|message| message.content).unwrap_or_default();
        let cut = without_stop(&text, asked);
        text.truncate(cut.unwrap_or(text.len()));
        let at = choice.stop_reason.filter(|at| !at.is_null());
        let spoken = choice.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
        // llama.cpp has the ids here alone.
        let ids: Option<Vec<u32>> = spoken.iter().map(|spoken| spoken.named().0).collect();
        let ids = ids.filter(|ids| !ids.is_empty());
        heard.prompt_tokens = choice.prompt_token_ids.or(heard.prompt_tokens);
        heard.choices.push(HeardChoice {
            index: choice.index,
            text,
            tokens: choice.token_ids.or(ids),
            finish: choice
                .finish_reason
                .map(|reason| finish(&reason, at.as_ref(), cut.is_some(), asked)),
            logprobs: spoken.into_iter().map(TokenLogprob::from).collect(),
            cumulative: false,
            generated: None,
        });
    }
    Ok(heard)
}
