//! The names of llama.cpp's samplers.

use taper_runner::LlamaCpp;
use taper_runner::sampling::presets::LlamaCppSampler;

/// A chain of samplers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Chain(pub(in crate::cli) Vec<LlamaCppSampler>);

/// Names separated by semicolons, as [`LlamaCpp::chain`] takes them.
pub(in crate::cli) fn samplers(text: &str) -> Result<Chain, String> {
    LlamaCpp::chain(text).map(Chain).ok_or_else(|| {
        "it must be names separated by semicolons: penalties, dry, top_n_sigma, top_k, typ_p, \
         top_p, min_p, xtc, temperature, adaptive_p (mirostat has a flag of its own)"
            .to_owned()
    })
}
