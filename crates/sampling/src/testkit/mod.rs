//! What holds of a right sampler, as functions to run on yours.
//!
//! A [`Subject`] is whatever turns a row of logits and a key into a token: a closure will do, and ten
//! lines wrap a sampler of another crate. Each property is a function that makes its own rows from a
//! seed, tries to refute the claim, and answers with the first [`Violation`] it finds, which carries
//! the row. Nothing here is random from run to run.
//!
//! ```
//! use taper_sampling::testkit::*;
//!
//! // A sampler that skips what is banned, and takes a NaN for a number.
//! let mut best = |row: &[f32], _| {
//!     let unbanned = (0..row.len()).filter(|&id| row[id] != f32::NEG_INFINITY);
//!     let first = unbanned.rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
//!     Ok(first.ok_or("nothing to choose from")? as u32)
//! };
//! let rows = Rows::new(7).count(20);
//! replays(&mut best, &rows)?;
//! never_draws_banned(&mut best, &rows)?;
//!
//! let violation = refuses_bad_rows(&mut best).unwrap_err();
//! assert_eq!(violation.finding, Finding::Accepted { token: 0, flaw: Flaw::Nan });
//! # Ok::<(), Violation>(())
//! ```
//!
//! # The properties
//!
//! | of any sampler | |
//! |---|---|
//! | [`replays`] | a token depends on row and key alone |
//! | [`refuses_bad_rows`] | NaN, +∞, nothing but −∞ and an empty row yield no token |
//! | [`never_draws_banned`] | a token at −∞ is not drawn |
//! | [`is_greedy`] | top-k of 1, or whatever else should leave the best one |
//! | [`cold_is_greedy`] | a temperature towards 0, and at 0 if that is accepted |
//! | [`same_tokens`] | two samplers agree |
//! | [`follows`] | draws come at stated odds, tails included |
//!
//! | of a sampler that shows its [kept set](Subject::kept) | |
//! |---|---|
//! | [`draws_from_kept`] | the set is never empty, and the token is in it |
//! | [`only_cuts`] | a subset, scores untouched |
//! | [`is_identity`] | p = 1, k = V, T = 1: nothing changes |
//! | [`loosens`] | monotone in its knob |
//! | [`is_idempotent`] | top-k, min-p, epsilon; not top-p, which renormalises |
//! | [`composes`] | a cut sees only what the one before it left |
//! | [`is_shift_invariant`] | a constant added to every logit changes nothing |
//! | [`is_permutation_equivariant`] | token ids are names, up to ties |
//! | [`never_raises`] | penalties lower |
//! | [`same_sets`] | two samplers agree bit for bit, as lazy and eager temperature do |
//!
//! Whether a step allocates is for the caller to count: that takes the program's allocator.

mod distribution;
mod rows;
mod sets;
mod tokens;
mod violation;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::pipeline::{Pipeline, Step, Workspace};
use crate::sequence::{DrawKey, History, Sequence};

pub use distribution::{Trial, follows};
pub use rows::Rows;
pub use sets::{
    composes, draws_from_kept, is_idempotent, is_identity, is_permutation_equivariant,
    is_shift_invariant, loosens, never_raises, only_cuts, same_sets,
};
pub use tokens::{
    Equals, cold_is_greedy, is_greedy, never_draws_banned, refuses_bad_rows, replays, same_tokens,
};
pub use violation::{Finding, Flaw, Violation};

/// Why a sampler gave no token. `?` makes one of any error, and of a string.
pub type Refusal = Box<dyn core::error::Error + Send + Sync>;

/// A sampler under test: a row of logits and a key in, a token out.
///
/// Implemented by closures `FnMut(&[f32], DrawKey) -> Result<u32, Refusal>`, and for our own
/// pipelines by [`PipelineSampler`].
pub trait Subject {
    /// The token for a row. A sampler with a generator seeds it from the key, all three parts of it.
    ///
    /// # Errors
    ///
    /// The sampler's own, where it finds that the row has no token to give.
    fn token(&mut self, row: &[f32], key: DrawKey) -> Result<u32, Refusal>;

    /// The tokens that could have been drawn, each with the score it was drawn by, in any order.
    /// Banned ones are left out. A sampler that cannot say leaves this alone.
    ///
    /// # Errors
    ///
    /// As [`Subject::token`].
    fn kept(&mut self, row: &[f32], key: DrawKey) -> Result<Vec<(u32, f32)>, Refusal> {
        let _ = (row, key);
        Err(Refusal::from("this sampler does not show its kept set"))
    }
}

impl<F: FnMut(&[f32], DrawKey) -> Result<u32, Refusal>> Subject for F {
    fn token(&mut self, row: &[f32], key: DrawKey) -> Result<u32, Refusal> {
        self(row, key)
    }
}

/// A [`Pipeline`] under test, at one place of a sequence.
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::testkit::*;
/// let mut sampler = PipelineSampler::new(Pipeline::draw().then(TopK::new(1)?));
/// is_greedy(&mut sampler, Equals::LowestId, &Rows::new(7).count(20))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PipelineSampler {
    sequence: Sequence,
    workspace: Workspace,
}

impl PipelineSampler {
    /// The pipeline at the start of an empty text.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { sequence: Sequence::of(pipeline, DrawKey::new(0)), workspace: Workspace::new(0) }
    }

    /// The same after these tokens.
    #[must_use]
    pub fn history(self, history: &History) -> Self {
        let mut sequence = self.sequence.prompt(history.prompt());
        for &token in history.generated() {
            // A sequence takes any token until a step has said how large the vocabulary is.
            let taken = sequence.accept(token);
            debug_assert!(taken.is_ok());
        }
        Self { sequence, ..self }
    }

    fn fit(&mut self, len: usize) {
        if self.workspace.vocab_size() != len {
            self.workspace = Workspace::new(len);
        }
    }
}

impl Subject for PipelineSampler {
    fn token(&mut self, row: &[f32], key: DrawKey) -> Result<u32, Refusal> {
        self.fit(row.len());
        let step = Step { key, ..self.sequence.step() };
        Ok(self.sequence.pipeline().select(row, &step, &mut self.workspace)?.token)
    }

    fn kept(&mut self, row: &[f32], key: DrawKey) -> Result<Vec<(u32, f32)>, Refusal> {
        self.fit(row.len());
        let step = Step { key, ..self.sequence.step() };
        let mut chosen = self.sequence.pipeline().select(row, &step, &mut self.workspace)?;
        let mut kept = Vec::new();
        chosen.candidates().for_each(|id, score| {
            if score > f32::NEG_INFINITY {
                kept.push((id, score));
            }
        });
        Ok(kept)
    }
}
