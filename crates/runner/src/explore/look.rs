//! What one step looks like: the distribution of the model, and what each stage makes of it.
//!
//! A page is told of a few hundred tokens and of sums, however large the vocabulary is. The stages run again for
//! each look between two of them: a pipeline is a function of row, history, memory and key.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;
use taper_sampling::{Ask, Candidates, StageTrace, Workspace};

use super::Denied;
use super::place::Ready;
use crate::detokenizer::token_text;
use crate::outcome::pipeline_as_data;

/// Tokens listed of the model's row, and of what the stages leave.
const LISTED: usize = 200;

/// A step.
#[derive(Debug, Serialize)]
pub(super) struct Look {
    /// Tokens of the vocabulary.
    vocab_size: usize,
    /// Entropy of the model's row, in nats.
    entropy: Option<f64>,
    stages: Vec<StageLook>,
    tokens: Vec<TokenLook>,
    /// What the settings choose here, under the seed.
    chosen: u32,
    chosen_text: String,
    chosen_probability: Option<f64>,
    /// How many tokens could be drawn.
    kept: usize,
    /// Entropy of what is drawn from, in nats.
    drawn_entropy: Option<f64>,
    /// Its divergence from the model's row, in nats; `None` where it is infinite or unknown.
    drawn_kl: Option<f64>,
    /// Whether a random number decides.
    draws: bool,
    seed: u64,
    /// Ends of text among the tokens.
    eos: Vec<u32>,
    pipeline: Value,
    rust: Option<String>,
    remarks: Vec<String>,
}

/// A stage: also one that is switched off, which has only a name.
#[derive(Debug, Serialize)]
struct StageLook {
    name: String,
    /// Its name with its settings.
    shown: String,
    off: bool,
    #[serde(flatten)]
    did: Option<Did>,
}

#[derive(Debug, Serialize)]
struct Did {
    before: usize,
    after: usize,
    removed_mass: Option<f64>,
    entropy_after: Option<f64>,
    ties: usize,
}

#[derive(Debug, Serialize)]
struct TokenLook {
    id: u32,
    text: String,
    logit: f32,
    /// In the model's row and then after each stage that is on; `None` where it cannot be drawn.
    p: Vec<Option<f64>>,
    /// Its score in the same places.
    scores: Vec<Option<f32>>,
    /// The stage that removed it, by its place among all stages; beyond them the selector.
    removed_by: Option<usize>,
}

/// Looks at a place. `also` are tokens to list whatever they weigh.
pub(super) fn look(
    ready: &Ready<'_>,
    also: &[u32],
    workspace: &mut Workspace,
) -> Result<Look, Denied> {
    let (pipeline, row) = (&ready.pipeline, ready.row());
    let step = ready.sequence.step().given(ready.given());
    let asked = step.given(ready.given().ask(Ask { top_logprobs: LISTED, ..Ask::everything() }));
    let mut chosen = pipeline.select(row, &asked, workspace).map_err(Denied::new)?;
    let (token, kept, entropy) = (chosen.token, chosen.kept.unwrap_or_default(), chosen.entropy);
    let trace: Vec<StageTrace> =
        chosen.trace.map(|trace| trace.stages().to_vec()).unwrap_or_default();
    let mut listed: Vec<u32> = chosen.top.iter().map(|&(id, _)| id).collect();
    listed.extend(best(chosen.candidates(), LISTED));
    listed.extend([token].iter().chain(also).filter(|&&id| (id as usize) < row.len()));
    let mut seen = HashSet::new();
    listed.retain(|&id| seen.insert(id));
    let removed: Vec<Option<usize>> = listed.iter().map(|&id| chosen.removed_by(id)).collect();
    let probability = chosen.probability;
    let (drawn_entropy, drawn_kl) = drawn(chosen.candidates(), row);
    let mut states = Vec::new();
    for count in 0..=pipeline.stages().len() {
        let mut left = pipeline.process_first(count, row, &step, workspace).map_err(Denied::new)?;
        states.push(standings(&mut left, &listed));
    }
    let places = &ready.on;
    let selector = ready.whole.stages().len();
    let tokens = listed.iter().enumerate().map(|(i, &id)| {
        Ok(TokenLook {
            id,
            text: text(ready, id)?,
            logit: row[id as usize],
            p: states.iter().map(|state| state[i].map(|(_, p)| p)).collect(),
            scores: states.iter().map(|state| state[i].map(|(score, _)| score)).collect(),
            removed_by: removed[i].map(|stage| places.get(stage).copied().unwrap_or(selector)),
        })
    });
    Ok(Look {
        vocab_size: row.len(),
        entropy,
        stages: stages(ready, &trace),
        tokens: tokens.collect::<Result<_, Denied>>()?,
        chosen: token,
        chosen_text: text(ready, token)?,
        chosen_probability: probability,
        kept,
        drawn_entropy,
        drawn_kl,
        draws: !pipeline.selector().takes_best(),
        seed: ready.config.seed,
        eos: ready.config.generation.eos_ids().to_vec(),
        pipeline: pipeline_as_data(pipeline),
        rust: pipeline.to_rust().ok(),
        remarks: pipeline.lints().iter().map(ToString::to_string).collect(),
    })
}

/// The text of a token; the empty one without a tokenizer.
pub(super) fn text(ready: &Ready<'_>, token: u32) -> Result<String, Denied> {
    let tokenizer = ready.loaded.tokenizer.as_ref();
    tokenizer.map_or(Ok(String::new()), |own| token_text(own, token)).map_err(Denied::new)
}

/// The best `n` of what is left, in no order.
fn best(candidates: &Candidates<'_>, n: usize) -> Vec<u32> {
    let mut left = Vec::new();
    candidates.for_each(|id, score| {
        if score > f32::NEG_INFINITY {
            left.push((id, score));
        }
    });
    if left.len() > n {
        let by_score = |a: &(u32, f32), b: &(u32, f32)| {
            b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
        };
        left.select_nth_unstable_by(n, by_score);
        left.truncate(n);
    }
    left.into_iter().map(|(id, _)| id).collect()
}

/// Score and probability of each token; `None` for one that cannot be drawn.
fn standings(candidates: &mut Candidates<'_>, tokens: &[u32]) -> Vec<Option<(f32, f64)>> {
    let Ok(norm) = candidates.normaliser() else { return vec![None; tokens.len()] };
    let standing = |&id: &u32| {
        let score = candidates.get(id).filter(|&score| score > f32::NEG_INFINITY)?;
        Some((score, norm.log_probability(score).exp()))
    };
    tokens.iter().map(standing).collect()
}

/// The entropy of what is drawn from, and its divergence from the model's row.
fn drawn(candidates: &mut Candidates<'_>, row: &[f32]) -> (Option<f64>, Option<f64>) {
    let Ok(norm) = candidates.normaliser() else { return (None, None) };
    let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&x| f64::from(x - best).exp()).sum();
    let (mut entropy, mut kl) = (0.0, 0.0);
    candidates.for_each(|id, score| {
        let log_q = norm.log_probability(score);
        let q = log_q.exp();
        if q > 0.0 {
            entropy -= q * log_q;
            kl += q * (log_q - (f64::from(row[id as usize] - best) - sum.ln()));
        }
    });
    let finite = |x: f64| Some(x).filter(|x| x.is_finite());
    (finite(entropy), finite(kl.max(0.0)))
}

fn stages(ready: &Ready<'_>, trace: &[StageTrace]) -> Vec<StageLook> {
    let did = |told: &StageTrace| Did {
        before: told.before,
        after: told.after,
        removed_mass: told.removed_mass,
        entropy_after: told.entropy_after,
        ties: told.ties,
    };
    let mut all: Vec<StageLook> = ready
        .whole
        .stages()
        .iter()
        .enumerate()
        .map(|(i, stage)| {
            let on = ready.on.iter().position(|&place| place == i);
            let settings = stage.settings().map(|settings| settings.to_string());
            StageLook {
                name: stage.name().to_owned(),
                shown: settings.unwrap_or_else(|| stage.name().to_owned()),
                off: on.is_none(),
                did: on.and_then(|on| trace.get(on)).map(did),
            }
        })
        .collect();
    let selector = ready.pipeline.selector();
    let settings = selector.settings().map(|settings| settings.to_string());
    all.push(StageLook {
        name: selector.name().to_owned(),
        shown: settings.unwrap_or_else(|| selector.name().to_owned()),
        off: false,
        did: trace.get(ready.on.len()).map(did),
    });
    all
}
