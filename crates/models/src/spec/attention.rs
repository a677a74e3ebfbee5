//! Attention.

use super::{LinearSpec, NormSpec, RopeSpec};

/// Causal attention in which `heads / kv_heads` query heads share one key and value head.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AttentionSpec {
    /// Query heads; a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor on the scores ahead of the softmax.
    pub scale: f64,
    /// Position `i` sees the positions `j` with `i - j < window`, or all before it if absent.
    pub window: Option<usize>,
    /// Rotary position embedding, absent in layers that use none.
    pub rope: Option<RopeSpec>,
    /// Hidden state to queries, keys and values.
    pub qkv: QkvSpec,
    /// Heads back to the hidden state.
    pub o: LinearSpec,
    /// Norm over each query head, ahead of the rotation.
    pub q_norm: Option<NormSpec>,
    /// Norm over each key head, ahead of the rotation.
    pub k_norm: Option<NormSpec>,
}

/// Where queries, keys and values come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum QkvSpec {
    /// A map for each.
    Separate {
        /// Hidden state to queries.
        q: LinearSpec,
        /// Hidden state to keys.
        k: LinearSpec,
        /// Hidden state to values.
        v: LinearSpec,
    },
    /// One map to all three, in this order.
    Fused(LinearSpec),
}
