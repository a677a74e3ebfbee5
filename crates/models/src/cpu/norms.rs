//! Norms of a row: their sums have sixteen lanes and one order.

use super::simd::{Kernel, LANES, Simd, Vector};

/// The root-mean-square norm, in place: `x / sqrt(mean(x^2) + eps) * weight`.
pub(super) struct RmsNorm<'a> {
    pub(super) x: &'a mut [Vector],
    /// How many numbers `x` holds, padding aside.
    pub(super) size: usize,
    pub(super) weight: &'a [Vector],
    pub(super) eps: f32,
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut squares = simd.splat(0.0);
        for x in &*self.x {
            let x = simd.load(x);
            squares = simd.fma(x, x, squares);
        }
        let scale = scale(simd.sum(squares), self.size, self.eps);
        let scale = simd.splat(scale);
        for (x, weight) in self.x.iter_mut().zip(self.weight) {
            let normed = simd.mul(simd.load(x), scale);
            simd.store(simd.mul(normed, simd.load(weight)), x);
        }
    }
}

/// `1 / sqrt(sum / size + eps)`
#[inline(always)]
fn scale(sum: f32, size: usize, eps: f32) -> f32 {
    1.0 / (sum / size as f32 + eps).sqrt()
}

/// The layer norm, in place: `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`.
pub(super) struct LayerNorm<'a> {
    pub(super) x: &'a mut [Vector],
    /// How many numbers `x` holds, padding aside.
    pub(super) size: usize,
    pub(super) weight: &'a [Vector],
    pub(super) bias: &'a [Vector],
    pub(super) eps: f32,
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut sum = simd.splat(0.0);
        for x in &*self.x {
            sum = simd.add(sum, simd.load(x));
        }
        let mean = simd.splat(simd.sum(sum) / self.size as f32);
        for x in &mut *self.x {
            simd.store(simd.sub(simd.load(x), mean), x);
        }
        // The padding is no number of the row.
        if let (Some(last), tail @ 1..) = (self.x.last_mut(), self.size % LANES) {
            last.0[tail..].fill(0.0);
        }
        let mut squares = simd.splat(0.0);
        for x in &*self.x {
            let x = simd.load(x);
            squares = simd.fma(x, x, squares);
        }
        let scale = simd.splat(scale(simd.sum(squares), self.size, self.eps));
        for ((x, weight), bias) in self.x.iter_mut().zip(self.weight).zip(self.bias) {
            let normed = simd.mul(simd.load(x), scale);
            simd.store(simd.fma(normed, simd.load(weight), simd.load(bias)), x);
        }
    }
}
