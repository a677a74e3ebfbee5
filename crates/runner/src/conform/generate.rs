//! Suite `hf-generate`: `generate()` on a model whose logits are `table[last token]`.
//!
//! `table`, `config`, `prompt`; `expect.sequences` and `expect.finish`, best first, and
//! `expect.scores` for beams.

use serde_json::Value;

use super::case::{Tolerance, member, row};
use crate::{Generation, Outcome, Request, Search, Source, TableModel};

/// More positions than any case has.
const CONTEXT: usize = 1 << 16;

pub(super) fn run(case: &Value) -> Result<(), String> {
    let table = case["table"].as_array().ok_or("`table` of the case must be a list of rows")?;
    let table = table.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let model = TableModel::new(table, CONTEXT).map_err(|error| error.to_string())?;
    let mut request = Request::new(member(case, "prompt")?);
    request.config = member(case, "config")?;

    let source = Source { name: "table", model: &model, tokenizer: None };
    let outcome = outcome(source, request)?;
    let sequences: Vec<Vec<u32>> = member(&case["expect"], "sequences")?;
    let finish: Vec<String> = member(&case["expect"], "finish")?;
    if outcome.sequences.len() != sequences.len() {
        return Err(format!("{} sequences, expected {}", outcome.sequences.len(), sequences.len()));
    }
    for (i, got) in outcome.sequences.iter().enumerate() {
        if got.tokens != sequences[i] {
            return Err(format!("sequence {i} is {:?}, expected {:?}", got.tokens, sequences[i]));
        }
        let ended = got.finish_reason.name();
        if finish.get(i).map(String::as_str) != Some(ended) {
            return Err(format!("sequence {i} ended by {ended}, expected {:?}", finish.get(i)));
        }
    }
    check_scores(&outcome, &case["expect"], Tolerance::of(case))
}

/// A search if there are several beams, otherwise token by token.
pub(super) fn outcome(source: Source<'_>, request: Request) -> Result<Outcome, String> {
    if request.config.num_beams.is_some_and(|beams| beams > 1) {
        let mut search = Search::new(source, request).map_err(|error| error.to_string())?;
        while search.advance().map_err(|error| error.to_string())? {}
        return Ok(search.into_outcome());
    }
    let mut generation = Generation::new(source, request).map_err(|error| error.to_string())?;
    for step in &mut generation {
        step.map_err(|error| error.to_string())?;
    }
    Ok(generation.into_outcome())
}

/// The scores of beams, if the case has any.
pub(super) fn check_scores(
    outcome: &Outcome,
    expect: &Value,
    tolerance: Tolerance,
) -> Result<(), String> {
    if expect.get("scores").is_none() {
        return Ok(());
    }
    let scores: Vec<f64> = member(expect, "scores")?;
    for (i, got) in outcome.sequences.iter().enumerate() {
        let (got, want) = (got.score.unwrap_or(f64::NAN), scores.get(i).copied());
        if !want.is_some_and(|want| tolerance.close(got, want)) {
            return Err(format!("sequence {i} has the score {got}, expected {want:?}"));
        }
    }
    Ok(())
}
