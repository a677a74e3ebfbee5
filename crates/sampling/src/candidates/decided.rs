//! Cuts by mass that a step has decided already.
//!
//! A traced step runs its stages a second time, once the winner is known. To find where a cut by mass falls is
//! most of what a stage costs, and the second time it falls where it fell before.

use super::boundary::Side;
use super::{Cache, Candidates, Chunks, Pending};

/// Cuts that are remembered in a step. Pipelines have one or two.
const REMEMBERED: usize = 4;

/// The cuts of a step, in order.
#[derive(Debug, Default)]
pub(super) struct Decided {
    cuts: [Option<DecidedCut>; REMEMBERED],
    /// Cuts of this run so far.
    met: usize,
}

/// A cut by mass that was left pending.
#[derive(Debug, Clone, Copy)]
struct DecidedCut {
    pending: Pending,
    cache: Cache,
    /// The value at which it falls, and how many that equal it stay.
    value: f32,
    room: usize,
}

impl Decided {
    /// Another step begins.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The step runs once more.
    pub(super) fn rewind(&mut self) {
        self.met = 0;
    }
}

impl Candidates<'_> {
    /// Makes the next cut by mass as the run before did; whether it made one.
    pub(super) fn cut_as_before(&mut self) -> bool {
        let decided = &mut self.buffers.decided;
        decided.met += 1;
        let Some(&Some(cut)) = decided.cuts.get(decided.met - 1) else { return false };
        self.note_ties(cut.value, cut.room, Side::Above);
        self.pending = Some(cut.pending);
        // What is in the buffers by now is of later cuts.
        self.cache = Cache { chunks: Chunks::Unknown, weights: false, ..cut.cache };
        true
    }

    /// Remembers the cut by mass that is pending, which [`Candidates::cut_as_before`] has not met.
    pub(super) fn remember_cut(&mut self, value: f32, room: usize) {
        let decided = &mut self.buffers.decided;
        if let (Some(pending), Some(place)) = (self.pending, decided.cuts.get_mut(decided.met - 1))
        {
            *place = Some(DecidedCut { pending, cache: self.cache, value, room });
        }
    }
}
