//! Qwen 2 and 2.5: llama with biases on queries, keys and values.
//!
//! Source: `models/qwen2` in Hugging Face transformers 5.23.

use super::llama_like::{Biases, Defaults, LlamaLike};
use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let mut model = LlamaLike::read(config, "qwen2", &Defaults::default())?;
    model.biases = Biases { qkv: true, ..Biases::default() };
    slide_upper_layers(&mut model, config)?;
    Ok(model.spec())
}

/// The rule of Qwen 2 and 3: with `use_sliding_window`, the layers from `max_window_layers` on have
/// the window.
pub(super) fn slide_upper_layers(
    model: &mut LlamaLike,
    config: Config<'_>,
) -> Result<(), ConfigError> {
    let window = if config.flag("use_sliding_window", false)? {
        config.nullable_size("sliding_window", 4096)?
    } else {
        None
    };
    let first = config.optional_count("max_window_layers")?.unwrap_or(28);
    model.slide(config, window, |index, _| index >= first)
}
