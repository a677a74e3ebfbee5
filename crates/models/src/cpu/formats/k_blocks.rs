//! Blocks of 256 numbers, in parts of 16 or 32 with a scale each.

#![expect(clippy::needless_range_loop, reason = "arrays of registers, which iterators take apart")]

use super::blocks::part;
use super::{Layout, Sink};
use crate::cpu::simd::{Simd, Vector};

/// `d s q - m t`, 2 bits: 16 bytes of `s` and `t`, 64 of `q`, `d`, `m`.
pub(in crate::cpu) struct Q2K;
/// `d s (q - 4)`, 3 bits: 32 bytes of third bits, 64 of the others, 12 of `s`, `d`.
pub(in crate::cpu) struct Q3K;
/// `d s q - m t`, 4 bits: `d`, `m`, 12 bytes of `s` and `t`, 128 of `q`.
pub(in crate::cpu) struct Q4K;
/// `d s q - m t`, 5 bits: `d`, `m`, 12 bytes of `s` and `t`, 32 of fifth bits, 128 of the others.
pub(in crate::cpu) struct Q5K;
/// `d s (q - 32)`, 6 bits: 128 bytes of low bits, 64 of high bits, 16 of `s`, `d`.
pub(in crate::cpu) struct Q6K;

/// Scales and offsets of the parts of a block, in memory: a kernel spreads one of them over a vector
/// by loading it.
struct Scales {
    scale: Vector,
    offset: Vector,
}

impl Scales {
    /// `d` times some numbers and `m` times some others.
    #[inline(always)]
    fn new<S: Simd>(simd: S, [d, m]: [f32; 2], [scales, offsets]: [S::F; 2]) -> Self {
        let mut of = Self { scale: times(simd, d, scales), offset: times(simd, m, offsets) };
        // Keeps the compiler from taking them apart in registers, where each costs two shuffles.
        std::hint::black_box(&mut of);
        of
    }

    /// The scale of one part and the offset of one, in all lanes.
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, scale: usize, offset: usize) -> (S::F, S::F) {
        (simd.splat(self.scale.0[scale]), simd.splat(self.offset.0[offset]))
    }

    #[inline(always)]
    fn levels<S: Simd>(&self, simd: S, scale: usize, offset: usize) -> S::Levels {
        let (scale, offset) = self.of(simd, scale, offset);
        simd.levels(scale, offset)
    }

    #[inline(always)]
    fn wide_levels<S: Simd>(&self, simd: S, scale: usize, offset: usize) -> S::WideLevels {
        let (scale, offset) = self.of(simd, scale, offset);
        simd.wide_levels(scale, offset)
    }
}

/// `factor` times each.
#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, numbers: S::F) -> Vector {
    let mut product = Vector::ZERO;
    simd.store(simd.mul(numbers, simd.splat(factor)), &mut product);
    product
}

/// The eight scales and the eight offsets of `Q4K` and `Q5K`, six bits each.
#[inline(always)]
fn six_bits(packed: &[u8; 12]) -> [u8; 16] {
    let word = |at: usize| {
        u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], packed[at + 3]])
    };
    let [a, b, c] = [word(0), word(4), word(8)];
    let (six, four, two) = (0x3f3f_3f3f, 0x0f0f_0f0f, 0x0303_0303);
    let words = [
        a & six,
        (c & four) | (((a >> 6) & two) << 4),
        b & six,
        ((c >> 4) & four) | (((b >> 6) & two) << 4),
    ];
    let mut bytes = [0; 16];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

/// Of the first eight numbers of `scale` and the last eight of `offset`.
#[inline(always)]
fn scales_of_eight<S: Simd>(simd: S, d: [u8; 2], m: [u8; 2], packed: &[u8; 12]) -> Scales {
    let numbers = simd.to_f32(simd.load_u8(&six_bits(packed)));
    Scales::new(simd, [simd.half(d), -simd.half(m)], [numbers, numbers])
}

impl Layout for Q2K {
    type Block = [u8; 84];
    const GROUPS: usize = 16;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let packed = simd.load_u8(part::<0, 16>(block));
        let (d, m) = (simd.half(*part::<80, 2>(block)), simd.half(*part::<82, 2>(block)));
        let low = simd.to_f32(simd.and(packed, simd.splat_u32(15)));
        let high = simd.to_f32(simd.shr::<4>(packed));
        let of = Scales::new(simd, [d, -m], [low, high]);
        let (quarters, _) = part::<16, 64>(block).as_chunks::<16>();
        for half in 0..2 {
            let mut q = [simd.load_u8(&quarters[2 * half]), simd.load_u8(&quarters[2 * half + 1])];
            for pair in 0..4 {
                for side in 0..2 {
                    let group = 8 * half + 2 * pair + side;
                    let levels = of.levels(simd, group, group);
                    let own = simd.and(q[side], simd.splat_u32(3));
                    sink.take(group, simd.level(levels, own));
                    q[side] = simd.shr::<2>(q[side]);
                }
            }
        }
    }
}

/// The sixteen scales of `Q3K`, six bits each, less 32.
#[inline(always)]
fn signed_six_bits(packed: &[u8; 12]) -> [u8; 16] {
    std::array::from_fn(|index| {
        let low = packed[index % 8] >> (index / 8 * 4) & 15;
        let high = packed[8 + index % 4] >> (index / 4 * 2) & 3;
        (low | high << 4).wrapping_sub(32)
    })
}

impl Layout for Q3K {
    type Block = [u8; 110];
    const GROUPS: usize = 16;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let numbers = simd.load_i8(&signed_six_bits(part::<96, 12>(block)));
        let d = simd.half(*part::<108, 2>(block));
        let of = Scales::new(simd, [d, -4.0 * d], [numbers, numbers]);
        let (thirds, _) = part::<0, 32>(block).as_chunks::<16>();
        let mut third = [simd.load_u8(&thirds[0]), simd.load_u8(&thirds[1])];
        let (quarters, _) = part::<32, 64>(block).as_chunks::<16>();
        for half in 0..2 {
            let mut q = [simd.load_u8(&quarters[2 * half]), simd.load_u8(&quarters[2 * half + 1])];
            for pair in 0..4 {
                for side in 0..2 {
                    let group = 8 * half + 2 * pair + side;
                    let levels = of.levels(simd, group, group);
                    let low = simd.and(q[side], simd.splat_u32(3));
                    let high = simd.and(simd.shl::<2>(third[side]), simd.splat_u32(4));
                    sink.take(group, simd.level(levels, simd.or(low, high)));
                    q[side] = simd.shr::<2>(q[side]);
                    third[side] = simd.shr::<1>(third[side]);
                }
            }
        }
    }
}

impl Layout for Q4K {
    type Block = [u8; 144];
    const GROUPS: usize = 16;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let (d, m) = (*part::<0, 2>(block), *part::<2, 2>(block));
        let of = scales_of_eight(simd, d, m, part::<4, 12>(block));
        let (q, _) = part::<16, 128>(block).as_chunks::<16>();
        for pair in 0..4 {
            let q = [simd.load_u8(&q[2 * pair]), simd.load_u8(&q[2 * pair + 1])];
            let levels = of.levels(simd, 2 * pair, 8 + 2 * pair);
            sink.take(4 * pair, simd.level(levels, q[0]));
            sink.take(4 * pair + 1, simd.level(levels, q[1]));
            let levels = of.levels(simd, 2 * pair + 1, 9 + 2 * pair);
            sink.take(4 * pair + 2, simd.level(levels, simd.shr::<4>(q[0])));
            sink.take(4 * pair + 3, simd.level(levels, simd.shr::<4>(q[1])));
        }
    }
}

impl Layout for Q5K {
    type Block = [u8; 176];
    const GROUPS: usize = 16;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let (d, m) = (*part::<0, 2>(block), *part::<2, 2>(block));
        let of = scales_of_eight(simd, d, m, part::<4, 12>(block));
        let (fifth, _) = part::<16, 32>(block).as_chunks::<16>();
        let mut fifth = [simd.load_u8(&fifth[0]), simd.load_u8(&fifth[1])];
        let (q, _) = part::<48, 128>(block).as_chunks::<16>();
        let (four, one) = (simd.splat_u32(15), simd.splat_u32(16));
        for pair in 0..4 {
            let q = [simd.load_u8(&q[2 * pair]), simd.load_u8(&q[2 * pair + 1])];
            let levels = of.wide_levels(simd, 2 * pair, 8 + 2 * pair);
            for side in 0..2 {
                let high = simd.and(simd.shl::<4>(fifth[side]), one);
                let low = simd.and(q[side], four);
                sink.take(4 * pair + side, simd.wide_level(levels, simd.or(low, high)));
            }
            let levels = of.wide_levels(simd, 2 * pair + 1, 9 + 2 * pair);
            for side in 0..2 {
                let high = simd.and(simd.shl::<3>(fifth[side]), one);
                let low = simd.shr::<4>(q[side]);
                sink.take(4 * pair + 2 + side, simd.wide_level(levels, simd.or(low, high)));
                fifth[side] = simd.shr::<2>(fifth[side]);
            }
        }
    }
}

impl Layout for Q6K {
    type Block = [u8; 210];
    const GROUPS: usize = 16;

    #[inline(always)]
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
        row.as_chunks()
    }

    #[inline(always)]
    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
        let numbers = simd.load_i8(part::<192, 16>(block));
        let d = simd.half(*part::<208, 2>(block));
        let of = Scales::new(simd, [d, -32.0 * d], [numbers, numbers]);
        let (low, _) = part::<0, 128>(block).as_chunks::<16>();
        let (high, _) = part::<128, 64>(block).as_chunks::<16>();
        let (four, two) = (simd.splat_u32(15), simd.splat_u32(48));
        for half in 0..2 {
            let low: [S::U; 4] = [
                simd.load_u8(&low[4 * half]),
                simd.load_u8(&low[4 * half + 1]),
                simd.load_u8(&low[4 * half + 2]),
                simd.load_u8(&low[4 * half + 3]),
            ];
            let high = [simd.load_u8(&high[2 * half]), simd.load_u8(&high[2 * half + 1])];
            for group in 0..8 {
                let high = high[group % 2];
                let high = match group / 2 {
                    0 => simd.shl::<4>(high),
                    1 => simd.shl::<2>(high),
                    2 => high,
                    _ => simd.shr::<2>(high),
                };
                let low = low[group % 4];
                let low = if group < 4 { simd.and(low, four) } else { simd.shr::<4>(low) };
                let q = simd.to_f32(simd.or(low, simd.and(high, two)));
                let at = 8 * half + group;
                let (scale, offset) = of.of(simd, at, at);
                sink.take(at, simd.fma(scale, q, offset));
            }
        }
    }
}
