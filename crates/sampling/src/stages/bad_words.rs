//! Bad words: sequences of tokens that must not appear.

use alloc::format;
use alloc::vec::Vec;

use super::sequence_bias::SequenceBias;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Window;
use crate::stage::{Role, Stage, StepContext};

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
/// use taper_sampling::prelude::*;
///
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
    except: Vec<u32>,
    window: Window,
    /// `None` when every word is excepted.
    bans: Option<SequenceBias>,
}

impl BadWords {
    /// Bans these sequences, looked for in all of the text.
    ///
    /// # Errors
    ///
    /// [`SettingError`] names the first offender.
    pub fn new(words: impl IntoIterator<Item = Vec<u32>>) -> Result<Self, SettingError> {
        let words: Vec<Vec<u32>> = words.into_iter().collect();
        if let Some(empty) = words.iter().position(Vec::is_empty) {
            return Err(SettingError::new(
                "words",
                Vec::<u32>::new(),
                "a sequence of at least one token",
            )
            .called(&format!("bad_words[{empty}]")));
        }
        if words.is_empty() {
            return Err(SettingError::new(
                "words",
                Vec::<u32>::new(),
                "a list of at least one sequence (leave the stage out for none)",
            )
            .called("bad_words"));
        }
        let bans = bans(&words, &[], Window::ALL);
        Ok(Self { words, except: Vec::new(), window: Window::ALL, bans })
    }

    /// Passes over the sequences that are nothing but one of these tokens, as Hugging Face does
    /// with the EOS tokens.
    #[must_use]
    pub fn except(self, ids: &[u32]) -> Self {
        let except = [&self.except, ids].concat();
        Self { bans: bans(&self.words, &except, self.window), except, ..self }
    }

    /// In which part of the text the beginning of a sequence is looked for.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { bans: bans(&self.words, &self.except, window), window, ..self }
    }
}

fn bans(words: &[Vec<u32>], except: &[u32], window: Window) -> Option<SequenceBias> {
    let excepted = |word: &[u32]| matches!(word, [id] if except.contains(id));
    let banned = words.iter().filter(|word| !excepted(word));
    let biases = banned.map(|word| (word.clone(), f64::NEG_INFINITY));
    // Every word has a token and −∞ is a bias: refused is only that there are no words.
    SequenceBias::new(biases).ok().map(|bans| bans.window(window))
}

impl Stage for BadWords {
    fn name(&self) -> &'static str {
        "bad_words"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("words", self.words.clone());
        let settings = settings.option("except", self.except.clone(), Vec::new());
        Some(settings.option("window", self.window, Window::ALL))
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

impl Described for BadWords {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let words: Vec<Vec<u32>> = arguments.required("words")?;
        let except: Vec<u32> = arguments.optional("except", Vec::new())?;
        let window = arguments.optional("window", Window::ALL)?;
        Ok(arguments.built(Self::new(words))?.except(&except).window(window))
    }
}
