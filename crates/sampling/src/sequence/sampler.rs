//! A sequence with all that it needs: what most programs want.

use super::{DrawKey, History, Sequence, SequenceError};
use crate::logits::Logits;
use crate::pipeline::{Given, Pipeline, SelectError, Selection, Workspace};

/// A [`Sequence`] and its [`Workspace`]: logits in, token out.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw().then(Temperature::new(0.8)?).then(TopP::new(0.9)?);
/// let mut sampler = Sampler::new(pipeline, 4).seed(7).prompt(&[2, 0]);
/// for _ in 0..3 {
///     let logits = [1.0, 3.5, 0.2, 3.1]; // from your model
///     println!("{}", sampler.next(&logits)?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sampler {
    sequence: Sequence,
    workspace: Workspace,
}

impl Sampler {
    /// A new sequence over a vocabulary of this size, under seed 0, without a prompt.
    pub fn new(pipeline: Pipeline, vocab_size: usize) -> Self {
        let sequence = Sequence::of(pipeline, DrawKey::new(0));
        Self { sequence, workspace: Workspace::new(vocab_size) }
    }

    /// The same under another seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.sequence.key.seed = seed;
        self
    }

    /// The same at the end of this prompt, with nothing generated. An id outside the vocabulary is
    /// refused by the first step.
    #[must_use]
    pub fn prompt(self, ids: &[u32]) -> Self {
        Self { sequence: self.sequence.prompt(ids), ..self }
    }

    /// The next token, accepted.
    ///
    /// # Errors
    ///
    /// As [`Sequence::select`]; nothing is accepted then.
    pub fn next<'r>(&mut self, logits: impl Into<Logits<'r>>) -> Result<u32, SelectError> {
        // As `Logits`, which may be borrowed for less long than the caller's row.
        let token = self.sequence.select(logits.into(), &mut self.workspace)?.token;
        self.sequence.accept(token)?;
        Ok(token)
    }

    /// The next token with what is asked for, not accepted yet: follow with
    /// [`accept`](Self::accept).
    ///
    /// ```
    /// use taper_sampling::prelude::*;
    /// let mut sampler = Sampler::new(Pipeline::greedy(), 3);
    /// let chosen = sampler.select(&[0.0, 2.0, 1.0], Ask::everything())?;
    /// let (token, logprob) = (chosen.token, chosen.logprob);
    /// sampler.accept(token)?;
    /// assert!(token == 1 && logprob < Some(0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Sequence::select`].
    pub fn select<'w, 'g>(
        &'w mut self,
        logits: impl Into<Logits<'w>>,
        given: impl Into<Given<'g>>,
    ) -> Result<Selection<'w>, SelectError> {
        self.sequence.select_given(logits, given, &mut self.workspace)
    }

    /// As [`Sequence::accept`].
    ///
    /// # Errors
    ///
    /// [`SequenceError::UnknownToken`].
    pub fn accept(&mut self, token: u32) -> Result<(), SequenceError> {
        let vocab_size = self.workspace.vocab_size();
        if token as usize >= vocab_size {
            let at = self.history().tokens().len();
            return Err(SequenceError::UnknownToken { id: token, at, vocab_size });
        }
        self.sequence.accept(token)
    }

    /// As [`Sequence::rollback`].
    ///
    /// # Errors
    ///
    /// [`SequenceError::BeyondPrompt`].
    pub fn rollback(&mut self, tokens: usize) -> Result<(), SequenceError> {
        self.sequence.rollback(tokens)
    }

    /// As [`Sequence::redraw`].
    pub fn redraw(&mut self) {
        self.sequence.redraw();
    }

    /// As [`Sequence::replay`].
    pub fn replay(&mut self) {
        self.sequence.replay();
    }

    /// As [`Sequence::prepare`].
    pub fn prepare(&mut self) {
        self.sequence.prepare();
    }

    /// As [`Sequence::fork`], with a workspace of its own.
    #[must_use]
    pub fn fork(&self, stream: u64) -> Self {
        let workspace = Workspace::new(self.workspace.vocab_size());
        Self { sequence: self.sequence.fork(stream), workspace }
    }

    /// Its tokens.
    pub fn history(&self) -> &History {
        self.sequence.history()
    }

    /// The sequence.
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        self.sequence.pipeline()
    }
}
