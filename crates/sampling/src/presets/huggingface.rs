//! The pipeline of Hugging Face transformers 5.23.

use alloc::string::ToString;

use super::{PresetError, WatermarkingConfig};
use crate::candidates::MassRule;
use crate::generation_config::GenerationConfig;
use crate::pipeline::Pipeline;
use crate::selectors::{Draw, Greedy};
use crate::stages::{
    BadWords, BeginSuppressTokens, ClassifierFreeGuidance, EpsilonCutoff, EtaCutoff,
    ExponentialDecay, ForcedBos, ForcedEos, LengthLimit, MinLength, MinNewTokens, MinP,
    NoRepeatNgram, RemoveInvalidValues, Renormalize, RepetitionPenalty, SequenceBias,
    SuppressTokens, Temperature, TopH, TopK, TopP, Typical,
};
use crate::ties::TiePolicy;

/// The pipeline that Hugging Face transformers 5.23 makes of a config on a CPU.
///
/// In this order, each left out where Hugging Face leaves it out or where it would do nothing:
/// `classifier_free_guidance`, `sequence_bias`, `repetition_penalty`, `no_repeat_ngram`, `bad_words`,
/// `min_length` or `min_new_tokens`, `forced_bos`, `forced_eos`, `remove_invalid_values`,
/// `exponential_decay_length_penalty`, `suppress_tokens`, `begin_suppress_tokens`; then, only with
/// `do_sample`, `temperature`, `top_h`, `top_k`, `top_p`, `min_p`, `typical`, `epsilon_cutoff`,
/// `eta_cutoff`; the watermark; and `renormalize`. What the config leaves open has its
/// [class default](GenerationConfig::class_defaults); note that with `do_sample` alone that means
/// `top_k = 50`.
///
/// What depends on the position (minimum lengths, forced tokens) reads it off the
/// [`History`](crate::History) of the step, whose prompt must be the prompt.
///
/// # Beams
///
/// `num_beams > 1` has one effect here: the cuts other than top-h keep at least one token more
/// than there are EOS tokens. The pipeline is then for rows of log-probabilities, and its
/// scores ([`Pipeline::process`]) are what a search adds up; it does not search.
///
/// # Ties
///
/// With `ties: None`, Hugging Face's own: top-k and typical keep all equals, top-p and top-h the
/// highest ids among equals at their boundary (of more than 16 logits torch's sort is not stable,
/// and which equals stay is open there), greedy search the lowest id. A policy given here
/// holds for every stage instead, and for the argmax too, where `KeepAll` has no meaning and
/// leaves the lowest id.
///
/// # Differences
///
/// Where Hugging Face raises an exception there is an error here, except that an empty
/// `sequence_bias` or `bad_words_ids` is off, and that a power of the decay beyond `f64` is refused
/// at the step. There is one too where Hugging Face leaves out a `typical_p`, `epsilon_cutoff` or
/// `eta_cutoff` that is outside its range. Ids outside the vocabulary are refused at the step that
/// uses them; Hugging Face passes over some. `min_new_tokens` takes the place of `min_length`, of
/// which Hugging Face makes a second stage with the same effect. Without any limit on length,
/// `forced_eos_token_id` counts with 20 new tokens, as there.
///
/// # Errors
///
/// A value out of its range, also after rounding to `f32`, and a setting that is not implemented.
/// Values that have no effect (a warper's without `do_sample`) are not looked at; use
/// [`GenerationConfig::validate`] for those.
///
/// # Example
///
/// ```
/// use taper_sampling::{GenerationConfig, presets};
///
/// let config: GenerationConfig =
///     serde_json::from_str(r#"{"do_sample": true, "temperature": 0.7, "repetition_penalty": 1.1}"#)?;
/// let pipeline = presets::huggingface(&config, None)?;
/// assert_eq!(pipeline.to_string(), "repetition_penalty 1.1 → temperature 0.7 → top_k 50 → draw");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn huggingface(
    config: &GenerationConfig,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    config.check_supported()?;
    let config = config.clone().or(GenerationConfig::class_defaults());
    let draws = config.do_sample == Some(true);
    let mut pipeline = if draws {
        Pipeline::selecting(Draw)
    } else {
        Pipeline::selecting(Greedy { ties: super::argmax_ties(ties) })
    };
    pipeline = with_penalties(pipeline, &config)?;
    pipeline = with_lengths(pipeline, &config)?;
    pipeline = with_late_edits(pipeline, &config)?;
    if draws {
        pipeline = with_shape(pipeline, &config, ties)?;
        pipeline = with_cutoffs(pipeline, &config, ties)?;
    }
    if let Some(watermark) = &config.watermarking_config {
        pipeline.push(watermark.stage()?);
    }
    if config.renormalize_logits == Some(true) {
        pipeline = pipeline.then(Renormalize);
    }
    Ok(pipeline)
}

fn with_penalties(
    mut pipeline: Pipeline,
    config: &GenerationConfig,
) -> Result<Pipeline, PresetError> {
    if let Some(scale) = config.guidance_scale.filter(|&scale| scale != 1.0) {
        pipeline = pipeline.then(ClassifierFreeGuidance::new(scale)?);
    }
    if let Some(biases) = config.sequence_bias.as_ref().filter(|list| !list.is_empty()) {
        pipeline = pipeline.then(SequenceBias::new(biases.iter().cloned())?);
    }
    if let Some(penalty) = config.repetition_penalty.filter(|&r| r != 1.0) {
        pipeline = pipeline.then(RepetitionPenalty::new(penalty)?);
    }
    if let Some(size) = config.no_repeat_ngram_size.filter(|&n| n > 0) {
        pipeline = pipeline.then(NoRepeatNgram::new(size)?);
    }
    if let Some(words) = config.bad_words_ids.as_ref().filter(|list| !list.is_empty()) {
        let words = BadWords::new(words.iter().cloned());
        let words = words.map_err(|refused| refused.called("bad_words_ids"))?;
        pipeline = pipeline.then(words.except(config.eos_ids()));
    }
    Ok(pipeline)
}

fn with_lengths(
    mut pipeline: Pipeline,
    config: &GenerationConfig,
) -> Result<Pipeline, PresetError> {
    let eos = config.eos_ids();
    match (config.min_new_tokens, config.min_length) {
        _ if eos.is_empty() => {}
        (Some(0), _) | (None, Some(0) | None) => {}
        (Some(tokens), _) => pipeline = pipeline.then(MinNewTokens::new(tokens, eos)?),
        (None, Some(tokens)) => pipeline = pipeline.then(MinLength::new(tokens, eos)?),
    }
    if let Some(id) = config.forced_bos_token_id {
        pipeline = pipeline.then(ForcedBos::new(id));
    }
    if let Some(ids) = &config.forced_eos_token_id {
        pipeline = pipeline.then(ForcedEos::new(ids.as_slice(), length_limit(config))?);
    }
    Ok(pipeline)
}

fn length_limit(config: &GenerationConfig) -> LengthLimit {
    match (config.max_new_tokens, config.max_length) {
        (Some(tokens), _) => LengthLimit::New(tokens),
        (None, Some(tokens)) => LengthLimit::Total(tokens),
        (None, None) => LengthLimit::New(20),
    }
}

fn with_late_edits(
    mut pipeline: Pipeline,
    config: &GenerationConfig,
) -> Result<Pipeline, PresetError> {
    if config.remove_invalid_values == Some(true) {
        pipeline = pipeline.then(RemoveInvalidValues);
    }
    if let Some((start, factor)) = config.exponential_decay_length_penalty {
        pipeline = pipeline.then(ExponentialDecay::new(start, factor, config.eos_ids())?);
    }
    if let Some(ids) = config.suppress_tokens.as_ref().filter(|list| !list.is_empty()) {
        pipeline = pipeline.then(SuppressTokens::new(ids));
    }
    if let Some(ids) = config.begin_suppress_tokens.as_ref().filter(|list| !list.is_empty()) {
        let shifted = config.forced_bos_token_id.is_some();
        pipeline = pipeline.then(BeginSuppressTokens::new(ids).after_forced_bos(shifted));
    }
    Ok(pipeline)
}

fn with_shape(
    mut pipeline: Pipeline,
    config: &GenerationConfig,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    let at_least = min_tokens_to_keep(config);
    if let Some(temperature) = config.temperature.filter(|&t| t != 1.0) {
        pipeline = pipeline.then(Temperature::new(temperature)?);
    }
    if let Some(share) = config.top_h {
        pipeline = pipeline.then(TopH::new(share)?.ties(ties.unwrap_or(TiePolicy::HighestId)));
    }
    if let Some(k) = config.top_k.filter(|&k| k > 0) {
        let ties = ties.unwrap_or(TiePolicy::KeepAll);
        pipeline = pipeline.then(TopK::new(k)?.ties(ties).min_tokens_to_keep(at_least));
    }
    if let Some(p) = config.top_p.filter(|&p| p != 1.0) {
        let top_p = TopP::new(p)?.rule(MassRule::DropTail).min_tokens_to_keep(at_least);
        pipeline = pipeline.then(top_p.ties(ties.unwrap_or(TiePolicy::HighestId)));
    }
    if let Some(min_p) = config.min_p.filter(|&p| p != 0.0) {
        pipeline = pipeline.then(MinP::new(min_p)?.min_tokens_to_keep(at_least));
    }
    Ok(pipeline)
}

fn with_cutoffs(
    mut pipeline: Pipeline,
    config: &GenerationConfig,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    let at_least = min_tokens_to_keep(config);
    if let Some(p) = config.typical_p.filter(|&p| p != 1.0) {
        if !(p > 0.0 && p < 1.0) {
            // The stage, and llama.cpp, take 0 for the candidate nearest to the mean.
            let domain = "above 0 and at most 1";
            return Err(PresetError::OutOfRange { key: "typical_p", value: p, domain });
        }
        let typical = Typical::new(p)?.rule(MassRule::Reach).min_tokens_to_keep(at_least);
        pipeline = pipeline.then(typical.ties(ties.unwrap_or(TiePolicy::KeepAll)));
    }
    if let Some(epsilon) = config.epsilon_cutoff.filter(|&e| e != 0.0) {
        pipeline = pipeline.then(EpsilonCutoff::new(epsilon)?.min_tokens_to_keep(at_least));
    }
    if let Some(epsilon) = config.eta_cutoff.filter(|&e| e != 0.0) {
        pipeline = pipeline.then(EtaCutoff::new(epsilon)?.min_tokens_to_keep(at_least));
    }
    Ok(pipeline)
}

/// Beams need a token besides the EOS tokens to go on with.
fn min_tokens_to_keep(config: &GenerationConfig) -> usize {
    if config.num_beams.unwrap_or(1) > 1 {
        config.eos_token_id.as_ref().map_or(1, |eos| eos.as_slice().len()) + 1
    } else {
        1
    }
}

impl GenerationConfig {
    /// Checks every value that is set, whether or not it would have an effect.
    ///
    /// # Errors
    ///
    /// The first value that a stage refuses, or a setting that is not implemented.
    pub fn validate(&self) -> Result<(), PresetError> {
        self.check_supported()?;
        let every = Self { do_sample: Some(true), ..self.clone() };
        with_penalties(Pipeline::draw(), &every)?;
        with_lengths(Pipeline::draw(), &every)?;
        with_late_edits(Pipeline::draw(), &every)?;
        with_shape(Pipeline::draw(), &every, None)?;
        with_cutoffs(Pipeline::draw(), &every, None)?;
        every.watermarking_config.as_ref().map(WatermarkingConfig::stage).transpose()?;
        self.check_numbers()
    }

    /// The numbers that no stage looks at.
    fn check_numbers(&self) -> Result<(), PresetError> {
        let diversity = ("diversity_penalty", self.diversity_penalty, 0.0, "at least 0 and finite");
        let length = ("length_penalty", self.length_penalty, f64::MIN, "finite");
        let least = f64::MIN_POSITIVE;
        let time = ("max_time", self.max_time, least, "above 0 and finite (in seconds)");
        for (key, value, least, domain) in [diversity, length, time] {
            let refused = |&x: &f64| !(x >= least && (x as f32).is_finite());
            if let Some(value) = value.filter(refused) {
                return Err(PresetError::OutOfRange { key, value, domain });
            }
        }
        Ok(())
    }

    fn check_supported(&self) -> Result<(), PresetError> {
        match self.unsupported() {
            None => Ok(()),
            Some((key, value)) => {
                Err(PresetError::Unsupported { key: key.to_string(), value: value.to_string() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn pipeline(json: &str, ties: Option<TiePolicy>) -> Result<Pipeline, PresetError> {
        huggingface(&serde_json::from_str(json).expect("a config"), ties)
    }

    #[test]
    fn stages_are_there_where_hugging_face_has_them() {
        let cases = [
            ("{}", "greedy"),
            (r#"{"temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.1}"#, "greedy"),
            (
                r#"{"repetition_penalty": 1.2, "no_repeat_ngram_size": 2}"#,
                "repetition_penalty 1.2 → no_repeat_ngram 2 → greedy",
            ),
            (r#"{"do_sample": true}"#, "top_k 50 → draw"),
            (
                r#"{"do_sample": true, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}"#,
                "draw",
            ),
            (
                r#"{"do_sample": true, "min_p": 0.1, "top_p": 0.5, "top_k": 3, "temperature": 2, "repetition_penalty": 0.9}"#,
                "repetition_penalty 0.9 → temperature 2.0 → top_k 3 → top_p 0.5 → min_p 0.1 → draw",
            ),
        ];
        for (json, stages) in cases {
            assert_eq!(pipeline(json, None).expect(json).to_string(), stages, "{json}");
        }
    }

    #[test]
    fn values_are_checked_where_they_count() {
        let zero = r#"{"temperature": 1e-60}"#;
        assert!(pipeline(zero, None).is_ok(), "greedy search has no temperature");
        let config: GenerationConfig = serde_json::from_str(zero).expect("a config");
        let refused = config.validate().expect_err(zero);
        assert_eq!(refused.key(), "temperature", "it is 0 as an f32");
        let cases = [
            (r#"{"do_sample": true, "temperature": 1e-60}"#, "temperature"),
            (r#"{"do_sample": true, "top_p": 1.5}"#, "top_p"),
            (r#"{"do_sample": true, "min_p": -0.1}"#, "min_p"),
            (r#"{"repetition_penalty": 0}"#, "repetition_penalty"),
            (r#"{"do_sample": true, "typical_p": 0}"#, "typical_p"),
            (r#"{"typical_p": 0.9, "do_sample": true, "eta_cutoff": 2}"#, "eta_cutoff"),
            (
                r#"{"exponential_decay_length_penalty": [1, 1.5]}"#,
                "exponential_decay_length_penalty",
            ),
            (r#"{"forced_eos_token_id": []}"#, "forced_eos_token_id"),
            (r#"{"penalty_alpha": 0.5}"#, "penalty_alpha"),
        ];
        for (json, key) in cases {
            let error = pipeline(json, None).expect_err(json);
            assert_eq!(error.key(), key);
            assert!(error.to_string().starts_with(key), "{error}");
        }
    }

    #[test]
    fn no_number_may_be_none() {
        type Set = fn(&mut GenerationConfig, f64);
        let fields: [(&str, Set); 16] = [
            ("temperature", |c, x| c.temperature = Some(x)),
            ("top_p", |c, x| c.top_p = Some(x)),
            ("min_p", |c, x| c.min_p = Some(x)),
            ("typical_p", |c, x| c.typical_p = Some(x)),
            ("epsilon_cutoff", |c, x| c.epsilon_cutoff = Some(x)),
            ("eta_cutoff", |c, x| c.eta_cutoff = Some(x)),
            ("top_h", |c, x| c.top_h = Some(x)),
            ("repetition_penalty", |c, x| c.repetition_penalty = Some(x)),
            ("guidance_scale", |c, x| c.guidance_scale = Some(x)),
            ("diversity_penalty", |c, x| c.diversity_penalty = Some(x)),
            ("length_penalty", |c, x| c.length_penalty = Some(x)),
            ("max_time", |c, x| c.max_time = Some(x)),
            ("sequence_bias", |c, x| c.sequence_bias = Some([([1].to_vec(), x)].to_vec())),
            ("exponential_decay_length_penalty", |c, x| {
                c.exponential_decay_length_penalty = Some((3, x));
                c.eos_token_id = Some(crate::OneOrMany::One(2));
            }),
            ("max_time", |c, x| c.max_time = Some(-x.abs())),
            ("diversity_penalty", |c, x| c.diversity_penalty = Some(-x.abs())),
        ];
        for (key, set) in fields {
            for x in [f64::NAN, f64::INFINITY] {
                let mut config = GenerationConfig::default();
                set(&mut config, x);
                let error = config.validate().expect_err(key);
                assert_eq!(error.key(), key, "{x}: {error}");
            }
        }
    }

    #[test]
    fn a_policy_given_holds_for_the_stages_and_the_argmax() {
        let own = pipeline(r#"{"do_sample": true, "top_p": 0.5}"#, None).expect("a pipeline");
        let ties: alloc::vec::Vec<_> =
            own.stages().iter().map(|stage| alloc::format!("{stage:?}")).collect();
        assert!(ties[0].contains("KeepAll") && ties[1].contains("HighestId"), "{ties:?}");
        let given = pipeline(r#"{"do_sample": true, "top_p": 0.5}"#, Some(TiePolicy::Random))
            .expect("a pipeline");
        assert!(given.stages().iter().all(|stage| alloc::format!("{stage:?}").contains("Random")));
        let greedy = pipeline("{}", Some(TiePolicy::HighestId)).expect("a pipeline");
        assert!(alloc::format!("{:?}", greedy.selector()).contains("HighestId"));
        let keep_all = pipeline("{}", Some(TiePolicy::KeepAll)).expect("a pipeline");
        assert!(alloc::format!("{:?}", keep_all.selector()).contains("LowestId"));
    }
}
