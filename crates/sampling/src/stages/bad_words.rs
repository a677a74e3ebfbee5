//! Bad words: sequences of tokens that must not appear.

use alloc::vec::Vec;

use super::sequence_bias::{SequenceBias, SequenceBiasError};
use crate::candidates::Candidates;
use crate::sequence::Window;
use crate::stage::{Role, Stage, StageError, StepContext};

/// Bans the last token of each sequence whenever the text ends in the tokens before it.
///
/// A sequence of one token is always banned.
///
/// # Ties
///
/// A ban; none to break.
///
/// # NaN and infinities
///
/// A banned token's score becomes −∞, unless it was NaN or +∞: those become NaN, for the next cut
/// to refuse.
///
/// # Differences
///
/// Hugging Face's rule, a [`SequenceBias`] of −∞; it looks at prompt and output, and passes over
/// bad words that are nothing but an EOS token: [`BadWords::except`]. vLLM looks at the output
/// alone: [`BadWords::window`]. llama.cpp has a bias for single tokens.
///
/// # Complexity
///
/// As [`SequenceBias`].
///
/// # Example
///
/// ```
/// # use taper_sampling::*;
/// let history = History::new(&[3]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let pipeline = Pipeline::greedy().then(BadWords::new([vec![3, 1], vec![2]])?);
/// let token = pipeline.select(&[0.0, 9.0, 8.0, 7.0], &step, &mut Workspace::new(4))?.token;
/// assert_eq!(token, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `NoBadWordsLogitsProcessor`; vLLM 0.33 `apply_bad_words`.
#[derive(Debug, Clone, PartialEq)]
pub struct BadWords {
    words: Vec<Vec<u32>>,
    window: Window,
    /// `None` when every word is excepted.
    bans: Option<SequenceBias>,
}

/// Why a [`BadWords`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWordsError {
    /// No sequences.
    #[error("bad_words is empty; give it a sequence, or leave the stage out")]
    Nothing,
    /// A sequence without tokens.
    #[error("bad_words[{0}] has no tokens; a sequence must have at least one")]
    EmptySequence(usize),
}

impl BadWords {
    /// Bans these sequences, looked for in all of the text.
    ///
    /// # Errors
    ///
    /// [`BadWordsError`] names the first offender.
    pub fn new(words: impl IntoIterator<Item = Vec<u32>>) -> Result<Self, BadWordsError> {
        let words: Vec<Vec<u32>> = words.into_iter().collect();
        if let Some(empty) = words.iter().position(Vec::is_empty) {
            return Err(BadWordsError::EmptySequence(empty));
        }
        if words.is_empty() {
            return Err(BadWordsError::Nothing);
        }
        let bans = bans(&words, Window::ALL);
        Ok(Self { words, window: Window::ALL, bans })
    }

    /// Passes over the sequences that are nothing but one of these tokens, as Hugging Face does
    /// with the EOS tokens.
    #[must_use]
    pub fn except(self, ids: &[u32]) -> Self {
        let mut words = self.words;
        words.retain(|word| !matches!(word.as_slice(), [id] if ids.contains(id)));
        Self { bans: bans(&words, self.window), words, window: self.window }
    }

    /// In which part of the text the beginning of a sequence is looked for.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { bans: bans(&self.words, window), window, words: self.words }
    }
}

fn bans(words: &[Vec<u32>], window: Window) -> Option<SequenceBias> {
    let biases = words.iter().map(|word| (word.clone(), f64::NEG_INFINITY));
    match SequenceBias::new(biases) {
        Ok(bans) => Some(bans.window(window)),
        // Every word has a token and −∞ is a bias: what is left is that there are no words.
        Err(SequenceBiasError::Nothing | _) => None,
    }
}

impl Stage for BadWords {
    fn name(&self) -> &'static str {
        "bad_words"
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        self.bans.as_ref().map_or(Ok(()), |bans| bans.apply(candidates, step))
    }
}
