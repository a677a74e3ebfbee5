//! Allowed tokens: these and no others, at every step.

use alloc::format;
use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

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
/// use taper_sampling::prelude::*;
///
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
    vocab_size: usize,
}

impl AllowedTokens {
    /// Allows these tokens of a vocabulary.
    ///
    /// # Errors
    ///
    /// [`SettingError`] without tokens, or for one outside the vocabulary.
    pub fn new(ids: &[u32], vocab_size: usize) -> Result<Self, SettingError> {
        if ids.is_empty() {
            return Err(SettingError::new(
                "ids",
                Vec::<u32>::new(),
                "a list of at least one token (leave the stage out to allow all)",
            )
            .called("allowed_tokens"));
        }
        let mut bits = alloc::vec![0; vocab_size.div_ceil(32)];
        for (at, &id) in ids.iter().enumerate() {
            if id as usize >= vocab_size {
                let domain = format!("below {vocab_size}, the size of the vocabulary");
                let refused = SettingError::new("ids", id, domain);
                return Err(refused.called(&format!("allowed_tokens[{at}]")));
            }
            bits[id as usize / 32] |= 1 << (id % 32);
        }
        Ok(Self { bits, vocab_size })
    }
}

impl Stage for AllowedTokens {
    fn name(&self) -> &'static str {
        "allowed_tokens"
    }

    fn settings(&self) -> Option<Settings> {
        let ids: Vec<u32> = (0..self.vocab_size as u32)
            .filter(|id| self.bits[*id as usize / 32] >> (id % 32) & 1 == 1)
            .collect();
        Some(Settings::new(self.name()).with("ids", ids).with("vocab_size", self.vocab_size))
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

impl Described for AllowedTokens {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let ids: Vec<u32> = arguments.required("ids")?;
        let vocab_size = arguments.required("vocab_size")?;
        arguments.built(Self::new(&ids, vocab_size))
    }
}
