//! What to generate, and how.

mod choices;
mod keys;

use std::hash::{BuildHasher, RandomState};

use taper_models::tokenizers::{Encoding, Tokenizer};
use taper_sampling::watermark::WatermarkKey;
use taper_sampling::{Ask, GenerationConfig, TiePolicy};

pub(crate) use self::choices::tie_policy;
pub use self::choices::{OnError, SearchMode, tie_policy_name};
pub(crate) use self::keys::give;
pub use self::keys::{WATERMARK_KEY, watermark_keys};
use crate::error::RequestError;
use crate::grammar::TextGrammar;
use crate::logits_dtype::LogitsDtype;
use crate::semantics::Semantics;

/// Tokens that a run makes where neither the user nor the model sets a limit.
pub const DEFAULT_MAX_NEW_TOKENS: usize = 128;

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
    /// The keys of the watermark that the settings ask for; they go before those of a file, and no
    /// outcome has them.
    pub watermark_keys: Vec<WatermarkKey>,
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
            watermark_keys: Vec::new(),
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
