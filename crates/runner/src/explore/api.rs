//! The questions of a page, and their answers.

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taper_sampling::{Ask, Workspace};

use super::look::{look, text};
use super::place::{Place, Ready};
use super::{Denied, Explorer};
use crate::chat::{Chat, ChatTemplate};
use crate::detokenizer::token_text;
use crate::knobs::{self, Kind};
use crate::request::{tokenize, tokenize_plain};
use crate::run::Generation;
use crate::run::Search;

/// Draws of one question.
const MOST_DRAWS: u32 = 10_000;
/// Tokens of one run.
const MOST_TOKENS: usize = 4096;
/// Beams of one search.
const MOST_BEAMS: usize = 16;
/// Streams that no sequence of a run has.
const REDRAWN: u64 = 1 << 62;

/// A question about a place.
#[derive(Debug, Deserialize)]
struct At<Q> {
    place: Place,
    #[serde(flatten)]
    asked: Q,
}

#[derive(Debug, Deserialize)]
struct Also {
    #[serde(default)]
    also: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Draws {
    draws: u32,
    /// Draws that were made before.
    #[serde(default)]
    from: u32,
}

#[derive(Debug, Deserialize)]
struct Count {
    count: usize,
}

#[derive(Debug, Deserialize)]
struct Typed {
    text: Option<String>,
    messages: Option<Value>,
    ids: Option<Vec<u32>>,
    /// Whether it goes on from a text, so that no special tokens are put around it.
    #[serde(default)]
    more: bool,
}

/// A token of a text.
#[derive(Debug, Serialize)]
struct Token {
    id: u32,
    text: String,
}

impl Explorer {
    /// Answers one question.
    pub(super) fn answer(&self, question: &str, body: &[u8]) -> Result<Value, Denied> {
        match question {
            "begin" => self.begin(),
            "tokens" => self.tokens(&read(body)?),
            "look" => {
                let At::<Also> { place, asked } = read(body)?;
                let ready = Ready::of(self, &place)?;
                let seen = self.with_workspace(|workspace| look(&ready, &asked.also, workspace))?;
                serde_json::to_value(seen).map_err(Denied::new)
            }
            "redraw" => {
                let At::<Draws> { place, asked } = read(body)?;
                let ready = Ready::of(self, &place)?;
                self.with_workspace(|workspace| redraw(&ready, &asked, workspace))
            }
            "beams" => {
                let At::<Count> { place, asked } = read(body)?;
                self.beams(&place, asked.count)
            }
            "keep" => self.keep(&read(body)?),
            _ => Err(Denied::new(format!("there is no question called {question}"))),
        }
    }

    /// What a page starts with: the model, the knobs, the prompt.
    fn begin(&self) -> Result<Value, Denied> {
        let model = &self.loaded.model;
        Ok(json!({
            "model": self.loaded.name,
            "argument": self.argument,
            "vocab_size": model.vocab_size(),
            "context": model.context_length(),
            "chat": ChatTemplate::of(&self.loaded).is_ok(),
            "seed": self.seed,
            "prompt": self.texts(&self.prompt)?,
            "prompt_text": self.plain(&self.prompt),
            "started_with": self.knobs,
            "knobs": knobs::all().filter(|knob| is_shown(knob)).map(field).collect::<Vec<_>>(),
        }))
    }

    /// Tokens as a person would have typed them.
    fn plain(&self, ids: &[u32]) -> String {
        let own = self.loaded.tokenizer.as_ref();
        own.and_then(|own| own.decode(ids, true).ok()).unwrap_or_default()
    }

    fn texts(&self, ids: &[u32]) -> Result<Vec<Token>, Denied> {
        let own = self.loaded.tokenizer.as_ref();
        let one = |&id: &u32| {
            let text = own.map_or(Ok(String::new()), |own| token_text(own, id));
            Ok(Token { id, text: text.map_err(Denied::new)? })
        };
        ids.iter().map(one).collect()
    }

    /// The tokens of what was typed.
    fn tokens(&self, typed: &Typed) -> Result<Value, Denied> {
        let own = self.loaded.tokenizer.as_ref();
        let vocab_size = self.loaded.model.vocab_size();
        let ids = match (&typed.text, &typed.messages, &typed.ids) {
            (Some(text), None, None) if typed.more => tokenize_plain(own, text),
            (Some(text), None, None) => tokenize(own, text),
            (None, Some(messages), None) => {
                let template = ChatTemplate::of(&self.loaded).map_err(Denied::new)?;
                let chat = Chat::new(messages.clone());
                let rendered = template.render(&chat).map_err(Denied::new)?;
                tokenize_plain(own, &rendered)
            }
            (None, None, Some(ids)) => Ok(ids.clone()),
            _ => return Err(Denied::new("give one of text, messages and ids")),
        };
        let ids = ids.map_err(Denied::new)?;
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(Denied::new(format!(
                "token {id} does not exist; ids are below {vocab_size}"
            )));
        }
        Ok(json!({ "tokens": self.texts(&ids)?, "text": self.plain(&ids) }))
    }

    /// Goes on from a place token by token: a line of JSON for each, until the text ends, `count` tokens are
    /// there, or nothing reads them any more.
    pub(super) fn run(
        &self,
        body: &[u8],
        mut out: impl Write,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Denied> {
        let At::<Count> { mut place, asked } = read(body)?;
        for _ in 0..asked.count.min(MOST_TOKENS) {
            if stop() {
                break;
            }
            let ready = Ready::of(self, &place)?;
            let line = self.with_workspace(|workspace| next(&ready, workspace))?;
            let (token, ended) = (line.id, line.ended);
            let mut line = serde_json::to_vec(&line).map_err(Denied::new)?;
            line.push(b'\n');
            if out.write_all(&line).and_then(|()| out.flush()).is_err() || ended {
                break;
            }
            place.tokens.push(token);
        }
        Ok(())
    }

    /// What a beam search makes of a place, beside the greedy text.
    fn beams(&self, place: &Place, beams: usize) -> Result<Value, Denied> {
        if !(1..=MOST_BEAMS).contains(&beams) {
            return Err(Denied::new(format!("{beams} beams; there must be 1 to {MOST_BEAMS}")));
        }
        let mut request = self.request(place)?;
        request.prompt.clone_from(&place.tokens);
        request.ask = Ask { logprob: true, ..Ask::token() };
        request.config.num_return_sequences = Some(1);
        request.config.num_beams = Some(beams);
        let outcome = if beams == 1 {
            request.config.do_sample = Some(false);
            let mut run = Generation::new(&*self.loaded, request).map_err(Denied::new)?;
            for step in &mut run {
                step.map_err(Denied::new)?;
            }
            run.into_outcome()
        } else {
            let mut search = Search::new(&*self.loaded, request).map_err(Denied::new)?;
            while search.advance().map_err(Denied::new)? {}
            search.into_outcome()
        };
        serde_json::to_value(outcome.sequences).map_err(Denied::new)
    }
}

fn read<'b, Q: Deserialize<'b>>(body: &'b [u8]) -> Result<Q, Denied> {
    serde_json::from_slice(body).map_err(|error| Denied(format!("the question: {error}")))
}

/// Draws the token of a place again, each time by other random numbers.
fn redraw(ready: &Ready<'_>, asked: &Draws, workspace: &mut Workspace) -> Result<Value, Denied> {
    if asked.draws == 0 || asked.draws > MOST_DRAWS {
        let what = format!("{} draws; there must be 1 to {MOST_DRAWS}", asked.draws);
        return Err(Denied(what));
    }
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for i in 0..asked.draws {
        let mut other = ready.sequence.fork(REDRAWN | u64::from(asked.from + i));
        let selected = other.select_given(ready.row(), ready.given(), workspace);
        *counts.entry(selected.map_err(Denied::new)?.token).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(id, count)| (std::cmp::Reverse(count), id));
    Ok(json!({ "draws": asked.draws, "counts": counts }))
}

/// A token of a run.
#[derive(Debug, Serialize)]
struct Line {
    id: u32,
    text: String,
    logprob: Option<f64>,
    probability: Option<f64>,
    /// Whether it ends the text.
    ended: bool,
}

fn next(ready: &Ready<'_>, workspace: &mut Workspace) -> Result<Line, Denied> {
    let asked = ready.given().ask(Ask { logprob: true, probability: true, ..Ask::token() });
    let step = ready.sequence.step().given(asked);
    let chosen = ready.pipeline.select(ready.row(), &step, workspace).map_err(Denied::new)?;
    Ok(Line {
        id: chosen.token,
        text: text(ready, chosen.token)?,
        logprob: chosen.logprob,
        probability: chosen.probability,
        ended: ready.config.generation.eos_ids().contains(&chosen.token),
    })
}

/// Whether a knob has a field on the page: it decides how one token is chosen.
fn is_shown(knob: &knobs::Knob) -> bool {
    use knobs::Group;
    let group = matches!(
        knob.group,
        Group::Rules | Group::Scores | Group::Temperature | Group::Cuts | Group::Draw
    );
    group && (knob.instead.is_none() || knob.name == "seed")
}

/// A knob as a page makes a field of it.
fn field(knob: &'static knobs::Knob) -> Value {
    let (kind, choices) = match knob.kind {
        Kind::Bool => ("bool", Value::Null),
        Kind::Whole(_) => ("whole", Value::Null),
        Kind::Number(_) => ("number", Value::Null),
        Kind::OneOf(all) => ("choice", json!(all.iter().map(|one| one.name).collect::<Vec<_>>())),
        _ => ("text", Value::Null),
    };
    json!({
        "name": knob.name, "kind": kind, "choices": choices, "usual": knob.usual,
        "default": knob.default, "help": knob.help, "flag": knob.flag(),
        "engines": knob.engines, "group": format!("{:?}", knob.group),
    })
}
