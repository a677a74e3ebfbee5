//! No-repeat-n-gram: bans whatever would complete an n-gram that already occurred.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Bans each token that would repeat a sequence of `n` tokens found earlier, prompt included.
///
/// `n = 1` bans every token seen. With fewer than `n` tokens so far nothing happens.
///
/// # Ties
///
/// A ban; none to break.
///
/// # NaN and infinities
///
/// A banned token's score becomes −∞, whatever it was; the others are not looked at.
///
/// # Differences
///
/// Hugging Face's rule. llama.cpp has none, its nearest is DRY; vLLM has none.
///
/// # Complexity
///
/// `O(length · n)` in the worst case, and about the length when matches are rare; a copy of the
/// row only if something is banned.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let history = History::new(&[4, 2, 7, 4, 2]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let pipeline = Pipeline::greedy().then(NoRepeatNgram::new(3)?);
/// let mut logits = [0.0; 8];
/// (logits[7], logits[5]) = (9.0, 1.0);
/// assert_eq!(pipeline.select(&logits, &step, &mut Workspace::new(8))?.token, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `NoRepeatNGramLogitsProcessor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRepeatNgram {
    size: usize,
}

impl NoRepeatNgram {
    /// Forbids repeating `size` tokens in a row.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for `size = 0`.
    pub fn new(size: usize) -> Result<Self, SettingError> {
        if size == 0 {
            return Err(SettingError::new(
                "size",
                size,
                "at least 1 (leave the stage out to allow repetition)",
            )
            .called("no_repeat_ngram_size"));
        }
        Ok(Self { size })
    }
}

impl Stage for NoRepeatNgram {
    fn name(&self) -> &'static str {
        "no_repeat_ngram"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("size", self.size))
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let tokens = step.history()?.tokens();
        if tokens.len() < self.size {
            return Ok(());
        }
        let prefix = &tokens[tokens.len() + 1 - self.size..];
        let banned = tokens
            .windows(self.size)
            .filter(|window| window.iter().zip(prefix).all(|(a, b)| a == b))
            .map(|window| window[self.size - 1]);
        candidates.edit(banned, |_, _| f32::NEG_INFINITY)
    }
}

impl Described for NoRepeatNgram {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let size = arguments.required("size")?;
        arguments.built(Self::new(size))
    }
}
