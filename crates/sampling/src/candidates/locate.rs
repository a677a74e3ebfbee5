//! Where a cut by mass falls, in any order of the candidates.
//!
//! ```text
//! inside, fringe = two keys, guessed from a sample      # short rows: nothing inside, all on the fringe
//! loop:
//!     one pass over the row:
//!         total   = mass of all
//!         within  = mass of what is at or above `inside`, chunk by chunk
//!         fringe  = the values between the two keys, collected
//!     target = needed(total) - within
//!     target <= 0:              fringe, inside = all that was inside, nothing       # guessed too low
//!     target > mass of fringe:  fringe, inside = all the rest, what was the fringe  # guessed too high
//!     otherwise: leave the loop
//! key   = the key on the fringe at which its masses, from the top, reach the target     # no sort
//! value = among those with that key, the value at which they do
//! room  = how many of the equals of that value are needed
//! ```
//!
//! A wrong guess costs one more pass, and what the first pass found makes the second right.

use alloc::vec::Vec;

use super::Candidates;
use super::buffers::Buffers;
use super::known::{Best, Chunks};
use super::pending::Split;
use super::scores::Form;
use crate::error::StageError;
use crate::kernels::Mass;
use crate::kernels::rows::{self, CHUNK, Gaps, visits};
use crate::kernels::select::guess::{Range, likely_range};
use crate::kernels::select::weighted::{Boundary, SelectionScratch, boundary};
use crate::kernels::weigh::{Weighed, WeighedRow, weigh};
use crate::kernels::zones::{Band, Floor, Key, Zones};
use crate::ties::TiePolicy;

/// Rows shorter than this are searched whole.
const SMALL_ROW: usize = 8 * CHUNK;

/// An order of the candidates.
pub(super) trait Order: Key {
    /// How far the value is from the first of the order, in nats; need not be exact.
    fn distance(self, value: f32) -> f32;
    /// The key at a distance; need not be exact.
    fn key_at(self, distance: f32) -> f32;

    /// A division by key as one by value, where that can be said.
    fn by_value(self, _: KeySplit) -> Option<Split> {
        None
    }

    /// Whether everything ahead of this value in the order is below it, if that is easily told.
    fn is_above_all_nearer(self, _: f32) -> bool {
        false
    }
}

/// Best first.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByScore(pub(super) Gaps);

impl Key for ByScore {
    const IS_VALUE: bool = true;
    const BY_VALUE: bool = true;
    type Zone = Floor;

    #[inline(always)]
    fn key(self, value: f32) -> f32 {
        value
    }

    fn zone(self, key: f32) -> Floor {
        Floor(key)
    }
}

impl Order for ByScore {
    #[inline(always)]
    fn distance(self, value: f32) -> f32 {
        about_gap(self.0)(value)
    }

    fn key_at(self, distance: f32) -> f32 {
        (self.0.best - distance) * self.0.divisor
    }

    fn by_value(self, split: KeySplit) -> Option<Split> {
        let band = |low| Band { low, high: f32::INFINITY };
        let (before, after) = (band(split.before), band(split.after));
        Some(Split { at: split.at, before, after })
    }
}

/// The gap below the best score, rounded a little otherwise: without a division for each value.
#[inline(always)]
fn about_gap(gaps: Gaps) -> impl Fn(f32) -> f32 + Copy {
    let per = 1.0 / gaps.divisor;
    #[inline(always)]
    move |value| gaps.best - value * per
}

/// Where a cut falls: everything whose key is above `key` stays, of that key what is above `value`,
/// and of those that equal both as many as there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frontier {
    pub(super) key: f32,
    pub(super) value: f32,
    pub(super) room: usize,
    /// How many equal both.
    pub(super) class: usize,
    /// Whether all that have the key equal the value too.
    pub(super) one_value: bool,
    /// How many stay if the class is divided.
    pub(super) kept: usize,
    /// The mass before the class, and that of each of the class.
    before: u64,
    each: u64,
}

impl Frontier {
    /// How many candidates stay.
    pub(super) fn left(&self, ties: TiePolicy) -> usize {
        self.kept + self.taken(ties) - self.room.min(self.class)
    }

    /// How many of the class stay.
    pub(super) fn taken(&self, ties: TiePolicy) -> usize {
        if ties == TiePolicy::KeepAll { self.class } else { self.room.min(self.class) }
    }

    /// The mass of everything that stays.
    pub(super) fn mass(&self, ties: TiePolicy) -> Mass {
        Mass(self.before + self.taken(ties) as u64 * self.each)
    }
}

/// A [`Split`] by key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeySplit {
    pub(super) at: usize,
    /// How many of the fringe are in slots before `at`.
    pub(super) place: usize,
    pub(super) before: f32,
    pub(super) after: f32,
}

impl Candidates<'_> {
    /// Where the mass from the first of the order reaches `needed(total)`, which is about the share
    /// `p` of it.
    ///
    /// Leaves the fringe around it in the buffers, and of each chunk the mass inside.
    pub(super) fn frontier(
        &mut self,
        order: impl Order,
        p: f64,
        needed: impl Fn(Mass) -> u64,
        best: Best,
    ) -> Result<Frontier, StageError> {
        let mut keys = self.likely_keys(order, p, best);
        self.known.chunks = Chunks::Unknown;
        let (account, target) = loop {
            let zones = Zones { inside: order.zone(keys.inside), fringe: order.zone(keys.fringe) };
            let (account, mass_on_fringe) = self.weigh_zones(order, zones, best);
            if account.nan {
                return Err(StageError::Argument {
                    argument: "a distance",
                    value: f64::NAN,
                    domain: "a number",
                });
            }
            let needed = needed(account.total);
            if account.inside.0 >= needed {
                keys = Zones { inside: f32::NAN, fringe: keys.inside };
            } else if account.inside.0 + mass_on_fringe < needed {
                keys = Zones { inside: keys.fringe, fringe: f32::NEG_INFINITY };
            } else {
                self.known.mass = Some(account.total);
                break (account, needed - account.inside.0);
            }
        };
        Ok(self.search_fringe(order, target, account, best))
    }

    /// The keys from which on values are likely to be inside, and on the fringe.
    fn likely_keys(&mut self, order: impl Order, p: f64, best: Best) -> Zones<f32> {
        if self.len() < SMALL_ROW || !self.known.blocks {
            return Zones { inside: f32::NAN, fringe: f32::NEG_INFINITY };
        }
        let gaps = self.gaps(best);
        let Buffers { values, block_max, histogram, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        let Range { near, far } = likely_range(
            values,
            block_max,
            about_gap(gaps),
            #[inline(always)]
            move |value| order.distance(value),
            p,
            histogram,
        );
        let key_at = |distance: f32, none: f32| {
            let key = order.key_at(distance);
            if distance.is_finite() && key.is_finite() { key } else { none }
        };
        Zones { inside: key_at(near, f32::NAN), fringe: key_at(far, f32::NEG_INFINITY) }
    }

    /// Weighs all, what is inside and what is on the fringe, and collects that.
    fn weigh_zones<O: Order>(
        &mut self,
        order: O,
        zones: Zones<O::Zone>,
        best: Best,
    ) -> (Weighed, u64) {
        let gaps = self.gaps(best);
        let Buffers { values, weights, block_max, chunk_mass, fringe, fringe_masses, .. } =
            &mut *self.buffers;
        let values = self.form.of(self.row, values);
        let if_known = |what, known: bool| if known { what } else { &[][..] };
        let row = WeighedRow {
            values,
            weights: if_known(weights, self.known.weights),
            block_max: if_known(block_max, self.known.blocks),
        };
        let account = weigh(row, gaps, order, zones, chunk_mass, fringe);
        let mass = rows::masses_into(&fringe.values, gaps, fringe_masses);
        (account, mass)
    }

    /// Where the first `n` of the order end.
    pub(super) fn nth(&mut self, order: impl Order, n: usize, best: Best) -> Frontier {
        let Buffers { values, fringe, fringe_masses, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        fringe.clear();
        fringe.values.extend_from_slice(values);
        fringe_masses.clear();
        fringe_masses.resize(values.len(), 1);
        self.search_fringe(order, n as u64, Weighed::default(), best)
    }

    /// Where the masses of the fringe reach `target`; in an order by value they are those of its values.
    fn search_fringe<O: Order>(
        &mut self,
        order: O,
        target: u64,
        account: Weighed,
        best: Best,
    ) -> Frontier {
        let gaps = self.gaps(best);
        let Buffers { fringe, fringe_masses, spare, numbers, selection: scratch, .. } =
            &mut *self.buffers;
        let keys = keys_of(order, &fringe.values, spare);
        let outer = boundary(keys, fringe_masses, target, scratch);
        let target = target - outer.above;
        let (nearer, alike) = visits::count_around(keys, None, outer.value);
        let (inner, higher, class, each) = if O::IS_VALUE {
            let mass = Mass::of_weight(gaps.weight_of(outer.value));
            (Boundary { value: outer.value, above: 0 }, 0, alike, mass.0)
        } else {
            numbers.clear();
            let places = (0..).zip(keys).filter(|&(_, &key)| key == outer.value);
            numbers.extend(places.map(|(place, _)| place));
            class_in((&fringe.values, fringe_masses), numbers, spare, target, scratch)
        };
        let room = (target - inner.above).div_ceil(each) as usize;
        Frontier {
            key: outer.value,
            value: inner.value,
            room,
            class,
            one_value: class == alike,
            kept: account.count_inside + nearer + higher + room.min(class),
            before: account.inside.0 + outer.above + inner.above,
            each,
        }
    }

    /// Which slots stay, where that can be said in so few words: in a row, and if the class is divided
    /// by slot. Adds what of the fringe stays to the masses of the chunks.
    pub(super) fn split<O: Order>(
        &mut self,
        order: O,
        frontier: &Frontier,
        ties: TiePolicy,
    ) -> Option<KeySplit> {
        let Frontier { key, class, .. } = *frontier;
        let taken = frontier.taken(ties);
        let by_slot = taken == class || !matches!(ties, TiePolicy::Random | TiePolicy::Error);
        let dense = self.form != Form::List;
        if !(dense && by_slot && frontier.one_value) {
            return None;
        }
        let Buffers { values, fringe, fringe_masses, chunk_mass, spare, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        let keys = keys_of(order, &fringe.values, spare);
        let divided_at = |n| place_and_slot(values, &fringe.ends, keys, frontier, n);
        let (all, rest) = (key, key.next_up());
        let split = if taken == class {
            KeySplit { at: 0, place: 0, before: all, after: all }
        } else if ties == TiePolicy::HighestId {
            let (place, at) = divided_at(class - taken)?;
            KeySplit { at, place, before: rest, after: all }
        } else {
            let (place, at) = divided_at(taken)?;
            KeySplit { at, place, before: all, after: rest }
        };
        let stays = (split.place, split.before, split.after);
        rows::add_masses(chunk_mass, &fringe.ends, (keys, fringe_masses), stays);
        Some(split)
    }
}

/// Where the `n`-th of a class of one value is, from 0: on the fringe, which holds all of it, and in `values`.
fn place_and_slot(
    values: &[f32],
    ends: &[usize],
    keys: &[f32],
    frontier: &Frontier,
    n: usize,
) -> Option<(usize, usize)> {
    let place = visits::nth_equal(keys, frontier.key, n)?;
    let c = ends.partition_point(|&end| end <= place);
    let start = if c == 0 { 0 } else { ends[c - 1] };
    let earlier = keys[start..place].iter().filter(|&&key| key == frontier.key).count();
    let chunk = values.chunks(CHUNK).nth(c)?;
    Some((place, c * CHUNK + visits::nth_equal(chunk, frontier.value, earlier)?))
}

/// The keys of some values, in `buffer` unless they are the values.
fn keys_of<'a, O: Order>(order: O, values: &'a [f32], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if O::IS_VALUE {
        return values;
    }
    buffer.resize(values.len(), 0.0);
    rows::map_into(
        values,
        #[inline(always)]
        move |value| order.key(value),
        buffer,
    );
    buffer
}

/// Where among those on the fringe that share a key the target falls: the boundary, how many are above it,
/// how many equal it, and the mass of each of those. `numbers` are their places, and then their masses.
fn class_in(
    (fringe_values, fringe_masses): (&[f32], &[u64]),
    numbers: &mut [u64],
    values: &mut Vec<f32>,
    target: u64,
    scratch: &mut SelectionScratch,
) -> (Boundary, usize, usize, u64) {
    values.clear();
    for number in &mut *numbers {
        let place = *number as usize;
        values.push(fringe_values[place]);
        *number = fringe_masses[place];
    }
    let inner = boundary(values, numbers, target, scratch);
    let (higher, class) = visits::count_around(values, None, inner.value);
    let of_class = values.iter().position(|&value| value == inner.value);
    let each = of_class.and_then(|place| numbers.get(place)).map_or(1, |&mass| mass);
    (inner, higher, class, each)
}
