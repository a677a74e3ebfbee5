//! What tokens know of one another: the one thing in which training and decoding differ.

mod cached;
mod causal_batch;

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

pub(super) use self::cached::Cached;
pub(super) use self::causal_batch::CausalBatch;
use super::kernels::Kernels;
use crate::cache::Recurrent;
use crate::spec::AttentionSpec;

/// How `n` new tokens, perhaps of several rows, look at whatever they may see.
pub(super) trait Context {
    /// Which kernels the rest of the model has to use.
    fn kernels(&self) -> Kernels;

    /// Attention number `slot` of the model: from queries `[n, heads, head_dim]`, keys and values
    /// `[n, kv_heads, head_dim]` of the new tokens to what each reads, `[n, heads * head_dim]`.
    fn attend(
        &mut self,
        slot: usize,
        spec: &AttentionSpec,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<Tensor>;

    /// Recurrent mixer number `slot` of the model: gives each row's part of `x` (`[n, ...]`) to
    /// `step`, with what the mixer remembers of that row.
    fn recur(&mut self, slot: usize, x: &Tensor, step: &Step<'_>) -> Result<Tensor>;

    /// Shows what layer `index` is about to read, `[n, hidden_size]`, to whoever wants to see it.
    fn show(&mut self, index: usize, x: &Tensor) -> Result<()>;
}

/// From the tokens of one row, and what is remembered of those before them unless they are the
/// first, to what they read and what is to be remembered now.
pub(super) type Step<'a> = dyn Fn(&Tensor, Option<&Recurrent>) -> Result<(Tensor, Recurrent)> + 'a;

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
