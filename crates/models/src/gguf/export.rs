//! Writing a model as a GGUF file.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use candle_core::quantized::gguf_file::{self, Value as Entry};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};

use super::ROPE_FACTORS;
use super::architecture::Architecture;
use super::keys::{Description, describe, special_tokens};
use super::vocabulary::{CHAT_TEMPLATE, vocabulary};
use crate::files::{FileError, check_output, write_file};
use crate::load::{LoadError, LoadOptions, Parts};
use crate::weights::Weights;

/// The type that matrices are stored in; everything else is stored in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GgufType {
    /// 32 bits.
    F32,
    /// 16 bits, 11 of them significant.
    F16,
    /// Blocks of 32 numbers of 8 bits with a scale.
    Q8_0,
    /// Blocks of 256 numbers of 4 bits, with scales and offsets for each 32 of them; the output
    /// matrix in [`Q6K`](Self::Q6K), as llama.cpp has it.
    Q4K,
    /// Blocks of 256 numbers of 6 bits, with scales for each 16 of them.
    Q6K,
}

const TYPES: [(&str, GgufType); 5] = [
    ("f32", GgufType::F32),
    ("f16", GgufType::F16),
    ("q8_0", GgufType::Q8_0),
    ("q4_k", GgufType::Q4K),
    ("q6_k", GgufType::Q6K),
];

impl FromStr for GgufType {
    type Err = ExportError;

    fn from_str(text: &str) -> Result<Self, ExportError> {
        let known = TYPES.iter().find(|(name, _)| *name == text);
        known.map(|(_, dtype)| *dtype).ok_or_else(|| ExportError::UnknownType(text.to_owned()))
    }
}

impl fmt::Display for GgufType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TYPES.iter().find(|(_, dtype)| dtype == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl GgufType {
    /// What the matrix `name` is to be stored in.
    fn wanted(self, name: &str, tied: bool) -> GgmlDType {
        let is_output = name == "output.weight" || (tied && name == "token_embd.weight");
        match self {
            Self::F32 => GgmlDType::F32,
            Self::F16 => GgmlDType::F16,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4K if !is_output => GgmlDType::Q4K,
            Self::Q4K | Self::Q6K => GgmlDType::Q6K,
        }
    }

    /// `general.file_type`: what llama.cpp calls a file of such matrices.
    fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 7,
            Self::Q4K => 14,
            Self::Q6K => 18,
        }
    }
}

/// Why a model cannot be written as a GGUF file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// No type is called that.
    #[error("unknown type `{0}`; expected q8_0, q4_k, q6_k, f16 or f32")]
    UnknownType(String),
    /// The model cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No architecture of llama.cpp that is written here is this family.
    #[error(
        "family {family} cannot be written as a GGUF file; these can: {}",
        supported.join(", ")
    )]
    Family {
        /// The family.
        family: String,
        /// The architectures that can be written.
        supported: Vec<&'static str>,
    },
    /// The model has something that the format has no place for.
    #[error("{model}: llama.cpp's `{architecture}` has no place for {what}")]
    NotRepresentable {
        /// The model.
        model: String,
        /// What the file would say that it is.
        architecture: &'static str,
        /// What has no place.
        what: String,
    },
    /// The tokenizer is of a kind that the format has no keys for.
    #[error("{model}: its tokenizer.json cannot be written: {reason}")]
    Tokenizer {
        /// The model.
        model: String,
        /// Why.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(FileError),
}

impl From<candle_core::Error> for ExportError {
    fn from(error: candle_core::Error) -> Self {
        Self::Load(error.into())
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Size of the file.
    pub bytes: u64,
    /// How many tensors there are of each type.
    pub types: Vec<(String, usize)>,
    /// What is stored otherwise than asked for, and what llama.cpp will do otherwise.
    pub notes: Vec<String>,
}

/// Writes the model in a folder to the file `out`, as [`write_file`] does, with its tokenizer and
/// its chat template. `random_weights` draws the weights as [`LoadOptions`](crate::LoadOptions) has
/// it.
///
/// Keys, names and the order of rows are those that llama.cpp's converter writes. Rows that are not
/// whole blocks are stored as llama.cpp's `llama-quantize` stores them: in a type with smaller
/// blocks, or in `f16`; the [notes](Exported::notes) say so.
///
/// # Errors
///
/// When the folder cannot be [loaded](fn@crate::load), when the model has something that the format
/// has no place for, and when the file cannot be written.
pub fn export_gguf(
    folder: impl AsRef<Path>,
    out: impl AsRef<Path>,
    dtype: GgufType,
    random_weights: Option<u64>,
) -> Result<Exported, ExportError> {
    let options = LoadOptions { random_weights, ..LoadOptions::default() };
    write(&Parts::of_folder(folder.as_ref(), &options)?, out.as_ref(), dtype)
}

/// Writes the model that comes with the crate, as [`export_gguf`] does.
///
/// # Errors
///
/// When the file cannot be written.
#[cfg(feature = "builtin")]
pub fn export_builtin_gguf(
    out: impl AsRef<Path>,
    dtype: GgufType,
) -> Result<Exported, ExportError> {
    write(&Parts::of_builtin()?, out.as_ref(), dtype)
}

fn write(parts: &Parts<'_>, out: &Path, dtype: GgufType) -> Result<Exported, ExportError> {
    check_output(out).map_err(ExportError::Write)?;
    let family = &parts.spec.family;
    let architecture = Architecture::of_family(family).ok_or_else(|| ExportError::Family {
        family: family.clone(),
        supported: Architecture::supported(),
    })?;
    let described = describe(architecture, &parts.spec);
    let mut description = described.map_err(|what| ExportError::NotRepresentable {
        model: parts.name.clone(),
        architecture: architecture.name(),
        what,
    })?;
    let mut entries = vec![
        ("general.architecture".to_owned(), Entry::String(architecture.name().to_owned())),
        ("general.name".to_owned(), Entry::String(parts.name.clone())),
        ("general.file_type".to_owned(), Entry::U32(dtype.file_type())),
        ("general.quantization_version".to_owned(), Entry::U32(2)),
    ];
    entries.append(&mut description.entries);
    let mut notes = parts.notes.clone();
    entries.extend(tokenizer(parts, &mut notes)?);
    let writer = Writer { parts, architecture, dtype, description: &description };
    let tensors = writer.tensors(&mut notes)?;
    let bytes = save(out, &entries, &tensors).map_err(ExportError::Write)?;
    let mut types: Vec<(String, usize)> = Vec::new();
    for (_, tensor) in &tensors {
        let name = format!("{:?}", tensor.dtype());
        match types.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => types.push((name, 1)),
        }
    }
    Ok(Exported { architecture: architecture.name(), bytes, types, notes })
}

/// The keys of the tokenizer, of the special tokens and of the chat template.
fn tokenizer(
    parts: &Parts<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Entry)>, ExportError> {
    let Some(tokenizer) = &parts.tokenizer else {
        let none = Entry::String("no_vocab".to_owned());
        return Ok(vec![("tokenizer.ggml.model".to_owned(), none)]);
    };
    let made = vocabulary(tokenizer, parts.spec.vocab_size, &parts.name)
        .map_err(|reason| ExportError::Tokenizer { model: parts.name.clone(), reason })?;
    notes.extend(made.notes);
    let mut entries = made.entries;
    special_tokens(parts, tokenizer, &mut entries, notes);
    if let Some(template) = parts.template() {
        entries.push((CHAT_TEMPLATE.to_owned(), Entry::String(template.to_owned())));
    }
    Ok(entries)
}

/// Puts the tensors in the form of the file.
struct Writer<'a> {
    parts: &'a Parts<'a>,
    architecture: Architecture,
    dtype: GgufType,
    description: &'a Description,
}

impl Writer<'_> {
    fn tensors(&self, notes: &mut Vec<String>) -> Result<Vec<(String, QTensor)>, ExportError> {
        let spec = &self.parts.spec;
        let (source, device) = (&*self.parts.weights, Device::Cpu);
        let weights =
            Weights::new(source, &spec.naming, &spec.embedding.weight, DType::F32, &device);
        let (mut read, mut tensors) = (Vec::new(), Vec::new());
        let mut others: Vec<Other> = Vec::new();
        if let Some(factors) = &self.description.rope_factors {
            let factors = Tensor::new(&factors[..], &device)?;
            tensors.push((ROPE_FACTORS.to_owned(), QTensor::quantize(&factors, GgmlDType::F32)?));
        }
        for tensor in spec.tensors() {
            let short = tensor.name.strip_prefix(&spec.naming.prefix).unwrap_or(&tensor.name);
            let name = self.architecture.tensor_name(short);
            let name = name.ok_or_else(|| ExportError::NotRepresentable {
                model: self.parts.name.clone(),
                architecture: self.architecture.name(),
                what: format!("the tensor {}", tensor.name),
            })?;
            let read_one = weights.read(&tensor.name, &tensor.shape);
            let (stored, numbers) = read_one.map_err(LoadError::from)?;
            read.push(stored);
            let numbers = self.arranged(&name, numbers.to_dtype(DType::F32)?)?;
            let (wanted, got) = self.type_of(&name, &tensor.shape);
            if wanted != got {
                let width = tensor.shape[1];
                let alike = |other: &&mut Other| (other.wanted, other.width) == (wanted, width);
                match others.iter_mut().find(alike) {
                    Some(other) => other.more += 1,
                    None => others.push(Other { name: name.clone(), more: 0, wanted, got, width }),
                }
            }
            tensors.push((name, QTensor::quantize(&numbers, got)?));
        }
        notes.extend(others.iter().map(Other::to_string));
        self.parts.refuse_unread(read.iter())?;
        Ok(tensors)
    }

    /// The numbers as llama.cpp wants them.
    fn arranged(&self, name: &str, numbers: Tensor) -> candle_core::Result<Tensor> {
        let is = |part: &str| name.contains(part);
        if self.architecture.rotates_neighbours() && (is(".attn_q.") || is(".attn_k.")) {
            return neighbours(&numbers, self.description.head_dim);
        }
        if self.architecture == Architecture::Gemma3 && name.ends_with("norm.weight") {
            let gain = (numbers + 1.0)?;
            return if is(".attn_q_norm.") { gain * self.description.query_gain } else { Ok(gain) };
        }
        Ok(numbers)
    }

    /// The type that a tensor is to be stored in, and the one that its rows can be stored in.
    fn type_of(&self, name: &str, shape: &[usize]) -> (GgmlDType, GgmlDType) {
        let [_, width] = shape else { return (GgmlDType::F32, GgmlDType::F32) };
        let wanted = self.dtype.wanted(name, self.description.tied_head);
        let smaller = match wanted {
            GgmlDType::Q4K => GgmlDType::Q5_0,
            _ => GgmlDType::Q8_0,
        };
        let fits = |dtype: &GgmlDType| width.is_multiple_of(dtype.block_size());
        (wanted, [wanted, smaller].into_iter().find(fits).unwrap_or(GgmlDType::F16))
    }
}

/// Tensors that are stored otherwise than asked for.
struct Other {
    /// The first of them.
    name: String,
    more: usize,
    wanted: GgmlDType,
    got: GgmlDType,
    width: usize,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, more, wanted, got, width } = self;
        let block = wanted.block_size();
        write!(f, "{name}")?;
        if *more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(
            f,
            ": stored as {got:?}, for rows of {width} are not whole {wanted:?} blocks of {block}"
        )
    }
}

/// Puts the rows of each head, of which the first half is paired with the second, in the order of
/// the pairs.
fn neighbours(numbers: &Tensor, head_dim: usize) -> candle_core::Result<Tensor> {
    let rows = numbers.dim(0)?;
    let width = numbers.elem_count() / rows;
    let pairs = numbers.reshape((rows / head_dim, 2, head_dim / 2, width))?;
    pairs.transpose(1, 2)?.contiguous()?.reshape(numbers.shape())
}

fn save(
    out: &Path,
    entries: &[(String, Entry)],
    tensors: &[(String, QTensor)],
) -> Result<u64, FileError> {
    let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (&name[..], tensor)).collect();
    write_file(out, |sink| gguf_file::write(sink, &entries, &tensors).map_err(of_system))
}

/// What the system said, out of what the tensor library made of it.
fn of_system(error: candle_core::Error) -> io::Error {
    match error {
        candle_core::Error::Io(error) => error,
        candle_core::Error::WithBacktrace { inner, .. } => of_system(*inner),
        error => io::Error::other(error),
    }
}
