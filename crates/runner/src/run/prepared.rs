//! From a request to what runs: the settings of all sources, merged and checked, and the pipeline.

use taper_models::LanguageModel;
use taper_sampling::presets::PresetError;
use taper_sampling::search::EarlyStopping;
use taper_sampling::{Ask, GenerationConfig, OneOrMany, Pipeline};

use crate::error::{RequestError, refuse};
use crate::grammar::constrain;
use crate::knobs::settle;
use crate::outcome::EffectiveConfig;
use crate::request::{DEFAULT_MAX_NEW_TOKENS, Request, draw_seed, give};
use crate::semantics::{Semantics, at_zero};
use crate::source::Source;

/// Sequences of a generation, each of which has its place in memory.
const MOST_SEQUENCES: usize = 1 << 16;

/// A request that was checked, with the pipeline that it makes.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) prompt: Vec<u32>,
    pub(crate) config: EffectiveConfig,
    pub(crate) pipeline: Pipeline,
    pub(crate) ask: Ask,
    pub(crate) redraws: usize,
}

impl Prepared {
    /// Completes and checks a request; `goes` says whether the loop goes with the complete settings.
    pub(crate) fn of(
        source: &Source<'_>,
        request: Request,
        goes: impl FnOnce(&GenerationConfig) -> Result<(), RequestError>,
    ) -> Result<Self, RequestError> {
        let Request { prompt, mut config, mut semantics, ties, forced_prefix, grammar, .. } =
            request;
        give(&request.watermark_keys, &mut config, &mut semantics)?;
        check_prompt(&prompt, source.model)?;
        let generation = complete(config, &semantics, prompt.len(), source)?;
        goes(&generation)?;
        let guide = guide(&generation, &prompt, request.negative_prompt, source.model)?;
        let mut pipeline = semantics.pipeline(&generation, source, ties, &forced_prefix)?;
        if let Some(grammar) = &grammar {
            pipeline = constrain(pipeline, grammar, generation.eos_ids(), &semantics, source)?;
        }
        check_best_of(request.best_of, &generation, &semantics, source)?;
        let config = EffectiveConfig {
            generation,
            seed: request.seed.unwrap_or_else(draw_seed),
            semantics,
            ties,
            on_error: request.on_error,
            logits_dtype: request.logits_dtype,
            guide,
            grammar,
            search: request.search,
            best_of: request.best_of,
            forced_prefix,
        };
        Ok(Self { prompt, config, pipeline, ask: request.ask, redraws: request.redraws })
    }
}

/// The settings of `config`, complete.
///
/// # Errors
///
/// When a setting that the runner itself acts on is out of its range.
fn complete(
    config: GenerationConfig,
    semantics: &Semantics,
    prompt: usize,
    source: &Source<'_>,
) -> Result<GenerationConfig, RequestError> {
    let config = settle(at_zero(config, semantics), semantics, source.model.vocab_size())?;
    let mut config = fill_beams(semantics.with_defaults(config)?);
    if config.max_new_tokens.is_none() {
        config.max_new_tokens = Some(match config.max_length {
            None => DEFAULT_MAX_NEW_TOKENS,
            Some(limit) if limit > prompt => limit - prompt,
            Some(limit) => {
                let domain = format!("more than the {prompt} tokens of the prompt");
                return refuse("max_length", limit, domain);
            }
        });
    }
    if config.max_new_tokens == Some(0) {
        return refuse("max_new_tokens", 0, "at least 1");
    }
    if let Some(seconds) = config.max_time.filter(|&s| !(s > 0.0 && s.is_finite())) {
        return refuse("max_time", seconds, "above 0 and finite (in seconds)");
    }
    match config.num_return_sequences {
        Some(0) => return refuse("num_return_sequences", 0, "at least 1"),
        // A search checks it against the beams.
        _ if config.num_beams != Some(1) && config.num_beams.is_some() => {}
        Some(n) if n > MOST_SEQUENCES => {
            return refuse("num_return_sequences", n, format!("at most {MOST_SEQUENCES}"));
        }
        Some(n) if n > 1 && !semantics.draws(&config) => {
            let domain = match semantics.temperature(&config) {
                Some(0.0) => "1 at temperature 0, at which all sequences are the same",
                _ => "1 unless do_sample is true",
            };
            return refuse("num_return_sequences", n, domain);
        }
        Some(n) if n > 1 && !source.model.capabilities().fork => {
            return refuse("num_return_sequences", n, "1: the state of this model cannot fork");
        }
        _ => {}
    }
    if config.stops().iter().any(String::is_empty) {
        return refuse("stop_strings", "\"\"", "a text that is not empty");
    }
    if config.num_beams == Some(0) {
        return refuse("num_beams", 0, "at least 1");
    }
    if let (Some(1), Some(groups)) = (config.num_beams, config.num_beam_groups.filter(|&n| n != 1))
    {
        return refuse("num_beam_groups", groups, "1 without beams to divide");
    }
    check_available(&config, source)?;
    let vocab_size = source.model.vocab_size();
    check_tokens(&config, vocab_size)?;
    if let Some(id) = config.eos_ids().iter().find(|&&id| id as usize >= vocab_size) {
        return refuse("eos_token_id", id, format!("in 0..={}", vocab_size - 1));
    }
    if source.tokenizer.is_none() && !config.stops().is_empty() {
        let stops = format!("{:?}", config.stops());
        return refuse("stop_strings", stops, "left out: the model has no tokenizer.json");
    }
    Ok(config)
}

/// Refuses what the model cannot do.
fn check_available(config: &GenerationConfig, source: &Source<'_>) -> Result<(), RequestError> {
    match config.guidance_scale.filter(|&scale| scale != 1.0) {
        Some(scale) if !source.model.capabilities().batch => {
            refuse("guidance_scale", scale, "1: this model cannot run two rows at once")
        }
        _ => Ok(()),
    }
}

/// What the second row of a guided run begins with: the negative prompt, or as in transformers the
/// last token of the prompt. `None` for a run without guidance.
fn guide(
    config: &GenerationConfig,
    prompt: &[u32],
    negative: Option<Vec<u32>>,
    model: &dyn LanguageModel,
) -> Result<Option<Vec<u32>>, RequestError> {
    let guided = config.guidance_scale.is_some_and(|scale| scale != 1.0);
    match negative {
        Some(_) if !guided => Err(RequestError::NoGuidance),
        Some(negative) => match check_prompt(&negative, model) {
            Ok(()) => Ok(Some(negative)),
            Err(error) => Err(RequestError::NegativePrompt(Box::new(error))),
        },
        None => Ok(guided.then(|| prompt[prompt.len().saturating_sub(1)..].to_vec())),
    }
}

/// Refuses a prompt that the model cannot take.
pub(crate) fn check_prompt(prompt: &[u32], model: &dyn LanguageModel) -> Result<(), RequestError> {
    let (vocab_size, context_length) = (model.vocab_size(), model.context_length());
    if prompt.is_empty() {
        return Err(RequestError::EmptyPrompt);
    }
    if let Some(&id) = prompt.iter().find(|&&id| id as usize >= vocab_size) {
        return Err(RequestError::PromptId { id, vocab_size });
    }
    if prompt.len() > context_length {
        return Err(RequestError::PromptTooLong { tokens: prompt.len(), context_length });
    }
    Ok(())
}

/// Refuses ids that no token has, which the stages would find out in the middle of a run.
fn check_tokens(config: &GenerationConfig, vocab_size: usize) -> Result<(), RequestError> {
    let list = |ids: &Option<Vec<u32>>| ids.clone().unwrap_or_default();
    let words = config.bad_words_ids.iter().flatten().flatten().copied().collect();
    let biased = config.sequence_bias.iter().flatten().flat_map(|(ids, _)| ids).copied().collect();
    let forced_eos = config.forced_eos_token_id.as_ref().map_or(&[][..], OneOrMany::as_slice);
    if config.bad_words_ids.iter().flatten().any(Vec::is_empty) {
        return refuse("bad_words_ids", "[[]]", "sequences of token ids, each at least one");
    }
    let named: [(&str, Vec<u32>); 6] = [
        ("bad_words_ids", words),
        ("sequence_bias", biased),
        ("suppress_tokens", list(&config.suppress_tokens)),
        ("begin_suppress_tokens", list(&config.begin_suppress_tokens)),
        ("forced_bos_token_id", config.forced_bos_token_id.into_iter().collect()),
        ("forced_eos_token_id", forced_eos.to_vec()),
    ];
    for (key, ids) in named {
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(PresetError::UnknownToken { key, id, vocab_size }.into());
        }
    }
    Ok(())
}

/// `config`, with what beams need spelled out if there are several.
fn fill_beams(config: GenerationConfig) -> GenerationConfig {
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

/// Refuses a number of sequences to choose from that makes no choice.
fn check_best_of(
    best_of: Option<usize>,
    config: &GenerationConfig,
    semantics: &Semantics,
    source: &Source<'_>,
) -> Result<(), RequestError> {
    let Some(all) = best_of else { return Ok(()) };
    let wanted = config.num_return_sequences.unwrap_or(1);
    if all < wanted {
        return refuse("best_of", all, format!("at least {wanted}, the sequences to return"));
    }
    if all > MOST_SEQUENCES {
        return refuse("best_of", all, format!("at most {MOST_SEQUENCES}"));
    }
    if !semantics.draws(config) {
        return refuse("best_of", all, "left out where nothing is drawn");
    }
    if all > 1 && !source.model.capabilities().fork {
        return refuse("best_of", all, "1: the state of this model cannot fork");
    }
    Ok(())
}
