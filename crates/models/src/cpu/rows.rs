//! Activations: rows of numbers, each padded with 0 to whole vectors.

use super::simd::{LANES, Vector, flat, flat_mut};

/// How many vectors hold so many numbers.
pub(super) fn vectors(numbers: usize) -> usize {
    numbers.div_ceil(LANES)
}

/// Rows of equal width.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    data: Vec<Vector>,
    /// Numbers in a row.
    width: usize,
}

impl Rows {
    pub(super) fn zeros(count: usize, width: usize) -> Self {
        Self { data: vec![Vector::ZERO; count * vectors(width)], width }
    }

    pub(super) fn count(&self) -> usize {
        self.data.len() / self.stride()
    }

    /// Numbers in a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Vectors in a row.
    pub(super) fn stride(&self) -> usize {
        vectors(self.width)
    }

    pub(super) fn all(&self) -> &[Vector] {
        &self.data
    }

    pub(super) fn all_mut(&mut self) -> &mut [Vector] {
        &mut self.data
    }

    pub(super) fn row(&self, index: usize) -> &[Vector] {
        let stride = self.stride();
        &self.data[index * stride..][..stride]
    }

    pub(super) fn row_mut(&mut self, index: usize) -> &mut [Vector] {
        let stride = self.stride();
        &mut self.data[index * stride..][..stride]
    }

    /// The numbers of a row.
    pub(super) fn numbers(&self, index: usize) -> &[f32] {
        &flat(self.row(index))[..self.width]
    }

    pub(super) fn numbers_mut(&mut self, index: usize) -> &mut [f32] {
        let width = self.width;
        &mut flat_mut(self.row_mut(index))[..width]
    }

    /// Copies of some rows, in this order.
    pub(super) fn pick(&self, indices: &[usize]) -> Self {
        let rows = indices.iter().flat_map(|index| self.row(*index));
        Self { data: rows.copied().collect(), width: self.width }
    }

    /// The rows, each in `[0]` and on, mutably.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut [Vector]> {
        let stride = self.stride();
        self.data.chunks_exact_mut(stride)
    }

    /// The numbers of all rows, without padding.
    pub(super) fn to_vec(&self) -> Vec<f32> {
        (0..self.count()).flat_map(|index| self.numbers(index)).copied().collect()
    }
}

/// Numbers as padded vectors.
pub(super) fn padded(numbers: &[f32]) -> Vec<Vector> {
    let mut padded = vec![Vector::ZERO; vectors(numbers.len())];
    flat_mut(&mut padded)[..numbers.len()].copy_from_slice(numbers);
    padded
}
