//! Who looks at whom: the one thing in which training and decoding differ.

mod cached;
mod causal_batch;

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

pub(super) use self::cached::{Cached, Segment};
pub(super) use self::causal_batch::CausalBatch;
use super::kernels::Kernels;
use crate::spec::AttentionSpec;

/// Attention of `n` new tokens over whatever they may see.
pub(super) trait Attend {
    /// Which kernels the rest of the model has to use.
    fn kernels(&self) -> Kernels;

    /// From queries `[n, heads, head_dim]`, keys and values `[n, kv_heads, head_dim]` of the new
    /// tokens to what each reads: `[n, heads * head_dim]`.
    fn attend(
        &mut self,
        layer: usize,
        spec: &AttentionSpec,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<Tensor>;
}

/// What is added to the scores of the queries at some positions over the keys at others: 0 where a
/// query may look, minus infinity elsewhere. Shape `[queries, keys]`, `f32`.
fn causal_mask(
    queries: Range<usize>,
    keys: Range<usize>,
    window: Option<usize>,
    device: &Device,
) -> Result<Tensor> {
    let window = window.unwrap_or(usize::MAX);
    let shape = (queries.len(), keys.len());
    let pairs = queries.flat_map(|query| keys.clone().map(move |key| (query, key)));
    let mask = pairs.map(|(query, key)| {
        let seen = key <= query && query - key < window;
        if seen { 0f32 } else { f32::NEG_INFINITY }
    });
    Tensor::from_vec(mask.collect(), shape, device)
}
