//! vLLM's settings.

use serde::{Serialize, Serializer};
use taper_models::tokenizers::Tokenizer;
use taper_sampling::GenerationConfig;
use taper_sampling::presets::{PresetError, VllmConfig};

use super::with_texts;
use crate::error::{RequestError, refuse};
use crate::source::Source;
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
