//! What a run on an engine yields: the object of a local run, with null where the engine cannot say.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Choice, Likely, TokenLogprob};
use super::call::{Call, Prompt};
use super::dialect::Dialect;
use super::profile::Profile;
use super::wanted::Wanted;
use crate::outcome::{FinishReason, MemoryUse};

/// What is known of an engine and of how it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineFacts {
    /// Its address; `None` for one that was asked by a file.
    pub url: Option<String>,
    /// How it is spoken to.
    pub dialect: String,
    /// Its version; `None` if it does not say.
    pub version: Option<String>,
    /// The model's name there.
    pub model: Option<String>,
    /// Where the server has the model from.
    pub root: Option<String>,
    /// Whether the same request yields the same text, whatever else the server does meanwhile.
    pub reproducible: bool,
    /// How the prompt was sent: `ids`, `text` or `chat`.
    pub prompt: String,
    /// The seed that was sent, which for some is not the one of the run; `None` where nothing is drawn.
    pub seed: Option<u64>,
    /// What the log-probabilities are of; `None` if there are none.
    pub logprobs: Option<LogprobKind>,
    /// The settings in effect as the engine says them; `None` if it does not.
    pub settings: Option<Value>,
    /// Where tokens are chosen: `there` or `here`.
    pub sample: String,
}

/// What an engine's log-probabilities are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogprobKind {
    /// The model's own distribution.
    Raw,
    /// That distribution after the temperature.
    Tempered,
}

/// Everything about a run on an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RemoteOutcome {
    /// The model's name.
    pub model: Option<String>,
    /// The settings that were asked for.
    pub config: Map<String, Value>,
    /// The stages: an engine does not show them.
    pub pipeline: Option<Value>,
    /// The prompt, if its tokens are known.
    pub prompt_tokens: Option<Vec<u32>>,
    /// What was generated.
    pub sequences: Vec<RemoteSequence>,
    /// How many tokens, as the engine counts them.
    pub usage: Map<String, Value>,
    /// How long it took.
    pub timing: RemoteTiming,
    /// How much memory taper took; of the engine's nothing is known.
    pub memory: MemoryUse,
    /// The engine.
    pub engine: EngineFacts,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RemoteSequence {
    /// Its tokens, if the engine tells them.
    pub tokens: Option<Vec<u32>>,
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// An engine has none.
    pub score: Option<f64>,
    /// What is known of each token; `None` if nothing is.
    pub steps: Option<Vec<RemoteStep>>,
}

impl RemoteSequence {
    /// A text that there is nothing of.
    pub(crate) fn failed() -> Self {
        let finish_reason = FinishReason::Error;
        Self { tokens: None, text: String::new(), finish_reason, score: None, steps: None }
    }
}

/// What an engine says of one token.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RemoteStep {
    /// The token, if the engine tells it.
    pub token: Option<u32>,
    /// Its text, if that is known.
    pub text: Option<String>,
    /// Its log-probability (nats) under the model itself.
    pub logprob: Option<f64>,
    /// Its share of what it was chosen from, which no engine tells.
    pub probability: Option<f64>,
    /// Its place in the model's own order, from 1, if it is among the likeliest that were listed.
    pub rank: Option<usize>,
    /// How many tokens could have been chosen, which no engine tells.
    pub kept: Option<usize>,
    /// The entropy of the model's own distribution (nats), if all of it was listed.
    pub entropy: Option<f64>,
    /// The share of the probability that the listed ones have together.
    pub covered: Option<f64>,
    /// Its log-probability after the temperature, where the engine tells that and no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tempered_logprob: Option<f64>,
    /// The likeliest, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<RemoteTop>>,
}

/// One of the likeliest tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RemoteTop {
    /// The token, if the engine tells it.
    pub token: Option<u32>,
    /// Its text, if that is known.
    pub text: Option<String>,
    /// Its log-probability (nats) under the model itself; `None` where it is known after the
    /// temperature alone.
    pub logprob: Option<f64>,
}

/// How long it took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RemoteTiming {
    /// Nothing was loaded.
    pub load_s: Option<f64>,
    /// Until the first token, which is the prompt's pass and the way there and back.
    pub prefill_s: Option<f64>,
    /// From the first token to the last.
    pub decode_s: Option<f64>,
    /// What the engine's sampler took is not known.
    pub sampler_s: Option<f64>,
    /// Tokens after the first, over the time that they took.
    pub tokens_per_s: Option<f64>,
    /// Until the first token.
    pub first_token_s: Option<f64>,
    /// From the request to the end of the answer.
    pub total_s: f64,
}

impl RemoteOutcome {
    /// What an answer comes to. `ended` is why a run ended that the engine did not end.
    pub fn new(
        profile: &Profile,
        wanted: &Wanted,
        prompt: &Prompt,
        call: &Call,
        seed: u64,
        answer: Answer,
        ended: FinishReason,
    ) -> Self {
        let kind = kind(profile.dialect, wanted, &answer);
        let reader = Reader { profile, wanted, kind };
        let generated = generated(&answer);
        let prompt_tokens = match prompt {
            Prompt::Ids(ids) => Some(ids.clone()),
            _ => answer.prompt_tokens.clone(),
        };
        let counted = answer.counts.prompt.or(prompt_tokens.as_ref().map(Vec::len));
        let usage = json!({ "prompt_tokens": counted, "completion_tokens": generated });
        let timing = timing(&answer, generated);
        let engine = EngineFacts {
            url: profile.url.clone(),
            dialect: profile.dialect.name().to_owned(),
            version: profile.version.clone(),
            model: profile.model.clone(),
            root: profile.root.clone(),
            reproducible: profile.reproducible,
            prompt: prompt.kind().to_owned(),
            seed: call.seed,
            logprobs: kind,
            settings: answer.settings,
            sample: "there".to_owned(),
        };
        let sequences = answer.choices.into_iter().map(|choice| reader.sequence(choice, ended));
        Self {
            model: profile.model.clone(),
            config: wanted.config(seed),
            pipeline: None,
            prompt_tokens,
            sequences: sequences.collect(),
            usage: usage.as_object().cloned().unwrap_or_default(),
            timing,
            memory: MemoryUse::now(),
            engine,
        }
    }
}

impl Wanted {
    /// The settings as `taper generate --format json` prints those of a local run.
    pub fn config(&self, seed: u64) -> Map<String, Value> {
        let object = |value: Result<Value, serde_json::Error>| match value {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let mut config = object(serde_json::to_value(&self.config));
        config.insert("seed".to_owned(), json!(seed));
        config.extend(object(serde_json::to_value(&self.semantics)));
        for knob in ["ties", "on_error", "json_schema", "regex", "grammar"] {
            if let Some(value) = self.knobs.get(knob) {
                config.insert(knob.to_owned(), value.clone());
            }
        }
        config
    }
}

/// Tokens that were generated, all sequences together.
fn generated(answer: &Answer) -> Option<usize> {
    let counted: Option<usize> =
        answer.choices.iter().map(|choice| choice.tokens.as_ref().map(Vec::len)).sum();
    counted.or(answer.counts.generated)
}

fn timing(answer: &Answer, generated: Option<usize>) -> RemoteTiming {
    let decode = answer.first_token_s.map(|first| (answer.seconds - first).max(0.0));
    let after = generated.and_then(|all| all.checked_sub(answer.choices.len())).filter(|&n| n > 0);
    let speed = after.zip(decode).filter(|(_, s)| *s > 0.0).map(|(n, s)| n as f64 / s);
    RemoteTiming {
        load_s: None,
        prefill_s: answer.first_token_s,
        decode_s: decode,
        sampler_s: None,
        tokens_per_s: speed,
        first_token_s: answer.first_token_s,
        total_s: answer.seconds,
    }
}

fn kind(dialect: Dialect, wanted: &Wanted, answer: &Answer) -> Option<LogprobKind> {
    let some = answer.choices.iter().any(|choice| !choice.logprobs.is_empty());
    let divided = !wanted.greedy && wanted.number("temperature").is_some_and(|t| t != 1.0);
    some.then_some(match dialect {
        Dialect::SgLang if divided => LogprobKind::Tempered,
        _ => LogprobKind::Raw,
    })
}

/// Reads what an engine says of tokens.
struct Reader<'a> {
    profile: &'a Profile,
    wanted: &'a Wanted,
    kind: Option<LogprobKind>,
}

impl Reader<'_> {
    fn sequence(&self, choice: Choice, ended: FinishReason) -> RemoteSequence {
        let Choice { text, tokens, finish, logprobs } = choice;
        let count = tokens.as_ref().map_or(logprobs.len(), Vec::len);
        let steps = (!logprobs.is_empty()).then(|| {
            let mut said = logprobs.into_iter();
            let step = |at: usize| {
                let id = tokens.as_ref().map(|tokens| tokens[at]);
                self.step(id, said.next().unwrap_or_default())
            };
            (0..count).map(step).collect()
        });
        let finish_reason = finish.unwrap_or(ended);
        RemoteSequence { tokens, text, finish_reason, score: None, steps }
    }

    fn step(&self, id: Option<u32>, said: TokenLogprob) -> RemoteStep {
        // A token that stands elsewhere in the list is another's.
        let fits = id.is_none() || said.token.is_none() || said.token == id;
        let said = if fits { said } else { TokenLogprob::default() };
        let (mut chosen, mut top) = (said.logprob, said.top);
        let mut raw = self.kind == Some(LogprobKind::Raw);
        let whole = self.profile.vocab_size.is_some_and(|size| top.len() >= size);
        if !raw && whole {
            chosen = self.untempered(chosen, &mut top);
            raw = true;
        }
        let covered =
            (!top.is_empty()).then(|| top.iter().map(|one| one.logprob.exp()).sum::<f64>());
        let entropy = || -top.iter().map(|one| one.logprob.exp() * one.logprob).sum::<f64>();
        let better = |lp: f64| 1 + top.iter().filter(|one| one.logprob > lp).count();
        let listed = chosen.filter(|&lp| top.iter().any(|one| one.logprob <= lp));
        let token = id.or(said.token);
        RemoteStep {
            text: said.text.or_else(|| self.text(token)),
            logprob: chosen.filter(|_| raw),
            probability: None,
            rank: listed.map(better),
            kept: None,
            entropy: (raw && whole).then(entropy),
            covered: covered.filter(|_| raw),
            tempered_logprob: chosen.filter(|_| !raw),
            top: (!top.is_empty()).then(|| top.into_iter().map(|one| self.top(one, raw)).collect()),
            token,
        }
    }

    fn top(&self, one: Likely, raw: bool) -> RemoteTop {
        RemoteTop {
            text: one.text.or_else(|| self.text(one.token)),
            token: one.token,
            logprob: raw.then_some(one.logprob),
        }
    }

    fn text(&self, token: Option<u32>) -> Option<String> {
        let own = self.profile.tokenizer()?;
        crate::detokenizer::token_text(own.inner(), token?).ok()
    }

    /// Takes the temperature back, which over a whole row is exact: multiply, and normalise again.
    fn untempered(&self, chosen: Option<f64>, top: &mut [Likely]) -> Option<f64> {
        let temperature = self.wanted.number("temperature").unwrap_or(1.0);
        let most =
            top.iter().map(|one| one.logprob * temperature).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = top.iter().map(|one| (one.logprob * temperature - most).exp()).sum();
        let norm = most + sum.ln();
        for one in top.iter_mut() {
            one.logprob = one.logprob * temperature - norm;
        }
        chosen.map(|logprob| logprob * temperature - norm)
    }
}
