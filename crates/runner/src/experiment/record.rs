//! One run of an experiment, with everything needed to repeat it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::manifest::{ModelId, Versions};
use super::summary::{METRICS, metrics};
use crate::drawn::{Drawn, KeptSets};
use crate::outcome::{BeamTreeNode, FinishReason, Redraw, StageReport, StepReport, Timing};

/// Which run of an experiment. The order of ids is the canonical order of records: by prompt, then
/// setting, then seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// Index into the prompts of the [`Manifest`](super::Manifest), from 0.
    pub prompt: usize,
    /// Index into its settings, from 0.
    pub setting: usize,
    /// Index into its seeds, from 0.
    pub seed: usize,
}

/// One run: a line of `records.jsonl`.
///
/// But for [`timing`](Self::timing) it is a function of the spec, the model and the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Which run.
    pub id: RunId,
    /// The label of its setting.
    pub label: String,
    /// The knobs of its setting, without those that all settings have in common.
    pub knobs: Map<String, Value>,
    /// Whether it is the greedy control that the others are held against.
    pub control: bool,
    /// What the prompt is called, or its text.
    pub prompt: String,
    /// The prompt; empty, and null in the file, where an engine does not tell it.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub prompt_tokens: Vec<u32>,
    /// The seed that names its randomness.
    pub seed: u64,
    /// The model.
    pub model: ModelId,
    /// The engine that made it, with what it says of itself and of the settings in effect; null for a
    /// run made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Value>,
    /// What made the record.
    pub versions: Versions,
    /// All settings in effect, as `taper generate --format json` prints them.
    pub config: Map<String, Value>,
    /// The stages and the selector with their settings; null in a record of before there were any.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub pipeline: Value,
    /// The tokens after the prompt, the one that ended the text included; empty, and null in the file,
    /// where an engine does not tell them.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub tokens: Vec<u32>,
    /// Their text, special tokens left out; it ends before a stop string.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What went wrong, if the run failed; the tokens are those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What beams are ranked by; `None` without beams.
    pub score: Option<f64>,
    /// One for each token. After a beam search those of the best beam, without what a search does not
    /// have: probabilities, kept sets and stages.
    pub steps: Vec<StepRecord>,
    /// What is kept of steps that were left out, as by `taper sweep --no-steps`; [`steps`](Self::steps)
    /// is then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_left_out: Option<StepsLeftOut>,
    /// The tokens that could be drawn at each step, if the spec's `kept_ids` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_sets: Option<KeptSets>,
    /// What a beam search looked at, if a trace was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Vec<BeamTreeNode>>,
    /// How long it took. Runs of the same time share the machine.
    pub timing: Timing,
}

/// What a summary needs of steps that are not in a record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepsLeftOut {
    /// How many there were.
    pub steps: usize,
    /// How few and how many tokens could be chosen, over all of them; `None` where that is not known.
    pub kept: Option<(usize, usize)>,
    /// The [`METRICS`](super::METRICS) that the run has, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// What is known of one token of a run. A number is `None` where the row of logits had none, as
/// with a NaN among them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepRecord {
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
    /// The distribution that the token was chosen from; `None` in a record of before it was kept, and
    /// after a beam search.
    #[serde(default)]
    pub drawn: Option<Drawn>,
    /// Where the token stood in the model's row and then after each stage; empty if the spec's `trace`
    /// is false.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Option<usize>>,
    /// The model's own best tokens, best first; as many as the spec's `top_logprobs` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<Alternative>,
    /// What each stage left, in order; empty if the spec's `trace` is false.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageReport>,
    /// How often each token came up when the step was drawn again, most frequent first; empty if the
    /// spec's `redraws` is 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redraws: Vec<Redraw>,
    /// The error that `on_error = "argmax"` passed over, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
}

/// A token that the model would have liked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alternative {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Its log-probability (nats) under the model itself.
    pub logprob: f64,
    /// Its share of what the selector saw, 0 when it was removed; `None` after a beam search, and in a
    /// record of before it was kept.
    #[serde(default)]
    pub probability: Option<f64>,
    /// The stage that removed or banned it, if one did.
    #[serde(default)]
    pub removed_by: Option<String>,
    /// Where it stood in the model's row and then after each stage, from 1; empty if the spec's `trace`
    /// is false, `None` where it could not be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Option<usize>>,
}

/// Tokens that an engine did not tell are null in a file.
fn null_as_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Record {
    /// The mean negative log-probability (nats per token) under the model itself; `None` without
    /// tokens, and when one of them has no log-probability.
    pub fn mean_nll(&self) -> Option<f64> {
        if let Some(left_out) = &self.steps_left_out {
            return left_out.metrics.get("nll").copied();
        }
        let all: Option<Vec<f64>> = self.steps.iter().map(|step| step.logprob).collect();
        let all = all.filter(|all| !all.is_empty())?;
        Some(-all.iter().sum::<f64>() / all.len() as f64)
    }

    /// The same record without its steps.
    #[must_use]
    pub fn without_steps(self) -> Self {
        let named = METRICS.into_iter().zip(metrics(&self));
        // JSON has no infinity, which the perplexity of a text can be.
        let finite = named.filter_map(|(name, value)| {
            value.filter(|value| value.is_finite()).map(|value| (name.to_owned(), value))
        });
        let kept = || self.steps.iter().filter_map(|step| step.kept);
        let left_out = StepsLeftOut {
            steps: self.steps.len(),
            kept: kept().min().zip(kept().max()),
            metrics: finite.collect(),
        };
        Self { steps: Vec::new(), steps_left_out: Some(left_out), ..self }
    }

    /// The same record without the timing, which alone differs when a run is repeated.
    #[must_use]
    pub fn without_timing(mut self) -> Self {
        self.timing = Timing::default();
        self
    }
}

impl From<StepReport> for StepRecord {
    fn from(report: StepReport) -> Self {
        let top = report.top.into_iter().flatten().map(|top| Alternative {
            token: top.token,
            text: top.text,
            logprob: top.logprob,
            probability: top.probability,
            removed_by: top.removed_by,
            ranks: top.ranks,
        });
        Self {
            token: report.token,
            text: report.text,
            logprob: report.logprob,
            probability: report.probability,
            rank: report.rank,
            kept: report.kept,
            entropy: report.entropy,
            drawn: report.drawn,
            ranks: report.ranks,
            top: top.collect(),
            stages: report.stages.unwrap_or_default(),
            redraws: report.redraws.unwrap_or_default(),
            passed_over: report.passed_over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_before_the_drawn_distribution_is_read() {
        let old = r#"{"token":5,"text":" a","logprob":-1.5,"probability":0.3,"rank":2,"kept":4,"entropy":2.0,
            "top":[{"token":7,"text":" b","logprob":-0.5,"removed_by":"top_k"}],
            "stages":[{"stage":"top_k","before":9,"after":4,"removed_mass":0.1,"ties":0}]}"#;
        let step: StepRecord = serde_json::from_str(old).unwrap();
        assert_eq!((step.drawn, step.ranks), (None, Vec::new()));
        assert_eq!(
            (step.top[0].probability, step.top[0].removed_by.as_deref()),
            (None, Some("top_k"))
        );
        assert_eq!(step.stages[0].moved, None);
    }
}
