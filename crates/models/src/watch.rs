//! Showing a pass to an [`Observer`].

use crate::observe::{AttentionWeights, HiddenStates, Observable, Observe, Observer};
use crate::passes::Segment;
use crate::spec::{DecoderSpec, LayerSpec, MixerSpec};

/// An observer, with what the layers do not know of themselves.
pub(crate) struct Watch<'w> {
    observer: &'w mut dyn Observer,
    wants: Observe,
    /// The layer of each attention, by its number among the attentions.
    layers: Vec<usize>,
}

impl<'w> Watch<'w> {
    pub(crate) fn new(observer: &'w mut dyn Observer, spec: &DecoderSpec) -> Self {
        let layers = spec.layers.iter().enumerate();
        let layers = layers.flat_map(|(index, layer)| attentions(layer).map(move |_| index));
        Self { wants: observer.wants(), layers: layers.collect(), observer }
    }

    pub(crate) fn wants(&self) -> Observe {
        self.wants
    }

    /// `numbers` is `[n, hidden_size]`, the tokens of the segments one after the other.
    pub(crate) fn hidden(
        &mut self,
        segments: &[Segment],
        index: usize,
        hidden_size: usize,
        numbers: &[f32],
    ) {
        let mut rest = numbers;
        for segment in segments {
            let (values, after) = rest.split_at(segment.tokens.len() * hidden_size);
            let (row, position) = (segment.row, segment.position);
            self.observer.hidden(&HiddenStates { row, position, index, hidden_size, values });
            rest = after;
        }
    }

    /// `values` is `[heads, tokens of the segment, keys]`, the keys from position `first_key` on.
    pub(crate) fn attention(
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
    pub(crate) fn observable(&self) -> Observable {
        let heads = self.layers.iter().map(|layer| attentions(layer).next());
        Observable::new(self.hidden_size, heads.collect())
    }
}
