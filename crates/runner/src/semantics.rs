//! Whose rules a run follows, with the settings that those rules alone know.

mod breakers;
mod idle;
mod llama_cpp;
mod prefix;
mod recommended;
mod vllm;

use std::collections::BTreeMap;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use taper_sampling::presets::{self, PresetError};
use taper_sampling::{Constraint, GenerationConfig, OneOrMany, Pipeline, TiePolicy};

pub use self::idle::Idle;
pub use self::llama_cpp::{LlamaCpp, MirostatVersion};
use self::prefix::ForcedPrefix;
pub use self::recommended::Recommended;
pub use self::vllm::Vllm;
use crate::error::RequestError;
use crate::generation::Source;
use crate::knobs;
use crate::request::{at_zero, odd, refuse};

/// Whose names, defaults, order of stages, gating and tie rules.
///
/// ```
/// use taper_runner::{LlamaCpp, Request, Semantics};
///
/// let mut request = Request::new(vec![4, 2]);
/// request.config.max_new_tokens = Some(8);
/// let mut settings = LlamaCpp::default();
/// settings.config.repeat_penalty = 1.1;
/// request.semantics = Semantics::LlamaCpp(settings);
/// assert_eq!(request.semantics.name(), "llama.cpp");
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(tag = "semantics")]
#[non_exhaustive]
pub enum Semantics {
    /// Those of [Hugging Face transformers](presets::huggingface); all settings are in the request's config.
    #[default]
    #[serde(rename = "huggingface")]
    HuggingFace,
    /// Those of [llama.cpp](presets::llama_cpp); the request's config says when to stop, and no
    /// more.
    #[serde(rename = "llama.cpp")]
    LlamaCpp(LlamaCpp),
    /// Those of [vLLM](presets::vllm); the request's config says when to stop, and no more.
    #[serde(rename = "vllm")]
    Vllm(Vllm),
    /// Those of a pipeline of the caller's own; the request's config says when to stop, and no more.
    #[serde(rename = "pipeline")]
    Own(OwnPipeline),
}

/// A pipeline that takes the place of an engine's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OwnPipeline {
    /// The stages and the selector; an outcome has them beside its config.
    #[serde(skip)]
    pub pipeline: Pipeline,
}

impl From<Pipeline> for Semantics {
    fn from(pipeline: Pipeline) -> Self {
        Self::Own(OwnPipeline { pipeline })
    }
}

impl Semantics {
    /// The engine's name on the command line and in the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HuggingFace => "huggingface",
            Self::LlamaCpp(_) => "llama.cpp",
            Self::Vllm(_) => "vllm",
            Self::Own(_) => "pipeline",
        }
    }

    /// The temperature that these rules are asked for.
    pub fn temperature(&self, config: &GenerationConfig) -> Option<f64> {
        match self {
            Self::HuggingFace => config.temperature,
            Self::LlamaCpp(settings) => Some(settings.config.temperature),
            Self::Vllm(settings) => Some(settings.config.temperature),
            Self::Own(_) => None,
        }
    }

    /// Whether chance has a part in it.
    pub fn draws(&self, config: &GenerationConfig) -> bool {
        match self {
            Self::HuggingFace => {
                let cold = config.temperature.is_some_and(|t| t as f32 == 0.0);
                config.do_sample == Some(true) && !cold
            }
            Self::LlamaCpp(_) => true,
            Self::Vllm(settings) => settings.config.temperature != 0.0,
            Self::Own(own) => !own.pipeline.selector().takes_best(),
        }
    }

    /// What these rules do with the settings on this model that is unlikely to be meant.
    pub fn remarks(&self, source: &Source<'_>) -> Vec<String> {
        match (self, source.tokenizer) {
            (Self::Vllm(settings), Some(tokenizer)) => settings.words_let_through(tokenizer),
            _ => Vec::new(),
        }
    }

    /// Tokens that end a sequence besides the EOS tokens, and have no text.
    pub fn stop_tokens(&self) -> &[u32] {
        match self {
            Self::Vllm(settings) => &settings.config.stop_token_ids,
            _ => &[],
        }
    }

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
    /// for vLLM the limit on new tokens. What else vLLM reads is in [`Vllm::for_model`].
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

    pub(crate) fn pipeline(
        &self,
        config: &GenerationConfig,
        source: &Source<'_>,
        ties: Option<TiePolicy>,
        forced_prefix: &[u32],
    ) -> Result<Pipeline, RequestError> {
        let vocab_size = source.model.vocab_size();
        let mut pipeline = match self {
            Self::HuggingFace => presets::huggingface(config, ties)?,
            Self::LlamaCpp(settings) => {
                presets::llama_cpp(&settings.by_token(source)?, vocab_size, ties)?
            }
            Self::Vllm(settings) => {
                presets::vllm(&settings.by_token(config, source)?, vocab_size, ties)?
            }
            Self::Own(own) => match ties {
                None => own.pipeline.clone(),
                Some(ties) => return refuse("ties", ties, "left out: the pipeline says its own"),
            },
        };
        if let Some(&id) = forced_prefix.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(PresetError::UnknownToken { key: "forced_prefix", id, vocab_size }.into());
        }
        if !forced_prefix.is_empty() {
            let prefix = ForcedPrefix::new(forced_prefix, vocab_size);
            pipeline.insert(0, Constraint::new(prefix).named("forced_prefix"));
        }
        Ok(pipeline)
    }
}

/// A config with what it has as tokens and what a person gave as texts in one list, texts first.
fn with_texts<S: Serializer>(
    config: &impl Serialize,
    key: &str,
    texts: &[String],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut settings = serde_json::to_value(config).map_err(S::Error::custom)?;
    if let Some(Value::Array(list)) = settings.get_mut(key) {
        list.splice(..0, texts.iter().cloned().map(Value::String));
    }
    settings.serialize(serializer)
}

/// Whether a setting of [`GenerationConfig`] means the same under all rules: when to stop, and how
/// often to begin. Two of the model's own tokens do, which are no knobs.
pub(crate) fn is_shared(key: &str) -> bool {
    let token = ["bos_token_id", "pad_token_id"].contains(&key);
    token || knobs::named(key).is_some_and(knobs::Knob::is_shared)
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
