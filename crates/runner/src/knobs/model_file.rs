//! The settings that come with a model, some of which may not be what they must be.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use taper_models::LoadedModel;
use taper_sampling::{GenerationConfig, OneOrMany};

use super::rules::is_shared;
use super::{Kind, Needs, Range, named};
use crate::error::{RequestError, refuse};
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
            format!("{key} is {}, which is not {domain}; it has no effect here", shown(key, &value))
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
pub(crate) fn settle(
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
            let value = shown(key, &value.to_string()).into_owned();
            return refuse(key, value, domain(key, Some(vocab_size)));
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
        return is_shared(key);
    }
    let beams = config.num_beams.is_some_and(|beams| beams > 1);
    let draws = semantics.draws(config);
    match named(key).map(|knob| knob.needs) {
        Some(Needs::Beams) => beams,
        Some(Needs::Drawing) => draws,
        _ => true,
    }
}

/// A setting that holds keys, and so is not shown.
const WATERMARK: &str = "watermarking_config";

fn shown<'v>(key: &str, value: &'v str) -> Cow<'v, str> {
    if key == WATERMARK { "hidden".into() } else { shortened(value) }
}

/// Tokens that are no knobs: nothing looks at them.
const TOKENS: [&str; 2] = ["bos_token_id", "pad_token_id"];

/// What a setting's value must be, with the ids of the vocabulary if it is known.
pub(crate) fn domain(key: &str, vocab_size: Option<usize>) -> String {
    if key == WATERMARK {
        return "an object: greenlist_ratio, bias, hashing_key, seeding_scheme and context_width, or \
                ngram_len, keys and what else SynthID has"
            .to_owned();
    }
    let kind = match named(key) {
        _ if TOKENS.contains(&key) => Kind::Ids { none: false, alone: true },
        Some(knob) => knob.kind,
        None => Kind::Number(Range::ANY),
    };
    let domain = kind.type_in_config();
    match vocab_size.filter(|_| domain.contains("token id")) {
        Some(size) => format!("{domain} (0 to {})", size.saturating_sub(1)),
        None => domain,
    }
}

/// The name of a setting as one that errors can carry.
pub(crate) fn known(key: &str) -> &'static str {
    let token = TOKENS.into_iter().chain([WATERMARK]).find(|known| *known == key);
    token.or(named(key).map(|knob| knob.name)).unwrap_or("a setting")
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
    fn what_is_of_another_type_is_kept_beside_what_is_right() {
        let settings =
            crate::knobs::all().filter(|knob| knob.name_under("huggingface") == Some(knob.name));
        for key in settings.map(|knob| knob.name).chain(TOKENS) {
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
