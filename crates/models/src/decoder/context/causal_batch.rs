//! Training: rows of equal length, each complete.

use candle_core::{Device, Result, Tensor};

use super::{Context, Step, causal_mask};
use crate::decoder::kernels::Kernels;
use crate::spec::AttentionSpec;

/// `batch` rows of `time` tokens; every token sees the earlier ones of its row.
pub(in crate::decoder) struct CausalBatch<'a> {
    batch: usize,
    time: usize,
    device: &'a Device,
    /// The mask of the window that was asked for last: layers tend to share one.
    mask: Option<(Option<usize>, Tensor)>,
}

impl<'a> CausalBatch<'a> {
    pub(in crate::decoder) fn new(batch: usize, time: usize, device: &'a Device) -> Self {
        Self { batch, time, device, mask: None }
    }

    fn mask(&mut self, window: Option<usize>) -> Result<Tensor> {
        if let Some((made_for, mask)) = &self.mask
            && *made_for == window
        {
            return Ok(mask.clone());
        }
        let mask = causal_mask(0..self.time, 0..self.time, window, self.device)?;
        self.mask = Some((window, mask.clone()));
        Ok(mask)
    }
}

impl Context for CausalBatch<'_> {
    fn kernels(&self) -> Kernels {
        Kernels::Differentiable
    }

    fn attend(
        &mut self,
        _slot: usize,
        spec: &AttentionSpec,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
    ) -> Result<Tensor> {
        let (batch, time) = (self.batch, self.time);
        let (kv_heads, dim) = (spec.kv_heads, spec.head_dim);
        let group = spec.heads / kv_heads;
        let keys_shape = (batch * kv_heads, time, dim);
        // The queries that share a key head become the rows of one product with it.
        let queries_shape = (batch * kv_heads, group * time, dim);
        let q = (q * spec.scale)?.reshape((batch, time, kv_heads, group, dim))?;
        let q = q.permute((0, 2, 3, 1, 4))?.reshape(queries_shape)?;
        let by_head = |x: &Tensor| {
            x.reshape((batch, time, kv_heads, dim))?.transpose(1, 2)?.reshape(keys_shape)
        };
        let scores = q.matmul(&by_head(k)?.t()?)?.reshape((batch * spec.heads, time, time))?;
        let shares = self.kernels().softmax(&scores.broadcast_add(&self.mask(spec.window)?)?)?;
        let shares = shares.reshape((batch * kv_heads, group * time, time))?;
        let read = shares.matmul(&by_head(v)?)?.reshape((batch, kv_heads, group, time, dim))?;
        read.permute((0, 3, 1, 2, 4))?.reshape((batch * time, spec.heads * dim))
    }

    fn recur(&mut self, _slot: usize, x: &Tensor, step: &Step<'_>) -> Result<Tensor> {
        let rows = (0..self.batch).map(|row| {
            let (read, _) = step(&x.narrow(0, row * self.time, self.time)?, None)?;
            Ok(read)
        });
        Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)
    }

    fn show(&mut self, _index: usize, _x: &Tensor) -> Result<()> {
        Ok(())
    }
}
