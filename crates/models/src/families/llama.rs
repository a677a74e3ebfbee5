//! Llama 1 to 3, and the many models saved as such.
//!
//! Source: `models/llama` in Hugging Face transformers 5.23.

use super::llama_like::{Biases, Defaults, LlamaLike};
use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let mut model = LlamaLike::read(config, "llama", &Defaults::default())?;
    let attention = config.flag("attention_bias", false)?;
    model.biases =
        Biases { qkv: attention, output: attention, mlp: config.flag("mlp_bias", false)? };
    Ok(model.spec())
}
