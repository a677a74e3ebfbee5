//! Handing out tensors where they lie.

use std::cell::{Cell, RefCell};

use candle_core::{DType, Device};

use super::{Stored, TensorSource, Weights};
use crate::load::LoadError;
use crate::spec::DecoderSpec;

/// Hands out tensors as they are stored, after checking them against what the spec says.
pub(crate) struct Source<'a> {
    weights: Weights<'a>,
    /// What matrices are converted to, if to anything.
    dtype: Option<DType>,
    handed_out: RefCell<Vec<(String, Stored)>>,
    converted: Cell<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(
        source: &'a dyn TensorSource,
        spec: &'a DecoderSpec,
        dtype: Option<DType>,
    ) -> Self {
        let probe = &spec.embedding.weight;
        let weights = Weights::new(source, &spec.naming, probe, DType::F32, &Device::Cpu);
        Self { weights, dtype, handed_out: RefCell::default(), converted: Cell::new(0) }
    }

    /// The tensor `name`, of exactly this shape, as it is stored.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Stored, LoadError> {
        let (name, stored) = self.weights.stored(name, shape)?;
        self.handed_out.borrow_mut().push((name, stored.clone()));
        Ok(stored)
    }

    /// The same of a matrix, which is converted if that was asked for.
    pub(crate) fn matrix(&self, name: &str, shape: &[usize]) -> Result<Stored, LoadError> {
        let stored = self.get(name, shape)?;
        let Some(dtype) = self.dtype else { return Ok(stored) };
        let format = stored.format;
        let converted = stored.converted(dtype)?;
        if converted.format != format {
            self.converted.set(self.converted.get() + converted.bytes.len());
        }
        Ok(converted)
    }

    /// All tensors so far, under the names that they have in the source, and how many bytes
    /// converted matrices take.
    pub(crate) fn handed_out(self) -> (Vec<(String, Stored)>, usize) {
        (self.handed_out.into_inner(), self.converted.get())
    }
}
