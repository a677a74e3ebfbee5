//! What the model says of tokens that were chosen without asking it one by one: those of beams.

use taper_models::{LoadedModel, Outputs, Want, Work};
use taper_sampling::{Ask, DrawKey, Pipeline, Step, Workspace};

use super::record::{Alternative, StepRecord};
use crate::detokenizer::token_text;
use crate::error::RunError;
use crate::logits_dtype::LogitsDtype;

/// Log-probability, rank, entropy and the model's best tokens for each of `tokens` after `prompt`, from
/// one pass over both. Nothing for a model that can not return the logits of all positions, and for a
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
    let work = [Work { row: state.new_row(), tokens: &all, want: Want::All }];
    dtype.forward(model, &mut *state, &work, &mut outputs)?;
    let vocab_size = model.vocab_size();
    let rows = outputs.logits(0).chunks(vocab_size).skip(prompt.len() - 1);
    let mut workspace = Workspace::new(vocab_size);
    let one = |(&token, row)| step(loaded, token, row, top, &mut workspace);
    tokens.iter().zip(rows).map(one).collect()
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
