//! The one decoder: a [`DecoderSpec`] with its weights.

mod attention;
mod context;
mod cpu;
mod experts;
mod inference;
mod kernels;
mod layers;
mod mamba;
mod parts;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use self::context::{CausalBatch, Context};
use self::kernels::{Kernels, Rotation};
use self::layers::{Layer, Slots};
use self::parts::{Linear, Norm};
use crate::cache::CacheLayout;
use crate::load::LoadError;
use crate::spec::{DecoderSpec, HeadSpec};
use crate::weights::{Matrix, TensorSource, Weights};

/// A model: the weights that a [`DecoderSpec`] asks for, ready to compute.
#[derive(Debug)]
pub struct Decoder {
    spec: DecoderSpec,
    embedding: Matrix,
    /// One row for each position, in models that learn where they are.
    positions: Option<Tensor>,
    /// Each distinct rotation; layers refer to it by index.
    rotations: Vec<Rotation>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
    /// The weights by name, as they were handed out.
    tensors: Vec<(String, Matrix)>,
    cache_layout: Arc<CacheLayout>,
    dtype: DType,
    device: Device,
}

impl Decoder {
    /// Takes the tensors that `spec` asks for from `source`.
    ///
    /// Matrices are held in `dtype`, or in the blocks that the source has them in; norms, rotations, softmax and logits are `f32` whatever it is.
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
        let weights = Weights::new(source, &spec.naming, &spec.embedding.weight, dtype, device);
        let hidden = spec.hidden_size;
        let embedding = weights.matrix(&spec.embedding.weight, &[spec.vocab_size, hidden])?;
        let positions = spec.embedding.positions.as_ref();
        let positions = positions.map(|name| weights.get(name, &[spec.context_length, hidden]));
        let rotations = spec.rotations();
        let mut slots = Slots::default();
        let layers =
            spec.layers.iter().map(|layer| Layer::new(layer, &mut slots, &rotations, &weights));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            norm: Norm::new(&spec.norm, &weights)?,
            head: match &spec.head {
                HeadSpec::Tied => Linear::without_bias(embedding.clone()),
                HeadSpec::Separate(head) => Linear::new(head, &weights)?,
            },
            rotations: rotations
                .into_iter()
                .map(|rope| Rotation::new(rope, device))
                .collect::<candle_core::Result<_>>()?,
            embedding,
            positions: positions.transpose()?,
            tensors: weights.handed_out(),
            cache_layout: Arc::new(CacheLayout::new(spec, dtype, device)),
            spec: spec.clone(),
            dtype,
            device: device.clone(),
        })
    }

    /// What the model is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// The weights under the names that their source has for them, as they are held.
    pub(crate) fn tensors(&self) -> &[(String, Matrix)] {
        &self.tensors
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
        let mut context = CausalBatch::new(batch, time, &self.device);
        let hidden = self.hidden(&ids.flatten_all()?, &positions, &mut context)?;
        let logits = self.logits(&hidden, Kernels::Differentiable)?;
        logits.reshape((batch, time, self.spec.vocab_size))
    }

    /// The residual stream `[n, hidden_size]` after the last layer, for `n` tokens of which
    /// `context` knows which positions a position may look at.
    fn hidden(
        &self,
        ids: &Tensor,
        positions: &[usize],
        context: &mut dyn Context,
    ) -> candle_core::Result<Tensor> {
        let angles = (self.rotations.iter())
            .map(|rotation| rotation.at(positions))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let mut x = self.embed(ids, positions)?;
        for (index, layer) in self.layers.iter().enumerate() {
            context.show(index, &x)?;
            x = layer.forward(&x, &angles, context)?;
        }
        Ok(x)
    }

    /// `[n]` ids to `[n, hidden_size]`.
    fn embed(&self, ids: &Tensor, positions: &[usize]) -> candle_core::Result<Tensor> {
        let mut x = match &self.embedding {
            Matrix::Plain(table) => table.index_select(ids, 0)?,
            Matrix::Blocks(table) => table.embedding(ids)?.to_dtype(self.dtype)?,
        };
        if let Some(scale) = self.spec.embedding.scale {
            x = (x * scale)?;
        }
        if let Some(table) = &self.positions {
            let positions: Vec<u32> = positions.iter().map(|position| *position as u32).collect();
            x = (x + table.index_select(&Tensor::new(positions, &self.device)?, 0)?)?;
        }
        Ok(x)
    }

    /// `[n, hidden_size]` to `[n, vocab_size]` in `f32`.
    fn logits(&self, hidden: &Tensor, kernels: Kernels) -> candle_core::Result<Tensor> {
        let normed = self.norm.forward(hidden, kernels)?;
        let logits = self.head.forward(&normed, kernels)?.to_dtype(DType::F32)?;
        match self.spec.logit_softcap {
            Some(cap) => (logits / cap)?.tanh()? * cap,
            None => Ok(logits),
        }
    }
}
