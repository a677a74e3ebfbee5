//! One step: the stages over a row, and the selector's choice.
//!
//! ```text
//! candidates = all tokens of the row
//! what was asked of the untouched row is read off it
//! the step's own mask, then each stage in order, edits or cuts
//! token = selector(candidates)
//! with a trace: the same once more, with an account at every stage (traced.rs)
//! ```

use alloc::string::ToString;
use alloc::vec::Vec;

use super::definition::Pipeline;
use super::traced::ALLOWED;
use super::{Allowed, Ask, SelectError, Selection, Step, Workspace};
use crate::candidates::{Buffers, Candidates, Normaliser};
use crate::error::StageError;
use crate::logits::Logits;
use crate::sequence::{Draws, SequenceError};
use crate::stage::StepContext;

impl Pipeline {
    /// The candidates that the stages leave of a row, scores as the selector would see them.
    ///
    /// # Errors
    ///
    /// [`SelectError::RowLength`], or [`SelectError::UnknownToken`] and [`SelectError::ListedTwice`]
    /// for a list; [`SelectError::Sequence`] for the memory of another pipeline; and
    /// [`SelectError::Stage`] naming the stage that refused.
    pub fn process<'w>(
        &self,
        logits: impl Into<Logits<'w>>,
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Candidates<'w>, SelectError> {
        self.process_first(self.stages().len(), logits, step, workspace)
    }

    /// The candidates as the first `count` stages leave them, all stages if there are no more: for a
    /// look between two stages. With [`Pipeline::process`] as the last of them.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::process`].
    pub fn process_first<'w>(
        &self,
        count: usize,
        logits: impl Into<Logits<'w>>,
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Candidates<'w>, SelectError> {
        let vocab_size = workspace.vocab_size();
        let mut candidates = self.begin(logits.into(), vocab_size, step, &mut workspace.buffers)?;
        self.run_first(count, &mut candidates, step)?;
        Ok(candidates)
    }

    /// One token from a row of logits.
    ///
    /// The row is read only. Nothing is allocated once the workspace has served one step with
    /// the same [`Ask`].
    ///
    /// # Errors
    ///
    /// As [`Pipeline::process`], and of the selector; no token is made up then.
    pub fn select<'w>(
        &self,
        logits: impl Into<Logits<'w>>,
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        self.select_by(logits.into(), step, workspace, |candidates| self.choose(candidates, step))
    }

    /// As [`select`](Self::select), with the last step left to the caller.
    pub(crate) fn select_by<'w>(
        &self,
        logits: Logits<'w>,
        step: &Step<'_>,
        workspace: &'w mut Workspace,
        choose: impl FnOnce(&mut Candidates<'w>) -> Result<u32, SelectError>,
    ) -> Result<Selection<'w>, SelectError> {
        let vocab_size = workspace.vocab_size();
        let Workspace { buffers, trace, top, .. } = workspace;
        let ask = step.given.ask;
        let mut candidates = self.begin(logits, vocab_size, step, buffers)?;
        let raw = RawRow::read(&mut candidates, ask, top);
        self.run(&mut candidates, step)?;
        let token = choose(&mut candidates)?;
        if ask.trace {
            candidates.run_again();
            self.run_traced(&mut candidates, step, token, trace)?;
            candidates.has_run_again();
        }
        let wants_probability = ask.probability || step.remembers();
        let selector_failed = |source| failed(self.selector().name(), source);
        Ok(Selection {
            token,
            logprob: raw.norm.zip(logits.get(token)).map(|(norm, x)| norm.log_probability(x)),
            rank: raw
                .norm
                .and(logits.get(token))
                .map(|logit| logits.rank(token, logit, candidates.row_block_max())),
            entropy: raw.entropy,
            probability: if wants_probability {
                Some(candidates.probability(token).map_err(selector_failed)?)
            } else {
                None
            },
            kept: ask.kept.then(|| candidates.eligible()),
            top,
            trace: ask.trace.then_some(trace),
            row_normaliser: raw.norm,
            candidates,
            kept_tokens_asked: ask.kept_tokens,
        })
    }

    fn run(&self, candidates: &mut Candidates<'_>, step: &Step<'_>) -> Result<(), SelectError> {
        self.run_first(self.stages().len(), candidates, step)
    }

    fn run_first(
        &self,
        count: usize,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
    ) -> Result<(), SelectError> {
        allow_only(candidates, step)?;
        for (index, stage) in self.stages().iter().take(count).enumerate() {
            stage
                .apply(candidates, &Self::context(step, index))
                .map_err(|source| failed(stage.name(), source))?;
        }
        Ok(())
    }

    pub(super) fn choose(
        &self,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
    ) -> Result<u32, SelectError> {
        self.selector()
            .select(candidates, &Self::context(step, self.stages().len()))
            .map_err(|source| failed(self.selector().name(), source))
    }

    pub(super) fn context<'s>(step: &Step<'s>, slot: usize) -> StepContext<'s> {
        let memory = step.memory.and_then(|memory| memory.slot(slot));
        StepContext::new(step.history, Draws::new(step.key), memory, step.given.unconditional)
    }

    /// The candidates of a step, before its first stage.
    fn begin<'w>(
        &self,
        logits: Logits<'w>,
        vocab_size: usize,
        step: &Step<'_>,
        buffers: &'w mut Buffers,
    ) -> Result<Candidates<'w>, SelectError> {
        if step.memory.is_some_and(|memory| !memory.belongs_to(self)) {
            return Err(SequenceError::ForeignPipeline.into());
        }
        logits.check(vocab_size)?;
        buffers.recorder.start_step(false);
        let candidates = Candidates::of(logits, vocab_size, Draws::new(step.key), buffers);
        match candidates.listed_twice() {
            Some(id) => Err(SelectError::ListedTwice { id }),
            None => Ok(candidates),
        }
    }
}

pub(super) fn failed(stage: &str, source: StageError) -> SelectError {
    SelectError::Stage { stage: stage.to_string(), source }
}

/// Bans what the step's own mask does not allow.
pub(super) fn allow_only(
    candidates: &mut Candidates<'_>,
    step: &Step<'_>,
) -> Result<(), SelectError> {
    let allowed = match step.given.allowed {
        Allowed::All => return Ok(()),
        Allowed::Bits(bits) => candidates.mask(bits),
        Allowed::Ids(ids) => candidates.allow(ids),
    };
    allowed.map_err(|source| failed(ALLOWED, source))
}

/// What was asked of the untouched row.
struct RawRow {
    norm: Option<Normaliser>,
    entropy: Option<f64>,
}

impl RawRow {
    /// A row with NaN or +∞ has no distribution to report; whether a token can still be chosen
    /// is for the stages to say.
    fn read(candidates: &mut Candidates<'_>, ask: Ask, top: &mut Vec<(u32, f64)>) -> Self {
        top.clear();
        let mut raw = Self { norm: None, entropy: None };
        if ask.entropy {
            raw.entropy = candidates.entropy().ok();
        }
        if ask.logprob {
            raw.norm = candidates.normaliser().ok();
        }
        if ask.top_logprobs > 0 && candidates.untouched_top(ask.top_logprobs, top).is_err() {
            top.clear();
        }
        raw
    }
}
