//! The weights of a folder: one safetensors file, or several that an index names.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::{SafeTensorError, SafeTensors};
use serde::Deserialize;

use super::LoadError;
use super::experts::{Part, parts};
use crate::cpu::Format;
use crate::error::cause;
use crate::files::{FileError, FileKind};
use crate::weights::{Bytes, Stored, TensorSource};

/// Mapped files and where in them the tensors are.
#[derive(Default)]
pub(super) struct Checkpoint {
    tensors: HashMap<String, Entry>,
    /// Files that could not be mapped and were read.
    read: Vec<PathBuf>,
}

/// A tensor, or the part of one that passes for it.
struct Entry {
    bytes: Bytes,
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
}

/// What `model.safetensors.index.json` says.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl Checkpoint {
    pub(super) fn open(folder: &Path) -> Result<Self, LoadError> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let paths = if single.exists() {
            vec![single]
        } else if let Some(bytes) = FileKind::SETTINGS.read_if_there(&index)? {
            shards(&bytes, &index)?
        } else {
            return Err(LoadError::NoWeights(folder.to_owned()));
        };
        let mut checkpoint = Self::default();
        for path in paths {
            checkpoint.add(&path)?;
        }
        Ok(checkpoint)
    }

    /// The names of all tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// Files that could not be mapped and were read.
    pub(super) fn read(&self) -> &[PathBuf] {
        &self.read
    }

    /// A file that is in memory; `name` stands for its path in messages.
    #[cfg(feature = "builtin")]
    pub(super) fn in_memory(bytes: &'static [u8], name: &Path) -> Result<Self, LoadError> {
        let mut checkpoint = Self::default();
        checkpoint.add_tensors(&bytes.into(), name)?;
        Ok(checkpoint)
    }

    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        let file = FileKind::WEIGHTS.open(path)?;
        let bytes = Bytes::of_file(&file).map_err(|source| FileError::of_system(path, source))?;
        if !bytes.is_borrowed() {
            self.read.push(path.to_owned());
        }
        self.add_tensors(&bytes, path)
    }

    fn add_tensors(&mut self, bytes: &Bytes, path: &Path) -> Result<(), LoadError> {
        let wrong = |error: SafeTensorError| corrupt(path, error.into());
        let outside = || wrong(SafeTensorError::MetadataIncompleteBuffer);
        let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let start = size_of::<u64>() + header;
        for (name, tensor) in metadata.tensors() {
            let (from, to) = tensor.data_offsets;
            let whole = bytes.part(start + from..start + to).ok_or_else(outside)?;
            let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
            let width = dtype.bitsize() / 8;
            let parts = parts(&name, &shape);
            if parts.is_empty() {
                self.tensors.insert(name, Entry { bytes: whole, dtype, shape });
                continue;
            }
            for (passes_for, Part { shape, numbers }) in parts {
                let range = numbers.start * width..numbers.end * width;
                let bytes = whole.part(range).ok_or_else(outside)?;
                self.tensors.insert(passes_for, Entry { bytes, dtype, shape: shape.into() });
            }
        }
        Ok(())
    }
}

impl TensorSource for Checkpoint {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        let Some(entry) = self.tensors.get(name) else { return Ok(None) };
        let dtype = DType::try_from(entry.dtype)?;
        Tensor::from_raw_buffer(&entry.bytes, dtype, &entry.shape, device).map(Some)
    }

    fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn stored(&self, name: &str) -> candle_core::Result<Option<Stored>> {
        let Some(entry) = self.tensors.get(name) else { return Ok(None) };
        let format = match entry.dtype {
            safetensors::Dtype::F32 => Format::F32,
            safetensors::Dtype::F16 => Format::F16,
            safetensors::Dtype::BF16 => Format::Bf16,
            _ => {
                let tensor = self.tensor(name, &Device::Cpu)?;
                return tensor.as_ref().map(Stored::of_tensor).transpose();
            }
        };
        let (bytes, shape) = (entry.bytes.clone(), entry.shape.clone());
        Ok(Some(Stored { bytes, format, shape, neighbours: false }))
    }
}

/// The files that an index names, each once.
fn shards(index: &[u8], path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let wrong = |reason: String| LoadError::Index { path: path.to_owned(), reason };
    let index: Index = serde_json::from_slice(index)
        .map_err(|error| wrong(format!("not an index of tensors: {error}")))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let shard = |name: &String| {
        // An index comes with the model, from anywhere: it may not reach out of its folder.
        let components: Vec<_> = Path::new(name).components().collect();
        if !matches!(components[..], [Component::Normal(_)]) {
            return Err(wrong(format!("`{name}` is not the name of a file in this folder")));
        }
        let shard = path.with_file_name(name);
        if !shard.exists() {
            return Err(wrong(format!("it names `{name}`, which is not there")));
        }
        Ok(shard)
    };
    names.iter().map(shard).collect()
}

fn corrupt(path: &Path, error: candle_core::Error) -> LoadError {
    LoadError::Corrupt { path: path.to_owned(), reason: cause(error) }
}
