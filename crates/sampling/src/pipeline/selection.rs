//! The outcome of a step.

use alloc::vec::Vec;
use core::fmt;

use crate::candidates::{Candidates, Normaliser};
use crate::pipeline::Trace;
use crate::sequence::Accepted;

/// The token, and what was asked for. Borrows the workspace of the step; [`Choice`](crate::Choice) is
/// the same without a borrow.
pub struct Selection<'w> {
    /// The token.
    pub token: u32,
    /// Its log-probability (nats) in the untouched row. `None` if not asked for, or if the row has
    /// none because it holds NaN or +∞.
    pub logprob: Option<f64>,
    /// Its place in the untouched row, from 1, equals by lower id. `None` like `logprob`.
    pub rank: Option<usize>,
    /// The entropy (nats) of the untouched row. `None` if not asked for, or if the row has none.
    pub entropy: Option<f64>,
    /// Its share of the distribution the selector saw, chosen greedily or not.
    pub probability: Option<f64>,
    /// How many tokens the selector could have chosen: neither removed nor banned.
    pub kept: Option<usize>,
    /// The best tokens of the untouched row with their log-probabilities, best first.
    pub top: &'w [(u32, f64)],
    /// What each stage did.
    pub trace: Option<&'w Trace>,
    /// What turns logits of the untouched row into log-probabilities. `None` like `logprob`.
    pub row_normaliser: Option<Normaliser>,
    pub(crate) candidates: Candidates<'w>,
    pub(crate) kept_tokens_asked: bool,
}

impl fmt::Debug for Selection<'_> {
    /// The workspace that it borrows has as many numbers as the vocabulary has tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("token", &self.token)
            .field("logprob", &self.logprob)
            .field("rank", &self.rank)
            .field("entropy", &self.entropy)
            .field("probability", &self.probability)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl<'w> Selection<'w> {
    /// The tokens that the selector could have chosen, ids ascending, with their scores.
    pub fn kept_tokens(&self) -> Vec<(u32, f32)> {
        let mut kept = Vec::new();
        self.candidates.for_each(|id, score| {
            if score > f32::NEG_INFINITY {
                kept.push((id, score));
            }
        });
        kept
    }

    /// What the token was chosen from: the kept set with its scores, its
    /// [`normaliser`](Candidates::normaliser), probabilities. A selector that cuts before it chooses has
    /// done so.
    pub fn candidates(&mut self) -> &mut Candidates<'w> {
        &mut self.candidates
    }

    /// The index of the stage that removed or banned a token, which is the number of stages if the
    /// selector did, and one more if the step's own mask did; `None` if it was still in the running, or if no trace was asked for.
    pub fn removed_by(&mut self, token: u32) -> Option<usize> {
        self.trace?;
        self.candidates.removed_by(token)
    }

    /// What to tell the sequence's [`Memory`](crate::Memory).
    pub fn accepted(&self) -> Accepted {
        Accepted { token: self.token, probability: self.probability }
    }
}
