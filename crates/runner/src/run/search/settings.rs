//! From a config to the settings of a search.

use taper_sampling::DrawKey;
use taper_sampling::search::{BeamSettings, EarlyStopping, SearchRule};

use crate::error::{RequestError, refuse};
use crate::outcome::EffectiveConfig;
use crate::request::{OnError, SearchMode};

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
