//! Looking for some of the values of a row: visits, first places, counts.

use super::{CHUNK, LANES};
use crate::kernels::vectorised;

/// Calls `visit(slot, value)` for each value at or above `floor`, slots ascending.
///
/// `block_max` (from [`super::scan`] over the same values) lets whole chunks be skipped; without it each
/// group of lanes is tested. Cheap when few values pass; see [`crate::kernels::gather`] for when many do.
pub(crate) fn visit_from(
    values: &[f32],
    block_max: Option<&[f32]>,
    floor: f32,
    mut visit: impl FnMut(usize, f32),
) {
    vectorised(
        #[inline(always)]
        || {
            for (first, chunk) in reaching(values, block_max, floor) {
                let (quads, tail) = chunk.as_chunks::<{ 4 * LANES }>();
                let mut slot = first;
                for quad in quads {
                    if any(quad, |x| x >= floor) {
                        for (row, slot) in quad.chunks(LANES).zip((slot..).step_by(LANES)) {
                            if any(row, |x| x >= floor) {
                                visit_each(row, slot, floor, &mut visit);
                            }
                        }
                    }
                    slot += 4 * LANES;
                }
                visit_each(tail, slot, floor, &mut visit);
            }
        },
    );
}

/// The chunks that may hold a value from `floor` up, each with its first slot; all of them without
/// `block_max`.
#[inline(always)]
fn reaching<'a>(
    values: &'a [f32],
    block_max: Option<&'a [f32]>,
    floor: f32,
) -> impl Iterator<Item = (usize, &'a [f32])> {
    let mut maxima = block_max.unwrap_or(&[]).as_chunks::<LANES>().0.iter();
    let chunks = (0..).step_by(CHUNK).zip(values.chunks(CHUNK));
    chunks.filter(move |_| maxima.next().is_none_or(|maxima| any(maxima, |max| max >= floor)))
}

/// Whether any value passes. No early exit: they are compared side by side.
#[inline(always)]
fn any(values: &[f32], test: impl Fn(f32) -> bool) -> bool {
    values.iter().fold(false, |any, &x| any | test(x))
}

#[inline(always)]
fn visit_each(values: &[f32], first: usize, floor: f32, visit: &mut impl FnMut(usize, f32)) {
    for (slot, &x) in (first..).zip(values) {
        if x >= floor {
            visit(slot, x);
        }
    }
}

/// Calls `visit(slot, a, b)` for each pair of values, one of each row, that passes `test`.
pub(crate) fn visit_pairs(
    (a, b): (&[f32], &[f32]),
    test: impl Fn(f32, f32) -> bool + Copy,
    mut visit: impl FnMut(usize, f32, f32),
) {
    const TOGETHER: usize = 4 * LANES;
    vectorised(
        #[inline(always)]
        || {
            let parts = a.chunks(TOGETHER).zip(b.chunks(TOGETHER));
            for ((a, b), first) in parts.zip((0..).step_by(TOGETHER)) {
                if a.iter().zip(b).fold(false, |any, (&a, &b)| any | test(a, b)) {
                    for ((&a, &b), slot) in a.iter().zip(b).zip(first..) {
                        if test(a, b) {
                            visit(slot, a, b);
                        }
                    }
                }
            }
        },
    );
}

/// The first value from `floor` up; `block_max` as in [`visit_from`].
pub(crate) fn first_from(values: &[f32], block_max: Option<&[f32]>, floor: f32) -> Option<usize> {
    vectorised(
        #[inline(always)]
        || {
            let mut chunks = reaching(values, block_max, floor);
            chunks.find_map(|(first, chunk)| {
                let parts = (first..).step_by(4 * LANES).zip(chunk.chunks(4 * LANES));
                let (first, part) =
                    parts.into_iter().find(|(_, part)| any(part, |x| x >= floor))?;
                let place = part.iter().position(|&x| x >= floor)?;
                Some(first + place)
            })
        },
    )
}

/// The first value that is not below `limit`; NaN is not.
pub(crate) fn first_not_below(values: &[f32], limit: f32) -> Option<usize> {
    vectorised(
        #[inline(always)]
        || {
            let reaches = |x: f32| !(x < limit);
            let at = values.chunks(CHUNK).position(|chunk| any(chunk, reaches))?;
            let rest = values.get(at * CHUNK..)?;
            rest.iter().position(|&x| reaches(x)).map(|place| at * CHUNK + place)
        },
    )
}

/// The place of the `n`-th value, from 0, that equals `value` (−0.0 equals +0.0).
pub(crate) fn nth_equal(values: &[f32], value: f32, n: usize) -> Option<usize> {
    const TOGETHER: usize = 4 * LANES;
    vectorised(
        #[inline(always)]
        || {
            let mut left = n;
            for (part, first) in values.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
                let equal = passing(part, |x| x == value);
                if left < equal {
                    let mut places = (first..).zip(part).filter(|&(_, &x)| x == value);
                    return places.nth(left).map(|(place, _)| place);
                }
                left -= equal;
            }
            None
        },
    )
}

/// Calls `visit(state, slot, value)` where `term(value)` is above `floor(state)`, which only rises;
/// also for some others close by, and for all while the floor is NaN. Slots ascend.
///
/// `term` does not fall where values rise. `block_max` as in [`visit_from`].
pub(crate) fn visit_above<S>(
    values: &[f32],
    block_max: Option<&[f32]>,
    term: impl Fn(f32) -> f32 + Copy,
    state: &mut S,
    floor: impl Fn(&S) -> f32 + Copy,
    visit: impl Fn(&mut S, usize, f32) + Copy,
) {
    vectorised(
        #[inline(always)]
        || {
            let mut maxima = block_max.unwrap_or(&[]).as_chunks::<LANES>().0.iter();
            for (first, chunk) in (0..).step_by(CHUNK).zip(values.chunks(CHUNK)) {
                let low = floor(state);
                let reaches = |x: f32| !(term(x) <= low);
                if maxima.next().is_some_and(|maxima| !any(maxima, reaches)) {
                    continue;
                }
                for (row, slot) in chunk.chunks(4 * LANES).zip((first..).step_by(4 * LANES)) {
                    let low = floor(state);
                    if any(row, |x| !(term(x) <= low)) {
                        for (slot, &x) in (slot..).zip(row) {
                            visit(state, slot, x);
                        }
                    }
                }
            }
        },
    );
}

/// How many values are from `low` to `high`, both included.
pub(crate) fn count_in(values: &[f32], low: f32, high: f32) -> usize {
    count_if(
        values,
        #[inline(always)]
        move |x| x >= low && x <= high,
    )
}

/// How many values are from each of some floors up; none for NaN. `block_max` as in [`visit_from`].
pub(crate) fn count_from<const N: usize>(
    values: &[f32],
    block_max: Option<&[f32]>,
    floors: [f32; N],
) -> [usize; N] {
    vectorised(
        #[inline(always)]
        || {
            let (mut counts, mut lowest) = ([0; N], f32::INFINITY);
            for floor in floors {
                lowest = lowest.min(floor);
            }
            for (_, chunk) in reaching(values, block_max, lowest) {
                for (count, floor) in counts.iter_mut().zip(floors) {
                    *count += passing(chunk, |x| x >= floor);
                }
            }
            counts
        },
    )
}

/// How many values come before the one in `slot`: those above it, and its equals in earlier slots (−0.0
/// equals +0.0). `block_max` as in [`visit_from`].
pub(crate) fn count_before(
    values: &[f32],
    block_max: Option<&[f32]>,
    slot: usize,
    value: f32,
) -> usize {
    vectorised(
        #[inline(always)]
        || {
            let mut count = 0;
            for (first, chunk) in reaching(values, block_max, value) {
                let earlier = slot.saturating_sub(first).min(chunk.len());
                let (before, after) = chunk.split_at(earlier);
                count += passing(before, |x| x >= value) + passing(after, |x| x > value);
            }
            count
        },
    )
}

/// How many values of a chunk pass.
#[inline(always)]
fn passing(chunk: &[f32], test: impl Fn(f32) -> bool) -> usize {
    // A narrow counter keeps the loop in narrow lanes.
    let mut count = 0_u32;
    for &x in chunk {
        count += u32::from(test(x));
    }
    count as usize
}

/// How many values pass a test.
pub(crate) fn count_if(values: &[f32], test: impl Fn(f32) -> bool + Copy) -> usize {
    vectorised(
        #[inline(always)]
        || values.chunks(CHUNK).map(|chunk| passing(chunk, test)).sum(),
    )
}

/// How many values are above `value`, and how many equal it (−0.0 equals +0.0). `block_max` as in
/// [`visit_from`].
pub(crate) fn count_around(
    values: &[f32],
    block_max: Option<&[f32]>,
    value: f32,
) -> (usize, usize) {
    vectorised(
        #[inline(always)]
        || {
            let (mut above, mut from) = (0, 0);
            for (_, chunk) in reaching(values, block_max, value) {
                above += passing(chunk, |x| x > value);
                from += passing(chunk, |x| x >= value);
            }
            (above, from - above)
        },
    )
}
