//! Which engine speaks at the other end.

use std::fmt;
use std::str::FromStr;

use super::error::EngineError;

/// How an engine is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// llama.cpp's server.
    LlamaCpp,
    /// vLLM's server.
    Vllm,
    /// SGLang's server.
    SgLang,
    /// Modular's MAX.
    Max,
    /// `transformers serve`.
    Transformers,
    /// What OpenAI documents, and most gateways understand.
    OpenAi,
}

impl Dialect {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::LlamaCpp, Self::Vllm, Self::SgLang, Self::Max, Self::Transformers, Self::OpenAi];

    /// Its name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vllm",
            Self::SgLang => "sglang",
            Self::Max => "max",
            Self::Transformers => "transformers",
            Self::OpenAi => "openai",
        }
    }

    /// Whether a prompt may be token ids.
    pub fn takes_ids(self) -> bool {
        !matches!(self, Self::Transformers)
    }

    /// Whether an id beyond the vocabulary ends the server.
    pub(super) fn dies_of_unknown_ids(self) -> bool {
        matches!(self, Self::Max | Self::SgLang)
    }

    /// The most alternatives that it lists; `None` where the vocabulary is the limit.
    pub(super) fn most_alternatives(self) -> Option<usize> {
        match self {
            // vLLM gives more with a flag of the server, which says so itself.
            Self::LlamaCpp | Self::SgLang | Self::Vllm => None,
            Self::Max => Some(7),
            Self::Transformers => Some(0),
            Self::OpenAi => Some(20),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        let found = Self::ALL.into_iter().find(|dialect| dialect.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|dialect| dialect.name()).collect();
            EngineError::Refused(format!("expected auto, {}", names.join(", ")))
        })
    }
}
