//! Allowed tokens: these and no others, at every step.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::stage::{Role, Stage, StageError, StepContext};

/// Bans every token that is not in the list.
///
/// For a list that changes from step to step, as a grammar's does, see
/// [`Constraint`](crate::Constraint).
///
/// # Ties
///
/// A ban; none to break.
///
/// # NaN and infinities
///
/// A banned token's score becomes −∞, whatever it was; the others are not looked at.
///
/// # Differences
///
/// vLLM's rule; it applies it before everything else.
///
/// # Complexity
///
/// One pass; a bit per token of the vocabulary.
///
/// # Example
///
/// ```
/// # use taper_sampling::*;
/// let pipeline = Pipeline::greedy().then(AllowedTokens::new(&[0, 1], 3)?);
/// let step = Step::new(DrawKey::new(0));
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// vLLM 0.33, `allowed_token_ids`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTokens {
    bits: Vec<u32>,
}

/// Why an [`AllowedTokens`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowedTokensError {
    /// No tokens.
    #[error("allowed_tokens is empty; allow at least one token, or leave the stage out")]
    Nothing,
    /// A token that does not exist.
    #[error("allowed_tokens names token {id}, which is outside the vocabulary of {vocab_size}")]
    UnknownToken {
        /// The token.
        id: u32,
        /// The vocabulary's size.
        vocab_size: usize,
    },
}

impl AllowedTokens {
    /// Allows these tokens of a vocabulary.
    ///
    /// # Errors
    ///
    /// [`AllowedTokensError`] without tokens, or for one outside the vocabulary.
    pub fn new(ids: &[u32], vocab_size: usize) -> Result<Self, AllowedTokensError> {
        if ids.is_empty() {
            return Err(AllowedTokensError::Nothing);
        }
        let mut bits = alloc::vec![0; vocab_size.div_ceil(32)];
        for &id in ids {
            if id as usize >= vocab_size {
                return Err(AllowedTokensError::UnknownToken { id, vocab_size });
            }
            bits[id as usize / 32] |= 1 << (id % 32);
        }
        Ok(Self { bits })
    }
}

impl Stage for AllowedTokens {
    fn name(&self) -> &'static str {
        "allowed_tokens"
    }

    fn role(&self) -> Role {
        Role::Ban
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.mask(&self.bits)
    }
}
