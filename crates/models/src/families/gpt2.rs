//! GPT-2: learned positions in place of rotations, one map to queries, keys and values, and matrices
//! stored with the inputs first.
//!
//! Source: `models/gpt2` in Hugging Face transformers 5.23.

use crate::config::{Config, ConfigError, Heads};
use crate::spec::{
    Activation, AttentionSpec, BlockSpec, DecoderSpec, EmbeddingSpec, GateSpec, HeadSpec,
    LayerSpec, LinearSpec, MatrixLayout, MixerSpec, MlpSpec, Naming, NormSpec, QkvSpec,
};

/// What the layers of a model have in common.
struct Gpt2 {
    hidden_size: usize,
    inner: usize,
    heads: usize,
    head_dim: usize,
    eps: f64,
    activation: Activation,
    /// Whether scores are divided by the square root of the width of a head.
    by_width: bool,
    /// Whether they are divided by the number of the layer too.
    by_layer: bool,
}

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    config.require("add_cross_attention", "false", |value| value == false)?;
    let (vocab_size, hidden_size) = (config.size("vocab_size")?, config.size("n_embd")?);
    let heads = config.size("n_head")?;
    let gpt2 = Gpt2 {
        hidden_size,
        inner: config.size_or("n_inner", 4 * hidden_size)?,
        heads,
        head_dim: Heads { all: heads, kv: heads }.cut(hidden_size, None)?,
        eps: config.optional_positive("layer_norm_epsilon")?.unwrap_or(1e-5),
        activation: config.activation("activation_function", Activation::GeluTanh)?,
        by_width: config.flag("scale_attn_weights", true)?,
        by_layer: config.flag("scale_attn_by_inverse_layer_idx", false)?,
    };
    let tied = config.flag("tie_word_embeddings", true)?;
    let head = LinearSpec::new("lm_head", hidden_size, vocab_size, false);
    Ok(DecoderSpec {
        family: "gpt2".to_owned(),
        vocab_size,
        hidden_size,
        context_length: config.size("n_positions")?,
        naming: Naming {
            prefix: "transformer.".to_owned(),
            // The first checkpoints are those of the body alone.
            alternatives: vec![String::new()],
            // Causal masks, which were once saved as if they were weights.
            ignored: [".attn.bias", ".attn.masked_bias"].map(str::to_owned).into(),
        },
        embedding: EmbeddingSpec {
            positions: Some("transformer.wpe.weight".to_owned()),
            ..EmbeddingSpec::new("transformer.wte")
        },
        layers: (0..config.part_count("n_layer")?).map(|index| gpt2.layer(index)).collect(),
        norm: NormSpec::layer("transformer.ln_f", hidden_size, gpt2.eps),
        head: if tied { HeadSpec::Tied } else { HeadSpec::Separate(head) },
        logit_softcap: None,
    })
}

impl Gpt2 {
    fn layer(&self, index: usize) -> LayerSpec {
        let name = format!("transformer.h.{index}");
        let (hidden, inner) = (self.hidden_size, self.inner);
        let norm = |part: &str| NormSpec::layer(&format!("{name}.{part}"), hidden, self.eps);
        let linear = |part: &str, inputs, outputs| LinearSpec {
            layout: MatrixLayout::InputsFirst,
            ..LinearSpec::new(&format!("{name}.{part}"), inputs, outputs, true)
        };
        let width = if self.by_width { (self.head_dim as f64).sqrt() } else { 1.0 };
        let layer = if self.by_layer { index as f64 + 1.0 } else { 1.0 };
        let attention = AttentionSpec {
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.head_dim,
            scale: (width * layer).recip(),
            window: None,
            rope: None,
            qkv: QkvSpec::Fused(linear("attn.c_attn", hidden, 3 * hidden)),
            o: linear("attn.c_proj", hidden, hidden),
            q_norm: None,
            k_norm: None,
        };
        let mlp = MlpSpec {
            gate: GateSpec::None,
            up: linear("mlp.c_fc", hidden, inner),
            down: linear("mlp.c_proj", inner, hidden),
            activation: self.activation,
        };
        LayerSpec::new([
            BlockSpec::new(norm("ln_1"), MixerSpec::Attention(attention)),
            BlockSpec::new(norm("ln_2"), MixerSpec::Mlp(mlp)),
        ])
    }
}
