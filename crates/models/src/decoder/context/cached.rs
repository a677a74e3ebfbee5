//! Decoding: rows of any length, each with a cache of its own and no padding anywhere.

use std::ops::Range;

use candle_core::{DType, Result, Tensor};

use super::{Context, Step, causal_mask};
use crate::cache::{Advanced, Cache, CacheLayout, KeyValues, Recurrent, Row};
use crate::decoder::cpu;
use crate::decoder::kernels::Kernels;
use crate::passes::Segment;
use crate::spec::AttentionSpec;
use crate::watch::Watch;

/// Several segments, which follow one another along the first dimension.
pub(in crate::decoder) struct Cached<'a, 'w> {
    cache: &'a Cache<CacheLayout>,
    segments: &'a [Segment],
    /// What recurrent mixers have come to in this call.
    advanced: &'a mut Advanced<Recurrent>,
    /// Masks by segment and window: the layers share them.
    masks: Vec<(usize, Option<usize>, Tensor)>,
    watch: Option<&'a mut Watch<'w>>,
}

impl<'a, 'w> Cached<'a, 'w> {
    pub(in crate::decoder) fn new(
        cache: &'a Cache<CacheLayout>,
        segments: &'a [Segment],
        advanced: &'a mut Advanced<Recurrent>,
        watch: Option<&'a mut Watch<'w>>,
    ) -> Self {
        Self { cache, segments, advanced, masks: Vec::new(), watch }
    }

    /// Whether somebody wants to see hidden states.
    pub(in crate::decoder) fn shows_hidden(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.wants().hidden)
    }

    /// Stores the keys and values of a segment and reads for its queries. The tensors hold the
    /// segment's tokens alone, `[n, heads, head_dim]`.
    fn attend_segment(
        &mut self,
        index: usize,
        slot: usize,
        spec: &AttentionSpec,
        [q, k, v]: [&Tensor; 3],
    ) -> Result<Tensor> {
        let position = self.segments[index].position;
        let row = self.row(index)?;
        let (n, kv_heads, dim) = k.dims3()?;
        row.write(slot, position, &k.transpose(0, 1)?, &v.transpose(0, 1)?)?;

        let first = spec.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let seen = row.read(slot, first..position + n)?;
        if let Some((read, shares)) = cpu::attend_one(q, &seen, spec.scale)? {
            self.show_shares(index, slot, spec.heads, first, || Ok(shares))?;
            return Ok(read);
        }
        // The queries that share a key head become the rows of one product with it.
        let group = spec.heads / kv_heads;
        let q = (q * spec.scale)?.reshape((n, kv_heads, group, dim))?;
        let q = q.permute((1, 2, 0, 3))?.reshape((kv_heads, group * n, dim))?;
        let scores = scores(&q, &seen)?;
        let shares = self.softmax(index, spec, first, &scores)?;
        self.show_shares(index, slot, spec.heads, first, || on_host(&shares))?;
        let read = read(&shares.to_dtype(v.dtype())?, &seen)?;
        let read = read.reshape((kv_heads, group, n, dim))?.permute((2, 0, 1, 3))?;
        read.reshape((n, spec.heads * dim))
    }

    /// Shows the shares `[heads, n, keys]` of a segment's queries, if somebody wants to see them.
    fn show_shares(
        &mut self,
        segment: usize,
        slot: usize,
        heads: usize,
        first_key: usize,
        shares: impl FnOnce() -> Result<Vec<f32>>,
    ) -> Result<()> {
        match &mut self.watch {
            Some(watch) if watch.wants().attention => {
                watch.attention(&self.segments[segment], slot, heads, first_key, &shares()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn row(&self, segment: usize) -> Result<&'a Row<CacheLayout>> {
        let row = self.cache.row(self.segments[segment].row);
        row.map_err(candle_core::Error::wrap)
    }

    /// Shares of each query over the keys from position `first` on, from their scores
    /// `[kv_heads, group * n, keys]`.
    fn softmax(
        &mut self,
        segment: usize,
        spec: &AttentionSpec,
        first: usize,
        scores: &Tensor,
    ) -> Result<Tensor> {
        let (queries, keys) = (self.segments[segment].tokens.len(), scores.dim(2)?);
        if queries == 1 {
            return self.kernels().softmax(scores);
        }
        let mask = self.mask(segment, spec.window, first..first + keys, scores)?;
        let masked = scores.reshape((spec.heads, queries, keys))?.broadcast_add(&mask)?;
        self.kernels().softmax(&masked)?.reshape(scores.shape())
    }

    /// The mask `[queries, keys]` of a segment, in the type of `scores` and on their device.
    fn mask(
        &mut self,
        segment: usize,
        window: Option<usize>,
        keys: Range<usize>,
        scores: &Tensor,
    ) -> Result<Tensor> {
        let mut known = self.masks.iter();
        if let Some((.., mask)) = known.find(|(of, w, _)| (*of, *w) == (segment, window)) {
            return Ok(mask.clone());
        }
        let Segment { tokens, position, .. } = &self.segments[segment];
        let queries = *position..position + tokens.len();
        let mask = causal_mask(queries, keys, window, scores.device())?;
        let mask = mask.to_dtype(scores.dtype())?;
        self.masks.push((segment, window, mask.clone()));
        Ok(mask)
    }
}

impl Context for Cached<'_, '_> {
    fn kernels(&self) -> Kernels {
        Kernels::Fused
    }

    fn attend(
        &mut self,
        slot: usize,
        spec: &AttentionSpec,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<Tensor> {
        let mut read = Vec::with_capacity(self.segments.len());
        let mut start = 0;
        for index in 0..self.segments.len() {
            let n = self.segments[index].tokens.len();
            let [q, k, v] = [q, k, v].map(|x| x.narrow(0, start, n));
            read.push(self.attend_segment(index, slot, spec, [&q?, &k?, &v?])?);
            start += n;
        }
        Tensor::cat(&read, 0)
    }

    fn recur(&mut self, slot: usize, x: &Tensor, step: &Step<'_>) -> Result<Tensor> {
        let mut read = Vec::with_capacity(self.segments.len());
        let mut start = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            let n = segment.tokens.len();
            let key = (segment.row, slot);
            // A long piece of work is computed in several passes: the earlier ones come first.
            let past = match self.advanced.get(&key) {
                Some(past) => Some(past),
                None => self.row(index)?.recurrent(slot),
            };
            let (part, next) = step(&x.narrow(0, start, n)?, past)?;
            read.push(part);
            self.advanced.insert(key, next);
            start += n;
        }
        Tensor::cat(&read, 0)
    }

    fn show(&mut self, index: usize, x: &Tensor) -> Result<()> {
        match &mut self.watch {
            Some(watch) if watch.wants().hidden => {
                watch.hidden(self.segments, index, x.dim(1)?, &on_host(x)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// `[kv_heads, m, head_dim]` against all keys: `[kv_heads, m, keys]`.
fn scores(q: &Tensor, seen: &[KeyValues]) -> Result<Tensor> {
    let parts = seen.iter().map(|block| q.matmul(&block.keys.t()?));
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 2)
}

/// The values weighted by `shares`: `[kv_heads, m, head_dim]`.
fn read(shares: &Tensor, seen: &[KeyValues]) -> Result<Tensor> {
    let mut start = 0;
    let mut sum: Option<Tensor> = None;
    for block in seen {
        let n = block.values.dim(1)?;
        // CUDA multiplies by contiguous matrices only.
        let part = shares.narrow(2, start, n)?.contiguous()?.matmul(&block.values)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
        start += n;
    }
    sum.ok_or_else(|| candle_core::Error::msg("attention over no positions"))
}

/// All numbers of a tensor, in order.
fn on_host(x: &Tensor) -> Result<Vec<f32>> {
    x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
