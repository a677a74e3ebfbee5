//! Where a cut by mass falls, in any order of the candidates.
//!
//! A guess from a sample names a band of keys. One pass of exponentials gives the mass of all and of
//! what is above the band, the band alone is gathered and searched, and if the boundary is not in
//! it, the guess was wrong and what the pass found gives a band that is right.

use super::{Best, Candidates, Shape};
use crate::kernels::account::{Account, account};
use crate::kernels::estimate::{Range, likely_range};
use crate::kernels::gather::{Band, gather};
use crate::kernels::passes::{CHUNK, Gaps};
use crate::kernels::{Mass, passes, selection};
use crate::stage::StageError;
use crate::ties::TiePolicy;

/// Rows shorter than this are searched whole.
const SMALL_ROW: usize = 8 * CHUNK;

/// An order of the candidates. Copied into every pass: read through a reference, what it goes by
/// would be loaded again for each value, and the pass would not be vector code.
pub(super) trait Order: Copy {
    /// What the value is ordered by: larger keys come first, and of equal keys the larger value. −∞
    /// for a banned value.
    fn key(&self, value: f32) -> f32;
    /// How far the value is from the first of the order, in nats; need not be exact.
    fn distance(&self, value: f32) -> f32;
    /// The key at a distance; need not be exact.
    fn key_at(&self, distance: f32) -> f32;
}

/// Best first.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByScore(pub(super) Gaps);

impl Order for ByScore {
    #[inline(always)]
    fn key(&self, value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn distance(&self, value: f32) -> f32 {
        self.0.gap(value)
    }

    fn key_at(&self, distance: f32) -> f32 {
        (self.0.best - distance) * self.0.divisor
    }
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
    /// How many of the class stay.
    pub(super) fn taken(&self, ties: TiePolicy) -> usize {
        if ties == TiePolicy::KeepAll { self.class } else { self.room.min(self.class) }
    }

    /// The mass of everything that stays.
    pub(super) fn mass(&self, ties: TiePolicy) -> Mass {
        Mass(self.before + self.taken(ties) as u64 * self.each)
    }
}

/// The class at the boundary divided by slot: those before `at` whose key is at least `before` stay,
/// and from `at` on those whose key is at least `after`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) at: usize,
    pub(super) before: f32,
    pub(super) after: f32,
}

impl Split {
    #[inline(always)]
    pub(super) fn holds(&self, slot: usize, key: f32) -> bool {
        key >= if slot < self.at { self.before } else { self.after }
    }
}

impl Candidates<'_> {
    /// Where the mass from the first of the order reaches `needed(total)`, which is about the share
    /// `p` of it.
    ///
    /// Leaves the band around it in the buffers, and of each chunk the mass above the band.
    pub(super) fn frontier(
        &mut self,
        order: impl Order,
        p: f64,
        needed: impl Fn(Mass) -> u64,
        best: Best,
    ) -> Result<Frontier, StageError> {
        let mut band = self.likely_band(order, p, best);
        self.cache.chunks = false;
        let (account, target) = loop {
            let (account, mass_in_band) = self.weigh_band(order, band, best);
            if account.nan {
                return Err(StageError::Argument {
                    argument: "a distance",
                    value: f64::NAN,
                    domain: "a number",
                });
            }
            let needed = needed(account.total);
            if account.above.0 >= needed {
                band = Band::from(band.high.next_up());
            } else if account.above.0 + mass_in_band < needed {
                band = Band { low: f32::NEG_INFINITY, high: band.low.next_down() };
            } else {
                self.cache.mass = Some(account.total);
                break (account, needed - account.above.0);
            }
        };
        Ok(self.search_band(order, target, account))
    }

    fn likely_band(&mut self, order: impl Order, p: f64, best: Best) -> Band {
        if self.len() < SMALL_ROW || !self.cache.blocks {
            return Band::from(f32::NEG_INFINITY);
        }
        let gaps = self.gaps(best);
        let super::Buffers { values, block_max, histogram, .. } = &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        let Range { near, far } = likely_range(
            values,
            block_max,
            gaps,
            #[inline(always)]
            move |value| order.distance(value),
            p,
            histogram,
        );
        let key_at = |distance: f32, none: f32| {
            let key = order.key_at(distance);
            if distance.is_finite() && key.is_finite() { key } else { none }
        };
        Band { low: key_at(far, f32::NEG_INFINITY), high: key_at(near, f32::INFINITY) }
    }

    /// Gathers the band, and weighs it, all, and what is above it.
    fn weigh_band(&mut self, order: impl Order, band: Band, best: Best) -> (Account, u64) {
        let gaps = self.gaps(best);
        let super::Buffers { values, chunk_mass, band: found, .. } = &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        let account = account(
            values,
            gaps,
            #[inline(always)]
            move |value| order.key(value),
            band.high,
            chunk_mass,
        );
        found.slots.clear();
        found.values.clear();
        if account.nan {
            return (account, 0);
        }
        gather(
            values,
            0,
            #[inline(always)]
            move |value| order.key(value),
            band,
            &mut found.slots,
            &mut found.values,
        );
        let mass = passes::masses_into(&found.values, gaps, &mut found.masses);
        (account, mass)
    }

    /// Where the first `n` of the order end.
    pub(super) fn nth(&mut self, order: impl Order, n: usize) -> Frontier {
        let super::Buffers { values, band, .. } = &mut *self.buffers;
        let values: &[f32] = if self.shape == Shape::Row { self.row } else { values };
        band.values.clear();
        band.values.extend_from_slice(values);
        band.masses.clear();
        band.masses.resize(values.len(), 1);
        let nothing = Account { total: Mass(0), above: Mass(0), count_above: 0, nan: false };
        self.search_band(order, n as u64, nothing)
    }

    fn search_band(&mut self, order: impl Order, target: u64, account: Account) -> Frontier {
        let super::Buffers { band, pairs, selection: scratch, .. } = &mut *self.buffers;
        let weighed = || band.values.iter().copied().zip(band.masses.iter().copied());
        let by_key = || weighed().map(|(value, mass)| (order.key(value), mass));
        let outer = selection::boundary(by_key, target, scratch);
        pairs.clear();
        pairs.extend(weighed().filter(|&(value, _)| order.key(value) == outer.value));
        let target = target - outer.above;
        let inner = selection::boundary(|| pairs.iter().copied(), target, scratch);
        let (mut higher, mut class, mut each) = (0, 0, 1);
        for &(value, mass) in &*pairs {
            higher += usize::from(value > inner.value);
            if value == inner.value {
                class += 1;
                each = mass;
            }
        }
        let room = (target - inner.above).div_ceil(each) as usize;
        let nearer = band.values.iter().filter(|&&v| order.key(v) > outer.value).count();
        Frontier {
            key: outer.value,
            value: inner.value,
            room,
            class,
            one_value: class == pairs.len(),
            kept: account.count_above + nearer + higher + room.min(class),
            before: account.above.0 + outer.above + inner.above,
            each,
        }
    }

    /// Which slots stay, where that can be said in so few words: in a row that nobody watches, and if
    /// the class is divided by slot. Adds what of the band stays to the masses of the chunks.
    pub(super) fn split(
        &mut self,
        order: impl Order,
        frontier: &Frontier,
        ties: TiePolicy,
    ) -> Option<Split> {
        let Frontier { key, class, .. } = *frontier;
        let taken = frontier.taken(ties);
        let by_slot = taken == class || !matches!(ties, TiePolicy::Random | TiePolicy::Error);
        let dense = self.shape != Shape::List && !self.buffers.probe.is_on();
        if !(dense && by_slot && frontier.one_value) {
            return None;
        }
        let super::Buffers { band, chunk_mass, .. } = &mut *self.buffers;
        let mut of_class =
            band.slots.iter().zip(&band.values).filter(|(_, v)| order.key(**v) == key);
        let (all, rest) = (key, key.next_up());
        let split = if taken == class {
            Split { at: 0, before: all, after: all }
        } else if ties == TiePolicy::HighestId {
            let first_in = of_class.nth(class - taken)?.0;
            Split { at: *first_in as usize, before: rest, after: all }
        } else {
            let first_out = of_class.nth(taken)?.0;
            Split { at: *first_out as usize, before: all, after: rest }
        };
        for ((&slot, &value), &mass) in band.slots.iter().zip(&band.values).zip(&band.masses) {
            // Without a branch: whether it stays is hard to foresee at the boundary.
            let stays = split.holds(slot as usize, order.key(value));
            chunk_mass[slot as usize / CHUNK] += if stays { mass } else { 0 };
        }
        Some(split)
    }
}
