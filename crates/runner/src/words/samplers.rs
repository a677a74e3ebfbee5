//! The names of llama.cpp's samplers.

use serde::Serialize;
use taper_sampling::presets::LlamaCppSampler;

use crate::semantics::LlamaCpp;

/// A chain of samplers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
