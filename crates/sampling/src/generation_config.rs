//! How to decode, in the words of Hugging Face's `generation_config.json`.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The settings of a decoding run under Hugging Face's names.
///
/// Every field may be left out, so that a config can say only what it means to change:
/// [`or`](Self::or) fills the gaps from the next source. The precedence is the user's flag, then
/// the model's `generation_config.json`, then [`class_defaults`](Self::class_defaults).
///
/// Numbers are kept as they were written. Whether a stage accepts them is found out when it is
/// built, by [`validate`](Self::validate) and by a preset, after the rounding to `f32` that the
/// engines make.
///
/// ```
/// use taper_sampling::GenerationConfig;
///
/// let file: GenerationConfig = serde_json::from_str(r#"{"top_k": 64, "eos_token_id": [1, 106]}"#)?;
/// let user = GenerationConfig { top_k: Some(5), ..GenerationConfig::default() };
/// let effective = user.or(file).or(GenerationConfig::class_defaults());
/// assert_eq!(effective.top_k, Some(5));
/// assert_eq!(effective.temperature, Some(1.0));
/// assert!(effective.eos_token_id.is_some_and(|eos| eos.contains(&106)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationConfig {
    /// Draw the token from the distribution; otherwise take the most likely one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub do_sample: Option<bool>,
    /// Divides the logits; above 0. Only when drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// How many of the best tokens to keep; 0 is off. Only when drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// The share of the mass to keep, `0..=1`; 1 is off. Only when drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// How likely a token must be next to the best one, `0..=1`; 0 is off. Only when drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Makes tokens that occurred less likely; above 0, 1 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Tokens in a row that must not occur twice; 0 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_repeat_ngram_size: Option<usize>,
    /// Most tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<usize>,
    /// Most tokens in all, prompt included; [`max_new_tokens`](Self::max_new_tokens) goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Seconds after which to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_time: Option<f64>,
    /// Tokens that end a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<OneOrMany<u32>>,
    /// The token that fills up batches elsewhere; kept, not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<OneOrMany<u32>>,
    /// The token that begins a sequence; kept, not used: the tokenizer adds it where it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<OneOrMany<u32>>,
    /// Texts that end a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_strings: Option<OneOrMany<String>>,
    /// How many sequences to draw for one prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_return_sequences: Option<usize>,
    /// Everything else that the file said, as it said it.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A value that Hugging Face writes alone or in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Written alone.
    One(T),
    /// Written as a list, which may be empty.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => core::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl<T: PartialEq> OneOrMany<T> {
    /// Whether `value` is among them.
    pub fn contains(&self, value: &T) -> bool {
        self.as_slice().contains(value)
    }
}

impl GenerationConfig {
    /// What Hugging Face assumes where nobody said anything. It has no word on lengths: a program
    /// has its own.
    pub fn class_defaults() -> Self {
        Self {
            do_sample: Some(false),
            temperature: Some(1.0),
            top_k: Some(50),
            top_p: Some(1.0),
            repetition_penalty: Some(1.0),
            no_repeat_ngram_size: Some(0),
            num_return_sequences: Some(1),
            ..Self::default()
        }
    }

    /// This config, with what it leaves open taken from `fallback`.
    ///
    /// The two limits on length count as one setting: a fallback's `max_new_tokens` does not
    /// overrule a `max_length` given here.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        let limited = self.max_new_tokens.is_some() || self.max_length.is_some();
        let mut extra = fallback.extra;
        extra.extend(self.extra);
        Self {
            do_sample: self.do_sample.or(fallback.do_sample),
            temperature: self.temperature.or(fallback.temperature),
            top_k: self.top_k.or(fallback.top_k),
            top_p: self.top_p.or(fallback.top_p),
            min_p: self.min_p.or(fallback.min_p),
            repetition_penalty: self.repetition_penalty.or(fallback.repetition_penalty),
            no_repeat_ngram_size: self.no_repeat_ngram_size.or(fallback.no_repeat_ngram_size),
            max_new_tokens: if limited { self.max_new_tokens } else { fallback.max_new_tokens },
            max_length: if limited { self.max_length } else { fallback.max_length },
            max_time: self.max_time.or(fallback.max_time),
            eos_token_id: self.eos_token_id.or(fallback.eos_token_id),
            pad_token_id: self.pad_token_id.or(fallback.pad_token_id),
            bos_token_id: self.bos_token_id.or(fallback.bos_token_id),
            stop_strings: self.stop_strings.or(fallback.stop_strings),
            num_return_sequences: self.num_return_sequences.or(fallback.num_return_sequences),
            extra,
        }
    }

    /// The first setting that would change the tokens but that this crate can not apply yet, with
    /// its value. What only matters to beams (`length_penalty`, `early_stopping`) is harmless
    /// without them and is not looked at.
    pub fn unsupported(&self) -> Option<(&str, &Value)> {
        self.extra
            .iter()
            .find(|(key, value)| {
                let known = NOT_YET.iter().find(|(name, _)| name == key);
                known.is_some_and(|(_, off)| !off.matches(value))
            })
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The ids of [`eos_token_id`](Self::eos_token_id).
    pub fn eos_ids(&self) -> &[u32] {
        self.eos_token_id.as_ref().map_or(&[], OneOrMany::as_slice)
    }

    /// The texts of [`stop_strings`](Self::stop_strings).
    pub fn stops(&self) -> &[String] {
        self.stop_strings.as_ref().map_or(&[], OneOrMany::as_slice)
    }
}

impl<T> From<Vec<T>> for OneOrMany<T> {
    fn from(mut values: Vec<T>) -> Self {
        if values.len() == 1 { Self::One(values.remove(0)) } else { Self::Many(values) }
    }
}

/// The value at which a setting does nothing; `null` does nothing for any of them.
#[derive(Debug, Clone, Copy)]
enum Off {
    At(f64),
    False,
    Empty,
}

impl Off {
    fn matches(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) => true,
            (Self::At(off), value) => value.as_f64() == Some(off),
            (Self::False, value) => value == &Value::Bool(false),
            (Self::Empty, Value::Array(items)) => items.is_empty(),
            (Self::Empty, Value::Object(items)) => items.is_empty(),
            (Self::Empty, _) => false,
        }
    }
}

/// Settings of Hugging Face transformers 5.23 that change which tokens come out and have no stage
/// or search here yet.
const NOT_YET: &[(&str, Off)] = &[
    ("bad_words_ids", Off::Empty),
    ("begin_suppress_tokens", Off::Empty),
    ("constraints", Off::Empty),
    ("dola_layers", Off::Empty),
    ("encoder_no_repeat_ngram_size", Off::At(0.0)),
    ("encoder_repetition_penalty", Off::At(1.0)),
    ("epsilon_cutoff", Off::At(0.0)),
    ("eta_cutoff", Off::At(0.0)),
    ("exponential_decay_length_penalty", Off::Empty),
    ("force_words_ids", Off::Empty),
    ("forced_bos_token_id", Off::Empty),
    ("forced_eos_token_id", Off::Empty),
    ("guidance_scale", Off::At(1.0)),
    ("min_length", Off::At(0.0)),
    ("min_new_tokens", Off::At(0.0)),
    ("num_beam_groups", Off::At(1.0)),
    ("num_beams", Off::At(1.0)),
    ("penalty_alpha", Off::At(0.0)),
    ("remove_invalid_values", Off::False),
    ("sequence_bias", Off::Empty),
    ("suppress_tokens", Off::Empty),
    ("token_healing", Off::False),
    ("top_h", Off::Empty),
    ("typical_p", Off::At(1.0)),
    ("watermarking_config", Off::Empty),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> GenerationConfig {
        serde_json::from_str(json).expect("a config")
    }

    #[test]
    fn a_file_comes_back_as_it_was() {
        let json = r#"{"do_sample":true,"top_k":64,"eos_token_id":[1,106],"pad_token_id":0,"stop_strings":"end","cache_implementation":"hybrid","transformers_version":"5.23.0"}"#;
        let config = parse(json);
        assert_eq!(config.eos_ids(), [1, 106]);
        assert_eq!(config.stops(), ["end"]);
        assert_eq!(config.extra["cache_implementation"], "hybrid");
        assert_eq!(serde_json::to_string(&config).expect("JSON"), json);
        let nothing = parse(r#"{"temperature": null}"#);
        assert_eq!(serde_json::to_string(&nothing).expect("JSON"), "{}");
    }

    #[test]
    fn the_first_source_that_has_a_word_decides() {
        let user = parse(r#"{"top_p": 0.5, "top_h": null, "note": "mine"}"#);
        let file = parse(r#"{"top_p": 0.9, "temperature": 0.6, "note": "theirs", "other": 1}"#);
        let merged = user.or(file).or(GenerationConfig::class_defaults());
        assert_eq!(
            (merged.top_p, merged.temperature, merged.top_k),
            (Some(0.5), Some(0.6), Some(50))
        );
        assert_eq!((&merged.extra["note"], &merged.extra["other"]), (&"mine".into(), &1.into()));
    }

    #[test]
    fn one_limit_on_length_replaces_the_other() {
        let user = parse(r#"{"max_length": 30}"#).or(parse(r#"{"max_new_tokens": 5}"#));
        assert_eq!((user.max_new_tokens, user.max_length), (None, Some(30)));
    }

    #[test]
    fn what_is_not_there_yet_is_found_unless_it_is_off() {
        let harmless = [
            "{}",
            r#"{"num_beams": 1, "typical_p": 1.0, "top_h": null, "bad_words_ids": []}"#,
            r#"{"length_penalty": 2.0, "early_stopping": true, "use_cache": false}"#,
            r#"{"remove_invalid_values": false, "sequence_bias": {}, "min_new_tokens": 0}"#,
        ];
        for json in harmless {
            assert_eq!(parse(json).unsupported(), None, "{json}");
        }
        let harmful = [
            (r#"{"num_beams": 4}"#, "num_beams"),
            (r#"{"typical_p": 0.9}"#, "typical_p"),
            (r#"{"bad_words_ids": [[3]]}"#, "bad_words_ids"),
            (r#"{"forced_eos_token_id": 2}"#, "forced_eos_token_id"),
            (r#"{"remove_invalid_values": true}"#, "remove_invalid_values"),
            (r#"{"num_beams": "many"}"#, "num_beams"),
        ];
        for (json, key) in harmful {
            assert_eq!(parse(json).unsupported().map(|(key, _)| key), Some(key), "{json}");
        }
    }
}
