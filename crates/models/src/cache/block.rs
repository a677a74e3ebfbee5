//! A block: the keys and values of a fixed number of positions, of all attentions.

use candle_core::{DType, Device, Result, Tensor};

use super::{Layout, Recurrent};
use crate::spec::{DecoderSpec, MixerSpec};

/// Positions in a block. Small enough that a short row is cheap and a copy on divergence costs
/// little, large enough that a long row needs few matrix products.
pub(crate) const BLOCK: usize = 64;

/// The shape of what one position leaves behind, as tensors of the library.
#[derive(Debug)]
pub(crate) struct CacheLayout {
    /// Key heads and their width, per attention.
    attentions: Vec<(usize, usize)>,
    /// Whether there are mixers that remember a state instead.
    recurrent: bool,
    dtype: DType,
    device: Device,
}

impl CacheLayout {
    pub(crate) fn new(spec: &DecoderSpec, dtype: DType, device: &Device) -> Self {
        let attentions = spec.mixers().filter_map(|mixer| match mixer {
            MixerSpec::Attention(attention) => Some((attention.kv_heads, attention.head_dim)),
            _ => None,
        });
        Self {
            attentions: attentions.collect(),
            recurrent: spec.is_recurrent(),
            dtype,
            device: device.clone(),
        }
    }
}

impl Layout for CacheLayout {
    type Block = Block;
    type Recurrent = Recurrent;

    fn block(&self) -> Result<Block> {
        Block::new(self)
    }

    fn duplicate(&self, block: &Block) -> Result<Block> {
        block.duplicate()
    }

    fn block_bytes(&self) -> usize {
        let numbers: usize = self.attentions.iter().map(|(heads, dim)| heads * dim).sum();
        2 * BLOCK * numbers * self.dtype.size_in_bytes()
    }

    fn recurrent_bytes(&self, recurrent: &Recurrent) -> usize {
        recurrent.bytes()
    }

    fn is_recurrent(&self) -> bool {
        self.recurrent
    }
}

/// Keys and values of one attention, each `[kv_heads, positions, head_dim]`.
#[derive(Debug)]
pub(crate) struct KeyValues {
    pub(crate) keys: Tensor,
    pub(crate) values: Tensor,
}

#[derive(Debug)]
pub(crate) struct Block(Vec<KeyValues>);

impl Block {
    pub(super) fn new(layout: &CacheLayout) -> Result<Self> {
        let empty = |&(heads, dim): &(usize, usize)| {
            let zeros = || Tensor::zeros((heads, BLOCK, dim), layout.dtype, &layout.device);
            Ok(KeyValues { keys: zeros()?, values: zeros()? })
        };
        layout.attentions.iter().map(empty).collect::<Result<_>>().map(Self)
    }

    pub(super) fn slot(&self, index: usize) -> &KeyValues {
        &self.0[index]
    }

    /// A copy of the numbers. (`Tensor::clone` would share them, and blocks are written in place.)
    pub(super) fn duplicate(&self) -> Result<Self> {
        let copy = |layer: &KeyValues| {
            Ok(KeyValues { keys: layer.keys.copy()?, values: layer.values.copy()? })
        };
        self.0.iter().map(copy).collect::<Result<_>>().map(Self)
    }
}
