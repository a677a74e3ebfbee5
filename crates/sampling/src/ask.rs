//! What a step is asked for, and what it is given to know.

use crate::draws::DrawKey;
use crate::history::History;
use crate::memory::Memory;

/// What a step reports besides the token. Nothing that is not asked for is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent question")]
pub struct Ask {
    /// The token's log-probability and rank in the untouched row: one pass of exponentials.
    pub logprob: bool,
    /// The entropy of the untouched row: one such pass and a half, with the log-probability or
    /// without.
    pub entropy: bool,
    /// The token's share of what the selector saw.
    pub probability: bool,
    /// How many tokens the selector could have chosen.
    pub kept: bool,
    /// How many of the best tokens of the untouched row to list, with log-probabilities.
    pub top_logprobs: usize,
    /// What each stage did: a second run of the pipeline, with an account at every stage.
    pub trace: bool,
}

impl Ask {
    /// The token alone.
    pub const fn token() -> Self {
        Self {
            logprob: false,
            entropy: false,
            probability: false,
            kept: false,
            top_logprobs: 0,
            trace: false,
        }
    }

    /// Everything but the list of the best tokens.
    pub const fn everything() -> Self {
        Self {
            logprob: true,
            entropy: true,
            probability: true,
            kept: true,
            top_logprobs: 0,
            trace: true,
        }
    }
}

/// Where in which sequence a token is wanted, and what is to be reported of it.
#[derive(Debug, Clone, Copy)]
pub struct Step<'s> {
    pub(crate) key: DrawKey,
    pub(crate) history: &'s History,
    pub(crate) memory: &'s Memory,
    pub(crate) unconditional: Option<&'s [f32]>,
    pub(crate) ask: Ask,
}

static NO_HISTORY: History = History::EMPTY;
static NO_MEMORY: Memory = Memory::EMPTY;

impl<'s> Step<'s> {
    /// A step without a past that reports the token alone.
    pub const fn new(key: DrawKey) -> Self {
        let (history, memory) = (&NO_HISTORY, &NO_MEMORY);
        Self { key, history, memory, unconditional: None, ask: Ask::token() }
    }

    /// The tokens so far.
    #[must_use]
    pub const fn history(self, history: &'s History) -> Self {
        Self { history, ..self }
    }

    /// The memories of the sequence, from [`Pipeline::new_memory`](crate::Pipeline::new_memory).
    #[must_use]
    pub const fn memory(self, memory: &'s Memory) -> Self {
        Self { memory, ..self }
    }

    /// The logits that the model gives without the prompt, for
    /// [`ClassifierFreeGuidance`](crate::ClassifierFreeGuidance).
    #[must_use]
    pub const fn unconditional(self, logits: &'s [f32]) -> Self {
        Self { unconditional: Some(logits), ..self }
    }

    /// What to report.
    #[must_use]
    pub const fn ask(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }
}
