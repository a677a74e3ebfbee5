//! Settings that were given and change nothing beside the others.

use taper_sampling::GenerationConfig;
use taper_sampling::presets::LlamaCppSampler;

use super::{Knob, Needs, named};
use crate::semantics::{LlamaCpp, Semantics};

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

impl Semantics {
    /// Which of the settings that were `given` have no effect beside the others.
    pub fn idle(&self, config: &GenerationConfig, given: &[&str]) -> Vec<Idle> {
        let mut found = Vec::new();
        let mut note = |why, why_by_flag, picks: &dyn Fn(&Knob) -> bool| {
            let names = given.iter().filter(|name| named(name).is_some_and(picks));
            let names = names.map(|&name| name.to_owned()).collect();
            found.push(Idle { why, why_by_flag, names });
        };
        if config.num_beams.is_none_or(|beams| beams == 1) {
            let (why, flag) = ("without num_beams above 1", "without --num-beams above 1");
            // Groups without beams are refused.
            let idle = |knob: &Knob| knob.needs == Needs::Beams && knob.name != "num_beam_groups";
            note(why, flag, &idle);
        }
        let draws = |knob: &Knob| knob.needs == Needs::Drawing;
        let cold = self.temperature(config) == Some(0.0);
        match self {
            Self::HuggingFace | Self::Vllm(_) if cold => {
                let warps = |knob: &Knob| draws(knob) && knob.name != "temperature";
                note("at temperature 0", "at temperature 0", &warps);
            }
            Self::HuggingFace if !self.draws(config) => {
                note("without do_sample = true", "without --do-sample true", &draws);
            }
            Self::LlamaCpp(settings) if settings.draws_by_mirostat() => {
                note("with mirostat", "with --mirostat", &|knob| {
                    knob.is_decoding() && !knob.beside_mirostat
                });
            }
            Self::LlamaCpp(settings) => of_llama_cpp(settings, &mut note),
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

type Note<'n> = dyn FnMut(&'static str, &'static str, &dyn Fn(&Knob) -> bool) + 'n;

/// What hangs on another setting of llama.cpp's that is off.
fn of_llama_cpp(settings: &LlamaCpp, note: &mut Note<'_>) {
    let config = &settings.config;
    let adapts = config.samplers.last() == Some(&LlamaCppSampler::AdaptiveP);
    let rows = [
        (
            config.xtc_probability as f32 <= 0.0,
            "without xtc_probability",
            "without --xtc-probability",
            Needs::Xtc,
        ),
        (
            config.dry_multiplier as f32 == 0.0,
            "without dry_multiplier",
            "without --dry-multiplier",
            Needs::Dry,
        ),
        (
            config.dynatemp_range as f32 <= 0.0,
            "without dynatemp_range",
            "without --dynatemp-range",
            Needs::DynamicTemperature,
        ),
        (true, "without mirostat", "without --mirostat", Needs::Mirostat),
        (
            !adapts,
            "without adaptive_p among the samplers",
            "without adaptive_p in --samplers",
            Needs::AdaptiveP,
        ),
    ];
    for (off, why, why_by_flag, needs) in rows {
        if off {
            note(why, why_by_flag, &|knob| knob.needs == needs);
        }
    }
}
