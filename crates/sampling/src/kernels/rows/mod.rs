//! A row as the passes see it: lanes, chunks and blocks; and what is computed value by value.
//!
//! ```text
//! values   0 ........ 15 | 16 ....... 31 | ... | 1008 .... 1023 | 1024 ...
//!          └ one row of  ┘                                      │
//!            LANES values                                       │
//!          └────────── chunk 0: ROWS rows, CHUNK values ────────┘ chunk 1 ...
//! block l of chunk c: lane l of its rows, that is values[c·CHUNK + l + r·LANES] over r
//! ```
//!
//! Block maxima ([`scan`](scan::scan)) say where a high value can be; a chunk without one is skipped. Masses
//! are summed chunk by chunk, so that a draw walks chunks before it walks tokens.

use alloc::vec::Vec;

use super::vectorised;

mod mass;
pub(crate) mod moments;
mod scan;
pub(crate) mod visits;

pub(in crate::kernels) use self::mass::Sum;
pub(crate) use self::mass::{
    Gaps, add_masses, chunk_masses, mass, mass_and_spread, mass_of, masses_into,
};
pub(crate) use self::scan::{chunk_maxima, scan};

/// Floats handled side by side: one AVX-512 register, four of SSE2.
pub(crate) const LANES: usize = 16;
/// Rows of lanes in a chunk; a block is one lane of one chunk.
pub(crate) const ROWS: usize = 64;
/// Consecutive values that share their block maxima, and whose masses are added up together.
pub(crate) const CHUNK: usize = LANES * ROWS;

/// Room for a chunk that begins where a cache line does: elsewhere every register that is written or read
/// lies across two.
#[repr(align(64))]
pub(crate) struct Room<T>(pub(crate) [T; CHUNK]);

/// `f` of a chunk, slot by slot, and `rest` past its end.
///
/// A loop of its own over the whole chunk: the compiler turns that into vector code whatever `f` is
/// made of, and the few lanes of a row only if it is simple enough.
#[inline(always)]
pub(crate) fn each_of(chunk: &[f32], f: impl Fn(f32) -> f32, rest: f32, out: &mut [f32; CHUNK]) {
    // Bits that are not used: a loop that adds something up is compiled with several steps side by side,
    // and any other so that each step waits for the one before.
    let mut bits = 0;
    for (slot, &value) in out.iter_mut().zip(chunk) {
        *slot = f(value);
        bits |= slot.to_bits();
    }
    core::hint::black_box(bits);
    for slot in out.iter_mut().skip(chunk.len()) {
        *slot = rest;
    }
}

/// The number of chunks that `len` values fall into.
pub(crate) const fn chunks_for(len: usize) -> usize {
    len.div_ceil(CHUNK)
}

/// The number of block maxima that [`scan`] leaves for `len` values.
pub(crate) const fn blocks_for(len: usize) -> usize {
    chunks_for(len) * LANES
}

/// `f` of each value.
pub(crate) fn map_into(values: &[f32], f: impl Fn(f32) -> f32 + Copy, out: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (slot, &value) in out.iter_mut().zip(values) {
                *slot = f(value);
            }
        },
    );
}

/// `f` of each value, behind what `out` has.
pub(crate) fn map_onto(values: &[f32], f: impl Fn(f32) -> f32 + Copy, out: &mut Vec<f32>) {
    vectorised(
        #[inline(always)]
        || out.extend(values.iter().map(|&value| f(value))),
    );
}
