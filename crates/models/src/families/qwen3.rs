//! Qwen 3, dense: llama with a norm on every query and key head, and heads of their own width.
//!
//! Source: `models/qwen3` in Hugging Face transformers 5.23.

use super::llama_like::{Biases, Defaults, LlamaLike};
use super::qwen2::slide_upper_layers;
use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let defaults = Defaults { head_dim: Some(128), ..Defaults::default() };
    let mut model = LlamaLike::read(config, "qwen3", &defaults)?;
    let attention = config.flag("attention_bias", false)?;
    model.biases = Biases { qkv: attention, output: attention, mlp: false };
    model.head_norms = true;
    slide_upper_layers(&mut model, config)?;
    Ok(model.spec())
}
