//! Why settings make no pipeline.

use alloc::string::String;

use crate::data::SettingError;

/// Why settings make no pipeline.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// A setting that a stage refuses, under the engine's name for it.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting outside what the engine accepts.
    #[error("{key} is {value}; it must be {domain}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        domain: &'static str,
    },
    /// A setting that names a token outside the vocabulary.
    #[error("{key} names token {id}; the vocabulary has {vocab_size}")]
    UnknownToken {
        /// The setting.
        key: &'static str,
        /// The token.
        id: u32,
        /// The vocabulary's size.
        vocab_size: usize,
    },
    /// A chain in which something follows a sampler that draws the token.
    #[error(
        "{key} has a drawing sampler (mirostat, mirostat_v2, adaptive_p) before its end; it must be the last"
    )]
    SelectorNotLast {
        /// The setting.
        key: &'static str,
    },
    /// A setting that would change the tokens and is not implemented.
    #[error("{key} is {value}; that is not available yet, leave it out")]
    Unsupported {
        /// The setting.
        key: String,
        /// Its value, as JSON.
        value: String,
    },
}

impl PresetError {
    /// The setting that is to blame, under its name in the config.
    pub fn key(&self) -> &str {
        match self {
            Self::Setting(refused) => refused.key(),
            Self::OutOfRange { key, .. }
            | Self::UnknownToken { key, .. }
            | Self::SelectorNotLast { key } => key,
            Self::Unsupported { key, .. } => key,
        }
    }
}
