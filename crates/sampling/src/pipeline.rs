//! Stages in order, and a selector at the end.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use crate::ask::{Ask, Step};
use crate::candidates::{Buffers, Candidates, Census, Normaliser};
use crate::draws::Draws;
use crate::kernels::exp;
use crate::lint::{Lint, lints};
use crate::logits::Logits;
use crate::memory::Memory;
use crate::select_error::SelectError;
use crate::selection::Selection;
use crate::selectors::{Draw, Greedy, Selector};
use crate::stage::{Stage, StageError, StepContext};
use crate::trace::{StageTrace, Trace};
use crate::workspace::Workspace;

/// An ordered list of stages and the selector that follows them.
///
/// Immutable, `Send + Sync`, and shared by any number of sequences: what belongs to one sequence
/// (history, memory, key) comes with each [`Step`].
///
/// ```
/// use taper_sampling::*;
///
/// let pipeline = Pipeline::draw()
///     .then(Temperature::new(0.8)?)
///     .then(TopK::new(50)?)
///     .then(TopP::new(0.9)?);
/// assert_eq!(pipeline.to_string(), "temperature → top_k → top_p → draw");
///
/// let logits = [1.0, 3.5, 0.2, 3.1];
/// let mut workspace = Workspace::new(logits.len());
/// let token = pipeline.select(&logits, &Step::new(DrawKey::new(7)), &mut workspace)?.token;
/// assert!(token == 1 || token == 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pipeline {
    stages: Vec<Box<dyn Stage>>,
    selector: Box<dyn Selector>,
}

impl Pipeline {
    /// No stages yet, and the best candidate at the end, the lowest id among equals.
    pub fn greedy() -> Self {
        Self::selecting(Greedy::default())
    }

    /// No stages yet, and a draw at the end.
    pub fn draw() -> Self {
        Self::selecting(Draw)
    }

    /// No stages yet, and this selector at the end.
    pub fn selecting(selector: impl Selector + 'static) -> Self {
        Self::of(Box::new(selector))
    }

    /// No stages yet, and a selector chosen at run time.
    pub fn of(selector: Box<dyn Selector>) -> Self {
        Self { stages: Vec::new(), selector }
    }

    /// Appends a stage.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// Appends a stage chosen at run time.
    pub fn push(&mut self, stage: Box<dyn Stage>) {
        self.stages.push(stage);
    }

    /// Puts a stage chosen at run time before the one at `index`, or at the end.
    ///
    /// # Panics
    ///
    /// When `index` is beyond the number of stages.
    pub fn insert(&mut self, index: usize, stage: Box<dyn Stage>) {
        self.stages.insert(index, stage);
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Box<dyn Stage>] {
        &self.stages
    }

    /// The selector.
    pub fn selector(&self) -> &dyn Selector {
        &*self.selector
    }

    /// What is wrong with the pipeline, if it can not mean what it says.
    pub fn lints(&self) -> Vec<Lint> {
        lints(&self.stages, self.selector())
    }

    /// A fresh memory for a new sequence.
    pub fn new_memory(&self) -> Memory {
        let mut slots: Vec<_> = self.stages.iter().map(|stage| stage.new_memory()).collect();
        slots.push(self.selector.new_memory());
        Memory::from_slots(slots)
    }

    /// The candidates that the stages leave of a row, scores as the selector would see them.
    ///
    /// # Errors
    ///
    /// [`SelectError::RowLength`], and [`SelectError::Stage`] naming the stage that refused.
    pub fn process<'w>(
        &self,
        logits: &'w [f32],
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Candidates<'w>, SelectError> {
        self.process_from(Logits::F32(logits), step, workspace)
    }

    /// As [`Pipeline::process`], of logits in any form.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::process`], and [`SelectError::UnknownToken`] and [`SelectError::ListedTwice`]
    /// for a list.
    pub fn process_from<'w>(
        &self,
        logits: Logits<'w>,
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Candidates<'w>, SelectError> {
        let vocab_size = workspace.vocab_size();
        let mut candidates = begin(logits, vocab_size, step, &mut workspace.buffers)?;
        self.run(&mut candidates, step)?;
        Ok(candidates)
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
        logits: &'w [f32],
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Candidates<'w>, SelectError> {
        let vocab_size = workspace.vocab_size();
        let mut candidates = begin(Logits::F32(logits), vocab_size, step, &mut workspace.buffers)?;
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
    /// [`SelectError::RowLength`], and [`SelectError::Stage`] naming the stage or selector that
    /// refused. No token is made up in either case.
    pub fn select<'w>(
        &self,
        logits: &'w [f32],
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        self.select_from(Logits::F32(logits), step, workspace)
    }

    /// As [`Pipeline::select`], of logits in any form.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::select`], and [`SelectError::UnknownToken`] and [`SelectError::ListedTwice`]
    /// for a list.
    pub fn select_from<'w>(
        &self,
        logits: Logits<'w>,
        step: &Step<'_>,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        self.select_by(logits, step, workspace, |candidates| self.choose(candidates, step))
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
        let ask = step.ask;
        let mut candidates = begin(logits, vocab_size, step, buffers)?;
        let raw = RawRow::read(&mut candidates, ask, top);
        self.run(&mut candidates, step)?;
        let token = choose(&mut candidates)?;
        if ask.trace {
            candidates.run_again();
            self.run_traced(&mut candidates, step, token, trace)?;
            candidates.has_run_again();
        }
        let wants_probability = ask.probability || !step.memory.is_empty();
        let selector_failed = |source| failed(self.selector.name(), source);
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
            candidates,
        })
    }

    fn run(&self, candidates: &mut Candidates<'_>, step: &Step<'_>) -> Result<(), SelectError> {
        self.run_first(self.stages.len(), candidates, step)
    }

    fn run_first(
        &self,
        count: usize,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
    ) -> Result<(), SelectError> {
        for (index, stage) in self.stages.iter().take(count).enumerate() {
            stage
                .apply(candidates, &Self::context(step, index))
                .map_err(|source| failed(stage.name(), source))?;
        }
        Ok(())
    }

    /// Runs the stages once more, now that the winner is known, with an account at every stage.
    ///
    /// A pipeline is a function of row, history, memory and key, so the second run repeats the
    /// first; that spares the bare step an account, but for where its cuts by mass fell.
    fn run_traced(
        &self,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
        winner: u32,
        trace: &mut Trace,
    ) -> Result<(), SelectError> {
        trace.clear();
        candidates.probe().start_step(true);
        candidates.probe().start_stage(0);
        let mut census = candidates.census();
        for (index, stage) in self.stages.iter().enumerate() {
            candidates.probe().start_stage(index);
            let entry = trace.next(stage.name());
            entry.received(&census);
            (entry.rank_before, entry.probability_before) = standing(candidates, winner, &census);
            stage
                .apply(candidates, &Self::context(step, index))
                .map_err(|source| failed(stage.name(), source))?;
            census = candidates.census();
            entry.left(&census);
            entry.removed_mass = candidates.probe().removed_mass();
            entry.ties = candidates.probe().ties();
        }
        if self.selector.truncates() {
            let entry = trace.next(self.selector.name());
            self.trace_selector(candidates, step, winner, census, entry)?;
        }
        Ok(())
    }

    /// The account of a selector that cuts before it chooses; it chooses the winner again.
    fn trace_selector(
        &self,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
        winner: u32,
        census: Census,
        entry: &mut StageTrace,
    ) -> Result<(), SelectError> {
        candidates.probe().start_stage(self.stages.len());
        entry.received(&census);
        (entry.rank_before, entry.probability_before) = standing(candidates, winner, &census);
        self.choose(candidates, step)?;
        entry.left(&candidates.census());
        entry.removed_mass = candidates.probe().removed_mass();
        entry.ties = candidates.probe().ties();
        Ok(())
    }

    fn choose(&self, candidates: &mut Candidates<'_>, step: &Step<'_>) -> Result<u32, SelectError> {
        self.selector
            .select(candidates, &Self::context(step, self.stages.len()))
            .map_err(|source| failed(self.selector.name(), source))
    }

    fn context<'s>(step: &Step<'s>, slot: usize) -> StepContext<'s> {
        let memory = step.memory.slot(slot);
        StepContext::new(step.history, Draws::new(step.key), memory, step.unconditional)
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            write!(f, "{} → ", stage.name())?;
        }
        f.write_str(self.selector.name())
    }
}

fn failed(stage: &str, source: StageError) -> SelectError {
    SelectError::Stage { stage: stage.to_string(), source }
}

/// The candidates of a step, before its first stage.
fn begin<'w>(
    logits: Logits<'w>,
    vocab_size: usize,
    step: &Step<'_>,
    buffers: &'w mut Buffers,
) -> Result<Candidates<'w>, SelectError> {
    if let Logits::List(list) = logits {
        let outside = list.iter().find(|(id, _)| *id as usize >= vocab_size);
        if let Some(&(id, _)) = outside {
            return Err(SelectError::UnknownToken { id, vocab_size });
        }
    } else if logits.len() != vocab_size {
        return Err(SelectError::RowLength { row: logits.len(), workspace: vocab_size });
    }
    buffers.probe.start_step(false);
    let candidates = Candidates::of(logits, vocab_size, Draws::new(step.key), buffers);
    match candidates.listed_twice() {
        Some(id) => Err(SelectError::ListedTwice { id }),
        None => Ok(candidates),
    }
}

/// The winner's rank and probability among the candidates; `(0, NaN)` where there is no order.
fn standing(candidates: &mut Candidates<'_>, token: u32, census: &Census) -> (usize, f64) {
    let (Some((best, mass)), Some(score)) = (census.norm, candidates.get(token)) else {
        return (0, f64::NAN);
    };
    let rank = candidates.rank(token).ok().flatten().unwrap_or(0);
    (rank, exp(f64::from(score) - f64::from(best)) / mass.as_f64())
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
