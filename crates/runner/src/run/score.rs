//! What a model makes of a text that is there already: the log-probability of each of its tokens.

mod windows;

use std::time::{Duration, Instant};

use taper_models::tokenizers::Tokenizer;
use taper_models::{Outputs, Want, Work};
use taper_sampling::{Ask, DrawKey, Pipeline, SelectError, Selection, StageError, Step, Workspace};

use self::windows::{Window, windows};
use crate::detokenizer::token_text;
use crate::error::{RequestError, RunError, refuse};
use crate::outcome::{
    Expectation, MemoryUse, Score, ScoreTiming, ScoreTotals, TokenScore, TopToken,
};
use crate::request::encode;
use crate::source::Source;

/// Tokens whose logits are looked at together: a row of logits can be wide.
pub(crate) const PIECE: usize = 64;

/// A text as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScoredText {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// How many bytes of the text each token stands for; `None` for a text that came as tokens. One
    /// that the tokenizer put in (such as `<s>`) stands for none.
    pub bytes: Option<Vec<usize>>,
}

impl ScoredText {
    /// A text that came as tokens.
    pub fn of_tokens(tokens: Vec<u32>) -> Self {
        Self { tokens, bytes: None }
    }

    /// The tokens of a text, with those that the tokenizer puts around it.
    ///
    /// # Errors
    ///
    /// As [`tokenize`](crate::tokenize), and [`RequestError::NothingToScore`] for an empty text.
    pub fn tokenize(tokenizer: Option<&Tokenizer>, text: &str) -> Result<Self, RequestError> {
        if text.is_empty() {
            return Err(RequestError::NothingToScore { tokens: 0 });
        }
        let encoding = encode(tokenizer, text, true)?;
        // Of a character in several tokens each of them claims all: it belongs to the first.
        let mut reached = 0;
        let bytes = encoding.get_offsets().iter().map(|&(_, end)| {
            let new = end.saturating_sub(reached);
            reached += new;
            new
        });
        let bytes = bytes.collect();
        Ok(Self { tokens: encoding.get_ids().to_vec(), bytes: Some(bytes) })
    }
}

/// How to score a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScoreOptions {
    /// Tokens that the model sees at once; its context length if `None`.
    pub window: Option<usize>,
    /// By how many tokens the window moves on; half of it if `None`. The greater, the faster, and the
    /// fewer tokens come before each that is scored.
    pub stride: Option<usize>,
    /// How many of the model's best tokens to list at each place.
    pub top_logprobs: usize,
    /// Tokens whose log-probabilities to list at each place, whatever stands there.
    pub logprob_ids: Vec<u32>,
}

/// The scoring of one text.
///
/// A text that is longer than the window is scored in several, as Hugging Face's guide to the
/// perplexity of fixed-length models does it: each window begins a stride after the last, and scores
/// the tokens that no earlier one has, after all that stand before them in it. The guide then weighs
/// the mean of each window; here each token counts the same.
///
/// ```
/// use taper_runner::{ScoreOptions, ScoredText, Scorer, Source, TableModel};
///
/// let model = TableModel::new(vec![vec![0.0, 0.0], vec![0.0, f32::NEG_INFINITY]], 64)?;
/// let source = Source { name: "table", model: &model, tokenizer: None };
/// let text = ScoredText::of_tokens(vec![0, 1, 0]);
/// let score = Scorer::new(source, text, ScoreOptions::default())?.run()?;
/// assert_eq!(score.tokens[0].logprob, None);
/// assert_eq!(score.tokens[2].logprob, Some(0.0));
/// assert_eq!(score.totals.nll, std::f64::consts::LN_2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scorer<'m> {
    source: Source<'m>,
    text: ScoredText,
    window: usize,
    stride: usize,
    top_logprobs: usize,
    logprob_ids: Vec<u32>,
    pipeline: Pipeline,
    workspace: Workspace,
    outputs: Outputs,
    forward: Duration,
}

impl<'m> Scorer<'m> {
    /// Checks what was asked for; the model is not run yet.
    ///
    /// # Errors
    ///
    /// When the text has fewer than two tokens or an unknown one, and when an option is out of its
    /// range.
    pub fn new(
        source: impl Into<Source<'m>>,
        text: ScoredText,
        options: ScoreOptions,
    ) -> Result<Self, RequestError> {
        let source = source.into();
        let (vocab_size, context) = (source.model.vocab_size(), source.model.context_length());
        let unknown = |ids: &[u32]| ids.iter().copied().find(|&id| id as usize >= vocab_size);
        if let Some(id) = unknown(&text.tokens) {
            return Err(RequestError::PromptId { id, vocab_size });
        }
        if text.tokens.len() < 2 {
            return Err(RequestError::NothingToScore { tokens: text.tokens.len() });
        }
        let window = options.window.unwrap_or(context);
        if !(2..=context).contains(&window) {
            return refuse("window", window, format!("in 2..={context}, what the model holds"));
        }
        let stride = options.stride.unwrap_or(window / 2);
        if !(1..=window).contains(&stride) {
            return refuse("stride", stride, format!("in 1..={window}, the window"));
        }
        if let Some(id) = unknown(&options.logprob_ids) {
            return refuse("logprob_ids", id, format!("in 0..={}", vocab_size - 1));
        }
        Ok(Self { window, stride, ..Self::unchecked(source, text, options) })
    }

    fn unchecked(source: Source<'m>, text: ScoredText, options: ScoreOptions) -> Self {
        Self {
            source,
            text,
            window: source.model.context_length(),
            stride: source.model.context_length(),
            top_logprobs: options.top_logprobs,
            logprob_ids: options.logprob_ids,
            pipeline: Pipeline::greedy(),
            workspace: Workspace::new(source.model.vocab_size()),
            outputs: Outputs::new(),
            forward: Duration::ZERO,
        }
    }

    /// Runs the model over the text.
    ///
    /// # Errors
    ///
    /// When the model fails, and when it gives a row without a distribution (NaN, +∞).
    pub fn run(self) -> Result<Score, RunError> {
        self.run_while(|| true)
    }

    /// As [`run`](Self::run), while `goes_on` says so ahead of each pass of the model; after that the
    /// tokens are left unscored.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_while(mut self, mut goes_on: impl FnMut() -> bool) -> Result<Score, RunError> {
        let mut tokens = Vec::with_capacity(self.text.tokens.len());
        for index in 0..self.text.tokens.len() {
            let token = self.text.tokens[index];
            tokens.push(TokenScore::new(token, self.token_text(token)?));
        }
        let asks = self.top_logprobs > 0 || !self.logprob_ids.is_empty();
        let mut next = None;
        for window in windows(tokens.len(), self.window, self.stride) {
            let mut scored = Scored { tokens: &mut tokens, next: &mut next, asks };
            self.score(&window, &mut scored, &mut goes_on)?;
        }
        Ok(Score {
            model: self.source.name.to_owned(),
            window: self.window,
            stride: self.stride,
            totals: ScoreTotals::of(&tokens, self.text.bytes.as_deref()),
            tokens,
            next,
            timing: ScoreTiming { load_s: None, forward_s: self.forward.as_secs_f64() },
            memory: MemoryUse::now(),
        })
    }

    /// Fills in what a window is there for.
    fn score(
        &mut self,
        window: &Window,
        scored: &mut Scored<'_>,
        goes_on: &mut impl FnMut() -> bool,
    ) -> Result<(), RunError> {
        let model = self.source.model;
        let looks_ahead = scored.asks && window.end == scored.tokens.len();
        let end = if looks_ahead { window.end } else { window.end - 1 };
        let piece = if model.capabilities().all_positions { PIECE } else { 1 };
        let mut state = model.new_state();
        let row = state.new_row();
        let mut start = window.begin;
        while start < end && goes_on() {
            // Ahead of the first logits that are looked at, the text is only read.
            let reads = start < window.first;
            let stop = if reads { window.first } else { end.min(start + piece) };
            let want = if reads || piece == 1 { Want::Last } else { Want::All };
            let work = [Work { row, tokens: &self.text.tokens[start..stop], want }];
            let began = Instant::now();
            model.forward(&mut *state, &work, &mut self.outputs)?;
            self.forward += began.elapsed();
            for position in (start..stop).filter(|_| !reads) {
                let target = scored.tokens.get(position + 1).map(|next| next.token);
                let (found, expected) = self.measure(position - start, position, target)?;
                match scored.tokens.get_mut(position + 1) {
                    Some(next) => next.fill(found, expected),
                    None => *scored.next = Some(expected),
                }
            }
            start = stop;
        }
        Ok(())
    }

    /// The log-probability and rank of `target`, and what was expected, by row `row` of the last pass,
    /// which are the logits behind the token at `position`.
    fn measure(
        &mut self,
        row: usize,
        position: usize,
        target: Option<u32>,
    ) -> Result<(Option<(f64, usize)>, Expectation), RunError> {
        let vocab_size = self.source.model.vocab_size();
        let logits = &self.outputs.logits(0)[row * vocab_size..][..vocab_size];
        let ask = Ask { top_logprobs: self.top_logprobs, ..Ask::token() };
        let step = Step::new(DrawKey::new(0)).ask(ask);
        let failed = |source| RunError::Score { position, source };
        let mut selection =
            self.pipeline.select(logits, &step, &mut self.workspace).map_err(failed)?;
        let measured = Measured::of(&mut selection, logits, target, &self.logprob_ids);
        let Measured { found, entropy, asked } = measured
            .map_err(|source| failed(SelectError::Stage { stage: "score".to_owned(), source }))?;
        let top = selection.top.to_vec();
        let top = (self.top_logprobs > 0).then(|| self.named(&top)).transpose()?;
        let asked = (!self.logprob_ids.is_empty()).then(|| self.named(&asked)).transpose()?;
        Ok((found, Expectation { entropy, top, asked }))
    }

    fn named(&self, tokens: &[(u32, f64)]) -> Result<Vec<TopToken>, RunError> {
        let one = |&(token, logprob): &(u32, f64)| {
            let (text, ranks) = (self.token_text(token)?, Vec::new());
            Ok(TopToken { token, text, logprob, probability: None, removed_by: None, ranks })
        };
        tokens.iter().map(one).collect()
    }

    fn token_text(&self, token: u32) -> Result<String, RunError> {
        self.source.tokenizer.map_or(Ok(String::new()), |tokenizer| token_text(tokenizer, token))
    }
}

/// The tokens, and what is expected behind them if something `asks` for it.
struct Scored<'s> {
    tokens: &'s mut [TokenScore],
    next: &'s mut Option<Expectation>,
    asks: bool,
}

/// What a row says, in numbers.
struct Measured {
    /// The log-probability and rank of the token that comes next.
    found: Option<(f64, usize)>,
    entropy: f64,
    /// The log-probabilities of the tokens asked for.
    asked: Vec<(u32, f64)>,
}

impl Measured {
    /// Greedy selection has left the row as it was.
    fn of(
        selection: &mut Selection<'_>,
        logits: &[f32],
        target: Option<u32>,
        ids: &[u32],
    ) -> Result<Self, StageError> {
        let candidates = selection.candidates();
        let entropy = candidates.entropy()?;
        let normaliser = candidates.normaliser()?;
        let logprob = |id: u32| normaliser.log_probability(logits[id as usize]);
        let rank = target.map(|id| candidates.rank(id)).transpose()?.flatten();
        let found = target.zip(rank).map(|(id, rank)| (logprob(id), rank));
        Ok(Self { found, entropy, asked: ids.iter().map(|&id| (id, logprob(id))).collect() })
    }
}

/// The tokens of a prompt with their log-probabilities, in a pass of their own.
///
/// # Errors
///
/// As [`Scorer::run`]; the prompt is one that the model can take.
pub fn score_prompt<'m>(
    source: impl Into<Source<'m>>,
    prompt: &[u32],
    top_logprobs: usize,
) -> Result<Vec<TokenScore>, RunError> {
    let options = ScoreOptions { top_logprobs, ..ScoreOptions::default() };
    let text = ScoredText::of_tokens(prompt.to_vec());
    Ok(Scorer::unchecked(source.into(), text, options).run()?.tokens)
}
