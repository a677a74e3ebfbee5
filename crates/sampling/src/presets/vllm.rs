//! The sampler of vLLM.

use alloc::vec::Vec;

use super::{PresetError, VllmWatermark};
use crate::candidates::MassRule;
use crate::pipeline::Pipeline;
use crate::selectors::{Draw, Greedy};
use crate::sequence::Window;
use crate::stages::{
    AllowedTokens, BadWords, LogitBias, MinNewTokens, MinP, OccurrencePenalty, RepetitionPenalty,
    Temperature, TopK, TopP,
};
use crate::ties::TiePolicy;

/// vLLM's sampling settings, under its names; the [`Default`] is vLLM's.
///
/// Words are given as tokens, since this crate has no tokenizer; vLLM bans a word both with and
/// without a space before it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct VllmConfig {
    /// Divides the scores, `0..=2`; 0 is greedy, and what is above it but below 0.01 counts as
    /// 0.01.
    pub temperature: f64,
    /// How many of the best tokens to keep; 0 and −1 are off.
    pub top_k: i64,
    /// The share of the mass to keep, above 0 and at most 1; 1 is off.
    pub top_p: f64,
    /// How likely a token must be next to the best one, `0..=1`; 0 is off.
    pub min_p: f64,
    /// Above 0 and finite; 1 is off. Over prompt and output.
    pub repetition_penalty: f64,
    /// `-2..=2`, per occurrence in the output; 0 is off.
    pub frequency_penalty: f64,
    /// `-2..=2`, once for what is in the output; 0 is off.
    pub presence_penalty: f64,
    /// The only tokens that may appear; `None` for all.
    pub allowed_token_ids: Option<Vec<u32>>,
    /// Sequences that must not appear in the output.
    pub bad_words: Vec<Vec<u32>>,
    /// Tokens with what is added to their score, limited to `-100..=100`.
    pub logit_bias: Vec<(u32, f64)>,
    /// Fewest tokens to generate.
    pub min_tokens: usize,
    /// The tokens that [`min_tokens`](Self::min_tokens) holds back: stop tokens, and the model's EOS
    /// tokens unless they are ignored.
    pub stop_token_ids: Vec<u32>,
    /// How to mark what is drawn: a setting of vLLM's server, and not of one request.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub watermark_config: Option<VllmWatermark>,
}

impl Default for VllmConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            allowed_token_ids: None,
            bad_words: Vec::new(),
            logit_bias: Vec::new(),
            min_tokens: 0,
            stop_token_ids: Vec::new(),
            watermark_config: None,
        }
    }
}

/// The pipeline of vLLM 0.33's V1 runner on a CPU, for one request.
///
/// In this order, each left out where it would do nothing: `allowed_tokens`, `bad_words`,
/// `min_new_tokens`, `logit_bias`, `repetition_penalty`, `frequency_penalty`, `presence_penalty`;
/// and only where the temperature is not 0, `temperature`, `min_p`, `top_k`, `top_p`. Min-p comes
/// before the other cuts, which no other engine does.
///
/// # Ties
///
/// With `ties: None`, those of its code for the CPU: top-k keeps all equals of the `k`-th score,
/// top-p the highest ids among equals at its boundary, and greedy search takes the lowest id. For
/// top-p that is what a stable sort gives; torch's is not stable for rows of more than 16 logits, so
/// which of the equals vLLM keeps there is open, while how many is not. On a GPU it keeps other
/// sets, and which depends on the rest of the batch. A policy given here holds for every stage and
/// for the argmax instead.
///
/// # Differences
///
/// vLLM draws by a race of exponentials; here the selector is [`Draw`], which has the same
/// distribution and other numbers. Its second runner (MRV2) bans bad words after the penalties.
/// Under a grammar vLLM lets a stop token through before `min_tokens` where nothing else is left;
/// here that is an error. At temperature 0 nothing is marked, as there.
///
/// # Errors
///
/// What vLLM refuses: a setting out of its range, and ids outside the vocabulary in
/// `allowed_token_ids` and `logit_bias`.
///
/// # Example
///
/// ```
/// use taper_sampling::presets::{VllmConfig, vllm};
///
/// let config = VllmConfig { temperature: 0.7, top_p: 0.9, min_p: 0.05, ..VllmConfig::default() };
/// let pipeline = vllm(&config, 32_000, None)?;
/// assert_eq!(pipeline.to_string(), "temperature 0.7 → min_p 0.05 → top_p 0.9 → draw");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn vllm(
    config: &VllmConfig,
    vocab_size: usize,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    config.validate()?;
    if config.temperature == 0.0 {
        let pipeline = Pipeline::selecting(Greedy { ties: super::argmax_ties(ties) });
        return with_edits(pipeline, config, vocab_size);
    }
    let drawn = match &config.watermark_config {
        Some(watermark) => Pipeline::selecting(watermark.selector()?),
        None => Pipeline::selecting(Draw),
    };
    let pipeline = with_edits(drawn, config, vocab_size)?;
    with_cuts(pipeline, config, ties)
}

fn with_edits(
    mut pipeline: Pipeline,
    config: &VllmConfig,
    vocab_size: usize,
) -> Result<Pipeline, PresetError> {
    if let Some(ids) = &config.allowed_token_ids {
        let allowed = AllowedTokens::new(ids, vocab_size);
        pipeline = pipeline.then(allowed.map_err(|refused| refused.called("allowed_token_ids"))?);
    }
    if !config.bad_words.is_empty() {
        let words = BadWords::new(config.bad_words.iter().cloned())?;
        pipeline = pipeline.then(words.window(Window::GENERATED));
    }
    if config.min_tokens > 0 && !config.stop_token_ids.is_empty() {
        pipeline = pipeline.then(MinNewTokens::new(config.min_tokens, &config.stop_token_ids)?);
    }
    if !config.logit_bias.is_empty() {
        let limited = config.logit_bias.iter().map(|&(id, bias)| (id, bias.clamp(-100.0, 100.0)));
        pipeline = pipeline.then(LogitBias::new(limited)?);
        if let Some(&(id, _)) = config.logit_bias.iter().find(|(id, _)| *id as usize >= vocab_size)
        {
            return Err(PresetError::UnknownToken { key: "logit_bias", id, vocab_size });
        }
    }
    if config.repetition_penalty != 1.0 {
        pipeline =
            pipeline.then(RepetitionPenalty::new(config.repetition_penalty)?.reciprocal(true));
    }
    // One after the other: each subtraction rounds.
    if config.frequency_penalty != 0.0 {
        pipeline = pipeline.then(OccurrencePenalty::new(config.frequency_penalty, 0.0)?);
    }
    if config.presence_penalty != 0.0 {
        pipeline = pipeline.then(OccurrencePenalty::new(0.0, config.presence_penalty)?);
    }
    Ok(pipeline)
}

fn with_cuts(
    mut pipeline: Pipeline,
    config: &VllmConfig,
    ties: Option<TiePolicy>,
) -> Result<Pipeline, PresetError> {
    if config.temperature != 1.0 {
        pipeline = pipeline.then(Temperature::new(config.temperature.max(LOWEST_TEMPERATURE))?);
    }
    if config.min_p > 0.0 {
        pipeline = pipeline.then(MinP::new(config.min_p)?);
    }
    if config.top_k > 0 {
        let k = usize::try_from(config.top_k).unwrap_or(usize::MAX);
        pipeline = pipeline.then(TopK::new(k)?.ties(ties.unwrap_or(TiePolicy::KeepAll)));
    }
    if config.top_p < 1.0 {
        // It is rounded to single precision before it is taken from 1.
        let top_p = TopP::new(f64::from(config.top_p as f32))?.rule(MassRule::DropTail);
        pipeline = pipeline.then(top_p.ties(ties.unwrap_or(TiePolicy::HighestId)));
    }
    Ok(pipeline)
}

/// vLLM raises lower temperatures to this one.
const LOWEST_TEMPERATURE: f64 = 0.01;

impl VllmConfig {
    /// Checks every number that is limited, whether or not it would have an effect.
    ///
    /// # Errors
    ///
    /// The first that vLLM refuses.
    pub fn validate(&self) -> Result<(), PresetError> {
        let checks: [(&'static str, f64, bool, &'static str); 7] = [
            (
                "presence_penalty",
                self.presence_penalty,
                (-2.0..=2.0).contains(&self.presence_penalty),
                "in -2..=2",
            ),
            (
                "frequency_penalty",
                self.frequency_penalty,
                (-2.0..=2.0).contains(&self.frequency_penalty),
                "in -2..=2",
            ),
            (
                "repetition_penalty",
                self.repetition_penalty,
                self.repetition_penalty > 0.0 && self.repetition_penalty < f64::INFINITY,
                "above 0 and finite",
            ),
            ("temperature", self.temperature, (0.0..=2.0).contains(&self.temperature), "in 0..=2"),
            ("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "above 0 and at most 1"),
            ("top_k", self.top_k as f64, self.top_k >= -1, "at least 1, or 0 or -1 for off"),
            ("min_p", self.min_p, (0.0..=1.0).contains(&self.min_p), "in 0..=1"),
        ];
        match checks.into_iter().find(|&(_, _, ok, _)| !ok) {
            None => Ok(()),
            Some((key, value, _, domain)) => Err(PresetError::OutOfRange { key, value, domain }),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::{DrawKey, History, Step, Workspace};

    fn everything() -> VllmConfig {
        VllmConfig {
            temperature: 0.5,
            top_k: 3,
            top_p: 0.9,
            min_p: 0.1,
            repetition_penalty: 1.1,
            frequency_penalty: 0.5,
            presence_penalty: -0.5,
            allowed_token_ids: Some(vec![0, 1, 2, 3, 4]),
            bad_words: vec![vec![1, 2]],
            logit_bias: vec![(3, 500.0)],
            min_tokens: 2,
            stop_token_ids: vec![4],
            watermark_config: None,
        }
    }

    #[test]
    fn stages_are_there_where_vllm_has_them() {
        let edits = "allowed_tokens 8 → bad_words → min_new_tokens 2 → logit_bias → \
                     repetition_penalty 1.1 → frequency_penalty 0.5 → presence_penalty -0.5 → ";
        let full = vllm(&everything(), 8, None).expect("valid").to_string();
        assert_eq!(
            full,
            [edits, "temperature 0.5 → min_p 0.1 → top_k 3 → top_p 0.9 → draw"].concat()
        );
        let greedy = VllmConfig { temperature: 0.0, ..everything() };
        let greedy = vllm(&greedy, 8, None).expect("valid").to_string();
        assert_eq!(greedy, [edits, "greedy"].concat());
        let bare = vllm(&VllmConfig::default(), 8, None).expect("valid");
        assert_eq!(bare.to_string(), "draw");
        let off = VllmConfig { top_k: -1, min_tokens: 3, ..VllmConfig::default() };
        assert_eq!(vllm(&off, 8, None).expect("valid").to_string(), "draw");
    }

    #[test]
    fn scores_are_those_of_its_formulas() {
        let config = VllmConfig { temperature: 0.0, min_tokens: 9, ..everything() };
        let mut history = History::new(&[1, 3]);
        history.accept(1);
        history.accept(1);
        let step = Step::new(DrawKey::new(0)).history(&history);
        let pipeline = vllm(&config, 6, None).expect("valid");
        let mut workspace = Workspace::new(6);
        let row = [0.5, 2.0, 9.0, -250.0, 9.0, 9.0];
        let got = pipeline.process(&row, &step, &mut workspace).expect("finite");
        let reciprocal = 1.0 / 1.1_f32;
        assert_eq!(got.get(0), Some(0.5));
        assert_eq!(got.get(1), Some(2.0 * reciprocal - 2.0 * 0.5 + 0.5));
        assert_eq!(got.get(3), Some(-150.0 * 1.1_f32), "the bias is limited to 100");
        for banned in [2, 4, 5] {
            assert_eq!(got.get(banned), Some(f32::NEG_INFINITY), "{banned}");
        }
    }

    #[test]
    fn a_bad_word_begins_in_the_output() {
        let config = VllmConfig { bad_words: vec![vec![1, 2]], ..VllmConfig::default() };
        let pipeline = vllm(&config, 3, None).expect("valid");
        let banned = |history: &History| {
            let step = Step::new(DrawKey::new(0)).history(history);
            let mut workspace = Workspace::new(3);
            let left = pipeline.process(&[0.0; 3], &step, &mut workspace).expect("finite");
            left.get(2) == Some(f32::NEG_INFINITY)
        };
        let mut history = History::new(&[1]);
        assert!(!banned(&history));
        history.accept(1);
        assert!(banned(&history));
    }

    #[test]
    fn no_number_may_be_none() {
        type Set = fn(&mut VllmConfig, f64);
        let fields: [(&str, Set); 7] = [
            ("temperature", |c, x| c.temperature = x),
            ("top_p", |c, x| c.top_p = x),
            ("min_p", |c, x| c.min_p = x),
            ("repetition_penalty", |c, x| c.repetition_penalty = x),
            ("frequency_penalty", |c, x| c.frequency_penalty = x),
            ("presence_penalty", |c, x| c.presence_penalty = x),
            ("logit_bias", |c, x| c.logit_bias = vec![(1, x)]),
        ];
        for (key, set) in fields {
            // vLLM limits a bias to 100, an infinite one too.
            let infinite = (key != "logit_bias").then_some(f64::INFINITY);
            for x in [Some(f64::NAN), infinite].into_iter().flatten() {
                let mut config = VllmConfig::default();
                set(&mut config, x);
                let error = vllm(&config, 8, None).expect_err(key);
                assert_eq!(error.key(), key, "{x}: {error}");
            }
        }
    }

    #[test]
    fn values_out_of_its_range_are_refused() {
        let change = |f: fn(&mut VllmConfig)| {
            let mut config = VllmConfig::default();
            f(&mut config);
            vllm(&config, 8, None).expect_err("must be refused")
        };
        let cases = [
            (change(|c| c.temperature = 2.5), "temperature is 2.5; it must be in 0..=2"),
            (change(|c| c.temperature = f64::NAN), "temperature is NaN; it must be in 0..=2"),
            (change(|c| c.top_p = 0.0), "top_p is 0; it must be above 0 and at most 1"),
            (change(|c| c.top_k = -2), "top_k is -2; it must be at least 1, or 0 or -1 for off"),
            (change(|c| c.min_p = -0.1), "min_p is -0.1; it must be in 0..=1"),
            (
                change(|c| c.repetition_penalty = 0.0),
                "repetition_penalty is 0; it must be above 0 and finite",
            ),
            (change(|c| c.frequency_penalty = 3.0), "frequency_penalty is 3; it must be in -2..=2"),
            (change(|c| c.presence_penalty = -3.0), "presence_penalty is -3; it must be in -2..=2"),
            (
                change(|c| c.allowed_token_ids = Some(vec![8])),
                "allowed_token_ids[0] is 8; it must be below 8, the size of the vocabulary",
            ),
            (
                change(|c| c.logit_bias = vec![(8, 1.0)]),
                "logit_bias names token 8; the vocabulary has 8",
            ),
        ];
        for (error, want) in cases {
            assert_eq!(error.to_string(), want);
            assert!(!error.key().is_empty());
        }
    }
}
