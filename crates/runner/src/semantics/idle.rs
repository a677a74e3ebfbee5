//! Settings that were given and change nothing beside the others.

use taper_sampling::GenerationConfig;
use taper_sampling::presets::LlamaCppSampler;

use super::{LlamaCpp, Semantics};
use crate::experiment::is_decoding;
use crate::request::{OF_BEAMS, WARPERS};

/// Settings without effect, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Idle {
    /// The condition, in the words of a config: `without do_sample = true`.
    pub why: &'static str,
    /// The same in the words of flags: `without --do-sample true`.
    pub why_by_flag: &'static str,
    /// The settings, by their names in a config.
    pub names: Vec<String>,
}

/// Settings that vLLM's greedy decoding does not look at.
const CUTS: [&str; 3] = ["top_k", "top_p", "min_p"];

/// Settings that mirostat leaves an effect.
const BESIDE_MIROSTAT: [&str; 5] =
    ["temperature", "logit_bias", "mirostat", "mirostat_tau", "mirostat_eta"];

impl Semantics {
    /// Which of the settings that were `given` have no effect beside the others.
    pub fn idle(&self, config: &GenerationConfig, given: &[&str]) -> Vec<Idle> {
        let mut found = Vec::new();
        let mut note = |why, why_by_flag, picks: &dyn Fn(&str) -> bool| {
            let names = given.iter().filter(|name| picks(name)).map(|&name| name.to_owned());
            found.push(Idle { why, why_by_flag, names: names.collect() });
        };
        if config.num_beams.is_none_or(|beams| beams == 1) {
            let (why, flag) = ("without num_beams above 1", "without --num-beams above 1");
            note(why, flag, &|name| OF_BEAMS.contains(&name) && name != "num_beam_groups");
        }
        let cold = self.temperature(config) == Some(0.0);
        match self {
            Self::HuggingFace if cold => {
                let warps = |name: &str| WARPERS.contains(&name) && name != "temperature";
                note("at temperature 0", "at temperature 0", &warps);
            }
            Self::HuggingFace if !self.draws(config) => {
                let (why, flag) = ("without do_sample = true", "without --do-sample true");
                note(why, flag, &|name| WARPERS.contains(&name));
            }
            Self::LlamaCpp(settings) if settings.draws_by_mirostat() => {
                note("with mirostat", "with --mirostat", &|name| {
                    is_decoding(name) && !BESIDE_MIROSTAT.contains(&name)
                });
            }
            Self::LlamaCpp(settings) => of_llama_cpp(settings, &mut note),
            Self::Vllm(_) if cold => {
                note("at temperature 0", "at temperature 0", &|name| CUTS.contains(&name));
            }
            Self::HuggingFace | Self::Vllm(_) | Self::Own(_) => {}
        }
        found.retain(|idle| !idle.names.is_empty());
        found
    }

    /// Whether these are Hugging Face's rules at temperature 0, which transformers refuses.
    pub fn is_cold(&self, config: &GenerationConfig) -> bool {
        matches!(self, Self::HuggingFace) && config.temperature == Some(0.0)
    }
}

type Note<'n> = dyn FnMut(&'static str, &'static str, &dyn Fn(&str) -> bool) + 'n;

/// What hangs on another setting of llama.cpp's that is off.
fn of_llama_cpp(settings: &LlamaCpp, note: &mut Note<'_>) {
    let config = &settings.config;
    let draws = |sampler| config.samplers.last() == Some(&sampler);
    let rows: [(bool, &str, &str, &[&str]); 5] = [
        (
            config.xtc_probability as f32 <= 0.0,
            "without xtc_probability",
            "without --xtc-probability",
            &["xtc_threshold"],
        ),
        (
            config.dry_multiplier as f32 == 0.0,
            "without dry_multiplier",
            "without --dry-multiplier",
            &["dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"],
        ),
        (
            config.dynatemp_range as f32 <= 0.0,
            "without dynatemp_range",
            "without --dynatemp-range",
            &["dynatemp_exponent"],
        ),
        (true, "without mirostat", "without --mirostat", &["mirostat_tau", "mirostat_eta"]),
        (
            !draws(LlamaCppSampler::AdaptiveP),
            "without adaptive_p among the samplers",
            "without adaptive_p in --samplers",
            &["adaptive_target", "adaptive_decay"],
        ),
    ];
    for (off, why, why_by_flag, names) in rows {
        if off {
            note(why, why_by_flag, &|name| names.contains(&name));
        }
    }
}
