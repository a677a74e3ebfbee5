//! Showing a pass to an [`Observer`].

use candle_core::{DType, Result, Tensor};

use super::context::Segment;
use crate::observe::{AttentionWeights, HiddenStates, Observable, Observe, Observer};
use crate::spec::{DecoderSpec, LayerSpec, MixerSpec};

/// An observer, with what the layers do not know of themselves.
pub(super) struct Watch<'w> {
    observer: &'w mut dyn Observer,
    wants: Observe,
    /// The layer of each attention, by its number among the attentions.
    layers: Vec<usize>,
}

impl<'w> Watch<'w> {
    pub(super) fn new(observer: &'w mut dyn Observer, spec: &DecoderSpec) -> Self {
        let layers = spec.layers.iter().enumerate();
        let layers = layers.flat_map(|(index, layer)| attentions(layer).map(move |_| index));
        Self { wants: observer.wants(), layers: layers.collect(), observer }
    }

    pub(super) fn wants(&self) -> Observe {
        self.wants
    }

    /// `x` is `[n, hidden_size]`, the tokens of the segments one after the other.
    pub(super) fn hidden(&mut self, segments: &[Segment], index: usize, x: &Tensor) -> Result<()> {
        let numbers = on_host(x)?;
        let (mut rest, hidden_size) = (&numbers[..], x.dim(1)?);
        for segment in segments {
            let (values, after) = rest.split_at(segment.tokens.len() * hidden_size);
            let (row, position) = (segment.row, segment.position);
            self.observer.hidden(&HiddenStates { row, position, index, hidden_size, values });
            rest = after;
        }
        Ok(())
    }

    /// `values` is `[heads, tokens of the segment, keys]`, the keys from position `first_key` on.
    pub(super) fn attention(
        &mut self,
        segment: &Segment,
        slot: usize,
        heads: usize,
        first_key: usize,
        values: &[f32],
    ) {
        self.observer.attention(&AttentionWeights {
            row: segment.row,
            position: segment.position,
            layer: self.layers[slot],
            heads,
            first_key,
            keys: values.len() / (heads * segment.tokens.len()),
            values,
        });
    }
}

/// All numbers of a tensor, in order.
pub(super) fn on_host(x: &Tensor) -> Result<Vec<f32>> {
    x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// The numbers of heads of a layer's attentions.
fn attentions(layer: &LayerSpec) -> impl Iterator<Item = usize> {
    let mixers = layer.blocks.iter().flat_map(|block| &block.mixers);
    mixers.filter_map(|mixer| match mixer {
        MixerSpec::Attention(attention) => Some(attention.heads),
        _ => None,
    })
}

impl DecoderSpec {
    /// What can be observed of the model.
    pub(super) fn observable(&self) -> Observable {
        let heads = self.layers.iter().map(|layer| attentions(layer).next());
        Observable::new(self.hidden_size, heads.collect())
    }
}
