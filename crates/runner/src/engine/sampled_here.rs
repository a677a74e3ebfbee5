//! An engine's model for this side's sampler: a row of log-probabilities for each step.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use taper_models::{
    Capabilities, LanguageModel, ModelError, Outputs, RowId, State, StateError, Work,
};
use taper_sampling::Pipeline;

use super::dialect::Dialect;
use super::error::EngineError;
use super::server::Server;

/// Bytes of the answer that a row is in.
const ROW_BYTES: u64 = 128 << 20;

/// Stages by which a row of log-probabilities is not the same as one of logits, which differ by a
/// number that all of a row have in common.
const NOT_SHIFT_INVARIANT: [&str; 4] = [
    "repetition_penalty",
    "exponential_decay_length_penalty",
    "remove_invalid_values",
    "classifier_free_guidance",
];

/// A model that an engine computes.
#[derive(Debug)]
pub struct EngineModel {
    server: Arc<Server>,
    vocab_size: usize,
    context_length: usize,
    /// How many of the likeliest are asked for; 0 for all.
    few: Arc<AtomicUsize>,
}

impl EngineModel {
    /// Of a server that gives rows: llama.cpp, vLLM that was started with `--max-logprobs -1`, SGLang.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] where the engine gives none, or its vocabulary is not known.
    pub fn new(server: Server) -> Result<Self, EngineError> {
        let dialect = server.profile.dialect;
        if !matches!(dialect, Dialect::LlamaCpp | Dialect::Vllm | Dialect::SgLang) {
            let what = format!(
                "--sample here: {dialect} does not give whole rows; use llama.cpp, vllm or sglang"
            );
            return Err(EngineError::Refused(what));
        }
        let Some(vocab_size) = server.profile.vocab_size else {
            let what = format!(
                "--sample here: {dialect} does not say how many tokens there are; give --tokenizer DIR"
            );
            return Err(EngineError::Refused(what));
        };
        let context_length = server.profile.context_length.unwrap_or(usize::MAX);
        let server = Arc::new(server.with_limit(ROW_BYTES));
        Ok(Self { server, vocab_size, context_length, few: Arc::default() })
    }

    /// How many of the likeliest tokens are asked for, to be set when the pipeline is known, as
    /// [`rows_needed`] says; 0, as at first, for all.
    pub fn few(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.few)
    }

    /// Refuses a pipeline that needs logits.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`], naming the stage.
    pub fn check(pipeline: &Pipeline) -> Result<(), EngineError> {
        let names = pipeline.stages().iter().map(|stage| stage.name().to_owned());
        match names.into_iter().find(|name| NOT_SHIFT_INVARIANT.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(EngineError::Refused(format!(
                "{name}: it needs logits, and engines give log-probabilities, by which it would do \
                 something else; leave it out, or let the engine sample"
            ))),
        }
    }

    /// The row that follows these tokens.
    fn row(&self, tokens: &[u32], row: &mut [f32]) -> Result<(), EngineError> {
        let few = self.few.load(Ordering::Relaxed);
        if (1..self.vocab_size).contains(&few) {
            // One more tells whether the last is apart from those that are not listed.
            let listed = self.listed(tokens, few + 1)?;
            if fill(&listed, few, row) {
                return Ok(());
            }
        }
        let listed = self.listed(tokens, self.vocab_size)?;
        row.fill(f32::NAN);
        for &(id, logprob) in &listed {
            if let Some(place) = row.get_mut(id as usize) {
                *place = logprob;
            }
        }
        match row.iter().position(|logprob| logprob.is_nan()) {
            None => Ok(()),
            Some(id) => {
                let there = listed.len();
                let what = format!(
                    "the row has {there} of {} tokens, {id} not among them; is the tokenizer the \
                     model's own?",
                    row.len()
                );
                Err(self.server.client().odd(what))
            }
        }
    }

    /// The likeliest tokens with their log-probabilities, as the engine lists them.
    fn listed(&self, tokens: &[u32], count: usize) -> Result<Vec<(u32, f32)>, EngineError> {
        let client = self.server.client();
        let whole = count >= self.vocab_size;
        let model = &self.server.profile.model;
        let (path, body) = match self.server.profile.dialect {
            Dialect::LlamaCpp => (
                "/completion",
                json!({
                    "prompt": tokens, "n_predict": 1, "n_probs": count, "temperature": 0.0,
                    "samplers": ["temperature"], "logit_bias": [], "post_sampling_probs": false,
                    "cache_prompt": false, "seed": 0, "stream": false, "ignore_eos": false,
                }),
            ),
            Dialect::Vllm => (
                "/v1/completions",
                json!({
                    "model": model, "prompt": tokens, "max_tokens": 1, "temperature": 0.0,
                    "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0,
                    "frequency_penalty": 0.0, "presence_penalty": 0.0, "stream": false, "n": 1,
                    "logprobs": if whole { json!(-1) } else { json!(count) },
                    "return_tokens_as_token_ids": true,
                }),
            ),
            _ => (
                "/generate",
                json!({
                    "input_ids": tokens, "return_logprob": true, "top_logprobs_num": count,
                    "stream": false,
                    "sampling_params": {
                        "max_new_tokens": 1, "temperature": 0.0, "top_k": -1, "top_p": 1.0,
                        "min_p": 0.0, "frequency_penalty": 0.0, "presence_penalty": 0.0,
                        "repetition_penalty": 1.0,
                    },
                }),
            ),
        };
        let answer = client.post(path, &body).map_err(|error| self.hint(error))?;
        pairs(&answer, self.server.profile.dialect)
            .ok_or_else(|| client.odd("the answer has no row of log-probabilities"))
    }

    fn hint(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Status { engine, status: 400, what, retry_after }
                if self.server.profile.dialect == Dialect::Vllm && what.contains("logprobs") =>
            {
                let what = format!("{what}; start vllm with --max-logprobs -1");
                EngineError::Status { engine, status: 400, what, retry_after }
            }
            error => error,
        }
    }

    fn check_work(&self, state: &EngineState, work: &[Work<'_>]) -> Result<(), ModelError> {
        for (i, piece) in work.iter().enumerate() {
            let row = piece.row;
            let (held, added) = (state.len(row)?, piece.tokens.len());
            let limit = self.context_length;
            if added == 0 {
                return Err(ModelError::EmptyWork { row });
            }
            if work[..i].iter().any(|earlier| earlier.row == row) {
                return Err(ModelError::RepeatedRow { row });
            }
            if held + added > limit {
                return Err(ModelError::ContextOverflow { row, held, added, limit });
            }
            let vocab_size = self.vocab_size;
            if let Some(&token) = piece.tokens.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(ModelError::TokenOutOfRange { token, vocab_size });
            }
        }
        Ok(())
    }
}

/// How many of the likeliest tokens a pipeline can tell from the others: those of a top-k that nothing
/// but temperatures comes before. `None` where it may look at all.
pub fn rows_needed(pipeline: &Value) -> Option<usize> {
    let stages = pipeline.as_array()?;
    let first = stages.iter().find(|stage| stage["stage"] != "temperature")?;
    if first["stage"] != "top_k" {
        return None;
    }
    // Whatever comes after it sees no others.
    first["k"].as_u64().map(|k| k as usize)
}

/// Lays out the `few` likeliest, and spreads what is left over all others, which is less than each
/// of them has. `false` where the last of them ties with one that may not be listed.
fn fill(listed: &[(u32, f32)], few: usize, row: &mut [f32]) -> bool {
    let Some(&(_, last)) = listed.get(few) else { return false };
    let kept = &listed[..few];
    let apart = kept.iter().all(|&(_, logprob)| logprob > last);
    let mass: f64 = kept.iter().map(|&(_, logprob)| f64::from(logprob).exp()).sum();
    let others = row.len() - few;
    let rest = ((1.0 - mass).max(0.0) / others as f64).ln() as f32;
    if !apart || !(rest <= last) {
        return false;
    }
    row.fill(rest);
    for &(id, logprob) in kept {
        match row.get_mut(id as usize) {
            Some(place) => *place = logprob,
            None => return false,
        }
    }
    true
}

/// The pairs of token and log-probability in an answer, where each engine has them.
fn pairs(answer: &Value, dialect: Dialect) -> Option<Vec<(u32, f32)>> {
    let number = |value: &Value| value.as_f64().map(|logprob| lowest(logprob as f32));
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match dialect {
        Dialect::LlamaCpp => {
            let list = answer["completion_probabilities"][0]["top_logprobs"].as_array()?;
            list.iter().map(|one| Some((id(&one["id"])?, number(&one["logprob"])?))).collect()
        }
        Dialect::Vllm => {
            let map = answer["choices"][0]["logprobs"]["top_logprobs"][0].as_object()?;
            let pair = |(name, logprob): (&String, &Value)| {
                Some((name.strip_prefix("token_id:")?.parse().ok()?, number(logprob)?))
            };
            let mut all: Vec<(u32, f32)> = map.iter().map(pair).collect::<Option<_>>()?;
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            Some(all)
        }
        _ => {
            let list = answer["meta_info"]["output_top_logprobs"][0].as_array()?;
            list.iter().map(|one| Some((id(&one[1])?, number(&one[0])?))).collect()
        }
    }
}

/// What stands for a probability of 0: the lowest number of single precision at llama.cpp, and −9999
/// at vLLM.
fn lowest(logprob: f32) -> f32 {
    if logprob <= -9999.0 { f32::NEG_INFINITY } else { logprob }
}

impl LanguageModel for EngineModel {
    fn family(&self) -> &str {
        self.server.profile.dialect.name()
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    fn new_state(&self) -> Box<dyn State> {
        let server = Arc::clone(&self.server);
        Box::new(EngineState { server, rows: BTreeMap::new(), next: 0 })
    }

    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        let state: &mut dyn Any = state;
        let state = state.downcast_mut::<EngineState>().ok_or(ModelError::ForeignState)?;
        if !Arc::ptr_eq(&self.server, &state.server) {
            return Err(ModelError::ForeignState);
        }
        self.check_work(state, work)?;
        outputs.reset(self.vocab_size, work);
        for (i, piece) in work.iter().enumerate() {
            let mut text = state.tokens(piece.row)?.clone();
            text.extend_from_slice(piece.tokens);
            let positions = piece.want.positions(piece.tokens.len());
            let rows = outputs.logits_mut(i).chunks_exact_mut(self.vocab_size);
            for (row, length) in rows.zip(text.len() + 1 - positions..) {
                let failed = |error: EngineError| ModelError::Engine(Box::new(error));
                self.row(&text[..length], row).map_err(failed)?;
            }
            state.rows.insert(piece.row, text);
        }
        Ok(())
    }
}

/// The tokens of each row: the engine itself keeps nothing.
#[derive(Debug)]
struct EngineState {
    /// That of the model, by which the model knows its own states.
    server: Arc<Server>,
    rows: BTreeMap<RowId, Vec<u32>>,
    next: u64,
}

impl EngineState {
    fn tokens(&self, row: RowId) -> Result<&Vec<u32>, StateError> {
        self.rows.get(&row).ok_or(StateError::UnknownRow { row })
    }

    fn add(&mut self, tokens: Vec<u32>) -> RowId {
        let row = RowId::new(self.next);
        self.next += 1;
        self.rows.insert(row, tokens);
        row
    }
}

impl State for EngineState {
    fn new_row(&mut self) -> RowId {
        self.add(Vec::new())
    }

    fn fork(&mut self, row: RowId) -> Result<RowId, StateError> {
        let tokens = self.tokens(row)?.clone();
        Ok(self.add(tokens))
    }

    fn reorder(&mut self, parents: &[RowId]) -> Result<Vec<RowId>, StateError> {
        let tokens: Vec<_> =
            parents.iter().map(|&row| self.tokens(row).cloned()).collect::<Result<_, _>>()?;
        self.rows.clear();
        Ok(tokens.into_iter().map(|tokens| self.add(tokens)).collect())
    }

    fn truncate(&mut self, row: RowId, len: usize) -> Result<(), StateError> {
        let tokens = self.rows.get_mut(&row).ok_or(StateError::UnknownRow { row })?;
        if len > tokens.len() {
            return Err(StateError::TooShort { row, held: tokens.len(), len });
        }
        tokens.truncate(len);
        Ok(())
    }

    fn drop_row(&mut self, row: RowId) -> Result<(), StateError> {
        self.rows.remove(&row).map(drop).ok_or(StateError::UnknownRow { row })
    }

    fn len(&self, row: RowId) -> Result<usize, StateError> {
        self.tokens(row).map(Vec::len)
    }

    fn bytes(&self) -> usize {
        self.rows.values().map(|tokens| tokens.capacity() * size_of::<u32>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_top_k_before_all_else_needs_its_tokens_alone() {
        let top_k = json!({"stage": "top_k", "k": 40});
        let temperature = json!({"stage": "temperature", "temperature": 0.8});
        let top_p = json!({"stage": "top_p", "p": 0.9});
        let draw = json!({"select": "draw"});
        assert_eq!(rows_needed(&json!([temperature, top_k, top_p, draw])), Some(40));
        assert_eq!(rows_needed(&json!([top_p, top_k, draw])), None);
        assert_eq!(rows_needed(&json!([temperature, draw])), None);
        assert_eq!(rows_needed(&json!([draw])), None);
    }

    #[test]
    fn a_few_tokens_make_a_row_unless_they_tie_with_what_is_not_listed() {
        let half = 0.5_f32.ln();
        let (quarter, eighth) = (0.25_f32.ln(), 0.125_f32.ln());
        let mut row = [0.0; 6];
        assert!(fill(&[(4, half), (1, quarter), (0, eighth)], 2, &mut row));
        assert_eq!((row[4], row[1]), (half, quarter));
        // The other four have a quarter together.
        assert!((f64::from(row[0]).exp() - 0.0625).abs() < 1e-6);
        assert!(!fill(&[(4, half), (1, quarter), (0, quarter)], 2, &mut row));
        assert!(!fill(&[(4, half), (1, quarter)], 2, &mut row));
        assert!(!fill(&[(4, half), (9, quarter), (0, eighth)], 2, &mut row));
    }
}
