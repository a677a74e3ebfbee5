//! Phi 3 and 4: llama with one matrix for queries, keys and values and one for the feed-forward part
//! and its gate; perhaps a window on every layer, perhaps part of each head unrotated.
//!
//! The factors of the long-context variants (`longrope`) are not built: such a config is refused.
//!
//! Source: `models/phi3` in Hugging Face transformers 5.23.

use super::llama_like::{Defaults, LlamaLike};
use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

pub(super) fn spec(config: Config<'_>) -> Result<DecoderSpec, ConfigError> {
    let mut model = LlamaLike::read_unrotated(config, "phi3", &Defaults::default())?;
    model.fused = true;
    let rope = config.rope(config.rotated_width(model.head_dim, 1.0)?, 10_000.0)?;
    let window = config.optional_size("sliding_window")?;
    for layer in &mut model.layers {
        layer.rope = Some(rope.clone());
        layer.window = window;
    }
    Ok(model.spec())
}
