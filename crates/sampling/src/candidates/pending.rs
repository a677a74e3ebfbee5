//! Cuts that are decided and not carried out.
//!
//! A draw needs no list of the survivors: it needs their mass, and to tell of one slot after the other whether
//! it stays. So a cut by mass over a row leaves a [`Split`], and the first verb that looks at the survivors one
//! by one makes the list ([`Candidates::materialise`]).
//!
//! A traced step runs its stages a second time, once the winner is known. To find where a cut by mass falls is
//! most of what a stage costs, and the second time it falls where it fell before: that is what [`CutMemo`] is
//! for.

use super::Candidates;
use super::carry::Side;
use super::known::{Chunks, Known};
use crate::kernels::zones::{Band, Zone};

/// A cut that has been decided and not carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) split: Split,
    /// How many it leaves, if that is known.
    pub(super) kept: Option<usize>,
}

/// Which slots stay: those before `at` whose value lies in the one band, and those from `at` on whose value
/// lies in the other. Two bands, since equals at the boundary of a cut are divided by slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) at: usize,
    pub(super) before: Band,
    pub(super) after: Band,
}

impl Split {
    pub(super) const EVERYTHING: Self = Self::whole(Band::ALL);

    /// Everything in a band.
    pub(super) const fn whole(band: Band) -> Self {
        Self { at: 0, before: band, after: band }
    }

    #[inline(always)]
    pub(super) fn holds(&self, slot: usize, x: f32) -> bool {
        (if slot < self.at { self.before } else { self.after }).holds(x)
    }
}

/// Cuts that are remembered in a step. Pipelines have one or two.
const REMEMBERED: usize = 4;

/// The cuts of a step, in order.
#[derive(Debug, Default)]
pub(super) struct CutMemo {
    cuts: [Option<MemoisedCut>; REMEMBERED],
    /// Cuts of this run so far.
    met: usize,
}

/// A cut by mass that was left pending.
#[derive(Debug, Clone, Copy)]
struct MemoisedCut {
    pending: Pending,
    known: Known,
    /// The value at which it falls, and how many that equal it stay.
    value: f32,
    room: usize,
}

impl CutMemo {
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
        let cut_memo = &mut self.buffers.cut_memo;
        cut_memo.met += 1;
        let Some(&Some(cut)) = cut_memo.cuts.get(cut_memo.met - 1) else { return false };
        self.note_ties(cut.value, cut.room, Side::Above);
        self.pending = Some(cut.pending);
        // What is in the buffers by now is of later cuts.
        self.known = Known { chunks: Chunks::Unknown, weights: false, ..cut.known };
        true
    }

    /// Remembers the cut by mass that is pending, which [`Candidates::cut_as_before`] has not met.
    pub(super) fn remember_cut(&mut self, value: f32, room: usize) {
        let cut_memo = &mut self.buffers.cut_memo;
        if let (Some(pending), Some(place)) =
            (self.pending, cut_memo.cuts.get_mut(cut_memo.met - 1))
        {
            *place = Some(MemoisedCut { pending, known: self.known, value, room });
        }
    }
}
