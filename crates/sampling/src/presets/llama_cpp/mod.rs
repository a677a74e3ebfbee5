//! The sampler chain of llama.cpp.

mod config;

use alloc::boxed::Box;

pub use config::{LlamaCppConfig, LlamaCppSampler};

use super::PresetError;
use crate::candidates::MassRule;
use crate::pipeline::Pipeline;
use crate::selectors::{AdaptiveP, Draw, Mirostat, MirostatV2, Selector};
use crate::sequence::Window;
use crate::stages::{
    ArgmaxOnly, Dry, DynamicTemperature, LogitBias, MinP, OccurrencePenalty, RepetitionPenalty,
    Temperature, TopK, TopNSigma, TopP, Typical, Xtc,
};
use crate::ties::TiePolicy;

/// The pipeline that llama.cpp makes of its settings: the version vendored in llama-cpp-sys-2
/// 0.1.161.
///
/// The stages stand in the order of [`LlamaCppConfig::samplers`], each left out where its setting
/// turns it off. Settings are rounded to `f32` first, as llama.cpp holds them. The prompt counts for
/// the penalties and for DRY, as it does there once the prompt was accepted.
///
/// # Ties
///
/// llama.cpp leaves them to its sorts. `ties: None` keeps the lowest ids; a policy given here holds
/// for every cut, and for the best token too, where `KeepAll` leaves the lowest id.
///
/// # Differences
///
/// llama.cpp lets anything pass that its arithmetic survives; values without a meaning are refused
/// here: a negative `top_p`, and NaN and infinities in any setting, also in one that is off. Typical sampling over banned candidates, NaN there, works here.
///
/// # Errors
///
/// A value out of its range, a token id at or above `vocab_size`, a drawing sampler that is not the
/// last of the chain.
///
/// # Example
///
/// ```
/// use taper_sampling::presets::{LlamaCppConfig, llama_cpp};
///
/// let config = LlamaCppConfig { repeat_penalty: 1.1, ..LlamaCppConfig::engine_defaults() };
/// let pipeline = llama_cpp(&config, 32_000, None)?;
/// assert_eq!(
///     pipeline.to_string(),
///     "repetition_penalty 1.1 → top_k 40 → top_p 0.95 → min_p 0.05 → temperature 0.8 → draw"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn llama_cpp(
    config: &LlamaCppConfig,
    vocab_size: usize,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    config.check_numbers()?;
    config.check_tokens(vocab_size)?;
    let ties = ties.unwrap_or(TiePolicy::LowestId);
    let (stages, selector) = match config.samplers.split_last() {
        Some((&last, before)) if last.draws() => (before, Some(last)),
        _ => (config.samplers.as_slice(), None),
    };
    let mut pipeline = Pipeline::selecting(config.selector(selector)?);
    for &sampler in stages {
        pipeline = config.append(pipeline, sampler, ties)?;
    }
    Ok(pipeline)
}

impl LlamaCppSampler {
    fn draws(self) -> bool {
        matches!(self, Self::Mirostat | Self::MirostatV2 | Self::AdaptiveP)
    }
}

/// A setting as llama.cpp holds it.
fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

impl LlamaCppConfig {
    fn check_tokens(&self, vocab_size: usize) -> Result<(), PresetError> {
        let breakers = self.dry_sequence_breakers.iter().flatten();
        let breakers = breakers.map(|&id| ("dry_sequence_breakers", id));
        let biased = self.logit_bias.iter().map(|&(id, _)| ("logit_bias", id));
        match breakers.chain(biased).find(|&(_, id)| id as usize >= vocab_size) {
            None => Ok(()),
            Some((key, id)) => Err(PresetError::UnknownToken { key, id, vocab_size }),
        }
    }

    fn selector(&self, sampler: Option<LlamaCppSampler>) -> Result<Box<dyn Selector>, PresetError> {
        Ok(match sampler {
            Some(LlamaCppSampler::Mirostat) => {
                Box::new(Mirostat::new(self.mirostat_tau, self.mirostat_eta)?)
            }
            Some(LlamaCppSampler::MirostatV2) => {
                Box::new(MirostatV2::new(self.mirostat_tau, self.mirostat_eta)?)
            }
            Some(LlamaCppSampler::AdaptiveP) if !(self.adaptive_target < 0.0) => {
                Box::new(AdaptiveP::new(self.adaptive_target, self.adaptive_decay)?)
            }
            _ => Box::new(Draw),
        })
    }

    fn append(
        &self,
        pipeline: Pipeline,
        sampler: LlamaCppSampler,
        ties: TiePolicy,
    ) -> Result<Pipeline, PresetError> {
        let least = self.min_keep;
        Ok(match sampler {
            LlamaCppSampler::LogitBias if self.logit_bias.is_empty() => pipeline,
            LlamaCppSampler::LogitBias => {
                pipeline.then(LogitBias::new(self.logit_bias.iter().copied())?)
            }
            LlamaCppSampler::Penalties => self.append_penalties(pipeline)?,
            LlamaCppSampler::Dry => self.append_dry(pipeline)?,
            LlamaCppSampler::TopNSigma if single(self.top_n_sigma) <= 0.0 => pipeline,
            LlamaCppSampler::TopNSigma => pipeline.then(TopNSigma::new(self.top_n_sigma)?),
            LlamaCppSampler::TopK if self.top_k <= 0 => pipeline,
            LlamaCppSampler::TopK => pipeline.then(TopK::new(self.top_k as usize)?.ties(ties)),
            LlamaCppSampler::TypP if single(self.typ_p) >= 1.0 => pipeline,
            LlamaCppSampler::TypP => {
                // As llama.cpp's server calls it; the sampler is called `typ_p` there.
                let typical = Typical::new(self.typ_p)?.rule(MassRule::Exceed);
                pipeline.then(typical.min_tokens_to_keep(least).ties(ties))
            }
            LlamaCppSampler::TopP if single(self.top_p) >= 1.0 => pipeline,
            LlamaCppSampler::TopP => {
                let top_p = TopP::new(single(self.top_p))?.rule(MassRule::Reach);
                pipeline.then(top_p.min_tokens_to_keep(least).ties(ties))
            }
            LlamaCppSampler::MinP if single(self.min_p) <= 0.0 => pipeline,
            LlamaCppSampler::MinP => {
                pipeline.then(MinP::new(single(self.min_p))?.min_tokens_to_keep(least.max(1)))
            }
            LlamaCppSampler::Xtc => self.append_xtc(pipeline, ties)?,
            LlamaCppSampler::Temperature => self.append_temperature(pipeline, ties)?,
            LlamaCppSampler::Mirostat
            | LlamaCppSampler::MirostatV2
            | LlamaCppSampler::AdaptiveP => {
                return Err(PresetError::SelectorNotLast { key: "samplers" });
            }
        })
    }

    fn append_penalties(&self, mut pipeline: Pipeline) -> Result<Pipeline, PresetError> {
        let window = match usize::try_from(self.repeat_last_n) {
            Ok(tokens) if tokens > 0 => Window::last(tokens),
            _ => return Ok(pipeline),
        };
        if single(self.repeat_penalty) != 1.0 {
            let penalty = RepetitionPenalty::new(self.repeat_penalty);
            pipeline = pipeline
                .then(penalty.map_err(|refused| refused.called("repeat_penalty"))?.window(window));
        }
        let (frequency, presence) = (self.frequency_penalty, self.presence_penalty);
        if single(frequency) != 0.0 || single(presence) != 0.0 {
            pipeline = pipeline.then(OccurrencePenalty::new(frequency, presence)?.window(window));
        }
        Ok(pipeline)
    }

    fn append_dry(&self, pipeline: Pipeline) -> Result<Pipeline, PresetError> {
        let off = single(self.dry_multiplier) == 0.0 || single(self.dry_base) < 1.0;
        let window = match usize::try_from(self.dry_penalty_last_n) {
            Ok(tokens) if tokens > 0 && !off => Window::last(tokens),
            _ => return Ok(pipeline),
        };
        let allowed = self.dry_allowed_length;
        let allowed = usize::try_from(allowed).map_err(|_| PresetError::OutOfRange {
            key: "dry_allowed_length",
            value: f64::from(allowed),
            domain: "at least 0",
        })?;
        let breakers = self.dry_sequence_breakers.iter().filter(|b| !b.is_empty()).cloned();
        let dry = Dry::new(self.dry_multiplier, self.dry_base, allowed)?;
        Ok(pipeline.then(dry.window(window).breakers(breakers)?))
    }

    fn append_xtc(&self, pipeline: Pipeline, ties: TiePolicy) -> Result<Pipeline, PresetError> {
        let probability = single(self.xtc_probability);
        if probability <= 0.0 || single(self.xtc_threshold) > 0.5 {
            return Ok(pipeline);
        }
        let xtc = Xtc::new(probability, self.xtc_threshold)?;
        Ok(pipeline.then(xtc.min_tokens_to_keep(self.min_keep).ties(ties)))
    }

    fn append_temperature(
        &self,
        pipeline: Pipeline,
        ties: TiePolicy,
    ) -> Result<Pipeline, PresetError> {
        let (temperature, range) = (self.temperature as f32, self.dynatemp_range as f32);
        let greedy = ArgmaxOnly { ties: ties.for_argmax() };
        if range > 0.0 && temperature + range > 0.0 {
            if !(temperature + range).is_finite() {
                let (key, value) = ("dynatemp_range", self.dynatemp_range);
                let domain = "such that temperature + dynatemp_range is finite";
                return Err(PresetError::OutOfRange { key, value, domain });
            }
            // `max` with a floor of 0 is llama.cpp's definition of the lower end.
            let (low, high) = ((temperature - range).max(0.0), temperature + range);
            let dynamic = DynamicTemperature::new(low.into(), high.into(), self.dynatemp_exponent);
            // The ends are this setting around the temperature, which is a number.
            let dynamic = dynamic.map_err(|refused| match refused.argument() {
                "exponent" => refused,
                _ => refused.called("dynatemp_range"),
            })?;
            return Ok(pipeline.then(dynamic.ties(ties.for_argmax())));
        }
        if temperature <= 0.0 {
            return Ok(pipeline.then(greedy));
        }
        if temperature == 1.0 {
            return Ok(pipeline);
        }
        Ok(pipeline.then(Temperature::new(self.temperature)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn text(config: &LlamaCppConfig) -> alloc::string::String {
        match llama_cpp(config, 100, None) {
            Ok(pipeline) => pipeline.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn neutral_settings_do_nothing() {
        assert_eq!(text(&LlamaCppConfig::default()), "draw");
    }

    #[test]
    fn off_values_leave_a_sampler_out_and_the_order_is_data() {
        use LlamaCppSampler::{Mirostat, MirostatV2, Temperature, TopK, TopP};
        let base = LlamaCppConfig {
            samplers: [TopP, TopK, Temperature].to_vec(),
            ..LlamaCppConfig::engine_defaults()
        };
        let cases = [
            (base.clone(), "top_p 0.95 → top_k 40 → temperature 0.8 → draw"),
            (LlamaCppConfig { top_k: -1, top_p: 1.5, ..base.clone() }, "temperature 0.8 → draw"),
            (
                LlamaCppConfig { top_k: 0, top_p: 1.0, temperature: 0.0, ..base.clone() },
                "argmax_only → draw",
            ),
            (
                LlamaCppConfig { top_k: 0, top_p: 1.0, dynatemp_range: 0.5, ..base.clone() },
                "dynamic_temperature 0.3 1.3 1.0 → draw",
            ),
            (
                LlamaCppConfig { samplers: [Temperature, Mirostat].to_vec(), ..base.clone() },
                "temperature 0.8 → mirostat 5.0 0.1",
            ),
            (
                LlamaCppConfig { samplers: [MirostatV2].to_vec(), ..base.clone() },
                "mirostat_v2 5.0 0.1",
            ),
        ];
        for (config, want) in cases {
            assert_eq!(text(&config), want);
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        use LlamaCppSampler::{Mirostat, Temperature};
        let base = LlamaCppConfig::default();
        let cases = [
            (LlamaCppConfig { top_p: -0.1, ..base.clone() }, "top_p is -0.1; it must be in 0..=1"),
            (LlamaCppConfig { top_p: f64::NAN, ..base.clone() }, "top_p is NaN; it must be finite"),
            (
                LlamaCppConfig { samplers: [Mirostat, Temperature].to_vec(), ..base.clone() },
                "samplers has a drawing sampler (mirostat, mirostat_v2, adaptive_p) before its end; it must be the last",
            ),
            (
                LlamaCppConfig { logit_bias: [(100, 1.0)].to_vec(), ..base.clone() },
                "logit_bias names token 100; the vocabulary has 100",
            ),
            (
                LlamaCppConfig { dry_multiplier: 1.0, dry_allowed_length: -1, ..base.clone() },
                "dry_allowed_length is -1; it must be at least 0",
            ),
            (
                LlamaCppConfig { temperature: f64::NAN, ..base },
                "temperature is NaN; it must be finite",
            ),
        ];
        for (config, want) in cases {
            assert_eq!(text(&config), want);
        }
    }

    #[test]
    fn no_number_may_be_none() {
        type Set = fn(&mut LlamaCppConfig, f64);
        let fields: [(&str, Set); 19] = [
            ("temperature", |c, x| c.temperature = x),
            ("dynatemp_range", |c, x| c.dynatemp_range = x),
            ("dynatemp_exponent", |c, x| c.dynatemp_exponent = x),
            ("top_p", |c, x| c.top_p = x),
            ("min_p", |c, x| c.min_p = x),
            ("typical_p", |c, x| c.typ_p = x),
            ("top_n_sigma", |c, x| c.top_n_sigma = x),
            ("repeat_penalty", |c, x| c.repeat_penalty = x),
            ("frequency_penalty", |c, x| c.frequency_penalty = x),
            ("presence_penalty", |c, x| c.presence_penalty = x),
            ("dry_multiplier", |c, x| c.dry_multiplier = x),
            ("dry_base", |c, x| c.dry_base = x),
            ("xtc_probability", |c, x| c.xtc_probability = x),
            ("xtc_threshold", |c, x| c.xtc_threshold = x),
            ("mirostat_tau", |c, x| c.mirostat_tau = x),
            ("mirostat_eta", |c, x| c.mirostat_eta = x),
            ("adaptive_target", |c, x| c.adaptive_target = x),
            ("adaptive_decay", |c, x| c.adaptive_decay = x),
            ("logit_bias", |c, x| c.logit_bias = [(1, x)].to_vec()),
        ];
        for base in [LlamaCppConfig::default(), LlamaCppConfig::engine_defaults()] {
            for (key, set) in fields {
                for x in [f64::NAN, f64::INFINITY, 1e60] {
                    let mut config = base.clone();
                    set(&mut config, x);
                    let error = llama_cpp(&config, 100, None).expect_err(key);
                    assert_eq!(error.key(), key, "{x}: {error}");
                }
            }
        }
    }
}
