//! vLLM's settings.

use serde::{Serialize, Serializer};
use serde_json::Value;
use taper_models::tokenizers::Tokenizer;
use taper_sampling::GenerationConfig;
use taper_sampling::presets::{PresetError, VllmConfig};

use super::with_texts;
use crate::error::RequestError;
use crate::generation::Source;
use crate::request::{domain, known, odd, refuse};
use crate::told::{escaped, shortened};

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

    /// Words that can still come up with a space before them, which mostly is how a word comes up.
    pub(super) fn words_let_through(&self, tokenizer: &Tokenizer) -> Vec<String> {
        let remark = |word: &String| {
            let (plain, spaced) = encoded(word, tokenizer).ok()?;
            let covered = bans_spaced(&plain, &spaced) || spaced.ends_with(&plain);
            let (word, n, m) = (escaped(word.trim_start()), plain.len(), spaced.len());
            (!covered).then(|| {
                format!(
                    "bad_words: \"{}\" is not banned with a space before it: so it has other tokens, \
                     {m} and not {n}, and vLLM bans those only where they are as many",
                    shortened(&word)
                )
            })
        };
        self.bad_words.iter().filter_map(remark).collect()
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
            let domain = match shared.max_length {
                Some(limit) => format!("at most {most}, which max_length {limit} leaves room for"),
                None => format!("at most max_new_tokens, which is {most}"),
            };
            return refuse("min_tokens", config.min_tokens, domain);
        }
        config.stop_token_ids.extend(shared.eos_ids());
        if !self.bad_words.is_empty() {
            let tokenizer = source.tokenizer.ok_or_else(|| RequestError::Setting {
                key: "bad_words",
                value: shortened(&format!("{:?}", self.bad_words)).into_owned(),
                domain: "left out: the model has no tokenizer.json".to_owned(),
            })?;
            for word in &self.bad_words {
                config.bad_words.extend(spellings(word, tokenizer)?);
            }
        }
        let vocab_size = source.model.vocab_size();
        let words = config.bad_words.iter().flatten().map(|&id| ("bad_words", id));
        let stops = self.config.stop_token_ids.iter().map(|&id| ("stop_token_ids", id));
        let allowed = self.config.allowed_token_ids.iter().flatten();
        let allowed = allowed.map(|&id| ("allowed_token_ids", id));
        match words.chain(stops).chain(allowed).find(|&(_, id)| id as usize >= vocab_size) {
            None => Ok(config),
            Some((key, id)) => Err(PresetError::UnknownToken { key, id, vocab_size }.into()),
        }
    }
}

/// The settings of a model's file that vLLM reads.
const READ: [&str; 5] = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"];

/// A word as tokens: as it is, and with a space before it.
fn encoded(word: &str, tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), RequestError> {
    let word = word.trim_start();
    let ids = |text: &str| {
        let encoding = tokenizer.encode(text, false);
        let encoding = encoding.map_err(|error| RequestError::Tokenizer(error.to_string()))?;
        Ok::<_, RequestError>(encoding.get_ids().to_vec())
    };
    Ok((ids(word)?, ids(&format!(" {word}"))?))
}

/// Whether vLLM bans a word with a space before it too: if that takes as many tokens and begins with
/// another one.
fn bans_spaced(plain: &[u32], spaced: &[u32]) -> bool {
    spaced.len() == plain.len() && spaced.first() != plain.first()
}

/// The tokens of a word that vLLM bans.
fn spellings(word: &str, tokenizer: &Tokenizer) -> Result<Vec<Vec<u32>>, RequestError> {
    let (plain, spaced) = encoded(word, tokenizer)?;
    if plain.is_empty() {
        let word = format!("{:?}", shortened(word));
        return refuse("bad_words", word, "a text that has tokens");
    }
    let another = bans_spaced(&plain, &spaced);
    Ok([plain, spaced].into_iter().take(1 + usize::from(another)).collect())
}
