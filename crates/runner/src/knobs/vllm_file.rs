//! What vLLM reads of a model's own settings.

use serde_json::Value;
use taper_sampling::GenerationConfig;
use taper_sampling::presets::VllmConfig;

use super::model_file::{domain, known, odd};
use crate::error::{RequestError, refuse};
use crate::semantics::Vllm;
use crate::told::shortened;

/// The settings of a model's file that vLLM reads.
const READ: [&str; 5] = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"];

impl Vllm {
    /// What vLLM starts from with a model: the settings of its `generation_config.json` that vLLM
    /// reads, and its own defaults. Among them are two that Hugging Face has no name for.
    ///
    /// # Errors
    ///
    /// [`RequestError::Setting`] when one of those settings is not of its type.
    pub fn for_model(file: &GenerationConfig) -> Result<Self, RequestError> {
        let own = VllmConfig::default();
        let top_k = file.extra.get("top_k").and_then(Value::as_i64);
        if let Some((key, value)) =
            odd(file).find(|(key, _)| READ.contains(key) && !(*key == "top_k" && top_k.is_some()))
        {
            let domain = domain(key, None);
            return refuse(known(key), shortened(&value.to_string()), domain);
        }
        let penalty = |key: &'static str, own: f64| match file.extra.get(key) {
            None | Some(Value::Null) => Ok(own),
            Some(value) => match value.as_f64() {
                Some(penalty) => Ok(penalty),
                None => refuse(key, shortened(&value.to_string()), "a number"),
            },
        };
        let config = VllmConfig {
            temperature: file.temperature.unwrap_or(own.temperature),
            top_k: file.top_k.map_or(own.top_k, |k| i64::try_from(k).unwrap_or(i64::MAX)),
            top_p: file.top_p.unwrap_or(own.top_p),
            min_p: file.min_p.unwrap_or(own.min_p),
            repetition_penalty: file.repetition_penalty.unwrap_or(own.repetition_penalty),
            frequency_penalty: penalty("frequency_penalty", own.frequency_penalty)?,
            presence_penalty: penalty("presence_penalty", own.presence_penalty)?,
            ..own
        };
        // Below 0 is for its own range to refuse, or −1 for off.
        let config = VllmConfig { top_k: top_k.unwrap_or(config.top_k), ..config };
        Ok(Self { config, bad_words: Vec::new() })
    }
}
