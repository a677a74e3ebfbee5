//! How to decode, in the words of Hugging Face's `generation_config.json`.

mod unsupported;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::presets::WatermarkingConfig;
use crate::search::EarlyStopping;

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
    /// The share of the mass to keep around the expected surprise, above 0; 1 is off. Only when
    /// drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_p: Option<f64>,
    /// How likely a token must be, `0..1`; 0 is off. Only when drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon_cutoff: Option<f64>,
    /// How likely a token must be where the distribution is sharp, `0..1`; 0 is off. Only when
    /// drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_cutoff: Option<f64>,
    /// The share of the entropy to keep, above 0 and at most 1. Only when drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_h: Option<f64>,
    /// Makes tokens that occurred less likely; above 0, 1 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Tokens in a row that must not occur twice; 0 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_repeat_ngram_size: Option<usize>,
    /// Sequences of tokens and what to add to the score of their last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_bias: Option<Vec<(Vec<u32>, f64)>>,
    /// Sequences of tokens that must not appear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_words_ids: Option<Vec<Vec<u32>>>,
    /// Tokens that must not appear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppress_tokens: Option<Vec<u32>>,
    /// Tokens that must not be the first to be generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin_suppress_tokens: Option<Vec<u32>>,
    /// The token that follows a prompt of one token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced_bos_token_id: Option<u32>,
    /// The tokens of which one must be the last that the length limit leaves room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced_eos_token_id: Option<OneOrMany<u32>>,
    /// Mend NaN and infinities instead of failing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_invalid_values: Option<bool>,
    /// After how many generated tokens the end becomes likelier, and by which factor per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_decay_length_penalty: Option<(usize, f64)>,
    /// Turn the scores into log-probabilities at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renormalize_logits: Option<bool>,
    /// How far to move away from what the model says without the prompt; 1 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_scale: Option<f64>,
    /// Beams to search with; 1 is no search. In a pipeline it only lowers how much the cuts may
    /// take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_beams: Option<usize>,
    /// Groups that the beams are divided into, each of which pays for the tokens of earlier ones; 1
    /// is off. A setting of transformers before version 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_beam_groups: Option<usize>,
    /// What a group of beams pays for each beam of an earlier group that took the same token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity_penalty: Option<f64>,
    /// The exponent of the length that a beam's sum of log-probabilities is divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length_penalty: Option<f64>,
    /// When a beam search stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// Fewest tokens in all, prompt included; [`min_new_tokens`](Self::min_new_tokens) goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<usize>,
    /// Fewest tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_new_tokens: Option<usize>,
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
    /// The token that fills up batches elsewhere; not used, so kept whatever it is: files have −1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<Value>,
    /// The token that begins a sequence; not used, so kept whatever it is: the tokenizer adds it where
    /// it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<Value>,
    /// Texts that end a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_strings: Option<OneOrMany<String>>,
    /// How many sequences to draw for one prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_return_sequences: Option<usize>,
    /// How to mark the text; its keys are not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermarking_config: Option<WatermarkingConfig>,
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
    /// What Hugging Face assumes where nothing is set. It has no word on lengths: a program
    /// has its own.
    pub fn class_defaults() -> Self {
        Self {
            do_sample: Some(false),
            temperature: Some(1.0),
            top_k: Some(50),
            top_p: Some(1.0),
            typical_p: Some(1.0),
            epsilon_cutoff: Some(0.0),
            eta_cutoff: Some(0.0),
            repetition_penalty: Some(1.0),
            no_repeat_ngram_size: Some(0),
            remove_invalid_values: Some(false),
            num_beams: Some(1),
            min_length: Some(0),
            num_return_sequences: Some(1),
            ..Self::default()
        }
    }

    /// This config, with what it leaves open taken from `fallback`.
    ///
    /// The two upper limits on length count as one setting, and so do the two lower ones: a
    /// fallback's `max_new_tokens` does not overrule a `max_length` given here.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        let floored = self.min_new_tokens.is_some() || self.min_length.is_some();
        let limited = self.max_new_tokens.is_some() || self.max_length.is_some();
        let mut extra = fallback.extra;
        extra.extend(self.extra);
        macro_rules! first_of {
            ($($field:ident)*) => {
                Self {
                    $($field: self.$field.or(fallback.$field),)*
                    min_length: if floored { self.min_length } else { fallback.min_length },
                    min_new_tokens: if floored { self.min_new_tokens } else { fallback.min_new_tokens },
                    max_new_tokens: if limited { self.max_new_tokens } else { fallback.max_new_tokens },
                    max_length: if limited { self.max_length } else { fallback.max_length },
                    extra,
                }
            };
        }
        first_of! {
            do_sample temperature top_k top_p
            min_p typical_p epsilon_cutoff eta_cutoff
            top_h repetition_penalty no_repeat_ngram_size sequence_bias
            bad_words_ids suppress_tokens begin_suppress_tokens forced_bos_token_id
            forced_eos_token_id remove_invalid_values exponential_decay_length_penalty renormalize_logits
            guidance_scale num_beams num_beam_groups diversity_penalty
            length_penalty early_stopping max_time eos_token_id
            pad_token_id bos_token_id stop_strings num_return_sequences
            watermarking_config
        }
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

    /// The fields of the files that come with Gemma 3, Llama 3, Qwen3 and Phi-4.
    #[test]
    fn published_files_are_read_and_come_back() {
        let files = [
            r#"{"do_sample":true,"top_k":64,"top_p":0.95,"eos_token_id":[1,106],"pad_token_id":0,"bos_token_id":2,"cache_implementation":"hybrid","transformers_version":"4.50.0.dev0"}"#,
            r#"{"do_sample":true,"temperature":0.6,"top_p":0.9,"eos_token_id":[128001,128008,128009],"bos_token_id":128000,"transformers_version":"4.42.3"}"#,
            r#"{"do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"eos_token_id":[151645,151643],"pad_token_id":151643,"bos_token_id":151643,"transformers_version":"4.51.0"}"#,
            r#"{"eos_token_id":[100257,100265],"pad_token_id":100349,"bos_token_id":100257,"_from_model_config":true,"transformers_version":"4.47.0"}"#,
        ];
        for file in files {
            let config = parse(file);
            config.validate().expect(file);
            let back: Value =
                serde_json::from_str(&serde_json::to_string(&config).expect("JSON")).expect("JSON");
            assert_eq!(back, serde_json::from_str::<Value>(file).expect("JSON"));
        }
        let every_knob = r#"{"do_sample":true,"typical_p":0.9,"epsilon_cutoff":0.001,"eta_cutoff":0.002,"top_h":0.4,"sequence_bias":[[[1,2],-1.5]],"bad_words_ids":[[3],[4,5]],"suppress_tokens":[6],"begin_suppress_tokens":[7],"forced_bos_token_id":8,"forced_eos_token_id":[9,10],"remove_invalid_values":true,"exponential_decay_length_penalty":[5,1.25],"renormalize_logits":true,"guidance_scale":1.5,"num_beams":4,"min_length":3,"min_new_tokens":2,"eos_token_id":[9,10]}"#;
        let config = parse(every_knob);
        assert!(config.extra.is_empty(), "{:?}", config.extra);
        let back = serde_json::to_string(&config).expect("JSON");
        assert_eq!(parse(&back), config);
    }

    #[test]
    fn what_is_not_used_may_be_anything() {
        for value in ["-1", "2.0", "[[7]]", r#""<pad>""#, "true", "1e300"] {
            let json = alloc::format!(r#"{{"pad_token_id":{value},"bos_token_id":{value}}}"#);
            let config = parse(&json);
            config.validate().expect(value);
            let back = serde_json::to_string(&config).expect("JSON");
            assert_eq!(parse(&back), config, "{value}");
            assert!(config.pad_token_id.is_some(), "{value}");
        }
        assert_eq!(parse(r#"{"pad_token_id": null}"#).pad_token_id, None);
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
        let user = parse(r#"{"min_new_tokens": 3}"#).or(parse(r#"{"min_length": 9}"#));
        assert_eq!((user.min_new_tokens, user.min_length), (Some(3), None));
    }

    #[test]
    fn early_stopping_is_a_bool_or_never() {
        for (json, want) in [
            ("false", EarlyStopping::Heuristic),
            ("true", EarlyStopping::WhenFull),
            (r#""never""#, EarlyStopping::Never),
        ] {
            let file = alloc::format!(r#"{{"early_stopping":{json}}}"#);
            let config = parse(&file);
            assert_eq!(config.early_stopping, Some(want));
            assert_eq!(serde_json::to_string(&config).expect("JSON"), file);
        }
        for json in [r#""maybe""#, "1", "[true]"] {
            let file = alloc::format!(r#"{{"early_stopping":{json}}}"#);
            let error = serde_json::from_str::<GenerationConfig>(&file).expect_err(json);
            let told = alloc::string::ToString::to_string(&error);
            assert!(told.contains("expected true, false or \"never\""), "{told}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_found_unless_it_is_off() {
        let harmless = [
            "{}",
            r#"{"num_beam_groups": 1, "penalty_alpha": 0.0, "dola_layers": null, "constraints": []}"#,
            r#"{"length_penalty": 2.0, "early_stopping": true, "use_cache": false}"#,
            r#"{"token_healing": false, "encoder_no_repeat_ngram_size": 0}"#,
        ];
        for json in harmless {
            assert_eq!(parse(json).unsupported(), None, "{json}");
        }
        let harmful = [
            (r#"{"penalty_alpha": 0.6}"#, "penalty_alpha"),
            (r#"{"dola_layers": "high"}"#, "dola_layers"),
            (r#"{"token_healing": true}"#, "token_healing"),
            (r#"{"encoder_repetition_penalty": "much"}"#, "encoder_repetition_penalty"),
        ];
        for (json, key) in harmful {
            assert_eq!(parse(json).unsupported().map(|(key, _)| key), Some(key), "{json}");
        }
    }
}
