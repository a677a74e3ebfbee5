//! The distribution that a token was chosen from, beside the model's own.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use taper_sampling::{Selection, StageError};

use crate::error::RunError;

/// The distribution that the selector saw, its own truncation included, chosen from greedily or not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Drawn {
    /// Its entropy (nats).
    pub entropy: Option<f64>,
    /// Its Kullback-Leibler divergence (nats) from the model's own distribution; `None` where the model
    /// gave a token that can be drawn no probability.
    pub kl: Option<f64>,
    /// The most likely tokens, best first, equals by lower id: as many as there are of the model's best.
    #[serde(default)]
    pub top: Vec<DrawnToken>,
}

/// A token that can be drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrawnToken {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Its share of what the selector saw.
    pub probability: f64,
    /// Its log-probability (nats) under the model itself; `None` where that gave it none.
    pub logprob: Option<f64>,
    /// Where it stood in the model's row and then after each stage, from 1, if a trace was asked for;
    /// `None` where it could not be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Option<usize>>,
}

/// The tokens that could be drawn at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeptSet {
    /// Their ids, ascending.
    #[serde(rename = "kept_ids")]
    pub ids: Vec<u32>,
    /// The logarithm (nats) of the probability of each, as the selector saw it.
    #[serde(rename = "kept_logprobs")]
    pub logprobs: Vec<f64>,
    /// The logarithm of the sum of `exp(score)` over them: with a log-probability it makes the score that
    /// the stages left.
    pub log_normaliser: f64,
}

/// The kept sets of all steps of a run, in flat arrays: step `i` has the entries
/// `offsets[i]..offsets[i + 1]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeptSets {
    /// Where each step begins, and after the last one the end: one more than there are steps.
    pub offsets: Vec<usize>,
    /// The ids of each step, ascending.
    pub ids: Vec<u32>,
    /// The logarithm (nats) of the probability of each id, as the selector saw it.
    pub logprobs: Vec<f64>,
    /// Of each step, the logarithm of the sum of `exp(score)`; `None` for a step without a kept set.
    pub log_normalisers: Vec<Option<f64>>,
}

impl KeptSets {
    /// Puts the sets of the steps of a run one after the other; a step without one is empty.
    pub fn of<'s>(steps: impl IntoIterator<Item = Option<&'s KeptSet>>) -> Self {
        let mut all = Self { offsets: vec![0], ..Self::default() };
        for set in steps {
            if let Some(set) = set {
                all.ids.extend(&set.ids);
                all.logprobs.extend(&set.logprobs);
            }
            all.log_normalisers.push(set.map(|set| set.log_normaliser));
            all.offsets.push(all.ids.len());
        }
        all
    }

    /// The set of a step, from 0; `None` beyond the last, and where there is none.
    pub fn step(&self, step: usize) -> Option<KeptSet> {
        let (&from, &to) = (self.offsets.get(step)?, self.offsets.get(step + 1)?);
        Some(KeptSet {
            ids: self.ids.get(from..to)?.to_vec(),
            logprobs: self.logprobs.get(from..to)?.to_vec(),
            log_normaliser: (*self.log_normalisers.get(step)?)?,
        })
    }
}

/// What the stages left of a row.
pub(crate) struct Left {
    /// The tokens that can be drawn with their log-probabilities, ids ascending.
    kept: Vec<(u32, f64)>,
    log_normaliser: f64,
}

impl Left {
    /// What the selector of a step saw.
    pub(crate) fn of(selection: &mut Selection<'_>) -> Result<Self, StageError> {
        let normaliser = selection.candidates().normaliser()?;
        let kept = selection.kept_tokens();
        let kept = kept.into_iter().map(|(id, score)| (id, normaliser.log_probability(score)));
        Ok(Self { kept: kept.collect(), log_normaliser: normaliser.log_norm() })
    }

    /// Its numbers; `own` is the log-probability that the model gives a token.
    pub(crate) fn drawn(
        &self,
        top: usize,
        own: impl Fn(u32) -> Option<f64>,
        text: impl Fn(u32) -> Result<String, RunError>,
    ) -> Result<Drawn, RunError> {
        let likely = || self.kept.iter().map(|&(id, log)| (id, log, log.exp()));
        let likely = || likely().filter(|&(.., share)| share > 0.0);
        let entropy = -likely().map(|(_, log, share)| share * log).sum::<f64>();
        let apart = |(id, log, share): (u32, f64, f64)| Some(share * (log - own(id)?));
        // Of equal distributions rounding leaves a few units in the last place on either side of 0.
        let kl = likely().map(apart).sum::<Option<f64>>().map(|kl| kl.max(0.0));
        let top = self.best(top).into_iter().map(|(token, log)| {
            let (probability, logprob) = (log.exp(), own(token));
            Ok(DrawnToken { token, text: text(token)?, probability, logprob, ranks: Vec::new() })
        });
        Ok(Drawn {
            entropy: Some(entropy.max(0.0)),
            kl,
            top: top.collect::<Result<_, RunError>>()?,
        })
    }

    fn best(&self, count: usize) -> Vec<(u32, f64)> {
        let order = |a: &(u32, f64), b: &(u32, f64)| {
            b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
        };
        let mut all = self.kept.clone();
        if count == 0 {
            return Vec::new();
        }
        if count < all.len() {
            all.select_nth_unstable_by(count - 1, order);
            all.truncate(count);
        }
        all.sort_unstable_by(order);
        all
    }

    /// All of it.
    pub(crate) fn kept_set(&self) -> KeptSet {
        let (ids, logprobs) = self.kept.iter().copied().unzip();
        KeptSet { ids, logprobs, log_normaliser: self.log_normaliser }
    }
}
