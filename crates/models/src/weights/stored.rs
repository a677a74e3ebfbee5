//! Tensors as they are stored.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use super::Bytes;
use crate::cpu::Format;

/// A tensor as it is stored, with the bytes where they lie.
#[derive(Debug, Clone)]
pub struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    pub(crate) shape: Vec<usize>,
    /// Whether the rows of each head are in llama.cpp's order, where the two that are rotated
    /// together are neighbours.
    pub(crate) neighbours: bool,
}

impl Stored {
    /// The numbers of a tensor that the library holds, copied. What it has no type for here becomes
    /// `f32`.
    pub(crate) fn of_tensor(tensor: &Tensor) -> Result<Self> {
        let (format, tensor) = match tensor.dtype() {
            DType::F16 => (Format::F16, tensor.clone()),
            DType::BF16 => (Format::Bf16, tensor.clone()),
            _ => (Format::F32, tensor.to_dtype(DType::F32)?),
        };
        let shape = tensor.dims().to_vec();
        let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
        let bytes: Vec<u8> = match format {
            Format::F16 => flatten(flat.to_vec1::<half::f16>()?, half::f16::to_le_bytes),
            Format::Bf16 => flatten(flat.to_vec1::<half::bf16>()?, half::bf16::to_le_bytes),
            _ => flatten(flat.to_vec1::<f32>()?, f32::to_le_bytes),
        };
        Ok(Self { bytes: bytes.into(), format, shape, neighbours: false })
    }

    /// The blocks that the library holds, copied.
    pub(crate) fn of_blocks(blocks: &QTensor) -> Result<Self> {
        let shape = blocks.shape().dims().to_vec();
        match Format::of(blocks.dtype()) {
            Some(format) => {
                let bytes = blocks.data()?.into_owned().into();
                Ok(Self { bytes, format, shape, neighbours: false })
            }
            None => Self::of_tensor(&blocks.dequantize(&Device::Cpu)?),
        }
    }

    /// The same numbers in another type; blocks stay what they are.
    pub(crate) fn converted(self, dtype: DType) -> Result<Self> {
        let own = match self.format {
            Format::F32 => DType::F32,
            Format::F16 => DType::F16,
            Format::Bf16 => DType::BF16,
            _ => return Ok(self),
        };
        if own == dtype {
            return Ok(self);
        }
        let tensor = Tensor::from_raw_buffer(&self.bytes, own, &self.shape, &Device::Cpu)?;
        Ok(Self { neighbours: self.neighbours, ..Self::of_tensor(&tensor.to_dtype(dtype)?)? })
    }
}

fn flatten<T, const N: usize>(numbers: Vec<T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.into_iter().flat_map(bytes).collect()
}

impl Format {
    /// The format that the library calls so.
    pub(crate) fn of(dtype: GgmlDType) -> Option<Self> {
        Some(match dtype {
            GgmlDType::F32 => Self::F32,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::Bf16,
            GgmlDType::Q4_0 => Self::Q4_0,
            GgmlDType::Q4_1 => Self::Q4_1,
            GgmlDType::Q5_0 => Self::Q5_0,
            GgmlDType::Q5_1 => Self::Q5_1,
            GgmlDType::Q8_0 => Self::Q8_0,
            GgmlDType::Q2K => Self::Q2K,
            GgmlDType::Q3K => Self::Q3K,
            GgmlDType::Q4K => Self::Q4K,
            GgmlDType::Q5K => Self::Q5K,
            GgmlDType::Q6K => Self::Q6K,
            _ => return None,
        })
    }
}
