//! Layers and their blocks.

use candle_core::{Result, Tensor};

use super::attention::Attention;
use super::context::Context;
use super::experts::Experts;
use super::kernels::Angles;
use super::mamba::Mamba;
use super::parts::{Mlp, Norm};
use crate::spec::{BlockSpec, LayerSpec, MixerSpec, RopeSpec};
use crate::weights::{Weights, WeightsError};

/// Numbers the mixers that remember something, each kind by itself: that is how the caches of a
/// state know them.
#[derive(Debug, Default)]
pub(super) struct Slots {
    attention: usize,
    recurrent: usize,
}

fn take(slot: &mut usize) -> usize {
    *slot += 1;
    *slot - 1
}

#[derive(Debug)]
pub(super) struct Layer(Vec<Block>);

impl Layer {
    /// `rotations` are those of the decoder, each once.
    pub(super) fn new(
        spec: &LayerSpec,
        slots: &mut Slots,
        rotations: &[&RopeSpec],
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let blocks = spec.blocks.iter().map(|block| Block::new(block, slots, rotations, weights));
        blocks.collect::<std::result::Result<_, _>>().map(Self)
    }

    /// `x` and the result are `[n, hidden_size]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        angles: &[Angles],
        context: &mut dyn Context,
    ) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, block| block.forward(&x, angles, context))
    }
}

#[derive(Debug)]
struct Block {
    norm: Norm,
    mixers: Vec<Mixer>,
    post_norm: Option<Norm>,
}

impl Block {
    fn new(
        spec: &BlockSpec,
        slots: &mut Slots,
        rotations: &[&RopeSpec],
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let mixers = spec.mixers.iter().map(|mixer| Mixer::new(mixer, slots, rotations, weights));
        let post_norm = spec.post_norm.as_ref().map(|norm| Norm::new(norm, weights));
        Ok(Self {
            norm: Norm::new(&spec.norm, weights)?,
            mixers: mixers.collect::<std::result::Result<_, _>>()?,
            post_norm: post_norm.transpose()?,
        })
    }

    fn forward(&self, x: &Tensor, angles: &[Angles], context: &mut dyn Context) -> Result<Tensor> {
        let normed = self.norm.forward(x, context.kernels())?;
        let mut sum = x.clone();
        for mixer in &self.mixers {
            let mixed = mixer.forward(&normed, angles, context)?;
            sum = (sum
                + match &self.post_norm {
                    Some(norm) => norm.forward(&mixed, context.kernels())?,
                    None => mixed,
                })?;
        }
        Ok(sum)
    }
}

#[derive(Debug)]
enum Mixer {
    Attention(Box<Attention>),
    Mamba(Box<Mamba>),
    Mlp(Mlp),
    Experts(Box<Experts>),
}

impl Mixer {
    fn new(
        spec: &MixerSpec,
        slots: &mut Slots,
        rotations: &[&RopeSpec],
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        Ok(match spec {
            MixerSpec::Attention(spec) => {
                let rotation = rotations.iter().position(|rope| Some(*rope) == spec.rope.as_ref());
                let slot = take(&mut slots.attention);
                Self::Attention(Box::new(Attention::new(spec, slot, rotation, weights)?))
            }
            MixerSpec::Mamba(spec) => {
                Self::Mamba(Box::new(Mamba::new(spec, take(&mut slots.recurrent), weights)?))
            }
            MixerSpec::Mlp(spec) => Self::Mlp(Mlp::new(spec, weights)?),
            MixerSpec::Experts(spec) => Self::Experts(Box::new(Experts::new(spec, weights)?)),
        })
    }

    fn forward(&self, x: &Tensor, angles: &[Angles], context: &mut dyn Context) -> Result<Tensor> {
        match self {
            Self::Attention(attention) => attention.forward(x, angles, context),
            Self::Mamba(mamba) => mamba.forward(x, context),
            Self::Mlp(mlp) => mlp.forward(x, context.kernels()),
            Self::Experts(experts) => experts.forward(x, context.kernels()),
        }
    }
}
