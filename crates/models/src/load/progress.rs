//! How far a model is read.

use std::cell::Cell;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Result, Tensor};

use crate::spec::DecoderSpec;
use crate::weights::{Stored, TensorSource};

/// A source that tells what share of a model's numbers has been taken from it.
pub(crate) struct Watched<'a> {
    source: &'a dyn TensorSource,
    tell: &'a dyn Fn(f64),
    total: usize,
    taken: Cell<usize>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(
        source: &'a dyn TensorSource,
        spec: &DecoderSpec,
        tell: &'a dyn Fn(f64),
    ) -> Self {
        let sizes = spec.tensors().into_iter().map(|tensor| tensor.shape.iter().product::<usize>());
        Self { source, tell, total: sizes.sum(), taken: Cell::new(0) }
    }

    fn took(&self, count: usize) {
        self.taken.set(self.taken.get() + count);
        (self.tell)(self.taken.get() as f64 / self.total as f64);
    }
}

impl TensorSource for Watched<'_> {
    fn tensor(&self, name: &str, device: &Device) -> Result<Option<Tensor>> {
        let tensor = self.source.tensor(name, device)?;
        if let Some(tensor) = &tensor {
            self.took(tensor.elem_count());
        }
        Ok(tensor)
    }

    fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }

    fn blocks(&self, name: &str, device: &Device) -> Result<Option<Arc<QTensor>>> {
        let blocks = self.source.blocks(name, device)?;
        if let Some(blocks) = &blocks {
            self.took(blocks.shape().elem_count());
        }
        Ok(blocks)
    }

    fn stored(&self, name: &str) -> Result<Option<Stored>> {
        let stored = self.source.stored(name)?;
        if let Some(stored) = &stored {
            self.took(stored.shape.iter().product());
        }
        Ok(stored)
    }
}
