//! Watermarks under the names of Hugging Face and vLLM.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::PresetError;
use crate::data::{Setting, SettingError};
use crate::selectors::{DualKeyGumbel, GumbelWatermark, Selector};
use crate::watermark::{ContextScope, WatermarkKey};
#[cfg(feature = "serde")]
pub use hugging_face::{GreenListConfig, SynthIdConfig, WatermarkingConfig};

/// vLLM's `WatermarkConfig`; the [`Default`] is vLLM's, which has no key.
///
/// The key is read and not written.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct VllmWatermark {
    /// The secret; it must be there.
    #[cfg_attr(feature = "serde", serde(skip_serializing))]
    pub key: Option<WatermarkKey>,
    /// Which scheme.
    pub algorithm: VllmWatermarkAlgorithm,
    /// The probability of the second key; only with two.
    pub alpha: f64,
    /// How many of the last tokens the noise is a function of.
    pub context_width: usize,
    /// Which text is searched for a context that occurred before.
    pub deduplicate_contexts: ContextScope,
    /// How many places back it is searched; `None` for all.
    pub deduplicate_contexts_max_history: Option<usize>,
}

/// vLLM's schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum VllmWatermarkAlgorithm {
    /// [`GumbelWatermark`].
    #[default]
    Gumbel,
    /// [`DualKeyGumbel`].
    DualKeyGumbel,
}

impl Default for VllmWatermark {
    fn default() -> Self {
        Self {
            key: None,
            algorithm: VllmWatermarkAlgorithm::Gumbel,
            alpha: 0.1,
            context_width: 4,
            deduplicate_contexts: ContextScope::SingleTurn,
            deduplicate_contexts_max_history: Some(8192),
        }
    }
}

impl VllmWatermark {
    /// The selector that draws and marks.
    ///
    /// # Errors
    ///
    /// A setting out of its range, and a key that is missing.
    pub fn selector(&self) -> Result<Box<dyn Selector>, PresetError> {
        let key = self.key.ok_or_else(missing)?;
        Ok(self.selector_under(key).map_err(|refused| inside("watermark_config", &refused))?)
    }

    fn selector_under(&self, key: WatermarkKey) -> Result<Box<dyn Selector>, SettingError> {
        let (scope, width) = (self.deduplicate_contexts, self.context_width);
        let places = match self.deduplicate_contexts_max_history {
            Some(0) => {
                let name = "deduplicate_contexts_max_history";
                return Err(SettingError::new(name, 0_usize, "at least 1"));
            }
            places => places.unwrap_or(0),
        };
        Ok(match self.algorithm {
            VllmWatermarkAlgorithm::Gumbel => {
                Box::new(GumbelWatermark::new(key, width)?.scope(scope).max_history(places))
            }
            VllmWatermarkAlgorithm::DualKeyGumbel => {
                let marked = DualKeyGumbel::new(key, width, self.alpha)?;
                Box::new(marked.scope(scope).max_history(places))
            }
        })
    }

    /// The same with the secret.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless there is one key.
    pub fn with_keys(self, keys: &[WatermarkKey]) -> Result<Self, SettingError> {
        Ok(Self { key: Some(only(keys)?), ..self })
    }
}

/// A setting of a config, by the place that it has in it.
fn inside(config: &str, refused: &SettingError) -> SettingError {
    refused.clone().called(&alloc::format!("{config}[{}]", refused.setting()))
}

fn missing() -> SettingError {
    let domain = "given: a whole number in 0..2^64";
    SettingError::new("watermark_key", Setting::Word("missing".into()), domain)
}

/// The key of a scheme that has one.
fn only(keys: &[WatermarkKey]) -> Result<WatermarkKey, SettingError> {
    match keys {
        [key] => Ok(*key),
        [] => Err(missing()),
        _ => {
            let given = alloc::format!("hidden, and {} of them", keys.len());
            let given = Setting::Word(given.into());
            Err(SettingError::new("watermark_key", given, "one key for this scheme"))
        }
    }
}

#[cfg(feature = "serde")]
mod hugging_face {
    use serde::de::{Error, IgnoredAny};
    use serde::{Deserialize, Deserializer, Serialize};
    use serde_json::Value;

    use super::*;
    use crate::stage::Stage;
    use crate::stages::{GreenList, SynthId};
    use crate::watermark::SeedingScheme;

    /// Hugging Face's `watermarking_config`: one of its two schemes. Keys are read and not written.
    ///
    /// transformers 5.23 takes an object in a file for a green list whatever it says; here one with
    /// `ngram_len` or `keys` is SynthID's.
    #[derive(Debug, Clone, PartialEq, Serialize)]
    #[serde(untagged)]
    pub enum WatermarkingConfig {
        /// `WatermarkingConfig`.
        GreenList(GreenListConfig),
        /// `SynthIDTextWatermarkingConfig`.
        SynthId(SynthIdConfig),
    }

    /// Hugging Face's `WatermarkingConfig`; the [`Default`] is its own, whose key is known to everybody.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct GreenListConfig {
        /// The share of green tokens, above 0 and below 1.
        pub greenlist_ratio: f64,
        /// What is added to their scores.
        pub bias: f64,
        /// The secret.
        #[serde(skip_serializing)]
        pub hashing_key: WatermarkKey,
        /// What a list depends on.
        pub seeding_scheme: SeedingScheme,
        /// Tokens of a context, at least 1.
        pub context_width: usize,
    }

    impl Default for GreenListConfig {
        fn default() -> Self {
            Self {
                greenlist_ratio: 0.25,
                bias: 2.0,
                hashing_key: WatermarkKey::new(15_485_863),
                seeding_scheme: SeedingScheme::LeftHash,
                context_width: 1,
            }
        }
    }

    /// Hugging Face's `SynthIDTextWatermarkingConfig`; the [`Default`] has its own values where it has
    /// some, n-grams of 5, and no keys.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct SynthIdConfig {
        /// Tokens of an n-gram, at least 2.
        pub ngram_len: usize,
        /// The secrets, one for each round; there must be one.
        #[serde(skip_serializing, deserialize_with = "keys")]
        pub keys: Vec<WatermarkKey>,
        /// How many contexts are remembered.
        pub context_history_size: usize,
        /// The seed of the table of coins.
        pub sampling_table_seed: u64,
        /// Its size, at most 2²⁴.
        pub sampling_table_size: usize,
        /// Whether the first `ngram_len − 1` tokens are not marked.
        pub skip_first_ngram_calls: bool,
        /// Must be false: there is no such mode here.
        pub debug_mode: bool,
    }

    impl Default for SynthIdConfig {
        fn default() -> Self {
            Self {
                ngram_len: 5,
                keys: Vec::new(),
                context_history_size: 1024,
                sampling_table_seed: 0,
                sampling_table_size: 1 << 16,
                skip_first_ngram_calls: false,
                debug_mode: false,
            }
        }
    }

    /// A list of keys; the error for anything else does not quote it.
    fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WatermarkKey>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Keys(Vec<WatermarkKey>),
            Other(IgnoredAny),
        }
        match Written::deserialize(deserializer)? {
            Written::Keys(keys) => Ok(keys),
            Written::Other(_) => {
                Err(D::Error::custom("keys must be a list of whole numbers in 0..2^64"))
            }
        }
    }

    impl<'de> Deserialize<'de> for WatermarkingConfig {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let value = Value::deserialize(deserializer)?;
            if !value.is_object() {
                return Err(D::Error::custom("a watermarking config must be an object"));
            }
            let has = |key: &str| value.get(key).is_some();
            let read = if has("ngram_len") || has("keys") {
                SynthIdConfig::deserialize(value).map(Self::SynthId)
            } else {
                GreenListConfig::deserialize(value).map(Self::GreenList)
            };
            read.map_err(D::Error::custom)
        }
    }

    impl WatermarkingConfig {
        /// The stage that marks.
        ///
        /// # Errors
        ///
        /// A setting out of its range, and a key that is missing.
        pub fn stage(&self) -> Result<Box<dyn Stage>, PresetError> {
            match self {
                Self::SynthId(config) if config.debug_mode => {
                    let (key, value) = ("debug_mode".into(), "true".into());
                    Err(PresetError::Unsupported { key, value })
                }
                Self::SynthId(config) if config.keys.is_empty() => Err(missing().into()),
                _ => {
                    let refused = |refused| inside("watermarking_config", &refused);
                    Ok(self.keyed_stage().map_err(refused)?)
                }
            }
        }

        fn keyed_stage(&self) -> Result<Box<dyn Stage>, SettingError> {
            Ok(match self {
                Self::GreenList(config) => {
                    let stage =
                        GreenList::new(config.hashing_key, config.greenlist_ratio, config.bias)?;
                    let stage = stage.context_width(config.context_width)?;
                    Box::new(stage.scheme(config.seeding_scheme))
                }
                Self::SynthId(config) => {
                    let stage = SynthId::new(&config.keys, config.ngram_len)?;
                    let table = (config.sampling_table_size, config.sampling_table_seed);
                    let stage = stage.sampling_table(table.0, table.1)?;
                    let stage = stage.context_history_size(config.context_history_size);
                    Box::new(stage.skip_first_ngram_calls(config.skip_first_ngram_calls))
                }
            })
        }

        /// The same with these secrets.
        ///
        /// # Errors
        ///
        /// [`SettingError`] unless there is one key, or for SynthID any number above 0.
        pub fn with_keys(self, keys: &[WatermarkKey]) -> Result<Self, SettingError> {
            Ok(match self {
                Self::GreenList(config) => {
                    Self::GreenList(GreenListConfig { hashing_key: only(keys)?, ..config })
                }
                Self::SynthId(_) if keys.is_empty() => return Err(missing()),
                Self::SynthId(config) => {
                    Self::SynthId(SynthIdConfig { keys: keys.to_vec(), ..config })
                }
            })
        }
    }
}
