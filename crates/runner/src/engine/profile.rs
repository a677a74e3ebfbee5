//! What is known of an engine, and how a run is put to it.

use std::sync::Arc;

use super::call::{Around, Call, Prompt};
use super::dialect::Dialect;
use super::error::EngineError;
use super::text::OwnTokenizer;
use super::wanted::Wanted;

/// What is known of an engine. What it does not say is absent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Profile {
    /// Where it is; `None` for one that is asked by a file.
    pub url: Option<String>,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// Its version, if it says so.
    pub version: Option<String>,
    /// The model's name in requests.
    pub model: Option<String>,
    /// Where the server has the model from.
    pub root: Option<String>,
    /// Tokens of the vocabulary.
    pub vocab_size: Option<usize>,
    /// Tokens that a text can have, prompt included.
    pub context_length: Option<usize>,
    /// Requests that it makes at a time, if it says so.
    pub slots: Option<usize>,
    /// Whether the same request yields the same text, whatever else the server does meanwhile.
    pub reproducible: bool,
    pub(super) own: Option<Arc<OwnTokenizer>>,
}

impl Profile {
    /// An engine that nothing is known of but how it is spoken to.
    pub(super) fn of(dialect: Dialect) -> Self {
        Self {
            url: None,
            dialect,
            version: None,
            model: None,
            root: None,
            vocab_size: None,
            context_length: None,
            slots: None,
            reproducible: false,
            own: None,
        }
    }

    /// An engine that is asked by a file: what is given is all that is known of it.
    pub fn of_file(dialect: Dialect, model: String, own: Option<OwnTokenizer>) -> Self {
        let mut profile = Self { model: Some(model), ..Self::of(dialect) };
        if let Some(own) = own {
            profile.set_tokenizer(own);
        }
        profile
    }

    /// The tokenizer that was given.
    pub fn tokenizer(&self) -> Option<&OwnTokenizer> {
        self.own.as_deref()
    }

    pub(super) fn set_tokenizer(&mut self, own: OwnTokenizer) {
        self.vocab_size = self.vocab_size.or(Some(own.vocab_size()));
        self.own = Some(Arc::new(own));
    }

    /// A text as this engine is best given it, without asking it: as tokens of the given tokenizer
    /// where it takes tokens, otherwise as it is.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn prompt(&self, text: &str) -> Result<Prompt, EngineError> {
        match &self.own {
            Some(own) if self.dialect.takes_ids() => own.encode(text).map(Prompt::Ids),
            _ => Ok(Prompt::Text(text.to_owned())),
        }
    }

    /// Refuses tokens that the engine does not have or does not take: some servers die of them.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`].
    pub fn check_ids(&self, ids: &[u32]) -> Result<(), EngineError> {
        let refuse = |what: String| Err(EngineError::Refused(format!("--prompt-ids: {what}")));
        if !self.dialect.takes_ids() {
            return refuse(format!("{} takes a text, not tokens", self.dialect));
        }
        match self.vocab_size {
            Some(size) => match ids.iter().find(|&&id| id as usize >= size) {
                Some(id) => refuse(format!("there is no token {id}; ids are in 0..={}", size - 1)),
                None => Ok(()),
            },
            None if self.dialect.dies_of_unknown_ids() => refuse(format!(
                "{} ends at an id that it does not have, and does not say how many there are; give \
                 --tokenizer DIR",
                self.dialect
            )),
            None => Ok(()),
        }
    }

    /// Translates a run into a request.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] for what the engine would ignore, clamp or mean otherwise.
    pub fn call(
        &self,
        wanted: &Wanted,
        prompt: &Prompt,
        top: Option<usize>,
        seed: u64,
        stream: bool,
    ) -> Result<Call, EngineError> {
        if let Prompt::Ids(ids) = prompt {
            self.check_ids(ids)?;
            self.check_length(ids.len())?;
        }
        if let (Some(top), Some(most)) = (top, self.dialect.most_alternatives())
            && top > most
            && most > 0
        {
            let what = format!("top_logprobs is {top}; {} lists at most {most}", self.dialect);
            return Err(EngineError::Refused(what));
        }
        let special = self.own.as_deref().map(OwnTokenizer::special).unwrap_or_default();
        let top = top.filter(|_| self.dialect.most_alternatives() != Some(0));
        let around = Around { model: self.model.as_deref(), top, seed, special, stream };
        Call::new(self.dialect, wanted, prompt, &around)
    }

    fn check_length(&self, tokens: usize) -> Result<(), EngineError> {
        match self.context_length {
            Some(length) if tokens >= length => Err(EngineError::Refused(format!(
                "the prompt has {tokens} tokens; the engine's context is {length}"
            ))),
            _ => Ok(()),
        }
    }
}
