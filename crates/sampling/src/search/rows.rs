//! From logits to the rows of a step: each beam with the past that is its own.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::beam::Reorder;
use super::log_probs::{self, Normaliser};
use crate::ask::Step;
use crate::candidates::Candidates;
use crate::draws::DrawKey;
use crate::history::History;
use crate::kernels::{passes, visits};
use crate::memory::{Accepted, Memory};
use crate::pipeline::Pipeline;
use crate::select_error::SelectError;
use crate::stage::StageError;
use crate::workspace::Workspace;

/// The tokens and memories of the beams of one search, and the rows made of their logits.
///
/// Every stage sees its own beam's [`History`] and [`Memory`], which fork where beams part. As in
/// Hugging Face, the stages are given *log-probabilities*, not logits: a stage whose effect depends
/// on where zero is differs from greedy decoding. The repetition penalty is one: it multiplies
/// scores below 0 and divides the others, and no log-probability is above 0.
///
/// ```
/// use taper_sampling::search::{BeamRows, BeamSearch, BeamSettings};
/// use taper_sampling::*;
///
/// let pipeline = Pipeline::greedy().then(NoRepeatNgram::new(1)?);
/// let mut search = BeamSearch::new(BeamSettings::new(2, 2, &[]), 3)?;
/// let mut rows = BeamRows::new(&[0], &pipeline);
/// let mut workspace = Workspace::new(3);
/// while !search.is_done() {
///     rows.clear();
///     for beam in 0..search.beams() {
///         let logits = [2.0, 1.0, 0.0]; // from your model
///         rows.push(beam, &logits, &pipeline, DrawKey::new(0), &mut workspace)?;
///     }
///     let made = search.length() + 1;
///     let next = search.advance(&rows, |_, _| (made == 2).then_some(()))?;
///     rows.reorder(&next);
/// }
/// assert_eq!(search.hypotheses()[0].tokens, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BeamRows {
    beams: Vec<Beam>,
    made: Made,
    /// The log-probabilities of a row ahead of the stages.
    row: Vec<f32>,
}

/// The rows of a step so far, none with NaN or +∞ in it.
#[derive(Debug, Default)]
struct Made {
    scores: Vec<f32>,
    /// Block maxima of the rows, one row's after the other.
    block_max: Vec<f32>,
    /// The length of the rows; 0 if they are of several lengths.
    row_len: usize,
    /// Block maxima of one row.
    row_max: Vec<f32>,
}

/// The scores of a step for [`BeamSearch::advance`](super::BeamSearch::advance): a slice of them, or
/// [`BeamRows`], of which the search need not look at every score again.
#[derive(Debug, Clone, Copy)]
pub struct ScoreRows<'r> {
    /// `[beams, vocab_size]`.
    pub(super) scores: &'r [f32],
    /// The block maxima of each row of `row_len`, if they are known; the scores are then known to be
    /// good, too.
    block_max: Option<&'r [f32]>,
    row_len: usize,
}

#[derive(Debug)]
struct Beam {
    history: History,
    memory: Memory,
}

impl BeamRows {
    /// The one beam that a search begins with.
    pub fn new(prompt: &[u32], pipeline: &Pipeline) -> Self {
        let beam = Beam { history: History::new(prompt), memory: pipeline.new_memory() };
        Self { beams: alloc::vec![beam], made: Made::default(), row: Vec::new() }
    }

    /// The tokens of a beam.
    pub fn history(&self, beam: usize) -> &History {
        &self.beams[beam].history
    }

    /// The rows made since [`clear`](Self::clear): `[beams, vocab_size]`.
    pub fn scores(&self) -> &[f32] {
        &self.made.scores
    }

    /// Begins the rows of a step.
    pub fn clear(&mut self) {
        self.made.scores.clear();
        self.made.block_max.clear();
    }

    /// Makes the next row: the log-softmax of a beam's logits, through the stages of the pipeline.
    /// A removed token has −∞. Beams come in order. The selector has no part in it.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::process`]; and NaN and +∞ are refused where no stage has mended them, by the
    /// token in the logits that is to blame.
    pub fn push(
        &mut self,
        beam: usize,
        logits: &[f32],
        pipeline: &Pipeline,
        key: DrawKey,
        workspace: &mut Workspace,
    ) -> Result<(), SelectError> {
        if logits.len() != workspace.vocab_size() {
            let (row, workspace) = (logits.len(), workspace.vocab_size());
            return Err(SelectError::RowLength { row, workspace });
        }
        let mut whole = log_probs::whole(logits, &mut workspace.buffers);
        let normaliser = Normaliser::of(&mut whole);
        if pipeline.stages().is_empty() {
            // The search for the best of an untouched row has left its block maxima.
            let block_max = whole.row_block_max().unwrap_or_default();
            self.made.push(normaliser.map_err(refused)?, logits, block_max);
            return Ok(());
        }
        self.row.clear();
        match normaliser {
            Ok(normaliser) => normaliser.map_onto(logits, &mut self.row),
            // A stage may mend it.
            Err(_) => self.row.resize(logits.len(), f32::NAN),
        }
        let Beam { history, memory } = &self.beams[beam];
        let key = key.step(history.generated().len() as u64).stream(beam as u64);
        let step = Step::new(key).history(history).memory(memory);
        let candidates = pipeline.process(&self.row, &step, workspace)?;
        let pushed = self.made.push_processed(&candidates, logits.len());
        // Logits that no stage mended are to blame, not what became of them.
        pushed.map_err(|here| refused(normaliser.err().unwrap_or(here)))
    }

    /// Lets the beams go on as the search has decided.
    ///
    /// # Panics
    ///
    /// When a parent is no beam, that is when `next` belongs to another search.
    pub fn reorder(&mut self, next: &Reorder) {
        let mut uses = alloc::vec![0_usize; self.beams.len()];
        for &parent in &next.parents {
            uses[parent] += 1;
        }
        let mut old: Vec<Option<Beam>> =
            core::mem::take(&mut self.beams).into_iter().map(Some).collect();
        for (&parent, &token) in next.parents.iter().zip(&next.tokens) {
            uses[parent] -= 1;
            // The last to continue a beam takes it over; only earlier ones copy it.
            let beam = if uses[parent] == 0 {
                old[parent].take()
            } else {
                old[parent].as_ref().map(Beam::fork)
            };
            let Some(mut beam) = beam else { continue };
            beam.history.accept(token);
            beam.memory.accept(&Accepted { token, probability: f64::NAN });
            self.beams.push(beam);
        }
    }
}

impl Made {
    /// The log-softmax of logits with these block maxima.
    fn push(&mut self, normaliser: Normaliser, logits: &[f32], block_max: &[f32]) {
        self.note_length(logits.len());
        normaliser.map_onto(logits, &mut self.scores);
        normaliser.map_onto(block_max, &mut self.block_max);
    }

    /// What the stages have left of a row. Refuses NaN and +∞, and nothing is added then.
    fn push_processed(
        &mut self,
        candidates: &Candidates<'_>,
        row_len: usize,
    ) -> Result<(), StageError> {
        self.note_length(row_len);
        let start = self.scores.len();
        self.scores.resize(start + row_len, f32::NEG_INFINITY);
        let scores = &mut self.scores[start..];
        candidates.scores_into(scores);
        let scan = passes::scan(scores, &mut self.row_max);
        if (scan.nan || scan.max == f32::INFINITY)
            && let Some(bad) = visits::first_not_below(scores, f32::INFINITY)
        {
            let error = StageError::NotFinite { id: bad as u32, score: scores[bad] };
            self.scores.truncate(start);
            return Err(error);
        }
        self.block_max.extend_from_slice(&self.row_max);
        Ok(())
    }

    /// To be called ahead of adding a row.
    fn note_length(&mut self, row_len: usize) {
        let alike = self.scores.is_empty() || self.row_len == row_len;
        self.row_len = if alike { row_len } else { 0 };
    }
}

impl<'r> From<&'r BeamRows> for ScoreRows<'r> {
    fn from(rows: &'r BeamRows) -> Self {
        let Made { scores, block_max, row_len, .. } = &rows.made;
        Self { scores, block_max: Some(block_max), row_len: *row_len }
    }
}

impl<'r> From<&'r [f32]> for ScoreRows<'r> {
    fn from(scores: &'r [f32]) -> Self {
        Self { scores, block_max: None, row_len: 0 }
    }
}

impl<'r> From<&'r Vec<f32>> for ScoreRows<'r> {
    fn from(scores: &'r Vec<f32>) -> Self {
        scores.as_slice().into()
    }
}

impl<'r, const N: usize> From<&'r [f32; N]> for ScoreRows<'r> {
    fn from(scores: &'r [f32; N]) -> Self {
        scores.as_slice().into()
    }
}

impl<'r> ScoreRows<'r> {
    /// The scores of a row.
    pub(super) fn row(self, row: usize, vocab_size: usize) -> &'r [f32] {
        &self.scores[row * vocab_size..][..vocab_size]
    }

    /// The block maxima of a row, if they are known.
    pub(super) fn block_max(self, row: usize, vocab_size: usize) -> Option<&'r [f32]> {
        let blocks = passes::blocks_for(vocab_size);
        let known = self.block_max.filter(|_| self.row_len == vocab_size);
        known.map(|all| &all[row * blocks..][..blocks])
    }

    /// Whether a score of a row is above `floor`.
    pub(super) fn any_above(self, floor: f32, row: usize, vocab_size: usize) -> bool {
        let maxima = self.block_max(row, vocab_size).unwrap_or(self.row(row, vocab_size));
        maxima.iter().any(|&score| score > floor)
    }

    /// The place of the first score that is NaN or +∞.
    pub(super) fn first_bad(self) -> Option<usize> {
        if self.block_max.is_some() {
            return None;
        }
        visits::first_not_below(self.scores, f32::INFINITY)
    }
}

fn refused(source: StageError) -> SelectError {
    SelectError::Stage { stage: "beam_search".to_string(), source }
}

impl Beam {
    fn fork(&self) -> Self {
        Self { history: self.history.clone(), memory: self.memory.fork() }
    }
}
