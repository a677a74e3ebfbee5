//! What a decoder is made of: a [`DecoderSpec`] says, layer by layer, which sizes, which options and
//! which tensors a model has.
//!
//! A spec holds no weights. A [family](crate::families) reads one from a `config.json`, a
//! [`Decoder`](crate::Decoder) is built from one and a source of tensors, and
//! [`DecoderSpec::tensors`] lists everything such a source has to hold.
//!
//! Every part carries the full name of its tensors, so a family whose files name things differently
//! differs in its family file and nowhere else.

mod attention;
mod experts;
mod mamba;
mod parts;
mod rope;
mod routing;
mod tensors;
mod yarn;

pub use attention::{AttentionSpec, QkvSpec};
pub use experts::{ExpertsSpec, RouterSpec, Scoring};
pub use mamba::MambaSpec;
pub use parts::{Activation, GateSpec, LinearSpec, MatrixLayout, MlpSpec, NormKind, NormSpec};
pub use rope::{RopeScaling, RopeSpec};
pub use tensors::{TensorRole, TensorSpec};
pub use yarn::Yarn;

/// A decoder-only language model: embedding, layers, a last norm, a head.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DecoderSpec {
    /// The `model_type` of the config that the spec was read from, such as `llama`.
    pub family: String,
    /// Number of token ids, which is also the width of a row of logits.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Most positions a row may hold.
    pub context_length: usize,
    /// How the tensors of the model are called in the weights.
    pub naming: Naming,
    /// What a token starts as.
    pub embedding: EmbeddingSpec,
    /// The layers, first to last.
    pub layers: Vec<LayerSpec>,
    /// The norm between the last layer and the head.
    pub norm: NormSpec,
    /// How the last hidden state becomes logits.
    pub head: HeadSpec,
    /// The logits become `cap * tanh(logits / cap)`.
    pub logit_softcap: Option<f64>,
}

/// How the names in the weights may differ from those in the spec.
///
/// Programs that save a model disagree about what its names start with. The spec is written with one
/// prefix; the weights may use another, the same for all tensors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Naming {
    /// What the names in the spec start with, but for those of a head. Empty if weights have no
    /// other names than the spec.
    pub prefix: String,
    /// What the weights may have in its place.
    pub alternatives: Vec<String>,
    /// Tensors that the weights may hold though no layer reads them: those with one of these in
    /// their names, such as the parts of an image encoder.
    pub ignored: Vec<String>,
}

/// What a token starts as: a row of a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingSpec {
    /// Full name of the table, a tensor of shape `[vocab_size, hidden_size]`.
    pub weight: String,
    /// Factor on its rows.
    pub scale: Option<f64>,
    /// Full name of a second table, `[context_length, hidden_size]`, of which the row of a token's
    /// position is added.
    pub positions: Option<String>,
}

impl EmbeddingSpec {
    /// The table `{name}.weight` as it is, which is what most families have.
    pub fn new(name: &str) -> Self {
        Self { weight: format!("{name}.weight"), scale: None, positions: None }
    }
}

/// Where the logits come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HeadSpec {
    /// The embedding table is used again.
    Tied,
    /// A map of its own.
    Separate(LinearSpec),
}

/// One layer: its blocks, one after the other.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayerSpec {
    /// The blocks. A llama's layer has two, one that attends and one that feeds forward.
    pub blocks: Vec<BlockSpec>,
}

impl LayerSpec {
    /// A layer of these blocks.
    pub fn new(blocks: impl Into<Vec<BlockSpec>>) -> Self {
        Self { blocks: blocks.into() }
    }
}

/// What is added to the residual stream at once: `x += post_norm(mixer(norm(x)))`, or the sum of
/// several mixers that read the same.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BlockSpec {
    /// The norm ahead of the mixers.
    pub norm: NormSpec,
    /// Usually one; phi's attend and feed forward side by side.
    pub mixers: Vec<MixerSpec>,
    /// The norm behind each of them.
    pub post_norm: Option<NormSpec>,
}

impl BlockSpec {
    /// `x += mixer(norm(x))`.
    pub fn new(norm: NormSpec, mixer: MixerSpec) -> Self {
        Self { norm, mixers: vec![mixer], post_norm: None }
    }
}

/// The part of a block that does the work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MixerSpec {
    /// Tokens look at earlier ones.
    Attention(AttentionSpec),
    /// Tokens read a state that the earlier ones left.
    Mamba(MambaSpec),
    /// Each token by itself.
    Mlp(MlpSpec),
    /// Each token by itself, through a few of many parts.
    Experts(ExpertsSpec),
}

impl DecoderSpec {
    /// The mixers of all layers, in order.
    pub fn mixers(&self) -> impl Iterator<Item = &MixerSpec> {
        self.layers.iter().flat_map(|layer| &layer.blocks).flat_map(|block| &block.mixers)
    }

    /// The rotations that occur in the layers, each once.
    pub(crate) fn rotations(&self) -> Vec<&RopeSpec> {
        let mut distinct = Vec::new();
        let ropes = self.mixers().filter_map(|mixer| match mixer {
            MixerSpec::Attention(attention) => attention.rope.as_ref(),
            _ => None,
        });
        for rope in ropes {
            if !distinct.contains(&rope) {
                distinct.push(rope);
            }
        }
        distinct
    }

    /// Whether some layers keep a state in place of the past, so that a row cannot be cut back.
    pub fn is_recurrent(&self) -> bool {
        self.mixers().any(|mixer| matches!(mixer, MixerSpec::Mamba(_)))
    }
}
