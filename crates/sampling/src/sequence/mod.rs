//! One sequence: its tokens, its memories, its random numbers, and which step it is at.

mod draws;
mod error;
mod history;
mod memory;
mod sampler;
mod text_stream;

pub use draws::{DrawKey, Draws, Purpose, Series};
pub use error::SequenceError;
pub use history::{Count, History, Window};
pub use memory::{Accepted, Logged, Memory, StageMemory};
pub use sampler::Sampler;
pub use text_stream::{Piece, TextStream};

use crate::candidates::Candidates;
use crate::logits::Logits;
use crate::pipeline::{Given, Guess, Pipeline, SelectError, Selection, Step, Workspace};

/// One sequence under a [`Pipeline`]: key, history, memory and step number, kept in step.
///
/// [`accept`](Self::accept) moves all of them together. Between two accepted tokens one token is
/// selected: a second [`select`](Self::select) at the same place is refused, since it would draw by
/// the same numbers, unless [`redraw`](Self::redraw) or [`replay`](Self::replay) says what is meant.
///
/// It holds a share of its pipeline, which is cheap, and any number of sequences may use one
/// [`Workspace`] in turn. For one sequence by itself, [`Sampler`] holds the workspace too.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw().then(RepetitionPenalty::new(1.3)?).then(TopK::new(2)?);
/// let mut workspace = Workspace::new(4);
/// let mut sequence = pipeline.sequence(DrawKey::new(7)).prompt(&[0, 3]);
/// for _ in 0..3 {
///     let logits = [0.5, 2.0, 1.5, 1.0]; // from your model
///     let token = sequence.select(&logits, &mut workspace)?.token;
///     sequence.accept(token)?;
/// }
/// assert_eq!(sequence.history().generated().len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sequence {
    pipeline: Pipeline,
    /// That of the first token after the prompt.
    key: DrawKey,
    history: History,
    memory: Memory,
    /// What was selected at this place and not accepted yet.
    chosen: Option<Accepted>,
    /// Redraws so far, at any place: each has numbers of its own.
    redraws: u64,
    /// How many tokens of the text are known to be in a vocabulary, and its size.
    checked: (usize, Option<usize>),
}

impl Pipeline {
    /// A new sequence without a prompt. The key's seed and stream name its random numbers: give each
    /// sequence of one seed its own stream.
    pub fn sequence(&self, key: DrawKey) -> Sequence {
        Sequence::of(self.clone(), key)
    }
}

impl Sequence {
    pub(crate) fn of(pipeline: Pipeline, key: DrawKey) -> Self {
        let (history, memory) = (History::default(), pipeline.new_memory());
        Self { pipeline, key, history, memory, chosen: None, redraws: 0, checked: (0, None) }
    }

    /// The same sequence at the end of this prompt, with nothing generated.
    #[must_use]
    pub fn prompt(self, ids: &[u32]) -> Self {
        let memory = self.pipeline.new_memory();
        let (key, history) = (DrawKey { attempt: 0, ..self.key }, History::new(ids));
        Self { key, history, memory, chosen: None, checked: (0, None), ..self }
    }

    /// The pipeline that it belongs to.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Its tokens.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What the stages remember of it.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The key of the next token: its step is the number of tokens generated.
    pub fn key(&self) -> DrawKey {
        self.key.step(self.key.step + self.history.generated().len() as u64)
    }

    /// The next step, for what [`Pipeline`] does with one. Steps made here do not know of each other:
    /// two of them draw by the same numbers.
    pub fn step(&self) -> Step<'_> {
        Step::new(self.key()).history(&self.history).memory(&self.memory)
    }

    /// The next token, not accepted yet.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::select`], and [`SelectError::Sequence`] for a token of the text that is outside
    /// the vocabulary, and where the token selected last was not accepted.
    pub fn select<'w>(
        &mut self,
        logits: impl Into<Logits<'w>>,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        self.select_given(logits, Given::default(), workspace)
    }

    /// As [`select`](Self::select), with a report, a second row or a mask for this step: an
    /// [`Ask`](crate::Ask), or [`Given`].
    ///
    /// # Errors
    ///
    /// As [`select`](Self::select).
    pub fn select_given<'w, 'g>(
        &mut self,
        logits: impl Into<Logits<'w>>,
        given: impl Into<Given<'g>>,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        self.begin(workspace)?;
        let step = self.step().given(given.into());
        let selection = self.pipeline.select(logits, &step, workspace)?;
        self.chosen = Some(selection.accepted());
        Ok(selection)
    }

    /// As [`select_given`](Self::select_given), with a guess at hand: see
    /// [`Pipeline::select_with_guess`].
    ///
    /// # Errors
    ///
    /// As [`select`](Self::select).
    pub fn select_with_guess<'w, 'g>(
        &mut self,
        logits: impl Into<Logits<'w>>,
        given: impl Into<Given<'g>>,
        guess: &Guess,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        self.begin(workspace)?;
        let step = self.step().given(given.into());
        let selection = self.pipeline.select_with_guess(logits, &step, guess, workspace)?;
        self.chosen = Some(selection.accepted());
        Ok(selection)
    }

    /// The candidates that the stages leave of a row. Nothing is selected.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::process`], and [`SelectError::Sequence`] for a token of the text that is outside
    /// the vocabulary.
    pub fn process<'w, 'g>(
        &mut self,
        logits: impl Into<Logits<'w>>,
        given: impl Into<Given<'g>>,
        workspace: &'w mut Workspace,
    ) -> Result<Candidates<'w>, SelectError> {
        self.look_ahead(workspace.vocab_size())?;
        self.pipeline.process(logits, &self.step().given(given.into()), workspace)
    }

    /// Guesses the next token as a draft: by a draw, and the guess keeps the distribution that it was
    /// drawn from, or, where the pipeline does not draw plainly, by the selector's choice. The guess is
    /// then to be accepted, as a selected token is.
    ///
    /// A draft is a [`fork`](Self::fork) with a stream of its own.
    ///
    /// # Errors
    ///
    /// As [`select`](Self::select).
    pub fn guess<'r>(
        &mut self,
        logits: impl Into<Logits<'r>>,
        workspace: &'r mut Workspace,
    ) -> Result<Guess, SelectError> {
        if !self.pipeline.selector().draws_plainly() {
            return Ok(Guess::certain(self.select(logits, workspace)?.token));
        }
        self.begin(workspace)?;
        let draws = Draws::new(self.key());
        let mut left = self.pipeline.process(logits, &self.step(), workspace)?;
        let failed = |source| SelectError::Stage { stage: "guess".into(), source };
        let guess = Guess::draw(&mut left, draws).map_err(failed)?;
        let probability = left.probability(guess.token()).map_err(failed)?;
        self.chosen = Some(Accepted { token: guess.token(), probability: Some(probability) });
        Ok(guess)
    }

    /// Takes a token: the one that was selected, or any other of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`SequenceError::UnknownToken`] once a step has said how large the vocabulary is; before that, the
    /// first step does.
    pub fn accept(&mut self, token: u32) -> Result<(), SequenceError> {
        let at = self.history.tokens().len();
        if let (_, Some(vocab_size)) = self.checked
            && token as usize >= vocab_size
        {
            return Err(SequenceError::UnknownToken { id: token, at, vocab_size });
        }
        let chosen = self.chosen.take().filter(|chosen| chosen.token == token);
        let accepted = chosen.unwrap_or(Accepted { token, probability: None });
        self.key.attempt = 0;
        self.history.accept(token);
        self.memory.accept(&accepted);
        Ok(())
    }

    /// Lets the stages work ahead of the next step, while the model computes its logits: a grammar's
    /// mask, for one. The step does it where this was not called.
    pub fn prepare(&mut self) {
        self.memory.prepare();
    }

    /// A copy that goes another way from here, by the random numbers of another stream.
    #[must_use]
    pub fn fork(&self, stream: u64) -> Self {
        Self {
            pipeline: self.pipeline.clone(),
            key: DrawKey { stream, attempt: 0, ..self.key },
            history: self.history.clone(),
            memory: self.memory.fork(),
            chosen: None,
            ..*self
        }
    }

    /// Takes back the last `tokens` tokens, as if they had never come.
    ///
    /// That is a replay: the random numbers are a function of the step, so the same logits give the
    /// same tokens again. To have another token in the place of a rejected one, follow with
    /// [`redraw`](Self::redraw).
    ///
    /// # Errors
    ///
    /// [`SequenceError::BeyondPrompt`].
    pub fn rollback(&mut self, tokens: usize) -> Result<(), SequenceError> {
        let generated = self.history.generated().len();
        let Some(left) = generated.checked_sub(tokens) else {
            return Err(SequenceError::BeyondPrompt { tokens, generated });
        };
        self.history.truncate_generated(left);
        self.memory.rollback(tokens);
        self.checked.0 = self.checked.0.min(self.history.tokens().len());
        (self.chosen, self.key.attempt) = (None, 0);
        Ok(())
    }

    /// Has the next token drawn by other random numbers than any token of this sequence before, in
    /// the place of one that was selected and rejected.
    ///
    /// The numbers depend on the key and on how many redraws the sequence has had; after the token is
    /// accepted, the next step has the numbers that it has without redraws.
    pub fn redraw(&mut self) {
        self.redraws += 1;
        (self.chosen, self.key.attempt) = (None, self.redraws);
    }

    /// Lets a token be selected once more at this place, by the same random numbers.
    pub fn replay(&mut self) {
        self.chosen = None;
    }

    fn begin(&mut self, workspace: &Workspace) -> Result<(), SelectError> {
        if let Some(Accepted { token, .. }) = self.chosen {
            return Err(SequenceError::NotAccepted { token }.into());
        }
        Ok(self.look_ahead(workspace.vocab_size())?)
    }

    /// What every step begins with.
    pub(crate) fn look_ahead(&mut self, vocab_size: usize) -> Result<(), SequenceError> {
        self.check_text(vocab_size)?;
        self.memory.prepare();
        Ok(())
    }

    /// Looks at the tokens that no step has looked at.
    fn check_text(&mut self, vocab_size: usize) -> Result<(), SequenceError> {
        let known = if self.checked.1 == Some(vocab_size) { self.checked.0 } else { 0 };
        let tokens = self.history.tokens();
        let outside = tokens[known..].iter().position(|&id| id as usize >= vocab_size);
        if let Some(at) = outside.map(|at| known + at) {
            return Err(SequenceError::UnknownToken { id: tokens[at], at, vocab_size });
        }
        self.checked = (tokens.len(), Some(vocab_size));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
