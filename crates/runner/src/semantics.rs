//! Whose rules a run follows, with the settings that those rules alone know.

mod breakers;
mod llama_cpp;
mod prefix;
mod vllm;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use taper_sampling::presets::{self, PresetError};
use taper_sampling::{Constraint, GenerationConfig, Pipeline, TiePolicy};

pub use self::llama_cpp::{LlamaCpp, MirostatVersion, Recommended};
use self::prefix::ForcedPrefix;
pub use self::vllm::Vllm;
use crate::error::{RequestError, refuse};
use crate::source::Source;

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
        let Self::Vllm(settings) = self else { return Vec::new() };
        let mut remarks = source
            .tokenizer
            .map_or_else(Vec::new, |tokenizer| settings.words_let_through(tokenizer));
        if settings.config.watermark_config.is_some() && settings.config.temperature == 0.0 {
            remarks.push(
                "watermark: at temperature 0 nothing is drawn, and nothing marked".to_owned(),
            );
        }
        remarks
    }

    /// Tokens that end a sequence besides the EOS tokens, and have no text.
    pub fn stop_tokens(&self) -> &[u32] {
        match self {
            Self::Vllm(settings) => &settings.config.stop_token_ids,
            _ => &[],
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

/// Temperature 0, which transformers refuses, is the limit that every other engine means by it: the
/// most likely token each time. So is one that is 0 in single precision.
pub(crate) fn at_zero(config: GenerationConfig, semantics: &Semantics) -> GenerationConfig {
    let hugging_face = matches!(semantics, Semantics::HuggingFace);
    if hugging_face && config.temperature.is_some_and(|t| t as f32 == 0.0) {
        return GenerationConfig { temperature: Some(0.0), do_sample: Some(false), ..config };
    }
    config
}
