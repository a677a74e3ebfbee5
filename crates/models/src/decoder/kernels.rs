//! The operations that exist twice: fused for decoding, and plain for training.
//!
//! candle's fused kernels are several times faster and have no gradient.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::quantized::QMatMul;
use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::{ops, rotary_emb};

use super::cpu;
use crate::spec::RopeSpec;
use crate::weights::Matrix;

/// Which of the two to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernels {
    Fused,
    Differentiable,
}

impl Kernels {
    /// `x W^T`, for `x` of shape `[n, inputs]` and `weight` of shape `[outputs, inputs]`.
    ///
    /// What is held in blocks is multiplied by candle, which rounds `x` to blocks too, and has no
    /// gradient.
    pub(super) fn linear(self, x: &Tensor, weight: &Matrix) -> Result<Tensor> {
        let weight = match weight {
            Matrix::Plain(weight) => weight,
            Matrix::Blocks(blocks) => {
                let product = QMatMul::QTensor(blocks.clone());
                let y = product.forward(&x.to_dtype(DType::F32)?.contiguous()?)?;
                return y.to_dtype(x.dtype());
            }
        };
        if self == Self::Fused
            && let Some(product) = cpu::linear(x, weight)?
        {
            return Ok(product);
        }
        x.matmul(&weight.t()?)
    }

    /// `x / sqrt(mean(x^2) + eps) * weight` over the last dimension, in `f32`.
    pub(super) fn rms_norm(self, x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        match self {
            Self::Fused => ops::rms_norm(&x, weight, eps as f32),
            Self::Differentiable => {
                let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
                x.broadcast_div(&(mean_square + eps)?.sqrt()?)?.broadcast_mul(weight)
            }
        }
    }

    /// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` over the last dimension, in `f32`.
    pub(super) fn layer_norm(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        eps: f64,
    ) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        // Centred ahead of candle's kernel too, which takes the variance as `mean(x^2) - mean(x)^2`:
        // where the mean is far from 0 that cancels.
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        match self {
            Self::Fused => ops::layer_norm(&centred, weight, bias, eps as f32),
            Self::Differentiable => {
                let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
                let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
                normed.broadcast_mul(weight)?.broadcast_add(bias)
            }
        }
    }

    /// Softmax over the last dimension, in `f32`.
    pub(super) fn softmax(self, scores: &Tensor) -> Result<Tensor> {
        let scores = scores.to_dtype(DType::F32)?;
        match self {
            Self::Fused => ops::softmax_last_dim(&scores),
            Self::Differentiable => {
                // The result does not depend on the shift, so no gradient has to flow through it.
                let shift = scores.max_keepdim(D::Minus1)?.detach();
                let weights = scores.broadcast_sub(&shift)?.exp()?;
                weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
            }
        }
    }

    /// Rotates every pair of `x` (`[n, heads, head_dim]`) by the angles of its position, in `f32`.
    /// What the angles do not reach stays.
    pub(super) fn rotate(self, x: &Tensor, angles: &Angles) -> Result<Tensor> {
        let x = x.to_dtype(DType::F32)?;
        let (width, rotated) = (x.dim(2)?, 2 * angles.cos.dim(1)?);
        if rotated == width {
            return self.rotate_all(&x, angles);
        }
        let turned = self.rotate_all(&x.narrow(2, 0, rotated)?.contiguous()?, angles)?;
        Tensor::cat(&[turned, x.narrow(2, rotated, width - rotated)?], 2)
    }

    fn rotate_all(self, x: &Tensor, angles: &Angles) -> Result<Tensor> {
        match self {
            Self::Fused => {
                rotary_emb::rope_thd(&x.unsqueeze(0)?, &angles.cos, &angles.sin)?.squeeze(0)
            }
            Self::Differentiable => {
                let half = x.dim(D::Minus1)? / 2;
                let (first, second) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
                let (cos, sin) = (angles.cos.unsqueeze(1)?, angles.sin.unsqueeze(1)?);
                let rotated_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
                let rotated_second = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
                Tensor::cat(&[rotated_first, rotated_second], 2)
            }
        }
    }
}

/// Cosines and sines of one rotation at `n` positions, each `[n, pairs]` in `f32`.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Angles {
    fn new(rope: &RopeSpec, positions: Range<usize>, device: &Device) -> Result<Self> {
        let (frequencies, amplitude) = (rope.frequencies(), rope.amplitude());
        let shape = (positions.len(), frequencies.len());
        let angles = || {
            let positions = positions.clone();
            let of = |position| frequencies.iter().map(move |f| position as f32 * f);
            positions.flat_map(of)
        };
        let table = |values: Vec<f32>| Tensor::from_vec(values, shape, device);
        Ok(Self {
            cos: table(angles().map(|angle| amplitude * angle.cos()).collect())?,
            sin: table(angles().map(|angle| amplitude * angle.sin()).collect())?,
        })
    }

    fn each(&self, take: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { cos: take(&self.cos)?, sin: take(&self.sin)? })
    }
}

/// A rotation, with its angles at the positions that were reached so far.
///
/// The table grows with the longest row: one for all of a context of 128 Ki positions would weigh more
/// than the layers of a small model. A decoding step takes a view of it, so that nothing is computed
/// or sent to a GPU for each token.
#[derive(Debug)]
pub(super) struct Rotation {
    rope: RopeSpec,
    table: Mutex<Angles>,
}

/// Positions in the first table.
const FIRST_TABLE: usize = 256;

impl Rotation {
    pub(super) fn new(rope: &RopeSpec, device: &Device) -> Result<Self> {
        let table = Mutex::new(Angles::new(rope, 0..FIRST_TABLE, device)?);
        Ok(Self { rope: rope.clone(), table })
    }

    pub(super) fn at(&self, positions: &[usize]) -> Result<Angles> {
        let end = positions.iter().max().map_or(0, |last| last + 1);
        let table = self.reaching(end)?;
        match positions {
            [first, ..] if positions.iter().copied().eq(*first..first + positions.len()) => {
                table.each(|table| table.narrow(0, *first, positions.len()))
            }
            _ => {
                let rows: Vec<u32> = positions.iter().map(|position| *position as u32).collect();
                let rows = Tensor::new(rows, table.cos.device())?;
                table.each(|table| table.index_select(&rows, 0))
            }
        }
    }

    /// The table, of at least `end` positions.
    fn reaching(&self, end: usize) -> Result<Angles> {
        // A table is replaced whole: whoever failed in between has left the last one.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.cos.dim(0)? < end {
            let positions = 0..end.next_power_of_two();
            *table = Angles::new(&self.rope, positions, table.cos.device())?;
        }
        Ok(table.clone())
    }
}
