//! Handing out tensors where they lie.

use std::cell::{Cell, RefCell};

use candle_core::{DType, Device};

use super::{Stored, TensorSource, Weights, WeightsError};
use crate::spec::DecoderSpec;

/// Hands out tensors as they are stored, after checking them against what the spec says.
pub(crate) struct Source<'a> {
    weights: Weights<'a>,
    /// What matrices are converted to, if to anything.
    dtype: Option<DType>,
    handed_out: RefCell<Vec<(String, Stored)>>,
    converted: Cell<usize>,
    turned: Cell<usize>,
}

/// What was handed out.
#[derive(Debug)]
pub(crate) struct HandedOut {
    /// All tensors, under the names that they have in the source.
    pub(crate) tensors: Vec<(String, Stored)>,
    /// Bytes that converted matrices take.
    pub(crate) converted: usize,
    /// Bytes of copies of matrices that lie inputs first.
    pub(crate) turned: usize,
}

impl<'a> Source<'a> {
    pub(crate) fn new(
        source: &'a dyn TensorSource,
        spec: &'a DecoderSpec,
        dtype: Option<DType>,
    ) -> Self {
        let probe = &spec.embedding.weight;
        let weights = Weights::new(source, &spec.naming, probe, DType::F32, &Device::Cpu);
        let (converted, turned) = (Cell::new(0), Cell::new(0));
        Self { weights, dtype, handed_out: RefCell::default(), converted, turned }
    }

    /// The tensor `name`, of exactly this shape, as it is stored.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Stored, WeightsError> {
        let (name, stored) = self.weights.stored(name, shape)?;
        self.handed_out.borrow_mut().push((name, stored.clone()));
        Ok(stored)
    }

    /// The same of a matrix, which is converted if that was asked for.
    pub(crate) fn matrix(&self, name: &str, shape: &[usize]) -> Result<Stored, WeightsError> {
        let stored = self.get(name, shape)?;
        let Some(dtype) = self.dtype else { return Ok(stored) };
        let format = stored.format;
        let converted = stored.converted(dtype)?;
        if converted.format != format {
            self.converted.set(self.converted.get() + converted.bytes.len());
        }
        Ok(converted)
    }

    /// Notes that a matrix was copied to turn it over.
    pub(crate) fn turned(&self, bytes: usize) {
        self.turned.set(self.turned.get() + bytes);
    }

    pub(crate) fn handed_out(self) -> HandedOut {
        let (tensors, converted) = (self.handed_out.into_inner(), self.converted.get());
        HandedOut { tensors, converted, turned: self.turned.get() }
    }
}
