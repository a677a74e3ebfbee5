//! Stages in order, and a selector at the end.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::ask::{Allowed, Ask, Step};
use crate::candidates::{Buffers, Candidates, Census, Normaliser};
use crate::data::{PipelineError, Settings};
use crate::kernels::exp;
use crate::lint::{Lint, lints};
use crate::logits::Logits;
use crate::select_error::SelectError;
use crate::selection::Selection;
use crate::selectors::{Draw, Greedy, Selector};
use crate::sequence::{Draws, Memory, SequenceError};
use crate::stage::{Stage, StageError, StepContext};
use crate::trace::{StageTrace, Trace};
use crate::workspace::Workspace;

/// An ordered list of stages and the selector that follows them.
///
/// Shared by any number of sequences: what belongs to one (history, memory, key) is in its
/// [`Sequence`](crate::Sequence). A clone is the same pipeline and costs nothing; one that is then
/// extended is another.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw()
///     .then(Temperature::new(0.8)?)
///     .then(TopK::new(50)?)
///     .then(TopP::new(0.9)?);
/// assert_eq!(pipeline.to_string(), "temperature 0.8 → top_k 50 → top_p 0.9 → draw");
///
/// let mut sampler = Sampler::new(pipeline, 4).seed(7);
/// let token = sampler.next(&[1.0, 3.5, 0.2, 3.1])?;
/// assert!(token == 1 || token == 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pipeline {
    parts: Arc<Parts>,
}

#[derive(Clone)]
struct Parts {
    stages: Vec<Arc<dyn Stage>>,
    selector: Arc<dyn Selector>,
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

    /// No stages yet, and this selector at the end. One that is chosen at run time may come in a `Box`
    /// or an `Arc`.
    pub fn selecting(selector: impl Selector + 'static) -> Self {
        let parts = Parts { stages: Vec::new(), selector: Arc::new(selector) };
        Self { parts: Arc::new(parts) }
    }

    /// Appends a stage. One that is chosen at run time may come in a `Box` or an `Arc`.
    #[must_use]
    pub fn then(mut self, stage: impl Stage + 'static) -> Self {
        self.push(stage);
        self
    }

    /// As [`then`](Self::then).
    pub fn push(&mut self, stage: impl Stage + 'static) {
        Arc::make_mut(&mut self.parts).stages.push(Arc::new(stage));
    }

    /// Puts a stage before the one at `index`, or at the end.
    ///
    /// # Panics
    ///
    /// When `index` is beyond the number of stages.
    pub fn insert(&mut self, index: usize, stage: impl Stage + 'static) {
        Arc::make_mut(&mut self.parts).stages.insert(index, Arc::new(stage));
    }

    /// The stages in order.
    pub fn stages(&self) -> &[Arc<dyn Stage>] {
        &self.parts.stages
    }

    /// The selector.
    pub fn selector(&self) -> &dyn Selector {
        &*self.parts.selector
    }

    /// The same selector without stages.
    #[must_use]
    pub fn selecting_alone(&self) -> Self {
        let parts = Parts { stages: Vec::new(), selector: Arc::clone(&self.parts.selector) };
        Self { parts: Arc::new(parts) }
    }

    /// Whether `other` is this pipeline or a clone of it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
    }

    /// What is wrong with the pipeline, if it can not mean what it says.
    pub fn lints(&self) -> Vec<Lint> {
        lints(self.stages(), self.selector())
    }

    /// What the stages and the selector say of their settings.
    ///
    /// # Errors
    ///
    /// [`PipelineError::NotData`] for one that cannot be written down.
    pub fn described(&self) -> Result<(Vec<Settings>, Settings), PipelineError> {
        let not_data = |name: &str| PipelineError::NotData { stage: name.to_string() };
        let stages = self.stages().iter();
        let stages = stages.map(|stage| stage.settings().ok_or_else(|| not_data(stage.name())));
        let selector = self.selector();
        Ok((
            stages.collect::<Result<_, _>>()?,
            selector.settings().ok_or_else(|| not_data(selector.name()))?,
        ))
    }

    /// A fresh memory for a new sequence.
    pub fn new_memory(&self) -> Memory {
        Memory::of(self)
    }

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
        allow(candidates, step)?;
        for (index, stage) in self.stages().iter().take(count).enumerate() {
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
        if !matches!(step.given.allowed, Allowed::All) {
            // It has an entry like a stage, and the number behind the selector's.
            candidates.probe().start_stage(self.stages().len() + 1);
            let entry = trace.next(ALLOWED);
            entry.received(&census);
            (entry.rank_before, entry.probability_before) = standing(candidates, winner, &census);
            allow(candidates, step)?;
            census = candidates.census();
            entry.left(&census);
            entry.removed_mass = candidates.probe().removed_mass();
        }
        for (index, stage) in self.stages().iter().enumerate() {
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
        if self.selector().truncates() {
            let entry = trace.next(self.selector().name());
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
        candidates.probe().start_stage(self.stages().len());
        entry.received(&census);
        (entry.rank_before, entry.probability_before) = standing(candidates, winner, &census);
        self.choose(candidates, step)?;
        entry.left(&candidates.census());
        entry.removed_mass = candidates.probe().removed_mass();
        entry.ties = candidates.probe().ties();
        Ok(())
    }

    fn choose(&self, candidates: &mut Candidates<'_>, step: &Step<'_>) -> Result<u32, SelectError> {
        self.selector()
            .select(candidates, &Self::context(step, self.stages().len()))
            .map_err(|source| failed(self.selector().name(), source))
    }

    fn context<'s>(step: &Step<'s>, slot: usize) -> StepContext<'s> {
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
        buffers.probe.start_step(false);
        let candidates = Candidates::of(logits, vocab_size, Draws::new(step.key), buffers);
        match candidates.listed_twice() {
            Some(id) => Err(SelectError::ListedTwice { id }),
            None => Ok(candidates),
        }
    }
}

impl PartialEq for Pipeline {
    /// A pipeline equals its clones, and one that is made with the same settings where all of it is data.
    fn eq(&self, other: &Self) -> bool {
        let same = || Some(self.described().ok()? == other.described().ok()?);
        self.is(other) || same() == Some(true)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("stages", &self.parts.stages)
            .field("selector", &self.parts.selector)
            .finish()
    }
}

impl fmt::Display for Pipeline {
    /// The stages and the selector by name, each with the numbers that it was made with. The whole of it is
    /// in its JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |f: &mut fmt::Formatter<'_>, name: &str, settings: Option<Settings>| {
            f.write_str(name)?;
            settings.map_or(Ok(()), |settings| settings.write_numbers(f))
        };
        for stage in self.stages() {
            show(f, stage.name(), stage.settings())?;
            f.write_str(" → ")?;
        }
        show(f, self.selector().name(), self.selector().settings())
    }
}

fn failed(stage: &str, source: StageError) -> SelectError {
    SelectError::Stage { stage: stage.to_string(), source }
}

/// What a mask that came with the step is called by traces and errors.
const ALLOWED: &str = "allowed";

/// Bans what the step's own mask does not allow.
fn allow(candidates: &mut Candidates<'_>, step: &Step<'_>) -> Result<(), SelectError> {
    let allowed = match step.given.allowed {
        Allowed::All => return Ok(()),
        Allowed::Bits(bits) => candidates.mask(bits),
        Allowed::Ids(ids) => candidates.allow(ids),
    };
    allowed.map_err(|source| failed(ALLOWED, source))
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
