//! How weights lie in memory, and what number each of them is.
//!
//! Every weight is `fma(scale, q, offset)` of a whole number `q`, rounded once, or a number as it is
//! stored. `scale` and `offset` are exact: they are products of an `f16` and of at most eight bits.
//!
//! The layouts are those of ggml (`ggml-common.h`, `ggml-quants.c` of llama.cpp).

mod blocks;
mod k_blocks;
mod plain;
#[cfg(test)]
mod tests;

pub(super) use self::blocks::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
pub(super) use self::k_blocks::{Q2K, Q3K, Q4K, Q5K, Q6K};
pub(super) use self::plain::{Bf16, F16, F32};
use super::simd::Simd;

/// The type that weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

/// Calls a generic function with the [`Layout`] of a [`Format`].
macro_rules! with_layout {
    ($format:expr, $layout:ident => $call:expr) => {
        match $format {
            $crate::cpu::formats::Format::F32 => {
                type $layout = $crate::cpu::formats::F32;
                $call
            }
            $crate::cpu::formats::Format::F16 => {
                type $layout = $crate::cpu::formats::F16;
                $call
            }
            $crate::cpu::formats::Format::Bf16 => {
                type $layout = $crate::cpu::formats::Bf16;
                $call
            }
            $crate::cpu::formats::Format::Q4_0 => {
                type $layout = $crate::cpu::formats::Q4_0;
                $call
            }
            $crate::cpu::formats::Format::Q4_1 => {
                type $layout = $crate::cpu::formats::Q4_1;
                $call
            }
            $crate::cpu::formats::Format::Q5_0 => {
                type $layout = $crate::cpu::formats::Q5_0;
                $call
            }
            $crate::cpu::formats::Format::Q5_1 => {
                type $layout = $crate::cpu::formats::Q5_1;
                $call
            }
            $crate::cpu::formats::Format::Q8_0 => {
                type $layout = $crate::cpu::formats::Q8_0;
                $call
            }
            $crate::cpu::formats::Format::Q2K => {
                type $layout = $crate::cpu::formats::Q2K;
                $call
            }
            $crate::cpu::formats::Format::Q3K => {
                type $layout = $crate::cpu::formats::Q3K;
                $call
            }
            $crate::cpu::formats::Format::Q4K => {
                type $layout = $crate::cpu::formats::Q4K;
                $call
            }
            $crate::cpu::formats::Format::Q5K => {
                type $layout = $crate::cpu::formats::Q5K;
                $call
            }
            $crate::cpu::formats::Format::Q6K => {
                type $layout = $crate::cpu::formats::Q6K;
                $call
            }
        }
    };
}
pub(super) use with_layout;

impl Format {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Numbers in a block: 1 where each is stored by itself.
    pub(crate) fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes in a block.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of so many numbers, which are whole blocks.
    pub(crate) fn bytes(self, numbers: usize) -> usize {
        numbers / self.block() * self.block_bytes()
    }
}

/// Takes decoded weights, sixteen at a time.
pub(super) trait Sink<S: Simd> {
    /// `group` counts vectors from the start of the block, and ascends.
    fn take(&mut self, group: usize, weights: S::F);
}

/// The layout of one [`Format`].
pub(super) trait Layout {
    /// The bytes that are decoded at once.
    type Block: Copy;
    /// How many vectors they are.
    const GROUPS: usize;

    /// The whole blocks of a row, and what is left.
    fn blocks(row: &[u8]) -> (&[Self::Block], &[u8]);

    /// A block of which only the first bytes are there; the others are 0.
    fn partial(_rest: &[u8]) -> Option<Self::Block> {
        None
    }

    fn decode<S: Simd>(simd: S, block: &Self::Block, sink: &mut impl Sink<S>);
}
