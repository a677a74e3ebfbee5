//! Numbers that are stored one by one.

use super::{Layout, Sink};
use crate::cpu::simd::Simd;

pub(in crate::cpu) struct F32;
pub(in crate::cpu) struct F16;
pub(in crate::cpu) struct Bf16;

/// The first bytes of a block whose others are 0.
#[inline(always)]
fn padded<const N: usize>(rest: &[u8]) -> Option<[u8; N]> {
    let mut block = [0; N];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    (!rest.is_empty()).then_some(block)
}

macro_rules! plain {
    ($layout:ident, $bytes:literal, $load:ident) => {
        impl Layout for $layout {
            type Block = [u8; $bytes];
            const GROUPS: usize = 1;

            #[inline(always)]
            fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]) {
                row.as_chunks()
            }

            #[inline(always)]
            fn partial(rest: &[u8]) -> Option<Self::Block> {
                padded(rest)
            }

            #[inline(always)]
            fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>) {
                sink.take(0, simd.$load(block));
            }
        }
    };
}

plain!(F32, 64, load_f32);
plain!(F16, 32, load_f16);
plain!(Bf16, 32, load_bf16);
