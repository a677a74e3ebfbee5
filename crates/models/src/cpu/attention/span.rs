//! What some queries read of one span of keys.

#![expect(clippy::needless_range_loop, reason = "arrays of registers, which iterators take apart")]

use std::ops::Range;

use crate::cache::BLOCK;
use crate::cpu::dot::tiles;
use crate::cpu::math::{Shares, exp};
use crate::cpu::simd::{Kernel, LANES, Simd, Vector, flat, flat_mut};

/// Positions in a span: a few blocks of the cache.
pub(super) const SPAN: usize = 4 * BLOCK;

/// What queries have read of some spans, before the division by the total.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The largest score of each query; minus infinity where it sees no key.
    pub(super) largest: Vec<f32>,
    /// The sum of its shares; 0 where it sees no key.
    pub(super) total: Vec<f32>,
    /// `[queries, head_dim]`.
    pub(super) read: Vec<Vector>,
}

/// The work of one span.
pub(super) struct Span<'a> {
    /// `[queries, head_dim]`, each of `head` vectors.
    pub(super) queries: &'a [Vector],
    pub(super) head: usize,
    pub(super) scale: f32,
    /// Which positions each query sees, counted from the start of the span.
    pub(super) seen: &'a [Range<usize>],
    /// Keys and values with the position of the first of them.
    pub(super) blocks: &'a [(usize, &'a [Vector], &'a [Vector])],
}

impl Kernel for Span<'_> {
    type Output = Part;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Part {
        let count = self.seen.len();
        let width = SPAN / LANES;
        let mut scores = vec![Vector::ZERO; count * width];
        for (at, keys, _) in self.blocks {
            tiles(simd, self.queries, self.head, keys, flat_mut(&mut scores), SPAN, *at);
        }
        let (mut largest, mut total) = (vec![f32::NEG_INFINITY; count], vec![0.0; count]);
        for (index, seen) in self.seen.iter().enumerate() {
            let row = &mut scores[index * width..][..width];
            if seen.is_empty() {
                continue;
            }
            for scores in &mut *row {
                simd.store(simd.mul(simd.load(scores), simd.splat(self.scale)), scores);
            }
            let numbers = flat_mut(row);
            numbers[..seen.start].fill(f32::NEG_INFINITY);
            numbers[seen.end..].fill(f32::NEG_INFINITY);
            (largest[index], total[index]) = Shares { scores: row }.run(simd);
        }
        let mut read = vec![Vector::ZERO; count * self.head];
        for (at, _, values) in self.blocks {
            let end = at + values.len() / self.head;
            let mut values =
                Values { simd, head: self.head, held: values, at: *at, shares: &scores };
            let mut query = 0;
            while query < count {
                let most = if S::WIDE { 4 } else { 2 };
                let together = most.min(count - query);
                let seen = &self.seen[query..query + together];
                let own =
                    |seen: &Range<usize>| seen.start.clamp(*at, end)..seen.end.clamp(*at, end);
                let common =
                    seen.iter().map(own).reduce(|a, b| a.start.max(b.start)..a.end.min(b.end));
                let common = common.unwrap_or(0..0);
                let read = &mut read[query * self.head..][..together * self.head];
                values.read_together(query, seen, common, end, read);
                query += together;
            }
        }
        Part { largest, total, read }
    }
}

/// The values of a block, and who reads how much of them.
struct Values<'a, S> {
    simd: S,
    head: usize,
    held: &'a [Vector],
    /// Position of the first of them.
    at: usize,
    /// `[queries, SPAN]`.
    shares: &'a [Vector],
}

impl<S: Simd> Values<'_, S> {
    /// A few queries: each by itself the keys that not all of them see.
    #[inline(always)]
    fn read_together(
        &mut self,
        first: usize,
        seen: &[Range<usize>],
        common: Range<usize>,
        end: usize,
        read: &mut [Vector],
    ) {
        let together = !common.is_empty() && seen.len() > 1;
        let (start, stop) = if together { (common.start, common.end) } else { (end, end) };
        for (index, seen) in seen.iter().enumerate() {
            let own = &mut read[index * self.head..][..self.head];
            let before = seen.start.max(self.at)..seen.end.min(start);
            self.read::<1>(first + index, before, own);
        }
        if !together {
            return;
        }
        match seen.len() {
            4 => self.read::<4>(first, common, read),
            3 => {
                let (two, one) = read.split_at_mut(2 * self.head);
                self.read::<2>(first, common.clone(), two);
                self.read::<1>(first + 2, common, one);
            }
            _ => self.read::<2>(first, common, read),
        }
        for (index, seen) in seen.iter().enumerate() {
            let own = &mut read[index * self.head..][..self.head];
            self.read::<1>(first + index, stop..seen.end.min(end), own);
        }
    }

    /// Adds the values at some positions, ascending, times the shares of `N` queries.
    #[inline(always)]
    fn read<const N: usize>(&mut self, first: usize, positions: Range<usize>, read: &mut [Vector]) {
        if positions.is_empty() {
            return;
        }
        let mut at = 0;
        while at + 4 <= self.head {
            self.columns::<N, 4>(first, positions.clone(), at, read);
            at += 4;
        }
        while at < self.head {
            self.columns::<N, 1>(first, positions.clone(), at, read);
            at += 1;
        }
    }

    #[inline(always)]
    fn columns<const N: usize, const C: usize>(
        &self,
        first: usize,
        positions: Range<usize>,
        column: usize,
        read: &mut [Vector],
    ) {
        let simd = self.simd;
        let mut sums = [[simd.splat(0.0); C]; N];
        for n in 0..N {
            let from = &read[n * self.head + column..][..C];
            for c in 0..C {
                sums[n][c] = simd.load(&from[c]);
            }
        }
        let width = SPAN / LANES;
        let mut shares: [&[f32]; N] = [&[]; N];
        for n in 0..N {
            let own = &self.shares[(first + n) * width..][..width];
            shares[n] = &flat(own)[positions.clone()];
        }
        let values = &self.held[(positions.start - self.at) * self.head..];
        for (index, value) in values.chunks_exact(self.head).take(positions.len()).enumerate() {
            let value = &value[column..][..C];
            let mut of = [simd.splat(0.0); C];
            for c in 0..C {
                of[c] = simd.load(&value[c]);
            }
            for n in 0..N {
                let share = simd.splat(shares[n][index]);
                for c in 0..C {
                    sums[n][c] = simd.fma(share, of[c], sums[n][c]);
                }
            }
        }
        for n in 0..N {
            let to = &mut read[n * self.head + column..][..C];
            for c in 0..C {
                simd.store(sums[n][c], &mut to[c]);
            }
        }
    }
}

/// Adds a later part to those before it.
pub(super) struct Merge<'a> {
    pub(super) sum: &'a mut Part,
    pub(super) part: &'a Part,
}

impl Kernel for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (sum, part) = (self.sum, self.part);
        let count = sum.total.len();
        let head = sum.read.len() / count.max(1);
        for query in 0..count {
            // No share is 0 of the largest score: a query that sees a key has a total of 1 or more.
            if part.total[query] == 0.0 {
                continue;
            }
            let (to, from) = (query * head, &part.read[query * head..][..head]);
            let to = &mut sum.read[to..to + head];
            if sum.total[query] == 0.0 {
                sum.largest[query] = part.largest[query];
                sum.total[query] = part.total[query];
                to.copy_from_slice(from);
                continue;
            }
            let largest = if part.largest[query] > sum.largest[query] {
                part.largest[query]
            } else {
                sum.largest[query]
            };
            let kept = exp(simd, simd.splat(sum.largest[query] - largest));
            let added = exp(simd, simd.splat(part.largest[query] - largest));
            for (to, from) in to.iter_mut().zip(from) {
                let from = simd.mul(simd.load(from), added);
                simd.store(simd.fma(simd.load(to), kept, from), to);
            }
            let mut total = Vector::ZERO;
            let from = simd.mul(simd.splat(part.total[query]), added);
            simd.store(simd.fma(simd.splat(sum.total[query]), kept, from), &mut total);
            sum.total[query] = total.0[0];
            sum.largest[query] = largest;
        }
    }
}

/// The dot product of a query and a key.
pub(super) struct Score<'a> {
    pub(super) query: &'a [Vector],
    pub(super) key: &'a [Vector],
}

impl Kernel for Score<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut score = [0.0];
        tiles(simd, self.query, self.query.len(), self.key, &mut score, 1, 0);
        score[0]
    }
}
