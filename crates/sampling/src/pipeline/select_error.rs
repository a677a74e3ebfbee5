//! Why a step fails.

use alloc::string::String;

use crate::error::StageError;
use crate::sequence::SequenceError;

/// Why a step yielded no token.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// A stage, or the selector, refused.
    #[error("{stage}: {source}")]
    Stage {
        /// Its name.
        stage: String,
        /// Why.
        source: StageError,
    },
    /// A list of logits names a token outside the vocabulary.
    #[error("the list has a logit for token {id}, outside the vocabulary of {vocab_size}")]
    UnknownToken {
        /// The token.
        id: u32,
        /// The vocabulary's size.
        vocab_size: usize,
    },
    /// A list of logits names a token twice.
    #[error("the list has two logits for token {id}; it must have one")]
    ListedTwice {
        /// The token.
        id: u32,
    },
    /// The row is not as long as the workspace was built for.
    #[error("the row has {row} logits but the workspace was built for {workspace}")]
    RowLength {
        /// Logits in the row.
        row: usize,
        /// Logits the workspace holds.
        workspace: usize,
    },
    /// The sequence, or the memory, of the step was refused.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// A batch was given no workspace to work in.
    #[error("a batch needs at least one workspace")]
    NoWorkspace,
}
