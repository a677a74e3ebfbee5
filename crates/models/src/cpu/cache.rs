//! What a row leaves behind: keys, values and recurrent states, in `f32`.

use std::ops::Range;

use candle_core::{Error, Result};

use super::rows::vectors;
use super::simd::{LANES, Vector};
use crate::cache::{BLOCK, Layout};
use crate::spec::{DecoderSpec, MixerSpec};

/// Where in a block which attention has its keys and values.
#[derive(Debug)]
pub(super) struct CpuLayout {
    slots: Vec<Slot>,
    vectors: usize,
    recurrent: bool,
}

/// Of one attention: keys `[kv_heads, BLOCK, head_dim]`, then values of the same shape, each
/// `head_dim` padded to whole vectors.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: usize,
    kv_heads: usize,
    head: usize,
}

impl CpuLayout {
    pub(super) fn new(spec: &DecoderSpec) -> Self {
        let (mut slots, mut start) = (Vec::new(), 0);
        for mixer in spec.mixers() {
            let MixerSpec::Attention(attention) = mixer else { continue };
            let (kv_heads, head) = (attention.kv_heads, vectors(attention.head_dim));
            slots.push(Slot { start, kv_heads, head });
            start += 2 * kv_heads * BLOCK * head;
        }
        Self { slots, vectors: start, recurrent: spec.is_recurrent() }
    }

    /// Where the keys of one head are, and the values.
    fn heads(&self, slot: usize, kv_head: usize) -> [Range<usize>; 2] {
        let Slot { start, kv_heads, head } = self.slots[slot];
        let keys = start + kv_head * BLOCK * head;
        let values = keys + kv_heads * BLOCK * head;
        [keys, values].map(|start| start..start + BLOCK * head)
    }
}

/// Keys and values of [`BLOCK`] positions, of all attentions.
#[derive(Debug, Clone)]
pub(super) struct Block(Vec<Vector>);

impl Block {
    /// Keys and values of one head, `[BLOCK, head_dim]` each.
    pub(super) fn head(&self, layout: &CpuLayout, slot: usize, kv_head: usize) -> [&[Vector]; 2] {
        layout.heads(slot, kv_head).map(|range| &self.0[range])
    }

    /// Writes the key and the value of one head at a place of the block.
    pub(super) fn write(
        &mut self,
        layout: &CpuLayout,
        slot: usize,
        kv_head: usize,
        place: usize,
        [key, value]: [&[Vector]; 2],
    ) {
        let [keys, values] = layout.heads(slot, kv_head);
        self.0[keys][place * key.len()..][..key.len()].copy_from_slice(key);
        self.0[values][place * value.len()..][..value.len()].copy_from_slice(value);
    }
}

/// What one recurrent mixer remembers of a row.
#[derive(Debug, Clone)]
pub(super) struct Recurrent {
    /// The last inputs of the convolution, `[kernel - 1, channels]`.
    pub(super) inputs: Vec<Vector>,
    /// `[heads, head_dim, state_size]`.
    pub(super) state: Vec<Vector>,
}

fn zeros(count: usize) -> Result<Vec<Vector>> {
    let mut vectors = Vec::new();
    let lack = |_| Error::msg(format!("no memory for {count} vectors of a state"));
    vectors.try_reserve_exact(count).map_err(lack)?;
    vectors.resize(count, Vector::ZERO);
    Ok(vectors)
}

impl Layout for CpuLayout {
    type Block = Block;
    type Recurrent = Recurrent;

    fn block(&self) -> Result<Block> {
        zeros(self.vectors).map(Block)
    }

    fn duplicate(&self, block: &Block) -> Result<Block> {
        Ok(block.clone())
    }

    fn block_bytes(&self) -> usize {
        self.vectors * LANES * size_of::<f32>()
    }

    fn recurrent_bytes(&self, recurrent: &Recurrent) -> usize {
        (recurrent.inputs.len() + recurrent.state.len()) * LANES * size_of::<f32>()
    }

    fn is_recurrent(&self) -> bool {
        self.recurrent
    }
}
