//! Gemma 3, and the text part of those that see.
//!
//! Five layers with a window for each that sees everything, each kind with a rotation of its own;
//! norms on both sides of every part, on queries and on keys, with weights stored less one; the
//! embedding scaled up.
//!
//! Source: `models/gemma3` in Hugging Face transformers 5.23. As there, `attn_logit_softcapping` is
//! read by nothing, and `final_logit_softcapping` only where the text model stands alone. No
//! checkpoint of Google's has either.

use super::llama_like::{Biases, Defaults, LlamaLike};
use crate::config::{Config, ConfigError, LayerType};
use crate::spec::{Activation, DecoderSpec, Naming, RopeSpec};

/// What the checkpoints of the models that see hold besides.
const SIGHT: [&str; 2] = ["vision_tower.", "multi_modal_projector."];

/// `gemma3_text`: the whole config is that of the text model.
pub(super) fn text_spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let mut model = read(config, "gemma3_text", &text_defaults())?;
    model.logit_softcap = config.optional_positive("final_logit_softcapping")?;
    Ok(model.spec())
}

/// `gemma3`: the text model's config is one of several, and its tensors have prefixes, which
/// changed with the versions of transformers.
pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let text = config.optional_object("text_config")?.ok_or(ConfigError::Missing("text_config"))?;
    let tied_head = config.flag("tie_word_embeddings", true)?;
    let mut model = read(text, "gemma3", &Defaults { tied_head, ..text_defaults() })?;
    model.naming = Naming {
        prefix: "language_model.model.".to_owned(),
        alternatives: vec!["model.language_model.".to_owned(), "model.".to_owned()],
        ignored: SIGHT.map(str::to_owned).into(),
    };
    Ok(model.spec())
}

/// The text configs on the Hub leave out much.
fn text_defaults() -> Defaults {
    Defaults {
        head_dim: Some(256),
        heads: Some((8, 4)),
        vocab_size: Some(262_208),
        context_length: Some(131_072),
        tied_head: true,
        activation_key: "hidden_activation",
        activation: Activation::GeluTanh,
        ..Defaults::default()
    }
}

fn read(
    config: Config<'_>,
    family: &'static str,
    defaults: &Defaults,
) -> Result<LlamaLike, ConfigError> {
    let causal = "false: this decoder looks back only";
    config.require("use_bidirectional_attention", causal, |value| value == false)?;
    let mut model = LlamaLike::read_unrotated(config, family, defaults)?;
    let bias = config.flag("attention_bias", false)?;
    model.biases = Biases { qkv: bias, output: bias, mlp: false };
    model.gemma_norms = true;
    model.head_norms = true;
    let scalar = config.optional_positive("query_pre_attn_scalar")?.unwrap_or(256.0);
    model.scale = Some(scalar.sqrt().recip());
    model.embedding_scale = Some((model.hidden_size as f64).sqrt());

    let window = config.nullable_size("sliding_window", 4096)?;
    let pattern = config.size_or("sliding_window_pattern", 6)?;
    let types = config.layer_types(model.layers.len())?;
    let ropes = Ropes::read(config, model.head_dim)?;
    for (index, layer) in model.layers.iter_mut().enumerate() {
        let full = match &types {
            Some(types) => types[index] == LayerType::Full,
            None => (index + 1).is_multiple_of(pattern),
        };
        layer.window = window.filter(|_| !full);
        layer.rope = Some(if full { ropes.full.clone() } else { ropes.sliding.clone() });
    }
    Ok(model)
}

/// The rotations of the two kinds of layers.
struct Ropes {
    full: RopeSpec,
    sliding: RopeSpec,
}

impl Ropes {
    /// transformers 5 has `rope_parameters` by kind. Before that the bases were `rope_theta` and
    /// `rope_local_base_freq`, and `rope_scaling` was for the layers that see everything.
    fn read(config: Config<'_>, head_dim: usize) -> Result<Self, ConfigError> {
        let by_kind = config.optional_object("rope_parameters")?;
        let of = |kind| by_kind.map_or(Ok(None), |kinds| kinds.optional_object(kind));
        let full = match of("full_attention")? {
            Some(parameters) => Some(parameters),
            None => config.optional_object("rope_scaling")?,
        };
        let sliding = of("sliding_attention")?;
        Ok(Self {
            full: config.rope_with(full, "rope_theta", head_dim, 1_000_000.0)?,
            sliding: config.rope_with(sliding, "rope_local_base_freq", head_dim, 10_000.0)?,
        })
    }
}
