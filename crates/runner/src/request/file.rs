//! The settings that come with a model, some of which may not be what they must be.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use taper_models::LoadedModel;
use taper_sampling::{GenerationConfig, OneOrMany};

use super::refuse;
use crate::error::RequestError;
use crate::semantics::Semantics;
use crate::told::shortened;

/// Why the model's own settings cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {key}: {reason}")]
pub struct ModelConfigError {
    /// The file.
    pub file: &'static str,
    /// The setting.
    pub key: String,
    /// What is wrong with its value.
    pub reason: String,
}

/// The special tokens that `config.json` may name where there is no `generation_config.json`.
const SPECIAL: [&str; 3] = ["bos_token_id", "eos_token_id", "pad_token_id"];

/// Settings that greedy decoding under Hugging Face's rules does not look at.
pub(crate) const WARPERS: [&str; 8] = [
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_h",
];

/// Settings that have no effect without beams.
pub(crate) const OF_BEAMS: [&str; 5] =
    ["num_beam_groups", "diversity_penalty", "length_penalty", "early_stopping", "search"];

/// The settings that come with a model: its `generation_config.json`, or, as in transformers, the
/// special tokens that `config.json` names where there is no such file.
///
/// A value that is not of its setting's type is kept in [`GenerationConfig::extra`], under the
/// setting's name. A run for which it counts is refused; where something else goes before it, or
/// nothing looks at it, it stays without effect: see [`unused_settings`].
///
/// # Errors
///
/// When the file holds no object.
pub fn model_config(loaded: &LoadedModel) -> Result<GenerationConfig, ModelConfigError> {
    if let Some(config) = &loaded.generation_config {
        let error = || ModelConfigError {
            file: "generation_config.json",
            key: "the file".to_owned(),
            reason: "it must hold an object".to_owned(),
        };
        return Ok(read(config.as_object().ok_or_else(error)?));
    }
    let tokens = SPECIAL.iter().filter_map(|&key| {
        let value = loaded.config.get(key)?;
        Some((key.to_owned(), value.clone()))
    });
    Ok(read(&tokens.collect()))
}

/// The file of a model that names a setting, if one does.
pub fn file_of(loaded: &LoadedModel, key: &str) -> Option<&'static str> {
    let named = |config: &Value| config.get(key).is_some_and(|value| !value.is_null());
    match &loaded.generation_config {
        Some(config) => named(config).then_some("generation_config.json"),
        None => (SPECIAL.contains(&key) && named(&loaded.config)).then_some("config.json"),
    }
}

/// What of a model's own settings is not what it must be, with a remark on each: in a run that was
/// not refused under these rules it has no effect.
pub fn unused_settings(config: &GenerationConfig, semantics: &Semantics) -> Vec<String> {
    let ids = [("bos_token_id", &config.bos_token_id), ("pad_token_id", &config.pad_token_id)];
    let no_ids = ids.into_iter().filter_map(|(key, value)| {
        let value = value.as_ref()?;
        let known = serde_json::from_value::<OneOrMany<u32>>(value.clone()).is_ok();
        (!known).then_some((key, value))
    });
    // Off, for vLLM.
    let off = |key: &str, value: &Value| {
        matches!(semantics, Semantics::Vllm(_)) && key == "top_k" && value.as_i64().is_some()
    };
    let unused = odd(config).chain(no_ids).filter(|(key, value)| !off(key, value));
    unused
        .map(|(key, value)| {
            let (value, domain) = (value.to_string(), domain(key, None));
            format!("{key} is {}, which is not {domain}; it has no effect here", shortened(&value))
        })
        .collect()
}

fn read(file: &Map<String, Value>) -> GenerationConfig {
    let mut odd = BTreeMap::new();
    let mut config = GenerationConfig::default();
    // One at a time, because one that cannot be read says nothing about the others.
    for (key, value) in file {
        match alone(key, value) {
            Some(one) => config = one.or(config),
            None => drop(odd.insert(key.clone(), value.clone())),
        }
    }
    config.extra.extend(odd);
    config
}

/// A config with one setting; `None` if the value is not of its type.
pub(crate) fn alone(key: &str, value: &Value) -> Option<GenerationConfig> {
    let alone = Value::Object([(key.to_owned(), value.clone())].into_iter().collect());
    serde_json::from_value(alone).ok()
}

/// Values that are not of their setting's type.
pub(crate) fn odd(config: &GenerationConfig) -> impl Iterator<Item = (&str, &Value)> {
    let extra = config.extra.iter().map(|(key, value)| (key.as_str(), value));
    extra.filter(|(key, value)| !value.is_null() && alone(key, value).is_none())
}

/// The config without what other settings go before.
///
/// # Errors
///
/// The first value that counts and is not of its setting's type.
pub(super) fn settle(
    mut config: GenerationConfig,
    semantics: &Semantics,
    vocab_size: usize,
) -> Result<GenerationConfig, RequestError> {
    let odd: Vec<(String, Value)> =
        odd(&config).map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for (key, value) in odd {
        if goes_before(&config, &key) {
            config.extra.remove(&key);
        } else if counts(&config, semantics, &key) {
            let key = known(&key);
            return refuse(key, shortened(&value.to_string()), domain(key, Some(vocab_size)));
        }
    }
    Ok(config)
}

/// Whether a value that can be read takes the place of this setting's.
fn goes_before(config: &GenerationConfig, key: &str) -> bool {
    let known = GenerationConfig { extra: BTreeMap::new(), ..config.clone() };
    let there = |key: &str| serde_json::to_value(&known).is_ok_and(|known| !known[key].is_null());
    there(key)
        || match key {
            "max_length" => there("max_new_tokens"),
            "min_length" => there("min_new_tokens"),
            _ => false,
        }
}

/// Whether a run looks at the setting.
fn counts(config: &GenerationConfig, semantics: &Semantics, key: &str) -> bool {
    if !matches!(semantics, Semantics::HuggingFace) {
        return super::SHARED.contains(&key);
    }
    let beams = config.num_beams.is_some_and(|beams| beams > 1);
    let draws = semantics.draws(config);
    (beams || !OF_BEAMS.contains(&key)) && (draws || !WARPERS.contains(&key))
}

/// The names of settings with a type, and what their values must be.
const DOMAINS: [(&str, &str); 36] = [
    ("begin_suppress_tokens", LIST),
    ("bad_words_ids", "a list of lists of token ids"),
    ("bos_token_id", ONE_OR_MANY),
    ("diversity_penalty", NUMBER),
    ("do_sample", BOOL),
    ("early_stopping", "true, false or \"never\""),
    ("eos_token_id", ONE_OR_MANY),
    ("epsilon_cutoff", NUMBER),
    ("eta_cutoff", NUMBER),
    ("exponential_decay_length_penalty", "a pair of a whole number, at least 0, and a number"),
    ("forced_bos_token_id", "a token id"),
    ("forced_eos_token_id", ONE_OR_MANY),
    ("guidance_scale", NUMBER),
    ("length_penalty", NUMBER),
    ("max_length", COUNT),
    ("max_new_tokens", COUNT),
    ("max_time", NUMBER),
    ("min_length", COUNT),
    ("min_new_tokens", COUNT),
    ("min_p", NUMBER),
    ("no_repeat_ngram_size", COUNT),
    ("num_beam_groups", COUNT),
    ("num_beams", COUNT),
    ("num_return_sequences", COUNT),
    ("pad_token_id", ONE_OR_MANY),
    ("remove_invalid_values", BOOL),
    ("renormalize_logits", BOOL),
    ("repetition_penalty", NUMBER),
    ("sequence_bias", "a list of pairs, each a list of token ids and a number"),
    ("stop_strings", "a text or a list of texts"),
    ("suppress_tokens", LIST),
    ("temperature", NUMBER),
    ("top_h", NUMBER),
    ("top_k", "a whole number, at least 0 (0 is off)"),
    ("top_p", NUMBER),
    ("typical_p", NUMBER),
];

const BOOL: &str = "true or false";
const NUMBER: &str = "a number";
const COUNT: &str = "a whole number, at least 0";
const LIST: &str = "a list of token ids";
const ONE_OR_MANY: &str = "a token id or a list of token ids";

/// What a setting's value must be, with the ids of the vocabulary if it is known.
pub(crate) fn domain(key: &str, vocab_size: Option<usize>) -> String {
    let domain = DOMAINS.iter().find(|(known, _)| *known == key);
    let domain = domain.map_or(NUMBER, |(_, domain)| domain);
    match vocab_size.filter(|_| domain.contains("token id")) {
        Some(size) => format!("{domain} (0 to {})", size.saturating_sub(1)),
        None => domain.to_owned(),
    }
}

/// The name of a setting as one that errors can carry.
pub(crate) fn known(key: &str) -> &'static str {
    DOMAINS.iter().find(|(known, _)| *known == key).map_or("a setting", |(known, _)| known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Values of every kind, one of which is right for each setting.
    fn values() -> Vec<Value> {
        vec![
            json!(-1),
            json!(2.0),
            json!(2.5),
            json!(1e300),
            json!(u64::MAX),
            json!(1e19),
            json!("x"),
            json!(""),
            json!(true),
            json!([[7]]),
            json!([[[7]]]),
            json!([-1]),
            json!([1, "x"]),
            json!({}),
            json!({ "a": 1 }),
            json!([]),
        ]
    }

    #[test]
    fn every_setting_with_a_type_says_what_it_must_be() {
        let full = json!({
            "do_sample": true, "temperature": 1.0, "top_k": 1, "top_p": 1.0, "min_p": 0.0,
            "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": 0.5,
            "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "sequence_bias": [],
            "bad_words_ids": [], "suppress_tokens": [], "begin_suppress_tokens": [],
            "forced_bos_token_id": 1, "forced_eos_token_id": 1, "remove_invalid_values": false,
            "exponential_decay_length_penalty": [1, 1.0], "renormalize_logits": false,
            "guidance_scale": 1.0, "num_beams": 1, "num_beam_groups": 1, "diversity_penalty": 0.0,
            "length_penalty": 1.0, "early_stopping": false, "min_length": 0, "min_new_tokens": 0,
            "max_new_tokens": 1, "max_length": 1, "max_time": 1.0, "eos_token_id": 1,
            "pad_token_id": 1, "bos_token_id": 1, "stop_strings": "x", "num_return_sequences": 1,
        });
        let typed = read(full.as_object().expect("an object"));
        assert!(typed.extra.is_empty(), "{:?}", typed.extra);
        for key in full.as_object().expect("an object").keys() {
            assert!(DOMAINS.iter().any(|(known, _)| known == key), "{key}");
        }
    }

    #[test]
    fn what_is_of_another_type_is_kept_beside_what_is_right() {
        for (key, _) in DOMAINS {
            for value in values() {
                let file = json!({ key: value, "note": 1 });
                let config = read(file.as_object().expect("an object"));
                assert_eq!(config.extra["note"], 1);
                let kept = serde_json::to_value(&config).expect("JSON");
                // A whole number may come back as the same one with a fraction.
                let number = |value: &Value| value.as_f64();
                let same = kept[key] == value || number(&kept[key]) == number(&value);
                assert!(same, "{key}: {} was {value}", kept[key]);
                assert!(odd(&config).all(|(odd, _)| odd == key), "{key}: {value}");
            }
        }
    }
}
