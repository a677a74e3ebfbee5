//! Many rows at once: the same tokens as one by one, on as many threads as there are workspaces.

use alloc::vec::Vec;

use crate::candidates::Normaliser;
use crate::logits::Logits;
use crate::pipeline::{Given, Pipeline, SelectError, Selection, Trace, Workspace};
use crate::sequence::{Sequence, SequenceError};

/// One row of a batch: the logits of the next token of a sequence.
#[derive(Debug)]
pub struct BatchRow<'b> {
    logits: Logits<'b>,
    sequence: &'b mut Sequence,
    given: Given<'b>,
}

impl<'b> BatchRow<'b> {
    /// The logits of the next token of `sequence`.
    pub fn new(logits: impl Into<Logits<'b>>, sequence: &'b mut Sequence) -> Self {
        Self { logits: logits.into(), sequence, given: Given::default() }
    }

    /// What comes with the step: an [`Ask`](crate::Ask), or [`Given`].
    #[must_use]
    pub fn given(self, given: impl Into<Given<'b>>) -> Self {
        Self { given: given.into(), ..self }
    }
}

/// The outcome of a step that borrows nothing; see [`Selection`] for the fields. Of what was not asked
/// for there is none.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its log-probability in the untouched row.
    pub logprob: Option<f64>,
    /// Its place in the untouched row, from 1.
    pub rank: Option<usize>,
    /// The entropy of the untouched row, in nats.
    pub entropy: Option<f64>,
    /// Its share of what the selector saw.
    pub probability: Option<f64>,
    /// How many tokens the selector could have chosen.
    pub kept: Option<usize>,
    /// The tokens that the selector could have chosen, ids ascending, with their scores.
    pub kept_tokens: Option<Vec<(u32, f32)>>,
    /// What turns those scores into log-probabilities; there with `kept_tokens`.
    pub normaliser: Option<Normaliser>,
    /// The best tokens of the untouched row with their log-probabilities, best first.
    pub top: Vec<(u32, f64)>,
    /// What each stage did.
    pub trace: Option<Trace>,
}

impl From<Selection<'_>> for Choice {
    fn from(mut selection: Selection<'_>) -> Self {
        let asked = selection.kept_tokens_asked;
        let kept_tokens = asked.then(|| selection.kept_tokens());
        let normaliser = if asked { selection.candidates().normaliser().ok() } else { None };
        let Selection { token, logprob, rank, entropy, probability, kept, top, trace, .. } =
            selection;
        let (top, trace) = (top.to_vec(), trace.cloned());
        Self {
            token,
            logprob,
            rank,
            entropy,
            probability,
            kept,
            kept_tokens,
            normaliser,
            top,
            trace,
        }
    }
}

impl Pipeline {
    /// The next token of many sequences, none of them accepted yet.
    ///
    /// With the `std` feature there is a thread for each workspace, which takes the next row when it is
    /// done with one; otherwise the first workspace serves them all. A row yields the token it would
    /// yield alone, whatever its neighbours and the number of workspaces are; a row that is refused is
    /// refused alone.
    ///
    /// Give the rows of one request their own streams under its seed, and requests their own seeds:
    /// two rows with the same seed, stream and step draw by the same numbers.
    ///
    /// ```
    /// use taper_sampling::prelude::*;
    /// let pipeline = Pipeline::draw().then(Temperature::new(0.7)?);
    /// let logits = [[1.0, 2.0, 0.5], [0.3, 0.2, 0.1]]; // from your model
    /// let key = DrawKey::new(7);
    /// let mut sequences = [0, 1].map(|row| pipeline.sequence(key.stream(row)));
    /// let mut workspaces = vec![Workspace::new(3), Workspace::new(3)];
    ///
    /// let rows = logits.iter().zip(&mut sequences);
    /// let mut rows: Vec<_> = rows.map(|(row, sequence)| BatchRow::new(row, sequence)).collect();
    /// let choices = pipeline.select_batch(&mut rows, &mut workspaces);
    /// for (choice, sequence) in choices.into_iter().zip(&mut sequences) {
    ///     sequence.accept(choice?.token)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Per row, as [`Sequence::select`]; [`SequenceError::ForeignPipeline`] for a sequence of another
    /// pipeline; without a workspace every row is refused with [`SelectError::NoWorkspace`].
    pub fn select_batch(
        &self,
        rows: &mut [BatchRow<'_>],
        workspaces: &mut [Workspace],
    ) -> Vec<Result<Choice, SelectError>> {
        let mut choices: Vec<_> = rows.iter().map(|_| Err(SelectError::NoWorkspace)).collect();
        self.fill(rows, workspaces, &mut choices);
        choices
    }

    #[cfg(feature = "std")]
    fn fill(
        &self,
        rows: &mut [BatchRow<'_>],
        workspaces: &mut [Workspace],
        choices: &mut [Result<Choice, SelectError>],
    ) {
        // The caller's thread is one of them; a batch of one starts no other.
        let threads = workspaces.len().min(rows.len());
        // A core may be slower than another, or busy: a thread that is done takes the next row.
        let left = std::sync::Mutex::new(rows.iter_mut().zip(choices));
        let next = || left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        let work = |workspace: &mut Workspace| {
            while let Some((row, choice)) = next() {
                *choice = self.select_one(row, workspace);
            }
        };
        if let Some((own, others)) = workspaces[..threads].split_first_mut() {
            std::thread::scope(|scope| {
                for workspace in others {
                    scope.spawn(|| work(workspace));
                }
                work(own);
            });
        }
    }

    #[cfg(not(feature = "std"))]
    fn fill(
        &self,
        rows: &mut [BatchRow<'_>],
        workspaces: &mut [Workspace],
        choices: &mut [Result<Choice, SelectError>],
    ) {
        let Some(workspace) = workspaces.first_mut() else { return };
        for (row, choice) in rows.iter_mut().zip(choices) {
            *choice = self.select_one(row, workspace);
        }
    }

    fn select_one(
        &self,
        row: &mut BatchRow<'_>,
        workspace: &mut Workspace,
    ) -> Result<Choice, SelectError> {
        if !row.sequence.pipeline().is(self) {
            return Err(SequenceError::ForeignPipeline.into());
        }
        row.sequence.select_given(row.logits, row.given, workspace).map(Choice::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ask, DrawKey, Draws, Purpose, TopK, TopP};
    use alloc::vec;

    fn pipeline() -> Pipeline {
        Pipeline::draw().then(TopK::new(20).unwrap()).then(TopP::new(0.9).unwrap())
    }

    #[test]
    fn a_batch_is_its_rows_one_by_one() {
        let mut series = Draws::new(DrawKey::new(3)).series(Purpose::Custom(0));
        let mut rows: Vec<Vec<f32>> = (0..13_u64)
            .map(|r| (0..50).map(|i| (series.bits(r * 50 + i) >> 40) as f32 / 1e6).collect())
            .collect();
        rows[4][7] = f32::NAN;
        let pipeline = pipeline();
        let ask = Ask { top_logprobs: 3, kept_tokens: true, ..Ask::everything() };
        let sequences = || (0..13).map(|i| pipeline.sequence(DrawKey::new(1).stream(i)));
        let mut workspace = Workspace::new(50);
        let alone: Vec<_> = sequences()
            .zip(&rows)
            .map(|(mut sequence, row)| {
                sequence.select_given(row, ask, &mut workspace).map(Choice::from)
            })
            .collect();
        let text = |choices: &[Result<Choice, SelectError>]| alloc::format!("{choices:?}");
        for threads in [1, 2, 5, 20] {
            let mut workspaces: Vec<_> = (0..threads).map(|_| Workspace::new(50)).collect();
            let mut sequences: Vec<_> = sequences().collect();
            let mut batch: Vec<_> = (rows.iter().zip(&mut sequences))
                .map(|(row, sequence)| BatchRow::new(row, sequence).given(ask))
                .collect();
            assert_eq!(text(&pipeline.select_batch(&mut batch, &mut workspaces)), text(&alone));
            let again = pipeline.select_batch(&mut batch[..1], &mut workspaces);
            let token = alone[0].as_ref().unwrap().token;
            assert_eq!(again, [Err(SequenceError::NotAccepted { token }.into())]);
            let refused = pipeline.select_batch(&mut batch[..2], &mut []);
            assert_eq!(refused, vec![Err(SelectError::NoWorkspace), Err(SelectError::NoWorkspace)]);
        }
        assert!(alone[4].is_err() && alone.iter().filter(|c| c.is_err()).count() == 1);
        assert_eq!(pipeline.select_batch(&mut [], &mut [Workspace::new(50)]), vec![]);
    }

    /// What a batch was asked to report once was dropped.
    #[test]
    fn a_batch_reports_what_it_is_asked_for() {
        let pipeline = Pipeline::draw().then(TopK::new(2).unwrap());
        let mut sequence = pipeline.sequence(DrawKey::new(1));
        let ask = Ask { top_logprobs: 2, kept_tokens: true, ..Ask::everything() };
        let row = [0.0, 3.0, 1.0, 2.0];
        let mut batch = [BatchRow::new(&row, &mut sequence).given(ask)];
        let choices = pipeline.select_batch(&mut batch, &mut [Workspace::new(4)]);
        let choice = choices[0].as_ref().unwrap();
        assert_eq!(choice.kept_tokens.as_deref(), Some(&[(1, 3.0), (3, 2.0)][..]));
        let likelier = choice.normaliser.unwrap().log_probability(3.0).exp();
        assert!((likelier - 1.0 / (1.0 + (-1_f64).exp())).abs() < 1e-6, "{likelier}");
        assert_eq!(choice.top.iter().map(|best| best.0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(choice.trace.as_ref().unwrap().stages()[0].after, 2);
    }

    #[test]
    fn a_sequence_of_another_pipeline_is_refused() {
        let (one, other) = (pipeline(), pipeline());
        let mut sequence = one.sequence(DrawKey::new(1));
        let row = [0.0; 4];
        let mut batch = [BatchRow::new(&row, &mut sequence)];
        let mut workspaces = [Workspace::new(4)];
        let refused = other.select_batch(&mut batch, &mut workspaces);
        assert_eq!(refused, [Err(SequenceError::ForeignPipeline.into())]);
        // A clone is the same pipeline, until it is extended.
        assert!(one.clone().select_batch(&mut batch, &mut workspaces)[0].is_ok());
    }
}
