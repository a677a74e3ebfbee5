//! The names of llama.cpp's samplers.

use taper_sampling::presets::LlamaCppSampler;

use crate::knobs::KnobValue;
use crate::semantics::LlamaCpp;

/// A chain of samplers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(
    /// In order.
    pub Vec<LlamaCppSampler>,
);

/// Names separated by semicolons, as [`LlamaCpp::chain`] takes them.
///
/// # Errors
///
/// What it must be.
pub fn samplers(text: &str) -> Result<Chain, String> {
    LlamaCpp::chain(text).map(Chain).ok_or_else(|| {
        "it must be names separated by semicolons: penalties, dry, top_n_sigma, top_k, typ_p, \
         top_p, min_p, xtc, temperature, adaptive_p (mirostat has a flag of its own)"
            .to_owned()
    })
}

impl From<Chain> for KnobValue {
    fn from(chain: Chain) -> Self {
        let name = |sampler| match serde_json::to_value(sampler) {
            Ok(serde_json::Value::String(name)) => Self::Text(name),
            _ => Self::Text(String::new()),
        };
        Self::List(chain.0.into_iter().map(name).collect())
    }
}
