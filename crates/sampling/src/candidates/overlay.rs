//! Edits that lie over the caller's row, which is not copied for them.
//!
//! A penalty changes a few hundred scores of a hundred thousand, and a cut by number then looks at a few
//! chunks. So the first edits of a step are kept in a list of their own, and the block maxima of the row
//! are mended for them. The best candidate and the first `k` are found from that; whatever else is asked
//! for has the row copied and the edits laid down in it.

use super::Candidates;
use super::buffers::Buffers;
use super::carry::Bound;
use super::known::{Best, Known};
use super::scores::Form;
use crate::error::StageError;
use crate::kernels::bands;
use crate::kernels::rows::{self, CHUNK, LANES, visits};
use crate::kernels::select::nth::Nth;
use crate::kernels::zones::Band;
use crate::ties::TiePolicy;

/// With more edits than one for so many tokens a copy of the row is as quick.
const SPARSE: usize = 16;
/// Edits that may be moved to make room for others ahead of them, before a copy of the row is as quick.
/// Tokens mostly come with ids ascending.
const MOVED: usize = 1 << 15;

/// The most edits that are kept over a row.
pub(super) const fn room_for(vocab_size: usize) -> usize {
    vocab_size / SPARSE + 1
}

impl Candidates<'_> {
    /// The edits over the row, slots ascending.
    pub(super) fn over(&self) -> &[(u32, f32)] {
        if self.form == Form::Overlaid { &self.buffers.overlay } else { &[] }
    }

    /// The value in a slot.
    pub(super) fn value_at(&self, slot: usize) -> f32 {
        value_over(self.over(), slot).unwrap_or(self.values()[slot])
    }

    /// Whether nothing but edits has changed the row, and no trace is kept.
    pub(super) fn takes_edits_beside(&self) -> bool {
        let of_row = matches!(self.form, Form::Row | Form::Overlaid) && self.pending.is_none();
        of_row && self.divisor == 1.0 && !self.buffers.recorder.is_on()
    }

    /// [`Candidates::edit_with`] beside the row, as long as there is room; whether there was for all.
    pub(super) fn edit_beside<T>(
        &mut self,
        values: &mut impl Iterator<Item = (u32, T)>,
        f: &mut impl FnMut(u32, T, f32) -> f32,
    ) -> Result<bool, StageError> {
        let (row, vocab_size) = (self.row, self.vocab_size);
        let overlay = &mut self.buffers.overlay;
        if self.form == Form::Row {
            overlay.clear();
        }
        let (mut edited, mut moved) = (false, 0);
        let outcome = loop {
            if overlay.len() == room_for(vocab_size) || moved > MOVED {
                break Ok(false);
            }
            let Some((id, value)) = values.next() else { break Ok(true) };
            let Some(&of_row) = row.get(id as usize) else {
                break Err(StageError::UnknownToken { id, vocab_size });
            };
            edited = true;
            if overlay.last().is_none_or(|last| last.0 < id) {
                overlay.push((id, f(id, value, of_row)));
                continue;
            }
            match place_of(overlay, id) {
                Ok(place) => overlay[place].1 = f(id, value, overlay[place].1),
                Err(place) => {
                    overlay.insert(place, (id, f(id, value, of_row)));
                    moved += overlay.len() - place;
                }
            }
        };
        if edited {
            (self.form, self.known) = (Form::Overlaid, Known::default());
        }
        outcome
    }

    /// Copies the row and lays the edits down in it, if there are any.
    pub(super) fn lay_down(&mut self) {
        if self.form != Form::Overlaid {
            return;
        }
        let Buffers { values, overlay, .. } = &mut *self.buffers;
        values.clear();
        values.extend_from_slice(self.row);
        for &(slot, value) in &*overlay {
            values[slot as usize] = value;
        }
        self.form = Form::Copy;
    }

    /// The best candidate of a row with edits over it; `None` if something is not in order, for which
    /// the ordinary way has the words.
    pub(super) fn top_overlaid(&mut self) -> Option<Best> {
        let Buffers { block_max, overlay, .. } = &mut *self.buffers;
        if self.row_max.take().is_none() && rows::scan(self.row, block_max).nan {
            return None;
        }
        // No early exit: they are compared side by side.
        if overlay.iter().fold(false, |any, edit| any | edit.1.is_nan()) {
            return None;
        }
        mend(self.row, overlay, block_max);
        let value = bands::max_in(block_max, Band::ALL);
        let best = Best { value, score: self.score_of(value) };
        if !best.score.is_finite() {
            return None;
        }
        self.known = Known::scanned(best);
        Some(best)
    }

    /// Keeps the first `k` of a row with edits over it; `false` if that is better done in the ordinary
    /// way, and then nothing has changed.
    pub(super) fn keep_top_overlaid(&mut self, k: usize, ties: TiePolicy) -> bool {
        let slot_decides = matches!(ties, TiePolicy::LowestId | TiePolicy::KeepAll);
        let bound = self.sure_bound(k).filter(|bound| bound.few && slot_decides);
        let Some(Bound { value: bound, .. }) = bound else { return false };
        let Buffers { block_max, overlay, fringe, .. } = &mut *self.buffers;
        fringe.clear();
        let mut edits = overlay.iter().filter(|(_, value)| *value >= bound).peekable();
        visits::visit_from(self.row, Some(block_max), bound, |slot, value| {
            while let Some(&(slot, value)) = edits.next_if(|(other, _)| (*other as usize) < slot) {
                fringe.push(slot as usize, value);
            }
            if value_over(overlay, slot).is_none() {
                fringe.push(slot, value);
            }
        });
        for &(slot, value) in edits {
            fringe.push(slot as usize, value);
        }
        let Nth { value, above } = self.kth_on_fringe(k);
        if ties == TiePolicy::LowestId {
            self.list_fringe(value, k - above);
            return true;
        }
        let score = self.score_of(value);
        let lowest = self.lowest_value(|other| other >= score);
        if lowest >= bound {
            self.list_fringe(lowest, usize::MAX);
        }
        lowest >= bound
    }

    /// The first token with the best value of a row with edits over it.
    pub(super) fn first_overlaid(&self, best: Best) -> Option<u32> {
        let over = self.over();
        let mut first = over.iter().find(|(_, value)| *value == best.value).map(|&(slot, _)| slot);
        visits::visit_from(self.row, self.blocks(), best.value, |slot, _| {
            if first.is_none_or(|first| (slot as u32) < first) && value_over(over, slot).is_none() {
                first = Some(slot as u32);
            }
        });
        first
    }
}

/// Where a slot is among the edits, or would be.
fn place_of(overlay: &[(u32, f32)], slot: u32) -> Result<usize, usize> {
    overlay.binary_search_by_key(&slot, |edit| edit.0)
}

/// What an edit made of the value in a slot.
fn value_over(overlay: &[(u32, f32)], slot: usize) -> Option<f32> {
    let place = place_of(overlay, slot as u32).ok()?;
    Some(overlay[place].1)
}

/// Makes the block maxima of `row` those of the row with the edits in it.
fn mend(row: &[f32], overlay: &[(u32, f32)], block_max: &mut [f32]) {
    let maxima = block_max.as_chunks_mut::<LANES>().0;
    for edits in overlay.chunk_by(|a, b| a.0 as usize / CHUNK == b.0 as usize / CHUNK) {
        let c = edits[0].0 as usize / CHUNK;
        let (maxima, chunk) = (&mut maxima[c], &row[c * CHUNK..row.len().min((c + 1) * CHUNK)]);
        let places = edits.iter().map(|&(slot, value)| (slot as usize % CHUNK, value));
        let lowered = places.clone().any(|(place, _)| chunk[place] == maxima[place % LANES]);
        if lowered {
            // The largest of a block may be no more: all of the chunk again.
            let mut edited = [f32::NEG_INFINITY; CHUNK];
            edited[..chunk.len()].copy_from_slice(chunk);
            for (place, value) in places {
                edited[place] = value;
            }
            *maxima = rows::chunk_maxima(&edited);
        } else {
            for (place, value) in places {
                let max = &mut maxima[place % LANES];
                *max = if value > *max { value } else { *max };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;
    use crate::candidates::Buffers;
    use crate::logits::Logits;
    use crate::sequence::{DrawKey, Draws, Purpose};
    use crate::stages::RepetitionPenalty;
    use crate::ties::ArgmaxTies;
    use crate::{Ask, History, Pipeline, Step, Workspace};
    use proptest::prelude::*;

    /// Normal numbers nearly, in steps if there are to be ties.
    fn row(len: usize, seed: u64, step: f32) -> Vec<f32> {
        let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(0));
        let mut unit = |at: u64| (series.bits(at) >> 40) as f32 / 16_777_216.0;
        let mut normal = |at: u64| (0..12).map(|i| unit(12 * at + i)).sum::<f32>() - 6.0;
        (0..len as u64).map(|at| (normal(at) / step).round() * step).collect()
    }

    type Edits = Vec<(u32, f32)>;

    /// Edits of a row, some of them of its largest values, and in an order that may not ascend.
    fn edits(row: &[f32], raw: &[(u32, f32)], of_best: usize, ascending: bool) -> Edits {
        let mut slots: Vec<u32> = (0..row.len() as u32).collect();
        slots.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]));
        let random = raw.iter().map(|&(at, value)| (at % row.len() as u32, value));
        let best = slots.iter().take(of_best).map(|&slot| (slot, row[slot as usize] - 1.5));
        let mut edits: Edits = random.chain(best).collect();
        if ascending {
            edits.sort_by_key(|edit| edit.0);
        }
        edits
    }

    fn all(candidates: &Candidates<'_>) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        candidates.for_each(|id, score| all.push((id, score.to_bits())));
        all
    }

    /// Everything that can be asked ahead of a cut, and what the cut leaves.
    fn account(
        mut candidates: Candidates<'_>,
        edits: &Edits,
        (divisor, k, ties): (f32, usize, TiePolicy),
    ) -> impl PartialEq + core::fmt::Debug + use<> {
        let some = edits[..edits.len() / 2].iter().copied();
        let rest = edits[edits.len() / 2..].iter().copied();
        candidates.edit_with(some, |_, new, old| if new > 9.0 { old } else { new }).expect("ids");
        candidates.edit_with(rest, |_, new, _| new).expect("ids");
        candidates.divide(divisor).expect("above 0");
        let before = (candidates.eligible(), candidates.get(7).map(f32::to_bits), all(&candidates));
        let mut scores = alloc::vec![0.0; candidates.vocab_size()];
        candidates.scores_into(&mut scores);
        let scores: Vec<u32> = scores.into_iter().map(f32::to_bits).collect();
        // A NaN in an error does not equal itself.
        let said = |error: StageError| error.to_string();
        let argmax = candidates.argmax(ArgmaxTies::LowestId).map_err(said);
        let max = candidates.max().map_err(said);
        let left = candidates.keep_top(k, ties).map(|()| all(&candidates)).map_err(said);
        let mass = candidates.mass().map_err(said);
        (before, scores, argmax, max, left, mass)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn edits_over_a_row_are_edits_of_a_copy(
            (len, seed, step) in (1_usize..24_000, any::<u64>(), prop::sample::select(&[1e-6_f32, 0.25][..])),
            raw in prop::collection::vec(
                (any::<u32>(), prop_oneof![
                    8 => -6.0_f32..6.0,
                    1 => Just(f32::NEG_INFINITY),
                    1 => Just(10.0_f32),
                ]),
                0..200,
            ),
            bad in prop::option::weighted(0.1, (any::<u32>(), prop::sample::select(&[f32::NAN, f32::INFINITY][..]))),
            (of_best, ascending) in (0_usize..1500, any::<bool>()),
            divisor in prop::sample::select(&[1.0_f32, 0.7, 3e7][..]),
            k in 1_usize..80,
            ties in prop::sample::select(&[TiePolicy::LowestId, TiePolicy::KeepAll, TiePolicy::HighestId][..]),
        ) {
            let mut row = row(len, seed, step);
            if let Some((at, value)) = bad {
                row[at as usize % len] = value;
            }
            let edits = edits(&row, &raw, of_best, ascending);
            let mut buffers = Buffers::for_vocabulary(len);
            let draws = Draws::new(DrawKey::new(seed));
            let over = Candidates::of(Logits::F32(&row), len, draws, &mut buffers);
            let over = account(over, &edits, (divisor, k, ties));
            let mut buffers = Buffers::for_vocabulary(len);
            let mut copied = Candidates::of(Logits::F32(&row), len, draws, &mut buffers);
            copied.map(|_, score| score);
            prop_assert_eq!(copied.form, Form::Copy);
            prop_assert!(over == account(copied, &edits, (divisor, k, ties)));
        }
    }

    #[test]
    fn a_few_edits_need_no_copy_and_many_do() {
        let row = row(20_000, 3, 1e-6);
        let mut buffers = Buffers::for_vocabulary(row.len());
        let draws = Draws::new(DrawKey::new(0));
        for (edits, form) in [(500, Form::Overlaid), (5_000, Form::Copy)] {
            let mut candidates = Candidates::of(Logits::F32(&row), row.len(), draws, &mut buffers);
            candidates.edit(0..edits, |_, score| score - 1.0).expect("ids");
            candidates.edit([7], |_, _| f32::NEG_INFINITY).expect("an id");
            assert_eq!(candidates.form, form);
            candidates.keep_top(40, TiePolicy::LowestId).expect("a row");
            assert_eq!((candidates.form, candidates.len()), (Form::List, 40));
        }
    }

    #[test]
    fn equal_scores_stay_though_their_values_differ() {
        let (high, divisor) = (1.75_f32, 3.0);
        assert_eq!(high / divisor, high.next_down() / divisor);
        let mut row = alloc::vec![-5.0; 20_000];
        (row[5], row[9_000]) = (high, high.next_down());
        let mut buffers = Buffers::for_vocabulary(row.len());
        let draws = Draws::new(DrawKey::new(0));
        let mut candidates = Candidates::of(Logits::F32(&row), row.len(), draws, &mut buffers);
        candidates.edit([3], |_, score| score - 1.0).expect("an id");
        candidates.divide(divisor).expect("above 0");
        candidates.keep_top(1, TiePolicy::KeepAll).expect("a row");
        assert_eq!(all(&candidates).iter().map(|one| one.0).collect::<Vec<_>>(), [5, 9_000]);
    }

    /// Its rank is that among the logits, which a mended maximum knows nothing of.
    #[test]
    fn a_rank_is_of_the_row_without_its_edits() {
        let row = row(20_000, 5, 1e-6);
        let mut order: Vec<u32> = (0..row.len() as u32).collect();
        order.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]));
        let history = History::new(&order[..30]);
        let pipeline = Pipeline::greedy().then(RepetitionPenalty::new(1e6).expect("in range"));
        let step = Step::new(DrawKey::new(0)).history(&history);
        let step = step.ask(Ask { logprob: true, ..Ask::token() });
        let mut workspace = Workspace::new(row.len());
        let chosen = pipeline.select(&row, &step, &mut workspace).expect("a row");
        assert_eq!((chosen.token, chosen.rank), (order[30], Some(31)));
    }
}
