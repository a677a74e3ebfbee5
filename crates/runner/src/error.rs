//! What can go wrong before a run, and what can go wrong in one.

use std::fmt::Display;

use taper_models::{ModelError, StateError};
use taper_sampling::presets::PresetError;
use taper_sampling::search::{BeamSettingsError, SearchError};
use taper_sampling::{SelectError, SequenceError};

use crate::told::shortened;

/// Why a run was refused before it began: something that the caller can put right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The prompt has no tokens.
    #[error("the prompt is empty; it must have at least one token")]
    EmptyPrompt,
    /// The text to be scored is too short: each token is scored by those before it.
    #[error(
        "the text has {tokens} tokens; it must have at least two, each is scored by those before it"
    )]
    NothingToScore {
        /// Tokens in the text.
        tokens: usize,
    },
    /// The prompt has a token that the model does not know.
    #[error("prompt id {id} is out of range: the vocabulary has the ids 0 to {}", vocab_size - 1)]
    PromptId {
        /// The id.
        id: u32,
        /// Number of ids.
        vocab_size: usize,
    },
    /// The prompt has more tokens than the model can hold.
    #[error("the prompt has {tokens} tokens; the model holds at most {context_length}")]
    PromptTooLong {
        /// Tokens in the prompt.
        tokens: usize,
        /// Tokens that the model can hold.
        context_length: usize,
    },
    /// There is no tokenizer to make tokens of a text.
    #[error("the model has no tokenizer.json; give the prompt as token ids")]
    NoTokenizer,
    /// The tokenizer failed on the prompt.
    #[error("the prompt cannot be tokenized: {0}")]
    Tokenizer(String),
    /// A setting of the config is out of its range.
    #[error("{key} is {value}; it must be {domain}")]
    Setting {
        /// The setting's name in the config.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        domain: String,
    },
    /// A setting of Hugging Face's, in a request under the rules of another engine.
    #[error("{key} is a setting of huggingface and not of {engine}; leave it out")]
    Foreign {
        /// The setting's name in the config.
        key: String,
        /// The engine whose rules were asked for.
        engine: &'static str,
    },
    /// A negative prompt without guidance, which would not look at it.
    #[error(
        "a negative prompt takes a guidance_scale other than 1; give one, or leave the prompt out"
    )]
    NoGuidance,
    /// The negative prompt has no tokens, one that the model does not know, or too many.
    #[error("the negative prompt: {0}")]
    NegativePrompt(Box<RequestError>),
    /// A grammar cannot be used.
    #[error("{reason}")]
    Grammar {
        /// Which kind: `json_schema`, `regex` or `grammar`.
        key: &'static str,
        /// Why, and what would be right.
        reason: String,
    },
    /// A setting that makes a stage is out of its range.
    #[error(transparent)]
    Preset(PresetError),
    /// A setting of a beam search is out of its range, or does not go with another.
    #[error(transparent)]
    Beams(#[from] BeamSettingsError),
}

impl From<PresetError> for RequestError {
    fn from(error: PresetError) -> Self {
        Self::Preset(match error {
            PresetError::Unsupported { key, value } => {
                PresetError::Unsupported { key, value: shortened(&value).into_owned() }
            }
            error => error,
        })
    }
}

impl RequestError {
    /// The setting that is to blame, under its name in the config; `None` when it is the prompt.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Setting { key, .. } | Self::Grammar { key, .. } => Some(key),
            Self::Foreign { key, .. } => Some(key),
            Self::Preset(error) => Some(error.key()),
            Self::Beams(error) => Some(error.key()),
            _ => None,
        }
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The model failed.
    #[error("the model failed: {0}")]
    Model(#[from] ModelError),
    /// The model's state failed.
    #[error("the model's state failed: {0}")]
    State(#[from] StateError),
    /// The sequence refused a token.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// No token could be chosen.
    #[error("sequence {sequence}, step {step}: {source}")]
    Select {
        /// Index of the sequence, from 0.
        sequence: usize,
        /// Tokens generated before, from 0.
        step: usize,
        /// Why.
        source: SelectError,
    },
    /// A row of logits has no distribution to score a token by.
    #[error("the logits behind token {position}: {source}")]
    Score {
        /// Place in the text of the token that they follow, from 0.
        position: usize,
        /// Why.
        source: SelectError,
    },
    /// The row of logits has no finite number, so that there is not even an argmax of it.
    #[error("sequence {sequence}, step {step}: none of the logits is finite")]
    NoFiniteLogit {
        /// Index of the sequence, from 0.
        sequence: usize,
        /// Tokens generated before, from 0.
        step: usize,
    },
    /// A beam search was given rows that it cannot go on from.
    #[error("beam search, step {step}: {source}")]
    Search {
        /// Tokens generated before, from 0.
        step: usize,
        /// Why.
        source: SearchError,
    },
    /// The scores of a beam could not be made.
    #[error("beam {beam}, step {step}: {source}")]
    Beam {
        /// Index of the beam, from 0.
        beam: usize,
        /// Tokens generated before, from 0.
        step: usize,
        /// Why.
        source: SelectError,
    },
    /// The tokenizer failed to make text of tokens.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
}

/// Refuses a setting, under its name in the config.
pub(crate) fn refuse<T>(
    key: &'static str,
    value: impl Display,
    domain: impl Into<String>,
) -> Result<T, RequestError> {
    let value = shortened(&value.to_string()).into_owned();
    Err(RequestError::Setting { key, value, domain: domain.into() })
}
