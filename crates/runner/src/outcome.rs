//! What a run yields: the object that `taper generate --format json` prints.

mod score;
mod tree;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taper_sampling::{GenerationConfig, Pipeline, TiePolicy};

pub use self::score::{Expectation, Score, ScoreTiming, ScoreTotals, TokenScore};
pub use self::tree::{BeamFate, BeamTreeNode};
use crate::drawn::{Drawn, KeptSet};
use crate::grammar::TextGrammar;
use crate::logits_dtype::LogitsDtype;
use crate::request::{OnError, SearchMode, tie_policy_name};
use crate::semantics::Semantics;

/// Everything about a finished, stopped or failed run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The model's name.
    pub model: String,
    /// The settings in effect.
    pub config: EffectiveConfig,
    /// The stages and the selector that they made, as [`pipeline_as_data`] has them.
    pub pipeline: Value,
    /// The prompt as the model reads it, special tokens included, if it is to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The prompt.
    pub prompt_tokens: Vec<u32>,
    /// What the model makes of each of the prompt's tokens, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_logprobs: Option<Vec<TokenScore>>,
    /// What was generated.
    pub sequences: Vec<SequenceOutcome>,
    /// What a beam search looked at, if a trace was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Vec<BeamTreeNode>>,
    /// What guessing at tokens came to, if there was any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speculation: Option<SpeculationReport>,
    /// How many tokens.
    pub usage: Usage,
    /// How long it took.
    pub timing: Timing,
    /// How much memory it took.
    pub memory: MemoryUse,
    /// The engine that computed the rows, if it was not this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Value>,
}

/// A pipeline as [`Pipeline::to_json`] writes it, but for what has no settings of its own, such as a
/// grammar or a forced prefix: of those the name alone.
pub fn pipeline_as_data(pipeline: &Pipeline) -> Value {
    if let Ok(whole) = serde_json::to_value(pipeline) {
        return whole;
    }
    let stages = pipeline.stages().iter().map(|stage| {
        let one = Pipeline::draw().then(stage.clone());
        let data = serde_json::to_value(one).ok().and_then(|list| list.get(0).cloned());
        data.unwrap_or_else(|| json!({"stage": stage.name()}))
    });
    let selector = serde_json::to_value(pipeline.selecting_alone());
    let selector = selector.ok().and_then(|list| list.get(0).cloned());
    let selector = selector.unwrap_or_else(|| json!({"select": pipeline.selector().name()}));
    stages.chain([selector]).collect()
}

/// What guessing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct SpeculationReport {
    /// Tokens that were guessed.
    pub proposed: usize,
    /// Guesses that were right.
    pub accepted: usize,
    /// Passes of the model after the prompt's.
    pub passes: usize,
}

/// The settings of a run after all sources were merged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EffectiveConfig {
    /// The user's settings, the model's, the defaults; those that the semantics has a config of
    /// its own for are there.
    #[serde(flatten)]
    pub generation: GenerationConfig,
    /// The seed, drawn if none was given.
    pub seed: u64,
    /// Whose order, gating and tie rules, with the settings that they alone know.
    #[serde(flatten)]
    pub semantics: Semantics,
    /// The policy that replaces those tie rules, if any.
    #[serde(serialize_with = "ties_by_name")]
    pub ties: Option<TiePolicy>,
    /// What happens when no token can be chosen.
    pub on_error: OnError,
    /// The precision that rows of logits were rounded to, if they were.
    #[serde(skip_serializing_if = "LogitsDtype::is_usual")]
    pub logits_dtype: LogitsDtype,
    /// Under guidance, the tokens that the second row of each sequence begins with.
    #[serde(rename = "negative_prompt_ids", skip_serializing_if = "Option::is_none")]
    pub guide: Option<Vec<u32>>,
    /// What the text is held to.
    #[serde(flatten)]
    pub grammar: Option<TextGrammar>,
    /// How beams search, if there are several.
    #[serde(skip_serializing_if = "SearchMode::is_usual")]
    pub search: SearchMode,
    /// How many sequences were drawn to return the best of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_of: Option<usize>,
    /// Tokens that every sequence has to begin with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forced_prefix: Vec<u32>,
}

impl EffectiveConfig {
    /// Sequences that are made, returned or not.
    pub(crate) fn streams(&self) -> usize {
        self.best_of.or(self.generation.num_return_sequences).unwrap_or(1)
    }

    /// Whether chance has a part in it.
    pub fn draws(&self) -> bool {
        self.semantics.draws(&self.generation)
    }
}

/// One generated sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SequenceOutcome {
    /// Its tokens after the prompt, the one that ended it included.
    pub tokens: Vec<u32>,
    /// Their text, special tokens left out; it ends before a stop string.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What beams are ranked by; of the best of several draws the mean log-probability under the
    /// model itself; otherwise `None`.
    pub score: Option<f64>,
    /// The probability with which a stochastic beam search has this sequence in its sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inclusion_probability: Option<f64>,
    /// What was reported of each token, if anything was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<StepReport>>,
}

/// Why a sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model said so, with one of the `eos_token_id`s.
    Eos,
    /// `max_new_tokens` or `max_length` was reached.
    Length,
    /// One of vLLM's `stop_token_ids` came up.
    StopToken,
    /// One of the `stop_strings` came up.
    StopString,
    /// The model can hold no more.
    ContextFull,
    /// An engine says that it stopped, and not whether at the end of the text or at a stop string.
    Stop,
    /// `max_time` was over.
    MaxTime,
    /// The caller stopped asking.
    Cancelled,
    /// The run failed.
    Error,
}

impl FinishReason {
    /// Its name in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Length => "length",
            Self::StopToken => "stop_token",
            Self::StopString => "stop_string",
            Self::ContextFull => "context_full",
            Self::Stop => "stop",
            Self::MaxTime => "max_time",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }
}

/// What is known of one chosen token. Numbers are `None` when they were not asked for, and when
/// the row had none (a NaN among the logits).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepReport {
    /// The token.
    pub token: u32,
    /// Its own text, as it stands within a text.
    pub text: String,
    /// Its log-probability (nats) under the model itself.
    pub logprob: Option<f64>,
    /// Its share of the distribution that the selector saw.
    pub probability: Option<f64>,
    /// Its place in the model's own order, from 1.
    pub rank: Option<usize>,
    /// How many tokens could have been chosen.
    pub kept: Option<usize>,
    /// The entropy (nats) of the model's own distribution.
    pub entropy: Option<f64>,
    /// The distribution that the token was chosen from.
    pub drawn: Option<Drawn>,
    /// All that could be drawn, if [`Ask::kept_tokens`](taper_sampling::Ask) asked for it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub kept_set: Option<KeptSet>,
    /// Where the token stood in the model's row and then after each stage, if a trace was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Option<usize>>,
    /// The model's own best tokens, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<TopToken>>,
    /// What each stage did, if a trace was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<StageReport>>,
    /// How often each token came up when the step was drawn again, most frequent first, if that was
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redraws: Option<Vec<Redraw>>,
    /// The error that [`OnError::Argmax`] passed over, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

/// One of the model's own best tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TopToken {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Its log-probability (nats) under the model itself.
    pub logprob: f64,
    /// Its share of what the selector saw, 0 when it was removed; `None` where nothing selects.
    pub probability: Option<f64>,
    /// The stage that removed or banned it, if one did.
    pub removed_by: Option<String>,
    /// Where it stood in the model's row and then after each stage, from 1, if a trace was asked for;
    /// `None` where it could not be chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Option<usize>>,
}

/// How often a token came up when its step was drawn again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Redraw {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// How often.
    pub count: usize,
}

/// What a stage did at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name.
    pub stage: String,
    /// Tokens that could be chosen before it.
    pub before: usize,
    /// Tokens that could be chosen after it.
    pub after: usize,
    /// The share of the mass it received that it removed, `0..=1`; `None` when there was no mass.
    pub removed_mass: Option<f64>,
    /// Equal scores that its boundary met.
    pub ties: usize,
    /// The scores that it changed without removing them, as a penalty does; `None` where it changed none,
    /// or all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// Scores that a stage changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Moved {
    /// How many.
    pub count: usize,
    /// Those that it changed most.
    pub tokens: Vec<MovedToken>,
}

/// A token whose score a stage changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MovedToken {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// What was added to its score.
    pub by: f64,
}

/// How many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// In the prompt.
    pub prompt_tokens: usize,
    /// Generated, all sequences together.
    pub completion_tokens: usize,
}

/// How long it took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Timing {
    /// Loading the model; `None` if the run did not load it.
    pub load_s: Option<f64>,
    /// The model's pass over the prompt.
    pub prefill_s: f64,
    /// The model's passes over generated tokens.
    pub decode_s: f64,
    /// Choosing tokens from logits.
    pub sampler_s: f64,
    /// Tokens that took a pass of the model after the prompt's, over the time of those passes and
    /// of the choices; `None` if there were none.
    pub tokens_per_s: Option<f64>,
}

/// How much memory it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryUse {
    /// The most that the process ever held in main memory; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// On the accelerator; `None` where it is not measured.
    pub device_bytes: Option<u64>,
    /// The model's state at the end of a beam search: what beams have in common counts once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<usize>,
}

impl MemoryUse {
    /// What the system says now.
    pub fn now() -> Self {
        Self { peak_rss_bytes: peak_rss_bytes(), device_bytes: None, state_bytes: None }
    }
}

/// Linux keeps the high-water mark of a process, in kB, in `/proc/self/status`.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn ties_by_name<S: serde::Serializer>(
    ties: &Option<TiePolicy>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    ties.map(tie_policy_name).serialize(serializer)
}
