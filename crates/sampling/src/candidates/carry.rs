//! How a cut is carried out: where its boundary lies, who of the equals there stays, and the account
//! for the trace.

use super::Candidates;
use super::buffers::Buffers;
use super::known::{Best, Known};
use super::locate::KeySplit;
use super::pending::{Pending, Split};
use super::scores::Form;
use crate::error::StageError;
use crate::kernels::gather::gather;
use crate::kernels::rows::visits;
use crate::kernels::select::nth::{Nth, nth};
use crate::kernels::zones::{Band, Zone};
use crate::sequence::Purpose;
use crate::ties::TiePolicy;

/// Where fewer blocks than one in so many reach a value, the others are best skipped.
const FEW: usize = 8;

/// The `k`-th largest value, and how many are above it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kth {
    /// Found by counting. The fringe holds nothing of use.
    Counted(Nth),
    /// Found on the fringe, which holds every candidate from some lower value up.
    Collected(Nth),
}

impl Kth {
    pub(super) fn nth(self) -> Nth {
        let (Self::Counted(nth) | Self::Collected(nth)) = self;
        nth
    }
}

/// A value that as many candidates reach as were asked for, or more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) value: f32,
    /// Whether not many more do.
    pub(super) few: bool,
}

impl Candidates<'_> {
    /// The `k`-th largest value, and how many are above it: by way of the fringe where that is quick.
    pub(super) fn kth_value(&mut self, k: usize) -> Kth {
        let bound = self.sure_bound(k);
        let Buffers { values, block_max, fringe, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        fringe.clear();
        match bound {
            None => return Kth::Counted(nth(values, k)),
            Some(Bound { value: bound, few: true }) => visits::visit_from(
                values,
                Some(block_max),
                bound,
                #[inline(always)]
                |slot, value| fringe.push(slot, value),
            ),
            Some(Bound { value: bound, few: false }) => {
                let passes = move |value: f32| value > bound;
                let above = visits::count_if(values, passes);
                if above < k {
                    return Kth::Counted(Nth { value: bound, above });
                }
                gather(values, 0, passes, &mut fringe.slots, &mut fringe.values);
            }
        }
        Kth::Collected(self.kth_on_fringe(k))
    }

    /// A value that at least `k` reach; `None` if none is quickly told.
    pub(super) fn sure_bound(&self, k: usize) -> Option<Bound> {
        let blocks = self.blocks().filter(|blocks| k * 4 < blocks.len())?;
        // As many values as block maxima reach the k-th largest of those, and few others, unless many
        // equal it.
        let value = nth(blocks, k).value;
        Some(Bound { value, few: few_reach(blocks, value) })
    }

    /// The `k`-th largest value on the fringe, and how many are above it.
    pub(super) fn kth_on_fringe(&self, k: usize) -> Nth {
        nth(&self.buffers.fringe.values, k)
    }

    /// Makes a list of what is above `value`, and of the first `room` that equal it, in one pass over a
    /// dense row.
    pub(super) fn list_first(&mut self, value: f32, room: usize) {
        let Buffers { values, ids, spare, block_max, .. } = &mut *self.buffers;
        let from = self.form.of(self.row, values);
        ids.clear();
        spare.clear();
        // No score is below −∞, so every slot is visited.
        let below = if value > f32::NEG_INFINITY { value.next_down() } else { f32::NAN };
        visits::visit_above(
            from,
            self.known.blocks.then_some(block_max),
            |other| other,
            &mut (&mut *ids, &mut *spare, room),
            #[inline(always)]
            move |state| if state.2 > 0 { below } else { value },
            #[inline(always)]
            move |(ids, spare, room), slot, other| {
                let equal = other == value && *room > 0;
                if other > value || equal {
                    *room -= usize::from(equal);
                    ids.push(slot as u32);
                    spare.push(other);
                }
            },
        );
        core::mem::swap(values, spare);
        self.form = Form::List;
        self.known = self.known.in_new_slots();
    }

    /// Makes a list of those on the fringe that are above `value`, and of the first `room` that equal it,
    /// as [`Candidates::kth_value`] collected them.
    pub(super) fn list_fringe(&mut self, value: f32, room: usize) {
        let Buffers { values, ids, fringe, .. } = &mut *self.buffers;
        ids.clear();
        values.clear();
        let mut equal = 0;
        for (&slot, &other) in fringe.slots.iter().zip(&fringe.values) {
            if other > value || (other == value && equal < room) {
                equal += usize::from(other == value);
                ids.push(slot);
                values.push(other);
            }
        }
        self.form = Form::List;
        self.known = self.known.in_new_slots();
    }

    /// Keeps what is above `value`, and `room` of those that equal it, as `ties` says.
    pub(super) fn cut_at(
        &mut self,
        value: f32,
        room: usize,
        ties: TiePolicy,
    ) -> Result<(), StageError> {
        if ties == TiePolicy::KeepAll {
            let score = self.score_of(value);
            let lowest = self.lowest_value(|other| other >= score);
            self.retain_from(lowest, |_, _| true);
            return Ok(());
        }
        // Whatever the policy, those below go; the equals are then divided in a short list.
        self.retain_from(value, |_, _| true);
        self.cut_class(Class { value, room, lowest: value }, ties, |other| other > value)
    }

    /// Keeps the values that are `inside`, and of the class that equals `class.value` as many as
    /// there is room for, as `ties` says; [`TiePolicy::KeepAll`] is the caller's to resolve.
    pub(super) fn cut_class(
        &mut self,
        class: Class,
        ties: TiePolicy,
        inside: impl Fn(f32) -> bool,
    ) -> Result<(), StageError> {
        let Class { value, room, lowest } = class;
        let (_, equal) = visits::count_around(self.values(), self.blocks(), value);
        if room >= equal && lowest == value && self.form == Form::List {
            return Ok(());
        }
        let banned = self.score_of(value) == f32::NEG_INFINITY;
        if ties == TiePolicy::Error && room < equal && !banned {
            return Err(StageError::Tie { score: self.score_of(value), tied: equal, room });
        }
        if ties == TiePolicy::Random && room < equal {
            self.retain_by_priority(class, inside);
            return Ok(());
        }
        let skip = if ties == TiePolicy::HighestId { equal - room.min(equal) } else { 0 };
        let mut seen = 0;
        self.retain_from(lowest, |_, other| {
            if other != value {
                return inside(other);
            }
            seen += 1;
            seen > skip && seen - skip <= room
        });
        Ok(())
    }

    /// Keeps what is inside, and of the class the `room` with the highest priorities, which are
    /// fewer than all.
    fn retain_by_priority(&mut self, class: Class, inside: impl Fn(f32) -> bool) {
        let Class { value, room, lowest } = class;
        let mut series = self.draws.series(Purpose::Tie);
        let mut ranked = core::mem::take(&mut self.buffers.numbers);
        ranked.clear();
        for (slot, &other) in self.values().iter().enumerate() {
            if other == value {
                ranked.push(series.bits(u64::from(self.id_at(slot))));
            }
        }
        let threshold = *ranked.select_nth_unstable_by(room, |a, b| b.cmp(a)).1;
        self.buffers.numbers = ranked;
        self.retain_from(lowest, |id, other| {
            if other == value { series.bits(u64::from(id)) > threshold } else { inside(other) }
        });
    }

    /// Keeps the values from `lowest` upwards.
    pub(super) fn retain_at_least(&mut self, lowest: f32) {
        let few = self.blocks().is_some_and(|blocks| few_reach(blocks, lowest));
        if self.form == Form::List || few {
            self.retain_from(lowest, |_, _| true);
        } else {
            let split = Split::whole(Band { low: lowest, high: f32::INFINITY });
            self.pending = Some(Pending { split, kept: None });
            self.known = self.known.at_new_weights();
        }
    }

    /// Carries out what was put off: edits over the row, or a pending cut.
    pub(super) fn materialise(&mut self) {
        self.lay_down();
        self.carry_out_pending();
    }

    pub(super) fn carry_out_pending(&mut self) {
        if let Some(pending) = self.pending.take() {
            let chunks = self.known.chunks;
            let mass = self.known.mass;
            self.list_split(pending.split);
            (self.known.mass, self.known.chunks) = (mass, chunks);
        }
    }

    /// Makes a list of the slots on the kept side of a split.
    pub(super) fn list_split(&mut self, split: Split) {
        let Split { at, before, after } = split;
        self.list_parts(
            at,
            #[inline(always)]
            move |value| before.holds(value),
            #[inline(always)]
            move |value| after.holds(value),
        );
    }

    /// Makes a list of the slots that a split of `key(value)` keeps.
    pub(super) fn list_keys(&mut self, split: KeySplit, key: impl Fn(f32) -> f32 + Copy) {
        let KeySplit { at, before, after, .. } = split;
        self.list_parts(
            at,
            #[inline(always)]
            move |value| key(value) >= before,
            #[inline(always)]
            move |value| key(value) >= after,
        );
    }

    /// Makes a list of the slots before `at` that pass one test, and of those from there on that pass
    /// the other.
    fn list_parts(
        &mut self,
        at: usize,
        before: impl Fn(f32) -> bool + Copy,
        after: impl Fn(f32) -> bool + Copy,
    ) {
        let Buffers { values, ids, spare, .. } = &mut *self.buffers;
        let from = self.form.of(self.row, values);
        let (head, tail) = from.split_at(at.min(from.len()));
        ids.clear();
        spare.clear();
        gather(head, 0, before, ids, spare);
        gather(tail, head.len(), after, ids, spare);
        core::mem::swap(values, spare);
        self.form = Form::List;
        self.known = self.known.in_new_slots();
    }

    /// Keeps the slots whose value is at least `lowest` and that pass `accept(id, value)`.
    pub(super) fn retain_from(&mut self, lowest: f32, mut accept: impl FnMut(u32, f32) -> bool) {
        let Buffers { values, ids, block_max, spare, recorder, .. } = &mut *self.buffers;
        if self.form == Form::List {
            let mut kept = 0;
            for slot in 0..ids.len() {
                if values[slot] >= lowest && accept(ids[slot], values[slot]) {
                    (ids[kept], values[kept]) = (ids[slot], values[slot]);
                    kept += 1;
                } else if recorder.is_on() {
                    recorder.mark(ids[slot]);
                }
            }
            ids.truncate(kept);
            values.truncate(kept);
        } else {
            let from = self.form.of(self.row, values);
            let blocks = self.known.blocks.then_some(block_max.as_slice());
            ids.clear();
            spare.clear();
            visits::visit_from(from, blocks, lowest, |slot, value| {
                if accept(slot as u32, value) {
                    ids.push(slot as u32);
                    spare.push(value);
                }
            });
            core::mem::swap(values, spare);
            self.form = Form::List;
        }
        self.known = self.known.in_new_slots();
    }

    /// For a cut after which the best candidate may be gone: then nothing learnt about the set
    /// holds for what is left.
    pub(super) fn forget_a_lost_best(&mut self, best: Best) {
        if visits::count_in(self.values(), best.value, best.value) == 0 {
            self.known = Known::default();
        }
    }

    /// Tells the recorder how many share the score at which a cut falls, if the cut divides them: who stays is
    /// `room` of those that equal the value, and who is on this side of it. Banned candidates share no
    /// score: which of them stay listed is no matter of chance, since none can be chosen.
    pub(super) fn note_ties(&mut self, value: f32, room: usize, stays: Side) {
        if !self.buffers.recorder.is_on() || self.score_of(value) == f32::NEG_INFINITY {
            return;
        }
        let (values, blocks) = (self.values(), self.blocks());
        let [reach, above, of_score, beyond] = if self.divisor == 1.0 {
            let [reach, above] = visits::count_from(values, blocks, [value, value.next_up()]);
            [reach, above, reach, above]
        } else {
            // A division may have merged values: then others have the score, some above the value and
            // some below.
            let score = self.score_of(value);
            let lowest = self.lowest_value(|other| other >= score);
            let beyond = self.lowest_value(|other| other > score);
            visits::count_from(values, blocks, [value, value.next_up(), lowest, beyond])
        };
        let sharing = of_score - beyond;
        let others = match stays {
            Side::Above => above - beyond,
            Side::Below => of_score - reach,
        };
        if others + room.min(reach - above) < sharing {
            self.buffers.recorder.tied(sharing);
        }
    }
}

/// Which of two sides of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Above,
    Below,
}

/// Whether most blocks lie below `lowest`, so that it is best to skip them.
fn few_reach(blocks: &[f32], lowest: f32) -> bool {
    let reach = visits::count_if(
        blocks,
        #[inline(always)]
        move |max| max >= lowest,
    );
    reach * FEW < blocks.len()
}

/// The candidates that a cut may have to divide: all of one value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    pub(super) value: f32,
    /// How many of them stay.
    pub(super) room: usize,
    /// No value below this stays.
    pub(super) lowest: f32,
}
