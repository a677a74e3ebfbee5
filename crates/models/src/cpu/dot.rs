//! Products of rows and matrices, made of whole dot products.
//!
//! A dot product has one definition, which every kernel computes:
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
//! for 6 outputs at a time:
//!     for a part of the inputs at a time:
//!         decode 6 x part weights
//!         for 4 rows (AVX2: for 2 rows: for 3 outputs):
//!             24 vectors of lanes in registers, from and to memory between the parts
//! ```

#![expect(clippy::needless_range_loop, reason = "arrays of registers, which iterators take apart")]

use std::marker::PhantomData;
use std::ops::Range;

use super::formats::{Format, Layout, Sink, with_layout};
use super::simd::{Kernel, Simd, Unit, Vector};

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
        let last = self.out.len().saturating_sub(1);
        // What is left over of four outputs is computed again and again in their place.
        let row =
            |index: usize| &self.weights[index.min(last) * self.row_bytes..][..self.row_bytes];
        for (index, out) in self.out.chunks_mut(4).enumerate() {
            let at = 4 * index;
            let next = match self.row_bytes {
                ..=LONG_ROW => self.weights.get((at + 4) * self.row_bytes..).unwrap_or_default(),
                _ => &[],
            };
            let rows = [row(at), row(at + 1), row(at + 2), row(at + 3)];
            let sums = dots::<S, L, 4>(simd, rows, next, self.x);
            out.copy_from_slice(&sums[..out.len()]);
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
        let bytes = N * size_of::<L::Block>();
        for lines in
            next.get(index * bytes..).unwrap_or_default().chunks(64).take(bytes.div_ceil(64))
        {
            simd.prefetch(&lines[0]);
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

/// Decodes a part of some rows of weights.
pub(super) struct Decode<'a, L> {
    pub(super) rows: &'a [u8],
    pub(super) row_bytes: usize,
    /// The first vector of the part.
    pub(super) start: usize,
    /// By row, `to_width` vectors each, of which the first `width` are written.
    pub(super) to: &'a mut [Vector],
    pub(super) to_width: usize,
    pub(super) width: usize,
    pub(super) layout: PhantomData<L>,
}

impl<L: Layout> Kernel for Decode<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let rows = self.rows.chunks_exact(self.row_bytes);
        for (row, to) in rows.zip(self.to.chunks_mut(self.to_width)) {
            let (blocks, rest) = L::blocks(row);
            let mut left = blocks[(self.start / L::GROUPS).min(blocks.len())..].iter();
            for to in to[..self.width].chunks_exact_mut(L::GROUPS) {
                let last;
                let block = match left.next() {
                    Some(block) => block,
                    None => match L::partial(rest) {
                        Some(block) => {
                            last = block;
                            &last
                        }
                        None => break,
                    },
                };
                L::decode(simd, block, &mut Write { simd, to });
            }
        }
    }
}

/// Outputs that are decoded at once: with [`PART`] they stay in the first cache until they are used.
const OUTPUTS: usize = 6;

/// Most vectors of a row that are decoded at once: the blocks of every layout divide it.
const PART: usize = 48;

/// The dot products of several rows with some outputs.
pub(super) struct Tiles<'a> {
    pub(super) format: Format,
    /// The weights of the outputs, one after the other.
    pub(super) weights: &'a [u8],
    pub(super) row_bytes: usize,
    /// Rows of `width` vectors, padded with 0.
    pub(super) x: &'a [Vector],
    pub(super) width: usize,
    /// Rows of `out_width` numbers, of which the first are the outputs.
    pub(super) out: &'a mut [f32],
    pub(super) out_width: usize,
    pub(super) outputs: usize,
}

/// Memory that products use again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    weights: Vec<Vector>,
    lanes: Vec<Vector>,
}

impl Tiles<'_> {
    pub(super) fn run(self, unit: Unit, scratch: &mut Scratch) {
        let rows = self.x.len() / self.width;
        let part = part_width(self.width);
        scratch.weights.resize(OUTPUTS * part, Vector::ZERO);
        scratch.lanes.resize(if part < self.width { OUTPUTS * rows } else { 0 }, Vector::ZERO);
        for first in (0..self.outputs).step_by(OUTPUTS) {
            let count = OUTPUTS.min(self.outputs - first);
            let weights = &self.weights[first * self.row_bytes..][..count * self.row_bytes];
            for start in (0..self.width).step_by(part) {
                let end = self.width.min(start + part);
                with_layout!(self.format, L => unit.run(Decode::<L> {
                    rows: weights,
                    row_bytes: self.row_bytes,
                    start,
                    to: &mut scratch.weights,
                    to_width: part,
                    width: end - start,
                    layout: PhantomData,
                }));
                unit.run(Multiply {
                    x: self.x,
                    width: self.width,
                    part: start..end,
                    weights: &scratch.weights,
                    part_width: part,
                    outputs: count,
                    lanes: &mut scratch.lanes,
                    out: &mut *self.out,
                    out_width: self.out_width,
                    column: first,
                });
            }
        }
    }
}

/// How many vectors of a row to decode at once: equal parts, each of whole blocks.
fn part_width(width: usize) -> usize {
    let parts = width.div_ceil(PART);
    width.div_ceil(parts).next_multiple_of(16).min(width)
}

/// The products of rows with a part of some outputs in `f32`.
pub(super) struct Multiply<'a> {
    pub(super) x: &'a [Vector],
    /// Vectors in a row.
    pub(super) width: usize,
    pub(super) part: Range<usize>,
    /// By output, `part_width` vectors each.
    pub(super) weights: &'a [Vector],
    pub(super) part_width: usize,
    pub(super) outputs: usize,
    /// By row, [`OUTPUTS`] each: the lanes so far.
    pub(super) lanes: &'a mut [Vector],
    pub(super) out: &'a mut [f32],
    pub(super) out_width: usize,
    pub(super) column: usize,
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (rows, outputs) = (self.x.len() / self.width, self.outputs);
        let mut tile = Tile { simd, of: self };
        for first in (0..outputs).step_by(OUTPUTS) {
            let outputs = first..outputs.min(first + OUTPUTS);
            if S::WIDE {
                tile.rows::<6>(rows, outputs);
            } else {
                tile.rows::<3>(rows, outputs);
            }
        }
    }
}

struct Tile<'a, S> {
    simd: S,
    of: Multiply<'a>,
}

impl<S: Simd> Tile<'_, S> {
    #[inline(always)]
    fn rows<const C: usize>(&mut self, rows: usize, outputs: Range<usize>) {
        let mut row = 0;
        if S::WIDE {
            while row + 4 <= rows {
                self.columns::<4, C>(row, outputs.clone());
                row += 4;
            }
        }
        while row + 2 <= rows {
            self.columns::<2, C>(row, outputs.clone());
            row += 2;
        }
        if row < rows {
            self.columns::<1, C>(row, outputs);
        }
    }

    /// All these outputs of some rows, which come from the second cache once.
    #[inline(always)]
    fn columns<const R: usize, const C: usize>(&mut self, row: usize, outputs: Range<usize>) {
        let mut output = outputs.start;
        while output + C <= outputs.end {
            self.tile::<R, C>(row, output);
            output += C;
        }
        while output + 2 <= outputs.end {
            self.tile::<R, 2>(row, output);
            output += 2;
        }
        if output < outputs.end {
            self.tile::<R, 1>(row, output);
        }
    }

    #[inline(always)]
    fn tile<const R: usize, const C: usize>(&mut self, row: usize, output: usize) {
        let (simd, length) = (self.simd, self.of.part.len());
        let mut x: [&[Vector]; R] = [&[]; R];
        for r in 0..R {
            x[r] = &self.of.x[(row + r) * self.of.width + self.of.part.start..][..length];
        }
        let mut w: [&[Vector]; C] = [&[]; C];
        for c in 0..C {
            w[c] = &self.of.weights[(output + c) * self.of.part_width..][..length];
        }
        let mut lanes = [[simd.splat(0.0); C]; R];
        if self.of.part.start > 0 {
            for r in 0..R {
                let kept = &self.of.lanes[(row + r) * OUTPUTS + output..][..C];
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
            if self.of.part.end == self.of.width {
                let at = (row + r) * self.of.out_width + self.of.column + output;
                let out = &mut self.of.out[at..][..C];
                for c in 0..C {
                    out[c] = simd.sum(lanes[r][c]);
                }
            } else {
                let kept = &mut self.of.lanes[(row + r) * OUTPUTS + output..][..C];
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
    let (part, outputs) = (0..width, weights.len() / width);
    let (lanes, part_width) = (&mut [][..], width);
    Multiply { x, width, part, weights, part_width, outputs, lanes, out, out_width, column }
        .run(simd);
}
