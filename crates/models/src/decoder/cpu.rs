//! Decoding on the CPU without candle's matrix product.
//!
//! A step that appends one token multiplies vectors by matrices, thousands of times a second. On
//! Linux, every matrix product of candle 0.11.1 first counts the cores by reading `/proc/cpuinfo`:
//! 20 µs on a machine of two, more with every core, and longer than most products of a small model
//! take. Memory bounds these loops, so plain Rust does them as fast.
//!
//! The functions answer `None` where they do not apply (another device, another type, too many
//! rows); the caller then uses candle.

use candle_core::{CpuStorage, Layout, Result, Storage, StorageRef, Tensor};
use rayon::prelude::*;

use crate::cache::KeyValues;

/// More rows than this are the business of a real matrix product.
const MOST_ROWS: usize = 4;

/// A product of fewer multiplications is done before a second thread has woken up.
const WORTH_THREADS: usize = 1 << 19;

/// `x W^T`, for `x` of shape `[rows, inputs]` and `weight` of shape `[outputs, inputs]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>> {
    let ((rows, inputs), outputs) = (x.dims2()?, weight.dim(0)?);
    let Some(product) = products(x, weight, rows, inputs) else {
        return Ok(None);
    };
    let by_output = Tensor::from_vec(product, (outputs, rows), x.device())?;
    let by_row =
        if rows == 1 { by_output.reshape((1, outputs)) } else { by_output.t()?.contiguous() };
    by_row.map(Some)
}

/// `[outputs, rows]`: each row of `weight`, read once, by all of `x`.
fn products(x: &Tensor, weight: &Tensor, rows: usize, inputs: usize) -> Option<Vec<f32>> {
    if rows > MOST_ROWS {
        return None;
    }
    let (x, weight) = (Floats::of(x)?, Floats::of(weight)?);
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let mut product = vec![0.0; weight.len() / inputs * rows];
    let fill = |(product, weight): (&mut [f32], &[f32])| {
        for (product, x) in product.iter_mut().zip(x.chunks_exact(inputs)) {
            *product = dot(x, weight);
        }
    };
    if weight.len() * rows < WORTH_THREADS {
        let weight = weight.chunks_exact(inputs);
        product.chunks_exact_mut(rows).zip(weight).for_each(fill);
    } else {
        let weight = weight.par_chunks_exact(inputs);
        let product = product.par_chunks_exact_mut(rows).zip(weight);
        product.with_min_len(64).for_each(fill);
    }
    Some(product)
}

/// Attention of one query, `[1, heads, head_dim]`, over all of `seen`: what it reads,
/// `[1, heads * head_dim]`, and its shares over the keys, `[heads, keys]`.
pub(super) fn attend_one(
    q: &Tensor,
    seen: &[KeyValues],
    scale: f64,
) -> Result<Option<(Tensor, Vec<f32>)>> {
    let (rows, heads, dim) = q.dims3()?;
    if rows != 1 {
        return Ok(None);
    }
    let read = || {
        let shares = shares(Floats::of(q)?.contiguous()?, seen, heads, scale as f32)?;
        Some((weighted_values(&shares, seen, heads, dim)?, shares))
    };
    let Some((read, shares)) = read() else { return Ok(None) };
    Ok(Some((Tensor::from_vec(read, (1, heads * dim), q.device())?, shares)))
}

/// The softmax of each head's scores, `[heads, keys]`.
fn shares(q: &[f32], seen: &[KeyValues], heads: usize, scale: f32) -> Option<Vec<f32>> {
    let dim = q.len() / heads;
    let total = seen.iter().map(|block| block.keys.dims()[1]).sum();
    let mut scores = vec![0.0; heads * total];
    let mut start = 0;
    for block in seen {
        let keys = Floats::of(&block.keys)?;
        for (head, q) in q.chunks_exact(dim).enumerate() {
            let scores = &mut scores[head * total..][start..];
            let keys = keys.head(head, heads).chunks_exact(dim);
            for (score, key) in scores.iter_mut().zip(keys) {
                *score = dot(q, key) * scale;
            }
        }
        start += block.keys.dims()[1];
    }
    scores.chunks_exact_mut(total).for_each(softmax);
    Some(scores)
}

/// The values weighted by `shares`, `[heads, head_dim]`.
fn weighted_values(
    shares: &[f32],
    seen: &[KeyValues],
    heads: usize,
    dim: usize,
) -> Option<Vec<f32>> {
    let total = shares.len() / heads;
    let mut read = vec![0.0; heads * dim];
    let mut start = 0;
    for block in seen {
        let values = Floats::of(&block.values)?;
        for (head, read) in read.chunks_exact_mut(dim).enumerate() {
            let shares = &shares[head * total..][start..];
            let values = values.head(head, heads).chunks_exact(dim);
            for (share, value) in shares.iter().zip(values) {
                for (read, value) in read.iter_mut().zip(value) {
                    *read += share * value;
                }
            }
        }
        start += block.values.dims()[1];
    }
    Some(read)
}

fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - max).exp();
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

/// In sixteen independent sums, so that the compiler can use whatever vectors there are.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.iter().copied().chain(rest).sum()
}

/// A tensor whose numbers lie in memory as `f32`.
pub(super) struct Floats<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Floats<'a> {
    pub(super) fn of(tensor: &'a Tensor) -> Option<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let usable = matches!(&*storage, Storage::Cpu(CpuStorage::F32(_)));
        usable.then_some(Self { storage, layout })
    }

    fn storage(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(numbers)) => numbers,
            _ => &[],
        }
    }

    /// All of them in order, if they lie that way.
    pub(super) fn contiguous(&self) -> Option<&[f32]> {
        let (start, end) = self.layout.contiguous_offsets()?;
        Some(&self.storage()[start..end])
    }

    /// What query head `head` of `heads` reads of a view `[kv_heads, n, head_dim]` into a block.
    fn head(&self, head: usize, heads: usize) -> &[f32] {
        let (dims, stride) = (self.layout.dims(), self.layout.stride());
        let kv_head = head * dims[0] / heads;
        let start = self.layout.start_offset() + kv_head * stride[0];
        &self.storage()[start..][..dims[1] * dims[2]]
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// Numbers between -1 and 1 without a pattern that a wrong index would keep.
    fn numbers(shape: &[usize], seed: usize) -> Tensor {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|i| ((i * i + 31 * i + seed) % 1009) as f32 / 504.5 - 1.0);
        Tensor::from_vec(values.collect(), shape, &Device::Cpu).unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
        worst.max(0).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn few_rows_are_multiplied_as_candle_does() {
        for (rows, inputs, outputs) in [(1, 37, 5), (3, 48, 20), (4, 1000, 600)] {
            let (x, weight) = (numbers(&[rows, inputs], 1), numbers(&[outputs, inputs], 2));
            let ours = linear(&x, &weight).unwrap().unwrap();
            let candles = x.matmul(&weight.t().unwrap()).unwrap();
            assert!(distance(&ours, &candles) < 1e-3);
        }
    }

    #[test]
    fn many_rows_and_other_types_are_left_to_candle() {
        let (x, weight) = (numbers(&[5, 8], 1), numbers(&[3, 8], 2));
        assert!(linear(&x, &weight).unwrap().is_none());
        let half = |x: &Tensor| x.to_dtype(DType::F16).unwrap();
        let row = x.narrow(0, 0, 1).unwrap();
        assert!(linear(&half(&row), &half(&weight)).unwrap().is_none());
    }
}
