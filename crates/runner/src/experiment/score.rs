//! What the model says of tokens that were chosen without asking it one by one: those of beams.

use taper_models::{LoadedModel, Outputs, Want, Work};
use taper_sampling::{Ask, DrawKey, Pipeline, Step, Workspace};

use super::record::{Alternative, StepRecord};
use crate::detokenizer::token_text;
use crate::error::RunError;
use crate::logits_dtype::LogitsDtype;
use crate::run::PIECE;

/// Log-probability, rank, entropy and the model's best tokens for each of `tokens` after `prompt`, a few
/// rows of logits at a time. Nothing for a model that cannot return the logits of all positions, and for a
/// text that its context does not hold.
pub(super) fn score(
    loaded: &LoadedModel,
    prompt: &[u32],
    tokens: &[u32],
    dtype: LogitsDtype,
    top: usize,
) -> Result<Vec<StepRecord>, RunError> {
    let model = &*loaded.model;
    let Some((_, before)) = tokens.split_last() else { return Ok(Vec::new()) };
    let all = [prompt, before].concat();
    if !model.capabilities().all_positions || all.len() > model.context_length() {
        return Ok(Vec::new());
    }
    let (mut state, mut outputs) = (model.new_state(), Outputs::new());
    let (row, vocab_size) = (state.new_row(), model.vocab_size());
    let mut workspace = Workspace::new(vocab_size);
    let mut forward = |tokens: &[u32], want, outputs: &mut Outputs| {
        dtype.forward(model, &mut *state, &[Work { row, tokens, want }], outputs)
    };
    let (read, asked) = all.split_at(prompt.len() - 1);
    if !read.is_empty() {
        forward(read, Want::Last, &mut outputs)?;
    }
    let mut records = Vec::with_capacity(tokens.len());
    for (tokens, asked) in tokens.chunks(PIECE).zip(asked.chunks(PIECE)) {
        forward(asked, Want::All, &mut outputs)?;
        for (&token, row) in tokens.iter().zip(outputs.logits(0).chunks(vocab_size)) {
            records.push(step(loaded, token, row, top, &mut workspace)?);
        }
    }
    Ok(records)
}

fn step(
    loaded: &LoadedModel,
    token: u32,
    row: &[f32],
    top: usize,
    workspace: &mut Workspace,
) -> Result<StepRecord, RunError> {
    let text = |id| loaded.tokenizer.as_ref().map_or(Ok(String::new()), |t| token_text(t, id));
    let mut record = StepRecord { token, text: text(token)?, ..StepRecord::default() };
    let ask = Ask { logprob: true, entropy: true, top_logprobs: top, ..Ask::token() };
    let greedy = Pipeline::greedy();
    // A row that has no best token has no numbers either.
    let Ok(best) = greedy.select(row, &Step::new(DrawKey::new(0)).ask(ask), workspace) else {
        return Ok(record);
    };
    let logit = row.get(token as usize).copied().unwrap_or(f32::NAN);
    let behind = f64::from(row[best.token as usize]) - f64::from(logit);
    record.logprob = best.logprob.map(|logprob| logprob - behind).filter(|x| x.is_finite());
    let first =
        |(id, &other): (usize, &f32)| other > logit || (other == logit && id < token as usize);
    record.rank = Some(1 + row.iter().enumerate().filter(|&at| first(at)).count());
    record.entropy = best.entropy;
    let listed = best.top.iter().map(|&(token, logprob)| {
        let (text, ranks) = (text(token)?, Vec::new());
        Ok(Alternative { token, text, logprob, probability: None, removed_by: None, ranks })
    });
    record.top = listed.collect::<Result<_, RunError>>()?;
    Ok(record)
}
