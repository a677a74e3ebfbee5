//! What recurrent mixers remember.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::language_model::RowId;

/// What one recurrent mixer remembers of a row, in `f32`. The tensors are never written to, so rows
/// may share them.
#[derive(Debug, Clone)]
pub(crate) struct Recurrent {
    /// The last inputs of the convolution, `[kernel - 1, channels]`.
    pub(crate) inputs: Tensor,
    /// `[heads, head_dim, state_size]`.
    pub(crate) state: Tensor,
}

impl Recurrent {
    pub(super) fn bytes(&self) -> usize {
        let tensors = [&self.inputs, &self.state];
        tensors.map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes()).iter().sum()
    }
}

/// What a call has come to, by row and slot. It becomes part of the rows when the call succeeds.
pub(crate) type Advanced<R> = BTreeMap<(RowId, usize), R>;
