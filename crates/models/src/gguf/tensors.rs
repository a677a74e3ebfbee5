//! The tensors of a GGUF file as the decoder wants them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Error, Result, Tensor};

use super::header::TensorEntry;
use crate::cpu::Format;
use crate::spec::{DecoderSpec, MixerSpec, QkvSpec, TensorSpec};
use crate::weights::{Bytes, Stored, TensorSource, WeightsError, check_shape};

/// A file and what its header says of the tensors.
#[derive(Debug)]
pub(super) struct Tensors {
    file: Bytes,
    entries: HashMap<String, TensorEntry>,
    /// Width of a head, by tensor, where the rows of each head are to be put in another order.
    neighbours: HashMap<String, usize>,
}

impl Tensors {
    pub(super) fn new(file: Bytes, entries: HashMap<String, TensorEntry>) -> Self {
        Self { file, entries, neighbours: HashMap::new() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    /// Undoes llama.cpp's order of rows in what makes queries and keys of this model: there the two
    /// numbers that are rotated together are neighbours, here they are half a head apart. A row of
    /// blocks is whole blocks, so that nothing is computed.
    pub(super) fn part_neighbours(&mut self, spec: &DecoderSpec) {
        for mixer in spec.mixers() {
            let MixerSpec::Attention(attention) = mixer else { continue };
            let QkvSpec::Separate { q, k, .. } = &attention.qkv else { continue };
            let names = [&q.weight, &k.weight].into_iter().chain(&q.bias).chain(&k.bias);
            self.neighbours.extend(names.map(|name| (name.clone(), attention.head_dim)));
        }
    }

    /// Checks a tensor by the header.
    pub(super) fn check(&self, tensor: &TensorSpec) -> std::result::Result<(), WeightsError> {
        let TensorSpec { name, shape, .. } = tensor;
        match self.entries.get(name) {
            Some(entry) => check_shape(name, &entry.shape, shape),
            None => {
                Err(WeightsError::MissingTensor { name: name.clone(), expected: shape.clone() })
            }
        }
    }

    fn bytes(&self, entry: &TensorEntry) -> Result<Bytes> {
        let start = usize::try_from(entry.offset).unwrap_or(usize::MAX);
        let part = self.file.part(start..start.saturating_add(entry.size));
        part.ok_or_else(|| Error::msg("the file became shorter while it was read"))
    }

    fn read(&self, name: &str) -> Result<Option<(&TensorEntry, Vec<u8>)>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let bytes = self.bytes(entry)?;
        let bytes = match self.neighbours.get(name) {
            Some(&head_dim) => halves(&bytes, entry.shape[0], head_dim),
            None => bytes.to_vec(),
        };
        Ok(Some((entry, bytes)))
    }
}

/// Puts the rows of each head, whose pairs are neighbours, in another order: the first of each pair,
/// and then the second. What is not made of whole heads stays: its shape will be refused.
fn halves(bytes: &[u8], rows: usize, head_dim: usize) -> Vec<u8> {
    let width = bytes.len() / rows;
    let head = head_dim * width;
    if head_dim < 2 || !rows.is_multiple_of(head_dim) {
        return bytes.to_vec();
    }
    let mut ordered = Vec::with_capacity(bytes.len());
    for head in bytes.chunks_exact(head) {
        let row = |row: usize| &head[row * width..][..width];
        (0..head_dim).step_by(2).for_each(|even| ordered.extend_from_slice(row(even)));
        (1..head_dim).step_by(2).for_each(|odd| ordered.extend_from_slice(row(odd)));
    }
    ordered
}

/// The type of numbers that are stored one by one.
fn plain(dtype: GgmlDType) -> Option<DType> {
    match dtype {
        GgmlDType::F32 => Some(DType::F32),
        GgmlDType::F16 => Some(DType::F16),
        GgmlDType::BF16 => Some(DType::BF16),
        _ => None,
    }
}

/// Whether candle multiplies by the tensor as it is stored. Of some types it takes pairs of blocks
/// alone: it would do without, but its checks in a build with debug assertions end the program.
fn multiplies(entry: &TensorEntry) -> bool {
    let paired = matches!(entry.dtype, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1);
    let least = entry.dtype.block_size() * if paired { 2 } else { 1 };
    match entry.shape[..] {
        [_, width] => plain(entry.dtype).is_none() && width.is_multiple_of(least),
        _ => false,
    }
}

fn blocks(entry: &TensorEntry, bytes: Vec<u8>, device: &Device) -> Result<QTensor> {
    let storage = QStorage::from_data(Cow::Owned(bytes), device, entry.dtype)?;
    QTensor::new(storage, entry.shape.clone())
}

impl TensorSource for Tensors {
    fn tensor(&self, name: &str, device: &Device) -> Result<Option<Tensor>> {
        let Some((entry, bytes)) = self.read(name)? else { return Ok(None) };
        match plain(entry.dtype) {
            Some(dtype) => Tensor::from_raw_buffer(&bytes, dtype, &entry.shape, device).map(Some),
            None => blocks(entry, bytes, device)?.dequantize(device).map(Some),
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    fn blocks(&self, name: &str, device: &Device) -> Result<Option<Arc<QTensor>>> {
        let stored = self.entries.get(name);
        if !stored.is_some_and(multiplies) {
            return Ok(None);
        }
        let Some((entry, bytes)) = self.read(name)? else { return Ok(None) };
        blocks(entry, bytes, device).map(Arc::new).map(Some)
    }

    /// The rows of queries and keys stay in llama.cpp's order.
    fn stored(&self, name: &str) -> Result<Option<Stored>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let format = Format::of(entry.dtype);
        let format =
            format.ok_or_else(|| Error::msg(format!("no kernel for {:?}", entry.dtype)))?;
        let (bytes, shape) = (self.bytes(entry)?, entry.shape.clone());
        let neighbours = self.neighbours.contains_key(name);
        Ok(Some(Stored { bytes, format, shape, neighbours }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_neighbours_become_halves() {
        // Two heads of four rows, two bytes each.
        let rows: Vec<u8> = (0..8).flat_map(|row| [row, row + 100]).collect();
        let order: Vec<u8> = halves(&rows, 8, 4).into_iter().step_by(2).collect();
        assert_eq!(order, [0, 2, 1, 3, 4, 6, 5, 7]);
    }
}
