//! From a config to the settings of a search.

use serde::Serialize;
use taper_sampling::search::{BeamSettings, EarlyStopping, SearchRule};
use taper_sampling::{DrawKey, GenerationConfig};

use crate::error::RequestError;
use crate::outcome::{EffectiveConfig, OnError};
use crate::request::refuse;

/// How beams search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SearchMode {
    /// As Hugging Face does: beam search, with `do_sample` beam-sample, with `num_beam_groups` diverse
    /// beam search.
    #[default]
    HuggingFace,
    /// [Without heuristics](taper_sampling::search::SearchRule::Canonical).
    Canonical,
    /// [Sequences drawn without replacement](taper_sampling::search::SearchRule::Stochastic).
    Stochastic,
}

impl SearchMode {
    /// Its name on the command line and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "huggingface",
            Self::Canonical => "canonical",
            Self::Stochastic => "stochastic",
        }
    }

    /// The mode of a [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::HuggingFace, Self::Canonical, Self::Stochastic];
        all.into_iter().find(|mode| mode.name() == name)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// `config`, with what beams need spelled out if there are several.
pub(crate) fn fill_beams(config: GenerationConfig) -> GenerationConfig {
    if config.num_beams.is_none_or(|beams| beams == 1) {
        return config;
    }
    config.or(GenerationConfig {
        num_beam_groups: Some(1),
        diversity_penalty: Some(0.0),
        length_penalty: Some(1.0),
        early_stopping: Some(EarlyStopping::default()),
        ..GenerationConfig::default()
    })
}

/// The settings of the search that a complete config asks for, with room for `longest` tokens.
pub(super) fn beam_settings(
    config: &EffectiveConfig,
    longest: usize,
) -> Result<BeamSettings, RequestError> {
    let generation = &config.generation;
    let rule = rule(config)?;
    if config.on_error == OnError::Argmax {
        return refuse(
            "on_error",
            "argmax",
            "refuse with num_beams above 1: no row is chosen from alone",
        );
    }
    let mut settings =
        BeamSettings::new(generation.num_beams.unwrap_or(1), longest, generation.eos_ids());
    settings.num_beam_groups = generation.num_beam_groups.unwrap_or(1);
    settings.diversity_penalty = generation.diversity_penalty.unwrap_or(0.0);
    settings.length_penalty = generation.length_penalty.unwrap_or(1.0);
    settings.num_return_sequences = generation.num_return_sequences.unwrap_or(1);
    settings.rule = rule;
    settings.key = DrawKey::new(config.seed);
    settings.validate()?;
    Ok(settings)
}

fn rule(config: &EffectiveConfig) -> Result<SearchRule, RequestError> {
    let sampled = config.generation.do_sample == Some(true);
    let early_stopping = config.generation.early_stopping.unwrap_or_default();
    let mode = config.search;
    match mode {
        SearchMode::HuggingFace => Ok(SearchRule::HuggingFace { early_stopping, sampled }),
        SearchMode::Canonical if sampled => {
            refuse("search", mode.name(), "huggingface or stochastic with do_sample")
        }
        SearchMode::Stochastic if config.semantics.is_cold(&config.generation) => {
            refuse("search", mode.name(), "huggingface or canonical at temperature 0")
        }
        SearchMode::Stochastic if !sampled => {
            refuse("search", mode.name(), "huggingface or canonical without do_sample")
        }
        _ if early_stopping == EarlyStopping::WhenFull => {
            let domain = format!("false with search {}, which has a test of its own", mode.name());
            refuse("early_stopping", true, domain)
        }
        SearchMode::Canonical => Ok(SearchRule::Canonical),
        SearchMode::Stochastic => Ok(SearchRule::Stochastic),
    }
}
