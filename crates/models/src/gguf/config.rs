//! From the keys of a GGUF file to a `config.json` as Hugging Face has it, so that the families
//! read and check the one as they do the other.

use serde_json::{Map, Value, json};

use super::architecture::Architecture;
use super::ends;
use super::error::GgufError;
use super::header::Header;
use super::metadata::Metadata;
use super::refused;
use crate::config::ConfigError;

/// The keys of one architecture.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'static str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn count(&self, name: &str) -> Result<usize, GgufError> {
        self.metadata.count(&self.key(name))
    }

    fn optional_count(&self, name: &str) -> Result<Option<usize>, GgufError> {
        self.metadata.optional_count(&self.key(name))
    }

    fn optional_real(&self, name: &str) -> Result<Option<f64>, GgufError> {
        self.metadata.optional_real(&self.key(name))
    }

    /// A number that is the same for every layer.
    fn layer_count(&self, name: &str) -> Result<Option<usize>, GgufError> {
        self.metadata.layer_count(&self.key(name), self.count("block_count")?)
    }

    fn heads(&self) -> Result<usize, GgufError> {
        let heads = self.layer_count("attention.head_count")?;
        heads.ok_or_else(|| GgufError::MissingKey(self.key("attention.head_count")))
    }

    /// The width of a head.
    fn width(&self) -> Result<usize, GgufError> {
        let said = self.optional_count("attention.key_length")?;
        Ok(said.unwrap_or(self.count("embedding_length")? / self.heads()?.max(1)))
    }

    /// Refuses a value other than the one that `expected` says.
    fn require(&self, name: &str, found: usize, right: usize, why: &str) -> Result<(), GgufError> {
        if found == right {
            return Ok(());
        }
        let (key, found, expected) = (self.key(name), found.to_string(), format!("{right}{why}"));
        Err(GgufError::Value { key, found, expected })
    }
}

/// The config that the header describes.
pub(super) fn config(header: &Header, architecture: Architecture) -> Result<Value, GgufError> {
    let keys = Keys { metadata: &header.metadata, architecture: architecture.name() };
    if let Some(parts) = header.metadata.optional_count("split.count")?.filter(|parts| *parts > 1) {
        return Err(GgufError::Value {
            key: "split.count".to_owned(),
            found: parts.to_string(),
            expected: "1: join the parts with llama-gguf-split --merge".to_owned(),
        });
    }
    refused::check(&header.metadata, architecture)?;
    let table = header.tensors.get("token_embd.weight").ok_or_else(|| GgufError::Tensor {
        name: "token_embd.weight".to_owned(),
        reason: "it is missing".to_owned(),
    })?;
    let has = |name: &str| header.tensors.contains_key(name);
    no_tokenizer(&keys, table.shape[0])?;
    let inner = keys.layer_count("feed_forward_length")?;
    let inner = inner.ok_or_else(|| GgufError::MissingKey(keys.key("feed_forward_length")))?;
    let mut config = json!({
        "model_type": architecture.model_type(),
        "vocab_size": table.shape[0],
        "hidden_size": keys.count("embedding_length")?,
        "intermediate_size": inner,
        "num_hidden_layers": keys.count("block_count")?,
        "num_attention_heads": keys.heads()?,
        "max_position_embeddings": keys.count("context_length")?,
        "rms_norm_eps": header.metadata.real(&keys.key("attention.layer_norm_rms_epsilon"))?,
        "tie_word_embeddings": !has("output.weight"),
        "attention_bias": has("blk.0.attn_q.bias"),
        "mlp_bias": has("blk.0.ffn_up.bias"),
    });
    let Value::Object(entries) = &mut config else { return Ok(config) };
    optional(entries, "num_key_value_heads", keys.layer_count("attention.head_count_kv")?);
    rotation(entries, &keys, architecture)?;
    special_tokens(entries, &header.metadata, table.shape[0])?;
    match architecture {
        Architecture::Gemma3 => gemma(entries, &keys)?,
        Architecture::Phi3 => {
            let window = keys.optional_count("attention.sliding_window")?;
            optional(entries, "sliding_window", window.filter(|window| *window > 0));
        }
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => no_window(&keys)?,
    }
    Ok(config)
}

/// `vocab_size` counts where there is no tokenizer.
fn no_tokenizer(keys: &Keys<'_>, rows: usize) -> Result<(), GgufError> {
    let said = keys.optional_count("vocab_size")?;
    match keys.metadata.optional_text("tokenizer.ggml.model")? {
        None | Some("none" | "no_vocab") => keys.require(
            "vocab_size",
            said.unwrap_or(rows),
            rows,
            ", the rows of the embedding table",
        ),
        Some(_) => Ok(()),
    }
}

/// Refuses a window of an architecture that has none in llama.cpp, unless it is as wide as all.
fn no_window(keys: &Keys<'_>) -> Result<(), GgufError> {
    let window = keys.optional_count("attention.sliding_window")?.unwrap_or(0);
    if window >= keys.count("context_length")? {
        return Ok(());
    }
    keys.require("attention.sliding_window", window, 0, ": every layer sees everything")
}

/// What the family has against a config, in terms of the file.
pub(super) fn in_terms_of_keys(
    error: ConfigError,
    architecture: Architecture,
) -> Result<GgufError, ConfigError> {
    let ConfigError::Invalid { key, ref found, expected } = error else { return Err(error) };
    let Some((_, name)) = NAMES.iter().find(|(config, _)| *config == key) else {
        return Err(error);
    };
    let key = format!("{}.{name}", architecture.name());
    Ok(GgufError::Value { key, found: found.clone(), expected: expected.to_owned() })
}

/// The keys that become those of a config as they are.
const NAMES: [(&str, &str); 13] = [
    ("final_logit_softcapping", "final_logit_softcapping"),
    ("factor", "rope.scaling.factor"),
    ("head_dim", "attention.key_length"),
    ("hidden_size", "embedding_length"),
    ("intermediate_size", "feed_forward_length"),
    ("max_position_embeddings", "context_length"),
    ("num_attention_heads", "attention.head_count"),
    ("num_hidden_layers", "block_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("rope_local_base_freq", "rope.freq_base_swa"),
    ("rope_theta", "rope.freq_base"),
    ("sliding_window", "attention.sliding_window"),
];

fn optional<T: Into<Value>>(entries: &mut Map<String, Value>, key: &str, value: Option<T>) {
    if let Some(value) = value {
        entries.insert(key.to_owned(), value.into());
    }
}

/// The width of a head and how it is rotated.
fn rotation(
    entries: &mut Map<String, Value>,
    keys: &Keys<'_>,
    architecture: Architecture,
) -> Result<(), GgufError> {
    let dim = keys.width()?;
    entries.insert("head_dim".to_owned(), dim.into());
    for name in ["attention.value_length", "attention.key_length_swa", "attention.value_length_swa"]
    {
        let width = keys.optional_count(name)?.unwrap_or(dim);
        keys.require(name, width, dim, ", as for keys")?;
    }
    let rotated = keys.optional_count("rope.dimension_count")?.unwrap_or(dim);
    if architecture == Architecture::Phi3 && rotated < dim {
        if rotated == 0 || !rotated.is_multiple_of(2) {
            let (key, found) = (keys.key("rope.dimension_count"), rotated.to_string());
            let expected = format!("an even number from 2 to {dim}, the width of a head");
            return Err(GgufError::Value { key, found, expected });
        }
        // Rounded towards zero again when it is read.
        let share = (rotated as f64 + 0.5) / dim as f64;
        optional(entries, "partial_rotary_factor", Some(share));
    } else {
        keys.require("rope.dimension_count", rotated, dim, ", the width of a head")?;
    }
    let sliding = keys.optional_count("rope.dimension_count_swa")?.unwrap_or(rotated);
    keys.require("rope.dimension_count_swa", sliding, rotated, ", as in all layers")?;
    let base = keys.optional_real("rope.freq_base")?.unwrap_or(10_000.0);
    entries.insert("rope_theta".to_owned(), base.into());
    if let Some(scaling) = scaling(keys)? {
        entries.insert("rope_scaling".to_owned(), scaling);
    }
    Ok(())
}

/// How the rotation was slowed. Without a word on how, it is the same for all pairs; and the files
/// of 2023 have the factor under another name.
fn scaling(keys: &Keys<'_>) -> Result<Option<Value>, GgufError> {
    let key = keys.key("rope.scaling.type");
    let kind = keys.metadata.optional_text(&key)?.unwrap_or("linear");
    let (now, once) = ("rope.scaling.factor", "rope.scale_linear");
    let (new, old) = (keys.optional_real(now)?, keys.optional_real(once)?);
    let name = if new.is_some() { now } else { once };
    let factor = new.or(old).unwrap_or(0.0);
    if factor < 0.0 {
        let (key, found) = (keys.key(name), factor.to_string());
        let expected = "a number above 0, or 0 for none".to_owned();
        return Err(GgufError::Value { key, found, expected });
    }
    let factor = if factor == 0.0 { 1.0 } else { factor };
    let original = keys.optional_count("rope.scaling.original_context_length")?;
    let original = original.filter(|length| *length > 0);
    match kind {
        "none" => Ok(None),
        "linear" if factor == 1.0 => Ok(None),
        "linear" => Ok(Some(json!({ "rope_type": kind, "factor": factor }))),
        "yarn" => Ok(Some(json!({
            "rope_type": kind, "factor": factor,
            "original_max_position_embeddings": original.map_or_else(|| keys.count("context_length"), Ok)?,
        }))),
        other => {
            let (found, expected) = (format!("`{other}`"), "none, linear or yarn".to_owned());
            Err(GgufError::Value { key, found, expected })
        }
    }
}

/// What the rotated numbers are multiplied by, whatever the scaling; `YaRN` has a factor of its own
/// besides.
pub(super) fn rotation_gain(
    metadata: &Metadata,
    architecture: Architecture,
) -> Result<f64, GgufError> {
    let key = format!("{}.rope.scaling.attn_factor", architecture.name());
    let gain = metadata.optional_real(&key)?.unwrap_or(1.0);
    if gain > 0.0 {
        return Ok(gain);
    }
    let (found, expected) = (gain.to_string(), "a number above 0".to_owned());
    Err(GgufError::Value { key, found, expected })
}

/// Windows on five of six layers, or as the file says, and what llama.cpp does not write down.
fn gemma(entries: &mut Map<String, Value>, keys: &Keys<'_>) -> Result<(), GgufError> {
    let layers = keys.count("block_count")?;
    let (hidden, heads, dim) = (keys.count("embedding_length")?, keys.heads()?, keys.width()?);
    let window = keys.optional_count("attention.sliding_window")?.filter(|window| *window > 0);
    // A depth that no model has is for the family to refuse, and not to be listed here.
    let listed = layers.min(4096);
    let pattern = keys.key("attention.sliding_window_pattern");
    let slides = keys.metadata.layer_flags(&pattern, listed)?;
    let period = |number: usize| !number.is_multiple_of(6);
    let slides = slides.unwrap_or_else(|| (1..=listed).map(period).collect());
    // Without a window llama.cpp rotates all layers alike.
    let types = slides.iter().map(|slides| match slides {
        true if window.is_some() => "sliding_attention",
        _ => "full_attention",
    });
    let scalar = Architecture::scalar_of_scores(layers, hidden, heads.max(1), dim);
    entries.insert("layer_types".to_owned(), types.collect());
    entries.insert("sliding_window".to_owned(), json!(window));
    entries.insert("query_pre_attn_scalar".to_owned(), json!(scalar));
    let local = keys.optional_real("rope.freq_base_swa")?;
    optional(entries, "rope_local_base_freq", local);
    let cap = keys.optional_real("final_logit_softcapping")?;
    optional(entries, "final_logit_softcapping", cap.filter(|cap| *cap != 0.0));
    Ok(())
}

/// The special tokens that a config names.
fn special_tokens(
    entries: &mut Map<String, Value>,
    metadata: &Metadata,
    rows: usize,
) -> Result<(), GgufError> {
    for (key, name) in [("bos", "bos_token_id"), ("padding", "pad_token_id")] {
        let id = metadata.optional_count(&format!("tokenizer.ggml.{key}_token_id"))?;
        // llama.cpp passes over what is no token.
        optional(entries, name, id.filter(|id| *id < rows));
    }
    let ends = ends::find(metadata, rows)?.ids;
    match ends[..] {
        [] => {}
        [end] => optional(entries, "eos_token_id", Some(end)),
        _ => optional(entries, "eos_token_id", Some(ends)),
    }
    Ok(())
}
