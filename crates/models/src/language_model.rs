//! The seam between a program that decodes and whatever computes the logits.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;

use crate::error::{ModelError, StateError};
use crate::observe::{Observable, Observer};

/// A language model: tokens in, logits out, with what it remembers kept outside in a [`State`].
///
/// The weights are behind `&self`, so one model serves any number of states at once. Implement it
/// to drive another engine; refuse with [`StateError::Unsupported`] what that engine cannot do, and
/// say so in [`capabilities`](Self::capabilities).
pub trait LanguageModel: Debug + Send + Sync {
    /// What the config calls this kind of model, such as `llama`.
    fn family(&self) -> &str;

    /// Width of a row of logits; token ids are below it.
    fn vocab_size(&self) -> usize;

    /// Most tokens that a row can hold.
    fn context_length(&self) -> usize;

    /// What the model and its states can do.
    fn capabilities(&self) -> Capabilities;

    /// An empty state, without rows.
    fn new_state(&self) -> Box<dyn State>;

    /// Appends tokens to rows of `state` and computes the logits that follow them.
    ///
    /// Each piece of work names another row; rows may hold, and be given, different numbers of
    /// tokens. `outputs` is overwritten; its buffer is used again.
    ///
    /// # Errors
    ///
    /// When a piece of work has no tokens, names a token beyond the vocabulary, overflows the
    /// context, or names a row that is unknown or named twice; when `state` belongs to another
    /// model; and when the computation fails. After an error every row is as it was before, and
    /// what `outputs` holds is unspecified.
    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError>;

    /// What [`forward_observed`](Self::forward_observed) can show; `None` if the model shows nothing.
    fn observable(&self) -> Option<Observable> {
        None
    }

    /// As [`forward`](Self::forward), to the bit, and shows `observer` what it wants to see of what
    /// is computed on the way.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward); [`ModelError::NotObservable`] where
    /// [`observable`](Self::observable) is `None`. An observer may have seen some of what was
    /// computed ahead of an error.
    fn forward_observed(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        let _ = (state, work, outputs, observer);
        Err(ModelError::NotObservable)
    }

    /// The logits that the last norm and the head make of a hidden state between two layers, as an observer
    /// is shown it: what the model would say if it ended there.
    ///
    /// # Errors
    ///
    /// [`ModelError::NotObservable`] where [`observable`](Self::observable) is `None`; when the state has
    /// another width, and when the computation fails.
    fn read_out(&self, hidden: &[f32]) -> Result<Vec<f32>, ModelError> {
        let _ = hidden;
        Err(ModelError::NotObservable)
    }
}

/// What a model remembers: rows of tokens, each addressed by its [`RowId`].
///
/// A state belongs to the model that made it and is given to no other. Ids are never used twice
/// within one state, so an id that was dropped stays unknown.
pub trait State: Any + Debug + Send {
    /// Adds an empty row.
    fn new_row(&mut self) -> RowId;

    /// Adds a row that continues from what `row` holds; the two are independent from then on.
    ///
    /// # Errors
    ///
    /// When the row is unknown, or the engine cannot fork.
    fn fork(&mut self, row: RowId) -> Result<RowId, StateError>;

    /// Replaces all rows by a new generation, as a beam search does: the `i`-th new row continues
    /// from `parents[i]`. A parent may be named any number of times; those not named are dropped,
    /// and every earlier id becomes unknown.
    ///
    /// # Errors
    ///
    /// When a parent is unknown, or the engine cannot reorder. The rows are then as before.
    fn reorder(&mut self, parents: &[RowId]) -> Result<Vec<RowId>, StateError>;

    /// Forgets all but the first `len` tokens of a row.
    ///
    /// # Errors
    ///
    /// When the row is unknown or holds fewer than `len` tokens, or the engine cannot go back.
    fn truncate(&mut self, row: RowId, len: usize) -> Result<(), StateError>;

    /// Removes a row.
    ///
    /// # Errors
    ///
    /// When the row is unknown.
    fn drop_row(&mut self, row: RowId) -> Result<(), StateError>;

    /// How many tokens a row holds.
    ///
    /// # Errors
    ///
    /// When the row is unknown.
    fn len(&self, row: RowId) -> Result<usize, StateError>;

    /// Memory in use for all rows, in bytes; what rows share counts once.
    fn bytes(&self) -> usize;
}

/// Names a row of a [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(u64);

impl RowId {
    /// The row that an engine knows by this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number given to [`new`](Self::new).
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One row's share of a [`forward`](LanguageModel::forward) call.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// The row to append to.
    pub row: RowId,
    /// The tokens to append; at least one.
    pub tokens: &'a [u32],
    /// Which logits to return.
    pub want: Want,
}

/// Which logits a piece of [`Work`] is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Want {
    /// Those that follow the last token.
    Last,
    /// Those that follow each token.
    All,
}

impl Want {
    /// How many rows of logits it means for a piece of work of `tokens` tokens.
    pub fn positions(self, tokens: usize) -> usize {
        match self {
            Self::Last => 1,
            Self::All => tokens,
        }
    }
}

/// What a [`LanguageModel`] can do beyond appending to rows one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "independent yes-or-no answers")]
pub struct Capabilities {
    /// [`State::fork`] works.
    pub fork: bool,
    /// [`State::truncate`] works.
    pub truncate: bool,
    /// [`State::reorder`] works.
    pub reorder: bool,
    /// [`Want::All`] works.
    pub all_positions: bool,
    /// One call may carry work for several rows.
    pub batch: bool,
    /// The logits of a row have the same bits whatever else is in the call, and however its tokens
    /// are cut into calls.
    pub batch_invariant: bool,
}

impl Capabilities {
    /// Everything that an engine can be asked to do. That it is batch invariant it has to say itself.
    pub const ALL: Self = Self {
        fork: true,
        truncate: true,
        reorder: true,
        all_positions: true,
        batch: true,
        batch_invariant: false,
    };

    /// Nothing: where an engine that can do little starts from.
    pub const NONE: Self = Self {
        fork: false,
        truncate: false,
        reorder: false,
        all_positions: false,
        batch: false,
        batch_invariant: false,
    };
}

/// Where [`forward`](LanguageModel::forward) leaves the logits: a buffer to be used again and again.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    logits: Vec<f32>,
    /// The part of `logits` that belongs to each piece of work.
    parts: Vec<Range<usize>>,
    vocab_size: usize,
}

impl Outputs {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The logits of the `i`-th piece of work, `[positions, vocab_size]`, row after row: as many
    /// positions as its [`Want`] means.
    ///
    /// # Panics
    ///
    /// When the last call had no `i`-th piece of work.
    pub fn logits(&self, i: usize) -> &[f32] {
        &self.logits[self.parts[i].clone()]
    }

    /// The logits that follow the last token of the `i`-th piece of work, `[vocab_size]`.
    ///
    /// # Panics
    ///
    /// When the last call had no `i`-th piece of work.
    pub fn last(&self, i: usize) -> &[f32] {
        let end = self.parts[i].end;
        &self.logits[end - self.vocab_size..end]
    }

    /// For engines: makes room for each piece of `work`. The numbers there are left over from
    /// earlier calls until [`logits_mut`](Self::logits_mut) is written.
    pub fn reset(&mut self, vocab_size: usize, work: &[Work<'_>]) {
        self.vocab_size = vocab_size;
        self.parts.clear();
        let mut end = 0;
        for piece in work {
            let start = end;
            end += piece.want.positions(piece.tokens.len()) * vocab_size;
            self.parts.push(start..end);
        }
        self.logits.resize(end, 0.0);
    }

    /// For engines: the place of what [`logits`](Self::logits) returns.
    ///
    /// # Panics
    ///
    /// When [`reset`](Self::reset) was given no `i`-th piece of work.
    pub fn logits_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.logits[self.parts[i].clone()]
    }
}
