//! The registry of model families.
//!
//! A family is a file that maps its `config.json` and its tensor names to a [`DecoderSpec`]. To add
//! one: write that file, name it here in two places, and put a model made by the family's own
//! implementation under `testdata`.

mod llama;
mod llama_like;
mod mistral;
mod qwen2;
mod qwen3;
mod smollm3;

use serde_json::Value;

use crate::config::{Config, ConfigError};
use crate::spec::DecoderSpec;

/// One family: the `model_type` that names it and the reader of its configs.
struct Family {
    model_type: &'static str,
    spec: ReadSpec,
}

type ReadSpec = fn(Config<'_>) -> Result<DecoderSpec, ConfigError>;

const FAMILIES: &[Family] = &[
    Family::new("llama", llama::spec),
    Family::new("mistral", mistral::spec),
    Family::new("qwen2", qwen2::spec),
    Family::new("qwen3", qwen3::spec),
    Family::new("smollm3", smollm3::spec),
];

impl Family {
    const fn new(model_type: &'static str, spec: ReadSpec) -> Self {
        Self { model_type, spec }
    }
}

/// The `model_type`s that this build can load.
pub fn supported() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.model_type).collect()
}

impl DecoderSpec {
    /// Reads the spec from the contents of a `config.json`.
    ///
    /// # Errors
    ///
    /// When a value is missing, has the wrong type or lies out of range, and when no family is
    /// registered for the `model_type`. The error names the key.
    pub fn from_config(config: &Value) -> Result<Self, ConfigError> {
        let config = Config::new(config)?;
        let model_type =
            config.optional_text("model_type")?.ok_or(ConfigError::Missing("model_type"))?;
        let family =
            FAMILIES.iter().find(|family| family.model_type == model_type).ok_or_else(|| {
                ConfigError::UnsupportedFamily {
                    found: model_type.to_owned(),
                    supported: supported(),
                }
            })?;
        (family.spec)(config)
    }
}
