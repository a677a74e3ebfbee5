//! The registry of model families.
//!
//! A family is a file that maps its `config.json` and its tensor names to a [`DecoderSpec`]. To add
//! one: write that file, name it here in two places, and put a model made by the family's own
//! implementation under `testdata`.

mod gemma3;
mod gpt2;
mod llama;
mod llama_like;
mod mistral;
mod nemotron_h;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3_moe;
mod smollm3;

use serde_json::Value;

use crate::config::{Config, ConfigError};
use crate::language_model::Capabilities;
use crate::spec::{DecoderSpec, TensorSpec};

/// Numbers of the weights of a model, in all tensors.
const MOST_NUMBERS: usize = 1 << 44;

/// One family: the `model_type` that names it and the reader of its configs.
struct Family {
    model_type: &'static str,
    spec: ReadSpec,
    capabilities: Capabilities,
}

type ReadSpec = fn(Config<'_>) -> Result<DecoderSpec, ConfigError>;

const FAMILIES: &[Family] = &[
    Family::new("gemma3", gemma3::spec),
    Family::new("gemma3_text", gemma3::text_spec),
    Family::new("gpt2", gpt2::spec),
    Family::new("llama", llama::spec),
    Family::new("mistral", mistral::spec),
    Family::new("nemotron_h", nemotron_h::spec).recurrent(),
    Family::new("phi", phi::spec),
    Family::new("phi3", phi3::spec),
    Family::new("qwen2", qwen2::spec),
    Family::new("qwen3", qwen3::spec),
    Family::new("qwen3_moe", qwen3_moe::spec),
    Family::new("smollm3", smollm3::spec),
];

impl Family {
    const fn new(model_type: &'static str, spec: ReadSpec) -> Self {
        let capabilities = Capabilities { batch_invariant: true, ..Capabilities::ALL };
        Self { model_type, spec, capabilities }
    }

    /// Some layers keep a state in place of the past.
    const fn recurrent(mut self) -> Self {
        self.capabilities.truncate = false;
        self
    }
}

/// The `model_type`s that this build can load.
pub fn supported() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.model_type).collect()
}

/// What the models of a family can do on a CPU, or `None` if there is no such family.
pub fn capabilities(model_type: &str) -> Option<Capabilities> {
    let family = FAMILIES.iter().find(|family| family.model_type == model_type);
    family.map(|family| family.capabilities)
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
        let spec = (family.spec)(config)?;
        check_numbers(&spec)?;
        Ok(spec)
    }
}

/// Refuses sizes whose products are beyond any memory, ahead of anything that multiplies them.
fn check_numbers(spec: &DecoderSpec) -> Result<(), ConfigError> {
    let mut all = 0usize;
    for TensorSpec { name, shape, .. } in spec.tensors() {
        let numbers = shape.iter().try_fold(1usize, |numbers, size| numbers.checked_mul(*size));
        let sum = numbers.and_then(|numbers| all.checked_add(numbers));
        match sum.filter(|sum| *sum <= MOST_NUMBERS) {
            Some(sum) => all = sum,
            None => return Err(ConfigError::TooLarge { name, shape }),
        }
    }
    Ok(())
}
