//! The one decoder: a [`DecoderSpec`] with its weights.

mod attend;
mod cpu;
mod inference;
mod kernels;
mod layers;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use self::attend::{Attend, CausalBatch};
use self::kernels::{Angles, Kernels};
use self::layers::{Layer, Linear, RmsNorm};
use crate::cache::CacheLayout;
use crate::load::LoadError;
use crate::spec::{DecoderSpec, HeadSpec, RopeSpec};
use crate::weights::{TensorSource, Weights};

/// A model: the weights that a [`DecoderSpec`] asks for, ready to compute.
#[derive(Debug)]
pub struct Decoder {
    spec: DecoderSpec,
    embedding: Tensor,
    /// Frequencies of each distinct rotation; layers refer to it by index.
    rotations: Vec<Vec<f32>>,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    cache_layout: Arc<CacheLayout>,
    device: Device,
}

impl Decoder {
    /// Takes the tensors that `spec` asks for from `source`.
    ///
    /// Matrices are held in `dtype`; norms, rotations, softmax and logits are `f32` whatever it is.
    /// Tensors that have the type and the device already are shared, not copied: the decoder of a
    /// map of [`Var`](candle_core::Var)s follows every step of an optimiser over them.
    ///
    /// # Errors
    ///
    /// When a tensor is missing or has another shape than the spec says, and when the tensor
    /// library fails (it names a type or a device that it cannot serve).
    pub fn new(
        spec: &DecoderSpec,
        source: &dyn TensorSource,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, LoadError> {
        let weights = Weights { source, dtype, device };
        let embedding = weights.get(&spec.embedding, &[spec.vocab_size, spec.hidden_size])?;
        let rotations = distinct_rotations(spec);
        let layers = spec.layers.iter().map(|layer| {
            let rotation =
                rotations.iter().position(|rope| Some(*rope) == layer.attention.rope.as_ref());
            Layer::new(layer, rotation, &weights)
        });
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            norm: RmsNorm::new(&spec.norm, &weights)?,
            head: match &spec.head {
                HeadSpec::Tied => Linear::without_bias(embedding.clone()),
                HeadSpec::Separate(head) => Linear::new(head, &weights)?,
            },
            rotations: rotations.into_iter().map(RopeSpec::frequencies).collect(),
            embedding,
            cache_layout: Arc::new(CacheLayout::new(spec, dtype, device)),
            spec: spec.clone(),
            device: device.clone(),
        })
    }

    /// What the model is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// The differentiable mode: logits `[batch, time, vocab_size]` in `f32` for token ids
    /// `[batch, time]` (`u32`), every row starting at position 0.
    ///
    /// It computes what decoding computes, from operations that have a gradient (the fused kernels
    /// of decoding have none), and keeps no cache.
    ///
    /// # Errors
    ///
    /// When the ids are not a `u32` tensor of two dimensions on the decoder's device, or lie beyond
    /// the vocabulary.
    pub fn forward_train(&self, ids: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, time) = ids.dims2()?;
        let positions: Vec<usize> = (0..batch).flat_map(|_| 0..time).collect();
        let mut attend = CausalBatch::new(batch, time, &self.device);
        let hidden = self.hidden(&ids.flatten_all()?, &positions, &mut attend)?;
        let logits = self.logits(&hidden, Kernels::Differentiable)?;
        logits.reshape((batch, time, self.spec.vocab_size))
    }

    /// The residual stream `[n, hidden_size]` after the last layer, for `n` tokens of which
    /// `attend` knows who may look at whom.
    fn hidden(
        &self,
        ids: &Tensor,
        positions: &[usize],
        attend: &mut dyn Attend,
    ) -> candle_core::Result<Tensor> {
        let angles = (self.rotations.iter())
            .map(|frequencies| Angles::new(frequencies, positions, &self.device))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let mut x = self.embedding.index_select(ids, 0)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, index, &angles, attend)?;
        }
        Ok(x)
    }

    /// `[n, hidden_size]` to `[n, vocab_size]` in `f32`.
    fn logits(&self, hidden: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        let normed = self.norm.forward(hidden, kernels)?;
        self.head.forward(&normed, kernels)?.to_dtype(DType::F32)
    }
}

/// The rotations that occur in the layers, each once.
fn distinct_rotations(spec: &DecoderSpec) -> Vec<&RopeSpec> {
    let mut distinct = Vec::new();
    for rope in spec.layers.iter().filter_map(|layer| layer.attention.rope.as_ref()) {
        if !distinct.contains(&rope) {
            distinct.push(rope);
        }
    }
    distinct
}
