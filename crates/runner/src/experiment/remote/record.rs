//! An answer of an engine as a record.

use serde_json::{Value, json};

use super::plan::RemotePlan;
use crate::engine::{Answer, Call, RemoteOutcome, RemoteSequence, RemoteStep, Wanted};
use crate::experiment::manifest::ModelId;
use crate::experiment::plan::object;
use crate::experiment::record::{Alternative, Record, RunId, StepRecord};
use crate::outcome::{FinishReason, Timing};

/// The record of a run, and its line: what an engine does not say is null there.
pub(super) fn record(
    plan: &RemotePlan,
    id: RunId,
    engine: usize,
    call: (&Wanted, &Call),
    answer: Answer,
    error: Option<String>,
) -> (Record, Value) {
    let engine = &plan.engines[engine];
    let (wanted, call) = call;
    let prompt = plan.prompt(id, engine);
    let seed = plan.manifest.seeds[id.seed];
    let ended = if error.is_some() { FinishReason::Error } else { FinishReason::Stop };
    let mut outcome = RemoteOutcome::new(engine, wanted, &prompt, call, seed, answer, ended);
    let sequence = outcome.sequences.drain(..).next();
    let sequence = sequence.unwrap_or_else(RemoteSequence::failed);
    let covered: Vec<Option<f64>> =
        sequence.steps.iter().flatten().map(|step| step.covered).collect();
    let mut facts = object(&outcome.engine);
    facts.insert("completion_tokens".to_owned(), json!(outcome.usage.get("completion_tokens")));
    facts.insert("first_token_s".to_owned(), json!(outcome.timing.first_token_s));
    if !plan.no_steps && covered.iter().any(Option::is_some) {
        facts.insert("covered".to_owned(), json!(covered));
    }
    let known = sequence.tokens.is_some();
    let setting = &plan.settings[id.setting].setting;
    let record = Record {
        id,
        label: setting.label.clone(),
        knobs: setting.knobs.clone(),
        control: setting.control,
        prompt: plan.manifest.prompts[id.prompt].name.clone(),
        prompt_tokens: outcome.prompt_tokens.clone().unwrap_or_default(),
        seed,
        model: ModelId { name: engine.model.clone().unwrap_or_default(), digest: None },
        engine: Some(Value::Object(facts)),
        versions: plan.manifest.versions.clone(),
        config: outcome.config,
        pipeline: Value::Null,
        tokens: sequence.tokens.unwrap_or_default(),
        text: sequence.text,
        finish_reason: sequence.finish_reason,
        error,
        score: None,
        steps: sequence.steps.into_iter().flatten().filter_map(step).collect(),
        steps_left_out: None,
        kept_sets: None,
        tree: None,
        timing: Timing {
            load_s: None,
            prefill_s: outcome.timing.first_token_s.unwrap_or_default(),
            decode_s: outcome.timing.decode_s.unwrap_or_default(),
            sampler_s: 0.0,
            tokens_per_s: outcome.timing.tokens_per_s,
        },
    };
    let record = if plan.no_steps { record.without_steps() } else { record };
    let timed = outcome.timing.first_token_s.is_some();
    let line = line(&record, known, outcome.prompt_tokens.is_some(), timed);
    (record, line)
}

/// A record as it is written.
fn line(record: &Record, known: bool, prompt_known: bool, timed: bool) -> Value {
    let mut line = Value::Object(object(record));
    if !known {
        line["tokens"] = Value::Null;
    }
    if !prompt_known {
        line["prompt_tokens"] = Value::Null;
    }
    if let Some(timing) = line["timing"].as_object_mut() {
        timing.shift_remove("sampler_s");
        if !timed {
            timing.retain(|name, _| !["prefill_s", "decode_s"].contains(&name.as_str()));
        }
    }
    line
}

/// A step whose token is known; what is said of others has no place in a record.
fn step(step: RemoteStep) -> Option<StepRecord> {
    let top = step.top.into_iter().flatten().filter_map(|top| {
        let (token, logprob) = (top.token?, top.logprob?);
        Some(Alternative {
            token,
            text: top.text.unwrap_or_default(),
            logprob,
            probability: None,
            removed_by: None,
            ranks: Vec::new(),
        })
    });
    Some(StepRecord {
        token: step.token?,
        text: step.text.unwrap_or_default(),
        logprob: step.logprob,
        rank: step.rank,
        entropy: step.entropy,
        top: top.collect(),
        ..StepRecord::default()
    })
}
