//! Where the tensors of a model come from.

use std::collections::HashMap;
use std::hash::BuildHasher;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use crate::load::LoadError;

/// A collection of named tensors: a map in memory, a [`VarBuilder`], the files of a checkpoint.
pub trait TensorSource {
    /// The tensor of that name, in whatever type it is stored, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the tensor is there and cannot be read.
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>>;
}

impl<S: BuildHasher> TensorSource for HashMap<String, Tensor, S> {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        self.get(name).map(|tensor| tensor.to_device(device)).transpose()
    }
}

/// Only tensors that are there already: a `VarMap` behind the builder is never asked to draw one,
/// because candle's generator cannot be seeded on the CPU. Fill it from [`random`](crate::random).
impl TensorSource for VarBuilder<'_> {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        self.contains_tensor(name).then(|| self.get_unchecked(name)?.to_device(device)).transpose()
    }
}

/// Hands out tensors after checking them against what the spec says.
pub(crate) struct Weights<'a> {
    pub(crate) source: &'a dyn TensorSource,
    pub(crate) dtype: DType,
    pub(crate) device: &'a Device,
}

impl Weights<'_> {
    /// The tensor `name`, of exactly this shape, converted to the compute type.
    ///
    /// A tensor that has the type and the device already is handed on as it is, so that a trained
    /// variable stays a variable.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let Some(tensor) = self.source.tensor(name, self.device)? else {
            return Err(LoadError::MissingTensor {
                name: name.to_owned(),
                expected: shape.to_vec(),
            });
        };
        if tensor.dims() != shape {
            return Err(LoadError::WrongShape {
                name: name.to_owned(),
                got: tensor.dims().to_vec(),
                expected: shape.to_vec(),
            });
        }
        Ok(tensor.to_dtype(self.dtype)?)
    }
}
