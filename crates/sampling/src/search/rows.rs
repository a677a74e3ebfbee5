//! From logits to the rows of a step: each beam with the past that is its own.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::beam::Reorder;
use super::log_probs;
use crate::ask::Step;
use crate::draws::DrawKey;
use crate::history::History;
use crate::kernels::visits;
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
///     let next = search.advance(rows.scores(), |_, _| (made == 2).then_some(()))?;
///     rows.reorder(&next);
/// }
/// assert_eq!(search.hypotheses()[0].tokens, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BeamRows {
    beams: Vec<Beam>,
    scores: Vec<f32>,
    row: Vec<f32>,
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
        Self { beams: alloc::vec![beam], scores: Vec::new(), row: Vec::new() }
    }

    /// The tokens of a beam.
    pub fn history(&self, beam: usize) -> &History {
        &self.beams[beam].history
    }

    /// The rows made since [`clear`](Self::clear): `[beams, vocab_size]`.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// Begins the rows of a step.
    pub fn clear(&mut self) {
        self.scores.clear();
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
        let start = self.scores.len();
        if pipeline.stages().is_empty() {
            let filled = log_probs::fill(logits, &mut workspace.buffers, &mut self.scores);
            return filled.map_err(refused);
        }
        self.row.clear();
        let normalised = log_probs::fill(logits, &mut workspace.buffers, &mut self.row);
        let Beam { history, memory } = &self.beams[beam];
        let key = key.step(history.generated().len() as u64).stream(beam as u64);
        let step = Step::new(key).history(history).memory(memory);
        let candidates = pipeline.process(&self.row, &step, workspace)?;
        self.scores.resize(start + logits.len(), f32::NEG_INFINITY);
        let scores = &mut self.scores[start..];
        candidates.scores_into(scores);
        let Some(id) = visits::first_not_below(scores, f32::INFINITY) else { return Ok(()) };
        normalised.map_err(refused)?;
        Err(refused(StageError::NotFinite { id: id as u32, score: scores[id] }))
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

fn refused(source: StageError) -> SelectError {
    SelectError::Stage { stage: "beam_search".to_string(), source }
}

impl Beam {
    fn fork(&self) -> Self {
        Self { history: self.history.clone(), memory: self.memory.fork() }
    }
}
