//! Which settings count under whose rules.

use std::collections::BTreeMap;

use serde_json::Value;
use taper_sampling::{GenerationConfig, OneOrMany, presets};

use super::model_file::odd;
use super::{Knob, named};
use crate::error::RequestError;
use crate::semantics::{Semantics, at_zero};

impl Semantics {
    /// Checks every value that can be checked without a model; those of `config` too if they have
    /// no effect.
    ///
    /// # Errors
    ///
    /// The first value that is out of its range.
    pub fn validate(&self, config: &GenerationConfig) -> Result<(), RequestError> {
        match self {
            Self::HuggingFace => {
                // Some settings are nothing without an EOS token, which is the model's to name.
                let some_eos = GenerationConfig {
                    eos_token_id: Some(OneOrMany::One(0)),
                    ..GenerationConfig::default()
                };
                let config = at_zero(config.clone(), self).or(some_eos);
                // Which transformers refuses too: it means greedy decoding.
                let temperature = config.temperature.filter(|&t| t != 0.0);
                GenerationConfig { temperature, ..config }.validate()?;
            }
            Self::LlamaCpp(settings) => {
                only_shared(config, self.name())?;
                // A vocabulary that no token is outside of.
                presets::llama_cpp(&settings.config, usize::MAX, None)?;
            }
            Self::Vllm(settings) => {
                only_shared(config, self.name())?;
                settings.config.validate()?;
            }
            Self::Own(_) => only_shared(config, self.name())?,
        }
        Ok(())
    }

    /// What a model's own `generation_config.json` counts for in a request's config: everything
    /// where the rules are those that the file was written for, otherwise its special tokens, and
    /// for vLLM the limit on new tokens. What else vLLM reads is in [`Vllm::for_model`](crate::Vllm::for_model).
    #[must_use]
    pub fn heed(&self, file: GenerationConfig) -> GenerationConfig {
        let max_new_tokens = match self {
            Self::HuggingFace => return file,
            Self::LlamaCpp(_) => None,
            Self::Vllm(_) | Self::Own(_) => file.max_new_tokens,
        };
        let limited = matches!(self, Self::Vllm(_));
        let heeded = |key: &str| key == "eos_token_id" || limited && key == "max_new_tokens";
        let odd = odd(&file).filter(|(key, _)| heeded(key));
        GenerationConfig {
            extra: odd.map(|(key, value)| (key.to_owned(), value.clone())).collect(),
            bos_token_id: file.bos_token_id,
            eos_token_id: file.eos_token_id,
            pad_token_id: file.pad_token_id,
            max_new_tokens,
            ..GenerationConfig::default()
        }
    }

    /// `config`, with the engine's defaults for what it leaves open.
    pub(crate) fn with_defaults(
        &self,
        config: GenerationConfig,
    ) -> Result<GenerationConfig, RequestError> {
        match self {
            Self::HuggingFace => Ok(config.or(GenerationConfig::class_defaults())),
            Self::LlamaCpp(_) | Self::Vllm(_) | Self::Own(_) => {
                only_shared(&config, self.name())?;
                let one = GenerationConfig { num_return_sequences: Some(1), ..Default::default() };
                Ok(config.or(one))
            }
        }
    }
}

/// Whether a setting of [`GenerationConfig`] means the same under all rules: when to stop, and how
/// often to begin. Two of the model's own tokens do, which are no knobs.
pub(super) fn is_shared(key: &str) -> bool {
    let token = ["bos_token_id", "pad_token_id"].contains(&key);
    token || named(key).is_some_and(Knob::is_shared)
}

/// Refuses a setting that Hugging Face's rules alone would look at.
fn only_shared(config: &GenerationConfig, engine: &'static str) -> Result<(), RequestError> {
    let known = GenerationConfig { extra: BTreeMap::new(), ..config.clone() };
    let Ok(Value::Object(settings)) = serde_json::to_value(known) else { return Ok(()) };
    match settings.into_iter().find(|(key, _)| !is_shared(key)) {
        None => Ok(()),
        Some((key, _)) => Err(RequestError::Foreign { key, engine }),
    }
}
