//! What can go wrong while a model computes and while its state is managed.

use crate::language_model::RowId;

/// Why a [`forward`](crate::LanguageModel::forward) call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A token id is not in the vocabulary.
    #[error("token id {token} is out of range: the vocabulary has the ids 0 to {}", vocab_size - 1)]
    TokenOutOfRange {
        /// The id.
        token: u32,
        /// Number of ids.
        vocab_size: usize,
    },
    /// A piece of work has no tokens.
    #[error("row {} was given no tokens; give it at least one", row.get())]
    EmptyWork {
        /// The row that it is for.
        row: RowId,
    },
    /// A row would outgrow the context.
    #[error(
        "row {} would hold {} tokens ({held} and {added} more); the context holds {limit}",
        row.get(), held + added
    )]
    ContextOverflow {
        /// The row.
        row: RowId,
        /// Tokens that it holds.
        held: usize,
        /// Tokens that it was given.
        added: usize,
        /// Tokens that it can hold.
        limit: usize,
    },
    /// Two pieces of work are for one row, so that their order would matter.
    #[error("row {} is named twice in one call", row.get())]
    RepeatedRow {
        /// The row.
        row: RowId,
    },
    /// A weight is not a number, or infinite, and so is what was computed from it.
    #[error(
        "tensor `{tensor}` holds {found} among its numbers; the file of weights is damaged, or they \
         overflow the type they are held in"
    )]
    NotFinite {
        /// Name of the first such tensor.
        tensor: String,
        /// The first such number.
        found: f32,
    },
    /// The model does not show what it computes on its way.
    #[error("this model shows no hidden states and no attention weights")]
    NotObservable,
    /// The state was made by another model.
    #[error("the state belongs to another model; use one made by this model's `new_state`")]
    ForeignState,
    /// The state refused.
    #[error(transparent)]
    State(#[from] StateError),
    /// The tensor library failed.
    #[error("tensor library: {0}")]
    Backend(#[from] candle_core::Error),
    /// An engine outside this crate failed.
    #[error("{0}")]
    Engine(Box<dyn std::error::Error + Send + Sync>),
}

/// What the tensor library says, without the path, which is in our own messages, and without the
/// backtrace, which takes many lines.
pub(crate) fn cause(error: candle_core::Error) -> String {
    use candle_core::Error::{SafeTensor, WithBacktrace, WithPath};
    match error {
        WithPath { inner, .. } | WithBacktrace { inner, .. } => cause(*inner),
        SafeTensor(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

/// Why an operation on a [`State`](crate::State) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// No row has this id, or it was dropped.
    #[error("there is no row {}: it was dropped, or belongs to another state", row.get())]
    UnknownRow {
        /// The id.
        row: RowId,
    },
    /// A row cannot be cut to a length that it has not reached.
    #[error("row {} holds {held} tokens and cannot be cut to {len}", row.get())]
    TooShort {
        /// The row.
        row: RowId,
        /// Tokens that it holds.
        held: usize,
        /// Tokens that should have been kept.
        len: usize,
    },
    /// The row cannot be cut: some of the model's layers keep a state in place of the past.
    #[error(
        "row {} holds {held} tokens and cannot go back to {len}: this model's recurrent layers keep \
         no past; fork the row ahead of what may be taken back",
        row.get()
    )]
    NoWayBack {
        /// The row.
        row: RowId,
        /// Tokens that it holds.
        held: usize,
        /// Tokens that should have been kept.
        len: usize,
    },
    /// The engine cannot do this.
    #[error("this model's state cannot {operation}")]
    Unsupported {
        /// The operation, such as `fork`.
        operation: &'static str,
    },
}
