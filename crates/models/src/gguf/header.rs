//! The header of a GGUF file: metadata, and where which tensor is.
//!
//! candle has a reader of its own. This one believes no number before it is checked: there, an
//! alignment of zero divides by zero, shapes overflow, a list of small numbers takes thirty times
//! its size, and an error names neither key nor tensor.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use candle_core::quantized::GgmlDType;

use super::error::GgufError;
use super::metadata::{Metadata, Value};

/// What every GGUF file begins with.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";

/// No model comes near these.
const MOST_KEYS: u64 = 1 << 16;
const MOST_TENSORS: u64 = 1 << 20;
const LONGEST_LIST: u64 = 1 << 22;
const LONGEST_TEXT: u64 = 1 << 28;
/// Bytes of a tensor's name; llama.cpp takes no more.
const LONGEST_NAME: usize = 63;

/// Characters of a key in an error.
const LONGEST_SHOWN: usize = 100;

const ALIGNMENT: &str = "general.alignment";
const U32: u32 = 4;

const TENSOR_TYPES: &str =
    "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";

/// The header of a file.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: HashMap<String, TensorEntry>,
}

/// Where a tensor is and how it is stored.
#[derive(Debug, Clone)]
pub(super) struct TensorEntry {
    pub(super) dtype: GgmlDType,
    /// Outermost first, as everywhere else in this crate; the file has it the other way round.
    pub(super) shape: Vec<usize>,
    /// From the start of the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: usize,
}

impl Header {
    /// Reads the header, from behind the magic number, of a file of `length` bytes.
    pub(super) fn read(source: impl Read, length: u64) -> Result<Self, Failed> {
        let mut reader = Reader { source, position: MAGIC.len() as u64, length };
        let version = reader.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version { found: version }.into());
        }
        let tensor_count = reader.count("the number of tensors", MOST_TENSORS)?;
        let key_count = reader.count("the number of keys", MOST_KEYS)?;
        let metadata = reader.metadata(key_count)?;
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..tensor_count {
            let (name, entry) = reader.tensor()?;
            if !names.insert(name.clone()) {
                return Err(GgufError::Twice(name).into());
            }
            tensors.push((name, entry));
        }
        let alignment = alignment(&metadata)?;
        let start = reader.position.next_multiple_of(alignment);
        place(&mut tensors, start, alignment, length)?;
        Ok(Self { metadata, tensors: tensors.into_iter().collect() })
    }
}

/// Why a header cannot be read.
pub(super) enum Failed {
    Format(GgufError),
    Io(std::io::Error),
}

impl From<GgufError> for Failed {
    fn from(error: GgufError) -> Self {
        Self::Format(error)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// What the offsets of tensors are multiples of.
fn alignment(metadata: &Metadata) -> Result<u64, GgufError> {
    let alignment = metadata.optional_count(ALIGNMENT)?.unwrap_or(32) as u64;
    if alignment.is_power_of_two() {
        return Ok(alignment);
    }
    let (key, found) = (ALIGNMENT.to_owned(), alignment.to_string());
    Err(GgufError::Value { key, found, expected: "a power of two".to_owned() })
}

/// Checks that each tensor begins where the one before ends and lies within the file, and counts
/// its offset from the file's start.
fn place(
    tensors: &mut [(String, TensorEntry)],
    start: u64,
    alignment: u64,
    length: u64,
) -> Result<(), GgufError> {
    let mut next = 0u64;
    for index in 0..tensors.len() {
        let (before, rest) = tensors.split_at_mut(index);
        let (name, entry) = &mut rest[0];
        if entry.offset != next {
            let what = match before.last() {
                Some((before, _)) => format!("the first multiple of {alignment} after `{before}`"),
                None => "where the tensors begin".to_owned(),
            };
            let reason = format!("its offset is {}; expected {next}, {what}", entry.offset);
            return Err(GgufError::Tensor { name: name.clone(), reason });
        }
        let offset = start.saturating_add(next);
        let left = length.saturating_sub(offset);
        if entry.size as u64 > left {
            let what = format!("tensor `{name}` at offset {offset}");
            return Err(GgufError::Truncated { what, needed: entry.size as u64, left });
        }
        next = (next + entry.size as u64).next_multiple_of(alignment);
        entry.offset = offset;
    }
    Ok(())
}

/// Reads from the front of a file and knows how much of it is left.
struct Reader<R> {
    source: R,
    position: u64,
    length: u64,
}

impl<R: Read> Reader<R> {
    /// Refuses to go on if fewer than `needed` bytes are left.
    fn require(&self, what: &str, needed: u64) -> Result<(), GgufError> {
        let left = self.length.saturating_sub(self.position);
        if needed <= left {
            return Ok(());
        }
        Err(GgufError::Truncated { what: what.to_owned(), needed, left })
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Failed> {
        self.require(what, N as u64)?;
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Failed> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, Failed> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn count(&mut self, what: &str, limit: u64) -> Result<u64, Failed> {
        let count = self.u64(what)?;
        if count <= limit {
            return Ok(count);
        }
        Err(GgufError::Absurd { what: what.to_owned(), count, limit }.into())
    }

    fn bytes(&mut self, what: &str) -> Result<Vec<u8>, Failed> {
        let length = self.count(&format!("the length of {what}"), LONGEST_TEXT)?;
        self.require(what, length)?;
        let mut bytes = vec![0; length as usize];
        self.source.read_exact(&mut bytes)?;
        self.position += length;
        Ok(bytes)
    }

    /// All keys with their values. A key that is not UTF-8 is none that is known, and passed over.
    fn metadata(&mut self, count: u64) -> Result<Metadata, Failed> {
        let mut values = HashMap::new();
        let mut names = HashSet::new();
        for _ in 0..count {
            let name = self.bytes("the name of a key")?;
            if name.is_empty() {
                return Err(GgufError::NoName("a key").into());
            }
            let value = self.value(&shown(&name))?;
            if !names.insert(name.clone()) {
                return Err(GgufError::Twice(shown(&name)).into());
            }
            if let Ok(key) = String::from_utf8(name) {
                values.insert(key, value);
            }
        }
        Ok(Metadata::new(values))
    }

    fn value(&mut self, key: &str) -> Result<Value, Failed> {
        let what = format!("the value of `{key}`");
        let kind = self.u32(&what)?;
        if key == ALIGNMENT && kind != U32 {
            let (key, found) = (key.to_owned(), format!("a value of type {kind}"));
            return Err(GgufError::Value { key, found, expected: "a u32".to_owned() }.into());
        }
        if kind != 9 {
            return self.single(key, kind, &what);
        }
        let kind = self.u32(&what)?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            code => return Err(GgufError::ValueType { key: key.to_owned(), code }.into()),
        };
        let length = self.count(&format!("the length of `{key}`"), LONGEST_LIST)?;
        self.require(&what, length * least)?;
        let mut list = Vec::with_capacity(length as usize);
        for _ in 0..length {
            list.push(match self.single(key, kind, &what)? {
                // Among many texts, such as tokens, one may be no text; llama.cpp takes it as well.
                Value::Bytes(bytes) => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
                value => value,
            });
        }
        Ok(Value::List(list))
    }

    /// A value that is not a list.
    fn single(&mut self, key: &str, kind: u32, what: &str) -> Result<Value, Failed> {
        Ok(match kind {
            0 => Value::Natural(u8::from_le_bytes(self.array(what)?).into()),
            1 => Value::Whole(i8::from_le_bytes(self.array(what)?).into()),
            2 => Value::Natural(u16::from_le_bytes(self.array(what)?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.array(what)?).into()),
            4 => Value::Natural(self.u32(what)?.into()),
            5 => Value::Whole(i32::from_le_bytes(self.array(what)?).into()),
            6 => Value::Real(f32::from_le_bytes(self.array(what)?).into()),
            7 => Value::Flag(self.array::<1>(what)? != [0]),
            8 => Value::text(self.bytes(what)?),
            10 => Value::Natural(self.u64(what)?),
            11 => Value::Whole(i64::from_le_bytes(self.array(what)?)),
            12 => Value::Real(f64::from_le_bytes(self.array(what)?)),
            code => return Err(GgufError::ValueType { key: key.to_owned(), code }.into()),
        })
    }

    /// An entry whose offset is still counted from the start of the tensors.
    fn tensor(&mut self) -> Result<(String, TensorEntry), Failed> {
        let what = "the name of a tensor";
        let name = String::from_utf8(self.bytes(what)?);
        let name = name.map_err(|_| GgufError::Text(what.to_owned()))?;
        if name.len() > LONGEST_NAME {
            let reason = format!("its name has {} bytes; at most {LONGEST_NAME} fit", name.len());
            return Err(GgufError::Tensor { name, reason }.into());
        }
        let what = format!("the entry of tensor `{name}`");
        let wrong = |reason: String| GgufError::Tensor { name: name.clone(), reason };
        let rank = self.u32(&what)?;
        if !(1..=4).contains(&rank) {
            return Err(wrong(format!("it has {rank} dimensions; expected 1 to 4")).into());
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            let size = self.u64(&what)?;
            let size = usize::try_from(size).ok().filter(|size| *size > 0);
            shape.push(size.ok_or_else(|| wrong("a dimension is 0, or overflows".to_owned()))?);
        }
        shape.reverse();
        let code = self.u32(&what)?;
        let dtype = tensor_type(code).ok_or_else(|| GgufError::TensorType {
            name: name.clone(),
            code,
            supported: TENSOR_TYPES,
        })?;
        let offset = self.u64(&what)?;
        let size = size_in_bytes(&shape, dtype).map_err(wrong)?;
        Ok((name, TensorEntry { dtype, shape, offset, size }))
    }
}

/// A name as an error has it, which is of one line.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    match name.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => name[..end].chars().map(plain).chain(['…']).collect(),
        None => name.chars().map(plain).collect(),
    }
}

fn size_in_bytes(shape: &[usize], dtype: GgmlDType) -> Result<usize, String> {
    let (block, bytes) = (dtype.block_size(), dtype.type_size());
    let width = shape.last().copied().unwrap_or(0);
    if !width.is_multiple_of(block) {
        return Err(format!(
            "its rows of {width} numbers are not whole {dtype:?} blocks of {block}"
        ));
    }
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    let size = count.and_then(|count| (count / block).checked_mul(bytes));
    size.ok_or_else(|| format!("its shape {shape:?} overflows"))
}

/// The types by their numbers in ggml. The others are those of imatrix quantization and of
/// intermediate results, which candle does not multiply by.
fn tensor_type(code: u32) -> Option<GgmlDType> {
    Some(match code {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}
