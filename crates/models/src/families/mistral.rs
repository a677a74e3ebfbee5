//! Mistral 7B: llama with a sliding window on every layer.
//!
//! Source: `models/mistral` in Hugging Face transformers 5.23.

use super::llama_like::{Defaults, LlamaLike};
use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let mut model = LlamaLike::read(config, "mistral", &Defaults::default())?;
    let window = config.nullable_size("sliding_window", 4096)?;
    for layer in &mut model.layers {
        layer.window = window;
    }
    Ok(model.spec())
}
