//! llama.cpp's sampling settings, under its names.

use alloc::vec::Vec;

use crate::presets::PresetError;

/// A link of the chain, under llama.cpp's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LlamaCppSampler {
    /// `logit_bias`.
    LogitBias,
    /// `repeat_penalty`, then `frequency_penalty` and `presence_penalty`, over one window.
    Penalties,
    /// The `dry_*` settings.
    Dry,
    /// `top_n_sigma`.
    TopNSigma,
    /// `top_k`.
    TopK,
    /// `typ_p`.
    TypP,
    /// `top_p`.
    TopP,
    /// `min_p`.
    MinP,
    /// The `xtc_*` settings.
    Xtc,
    /// `temperature` and the `dynatemp_*` settings.
    Temperature,
    /// Draws by mirostat, version 1; last in the chain.
    Mirostat,
    /// Draws by mirostat, version 2; last in the chain.
    MirostatV2,
    /// Draws by adaptive-p; last in the chain.
    AdaptiveP,
}

/// llama.cpp's sampling settings, under its names.
///
/// The [`Default`] is neutral: every sampler is in its place and none of them does anything.
/// llama.cpp's own defaults are [`LlamaCppConfig::engine_defaults`].
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct LlamaCppConfig {
    /// The chain, in order. Without a drawing sampler at its end, a plain draw follows.
    pub samplers: Vec<LlamaCppSampler>,
    /// Divides the scores; 0 and below keeps the best alone.
    pub temperature: f64,
    /// Half the range in which the temperature follows the entropy; 0 and below is off.
    pub dynatemp_range: f64,
    /// How the temperature rises with the entropy.
    pub dynatemp_exponent: f64,
    /// 0 and below is off.
    pub top_k: i32,
    /// 1 and above is off.
    pub top_p: f64,
    /// 0 and below is off.
    pub min_p: f64,
    /// 1 and above is off.
    pub typ_p: f64,
    /// 0 and below is off.
    pub top_n_sigma: f64,
    /// How many tokens back the penalties look, prompt included; 0 and below is off.
    pub repeat_last_n: i32,
    /// 1 is off.
    pub repeat_penalty: f64,
    /// 0 is off.
    pub frequency_penalty: f64,
    /// 0 is off.
    pub presence_penalty: f64,
    /// 0 is off.
    pub dry_multiplier: f64,
    /// Below 1 is off.
    pub dry_base: f64,
    /// Repetitions up to this length are free.
    pub dry_allowed_length: i32,
    /// How many tokens back DRY looks; 0 and below is off.
    pub dry_penalty_last_n: i32,
    /// Token sequences that no repetition reaches across; empty ones are passed over.
    pub dry_sequence_breakers: Vec<Vec<u32>>,
    /// 0 and below is off.
    pub xtc_probability: f64,
    /// Above 0.5 is off.
    pub xtc_threshold: f64,
    /// The fewest candidates that typical, top-p, min-p and XTC leave.
    pub min_keep: usize,
    /// The surprise in bits that mirostat aims at.
    pub mirostat_tau: f64,
    /// Mirostat's learning rate.
    pub mirostat_eta: f64,
    /// The probability that adaptive-p aims at; below 0 is off.
    pub adaptive_target: f64,
    /// How much of its past adaptive-p keeps from token to token.
    pub adaptive_decay: f64,
    /// What is added to the logits of tokens; −∞ bans.
    pub logit_bias: Vec<(u32, f64)>,
}

impl Default for LlamaCppConfig {
    fn default() -> Self {
        use LlamaCppSampler::{
            Dry, LogitBias, MinP, Penalties, Temperature, TopK, TopNSigma, TopP, TypP, Xtc,
        };
        Self {
            samplers: [
                LogitBias,
                Penalties,
                Dry,
                TopNSigma,
                TopK,
                TypP,
                TopP,
                MinP,
                Xtc,
                Temperature,
            ]
            .to_vec(),
            temperature: 1.0,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typ_p: 1.0,
            top_n_sigma: -1.0,
            repeat_last_n: 64,
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_penalty_last_n: 64,
            dry_sequence_breakers: Vec::new(),
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            min_keep: 0,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            adaptive_target: -1.0,
            adaptive_decay: 0.9,
            logit_bias: Vec::new(),
        }
    }
}

impl LlamaCppConfig {
    /// Refuses what is no number in single precision, which llama.cpp computes in, in every setting,
    /// also in one that is off.
    pub(super) fn check_numbers(&self) -> Result<(), PresetError> {
        let numbers = [
            ("temperature", self.temperature),
            ("dynatemp_range", self.dynatemp_range),
            ("dynatemp_exponent", self.dynatemp_exponent),
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typ_p),
            ("top_n_sigma", self.top_n_sigma),
            ("repeat_penalty", self.repeat_penalty),
            ("frequency_penalty", self.frequency_penalty),
            ("presence_penalty", self.presence_penalty),
            ("dry_multiplier", self.dry_multiplier),
            ("dry_base", self.dry_base),
            ("xtc_probability", self.xtc_probability),
            ("xtc_threshold", self.xtc_threshold),
            ("mirostat_tau", self.mirostat_tau),
            ("mirostat_eta", self.mirostat_eta),
            ("adaptive_target", self.adaptive_target),
            ("adaptive_decay", self.adaptive_decay),
        ];
        match numbers.into_iter().find(|(_, value)| !(*value as f32).is_finite()) {
            None => Ok(()),
            Some((key, value)) => Err(PresetError::OutOfRange { key, value, domain: "finite" }),
        }
    }

    /// What llama.cpp's programs start from: the default chain with `top_k` 40, `top_p` 0.95,
    /// `min_p` 0.05 and `temperature` 0.8. DRY's breakers are text there and token ids here, so they
    /// are left to the caller.
    pub fn engine_defaults() -> Self {
        Self { top_k: 40, top_p: 0.95, min_p: 0.05, temperature: 0.8, ..Self::default() }
    }
}
