//! Where the tensors of a model come from.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use crate::load::LoadError;
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
    handed_out: RefCell<Vec<(String, Tensor)>>,
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
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.get_in(name, shape, self.dtype)
    }

    /// The same in `f32`, for the parts that are computed in it whatever the type is.
    pub(crate) fn get_f32(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.get_in(name, shape, DType::F32)
    }

    fn get_in(&self, name: &str, shape: &[usize], dtype: DType) -> Result<Tensor, LoadError> {
        let name = self.naming.stored_name(name, self.prefix);
        let Some(tensor) = self.source.tensor(&name, self.device)? else {
            return Err(LoadError::MissingTensor { name, expected: shape.to_vec() });
        };
        if tensor.dims() != shape {
            let (got, expected) = (tensor.dims().to_vec(), shape.to_vec());
            return Err(LoadError::WrongShape { name, got, expected });
        }
        let tensor = tensor.to_dtype(dtype)?;
        self.handed_out.borrow_mut().push((name, tensor.clone()));
        Ok(tensor)
    }

    /// All tensors so far, under the names that they have in the source.
    pub(crate) fn handed_out(self) -> Vec<(String, Tensor)> {
        self.handed_out.into_inner()
    }
}

/// Those of `names` that a decoder of this spec has not read and that are not known to be beside
/// the point.
pub(crate) fn unread<'a>(
    spec: &DecoderSpec,
    read: &[(String, Tensor)],
    names: impl Iterator<Item = &'a String>,
) -> Vec<&'a String> {
    // Angles, which were once saved as if they were weights.
    let mut ignored = vec!["rotary_emb.inv_freq"];
    ignored.extend(spec.naming.ignored.iter().map(String::as_str));
    if spec.head == HeadSpec::Tied {
        // Many programs save the table twice.
        ignored.push("lm_head.weight");
    }
    let read: HashSet<&String> = read.iter().map(|(name, _)| name).collect();
    let mut unread: Vec<&String> = names
        .filter(|name| !read.contains(name))
        .filter(|name| !ignored.iter().any(|part| name.contains(part)))
        .collect();
    unread.sort();
    unread
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
