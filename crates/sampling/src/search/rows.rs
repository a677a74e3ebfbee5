//! From logits to the rows of a step: each beam with the past that is its own.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::beam::Reorder;
use super::log_probs::{self, Normaliser};
use crate::candidates::Candidates;
use crate::error::StageError;
use crate::kernels::rows::{self, visits};
use crate::logits::Logits;
use crate::pipeline::{SelectError, Step, Workspace};
use crate::sequence::{Sequence, SequenceError};

/// The [`Sequence`]s of the beams of one search, and the rows made of their logits.
///
/// Every stage sees its own beam's history and memory, which fork where beams part. What a stage
/// draws, it draws by the key of the sequence that the search began with, beam `i` by stream `i`;
/// the key of the settings is for the rule of the search. As in
/// Hugging Face, the stages are given *log-probabilities*, not logits: a stage whose effect depends
/// on where zero is differs from greedy decoding. The repetition penalty is one: it multiplies
/// scores below 0 and divides the others, and no log-probability is above 0.
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::search::{BeamRows, BeamSearch, BeamSettings};
///
/// let pipeline = Pipeline::greedy().then(NoRepeatNgram::new(1)?);
/// let mut search = BeamSearch::new(BeamSettings::new(2, 2, &[]), 3)?;
/// let mut rows = BeamRows::new(pipeline.sequence(DrawKey::new(0)).prompt(&[0]));
/// let mut workspace = Workspace::new(3);
/// while !search.is_done() {
///     rows.clear();
///     for beam in 0..search.beams() {
///         let logits = [2.0, 1.0, 0.0]; // from your model
///         rows.push(beam, &logits, &mut workspace)?;
///     }
///     let next = search.advance(&rows)?;
///     rows.reorder(&next)?;
/// }
/// assert_eq!(search.hypotheses()[0].tokens, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BeamRows {
    beams: Vec<Sequence>,
    made: Made,
    /// The log-probabilities of a row before the stages.
    row: Vec<f32>,
    /// Logits that came in another form than a row in `f32`.
    wide: Vec<f32>,
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

impl BeamRows {
    /// The one beam that a search begins with.
    pub fn new(sequence: Sequence) -> Self {
        let beams = alloc::vec![sequence];
        Self { beams, made: Made::default(), row: Vec::new(), wide: Vec::new() }
    }

    /// The beams.
    pub fn beams(&self) -> &[Sequence] {
        &self.beams
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
    /// As [`Sequence::process`]; and NaN and +∞ are refused where no stage has mended them, by the
    /// token in the logits that is to blame. [`SequenceError::UnknownBeam`] for a beam that is none.
    pub fn push<'r>(
        &mut self,
        beam: usize,
        logits: impl Into<Logits<'r>>,
        workspace: &mut Workspace,
    ) -> Result<(), SelectError> {
        match logits.into() {
            Logits::F32(row) => self.push_row(beam, row, workspace),
            other => {
                let mut wide = core::mem::take(&mut self.wide);
                let pushed = other
                    .widen(workspace.vocab_size(), &mut wide)
                    .and_then(|()| self.push_row(beam, &wide, workspace));
                self.wide = wide;
                pushed
            }
        }
    }

    fn push_row(
        &mut self,
        beam: usize,
        logits: &[f32],
        workspace: &mut Workspace,
    ) -> Result<(), SelectError> {
        let vocab_size = workspace.vocab_size();
        Logits::F32(logits).check(vocab_size)?;
        let beams = self.beams.len();
        let unknown = SequenceError::UnknownBeam { beam, beams };
        let sequence = self.beams.get_mut(beam).ok_or(unknown)?;
        sequence.look_ahead(vocab_size)?;
        let mut whole = log_probs::whole(logits, &mut workspace.buffers);
        let normaliser = Normaliser::of(&mut whole);
        if sequence.pipeline().stages().is_empty() {
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
        let step = sequence.step();
        let step = Step { key: step.key.stream(beam as u64), ..step };
        let candidates = sequence.pipeline().process(&self.row, &step, workspace)?;
        let pushed = self.made.push_processed(&candidates, logits.len());
        // Logits that no stage mended are to blame, not what became of them.
        pushed.map_err(|here| refused(normaliser.err().unwrap_or(here)))
    }

    /// Lets the beams go on as the search has decided.
    ///
    /// # Errors
    ///
    /// [`SequenceError::UnknownBeam`] and [`SequenceError::UnknownToken`] where `next` belongs to
    /// another search.
    pub fn reorder(&mut self, next: &Reorder) -> Result<(), SequenceError> {
        let beams = self.beams.len();
        let mut uses = alloc::vec![0_usize; beams];
        for &beam in &next.parents {
            *uses.get_mut(beam).ok_or(SequenceError::UnknownBeam { beam, beams })? += 1;
        }
        let mut old: Vec<Option<Sequence>> =
            core::mem::take(&mut self.beams).into_iter().map(Some).collect();
        for (&parent, &token) in next.parents.iter().zip(&next.tokens) {
            uses[parent] -= 1;
            // The last to continue a beam takes it over; only earlier ones copy it.
            let beam = if uses[parent] == 0 {
                old[parent].take()
            } else {
                old[parent].as_ref().map(|beam| beam.fork(beam.key().stream))
            };
            let Some(mut beam) = beam else { continue };
            beam.accept(token)?;
            self.beams.push(beam);
        }
        Ok(())
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
        let scan = rows::scan(scores, &mut self.row_max);
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

    /// To be called before adding a row.
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
        let blocks = rows::blocks_for(vocab_size);
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
