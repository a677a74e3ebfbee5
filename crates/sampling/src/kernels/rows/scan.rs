//! The first pass over a row: its largest value, whether it holds a NaN, its block maxima.

use alloc::vec::Vec;

use super::{CHUNK, LANES};
use crate::kernels::vectorised;

/// Rows of lanes that are compared with each other before one is with what was found, which is a chain.
const SIDE: usize = 8;

/// What a first pass over a row finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    /// The largest value, or at most that if there is a NaN; −∞ for an empty row.
    pub(crate) max: f32,
    /// Whether any value is NaN.
    pub(crate) nan: bool,
}

/// The largest value, whether a NaN hides among them, and the block maxima: `block_max` receives
/// for chunk `c` and lane `l` the largest of `values[c·CHUNK + l + r·LANES]` over `r`.
pub(crate) fn scan(values: &[f32], block_max: &mut Vec<f32>) -> Scan {
    block_max.clear();
    vectorised(
        #[inline(always)]
        || {
            let (mut top, mut nan) = ([f32::NEG_INFINITY; LANES], [0_u32; LANES]);
            for chunk in values.chunks(CHUNK) {
                let (parts, rest) = chunk.as_chunks::<{ SIDE * LANES }>();
                let mut max = largest(parts, &mut nan);
                if !rest.is_empty() {
                    let mut last = [[f32::NEG_INFINITY; SIDE * LANES]];
                    last[0][..rest.len()].copy_from_slice(rest);
                    let last = largest(&last, &mut nan);
                    for lane in 0..LANES {
                        max[lane] = if last[lane] > max[lane] { last[lane] } else { max[lane] };
                    }
                }
                block_max.extend_from_slice(&max);
                for lane in 0..LANES {
                    top[lane] = if max[lane] > top[lane] { max[lane] } else { top[lane] };
                }
            }
            let max = top.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            Scan { max, nan: nan.iter().any(|&n| n != 0) }
        },
    )
}

/// The block maxima of a chunk.
pub(crate) fn chunk_maxima(chunk: &[f32; CHUNK]) -> [f32; LANES] {
    vectorised(
        #[inline(always)]
        || largest(chunk.as_chunks().0, &mut [0; LANES]),
    )
}

/// The largest of each lane.
#[inline(always)]
fn largest(parts: &[[f32; SIDE * LANES]], nan: &mut [u32; LANES]) -> [f32; LANES] {
    let mut max = [f32::NEG_INFINITY; LANES];
    let mut bad = *nan;
    for part in parts {
        for lane in 0..LANES {
            let of = |row: usize| part[row * LANES + lane];
            let larger = |a: f32, b: f32| if b > a { b } else { a };
            let four = |r: usize| larger(larger(of(r), of(r + 1)), larger(of(r + 2), of(r + 3)));
            max[lane] = larger(larger(four(0), four(4)), max[lane]);
            let mut nan = false;
            for row in 0..SIDE {
                nan |= of(row).is_nan();
            }
            bad[lane] |= u32::from(nan);
        }
    }
    *nan = bad;
    max
}
