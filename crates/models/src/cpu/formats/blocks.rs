//! Blocks of 32 numbers.

use super::{Layout, Sink};
use crate::cpu::simd::Simd;

/// `d (q - 8)`: `d`, then 16 bytes, the low half of each for the first 16 numbers.
pub(in crate::cpu) struct Q4_0;
/// `d q + m`: `d`, `m`, and as in `Q4_0`.
pub(in crate::cpu) struct Q4_1;
/// `d (q - 16)`: `d`, the fifth bits of all numbers, and as in `Q4_0`.
pub(in crate::cpu) struct Q5_0;
/// `d q + m`: `d`, `m`, and as in `Q5_0`.
pub(in crate::cpu) struct Q5_1;
/// `d q`: `d`, then 32 signed bytes.
pub(in crate::cpu) struct Q8_0;

/// The `N` bytes from `START` on.
#[inline(always)]
pub(super) fn part<const START: usize, const N: usize>(block: &[u8]) -> &[u8; N] {
    block[START..].first_chunk().expect("a block is longer than what is in it")
}

#[inline(always)]
fn four<S: Simd>(simd: S, scale: S::F, offset: S::F, q: &[u8; 16], sink: &mut impl Sink<S>) {
    let (levels, q) = (simd.levels(scale, offset), simd.load_u8(q));
    sink.take(0, simd.level(levels, q));
    sink.take(1, simd.level(levels, simd.shr::<4>(q)));
}

#[inline(always)]
fn five<S: Simd>(
    simd: S,
    scale: S::F,
    offset: S::F,
    fifth: [u8; 4],
    q: &[u8; 16],
    sink: &mut impl Sink<S>,
) {
    let (levels, q) = (simd.wide_levels(scale, offset), simd.load_u8(q));
    let [a, b, c, d] = fifth;
    let fifth = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
    let low = simd.or(simd.and(q, simd.splat_u32(15)), simd.spread(fifth[0], 16));
    let high = simd.or(simd.shr::<4>(q), simd.spread(fifth[1], 16));
    sink.take(0, simd.wide_level(levels, low));
    sink.take(1, simd.wide_level(levels, high));
}

impl Layout for Q4_0 {
    type Block = [u8; 18];
    const GROUPS: usize = 2;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let d = simd.splat_half(*part::<0, 2>(block));
        four(simd, d, simd.mul(d, simd.splat(-8.0)), part::<2, 16>(block), sink);
    }
}

impl Layout for Q4_1 {
    type Block = [u8; 20];
    const GROUPS: usize = 2;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let d = simd.splat_half(*part::<0, 2>(block));
        let m = simd.splat_half(*part::<2, 2>(block));
        four(simd, d, m, part::<4, 16>(block), sink);
    }
}

impl Layout for Q5_0 {
    type Block = [u8; 22];
    const GROUPS: usize = 2;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let d = simd.splat_half(*part::<0, 2>(block));
        five(
            simd,
            d,
            simd.mul(d, simd.splat(-16.0)),
            *part::<2, 4>(block),
            part::<6, 16>(block),
            sink,
        );
    }
}

impl Layout for Q5_1 {
    type Block = [u8; 24];
    const GROUPS: usize = 2;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let d = simd.splat_half(*part::<0, 2>(block));
        let m = simd.splat_half(*part::<2, 2>(block));
        five(simd, d, m, *part::<4, 4>(block), part::<8, 16>(block), sink);
    }
}

impl Layout for Q8_0 {
    type Block = [u8; 34];
    const GROUPS: usize = 2;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let d = simd.splat_half(*part::<0, 2>(block));
        sink.take(0, simd.mul(d, simd.load_i8(part::<2, 16>(block))));
        sink.take(1, simd.mul(d, simd.load_i8(part::<18, 16>(block))));
    }
}
