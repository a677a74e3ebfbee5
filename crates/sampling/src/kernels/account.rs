//! The mass of a row, and of the part of it that lies inside a zone of some order, in one pass that
//! also collects who is on the edge of the zone.

use alloc::vec::Vec;

use super::gather::{Marked, Marks};
use super::math::{Fixed, weight};
use super::passes::{CHUNK, Gaps, Sum, each_of};
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
}

/// Everything from a floor up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From(pub(crate) f32);

impl Zone for From {
    #[inline(always)]
    fn holds(self, x: f32) -> bool {
        x >= self.0
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

/// Weighs all and what is inside, of which `chunks` receives the mass chunk by chunk, and collects the
/// edge. `weights` are those of the values, if they are known.
pub(crate) fn account<K: Key>(
    (values, weights): (&[f32], Option<&[f32]>),
    gaps: Gaps,
    key: K,
    zones: Zones<K::Zone>,
    chunks: &mut Vec<u64>,
    edge: &mut Marked,
) -> Account {
    let weights = weights.unwrap_or(&[]);
    if gaps.undivided() {
        account_of(
            (values, weights),
            #[inline(always)]
            move |value| weight(gaps.best - value),
            key,
            zones,
            chunks,
            edge,
        )
    } else {
        account_of(
            (values, weights),
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
    (values, known): (&[f32], &[f32]),
    weight_of: impl Fn(f32) -> f32 + Copy,
    key: K,
    zones: Zones<K::Zone>,
    chunks: &mut Vec<u64>,
    edge: &mut Marked,
) -> Account {
    chunks.clear();
    edge.clear();
    vectorised(
        #[inline(always)]
        || {
            let mut account = Account::default();
            let (mut keys, mut weights) = ([0.0; CHUNK], [0.0; CHUNK]);
            let mut marks = [0; CHUNK];
            let mut known = known.chunks(CHUNK);
            for (c, chunk) in values.chunks(CHUNK).enumerate() {
                let keys = match chunk.try_into() {
                    Ok(values) if K::BY_VALUE => values,
                    _ => {
                        each_of(
                            chunk,
                            #[inline(always)]
                            move |value| if K::BY_VALUE { value } else { key.key(value) },
                            // In no zone.
                            f32::NAN,
                            &mut keys,
                        );
                        &keys
                    }
                };
                let weights = if let Some(Ok(known)) = known.next().map(<&[f32; CHUNK]>::try_from) {
                    known
                } else {
                    each_of(chunk, weight_of, 0.0, &mut weights);
                    &weights
                };
                let part = weigh::<K>(keys, weights, &mut marks, zones);
                account.total.0 = account.total.0.wrapping_add(part.total);
                account.inside.0 = account.inside.0.wrapping_add(part.inside);
                account.count_inside += part.count_inside;
                account.nan |= !K::BY_VALUE && part.nans > CHUNK - chunk.len();
                chunks.push(part.inside);
                edge.take(chunk, &marks, (c * CHUNK) as u32, part.any_on_edge);
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
    any_on_edge: bool,
}

#[inline(always)]
fn weigh<K: Key>(
    keys: &[f32; CHUNK],
    weights: &[f32; CHUNK],
    marks: &mut Marks,
    zones: Zones<K::Zone>,
) -> Part {
    const MOST: usize = Sum::MOST;
    let mut found = Part::default();
    let parts = keys.as_chunks::<MOST>().0.iter().zip(weights.as_chunks::<MOST>().0);
    for ((keys, weights), marks) in parts.zip(marks.as_chunks_mut::<MOST>().0) {
        let (mut all, mut part) = (Sum::default(), Sum::default());
        let (mut count, mut nans, mut on_edge) = (0_u32, 0_u32, 0_u32);
        for ((&key, &weight), mark) in keys.iter().zip(weights).zip(marks) {
            let own = Fixed::of(weight);
            let inside = if zones.inside.holds(key) { u32::MAX } else { 0 };
            let within = if zones.edge.holds(key) { u32::MAX } else { 0 };
            all.add(own);
            part.add_masked(own, inside);
            count = count.wrapping_sub(inside);
            *mark = within & !inside;
            on_edge |= *mark;
            if !K::BY_VALUE {
                nans += u32::from(key.is_nan());
            }
        }
        found.total = found.total.wrapping_add(all.mass(MOST as u32));
        found.inside = found.inside.wrapping_add(part.mass(count));
        found.count_inside += count as usize;
        found.nans += nans as usize;
        found.any_on_edge |= on_edge != 0;
    }
    found
}
