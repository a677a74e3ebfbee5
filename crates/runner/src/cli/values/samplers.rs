//! The names of llama.cpp's samplers.

use taper_runner::sampling::presets::LlamaCppSampler;

/// A chain of samplers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Chain(pub(in crate::cli) Vec<LlamaCppSampler>);

/// Names separated by semicolons, in any of the spellings that llama.cpp takes.
///
/// The logit bias comes first whether or not it is named, and adaptive-p, which draws, comes last:
/// so llama.cpp has it.
pub(in crate::cli) fn samplers(text: &str) -> Result<Chain, String> {
    let named = text.split(';').map(sampler).collect::<Option<Vec<_>>>();
    let named = named.ok_or_else(|| {
        "it must be names separated by semicolons: penalties, dry, top_n_sigma, top_k, typ_p, \
         top_p, min_p, xtc, temperature, adaptive_p (mirostat has a flag of its own)"
            .to_owned()
    })?;
    let (last, middle): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|&sampler| sampler == LlamaCppSampler::AdaptiveP);
    let first = [LlamaCppSampler::LogitBias];
    Ok(Chain(first.into_iter().chain(middle).chain(last.into_iter().take(1)).collect()))
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
