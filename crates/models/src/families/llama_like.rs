//! The layout that llama began and that most families since then vary: pre-norm, rotated
//! grouped-query attention, a gated feed-forward part, and these tensor names.

use crate::config::{Config, ConfigError, Heads, LayerType};
use crate::spec::{
    Activation, AttentionSpec, BlockSpec, DecoderSpec, EmbeddingSpec, ExpertsSpec, GateSpec,
    HeadSpec, LayerSpec, LinearSpec, MixerSpec, MlpSpec, Naming, NormSpec, QkvSpec, RopeSpec,
    RouterSpec,
};

/// A model of llama's layout. [`read`](Self::read) fills in what is common; a family then sets what
/// it does differently and asks for the [`spec`](Self::spec).
#[expect(clippy::struct_excessive_bools, reason = "independent yes-or-no answers")]
pub(super) struct LlamaLike {
    family: &'static str,
    vocab_size: usize,
    pub(super) hidden_size: usize,
    intermediate_size: usize,
    context_length: usize,
    heads: Heads,
    pub(super) head_dim: usize,
    norm_eps: f64,
    tied_head: bool,
    pub(super) activation: Activation,
    pub(super) naming: Naming,
    pub(super) biases: Biases,
    /// Whether every query and key head is normed.
    pub(super) head_norms: bool,
    /// Whether it is gemma's kind: norms also behind attention and feed-forward part, their weights
    /// stored less one.
    pub(super) gemma_norms: bool,
    /// Whether queries, keys and values are one matrix, and gate and feed-forward part another.
    pub(super) fused: bool,
    /// Factor on the scores, if it is not the usual one.
    pub(super) scale: Option<f64>,
    pub(super) embedding_scale: Option<f64>,
    pub(super) logit_softcap: Option<f64>,
    /// What differs from layer to layer, one entry for each.
    pub(super) layers: Vec<LayerOptions>,
}

/// Which linear maps have a bias.
#[derive(Clone, Copy, Default)]
pub(super) struct Biases {
    pub(super) qkv: bool,
    pub(super) output: bool,
    pub(super) mlp: bool,
}

/// What may differ from layer to layer.
#[derive(Clone)]
pub(super) struct LayerOptions {
    pub(super) rope: Option<RopeSpec>,
    pub(super) window: Option<usize>,
    /// In place of the one feed-forward part.
    pub(super) experts: Option<ExpertOptions>,
}

/// A mixture of experts; the gate of the router is named by the layer.
#[derive(Clone)]
pub(super) struct ExpertOptions {
    pub(super) count: usize,
    pub(super) intermediate_size: usize,
    pub(super) router: RouterSpec,
}

/// What a family's configs mean when they do not say.
pub(super) struct Defaults {
    pub(super) rope_theta: f64,
    /// If absent, the hidden size is cut into heads.
    pub(super) head_dim: Option<usize>,
    /// Query and key heads. If absent the config has to say, and key heads are as many as query
    /// heads.
    pub(super) heads: Option<(usize, usize)>,
    pub(super) vocab_size: Option<usize>,
    pub(super) context_length: Option<usize>,
    pub(super) tied_head: bool,
    /// The key that names the activation.
    pub(super) activation_key: &'static str,
    pub(super) activation: Activation,
}

impl Default for Defaults {
    /// Llama's.
    fn default() -> Self {
        Self {
            rope_theta: 10_000.0,
            head_dim: None,
            heads: None,
            vocab_size: None,
            context_length: None,
            tied_head: false,
            activation_key: "hidden_act",
            activation: Activation::Silu,
        }
    }
}

impl LlamaLike {
    /// A model whose layers are all alike: rotated, and without windows.
    pub(super) fn read(
        config: Config<'_>,
        family: &'static str,
        defaults: &Defaults,
    ) -> Result<Self, ConfigError> {
        let mut model = Self::read_unrotated(config, family, defaults)?;
        let rope = config.rope(model.head_dim, defaults.rope_theta)?;
        model.layers.iter_mut().for_each(|layer| layer.rope = Some(rope.clone()));
        Ok(model)
    }

    /// The same for a family that finds its rotations elsewhere.
    pub(super) fn read_unrotated(
        config: Config<'_>,
        family: &'static str,
        defaults: &Defaults,
    ) -> Result<Self, ConfigError> {
        let hidden_size = config.size("hidden_size")?;
        let heads = config.heads(defaults.heads)?;
        let head_dim = config.optional_size("head_dim")?.or(defaults.head_dim);
        let size = |key, default: Option<usize>| {
            default.map_or_else(|| config.size(key), |default| config.size_or(key, default))
        };
        let layer = LayerOptions { rope: None, window: None, experts: None };
        Ok(Self {
            family,
            vocab_size: size("vocab_size", defaults.vocab_size)?,
            hidden_size,
            intermediate_size: config.size("intermediate_size")?,
            context_length: size("max_position_embeddings", defaults.context_length)?,
            heads,
            head_dim: heads.cut(hidden_size, head_dim)?,
            norm_eps: config.optional_positive("rms_norm_eps")?.unwrap_or(1e-6),
            tied_head: config.flag("tie_word_embeddings", defaults.tied_head)?,
            activation: config.activation(defaults.activation_key, defaults.activation)?,
            naming: Naming { prefix: "model.".to_owned(), ..Naming::default() },
            biases: Biases::default(),
            head_norms: false,
            gemma_norms: false,
            fused: false,
            scale: None,
            embedding_scale: None,
            logit_softcap: None,
            layers: vec![layer; config.layer_count()?],
        })
    }

    /// Gives `window` to the layers that `layer_types` calls sliding, or, where the config has no
    /// such list, to those that `slides` picks by index and by whether they are rotated.
    pub(super) fn slide(
        &mut self,
        config: Config<'_>,
        window: Option<usize>,
        slides: impl Fn(usize, bool) -> bool,
    ) -> Result<(), ConfigError> {
        let types = config.layer_types(self.layers.len())?;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let slides = match &types {
                Some(types) => types[index] == LayerType::Sliding,
                None => slides(index, layer.rope.is_some()),
            };
            layer.window = window.filter(|_| slides);
        }
        Ok(())
    }

    pub(super) fn spec(self) -> DecoderSpec {
        let (vocab, hidden) = (self.vocab_size, self.hidden_size);
        let layers = self.layers.iter().enumerate();
        let layers = layers.map(|(index, options)| self.layer(index, options)).collect();
        DecoderSpec {
            family: self.family.to_owned(),
            vocab_size: vocab,
            hidden_size: hidden,
            context_length: self.context_length,
            embedding: EmbeddingSpec {
                scale: self.embedding_scale,
                ..EmbeddingSpec::new(&self.name("embed_tokens"))
            },
            layers,
            norm: self.norm(&self.name("norm"), hidden),
            head: if self.tied_head {
                HeadSpec::Tied
            } else {
                HeadSpec::Separate(LinearSpec::new("lm_head", hidden, vocab, false))
            },
            logit_softcap: self.logit_softcap,
            naming: self.naming,
        }
    }

    fn name(&self, part: &str) -> String {
        format!("{}{part}", self.naming.prefix)
    }

    fn norm(&self, name: &str, size: usize) -> NormSpec {
        let norm = if self.gemma_norms { NormSpec::rms_plus_one } else { NormSpec::rms };
        norm(name, size, self.norm_eps)
    }

    fn layer(&self, index: usize, options: &LayerOptions) -> LayerSpec {
        let name = self.name(&format!("layers.{index}"));
        let norm = |part: &str| self.norm(&format!("{name}.{part}"), self.hidden_size);
        let attention = MixerSpec::Attention(self.attention(&format!("{name}.self_attn"), options));
        let mlp = match &options.experts {
            None => MixerSpec::Mlp(self.mlp(&format!("{name}.mlp"), self.intermediate_size)),
            Some(options) => MixerSpec::Experts(self.experts(&format!("{name}.mlp"), options)),
        };
        let mut attends = BlockSpec::new(norm("input_layernorm"), attention);
        if !self.gemma_norms {
            let feeds = BlockSpec::new(norm("post_attention_layernorm"), mlp);
            return LayerSpec::new([attends, feeds]);
        }
        attends.post_norm = Some(norm("post_attention_layernorm"));
        let mut feeds = BlockSpec::new(norm("pre_feedforward_layernorm"), mlp);
        feeds.post_norm = Some(norm("post_feedforward_layernorm"));
        LayerSpec::new([attends, feeds])
    }

    fn mlp(&self, name: &str, inner: usize) -> MlpSpec {
        let linear = |part: &str, inputs, outputs| {
            LinearSpec::new(&format!("{name}.{part}"), inputs, outputs, self.biases.mlp)
        };
        let (gate, up) = if self.fused {
            (GateSpec::Fused, linear("gate_up_proj", self.hidden_size, 2 * inner))
        } else {
            let gate = linear("gate_proj", self.hidden_size, inner);
            (GateSpec::Separate(gate), linear("up_proj", self.hidden_size, inner))
        };
        MlpSpec {
            gate,
            up,
            down: linear("down_proj", inner, self.hidden_size),
            activation: self.activation,
        }
    }

    fn experts(&self, name: &str, options: &ExpertOptions) -> ExpertsSpec {
        let expert =
            |index| self.mlp(&format!("{name}.experts.{index}"), options.intermediate_size);
        let gate = LinearSpec::new(&format!("{name}.gate"), self.hidden_size, options.count, false);
        ExpertsSpec {
            router: RouterSpec { gate, ..options.router.clone() },
            experts: (0..options.count).map(expert).collect(),
            shared: None,
        }
    }

    fn attention(&self, name: &str, options: &LayerOptions) -> AttentionSpec {
        let (hidden, dim) = (self.hidden_size, self.head_dim);
        let Heads { all: heads, kv: kv_heads } = self.heads;
        let linear = |part: &str, inputs, outputs, bias| {
            LinearSpec::new(&format!("{name}.{part}"), inputs, outputs, bias)
        };
        let head_norm =
            |part: &str| self.head_norms.then(|| self.norm(&format!("{name}.{part}"), dim));
        let qkv = if self.fused {
            let outputs = (heads + 2 * kv_heads) * dim;
            QkvSpec::Fused(linear("qkv_proj", hidden, outputs, self.biases.qkv))
        } else {
            QkvSpec::Separate {
                q: linear("q_proj", hidden, heads * dim, self.biases.qkv),
                k: linear("k_proj", hidden, kv_heads * dim, self.biases.qkv),
                v: linear("v_proj", hidden, kv_heads * dim, self.biases.qkv),
            }
        };
        AttentionSpec {
            heads,
            kv_heads,
            head_dim: dim,
            scale: self.scale.unwrap_or((dim as f64).sqrt().recip()),
            window: options.window,
            rope: options.rope.clone(),
            qkv,
            o: linear("o_proj", heads * dim, hidden, self.biases.output),
            q_norm: head_norm("q_norm"),
            k_norm: head_norm("k_norm"),
        }
    }
}
