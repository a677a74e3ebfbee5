//! Products of rows and matrices, made of whole dot products.
//!
//! A dot product has one definition, whoever computes it:
//!
//! ```text
//! lanes = 0 (16 of them)
//! for i in 0, 16, 32, ...:              # ascending; both operands are padded with 0
//!     lanes[l] = fma(w[i + l], x[i + l], lanes[l])
//! lanes -> sum by halves: 8, 4, 2, 1
//! ```
//!
//! So a product does not depend on how many rows share the call, nor on how it is cut: an output
//! belongs to one dot product, and where its inputs are cut the lanes are kept, not their sum.
//!
//! For one row each weight is read once and used once; [`OneRow`] goes down four outputs at a time.
//! For several rows [`Tiles`] decodes a few outputs into memory and multiplies tiles of rows and
//! outputs in registers:
//!
//! ```text
//! for 24 outputs at a time:
//!     for a part of the inputs at a time:
//!         decode 24 x part weights
//!         for 6 outputs: for 4 rows:
//!             24 vectors of lanes in registers, from and to memory between the parts
//! ```

use std::marker::PhantomData;

use super::formats::{Layout, Sink};
use super::simd::{Kernel, Simd, Vector};

/// Adds the products of decoded weights and of what they are to be multiplied by to the lanes.
struct Dot<'a, S: Simd> {
    simd: S,
    lanes: S::F,
    x: &'a [Vector],
}

impl<S: Simd> Sink<S> for Dot<'_, S> {
    #[inline(always)]
    fn take(&mut self, group: usize, weights: S::F) {
        self.lanes = self.simd.fma(weights, self.simd.load(&self.x[group]), self.lanes);
    }
}

/// Writes decoded weights down.
struct Write<'a, S: Simd> {
    simd: S,
    to: &'a mut [Vector],
}

impl<S: Simd> Sink<S> for Write<'_, S> {
    #[inline(always)]
    fn take(&mut self, group: usize, weights: S::F) {
        self.simd.store(weights, &mut self.to[group]);
    }
}

/// Bytes of a row that the CPU reads ahead by itself.
const LONG_ROW: usize = 4096;

/// The dot products of one row with some outputs.
pub(super) struct OneRow<'a, L> {
    /// The weights of the outputs, one after the other.
    pub(super) weights: &'a [u8],
    pub(super) row_bytes: usize,
    /// Padded with 0.
    pub(super) x: &'a [Vector],
    pub(super) out: &'a mut [f32],
    pub(super) layout: PhantomData<L>,
}

impl<L: Layout> Kernel for OneRow<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let row = |index: usize| &self.weights[index * self.row_bytes..][..self.row_bytes];
        let (fours, rest) = self.out.as_chunks_mut::<4>();
        let first = 4 * fours.len();
        for (index, out) in fours.iter_mut().enumerate() {
            let at = 4 * index;
            let next = if self.row_bytes > LONG_ROW { None } else { self.weights.get((at + 4) * self.row_bytes..) };
            let next = next.unwrap_or_default();
            let rows = [row(at), row(at + 1), row(at + 2), row(at + 3)];
            *out = dots::<S, L, 4>(simd, rows, next, self.x);
        }
        for (index, out) in rest.iter_mut().enumerate() {
            [*out] = dots::<S, L, 1>(simd, [row(first + index)], &[], self.x);
        }
    }
}

#[inline(always)]
fn dots<S: Simd, L: Layout, const N: usize>(
    simd: S,
    rows: [&[u8]; N],
    next: &[u8],
    x: &[Vector],
) -> [f32; N] {
    let mut lanes = [simd.splat(0.0); N];
    let whole = x.len() / L::GROUPS;
    let mut rows_of_blocks: [&[L::Block]; N] = [&[]; N];
    for n in 0..N {
        let (blocks, _) = L::blocks(rows[n]);
        rows_of_blocks[n] = blocks;
    }
    let count = rows_of_blocks[0].len();
    debug_assert!(count <= whole);
    for (index, x) in x.chunks_exact(L::GROUPS).take(count).enumerate() {
        // The rows are short, and each begins where the CPU does not expect it.
        let ahead = index * N * size_of::<L::Block>();
        for line in (0..N * size_of::<L::Block>()).step_by(64) {
            if let Some(byte) = next.get(ahead + line) {
                simd.prefetch(byte);
            }
        }
        for n in 0..N {
            let mut dot = Dot { simd, lanes: lanes[n], x };
            L::decode(simd, &rows_of_blocks[n][index], &mut dot);
            lanes[n] = dot.lanes;
        }
    }
    let mut sums = [0.0; N];
    for n in 0..N {
        let (_, rest) = L::blocks(rows[n]);
        if let Some(last) = L::partial(rest) {
            let mut dot = Dot { simd, lanes: lanes[n], x: &x[count * L::GROUPS..] };
            L::decode(simd, &last, &mut dot);
            lanes[n] = dot.lanes;
        }
        sums[n] = simd.sum(lanes[n]);
    }
    sums
}

/// Writes the vectors of a row of weights from `start` on into `to`.
#[inline(always)]
pub(super) fn decode<S: Simd, L: Layout>(simd: S, row: &[u8], start: usize, to: &mut [Vector]) {
    let (blocks, rest) = L::blocks(row);
    let first = start / L::GROUPS;
    let mut parts = to.chunks_exact_mut(L::GROUPS);
    let mut left = blocks[first.min(blocks.len())..].iter();
    for part in &mut parts {
        match left.next() {
            Some(block) => L::decode(simd, block, &mut Write { simd, to: part }),
            None => {
                if let Some(last) = L::partial(rest) {
                    L::decode(simd, &last, &mut Write { simd, to: part });
                }
            }
        }
    }
}

/// Outputs that are decoded at once.
const OUTPUTS: usize = 24;

/// Most vectors of a row that are decoded at once: the blocks of every layout divide it.
const PART: usize = 48;

/// The dot products of several rows with some outputs.
pub(super) struct Tiles<'a, L> {
    /// The weights of the outputs, one after the other.
    pub(super) weights: &'a [u8],
    pub(super) row_bytes: usize,
    /// Rows of `width` vectors, padded with 0.
    pub(super) x: &'a [Vector],
    pub(super) width: usize,
    /// Rows of `out_width` numbers, of which the outputs are `columns`.
    pub(super) out: &'a mut [f32],
    pub(super) out_width: usize,
    pub(super) columns: std::ops::Range<usize>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) layout: PhantomData<L>,
}

/// Memory that products use again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    weights: Vec<Vector>,
    lanes: Vec<Vector>,
}

impl<L: Layout> Kernel for Tiles<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let rows = self.x.len() / self.width;
        let part = part_width(self.width);
        self.scratch.weights.resize(OUTPUTS * part, Vector::ZERO);
        if part < self.width {
            self.scratch.lanes.resize(OUTPUTS * rows, Vector::ZERO);
        }
        let count = self.columns.len();
        for first in (0..count).step_by(OUTPUTS) {
            let outputs = first..count.min(first + OUTPUTS);
            for start in (0..self.width).step_by(part) {
                let end = self.width.min(start + part);
                for (index, output) in outputs.clone().enumerate() {
                    let row = &self.weights[output * self.row_bytes..][..self.row_bytes];
                    let to = &mut self.scratch.weights[index * part..][..end - start];
                    decode::<S, L>(simd, row, start, to);
                }
                self.multiply(simd, outputs.clone(), start..end, part);
            }
        }
    }
}

/// How many vectors of a row to decode at once: equal parts, each of whole blocks.
fn part_width(width: usize) -> usize {
    let parts = width.div_ceil(PART);
    width.div_ceil(parts).next_multiple_of(16).min(width)
}

impl<L: Layout> Tiles<'_, L> {
    /// All rows by the decoded part of some outputs.
    #[inline(always)]
    fn multiply<S: Simd>(
        &mut self,
        simd: S,
        outputs: std::ops::Range<usize>,
        part: std::ops::Range<usize>,
        part_width: usize,
    ) {
        let mut tile = Tile {
            simd,
            x: self.x,
            width: self.width,
            part: part.clone(),
            weights: &self.scratch.weights,
            part_width,
            lanes: &mut self.scratch.lanes,
            first: part.start == 0,
            last: part.end == self.width,
            out: &mut *self.out,
            out_width: self.out_width,
            column: self.columns.start + outputs.start,
        };
        let (rows, count) = (self.x.len() / self.width, outputs.len());
        if S::WIDE {
            tile.columns::<6>(rows, count);
        } else {
            tile.columns::<3>(rows, count);
        }
    }
}

/// Where tiles of rows and outputs find everything.
struct Tile<'a, S> {
    simd: S,
    x: &'a [Vector],
    width: usize,
    part: std::ops::Range<usize>,
    weights: &'a [Vector],
    part_width: usize,
    /// By row, [`OUTPUTS`] each.
    lanes: &'a mut [Vector],
    first: bool,
    last: bool,
    out: &'a mut [f32],
    out_width: usize,
    column: usize,
}

impl<S: Simd> Tile<'_, S> {
    #[inline(always)]
    fn columns<const C: usize>(&mut self, rows: usize, count: usize) {
        let mut output = 0;
        while output + C <= count {
            self.rows::<C>(rows, output);
            output += C;
        }
        while output + 2 <= count {
            self.rows::<2>(rows, output);
            output += 2;
        }
        if output < count {
            self.rows::<1>(rows, output);
        }
    }

    #[inline(always)]
    fn rows<const C: usize>(&mut self, rows: usize, output: usize) {
        let mut row = 0;
        if S::WIDE {
            while row + 4 <= rows {
                self.tile::<4, C>(row, output);
                row += 4;
            }
        }
        while row + 2 <= rows {
            self.tile::<2, C>(row, output);
            row += 2;
        }
        if row < rows {
            self.tile::<1, C>(row, output);
        }
    }

    #[inline(always)]
    fn tile<const R: usize, const C: usize>(&mut self, row: usize, output: usize) {
        let (simd, length) = (self.simd, self.part.len());
        let mut x: [&[Vector]; R] = [&[]; R];
        for r in 0..R {
            x[r] = &self.x[(row + r) * self.width + self.part.start..][..length];
        }
        let mut w: [&[Vector]; C] = [&[]; C];
        for c in 0..C {
            w[c] = &self.weights[(output + c) * self.part_width..][..length];
        }
        let mut lanes = [[simd.splat(0.0); C]; R];
        if !self.first {
            for r in 0..R {
                let kept = &self.lanes[(row + r) * OUTPUTS + output..][..C];
                for c in 0..C {
                    lanes[r][c] = simd.load(&kept[c]);
                }
            }
        }
        for i in 0..length {
            let mut of_rows = [simd.splat(0.0); R];
            for r in 0..R {
                of_rows[r] = simd.load(&x[r][i]);
            }
            for c in 0..C {
                let weights = simd.load(&w[c][i]);
                for r in 0..R {
                    lanes[r][c] = simd.fma(weights, of_rows[r], lanes[r][c]);
                }
            }
        }
        for r in 0..R {
            if self.last {
                let at = (row + r) * self.out_width + self.column + output;
                let out = &mut self.out[at..][..C];
                for c in 0..C {
                    out[c] = simd.sum(lanes[r][c]);
                }
            } else {
                let kept = &mut self.lanes[(row + r) * OUTPUTS + output..][..C];
                for c in 0..C {
                    simd.store(lanes[r][c], &mut kept[c]);
                }
            }
        }
    }
}

/// The dot products of some rows with some others, both of `width` vectors, into rows of `out_width`
/// numbers from `column` on.
#[inline(always)]
pub(super) fn tiles<S: Simd>(
    simd: S,
    x: &[Vector],
    width: usize,
    weights: &[Vector],
    out: &mut [f32],
    out_width: usize,
    column: usize,
) {
    let part = 0..width;
    let (lanes, part_width) = (&mut [][..], width);
    let (first, last) = (true, true);
    let mut tile =
        Tile { simd, x, width, part, weights, part_width, lanes, first, last, out, out_width, column };
    let (rows, count) = (x.len() / width, weights.len() / width);
    if S::WIDE {
        tile.columns::<6>(rows, count);
    } else {
        tile.columns::<3>(rows, count);
    }
}
