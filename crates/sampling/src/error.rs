//! Why a verb, and with it a stage, refuses.

use alloc::borrow::Cow;

/// Why a stage, or the selector, could not do its work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// A score is NaN or +∞ where an order or a mass is needed.
    #[error("the score of token {id} is {score}; scores must be finite or -inf")]
    NotFinite {
        /// The first such token.
        id: u32,
        /// Its score.
        score: f32,
    },
    /// Every listed token is banned (at −∞).
    #[error("all {candidates} candidates are masked (-inf); at least one must be allowed")]
    AllMasked {
        /// How many are listed.
        candidates: usize,
    },
    /// A cut would have left nothing, or there was nothing to begin with.
    #[error("no candidate is left; a cut must keep at least one")]
    Empty,
    /// [`TiePolicy::Error`](crate::TiePolicy::Error) met a tie.
    #[error(
        "{tied} candidates tie at score {score} for {room} places; choose another tie policy to break it"
    )]
    Tie {
        /// The score they share.
        score: f32,
        /// How many share it.
        tied: usize,
        /// How many of them the cut has room for.
        room: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {id} is outside the vocabulary of {vocab_size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// The vocabulary's size.
        vocab_size: usize,
    },
    /// A score was given to a token that an earlier cut removed.
    #[error("token {id} was removed by an earlier cut and cannot be revived")]
    Removed {
        /// The token.
        id: u32,
    },
    /// A verb was called with an argument outside its domain.
    #[error("{argument} is {value}; it must be {domain}")]
    Argument {
        /// The argument's name.
        argument: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        domain: &'static str,
    },
    /// A stage that reads the text met a step without one.
    #[error(
        "this stage reads the text, and the step came without a history; select with a Sequence, or give the step one"
    )]
    NoHistory,
    /// A stage that remembers met a step without a memory.
    #[error(
        "this stage remembers, and the step came without a memory; select with a Sequence, or give the step one of new_memory"
    )]
    NoMemory,
    /// A memory has not worked out what this step needs.
    #[error(
        "the memory of this stage was not prepared; select with a Sequence, or call prepare on it first"
    )]
    NotPrepared,
    /// A mask allows none of the tokens that could be chosen before it.
    #[error(
        "the mask allows none of the {candidates} candidates that could be chosen; it must allow at least one"
    )]
    NothingAllowed {
        /// How many could be chosen.
        candidates: usize,
    },
    /// A stage that guides away from a second row found none, or one of another length.
    #[error("the step came with {given} unconditional logits; there must be {expected}")]
    NoUnconditional {
        /// Logits in the row.
        expected: usize,
        /// Logits in the second row; 0 if there is none.
        given: usize,
    },
    /// A failure of a stage written elsewhere.
    #[error("{0}")]
    Other(Cow<'static, str>),
}
