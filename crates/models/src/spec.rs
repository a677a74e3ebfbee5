//! What a decoder is made of: a [`DecoderSpec`] says, layer by layer, which sizes, which options and
//! which tensors a model has.
//!
//! A spec holds no weights. A [family](crate::families) reads one from a `config.json`, a
//! [`Decoder`](crate::Decoder) is built from one and a source of tensors, and
//! [`DecoderSpec::tensors`] lists everything such a source has to hold.
//!
//! Every part carries the full name of its tensors, so a family whose files name things differently
//! differs in its family file and nowhere else.

mod rope;
mod tensors;

pub use rope::{RopeScaling, RopeSpec};
pub use tensors::{TensorRole, TensorSpec};

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
    /// Name of the embedding table, a tensor of shape `[vocab_size, hidden_size]`.
    pub embedding: String,
    /// The layers, first to last.
    pub layers: Vec<LayerSpec>,
    /// The norm between the last layer and the head.
    pub norm: NormSpec,
    /// How the last hidden state becomes logits.
    pub head: HeadSpec,
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

/// One layer: `x += attention(norm(x))`, then `x += mlp(norm(x))`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayerSpec {
    /// The norm ahead of the attention.
    pub attention_norm: NormSpec,
    /// The attention.
    pub attention: AttentionSpec,
    /// The norm ahead of the feed-forward part.
    pub mlp_norm: NormSpec,
    /// The feed-forward part.
    pub mlp: MlpSpec,
}

/// Causal attention in which `heads / kv_heads` query heads share one key and value head.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AttentionSpec {
    /// Query heads; a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor on the scores ahead of the softmax.
    pub scale: f64,
    /// Position `i` sees the positions `j` with `i - j < window`, or all before it if absent.
    pub window: Option<usize>,
    /// Rotary position embedding, absent in layers that use none.
    pub rope: Option<RopeSpec>,
    /// Hidden state to queries.
    pub q: LinearSpec,
    /// Hidden state to keys.
    pub k: LinearSpec,
    /// Hidden state to values.
    pub v: LinearSpec,
    /// Heads back to the hidden state.
    pub o: LinearSpec,
    /// Norm over each query head, ahead of the rotation.
    pub q_norm: Option<NormSpec>,
    /// Norm over each key head, ahead of the rotation.
    pub k_norm: Option<NormSpec>,
}

/// `down(silu(gate(x)) * up(x))`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MlpSpec {
    /// The gated half.
    pub gate: LinearSpec,
    /// The half that is gated.
    pub up: LinearSpec,
    /// Back to the hidden state.
    pub down: LinearSpec,
}

/// `x / sqrt(mean(x^2) + eps) * weight` over the last dimension.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NormSpec {
    /// Full name of the weight, a tensor of shape `[size]`.
    pub weight: String,
    /// Width of what is normalised.
    pub size: usize,
    /// Added to the mean square.
    pub eps: f64,
}

/// `x W^T + b`, with `W` stored as `[outputs, inputs]`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LinearSpec {
    /// Full name of the weight.
    pub weight: String,
    /// Full name of the bias, a tensor of shape `[outputs]`.
    pub bias: Option<String>,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
}

impl LinearSpec {
    /// The map stored as `{name}.weight` and, if it has one, `{name}.bias`.
    pub fn new(name: &str, inputs: usize, outputs: usize, bias: bool) -> Self {
        Self {
            weight: format!("{name}.weight"),
            bias: bias.then(|| format!("{name}.bias")),
            inputs,
            outputs,
        }
    }
}

impl NormSpec {
    /// The norm stored as `{name}.weight`.
    pub fn new(name: &str, size: usize, eps: f64) -> Self {
        Self { weight: format!("{name}.weight"), size, eps }
    }
}
