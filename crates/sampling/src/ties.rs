//! What happens where equal scores meet the edge of a cut.
//!
//! Two logits rounded to bf16 tie about once in a hundred steps at the top of the distribution,
//! and engines disagree on what `top_k = 1` then means: Hugging Face keeps both tokens, llama.cpp
//! keeps whichever its partial sort left in front, candle likewise. Here the caller says.

/// Who stays when a cut falls between candidates of equal score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TiePolicy {
    /// All of them, so that a cut may keep more than it was asked for. Equality is of *scores*,
    /// after the temperature. Hugging Face's top-k.
    KeepAll,
    /// The lowest token ids.
    #[default]
    LowestId,
    /// The highest token ids. Hugging Face's top-p on a CPU.
    HighestId,
    /// The highest of a random priority per token, drawn from the step's key: fair, replayable,
    /// and independent of the order in which candidates are visited.
    Random,
    /// None: the step fails with [`StageError::Tie`](crate::StageError::Tie).
    Error,
}

impl TiePolicy {
    /// The policy for a maximum, which is one token: `KeepAll` has no meaning there and takes the
    /// lowest id.
    pub const fn for_argmax(self) -> ArgmaxTies {
        match self {
            Self::KeepAll | Self::LowestId => ArgmaxTies::LowestId,
            Self::HighestId => ArgmaxTies::HighestId,
            Self::Random => ArgmaxTies::Random,
            Self::Error => ArgmaxTies::Error,
        }
    }
}

/// Who is the best when several candidates are.
///
/// [`TiePolicy`] without `KeepAll`: a maximum is one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ArgmaxTies {
    /// The lowest token id.
    #[default]
    LowestId,
    /// The highest token id.
    HighestId,
    /// The highest random priority.
    Random,
    /// None: the step fails with [`StageError::Tie`](crate::StageError::Tie).
    Error,
}

impl From<ArgmaxTies> for TiePolicy {
    fn from(ties: ArgmaxTies) -> Self {
        match ties {
            ArgmaxTies::LowestId => Self::LowestId,
            ArgmaxTies::HighestId => Self::HighestId,
            ArgmaxTies::Random => Self::Random,
            ArgmaxTies::Error => Self::Error,
        }
    }
}
