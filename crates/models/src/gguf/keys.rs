//! What the keys of a GGUF file say of a model.

use candle_core::quantized::gguf_file::Value as Entry;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::architecture::Architecture;
use super::vocabulary::SPECIAL;
use crate::load::Parts;
use crate::spec::{
    Activation, AttentionSpec, DecoderSpec, GateSpec, HeadSpec, MixerSpec, MlpSpec, RopeScaling,
    RopeSpec, Yarn,
};

/// A model in llama.cpp's terms.
pub(super) struct Description {
    pub(super) entries: Vec<(String, Entry)>,
    pub(super) head_dim: usize,
    pub(super) tied_head: bool,
    /// By what each frequency of the rotation is divided.
    pub(super) rope_factors: Option<Vec<f32>>,
    /// Factor on the queries' norm, so that the scores come out as the model has them.
    pub(super) query_gain: f64,
}

/// Describes a model; what has no place if something has none.
pub(super) fn describe(
    architecture: Architecture,
    spec: &DecoderSpec,
) -> Result<Description, String> {
    let layers = layers(spec)?;
    let (attention, mlp) = layers[0];
    for (other, feeds) in &layers {
        let heads = |of: &AttentionSpec| (of.heads, of.kv_heads, of.head_dim);
        if heads(other) != heads(attention) || inner(feeds) != inner(mlp) {
            return Err("layers of different shapes".to_owned());
        }
    }
    let gemma = architecture == Architecture::Gemma3;
    let usual = if gemma { Activation::GeluTanh } else { Activation::Silu };
    if mlp.activation != usual {
        return Err(format!("the activation {:?}", mlp.activation));
    }
    let dim = attention.head_dim;
    let scalar = if gemma {
        Architecture::scalar_of_scores(layers.len(), spec.hidden_size, attention.heads, dim)
    } else {
        dim as f64
    };
    let mut keys = Keys { prefix: architecture.name(), entries: Vec::new() };
    keys.sizes(spec, attention, inner(mlp));
    let layers: Vec<&AttentionSpec> = layers.iter().map(|(attention, _)| *attention).collect();
    let rope_factors = if gemma {
        keys.gemma(spec, &layers)?;
        None
    } else {
        keys.plain(architecture, &layers)?
    };
    Ok(Description {
        entries: keys.entries,
        head_dim: dim,
        tied_head: spec.head == HeadSpec::Tied,
        rope_factors,
        query_gain: attention.scale * scalar.sqrt(),
    })
}

/// The two parts of each layer.
fn layers(spec: &DecoderSpec) -> Result<Vec<(&AttentionSpec, &MlpSpec)>, String> {
    let parts = spec.layers.iter().map(|layer| {
        let mixers: Vec<_> = layer.blocks.iter().flat_map(|block| &block.mixers).collect();
        match mixers[..] {
            [MixerSpec::Attention(attention), MixerSpec::Mlp(mlp)] => Ok((attention, mlp)),
            _ => Err("layers other than attention and feed-forward part".to_owned()),
        }
    });
    parts.collect()
}

fn inner(mlp: &MlpSpec) -> usize {
    match mlp.gate {
        GateSpec::Fused => mlp.up.outputs / 2,
        _ => mlp.up.outputs,
    }
}

/// The keys of an architecture.
struct Keys {
    prefix: &'static str,
    entries: Vec<(String, Entry)>,
}

impl Keys {
    fn put(&mut self, name: &str, value: Entry) {
        self.entries.push((format!("{}.{name}", self.prefix), value));
    }

    fn count(&mut self, name: &str, count: usize) {
        self.put(name, Entry::U32(count as u32));
    }

    fn real(&mut self, name: &str, number: f64) {
        self.put(name, Entry::F32(number as f32));
    }

    fn sizes(&mut self, spec: &DecoderSpec, attention: &AttentionSpec, inner: usize) {
        self.count("context_length", spec.context_length);
        self.count("embedding_length", spec.hidden_size);
        self.count("block_count", spec.layers.len());
        self.count("feed_forward_length", inner);
        self.count("vocab_size", spec.vocab_size);
        self.count("attention.head_count", attention.heads);
        self.count("attention.head_count_kv", attention.kv_heads);
        self.count("attention.key_length", attention.head_dim);
        self.count("attention.value_length", attention.head_dim);
        self.real("attention.layer_norm_rms_epsilon", spec.norm.eps);
    }

    /// Layers that are all rotated alike; answers the factors of the rotation, if it has some.
    fn plain(
        &mut self,
        architecture: Architecture,
        layers: &[&AttentionSpec],
    ) -> Result<Option<Vec<f32>>, String> {
        let first = layers[0];
        let rope = first.rope.as_ref().ok_or("layers without a rotation")?;
        if layers.iter().any(|layer| layer.rope != first.rope || layer.window != first.window) {
            return Err("rotations or windows that differ from layer to layer".to_owned());
        }
        match (architecture, first.window) {
            // Not looked at by llama.cpp, which says so.
            (Architecture::Phi3, window) => {
                self.count("attention.sliding_window", window.unwrap_or(0));
            }
            (_, None) => {}
            (_, Some(window)) => return Err(format!("a window of {window}")),
        }
        self.rotation(rope)?;
        match &rope.scaling {
            RopeScaling::Llama3 { .. } | RopeScaling::Factors(_) => {
                if architecture != Architecture::Llama {
                    return Err("factors of a rotation".to_owned());
                }
                let unscaled = RopeSpec { scaling: RopeScaling::None, ..rope.clone() };
                let pairs = unscaled.frequencies().into_iter().zip(rope.frequencies());
                Ok(Some(pairs.map(|(plain, scaled)| plain / scaled).collect()))
            }
            RopeScaling::None | RopeScaling::Linear { .. } | RopeScaling::Yarn(_) => Ok(None),
        }
    }

    fn rotation(&mut self, rope: &RopeSpec) -> Result<(), String> {
        self.count("rope.dimension_count", rope.dim);
        self.real("rope.freq_base", rope.theta);
        let mut gain = rope.gain;
        match &rope.scaling {
            RopeScaling::Linear { factor } => self.scaling("linear", *factor),
            RopeScaling::Yarn(yarn) => {
                if (yarn.beta_fast, yarn.beta_slow, yarn.truncate) != (32.0, 1.0, true) {
                    return Err("limits of YaRN other than 32 and 1 turns".to_owned());
                }
                self.scaling("yarn", yarn.factor);
                self.count("rope.scaling.original_context_length", yarn.original_context);
                let usual = Yarn::scale(yarn.factor, 1.0);
                gain *= yarn.amplitude / usual;
            }
            _ => {}
        }
        if gain != 1.0 {
            self.real("rope.scaling.attn_factor", gain);
        }
        Ok(())
    }

    fn scaling(&mut self, kind: &str, factor: f64) {
        self.put("rope.scaling.type", Entry::String(kind.to_owned()));
        self.real("rope.scaling.factor", factor);
    }

    /// Layers with a window between those that see everything.
    fn gemma(&mut self, spec: &DecoderSpec, layers: &[&AttentionSpec]) -> Result<(), String> {
        let slides: Vec<bool> = layers.iter().map(|layer| layer.window.is_some()).collect();
        let of = |kind: bool| {
            let mut alike = layers.iter().filter(move |layer| layer.window.is_some() == kind);
            let first = alike.next();
            match first {
                Some(first) if alike.any(|l| l.rope != first.rope || l.window != first.window) => {
                    Err("rotations or windows that differ among layers of a kind".to_owned())
                }
                _ => Ok(first),
            }
        };
        let (sliding, full) = (of(true)?, of(false)?);
        let rope = |layer: &&AttentionSpec| layer.rope.clone();
        let rope = full.or(sliding).and_then(rope).ok_or("layers without a rotation")?;
        if !matches!(rope.scaling, RopeScaling::None | RopeScaling::Linear { .. }) {
            return Err("factors of a rotation".to_owned());
        }
        self.rotation(&rope)?;
        if let Some(cap) = spec.logit_softcap {
            self.real("final_logit_softcapping", cap);
        }
        let Some(AttentionSpec { window: Some(window), rope: Some(local), .. }) = sliding else {
            return Ok(());
        };
        if local.scaling != RopeScaling::None {
            return Err("a scaled rotation of the layers with a window".to_owned());
        }
        self.count("attention.sliding_window", *window);
        self.real("rope.freq_base_swa", local.theta);
        let usual = (1..=slides.len()).map(|number| !number.is_multiple_of(6));
        if !usual.eq(slides.iter().copied()) {
            let slides = slides.into_iter().map(Entry::Bool).collect();
            self.put("attention.sliding_window_pattern", Entry::Array(slides));
        }
        Ok(())
    }
}

/// The ids of special tokens: by the names in `tokenizer_config.json`, or as the configs have them.
/// Several that end a text get a key each, as far as there are keys.
pub(super) fn special_tokens(
    parts: &Parts<'_>,
    tokenizer: &Tokenizer,
    entries: &mut Vec<(String, Entry)>,
    notes: &mut Vec<String>,
) {
    let named = |name: &str| {
        let token = parts.tokenizer_config.as_ref().map(|config| &config[name])?;
        let text = token.as_str().or_else(|| token["content"].as_str())?;
        tokenizer.token_to_id(text)
    };
    let configs = [parts.generation_config.as_ref(), Some(&parts.config)];
    let listed = |key: &str| -> Vec<u32> {
        let value = configs.iter().flatten().map(|config| &config[key]).find(|v| !v.is_null());
        let ids = |value: &Value| match value {
            Value::Array(ids) => ids.clone(),
            one => vec![one.clone()],
        };
        let ids = value.map(ids).unwrap_or_default();
        ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect()
    };
    for (key, name) in SPECIAL {
        let known = entries.iter().any(|(other, _)| other == key);
        let id = named(name).or_else(|| listed(&format!("{name}_id")).first().copied());
        if let Some(id) = id.filter(|_| !known) {
            entries.push((key.to_owned(), Entry::U32(id)));
        }
    }
    let first = entries.iter().find(|(key, _)| key == "tokenizer.ggml.eos_token_id");
    let first = first.and_then(|(_, id)| id.to_u32().ok());
    let mut others = listed("eos_token_id");
    others.retain(|id| Some(*id) != first);
    let mut others = others.into_iter();
    for name in ["eot", "eom"] {
        if let Some(id) = others.next() {
            entries.push((format!("tokenizer.ggml.{name}_token_id"), Entry::U32(id)));
        }
    }
    for id in others {
        notes.push(format!("token {id} ends a text too, for which there is no key"));
    }
}
