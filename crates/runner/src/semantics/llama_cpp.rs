//! llama.cpp's settings.

use serde::{Serialize, Serializer};
use taper_sampling::presets::{LlamaCppConfig, LlamaCppSampler};

use super::{breakers, with_texts};
use crate::error::RequestError;
use crate::source::Source;
use crate::told::shortened;

/// llama.cpp's settings as a person writes them.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaCpp {
    /// All but the breakers.
    pub config: LlamaCppConfig,
    /// Texts that no repetition reaches across as DRY counts them. The model's tokenizer tells
    /// which tokens they are in; breakers that the config names by token count as well.
    pub dry_sequence_breakers: Vec<String>,
}

impl Default for LlamaCpp {
    /// What llama.cpp's programs start from.
    fn default() -> Self {
        Self {
            config: LlamaCppConfig::engine_defaults(),
            dry_sequence_breakers: ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
        }
    }
}

impl Serialize for LlamaCpp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = &self.dry_sequence_breakers;
        with_texts(&self.config, "dry_sequence_breakers", texts, serializer)
    }
}

impl LlamaCpp {
    /// Draws by mirostat, version 1 or 2, as llama.cpp does: after the logit bias and a plain
    /// temperature, and in place of everything else.
    #[must_use]
    pub fn mirostat(mut self, version: MirostatVersion) -> Self {
        let draw = match version {
            MirostatVersion::One => LlamaCppSampler::Mirostat,
            MirostatVersion::Two => LlamaCppSampler::MirostatV2,
        };
        self.config.samplers = vec![LlamaCppSampler::LogitBias, LlamaCppSampler::Temperature, draw];
        self.config.dynatemp_range = 0.0;
        self
    }

    /// Whether the chain ends in mirostat.
    pub fn draws_by_mirostat(&self) -> bool {
        let last = self.config.samplers.last();
        matches!(last, Some(LlamaCppSampler::Mirostat | LlamaCppSampler::MirostatV2))
    }

    /// A chain of samplers by names that semicolons separate, in any of the spellings that llama.cpp
    /// takes; `None` if one is not known.
    ///
    /// The logit bias comes first whether or not it is named, and adaptive-p, which draws, comes
    /// last: so llama.cpp has it.
    pub fn chain(names: &str) -> Option<Vec<LlamaCppSampler>> {
        let named = names.split(';').map(sampler).collect::<Option<Vec<_>>>()?;
        let (last, middle): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|&sampler| sampler == LlamaCppSampler::AdaptiveP);
        let first = [LlamaCppSampler::LogitBias];
        Some(first.into_iter().chain(middle).chain(last.into_iter().take(1)).collect())
    }

    /// The config with the breakers as tokens, if DRY has a part in the chain.
    pub(super) fn by_token(&self, source: &Source<'_>) -> Result<LlamaCppConfig, RequestError> {
        let mut config = self.config.clone();
        let dry = config.samplers.contains(&LlamaCppSampler::Dry)
            && config.dry_multiplier as f32 != 0.0
            && config.dry_penalty_last_n > 0;
        if !dry || self.dry_sequence_breakers.is_empty() {
            return Ok(config);
        }
        let tokenizer = source.tokenizer.ok_or_else(|| RequestError::Setting {
            key: "dry_sequence_breakers",
            value: shortened(&format!("{:?}", self.dry_sequence_breakers)).into_owned(),
            domain: "none: the model has no tokenizer.json".to_owned(),
        })?;
        let vocab_size = source.model.vocab_size();
        let found = breakers::by_token(&self.dry_sequence_breakers, tokenizer, vocab_size)?;
        config.dry_sequence_breakers.extend(found);
        Ok(config)
    }
}

/// What llama.cpp starts from with a model.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Recommended {
    /// The settings, with the chain that there is without mirostat.
    pub settings: LlamaCpp,
    /// Whether the file asks for mirostat.
    pub mirostat: Option<MirostatVersion>,
}

/// Mirostat as published, or its simpler second version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirostatVersion {
    /// [`Mirostat`](taper_sampling::Mirostat).
    One,
    /// [`MirostatV2`](taper_sampling::MirostatV2).
    Two,
}

impl MirostatVersion {
    /// The version of a number, which is 0 for none.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }
}

impl Recommended {
    /// The settings, with mirostat if it is to draw.
    #[must_use]
    pub fn in_force(self) -> LlamaCpp {
        match self.mirostat {
            Some(version) => self.settings.mirostat(version),
            None => self.settings,
        }
    }
}

fn sampler(name: &str) -> Option<LlamaCppSampler> {
    let plain: String = name.trim().to_lowercase().split(['_', '-']).collect();
    Some(match plain.as_str() {
        "penalties" => LlamaCppSampler::Penalties,
        "dry" => LlamaCppSampler::Dry,
        "topnsigma" => LlamaCppSampler::TopNSigma,
        "topk" => LlamaCppSampler::TopK,
        "typp" | "typ" => LlamaCppSampler::TypP,
        "topp" | "nucleus" => LlamaCppSampler::TopP,
        "minp" => LlamaCppSampler::MinP,
        "xtc" => LlamaCppSampler::Xtc,
        "temperature" | "temp" => LlamaCppSampler::Temperature,
        "adaptivep" => LlamaCppSampler::AdaptiveP,
        _ => return None,
    })
}
