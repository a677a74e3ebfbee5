//! The pipeline of Hugging Face transformers 5.23.

use alloc::string::{String, ToString};

use crate::candidates::MassRule;
use crate::generation_config::GenerationConfig;
use crate::pipeline::Pipeline;
use crate::selectors::{Draw, Greedy};
use crate::stages::{
    MinP, MinPError, NoRepeatNgram, NoRepeatNgramError, RepetitionPenalty, RepetitionPenaltyError,
    Temperature, TemperatureError, TopK, TopKError, TopP, TopPError,
};
use crate::ties::{ArgmaxTies, TiePolicy};

/// Why a [`GenerationConfig`] makes no pipeline.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// `temperature`.
    #[error(transparent)]
    Temperature(#[from] TemperatureError),
    /// `top_k`.
    #[error(transparent)]
    TopK(#[from] TopKError),
    /// `top_p`.
    #[error(transparent)]
    TopP(#[from] TopPError),
    /// `min_p`.
    #[error(transparent)]
    MinP(#[from] MinPError),
    /// `repetition_penalty`.
    #[error(transparent)]
    RepetitionPenalty(#[from] RepetitionPenaltyError),
    /// `no_repeat_ngram_size`.
    #[error(transparent)]
    NoRepeatNgram(#[from] NoRepeatNgramError),
    /// A setting that would change the tokens and is not implemented.
    #[error("{key} is {value}; that is not available yet, leave it out")]
    Unsupported {
        /// The setting.
        key: String,
        /// Its value, as JSON.
        value: String,
    },
}

impl PresetError {
    /// The setting that is to blame, under its name in the config.
    pub fn key(&self) -> &str {
        match self {
            Self::Temperature(_) => "temperature",
            Self::TopK(_) => "top_k",
            Self::TopP(_) => "top_p",
            Self::MinP(_) => "min_p",
            Self::RepetitionPenalty(_) => "repetition_penalty",
            Self::NoRepeatNgram(_) => "no_repeat_ngram_size",
            Self::Unsupported { key, .. } => key,
        }
    }
}

/// The pipeline that Hugging Face transformers 5.23 makes of a config on a CPU.
///
/// In this order, each left out where Hugging Face leaves it out or where it would do nothing:
/// `repetition_penalty`, `no_repeat_ngram`, and only with `do_sample`, `temperature`, `top_k`,
/// `top_p`, `min_p`. What the config leaves open has its
/// [class default](GenerationConfig::class_defaults); note that with `do_sample` alone that means
/// `top_k = 50`.
///
/// # Ties
///
/// With `ties: None`, Hugging Face's own: top-k keeps all equals of the `k`-th score, top-p the
/// highest ids among equals at its boundary, greedy search the lowest id. A policy given here
/// holds for every stage instead, and for the argmax too, where `KeepAll` has no meaning and
/// leaves the lowest id.
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
/// assert_eq!(pipeline.to_string(), "repetition_penalty → temperature → top_k → draw");
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
        Pipeline::selecting(Greedy { ties: argmax_ties(ties) })
    };
    if let Some(penalty) = config.repetition_penalty.filter(|&r| r != 1.0) {
        pipeline = pipeline.then(RepetitionPenalty::new(penalty)?);
    }
    if let Some(size) = config.no_repeat_ngram_size.filter(|&n| n > 0) {
        pipeline = pipeline.then(NoRepeatNgram::new(size)?);
    }
    if draws {
        pipeline = with_warpers(pipeline, &config, ties)?;
    }
    Ok(pipeline)
}

fn with_warpers(
    mut pipeline: Pipeline,
    config: &GenerationConfig,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    if let Some(temperature) = config.temperature.filter(|&t| t != 1.0) {
        pipeline = pipeline.then(Temperature::new(temperature)?);
    }
    if let Some(k) = config.top_k.filter(|&k| k > 0) {
        let ties = ties.unwrap_or(TiePolicy::KeepAll);
        pipeline = pipeline.then(TopK::new(k)?.ties(ties));
    }
    if let Some(p) = config.top_p.filter(|&p| p != 1.0) {
        let top_p = TopP::new(p)?.rule(MassRule::DropTail);
        pipeline = pipeline.then(top_p.ties(ties.unwrap_or(TiePolicy::HighestId)));
    }
    if let Some(min_p) = config.min_p.filter(|&p| p != 0.0) {
        pipeline = pipeline.then(MinP::new(min_p)?);
    }
    Ok(pipeline)
}

fn argmax_ties(ties: Option<TiePolicy>) -> ArgmaxTies {
    match ties {
        None | Some(TiePolicy::KeepAll | TiePolicy::LowestId) => ArgmaxTies::LowestId,
        Some(TiePolicy::HighestId) => ArgmaxTies::HighestId,
        Some(TiePolicy::Random) => ArgmaxTies::Random,
        Some(TiePolicy::Error) => ArgmaxTies::Error,
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
        if let Some(temperature) = self.temperature {
            Temperature::new(temperature)?;
        }
        if let Some(p) = self.top_p {
            TopP::new(p)?;
        }
        if let Some(min_p) = self.min_p {
            MinP::new(min_p)?;
        }
        if let Some(penalty) = self.repetition_penalty {
            RepetitionPenalty::new(penalty)?;
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
                "repetition_penalty → no_repeat_ngram → greedy",
            ),
            (r#"{"do_sample": true}"#, "top_k → draw"),
            (
                r#"{"do_sample": true, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}"#,
                "draw",
            ),
            (
                r#"{"do_sample": true, "min_p": 0.1, "top_p": 0.5, "top_k": 3, "temperature": 2, "repetition_penalty": 0.9}"#,
                "repetition_penalty → temperature → top_k → top_p → min_p → draw",
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
            (r#"{"num_beams": 2}"#, "num_beams"),
        ];
        for (json, key) in cases {
            let error = pipeline(json, None).expect_err(json);
            assert_eq!(error.key(), key);
            assert!(error.to_string().starts_with(key), "{error}");
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
