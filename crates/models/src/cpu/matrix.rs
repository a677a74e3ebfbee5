//! Weights where they lie.

use std::marker::PhantomData;

use super::dot::Decode;
use super::formats::{Format, with_layout};
use super::rows::vectors;
use super::simd::{Unit, Vector, flat};
use crate::weights::{Bytes, Stored};

/// A matrix `[outputs, inputs]`: its bytes are borrowed from the file, in the type that they have
/// there.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    pub(super) bytes: Bytes,
    pub(super) format: Format,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

impl Matrix {
    /// A tensor of two dimensions.
    pub(super) fn new(stored: &Stored) -> Self {
        let inputs = stored.shape.last().copied().unwrap_or(0);
        let outputs = stored.shape.iter().product::<usize>() / inputs.max(1);
        Self { bytes: stored.bytes.clone(), format: stored.format, outputs, inputs }
    }

    /// A tensor that is stored as `[inputs, outputs]`, turned over: a copy.
    pub(super) fn transposed(stored: &Stored) -> candle_core::Result<Self> {
        let stored = match stored.format {
            Format::F32 | Format::F16 | Format::Bf16 => stored.clone(),
            _ => numbers(stored),
        };
        let ([inputs, outputs], width) = (two(&stored.shape)?, stored.format.block_bytes());
        let mut bytes = Vec::with_capacity(stored.bytes.len());
        for output in 0..outputs {
            for input in 0..inputs {
                bytes.extend_from_slice(
                    &stored.bytes[(input * outputs + output) * width..][..width],
                );
            }
        }
        Ok(Self { bytes: bytes.into(), format: stored.format, outputs, inputs })
    }

    /// Bytes of one output's weights.
    pub(super) fn row_bytes(&self) -> usize {
        self.format.bytes(self.inputs)
    }

    /// The weights of one output as numbers.
    pub(super) fn row(&self, unit: Unit, output: usize, to: &mut [Vector]) {
        let row = &self.bytes[output * self.row_bytes()..][..self.row_bytes()];
        let (row_bytes, width) = (self.row_bytes(), to.len());
        with_layout!(self.format, L => unit.run(Decode::<L> {
            rows: row, row_bytes, start: 0, to, to_width: width, width, layout: PhantomData,
        }));
    }
}

fn two(shape: &[usize]) -> candle_core::Result<[usize; 2]> {
    shape.try_into().map_err(|_| candle_core::Error::msg("a matrix has two dimensions"))
}

/// All numbers of a tensor.
pub(super) fn to_f32(stored: &Stored) -> Vec<f32> {
    let matrix = Matrix::new(stored);
    let (unit, mut row) = (Unit::best(), vec![Vector::ZERO; vectors(matrix.inputs)]);
    let mut numbers = Vec::with_capacity(matrix.outputs * matrix.inputs);
    for output in 0..matrix.outputs {
        matrix.row(unit, output, &mut row);
        numbers.extend_from_slice(&flat(&row)[..matrix.inputs]);
    }
    numbers
}

/// The same tensor in `f32`.
fn numbers(stored: &Stored) -> Stored {
    let bytes: Vec<u8> = to_f32(stored).into_iter().flat_map(f32::to_le_bytes).collect();
    Stored { bytes: bytes.into(), format: Format::F32, ..stored.clone() }
}
