//! Detectors of watermarks, by the settings that make them.

use serde::Serialize;
use taper_sampling::SettingError;
use taper_sampling::presets::{
    GreenListConfig, SynthIdConfig, VllmWatermark, VllmWatermarkAlgorithm, WatermarkingConfig,
};
use taper_sampling::watermark::{
    CannotScore, DualKeyGumbelDetector, Exact, GreenListDetector, GumbelDetection, GumbelDetector,
    SynthIdDetector, WatermarkKey,
};

/// A detector with its settings and its key.
///
/// ```
/// use taper_runner::{Detector, sampling::presets::VllmWatermark, watermark_keys};
///
/// let detector = Detector::Vllm(VllmWatermark::default(), watermark_keys("42")?);
/// let found = detector.detect(&[7, 3, 9, 9, 1, 0])?;
/// assert_eq!((found.scheme, found.scored), ("gumbel", 6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Detector {
    /// vLLM's schemes.
    Vllm(VllmWatermark, Vec<WatermarkKey>),
    /// Hugging Face's, with the length of a row of logits, and a token that does not count at the
    /// beginning. SynthID needs neither.
    HuggingFace {
        /// The settings.
        config: WatermarkingConfig,
        /// The keys.
        keys: Vec<WatermarkKey>,
        /// The length of a row of logits.
        vocab_size: usize,
        /// A token that does not count at the beginning.
        bos: Option<u32>,
    },
}

/// Why a text cannot be looked at.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The text has nothing to score.
    #[error(transparent)]
    Text(#[from] CannotScore),
}

/// What a detector found, for a reader and as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Detected {
    /// The scheme.
    pub scheme: &'static str,
    /// Tokens of the text.
    pub tokens: usize,
    /// How many of them the engine's detector scores, or n-grams.
    pub scored: usize,
    /// Green tokens among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub green: Option<usize>,
    /// The engine's score: a sum, a green list's z, or the mean of g-values.
    pub score: f64,
    /// The engine's p-value; SynthID has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The weighted mean of g-values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighted_score: Option<f64>,
    /// Its p-value, for which it is taken as normal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighted_p_value: Option<f64>,
    /// What counts once in the exact p-value.
    pub exact_scored: usize,
    /// Its score.
    pub exact_score: f64,
    /// The exact p-value.
    pub exact_p_value: f64,
}

impl Detected {
    fn new(scheme: &'static str, tokens: usize, scored: usize, score: f64, exact: Exact) -> Self {
        Self {
            scheme,
            tokens,
            scored,
            green: None,
            score,
            p_value: None,
            weighted_score: None,
            weighted_p_value: None,
            exact_scored: exact.scored,
            exact_score: exact.score,
            exact_p_value: exact.p_value,
        }
    }
}

impl Detector {
    /// Scores a text, which is given without its prompt.
    ///
    /// # Errors
    ///
    /// A setting out of its range, a wrong number of keys, and a text too short to score.
    pub fn detect(&self, tokens: &[u32]) -> Result<Detected, DetectError> {
        match self {
            Self::Vllm(config, keys) => of_vllm(&config.clone().with_keys(keys)?, tokens),
            Self::HuggingFace { config, keys, vocab_size, bos } => {
                match config.clone().with_keys(keys)? {
                    WatermarkingConfig::GreenList(config) => {
                        of_green_list(&config, (*vocab_size, *bos), tokens)
                    }
                    WatermarkingConfig::SynthId(config) => of_synth_id(&config, tokens),
                }
            }
        }
    }
}

fn of_vllm(config: &VllmWatermark, tokens: &[u32]) -> Result<Detected, DetectError> {
    let key = config.key.unwrap_or(WatermarkKey::new(0));
    let (scheme, found): (_, GumbelDetection) = match config.algorithm {
        VllmWatermarkAlgorithm::Gumbel => {
            ("gumbel", GumbelDetector::new(key, config.context_width)?.detect(tokens))
        }
        VllmWatermarkAlgorithm::DualKeyGumbel => {
            let detector = DualKeyGumbelDetector::new(key, config.context_width, config.alpha)?;
            ("dual-key-gumbel", detector.detect(tokens))
        }
    };
    let detected = Detected::new(scheme, tokens.len(), found.scored, found.score, found.exact);
    Ok(Detected { p_value: Some(found.p_value), ..detected })
}

fn of_green_list(
    config: &GreenListConfig,
    (vocab_size, bos): (usize, Option<u32>),
    tokens: &[u32],
) -> Result<Detected, DetectError> {
    let ratio = config.greenlist_ratio;
    let detector = GreenListDetector::new(config.hashing_key, ratio, vocab_size)?
        .context_width(config.context_width)?
        .scheme(config.seeding_scheme)
        .bos(bos);
    let found = detector.detect(tokens)?;
    let detected = Detected::new("green-list", tokens.len(), found.scored, found.z, found.exact);
    Ok(Detected { green: Some(found.green), p_value: Some(found.p_value), ..detected })
}

fn of_synth_id(config: &SynthIdConfig, tokens: &[u32]) -> Result<Detected, DetectError> {
    let detector = SynthIdDetector::new(&config.keys, config.ngram_len)?
        .sampling_table(config.sampling_table_size, config.sampling_table_seed)?
        .context_history_size(config.context_history_size);
    let found = detector.detect(tokens)?;
    let detected = Detected::new("synth-id", tokens.len(), found.scored, found.mean, found.exact);
    let (weighted, p_value) = (found.weighted_mean, found.weighted_p_value);
    Ok(Detected { weighted_score: Some(weighted), weighted_p_value: Some(p_value), ..detected })
}
