//! Model folders with an `expected.json` (suite `hf-models`): logits, greedy tokens, beams, a
//! ragged batch.
//!
//! Each prompt counts as three cases, `logits`, `greedy` and `beam`, and the batch as one.

use std::path::Path;

use serde_json::Value;
use taper_models::{Dtype, LanguageModel, LoadOptions, LoadedModel, Outputs, Want, Work, load};

use super::Conformance;
use super::case::{Tolerance, member, row};
use super::generate::{check_scores, outcome};
use crate::{Request, Source};

pub(super) fn run(path: &Path, expected: &Value) -> Conformance {
    let name =
        expected["name"].as_str().map_or_else(|| path.display().to_string(), ToOwned::to_owned);
    let mut conformance = Conformance::default();
    // The expectations are in `f32`; on a GPU it would be another type by itself.
    let options = LoadOptions { dtype: Dtype::F32, ..LoadOptions::default() };
    let loaded = match load(path, &options) {
        Ok(loaded) => loaded,
        Err(error) => {
            conformance.record(name, Err(error.to_string()));
            return conformance;
        }
    };
    let model = &*loaded.model;
    let tolerance =
        |key| Tolerance { abs: expected["tolerance"][key].as_f64().unwrap_or(0.0), rel: 0.0 };
    let (logits, logprobs) = (tolerance("logits_abs"), tolerance("logprobs_abs"));
    for (i, case) in expected["cases"].as_array().into_iter().flatten().enumerate() {
        conformance.record(format!("{name}/logits/{i}"), check_logits(model, case, logits));
        conformance.record(format!("{name}/greedy/{i}"), check_greedy(model, case, logprobs));
        if case.get("beam").is_some() {
            let beam = check_beam(&loaded, case, tolerance("beam_scores_abs"));
            conformance.record(format!("{name}/beam/{i}"), beam);
        }
    }
    if let Some(batch) = expected.get("batch_left_padded") {
        conformance.record(format!("{name}/batch"), check_batch(model, batch, logits));
    }
    conformance
}

fn check_logits(
    model: &dyn LanguageModel,
    case: &Value,
    tolerance: Tolerance,
) -> Result<(), String> {
    let prompt: Vec<u32> = member(case, "prompt")?;
    let mut state = model.new_state();
    let work = [Work { row: state.new_row(), tokens: &prompt, want: Want::All }];
    let mut outputs = Outputs::new();
    model.forward(&mut *state, &work, &mut outputs).map_err(|error| error.to_string())?;

    let rows: Vec<&[f32]> = outputs.logits(0).chunks_exact(model.vocab_size()).collect();
    let first: Vec<Vec<f64>> = member(case, "logits_all_positions_first8")?;
    for (position, want) in first.iter().enumerate() {
        compare(&rows[position][..want.len()], want, tolerance)
            .map_err(|what| format!("position {position}: {what}"))?;
    }
    compare(outputs.last(0), &numbers(&case["logits_last"])?, tolerance)
}

fn check_greedy(
    model: &dyn LanguageModel,
    case: &Value,
    tolerance: Tolerance,
) -> Result<(), String> {
    let prompt: Vec<u32> = member(case, "prompt")?;
    let want: Vec<u32> = member(case, "greedy")?;
    let logprobs: Vec<f64> = member(case, "greedy_logprobs")?;
    let mut state = model.new_state();
    let mut outputs = Outputs::new();
    let row = state.new_row();
    let mut tokens = prompt;
    for (i, (&want, &logprob)) in want.iter().zip(&logprobs).enumerate() {
        let work = [Work { row, tokens: &tokens, want: Want::Last }];
        model.forward(&mut *state, &work, &mut outputs).map_err(|error| error.to_string())?;
        let (got, got_logprob) = best(outputs.last(0))?;
        if got != want {
            return Err(format!("token {i} is {got}, expected {want}"));
        }
        if !tolerance.close(got_logprob, logprob) {
            return Err(format!("token {i} has log-probability {got_logprob}, expected {logprob}"));
        }
        tokens = vec![got];
    }
    Ok(())
}

/// The first of the largest logits, and its log-probability.
fn best(row: &[f32]) -> Result<(u32, f64), String> {
    use taper_sampling::{Ask, DrawKey, Pipeline, Step, Workspace};
    let mut workspace = Workspace::new(row.len());
    let step = Step::new(DrawKey::new(0)).ask(Ask { logprob: true, ..Ask::token() });
    let chosen =
        Pipeline::greedy().select(row, &step, &mut workspace).map_err(|error| error.to_string())?;
    Ok((chosen.token, chosen.logprob.unwrap_or(f64::NAN)))
}

/// All beams are returned.
fn check_beam(loaded: &LoadedModel, case: &Value, tolerance: Tolerance) -> Result<(), String> {
    let beam = &case["beam"];
    let settings = beam.as_object().into_iter().flatten();
    let settings = settings.filter(|(key, _)| !["sequences", "scores"].contains(&key.as_str()));
    let settings: serde_json::Map<_, _> =
        settings.map(|(key, value)| (key.clone(), value.clone())).collect();
    let sequences: Vec<Vec<u32>> = member(beam, "sequences")?;
    let mut request = Request::new(member(case, "prompt")?);
    request.config =
        serde_json::from_value(Value::Object(settings)).map_err(|error| error.to_string())?;
    request.config.num_return_sequences = Some(sequences.len());
    let outcome = outcome(Source::from(loaded), request)?;
    let got: Vec<&[u32]> = outcome.sequences.iter().map(|got| &got.tokens[..]).collect();
    if got != sequences {
        return Err(format!("the beams are {got:?}, expected {sequences:?}"));
    }
    check_scores(&outcome, beam, tolerance)
}

/// The padded batch as rows of their own lengths: the padding is left out, the answer the same.
fn check_batch(
    model: &dyn LanguageModel,
    batch: &Value,
    tolerance: Tolerance,
) -> Result<(), String> {
    let ids: Vec<Vec<u32>> = member(batch, "input_ids")?;
    let mask: Vec<Vec<u32>> = member(batch, "attention_mask")?;
    let want = batch["logits_last"].as_array().ok_or("`logits_last` must be a list of rows")?;
    let unpadded: Vec<Vec<u32>> = ids
        .iter()
        .zip(&mask)
        .map(|(ids, mask)| {
            ids.iter().zip(mask).filter(|(_, m)| **m == 1).map(|(id, _)| *id).collect()
        })
        .collect();
    let mut state = model.new_state();
    let work: Vec<Work<'_>> = unpadded
        .iter()
        .map(|tokens| Work { row: state.new_row(), tokens, want: Want::Last })
        .collect();
    let mut outputs = Outputs::new();
    model.forward(&mut *state, &work, &mut outputs).map_err(|error| error.to_string())?;
    for (i, want) in want.iter().enumerate() {
        compare(outputs.last(i), &numbers(want)?, tolerance)
            .map_err(|what| format!("row {i}: {what}"))?;
    }
    Ok(())
}

fn numbers(value: &Value) -> Result<Vec<f64>, String> {
    Ok(row(value)?.into_iter().map(f64::from).collect())
}

fn compare(got: &[f32], want: &[f64], tolerance: Tolerance) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} logits, expected {}", got.len(), want.len()));
    }
    let worst = got
        .iter()
        .zip(want)
        .enumerate()
        .map(|(id, (&got, &want))| (id, f64::from(got), want))
        .find(|&(_, got, want)| !tolerance.close(got, want));
    match worst {
        None => Ok(()),
        Some((id, got, want)) => Err(format!("logit {id} is {got}, expected {want}")),
    }
}
