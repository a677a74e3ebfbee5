//! The layout that llama began and that most families since then vary: pre-norm, rotated
//! grouped-query attention, a gated feed-forward part, and these tensor names.

use crate::config::{Config, ConfigError, LayerType, invalid};
use crate::spec::{
    AttentionSpec, DecoderSpec, HeadSpec, LayerSpec, LinearSpec, MlpSpec, NormSpec, RopeSpec,
};

/// A model of llama's layout. [`read`](Self::read) fills in what is common; a family then sets what
/// it does differently and asks for the [`spec`](Self::spec).
pub(super) struct LlamaLike {
    family: &'static str,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    context_length: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    norm_eps: f64,
    rope: RopeSpec,
    tied_head: bool,
    pub(super) biases: Biases,
    /// Whether every query and key head is normed.
    pub(super) head_norms: bool,
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
#[derive(Clone, Copy)]
pub(super) struct LayerOptions {
    pub(super) rotated: bool,
    pub(super) window: Option<usize>,
}

/// What a family's configs mean when they do not say.
pub(super) struct Defaults {
    pub(super) rope_theta: f64,
    /// If absent, the hidden size is cut into heads.
    pub(super) head_dim: Option<usize>,
    pub(super) tied_head: bool,
}

impl Default for Defaults {
    /// Llama's.
    fn default() -> Self {
        Self { rope_theta: 10_000.0, head_dim: None, tied_head: false }
    }
}

impl LlamaLike {
    pub(super) fn read(
        config: Config<'_>,
        family: &'static str,
        defaults: &Defaults,
    ) -> Result<Self, ConfigError> {
        require_silu(config)?;
        let hidden_size = config.size("hidden_size")?;
        let heads = config.size("num_attention_heads")?;
        let kv_heads = config.optional_size("num_key_value_heads")?;
        let kv_heads = kv_heads.unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            return Err(ConfigError::HeadsDoNotDivide { heads, kv_heads });
        }
        let head_dim = match config.optional_size("head_dim")?.or(defaults.head_dim) {
            Some(head_dim) => head_dim,
            None if hidden_size.is_multiple_of(heads) => hidden_size / heads,
            None => return Err(ConfigError::HiddenDoesNotDivide { hidden_size, heads }),
        };
        let layer = LayerOptions { rotated: true, window: None };
        Ok(Self {
            family,
            vocab_size: config.size("vocab_size")?,
            hidden_size,
            intermediate_size: config.size("intermediate_size")?,
            context_length: config.size("max_position_embeddings")?,
            heads,
            kv_heads,
            head_dim,
            norm_eps: config.optional_positive("rms_norm_eps")?.unwrap_or(1e-6),
            rope: config.rope(head_dim, defaults.rope_theta)?,
            tied_head: config.flag("tie_word_embeddings", defaults.tied_head)?,
            biases: Biases::default(),
            head_norms: false,
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
                None => slides(index, layer.rotated),
            };
            layer.window = window.filter(|_| slides);
        }
        Ok(())
    }

    pub(super) fn spec(&self) -> DecoderSpec {
        let (vocab, hidden) = (self.vocab_size, self.hidden_size);
        let layers = self.layers.iter().enumerate();
        DecoderSpec {
            family: self.family.to_owned(),
            vocab_size: vocab,
            hidden_size: hidden,
            context_length: self.context_length,
            embedding: "model.embed_tokens.weight".to_owned(),
            layers: layers
                .map(|(index, options)| self.layer(&format!("model.layers.{index}"), *options))
                .collect(),
            norm: NormSpec::new("model.norm", hidden, self.norm_eps),
            head: if self.tied_head {
                HeadSpec::Tied
            } else {
                HeadSpec::Separate(LinearSpec::new("lm_head", hidden, vocab, false))
            },
        }
    }

    fn layer(&self, name: &str, options: LayerOptions) -> LayerSpec {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let norm = |part: &str| NormSpec::new(&format!("{name}.{part}"), hidden, self.norm_eps);
        let mlp = |part: &str, inputs, outputs| {
            let name = format!("{name}.mlp.{part}");
            LinearSpec::new(&name, inputs, outputs, self.biases.mlp)
        };
        LayerSpec {
            attention_norm: norm("input_layernorm"),
            attention: self.attention(&format!("{name}.self_attn"), options),
            mlp_norm: norm("post_attention_layernorm"),
            mlp: MlpSpec {
                gate: mlp("gate_proj", hidden, inner),
                up: mlp("up_proj", hidden, inner),
                down: mlp("down_proj", inner, hidden),
            },
        }
    }

    fn attention(&self, name: &str, options: LayerOptions) -> AttentionSpec {
        let (hidden, dim) = (self.hidden_size, self.head_dim);
        let (q_width, kv_width) = (self.heads * dim, self.kv_heads * dim);
        let linear = |part: &str, inputs, outputs, bias| {
            LinearSpec::new(&format!("{name}.{part}"), inputs, outputs, bias)
        };
        let head_norm = |part: &str| {
            let norm = || NormSpec::new(&format!("{name}.{part}"), dim, self.norm_eps);
            self.head_norms.then(norm)
        };
        AttentionSpec {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: dim,
            scale: (dim as f64).sqrt().recip(),
            window: options.window,
            rope: options.rotated.then(|| self.rope.clone()),
            q: linear("q_proj", hidden, q_width, self.biases.qkv),
            k: linear("k_proj", hidden, kv_width, self.biases.qkv),
            v: linear("v_proj", hidden, kv_width, self.biases.qkv),
            o: linear("o_proj", q_width, hidden, self.biases.output),
            q_norm: head_norm("q_norm"),
            k_norm: head_norm("k_norm"),
        }
    }
}

fn require_silu(config: Config<'_>) -> Result<(), ConfigError> {
    match config.value("hidden_act") {
        Some(value) if value != "silu" => Err(invalid("hidden_act", value, "\"silu\"")),
        _ => Ok(()),
    }
}
