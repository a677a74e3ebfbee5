//! The weights of a folder: one safetensors file, or several that an index names.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use candle_core::safetensors::Load;
#[cfg(feature = "builtin")]
use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use serde::Deserialize;

use super::LoadError;
use super::experts::{Part, parts};
use crate::error::cause;
use crate::files::FileKind;
use crate::weights::TensorSource;

/// Mapped files and which tensor is in which.
pub(super) struct Checkpoint {
    files: Vec<Mapped>,
    file_of: HashMap<String, usize>,
    /// Tensors that are parts of others, by the names that they pass for.
    parts: HashMap<String, Part>,
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
        let mut checkpoint =
            Self { files: Vec::new(), file_of: HashMap::new(), parts: HashMap::new() };
        for path in paths {
            checkpoint.add(&path)?;
        }
        Ok(checkpoint)
    }

    /// The names of all tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.file_of.keys()
    }

    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        let file = Mapped::open(path)?;
        let number = self.files.len();
        for (name, info) in file.header.tensors() {
            let parts = parts(&name, &info.shape);
            if parts.is_empty() {
                self.file_of.insert(name, number);
            }
            for (passes_for, part) in parts {
                self.file_of.insert(passes_for.clone(), number);
                self.parts.insert(passes_for, part);
            }
        }
        self.files.push(file);
        Ok(())
    }
}

impl TensorSource for Checkpoint {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        let Some(number) = self.file_of.get(name) else { return Ok(None) };
        let file = &self.files[*number];
        match self.parts.get(name) {
            Some(part) => load_part(file, part, device).map(Some),
            None => file.get(name)?.load(device).map(Some),
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.file_of.contains_key(name)
    }
}

/// Copies no more out of the file than the part.
fn load_part(file: &Mapped, part: &Part, device: &Device) -> candle_core::Result<Tensor> {
    let whole = file.get(&part.of)?;
    let dtype = DType::try_from(whole.dtype())?;
    let width = dtype.size_in_bytes();
    let bytes = &whole.data()[part.numbers.start * width..part.numbers.end * width];
    Tensor::from_raw_buffer(bytes, dtype, &part.shape, device)
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

/// A mapped safetensors file and its header.
struct Mapped {
    bytes: Mmap,
    header: Metadata,
    /// Where the data begins.
    data: usize,
}

impl Mapped {
    fn open(path: &Path) -> Result<Self, LoadError> {
        let file = FileKind::WEIGHTS.open(path)?;
        // SAFETY: a mapped file must not change while it is mapped. This one is mapped for as long as
        // the model loads, everything is copied out of it, and `load` tells its callers not to write to
        // the file meanwhile.
        #[allow(unsafe_code)]
        let bytes = unsafe { Mmap::map(&file) };
        let bytes = bytes.map_err(|error| corrupt(path, error.into()))?;
        let (length, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| corrupt(path, error.into()))?;
        Ok(Self { bytes, header, data: size_of::<u64>() + length })
    }

    fn get(&self, name: &str) -> Result<TensorView<'_>, SafeTensorError> {
        let missing = || SafeTensorError::TensorNotFound(name.to_owned());
        let info = self.header.info(name).ok_or_else(missing)?;
        // The header was checked against the length of the file.
        let (start, end) = info.data_offsets;
        let data = &self.bytes[self.data + start..self.data + end];
        TensorView::new(info.dtype, info.shape.clone(), data)
    }
}

fn corrupt(path: &Path, error: candle_core::Error) -> LoadError {
    LoadError::Corrupt { path: path.to_owned(), reason: cause(error) }
}

/// A safetensors file in memory.
#[cfg(feature = "builtin")]
pub(super) struct InMemory<'a>(SliceSafetensors<'a>);

#[cfg(feature = "builtin")]
impl<'a> InMemory<'a> {
    /// `name` stands for a path in messages.
    pub(super) fn parse(bytes: &'a [u8], name: &Path) -> Result<Self, LoadError> {
        let parsed = SliceSafetensors::new(bytes);
        parsed.map(Self).map_err(|error| corrupt(name, error))
    }
}

#[cfg(feature = "builtin")]
impl TensorSource for InMemory<'_> {
    fn tensor(&self, name: &str, device: &Device) -> candle_core::Result<Option<Tensor>> {
        self.contains(name).then(|| self.0.load(name, device)).transpose()
    }

    fn contains(&self, name: &str) -> bool {
        self.0.get(name).is_ok()
    }
}
