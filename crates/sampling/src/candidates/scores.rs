//! Where the scores are: the caller's row, edits over it, a copy, or a list; and the divisor before them.

use super::Candidates;
use super::known::Best;
use crate::kernels::rows::Gaps;
use crate::kernels::select::order::first_value;

/// How the candidates are held. No verb shows which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The caller's row, untouched: slot = token id.
    Row,
    /// The caller's row, and edits that lie over it.
    Overlaid,
    /// An edited copy of the row: slot = token id.
    Copy,
    /// The survivors of a cut, ids ascending.
    List,
}

impl Form {
    /// The values by slot, of the caller's row and those in the buffers. Edits over a row are not among them.
    #[inline(always)]
    pub(super) fn of<'v>(self, row: &'v [f32], values: &'v [f32]) -> &'v [f32] {
        match self {
            Self::Row | Self::Overlaid => row,
            Self::Copy | Self::List => values,
        }
    }
}

impl Candidates<'_> {
    /// The values by slot: those that a pending cut takes away are among them, and edits over a row
    /// are not.
    pub(super) fn values(&self) -> &[f32] {
        self.form.of(self.row, &self.buffers.values)
    }

    /// The block maxima of the values, if they are known.
    pub(super) fn blocks(&self) -> Option<&[f32]> {
        self.known.blocks.then_some(self.buffers.block_max.as_slice())
    }

    pub(super) fn id_at(&self, slot: usize) -> u32 {
        match self.form {
            Form::Row | Form::Overlaid | Form::Copy => slot as u32,
            Form::List => self.buffers.ids[slot],
        }
    }

    /// Where a token is listed; `None` when it was removed or is no token.
    pub(super) fn slot_of(&self, id: u32) -> Option<usize> {
        let slot = match self.form {
            Form::Row | Form::Overlaid | Form::Copy => {
                ((id as usize) < self.vocab_size).then_some(id as usize)
            }
            Form::List => self.buffers.ids.binary_search(&id).ok(),
        };
        slot.filter(|&slot| self.stays(slot, self.values()[slot]))
    }

    /// Whether a pending cut, if there is one, leaves the candidate in this slot.
    #[inline(always)]
    pub(super) fn stays(&self, slot: usize, value: f32) -> bool {
        self.pending.is_none_or(|pending| pending.split.holds(slot, value))
    }

    #[inline(always)]
    pub(super) fn score_of(&self, value: f32) -> f32 {
        // x / 1 is x, bit for bit: no branch is needed.
        value / self.divisor
    }

    /// The lowest value whose score passes `test`, a test that holds from some score upwards.
    ///
    /// Division is monotone, so a comparison of scores becomes one of stored values, and a pass
    /// over the row needs no division. −∞ when everything passes; NaN when nothing does.
    pub(super) fn lowest_value(&self, test: impl Fn(f32) -> bool) -> f32 {
        if !test(self.score_of(f32::INFINITY)) {
            return f32::NAN;
        }
        first_value(|value| test(self.score_of(value)))
    }

    pub(super) fn gaps(&self, best: Best) -> Gaps {
        Gaps { best: best.score, divisor: self.divisor }
    }
}
