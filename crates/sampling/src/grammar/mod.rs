//! Grammars by llguidance: a mask for [`Constraint`](crate::Constraint).

mod vocabulary;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use llguidance::Matcher;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::SimpleVob;
use serde_json::Value;

pub use self::vocabulary::GrammarVocabulary;
use crate::error::StageError;
use crate::sequence::{Accepted, StageMemory};
use crate::stages::Mask;

/// Where a text is in a grammar: which tokens may come next so that it can still become a sentence
/// of it. EOS may come where it is one.
///
/// The grammar is a JSON schema, a regular expression or a context-free grammar in Lark's notation;
/// [llguidance](https://github.com/guidance-ai/llguidance) says what it means, and documents which
/// keywords of JSON Schema it knows. The prompt has no part in it: the grammar begins with the first
/// generated token.
///
/// # Forks and rollbacks
///
/// A fork goes its own way, and a rollback is exact, over the end of the text and over a token that
/// was refused too. Forks share caches, which change how long a mask takes, and never which it is.
///
/// # Errors in a run
///
/// After a token that the grammar does not allow there is no mask any more: the next step fails
/// with [`StageError::Other`], until a rollback takes the token back. So it does when llguidance gives
/// up on a grammar that takes too much work.
///
/// # Complexity
///
/// Working out a mask takes typically some ten microseconds to a millisecond:
/// [`prepare`](StageMemory::prepare) does it, which a caller may have it do while the model computes, and a
/// step does it otherwise. After the last token no mask is worked out. A fork copies the parser's state, and a rollback over an EOS or a refused token reads the text
/// again.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// // One token a byte, and one to end with.
/// let mut bytes: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
/// bytes.push(b"<eos>".to_vec());
/// let vocabulary = GrammarVocabulary::new(&bytes, &[], &[256])?;
///
/// let grammar = Grammar::regex("(yes|no)!", &vocabulary)?;
/// let pipeline = Pipeline::greedy().then(Constraint::new(grammar));
/// let mut sampler = Sampler::new(pipeline, 257);
/// while sampler.next(&[0.0; 257])? != 256 {
///     sampler.prepare(); // while the model computes
/// }
/// let text: Vec<u8> = sampler.history().generated().iter().map(|&id| id as u8).collect();
/// assert_eq!(text, b"no!\0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Grammar {
    vocabulary: GrammarVocabulary,
    start: Arc<Matcher>,
    now: Matcher,
    /// What the last token left, until it is asked for; or why it was refused.
    mask: Result<Option<SimpleVob>, String>,
    tokens: Vec<u32>,
}

/// Why a [`Grammar`] was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The text of a schema is not JSON.
    #[error("the schema is not JSON: {0}")]
    NotJson(String),
    /// A schema that llguidance refuses, with what it says.
    #[error("the JSON schema cannot be used: {0}")]
    JsonSchema(String),
    /// A regular expression that llguidance refuses, with what it says.
    #[error("the regular expression cannot be used: {0}")]
    Regex(String),
    /// A Lark grammar that llguidance refuses, with what it says.
    #[error("the grammar cannot be used: {0}")]
    Lark(String),
    /// The tokens cannot be used.
    #[error("the vocabulary cannot be used with a grammar: {0}")]
    Vocabulary(String),
}

impl Grammar {
    /// JSON texts that a schema allows, with no space or line break between their parts: a model that
    /// may break lines there can do so until its limit. `schema` is itself JSON; its member
    /// `x-guidance`, where it has one, holds llguidance's own options, of which this is the first:
    /// `{"whitespace_flexible": true}`.
    ///
    /// # Errors
    ///
    /// [`GrammarError::NotJson`] or [`GrammarError::JsonSchema`].
    pub fn json_schema(schema: &str, vocabulary: &GrammarVocabulary) -> Result<Self, GrammarError> {
        let parsed = serde_json::from_str(schema);
        let mut schema: Value = parsed.map_err(|error| GrammarError::NotJson(error.to_string()))?;
        if let Some(members) = schema.as_object_mut() {
            let options = || serde_json::json!({"whitespace_flexible": false});
            members.entry("x-guidance").or_insert_with(options);
        }
        Self::new(TopLevelGrammar::from_json_schema(schema), vocabulary)
            .map_err(GrammarError::JsonSchema)
    }

    /// Texts that a regular expression matches from beginning to end, in the notation of the crate
    /// `regex`; look-around, back references and lazy repetition are not in it.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Regex`].
    pub fn regex(pattern: &str, vocabulary: &GrammarVocabulary) -> Result<Self, GrammarError> {
        Self::new(TopLevelGrammar::from_regex(pattern), vocabulary).map_err(GrammarError::Regex)
    }

    /// Texts of a context-free grammar in llguidance's variant of Lark's notation; `start` is the
    /// rule that it begins with.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Lark`].
    pub fn lark(grammar: &str, vocabulary: &GrammarVocabulary) -> Result<Self, GrammarError> {
        Self::new(TopLevelGrammar::from_lark(grammar.to_string()), vocabulary)
            .map_err(GrammarError::Lark)
    }

    fn new(grammar: TopLevelGrammar, vocabulary: &GrammarVocabulary) -> Result<Self, String> {
        let parser = vocabulary.factory().create_parser(grammar);
        let mut start = Matcher::new(Ok(parser.map_err(|error| told(&error))?));
        // A grammar without any sentence shows here.
        let mask = mask(&mut start)?;
        Ok(Self {
            vocabulary: vocabulary.clone(),
            now: start.clone(),
            start: Arc::new(start),
            mask: Ok(Some(mask)),
            tokens: Vec::new(),
        })
    }

    /// Whether the text is a sentence of the grammar, so that EOS may come.
    pub fn is_complete(&self) -> bool {
        let may_end = |mask: &SimpleVob| self.vocabulary.eos().any(|token| mask.is_allowed(token));
        match &self.mask {
            Ok(Some(mask)) => may_end(mask),
            Ok(None) => mask(&mut self.now.clone()).is_ok_and(|mask| may_end(&mask)),
            Err(_) => false,
        }
    }

    fn read(&mut self, token: u32) -> Result<(), String> {
        // Where nothing can follow, the matcher has stopped by itself and takes no EOS any more.
        if self.now.is_stopped()
            && !self.now.is_error()
            && self.vocabulary.eos().any(|eos| eos == token)
        {
            return Ok(());
        }
        self.now.consume_token(token).map_err(|error| told(&error))
    }

    /// Goes back `tokens` by llguidance's own means, which know neither an EOS that the grammar
    /// itself consumed nor a way out of an error.
    fn step_back(&mut self, tokens: usize) -> bool {
        let (_, dropped) = self.tokens.split_at(self.tokens.len() - tokens);
        !self.now.is_error()
            && !dropped.iter().any(|&token| self.vocabulary.eos().any(|eos| eos == token))
            && self.now.rollback(tokens).is_ok()
    }
}

impl StageMemory for Grammar {
    fn accept(&mut self, accepted: &Accepted) {
        self.tokens.push(accepted.token);
        self.mask = self.read(accepted.token).map(|()| None);
    }

    fn rollback(&mut self, tokens: usize) {
        if tokens == 0 {
            return;
        }
        let tokens = tokens.min(self.tokens.len());
        let stepped = self.step_back(tokens);
        self.tokens.truncate(self.tokens.len() - tokens);
        let mut read = Ok(());
        if !stepped {
            self.now = (*self.start).clone();
            let again = core::mem::take(&mut self.tokens);
            read = again.iter().try_for_each(|&token| self.read(token));
            self.tokens = again;
        }
        self.mask = read.map(|()| None);
    }

    fn prepare(&mut self) {
        if matches!(self.mask, Ok(None)) {
            self.mask = mask(&mut self.now).map(Some);
        }
    }

    fn fork(&self) -> Box<dyn StageMemory> {
        Box::new(self.clone())
    }
}

impl Mask for Grammar {
    fn allowed(&self) -> Result<&[u32], StageError> {
        match &self.mask {
            Ok(Some(mask)) => Ok(mask.as_slice()),
            Ok(None) => Err(StageError::NotPrepared),
            Err(what) => Err(StageError::Other(Cow::Owned(what.clone()))),
        }
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

fn mask(matcher: &mut Matcher) -> Result<SimpleVob, String> {
    matcher.compute_mask_or_eos().map_err(|error| told(&error))
}

/// What llguidance says, without the dumps that it may append.
fn told(error: &impl ToString) -> String {
    let text = error.to_string();
    let dumps = ["\n<state>", "\n<non-verbose/>", "\n<backtrace>"];
    let end = dumps.iter().filter_map(|dump| text.find(dump)).min().unwrap_or(text.len());
    text[..end].trim().to_string()
}

#[cfg(test)]
mod tests;
