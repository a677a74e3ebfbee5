//! vLLM's settings.

use serde::{Serialize, Serializer};
use serde_json::Value;
use taper_models::tokenizers::Tokenizer;
use taper_sampling::GenerationConfig;
use taper_sampling::presets::{PresetError, VllmConfig};

use super::with_texts;
use crate::error::RequestError;
use crate::generation::Source;

/// vLLM's settings as a person writes them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vllm {
    /// All but the words. Its `stop_token_ids` end a sequence besides the model's EOS tokens.
    pub config: VllmConfig,
    /// Texts that must not appear in the output. The model's tokenizer tells which tokens they are;
    /// words that the config gives as tokens count as well.
    pub bad_words: Vec<String>,
}

impl Serialize for Vllm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        with_texts(&self.config, "bad_words", &self.bad_words, serializer)
    }
}

impl Vllm {
    /// What vLLM starts from with a model: the settings of its `generation_config.json` that vLLM
    /// reads, and its own defaults. Among them are two that Hugging Face has no name for.
    ///
    /// # Errors
    ///
    /// [`RequestError::Setting`] when one of those two is not a number.
    pub fn for_model(file: &GenerationConfig) -> Result<Self, RequestError> {
        let own = VllmConfig::default();
        let penalty = |key: &'static str, own: f64| match file.extra.get(key) {
            None | Some(Value::Null) => Ok(own),
            Some(value) => value.as_f64().ok_or_else(|| RequestError::Setting {
                key,
                value: value.to_string(),
                domain: "a number".to_owned(),
            }),
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
        Ok(Self { config, bad_words: Vec::new() })
    }

    /// The config with the words as tokens, and with the EOS tokens among those that `min_tokens`
    /// holds back.
    pub(super) fn by_token(
        &self,
        shared: &GenerationConfig,
        source: &Source<'_>,
    ) -> Result<VllmConfig, RequestError> {
        let mut config = self.config.clone();
        if let Some(most) = shared.max_new_tokens.filter(|&most| config.min_tokens > most) {
            return Err(RequestError::Setting {
                key: "min_tokens",
                value: config.min_tokens.to_string(),
                domain: format!("at most max_new_tokens, which is {most}"),
            });
        }
        config.stop_token_ids.extend(shared.eos_ids());
        if !self.bad_words.is_empty() {
            let tokenizer = source.tokenizer.ok_or_else(|| RequestError::Setting {
                key: "bad_words",
                value: format!("{:?}", self.bad_words),
                domain: "left out: the model has no tokenizer.json".to_owned(),
            })?;
            for word in &self.bad_words {
                config.bad_words.extend(spellings(word, tokenizer)?);
            }
        }
        let vocab_size = source.model.vocab_size();
        let words = config.bad_words.iter().flatten().map(|&id| ("bad_words", id));
        let stops = self.config.stop_token_ids.iter().map(|&id| ("stop_token_ids", id));
        match words.chain(stops).find(|&(_, id)| id as usize >= vocab_size) {
            None => Ok(config),
            Some((key, id)) => Err(PresetError::UnknownToken { key, id, vocab_size }.into()),
        }
    }
}

/// A word as tokens: as it is, and with a space before it if that takes as many tokens and begins
/// with another one. So vLLM has it.
fn spellings(word: &str, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>, RequestError> {
    let word = word.trim_start();
    let ids = |text: &str| {
        let encoding = tokenizer.encode(text, false);
        let encoding = encoding.map_err(|error| RequestError::Tokenizer(error.to_string()))?;
        Ok::<_, RequestError>(encoding.get_ids().to_vec())
    };
    let (plain, spaced) = (ids(word)?, ids(&format!(" {word}"))?);
    if plain.is_empty() {
        return Err(RequestError::Setting {
            key: "bad_words",
            value: format!("{word:?}"),
            domain: "a text that has tokens".to_owned(),
        });
    }
    let another = spaced.len() == plain.len() && spaced[0] != plain[0];
    Ok([plain, spaced].into_iter().take(1 + usize::from(another)).collect())
}
