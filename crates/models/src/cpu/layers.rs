//! Layers and their blocks.

use super::attention::Attention;
use super::decoder::Pass;
use super::engine::Engine;
use super::experts::Experts;
use super::mamba::Mamba;
use super::math::Add;
use super::parts::{Mlp, Norm};
use super::rows::Rows;
use crate::spec::{BlockSpec, LayerSpec, MixerSpec, RopeSpec};
use crate::weights::{Source, WeightsError};

/// Builds layers, and numbers the mixers that remember something, each kind by itself: that is how
/// the caches of a state know them.
pub(super) struct Builder<'a> {
    pub(super) engine: &'a Engine,
    pub(super) weights: &'a Source<'a>,
    /// The rotations of the decoder, each once.
    pub(super) rotations: &'a [&'a RopeSpec],
    pub(super) attentions: usize,
    pub(super) recurrent: usize,
}

#[derive(Debug)]
pub(super) struct Layer(Vec<Block>);

#[derive(Debug)]
struct Block {
    norm: Norm,
    mixers: Vec<Mixer>,
    post_norm: Option<Norm>,
}

#[derive(Debug)]
enum Mixer {
    Attention(Box<Attention>),
    Mamba(Box<Mamba>),
    Mlp(Box<Mlp>),
    Experts(Box<Experts>),
}

impl Builder<'_> {
    pub(super) fn layer(&mut self, spec: &LayerSpec) -> Result<Layer, WeightsError> {
        spec.blocks.iter().map(|block| self.block(block)).collect::<Result<_, _>>().map(Layer)
    }

    fn block(&mut self, spec: &BlockSpec) -> Result<Block, WeightsError> {
        let post_norm = spec.post_norm.as_ref().map(|norm| Norm::new(norm, self.weights));
        Ok(Block {
            norm: Norm::new(&spec.norm, self.weights)?,
            mixers: spec.mixers.iter().map(|mixer| self.mixer(mixer)).collect::<Result<_, _>>()?,
            post_norm: post_norm.transpose()?,
        })
    }

    fn mixer(&mut self, spec: &MixerSpec) -> Result<Mixer, WeightsError> {
        Ok(match spec {
            MixerSpec::Attention(spec) => {
                let rotation =
                    self.rotations.iter().position(|rope| Some(*rope) == spec.rope.as_ref());
                let slot = self.attentions;
                self.attentions += 1;
                Mixer::Attention(Box::new(Attention::new(spec, slot, rotation, self.weights)?))
            }
            MixerSpec::Mamba(spec) => {
                let slot = self.recurrent;
                self.recurrent += 1;
                Mixer::Mamba(Box::new(Mamba::new(spec, slot, self.engine, self.weights)?))
            }
            MixerSpec::Mlp(spec) => Mixer::Mlp(Box::new(Mlp::new(spec, self.weights)?)),
            MixerSpec::Experts(spec) => Mixer::Experts(Box::new(Experts::new(spec, self.weights)?)),
        })
    }
}

impl Layer {
    /// Adds to the residual stream `x`, rows `[hidden_size]`.
    pub(super) fn forward(&self, engine: &Engine, x: &mut Rows, pass: &mut Pass<'_, '_>) {
        for block in &self.0 {
            block.forward(engine, x, pass);
        }
    }

    /// Multiplications for each row.
    pub(super) fn size(&self) -> usize {
        let mixers = self.0.iter().flat_map(|block| &block.mixers);
        mixers
            .map(|mixer| match mixer {
                Mixer::Attention(attention) => attention.size(),
                Mixer::Mamba(mamba) => mamba.size(),
                Mixer::Mlp(mlp) => mlp.size(),
                Mixer::Experts(experts) => experts.size(),
            })
            .sum()
    }
}

impl Block {
    fn forward(&self, engine: &Engine, x: &mut Rows, pass: &mut Pass<'_, '_>) {
        let normed = self.norm.forward(engine, x);
        for mixer in &self.mixers {
            let mut mixed = match mixer {
                Mixer::Attention(attention) => attention.forward(engine, &normed, pass),
                Mixer::Mamba(mamba) => mamba.forward(engine, &normed, pass),
                Mixer::Mlp(mlp) => mlp.forward(engine, &normed),
                Mixer::Experts(experts) => experts.forward(engine, &normed),
            };
            if let Some(norm) = &self.post_norm {
                engine.each_row(&mut mixed, |_, row| norm.apply(engine, row));
            }
            engine.each_row(x, |index, row| engine.run(Add { to: row, x: mixed.row(index) }));
        }
    }
}
