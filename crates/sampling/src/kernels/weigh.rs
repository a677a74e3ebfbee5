//! The mass of a row, and of the part of it that lies inside a zone of some order, in one pass that
//! also collects who is on the fringe of the zone.

use alloc::vec::Vec;

use super::gather::Fringe;
use super::math::{Fixed, weight};
use super::rows::{CHUNK, Gaps, LANES, Room, Sum, each_of};
use super::zones::{Key, Zone, Zones};
use super::{Mass, vectorised};

/// What [`weigh`] found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weighed {
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
pub(crate) struct WeighedRow<'a> {
    pub(crate) values: &'a [f32],
    /// The weights of the values, or nothing.
    pub(crate) weights: &'a [f32],
    /// The block maxima of the values, or nothing.
    pub(crate) block_max: &'a [f32],
}

/// Weighs all and what is inside, of which `chunks` receives the mass chunk by chunk, and collects the
/// fringe.
pub(crate) fn weigh<K: Key>(
    row: WeighedRow<'_>,
    gaps: Gaps,
    key: K,
    zones: Zones<K::Zone>,
    chunks: &mut Vec<u64>,
    fringe: &mut Fringe,
) -> Weighed {
    if gaps.undivided() {
        weigh_by(
            row,
            #[inline(always)]
            move |value| weight(gaps.best - value),
            key,
            zones,
            chunks,
            fringe,
        )
    } else {
        weigh_by(
            row,
            #[inline(always)]
            move |value| gaps.weight_of(value),
            key,
            zones,
            chunks,
            fringe,
        )
    }
}

fn weigh_by<K: Key>(
    row: WeighedRow<'_>,
    weight_of: impl Fn(f32) -> f32 + Copy,
    key: K,
    zones: Zones<K::Zone>,
    chunks: &mut Vec<u64>,
    fringe: &mut Fringe,
) -> Weighed {
    chunks.clear();
    fringe.clear();
    vectorised(
        #[inline(always)]
        || {
            let mut weighed = Weighed::default();
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
                let part = weigh_chunk::<K>(keys, weights, zones.inside);
                weighed.total.0 = weighed.total.0.wrapping_add(part.total);
                weighed.inside.0 = weighed.inside.0.wrapping_add(part.inside);
                weighed.count_inside += part.count_inside;
                weighed.nan |= !K::BY_VALUE && part.nans > 0;
                chunks.push(part.inside);
                let max = maxima.next().filter(|_| K::BY_VALUE);
                if max.is_some_and(|max| max.iter().all(|&max| zones.fringe.is_above(max))) {
                    fringe.take_nothing();
                } else {
                    fringe.take(
                        chunk,
                        keys,
                        #[inline(always)]
                        move |key| zones.fringe.holds(key) & !zones.inside.holds(key),
                    );
                }
            }
            weighed
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
fn weigh_chunk<K: Key>(keys: &[f32], weights: &[f32], zone: K::Zone) -> Part {
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
