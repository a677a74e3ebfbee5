//! From the keys of a GGUF file to a `config.json` as Hugging Face has it, so that the families
//! read and check the one as they do the other.

use serde_json::{Map, Value, json};

use super::architecture::Architecture;
use super::error::GgufError;
use super::header::Header;
use super::metadata::Metadata;
use crate::spec::Yarn;

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
    keys.require("expert_count", keys.optional_count("expert_count")?.unwrap_or(0), 0, "")?;
    let table = header.tensors.get("token_embd.weight").ok_or_else(|| GgufError::Tensor {
        name: "token_embd.weight".to_owned(),
        reason: "it is missing".to_owned(),
    })?;
    let has = |name: &str| header.tensors.contains_key(name);
    let mut config = json!({
        "model_type": architecture.model_type(),
        "vocab_size": table.shape[0],
        "hidden_size": keys.count("embedding_length")?,
        "intermediate_size": keys.count("feed_forward_length")?,
        "num_hidden_layers": keys.count("block_count")?,
        "num_attention_heads": keys.count("attention.head_count")?,
        "max_position_embeddings": keys.count("context_length")?,
        "rms_norm_eps": header.metadata.real(&keys.key("attention.layer_norm_rms_epsilon"))?,
        "tie_word_embeddings": !has("output.weight"),
        "attention_bias": has("blk.0.attn_q.bias"),
        "mlp_bias": has("blk.0.ffn_up.bias"),
    });
    let Value::Object(entries) = &mut config else { return Ok(config) };
    optional(entries, "num_key_value_heads", keys.optional_count("attention.head_count_kv")?);
    rotation(entries, &keys, architecture)?;
    special_tokens(entries, &header.metadata)?;
    if architecture == Architecture::Gemma3 {
        gemma(entries, &keys)?;
    }
    if architecture == Architecture::Phi3 {
        let window = keys.optional_count("attention.sliding_window")?;
        optional(entries, "sliding_window", window.filter(|window| *window > 0));
    }
    Ok(config)
}

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
    let (hidden, heads) = (keys.count("embedding_length")?, keys.count("attention.head_count")?);
    let said = keys.optional_count("attention.key_length")?;
    optional(entries, "head_dim", said);
    let dim = said.unwrap_or(hidden / heads.max(1));
    let values = keys.optional_count("attention.value_length")?.unwrap_or(dim);
    keys.require("attention.value_length", values, dim, ", as for keys")?;
    let rotated = keys.optional_count("rope.dimension_count")?.unwrap_or(dim);
    if architecture == Architecture::Phi3 && rotated < dim {
        // Rounded towards zero again when it is read.
        let share = (rotated as f64 + 0.5) / dim as f64;
        optional(entries, "partial_rotary_factor", Some(share));
    } else {
        keys.require("rope.dimension_count", rotated, dim, ", the width of a head")?;
    }
    optional(entries, "rope_theta", keys.optional_real("rope.freq_base")?);
    if let Some(scaling) = scaling(keys)? {
        entries.insert("rope_scaling".to_owned(), scaling);
    }
    Ok(())
}

/// How the rotation was slowed.
fn scaling(keys: &Keys<'_>) -> Result<Option<Value>, GgufError> {
    let key = keys.key("rope.scaling.type");
    let kind = keys.metadata.optional_text(&key)?.filter(|kind| *kind != "none");
    let Some(kind) = kind else { return Ok(None) };
    let factor = keys.optional_real("rope.scaling.factor")?;
    match kind {
        "linear" => Ok(Some(json!({ "rope_type": kind, "factor": factor }))),
        "yarn" => {
            for name in ["ext_factor", "attn_factor", "beta_fast", "beta_slow", "log_multiplier"] {
                let key = keys.key(&format!("rope.scaling.yarn_{name}"));
                if let Some(found) = keys.metadata.optional_real(&key)? {
                    let (found, expected) = (found.to_string(), "no such key".to_owned());
                    return Err(GgufError::Value { key, found, expected });
                }
            }
            let usual = Yarn::scale(factor.unwrap_or(1.0), 1.0);
            let amplitude = keys.optional_real("rope.scaling.attn_factor")?.unwrap_or(1.0) * usual;
            Ok(Some(json!({
                "rope_type": kind, "factor": factor, "attention_factor": amplitude,
                "original_max_position_embeddings": keys.count("rope.scaling.original_context_length")?,
            })))
        }
        other => {
            let (found, expected) = (format!("`{other}`"), "none, linear or yarn".to_owned());
            Err(GgufError::Value { key, found, expected })
        }
    }
}

/// Windows on five of six layers, or as the file says, and what llama.cpp does not write down.
fn gemma(entries: &mut Map<String, Value>, keys: &Keys<'_>) -> Result<(), GgufError> {
    let layers = keys.count("block_count")?;
    let (hidden, heads) = (keys.count("embedding_length")?, keys.count("attention.head_count")?);
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
    let dim = keys.optional_count("attention.key_length")?.unwrap_or(hidden / heads.max(1));
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

/// Whatever ends a text: llama.cpp has a key for each.
fn special_tokens(entries: &mut Map<String, Value>, metadata: &Metadata) -> Result<(), GgufError> {
    let id = |name: &str| metadata.optional_count(&format!("tokenizer.ggml.{name}_token_id"));
    optional(entries, "bos_token_id", id("bos")?);
    optional(entries, "pad_token_id", id("padding")?);
    let mut ends: Vec<usize> = [id("eos")?, id("eot")?, id("eom")?].into_iter().flatten().collect();
    ends.dedup();
    match ends[..] {
        [] => {}
        [end] => optional(entries, "eos_token_id", Some(end)),
        _ => optional(entries, "eos_token_id", Some(ends)),
    }
    Ok(())
}
