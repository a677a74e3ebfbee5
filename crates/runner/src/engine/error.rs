//! What goes wrong between taper and an engine.

use std::time::Duration;

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(String);

impl BadAnswer {
    /// With what is wrong, in words.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Why an engine did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Refused before anything was sent.
    #[error("{0}")]
    Refused(String),
    /// The server could not be reached, or the connection broke.
    #[error("--engine {engine}: {what}")]
    Connection {
        /// Its address.
        engine: String,
        /// What happened.
        what: String,
    },
    /// The server answered with an error.
    #[error("--engine {engine}: HTTP {status}: {what}")]
    Status {
        /// Its address.
        engine: String,
        /// The status of the answer.
        status: u16,
        /// What the server says.
        what: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The answer is not what such a server sends.
    #[error("--engine {engine}: {what}")]
    Answer {
        /// Its address.
        engine: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server is not the one that was meant: another engine, another model, another tokenizer.
    #[error("--engine {engine}: {what}")]
    Other {
        /// Its address.
        engine: String,
        /// What is there, and what would be right.
        what: String,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl EngineError {
    /// Whether nothing was sent: the flags are to blame, not a network or a server.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether the same request may succeed later: too many requests, a failure of the server, a
    /// broken connection, an answer that was cut off.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Answer { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status == 408 || *status >= 500,
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
