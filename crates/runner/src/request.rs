//! What to generate, and how: the settings of a run, merged and checked.

mod file;

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};

use taper_models::LanguageModel;
use taper_models::tokenizers::{Encoding, Tokenizer};
use taper_sampling::presets::PresetError;
use taper_sampling::{Ask, GenerationConfig, OneOrMany, TiePolicy};

pub use self::file::{ModelConfigError, file_of, model_config, unused_settings};
pub(crate) use self::file::{domain, known, odd};
use crate::error::RequestError;
use crate::generation::Source;
use crate::grammar::TextGrammar;
use crate::logits_dtype::LogitsDtype;
use crate::outcome::OnError;
use crate::search::{SearchMode, fill_beams};
use crate::semantics::Semantics;
use crate::told::shortened;

/// Tokens that a run makes where neither the user nor the model sets a limit.
pub const DEFAULT_MAX_NEW_TOKENS: usize = 128;

/// Sequences of a generation, each of which has its place in memory.
pub(crate) const MOST_SEQUENCES: usize = 1 << 16;

/// A run to be made: the prompt and the settings.
///
/// ```
/// use taper_runner::Request;
/// use taper_runner::sampling::GenerationConfig;
///
/// let mut request = Request::new(vec![4, 2]);
/// request.config = GenerationConfig { max_new_tokens: Some(8), ..GenerationConfig::default() };
/// request.seed = Some(7);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The prompt, tokenized.
    pub prompt: Vec<u32>,
    /// When to stop, and under Hugging Face's rules how to decode;
    /// [class defaults](GenerationConfig::class_defaults) fill what is left open.
    pub config: GenerationConfig,
    /// Whose rules; those of another engine bring settings of their own.
    pub semantics: Semantics,
    /// What to be guided away from, tokenized; only with a `guidance_scale` other than 1. `None` for
    /// the prompt's last token alone, as in transformers.
    pub negative_prompt: Option<Vec<u32>>,
    /// What the text must look like.
    pub grammar: Option<TextGrammar>,
    /// The tie rule of all stages, instead of that engine's own.
    pub ties: Option<TiePolicy>,
    /// Names the randomness. `None` draws one, which the outcome reports.
    pub seed: Option<u64>,
    /// What to do when no token can be chosen.
    pub on_error: OnError,
    /// The precision that rows of logits are rounded to first.
    pub logits_dtype: LogitsDtype,
    /// What to report of each token; for [`Ask::token`] nothing is.
    pub ask: Ask,
    /// Draw each step so many times more, with other randomness, and report what came up. The run goes
    /// on as without; beams have no such draws.
    pub redraws: usize,
    /// How beams search, if there are several.
    pub search: SearchMode,
    /// Draw so many sequences and return the best: those with the highest mean log-probability under
    /// the model itself. A [`Step`](crate::Step) counts sequences in the order drawn.
    pub best_of: Option<usize>,
    /// Tokens that every sequence begins with. They count as generated.
    pub forced_prefix: Vec<u32>,
}

impl Request {
    /// A greedy run of [`DEFAULT_MAX_NEW_TOKENS`] that reports the tokens alone.
    pub fn new(prompt: Vec<u32>) -> Self {
        Self {
            prompt,
            config: GenerationConfig::default(),
            semantics: Semantics::default(),
            negative_prompt: None,
            grammar: None,
            ties: None,
            seed: None,
            on_error: OnError::default(),
            logits_dtype: LogitsDtype::default(),
            ask: Ask::token(),
            redraws: 0,
            search: SearchMode::default(),
            best_of: None,
            forced_prefix: Vec::new(),
        }
    }
}

/// The tokens of a text, with those that the tokenizer puts around it (such as `<s>`).
///
/// # Errors
///
/// [`RequestError::EmptyPrompt`] for an empty text, [`RequestError::NoTokenizer`], and
/// [`RequestError::Tokenizer`] when the tokenizer fails.
pub fn tokenize(tokenizer: Option<&Tokenizer>, text: &str) -> Result<Vec<u32>, RequestError> {
    if text.is_empty() {
        return Err(RequestError::EmptyPrompt);
    }
    Ok(encode(tokenizer, text, true)?.get_ids().to_vec())
}

/// The tokens of a text alone, as of one that stands in the middle of another.
///
/// # Errors
///
/// [`RequestError::NoTokenizer`], and [`RequestError::Tokenizer`] when the tokenizer fails.
pub fn tokenize_plain(tokenizer: Option<&Tokenizer>, text: &str) -> Result<Vec<u32>, RequestError> {
    Ok(encode(tokenizer, text, false)?.get_ids().to_vec())
}

pub(crate) fn encode(
    tokenizer: Option<&Tokenizer>,
    text: &str,
    special: bool,
) -> Result<Encoding, RequestError> {
    let tokenizer = tokenizer.ok_or(RequestError::NoTokenizer)?;
    tokenizer.encode(text, special).map_err(|error| RequestError::Tokenizer(error.to_string()))
}

/// A seed from the operating system's randomness. 32 bits, so that it is short enough to be typed
/// again and exact in any JSON reader.
pub fn draw_seed() -> u64 {
    RandomState::new().hash_one(std::time::SystemTime::now()) >> 32
}

/// The settings of `config`, complete.
///
/// # Errors
///
/// When a setting that the runner itself acts on is out of its range.
pub(crate) fn complete(
    config: GenerationConfig,
    semantics: &Semantics,
    prompt: usize,
    source: &Source<'_>,
) -> Result<GenerationConfig, RequestError> {
    let config = file::settle(at_zero(config, semantics), semantics, source.model.vocab_size())?;
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
            return refuse("num_return_sequences", n, "1: the state of this model can not fork");
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

/// Temperature 0, which transformers refuses, is the limit that every other engine means by it: the
/// most likely token each time. So is one that is 0 in single precision.
pub(crate) fn at_zero(config: GenerationConfig, semantics: &Semantics) -> GenerationConfig {
    let hugging_face = matches!(semantics, Semantics::HuggingFace);
    if hugging_face && config.temperature.is_some_and(|t| t as f32 == 0.0) {
        return GenerationConfig { temperature: Some(0.0), do_sample: Some(false), ..config };
    }
    config
}

/// Refuses what the model can not do.
fn check_available(config: &GenerationConfig, source: &Source<'_>) -> Result<(), RequestError> {
    match config.guidance_scale.filter(|&scale| scale != 1.0) {
        Some(scale) if !source.model.capabilities().batch => {
            refuse("guidance_scale", scale, "1: this model can not run two rows at once")
        }
        _ => Ok(()),
    }
}

/// What the second row of a guided run begins with: the negative prompt, or as in transformers the
/// last token of the prompt. `None` for a run without guidance.
pub(crate) fn guide(
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

/// Refuses a prompt that the model can not take.
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

pub(crate) fn refuse<T>(
    key: &'static str,
    value: impl Display,
    domain: impl Into<String>,
) -> Result<T, RequestError> {
    let value = shortened(&value.to_string()).into_owned();
    Err(RequestError::Setting { key, value, domain: domain.into() })
}
