//! SGLang's `/generate`, whose streams say everything so far each time.

use serde::Deserialize;
use serde_json::Value;

use super::{Asked, finish, typed};
use crate::engine::answer::{Counts, Heard, HeardChoice, Likely, TokenLogprob};

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(default)]
    index: usize,
    text: String,
    #[serde(default)]
    output_ids: Option<Vec<u32>>,
    meta_info: Meta,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default)]
    finish_reason: Option<Reason>,
    #[serde(default)]
    prompt_tokens: Option<usize>,
    #[serde(default)]
    completion_tokens: Option<usize>,
    #[serde(default)]
    output_token_logprobs: Vec<Said>,
    #[serde(default)]
    output_top_logprobs: Vec<Option<Vec<Said>>>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    r#type: String,
    #[serde(default)]
    matched: Option<Value>,
    #[serde(default)]
    message: Option<String>,
}

/// Log-probability, token, text.
#[derive(Debug, Deserialize)]
struct Said(Option<f64>, u32, #[serde(default)] Option<String>);

pub(super) fn read(value: Value, asked: &Asked) -> Result<Heard, String> {
    let events: Vec<Event> = match value {
        // Of a whole answer the choices stand in their order, without numbers.
        Value::Array(list) => list
            .into_iter()
            .enumerate()
            .map(|(index, one)| typed(one).map(|event: Event| Event { index, ..event }))
            .collect::<Result<_, _>>()?,
        one => vec![typed(one)?],
    };
    let mut heard = Heard::default();
    for event in events {
        heard.counts = Counts { prompt: event.meta_info.prompt_tokens, generated: None };
        heard.choices.push(choice(event, asked)?);
    }
    Ok(heard)
}

fn choice(event: Event, asked: &Asked) -> Result<HeardChoice, String> {
    let Meta {
        finish_reason, completion_tokens, output_token_logprobs, output_top_logprobs, ..
    } = event.meta_info;
    if let Some(Reason { r#type, message, .. }) = &finish_reason
        && r#type == "abort"
    {
        return Err(format!(
            "the server gave up: {}",
            message.as_deref().unwrap_or("no word on why")
        ));
    }
    let mut tops = output_top_logprobs.into_iter();
    let logprobs = output_token_logprobs.into_iter().map(|Said(logprob, token, text)| {
        let top = tops.next().flatten().unwrap_or_default().into_iter();
        let top = top.filter_map(|Said(logprob, token, text)| {
            Some(Likely { token: Some(token), text, logprob: logprob? })
        });
        TokenLogprob { token: Some(token), text, logprob, top: top.collect() }
    });
    Ok(HeardChoice {
        index: event.index,
        text: event.text,
        tokens: event.output_ids,
        logprobs: logprobs.collect(),
        generated: finish_reason.as_ref().and(completion_tokens),
        finish: finish_reason
            .map(|reason| finish(&reason.r#type, reason.matched.as_ref(), false, asked)),
        cumulative: true,
    })
}
