//! Where the tensors of a model come from.

mod bytes;
mod error;
mod source;
mod stored;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

pub(crate) use self::bytes::Bytes;
pub use self::error::WeightsError;
pub(crate) use self::source::{HandedOut, Source};
pub use self::stored::Stored;
use crate::spec::{DecoderSpec, HeadSpec, Naming};

/// A collection of named tensors: a map in memory, a [`VarBuilder`], the files of a checkpoint.
pub trait TensorSource {
    /// The tensor of that name, in whatever type it is stored, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the tensor is there and cannot be read.
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>>;

    /// Whether there is a tensor of that name.
    fn contains(&self, name: &str) -> bool;

    /// The matrix of that name as the blocks of few bits that it is stored in; `None` for what is
    /// stored as numbers.
    ///
    /// # Errors
    ///
    /// When the matrix is there and cannot be read.
    fn blocks(&self, _name: &str, _device: &Device) -> candle_core::Result<Option<Arc<QTensor>>> {
        Ok(None)
    }

    /// The tensor of that name as it is stored, whatever that is. A source that has it in memory
    /// shares it; as it is here, it is copied.
    ///
    /// # Errors
    ///
    /// When the tensor is there and cannot be read.
    fn stored(&self, name: &str) -> candle_core::Result<Option<Stored>> {
        if let Some(blocks) = self.blocks(name, &Device::Cpu)? {
            return Stored::of_blocks(&blocks).map(Some);
        }
        let tensor = self.tensor(name, &Device::Cpu)?;
        tensor.as_ref().map(Stored::of_tensor).transpose()
    }
}

/// A matrix as it is held: as numbers, or as blocks of few bits.
#[derive(Debug, Clone)]
pub(crate) enum Matrix {
    Plain(Tensor),
    Blocks(Arc<QTensor>),
}

impl Matrix {
    /// Its numbers in `f32`, on the CPU.
    pub(crate) fn numbers(&self) -> candle_core::Result<Vec<f32>> {
        let tensor = match self {
            Self::Plain(tensor) => tensor.clone(),
            Self::Blocks(blocks) => blocks.dequantize(&Device::Cpu)?,
        };
        tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
    }
}

impl<S: BuildHasher> TensorSource for HashMap<String, Tensor, S> {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        self.get(name).map(|tensor| tensor.to_device(device)).transpose()
    }

    fn contains(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

/// Only tensors that are there already: a `VarMap` behind the builder is never asked to draw one,
/// because candle's generator cannot be seeded on the CPU. Fill it from [`random`](crate::random).
impl TensorSource for VarBuilder<'_> {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        self.contains_tensor(name).then(|| self.get_unchecked(name)?.to_device(device)).transpose()
    }

    fn contains(&self, name: &str) -> bool {
        self.contains_tensor(name)
    }
}

/// Hands out tensors after checking them against what the spec says.
pub(crate) struct Weights<'a> {
    source: &'a dyn TensorSource,
    naming: &'a Naming,
    /// What the names in the source have in place of the prefix of those in the spec.
    prefix: &'a str,
    dtype: DType,
    device: &'a Device,
    handed_out: RefCell<Vec<(String, Matrix)>>,
}

impl<'a> Weights<'a> {
    /// Tensors of `source`, whose prefix is the one under which it has the tensor `probe`.
    pub(crate) fn new(
        source: &'a dyn TensorSource,
        naming: &'a Naming,
        probe: &str,
        dtype: DType,
        device: &'a Device,
    ) -> Self {
        let mut prefixes = [&naming.prefix].into_iter().chain(&naming.alternatives);
        let prefix = prefixes
            .find(|prefix| source.contains(&naming.stored_name(probe, prefix)))
            .unwrap_or(&naming.prefix);
        Self { source, naming, prefix, dtype, device, handed_out: RefCell::default() }
    }

    /// The tensor `name`, of exactly this shape, converted to the compute type.
    ///
    /// A tensor that has the type and the device already is handed on as it is, so that a trained
    /// variable stays a variable.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        self.get_in(name, shape, self.dtype)
    }

    /// The same in `f32`, for the parts that are computed in it whatever the type is.
    pub(crate) fn get_f32(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        self.get_in(name, shape, DType::F32)
    }

    /// The matrix `name`: in the blocks that it is stored in, or else as by [`get`](Self::get).
    pub(crate) fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix, WeightsError> {
        let stored = self.naming.stored_name(name, self.prefix);
        let Some(blocks) = self.source.blocks(&stored, self.device)? else {
            return self.get(name, shape).map(Matrix::Plain);
        };
        check_shape(&stored, blocks.shape().dims(), shape)?;
        let matrix = Matrix::Blocks(blocks);
        self.handed_out.borrow_mut().push((stored, matrix.clone()));
        Ok(matrix)
    }

    /// The tensor `name` as it is stored, with its name in the source. It is not handed out.
    pub(crate) fn read(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<(String, Tensor), WeightsError> {
        let name = self.naming.stored_name(name, self.prefix);
        let Some(tensor) = self.source.tensor(&name, self.device)? else {
            return Err(WeightsError::MissingTensor { name, expected: shape.to_vec() });
        };
        check_shape(&name, tensor.dims(), shape)?;
        Ok((name, tensor))
    }

    /// The tensor `name` where it lies, with its name in the source. It is not handed out.
    pub(crate) fn stored(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<(String, Stored), WeightsError> {
        let name = self.naming.stored_name(name, self.prefix);
        let Some(stored) = self.source.stored(&name)? else {
            return Err(WeightsError::MissingTensor { name, expected: shape.to_vec() });
        };
        check_shape(&name, &stored.shape, shape)?;
        Ok((name, stored))
    }

    fn get_in(&self, name: &str, shape: &[usize], dtype: DType) -> Result<Tensor, WeightsError> {
        let (name, tensor) = self.read(name, shape)?;
        let tensor = tensor.to_dtype(dtype)?;
        self.handed_out.borrow_mut().push((name, Matrix::Plain(tensor.clone())));
        Ok(tensor)
    }

    /// All tensors so far, under the names that they have in the source.
    pub(crate) fn handed_out(self) -> Vec<(String, Matrix)> {
        self.handed_out.into_inner()
    }
}

pub(crate) fn check_shape(
    name: &str,
    got: &[usize],
    expected: &[usize],
) -> Result<(), WeightsError> {
    if got == expected {
        return Ok(());
    }
    let (got, expected) = (got.to_vec(), expected.to_vec());
    Err(WeightsError::WrongShape { name: name.to_owned(), got, expected })
}

/// Refuses weights with tensors among `names` that a model of this spec has not `read`, and that are
/// not known to be beside the point: a bias that the config does not mention would otherwise be
/// missing in silence.
pub(crate) fn refuse_unread<'a>(
    spec: &DecoderSpec,
    read: impl Iterator<Item = &'a String>,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), WeightsError> {
    // Angles, which were once saved as if they were weights.
    let mut ignored = vec!["rotary_emb.inv_freq"];
    ignored.extend(spec.naming.ignored.iter().map(String::as_str));
    if spec.head == HeadSpec::Tied {
        // Many programs save the table twice.
        ignored.push("lm_head.weight");
    }
    let read: HashSet<&String> = read.collect();
    let unread = names
        .filter(|name| !read.contains(name))
        .filter(|name| !ignored.iter().any(|part| name.contains(part)));
    let unread: Vec<&String> = unread.collect();
    match unread.iter().min() {
        None => Ok(()),
        Some(first) => {
            Err(WeightsError::ExtraTensors { first: (*first).clone(), count: unread.len() })
        }
    }
}

impl Naming {
    /// What `name` is called where names start with `prefix`.
    fn stored_name(&self, name: &str, prefix: &str) -> String {
        match name.strip_prefix(&self.prefix) {
            Some(rest) => format!("{prefix}{rest}"),
            None => name.to_owned(),
        }
    }
}
