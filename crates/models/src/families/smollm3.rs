//! `SmolLM3`: llama in which some layers rotate nothing.
//!
//! Source: `models/smollm3` in Hugging Face transformers 5.23.

use serde_json::Value;

use super::llama_like::{Biases, Defaults, LlamaLike};
use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let defaults = Defaults { rope_theta: 2_000_000.0, tied_head: true, ..Defaults::default() };
    let mut model = LlamaLike::read(config, "smollm3", &defaults)?;
    let attention = config.flag("attention_bias", false)?;
    model.biases =
        Biases { qkv: attention, output: attention, mlp: config.flag("mlp_bias", false)? };
    let rotated = rotated_layers(config, model.layers.len())?;
    for (layer, rotated) in model.layers.iter_mut().zip(rotated) {
        layer.rope = layer.rope.take().filter(|_| rotated);
    }
    let window = if config.flag("use_sliding_window", false)? {
        config.optional_size("sliding_window")?
    } else {
        None
    };
    model.slide(config, window, |_, rotated| !rotated)?;
    Ok(model.spec())
}

/// `no_rope_layers` says 1 where a layer rotates, its name notwithstanding. Without it every fourth
/// layer, or as `no_rope_layer_interval` says, does not.
fn rotated_layers(config: Config<'_>, count: usize) -> Result<Vec<bool>, ConfigError> {
    let listed = config.optional("no_rope_layers", "0 or 1 for each layer", |value| {
        let flags = value.as_array()?.iter().map(Value::as_u64);
        let flags = flags.map(|flag| flag.filter(|flag| *flag <= 1).map(|flag| flag == 1));
        flags.collect::<Option<Vec<_>>>().filter(|flags| flags.len() >= count)
    })?;
    let interval = config.optional_size("no_rope_layer_interval")?.unwrap_or(4);
    let by_interval = || (1..=count).map(|number| !number.is_multiple_of(interval));
    Ok(listed.unwrap_or_else(|| by_interval().collect()))
}
