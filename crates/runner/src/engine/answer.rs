//! What an engine answers, put together from a stream or read in one piece.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::outcome::FinishReason;

/// A whole answer. What the engine does not say is absent.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Answer {
    /// The texts that were asked for.
    pub choices: Vec<Choice>,
    /// Tokens, as the engine counts them.
    pub counts: Counts,
    /// The prompt as the engine took it.
    pub prompt_tokens: Option<Vec<u32>>,
    /// The settings in effect, as the engine says them.
    pub settings: Option<Value>,
    /// Seconds from the request to the first token.
    pub first_token_s: Option<f64>,
    /// Seconds of the whole request.
    pub seconds: f64,
}

impl Answer {
    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.choices.iter().all(|choice| *choice == Choice::default())
    }
}

/// Tokens, as the engine counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Of the prompt.
    pub prompt: Option<usize>,
    /// Generated, all choices together.
    pub generated: Option<usize>,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Choice {
    /// The text.
    pub text: String,
    /// Its tokens, if the engine tells them.
    pub tokens: Option<Vec<u32>>,
    /// Why it ended; absent in an answer that broke off.
    pub finish: Option<FinishReason>,
    /// What the engine says of each token's probability.
    pub logprobs: Vec<TokenLogprob>,
}

/// What an engine says of a token.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct TokenLogprob {
    /// The token, if the engine says which.
    pub token: Option<u32>,
    /// Its text, if the engine says it.
    pub text: Option<String>,
    /// Its log-probability (nats), as the engine has it.
    pub logprob: Option<f64>,
    /// The likeliest, best first.
    pub top: Vec<Likely>,
}

/// One of the likeliest tokens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Likely {
    /// The token, if the engine says which.
    pub token: Option<u32>,
    /// Its text, if the engine says it.
    pub text: Option<String>,
    /// Its log-probability (nats), as the engine has it.
    pub logprob: f64,
}

/// Text that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// Of which choice.
    pub choice: usize,
    /// The text.
    pub text: String,
}

/// What one event, or a whole answer, says. A shape reads it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) choices: Vec<HeardChoice>,
    pub(super) counts: Counts,
    pub(super) settings: Option<Value>,
    pub(super) prompt_tokens: Option<Vec<u32>>,
    /// Seconds that the prompt took, if the engine says so.
    pub(super) prompt_s: Option<f64>,
}

/// What one event says of a choice.
#[derive(Debug, Default)]
pub(super) struct HeardChoice {
    pub(super) index: usize,
    pub(super) text: String,
    pub(super) tokens: Option<Vec<u32>>,
    pub(super) finish: Option<FinishReason>,
    pub(super) logprobs: Vec<TokenLogprob>,
    /// Whether text, tokens and log-probabilities are all so far, not only what is new.
    pub(super) cumulative: bool,
    /// Tokens of this choice so far, or in all, as the engine counts them.
    pub(super) generated: Option<usize>,
}

/// Puts an answer together.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    began: Instant,
    first: Option<f64>,
    choices: BTreeMap<usize, Choice>,
    generated: BTreeMap<usize, usize>,
    counts: Counts,
    settings: Option<Value>,
    prompt_tokens: Option<Vec<u32>>,
    wanted: usize,
    stream: bool,
}

impl Collector {
    /// For an answer with so many choices, that comes as a stream or in one piece.
    pub(super) fn new(wanted: usize, stream: bool) -> Self {
        Self {
            stream,
            began: Instant::now(),
            first: None,
            choices: BTreeMap::new(),
            generated: BTreeMap::new(),
            counts: Counts::default(),
            settings: None,
            prompt_tokens: None,
            wanted,
        }
    }

    /// Takes what was heard; the text that is new.
    pub(super) fn take(&mut self, heard: Heard) -> Result<Vec<Piece>, String> {
        self.counts.prompt = heard.counts.prompt.or(self.counts.prompt);
        self.counts.generated = heard.counts.generated.or(self.counts.generated);
        self.settings = heard.settings.or(self.settings.take());
        self.prompt_tokens = heard.prompt_tokens.or(self.prompt_tokens.take());
        if !self.stream {
            self.first = heard.prompt_s;
        }
        let mut pieces = Vec::new();
        for new in heard.choices {
            if let Some(text) = self.choice(new)? {
                pieces.push(text);
            }
        }
        Ok(pieces)
    }

    fn choice(&mut self, new: HeardChoice) -> Result<Option<Piece>, String> {
        let HeardChoice { index, text, tokens, finish, logprobs, cumulative, generated } = new;
        if index >= self.wanted {
            return Err(format!("the answer has a choice {index} of {} asked for", self.wanted));
        }
        let there = self.choices.entry(index).or_default();
        let says = !text.is_empty() || tokens.as_ref().is_some_and(|new| !new.is_empty());
        if there.finish.is_some() && says && !cumulative {
            return Err("the answer goes on after its end".to_owned());
        }
        if says && self.stream && self.first.is_none() {
            self.first = Some(self.began.elapsed().as_secs_f64());
        }
        let piece = if cumulative {
            let Some(fresh) = text.strip_prefix(there.text.as_str()) else {
                return Err("the text so far is not what it was before".to_owned());
            };
            fresh.to_owned()
        } else {
            text
        };
        there.text.push_str(&piece);
        match tokens {
            Some(tokens) if cumulative => there.tokens = Some(tokens),
            Some(tokens) => there.tokens.get_or_insert_default().extend(tokens),
            None => {}
        }
        if cumulative {
            there.logprobs = logprobs;
        } else {
            there.logprobs.extend(logprobs);
        }
        there.finish = finish.or(there.finish);
        if let Some(count) = generated {
            self.generated.insert(index, count);
        }
        Ok((!piece.is_empty()).then_some(Piece { choice: index, text: piece }))
    }

    /// Whether every choice has ended.
    pub(super) fn is_whole(&self) -> bool {
        let ended = |choice: &Choice| choice.finish.is_some();
        self.choices.len() == self.wanted && self.choices.values().all(ended)
    }

    /// The answer so far, as when the run was cancelled.
    pub(super) fn into_answer(self) -> Answer {
        let mut counts = self.counts;
        if counts.generated.is_none() && !self.generated.is_empty() {
            counts.generated = Some(self.generated.values().sum());
        }
        let mut choices: Vec<Choice> = Vec::with_capacity(self.wanted);
        for (index, mut choice) in self.choices {
            // llama.cpp's stream leaves out tokens where a character takes several.
            let said = self.generated.get(&index).copied().unwrap_or(0);
            if choice.tokens.as_ref().is_some_and(|there| there.len() < said) {
                choice.tokens = None;
                choice.logprobs.clear();
            }
            choices.push(choice);
        }
        choices.resize(self.wanted, Choice::default());
        Answer {
            choices,
            counts,
            prompt_tokens: self.prompt_tokens,
            settings: self.settings,
            first_token_s: self.first,
            seconds: self.began.elapsed().as_secs_f64(),
        }
    }

    /// Whether the answer is whole, and what it has is what it says.
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.is_whole() {
            return Err("the answer was cut off before its end".to_owned());
        }
        for (index, &count) in &self.generated {
            let there = self.choices[index].tokens.as_ref().map(Vec::len);
            if there.is_some_and(|there| there > count) {
                let there = there.unwrap_or_default();
                return Err(format!("the answer has {there} tokens and says {count}"));
            }
        }
        let all: Option<usize> =
            self.choices.values().map(|choice| choice.tokens.as_ref().map(Vec::len)).sum();
        // Some count one choice of several, or leave out the token that ended the text.
        if let (Some(all), Some(said)) = (all, self.counts.generated)
            && self.wanted == 1
            && all > said + 1
        {
            return Err(format!("the answer has {all} tokens and says {said}"));
        }
        Ok(())
    }
}
