//! The mass of a row, and of the part of it that lies inside a zone of some order, in one pass that
//! also collects who is on the edge of the zone.

use alloc::vec::Vec;

use super::gather::Taken;
use super::math::{Fixed, weight};
use super::passes::{CHUNK, Gaps, LANES, Room, Sum, each_of};
use super::{Mass, vectorised};

/// What values are ordered by. Copied into every pass: read through a reference, what it goes by
/// would be loaded again for each value, and the pass would not be vector code.
pub(crate) trait Key: Copy {
    /// Whether the key is the value, so that none has to be computed.
    const IS_VALUE: bool;
    /// Whether zones are told by value, so that a pass over a row computes no keys.
    const BY_VALUE: bool;
    /// A part of the order from its first on.
    type Zone: Zone;

    /// Larger keys come first, and of equal keys the larger value. −∞ for a banned value.
    fn key(self, value: f32) -> f32;
    /// What has at least this key; nothing for NaN.
    fn zone(self, key: f32) -> Self::Zone;
}

/// A part of an order, as a test of keys or of values.
pub(crate) trait Zone: Copy {
    fn holds(self, x: f32) -> bool;
    /// Whether it holds nothing up to `max`.
    fn is_above(self, max: f32) -> bool;
}

/// Everything from a floor up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From(pub(crate) f32);

impl Zone for From {
    #[inline(always)]
    fn holds(self, x: f32) -> bool {
        x >= self.0
    }

    fn is_above(self, max: f32) -> bool {
        max < self.0
    }
}

/// Everything between two numbers, both included; nothing if one is NaN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Band {
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl Band {
    pub(crate) const ALL: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    pub(crate) const NOTHING: Self = Self { low: f32::NAN, high: f32::NAN };
}

impl Zone for Band {
    #[inline(always)]
    fn holds(self, x: f32) -> bool {
        x >= self.low && x <= self.high
    }

    fn is_above(self, max: f32) -> bool {
        max < self.low
    }
}

/// What an order is divided into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zones<Z> {
    pub(crate) inside: Z,
    /// Holds what is inside, too; only the others are on the edge.
    pub(crate) edge: Z,
}

/// What [`account`] found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    /// The mass of all values.
    pub(crate) total: Mass,
    /// The mass inside.
    pub(crate) inside: Mass,
    /// How many are inside.
    pub(crate) count_inside: usize,
    /// Whether a key is NaN.
    pub(crate) nan: bool,
}

/// A row, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) values: &'a [f32],
    /// The weights of the values, or nothing.
    pub(crate) weights: &'a [f32],
    /// The block maxima of the values, or nothing.
    pub(crate) block_max: &'a [f32],
}

/// Weighs all and what is inside, of which `chunks` receives the mass chunk by chunk, and collects the
/// edge.
pub(crate) fn account<K: Key>(
    row: Known<'_>,
    gaps: Gaps,
    key: K,
    zones: Zones<K::Zone>,
    chunks: &mut Vec<u64>,
    edge: &mut Taken,
) -> Account {
    if gaps.undivided() {
        account_of(
            row,
            #[inline(always)]
            move |value| weight(gaps.best - value),
            key,
            zones,
            chunks,
            edge,
        )
    } else {
        account_of(
            row,
            #[inline(always)]
            move |value| gaps.weight_of(value),
            key,
            zones,
            chunks,
            edge,
        )
    }
}

fn account_of<K: Key>(
    row: Known<'_>,
    weight_of: impl Fn(f32) -> f32 + Copy,
    key: K,
    zones: Zones<K::Zone>,
    chunks: &mut Vec<u64>,
    edge: &mut Taken,
) -> Account {
    chunks.clear();
    edge.clear();
    vectorised(
        #[inline(always)]
        || {
            let mut account = Account::default();
            let (mut keys, mut weights) = (Room([0.0; CHUNK]), Room([0.0; CHUNK]));
            let mut known = row.weights.chunks(CHUNK);
            let mut maxima = row.block_max.as_chunks::<LANES>().0.iter();
            for chunk in row.values.chunks(CHUNK) {
                let keys = match chunk.try_into() {
                    Ok(values) if K::BY_VALUE => values,
                    _ => {
                        each_of(
                            chunk,
                            #[inline(always)]
                            move |value| if K::BY_VALUE { value } else { key.key(value) },
                            f32::NAN,
                            &mut keys.0,
                        );
                        &keys.0
                    }
                };
                let weights = if let Some(known) = known.next() {
                    known
                } else {
                    each_of(chunk, weight_of, 0.0, &mut weights.0);
                    &weights.0
                };
                // Of a length that is not known: a loop over so many would be unrolled whole, and
                // run out of registers.
                let keys = keys.get(..chunk.len()).unwrap_or(keys);
                let weights = weights.get(..chunk.len()).unwrap_or(weights);
                let part = weigh::<K>(keys, weights, zones.inside);
                account.total.0 = account.total.0.wrapping_add(part.total);
                account.inside.0 = account.inside.0.wrapping_add(part.inside);
                account.count_inside += part.count_inside;
                account.nan |= !K::BY_VALUE && part.nans > 0;
                chunks.push(part.inside);
                let max = maxima.next().filter(|_| K::BY_VALUE);
                if max.is_some_and(|max| max.iter().all(|&max| zones.edge.is_above(max))) {
                    edge.take_nothing();
                } else {
                    edge.take(
                        chunk,
                        keys,
                        #[inline(always)]
                        move |key| zones.edge.holds(key) & !zones.inside.holds(key),
                    );
                }
            }
            account
        },
    )
}

/// What is found of one chunk.
#[derive(Default)]
struct Part {
    total: u64,
    inside: u64,
    count_inside: usize,
    nans: usize,
}

#[inline(always)]
fn weigh<K: Key>(keys: &[f32], weights: &[f32], zone: K::Zone) -> Part {
    let (mut all, mut inside) = (Sum::default(), Sum::default());
    let (mut count, mut nans) = (0_u32, 0_u32);
    for (&key, &weight) in keys.iter().zip(weights) {
        let own = Fixed::of(weight);
        let mask = if zone.holds(key) { u32::MAX } else { 0 };
        all.add(own);
        inside.add_masked(own, mask);
        count = count.wrapping_sub(mask);
        if !K::BY_VALUE {
            nans += u32::from(key.is_nan());
        }
    }
    Part {
        total: all.mass(keys.len() as u32),
        inside: inside.mass(count),
        count_inside: count as usize,
        nans: nans as usize,
    }
}
