//! Phi 1, 1.5 and 2: attention and feed-forward part side by side behind one layer norm, part of
//! each head rotated, biases everywhere.
//!
//! Source: `models/phi` in Hugging Face transformers 5.23.

use crate::config::{Config, ConfigError, Heads};
use crate::spec::{
    Activation, AttentionSpec, BlockSpec, DecoderSpec, EmbeddingSpec, GateSpec, HeadSpec,
    LayerSpec, LinearSpec, MixerSpec, MlpSpec, Naming, NormSpec, QkvSpec, RopeSpec,
};

/// What the layers of a model have in common.
struct Phi {
    hidden_size: usize,
    intermediate_size: usize,
    heads: Heads,
    head_dim: usize,
    eps: f64,
    rope: RopeSpec,
    head_norms: bool,
    activation: Activation,
}

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    // A tied head would still have a bias of its own; no phi has one.
    config.require("tie_word_embeddings", "false", |value| value == false)?;
    let (vocab_size, hidden_size) = (config.size("vocab_size")?, config.size("hidden_size")?);
    let heads = config.heads(None)?;
    let head_dim = heads.cut(hidden_size, None)?;
    let rotated = config.rotated_width(head_dim, 0.5)?;
    let phi = Phi {
        hidden_size,
        intermediate_size: config.size("intermediate_size")?,
        heads,
        head_dim,
        eps: config.optional_positive("layer_norm_eps")?.unwrap_or(1e-5),
        rope: config.rope(rotated, 10_000.0)?,
        head_norms: config.flag("qk_layernorm", false)?,
        activation: config.activation("hidden_act", Activation::GeluTanh)?,
    };
    Ok(DecoderSpec {
        family: "phi".to_owned(),
        vocab_size,
        hidden_size,
        context_length: config.size_or("max_position_embeddings", 2048)?,
        naming: Naming { prefix: "model.".to_owned(), ..Naming::default() },
        embedding: EmbeddingSpec::new("model.embed_tokens"),
        layers: (0..config.layer_count()?).map(|index| phi.layer(index)).collect(),
        norm: NormSpec::layer("model.final_layernorm", hidden_size, phi.eps),
        head: HeadSpec::Separate(LinearSpec::new("lm_head", hidden_size, vocab_size, true)),
        logit_softcap: None,
    })
}

impl Phi {
    fn layer(&self, index: usize) -> LayerSpec {
        let name = format!("model.layers.{index}");
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let mlp = MlpSpec {
            gate: GateSpec::None,
            up: LinearSpec::new(&format!("{name}.mlp.fc1"), hidden, inner, true),
            down: LinearSpec::new(&format!("{name}.mlp.fc2"), inner, hidden, true),
            activation: self.activation,
        };
        let attention = self.attention(&format!("{name}.self_attn"));
        LayerSpec::new([BlockSpec {
            norm: NormSpec::layer(&format!("{name}.input_layernorm"), hidden, self.eps),
            mixers: vec![MixerSpec::Attention(attention), MixerSpec::Mlp(mlp)],
            post_norm: None,
        }])
    }

    fn attention(&self, name: &str) -> AttentionSpec {
        let (hidden, dim, Heads { all, kv }) = (self.hidden_size, self.head_dim, self.heads);
        let linear = |part: &str, inputs, outputs| {
            LinearSpec::new(&format!("{name}.{part}"), inputs, outputs, true)
        };
        let head_norm = |part: &str| {
            self.head_norms.then(|| NormSpec::layer(&format!("{name}.{part}"), dim, self.eps))
        };
        AttentionSpec {
            heads: all,
            kv_heads: kv,
            head_dim: dim,
            scale: (dim as f64).sqrt().recip(),
            window: None,
            rope: Some(self.rope.clone()),
            qkv: QkvSpec::Separate {
                q: linear("q_proj", hidden, all * dim),
                k: linear("k_proj", hidden, kv * dim),
                v: linear("v_proj", hidden, kv * dim),
            },
            o: linear("dense", all * dim, hidden),
            q_norm: head_norm("q_layernorm"),
            k_norm: head_norm("k_layernorm"),
        }
    }
}
