//! What scoring a text yields.

use serde::Serialize;

use super::{MemoryUse, TopToken};

/// The score of a text: the object that `taper score --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// The model's name.
    pub model: String,
    /// Tokens that the model saw at once.
    pub window: usize,
    /// By how many tokens the window moved on.
    pub stride: usize,
    /// The tokens of the text.
    pub tokens: Vec<TokenScore>,
    /// What the model expects after the text, if tokens were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Expectation>,
    /// All of them together.
    pub totals: ScoreTotals,
    /// How long it took.
    pub timing: ScoreTiming,
    /// How much memory it took.
    pub memory: MemoryUse,
}

/// One token of the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenScore {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Its log-probability (nats) after the tokens before it: its loss is this with the sign turned.
    /// `None` for a token that nothing stands before in its window: the first.
    pub logprob: Option<f64>,
    /// Its place in the model's own order, from 1. `None` like `logprob`.
    pub rank: Option<usize>,
    /// The entropy (nats) of what the model expected in its place. `None` like `logprob`.
    pub entropy: Option<f64>,
    /// The best tokens in its place, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<TopToken>>,
    /// The tokens that were asked for by id, in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Vec<TopToken>>,
}

impl TokenScore {
    pub(crate) fn new(token: u32, text: String) -> Self {
        Self { token, text, logprob: None, rank: None, entropy: None, top: None, asked: None }
    }

    pub(crate) fn fill(&mut self, found: Option<(f64, usize)>, expected: Expectation) {
        (self.logprob, self.rank) = found.unzip();
        self.entropy = Some(expected.entropy);
        (self.top, self.asked) = (expected.top, expected.asked);
    }
}

/// What a model expects at a place of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Expectation {
    /// The entropy (nats) of its distribution.
    pub entropy: f64,
    /// Its best tokens, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<TopToken>>,
    /// The tokens that were asked for by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Vec<TopToken>>,
}

/// The text as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScoreTotals {
    /// Tokens in the text.
    pub tokens: usize,
    /// Those that have a log-probability.
    pub scored: usize,
    /// The sum of their losses, in nats.
    pub nll: f64,
    /// `exp(nll / scored)`; `None` if none was scored.
    pub perplexity: Option<f64>,
    /// Bytes of the text that the scored tokens stand for; `None` for a text that came as tokens.
    pub bytes: Option<usize>,
    /// `nll / ln 2 / bytes`, which can be compared between models with different tokens.
    pub bits_per_byte: Option<f64>,
}

/// How long it took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScoreTiming {
    /// Loading the model; `None` if it was not loaded for this.
    pub load_s: Option<f64>,
    /// The model's passes.
    pub forward_s: f64,
}

impl ScoreTotals {
    /// `bytes` says how many bytes of the text each token stands for.
    pub(crate) fn of(tokens: &[TokenScore], bytes: Option<&[usize]>) -> Self {
        let scored: Vec<f64> = tokens.iter().filter_map(|token| token.logprob).collect();
        let nll = -scored.iter().sum::<f64>();
        let bytes = bytes.map(|bytes| {
            let scored = bytes.iter().zip(tokens).filter(|(_, token)| token.logprob.is_some());
            scored.map(|(bytes, _)| bytes).sum()
        });
        Self {
            tokens: tokens.len(),
            scored: scored.len(),
            nll,
            perplexity: (!scored.is_empty()).then(|| (nll / scored.len() as f64).exp()),
            bits_per_byte: bytes
                .filter(|&bytes| bytes > 0)
                .map(|bytes: usize| nll / std::f64::consts::LN_2 / bytes as f64),
            bytes,
        }
    }
}
