//! Looking for some of the values of a row: visits, first places, counts.

use super::passes::{CHUNK, LANES};
use super::vectorised;

/// Calls `visit(slot, value)` for each value at or above `floor`, slots ascending.
///
/// `block_max` (from [`super::passes::scan`] over the same values) lets whole chunks be skipped; without it each
/// group of lanes is tested. Cheap when few values pass; see [`super::gather`] for when many do.
pub(crate) fn visit_from(
    values: &[f32],
    block_max: Option<&[f32]>,
    floor: f32,
    mut visit: impl FnMut(usize, f32),
) {
    vectorised(
        #[inline(always)]
        || {
            let mut maxima = block_max.unwrap_or(&[]).as_chunks::<LANES>().0.iter();
            for (c, chunk) in values.chunks(CHUNK).enumerate() {
                if maxima.next().is_some_and(|maxima| maxima.iter().all(|&m| m < floor)) {
                    continue;
                }
                let (quads, tail) = chunk.as_chunks::<{ 4 * LANES }>();
                let mut slot = c * CHUNK;
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

/// The first value from `floor` up; `block_max` as in [`visit_from`]. Values are not NaN.
pub(crate) fn first_from(values: &[f32], block_max: Option<&[f32]>, floor: f32) -> Option<usize> {
    let maxima = block_max.unwrap_or(&[]).as_chunks::<LANES>().0;
    let reaches = |maxima: &[f32; LANES]| maxima.iter().any(|&max| max >= floor);
    let skipped = maxima.iter().position(reaches).unwrap_or(0) * CHUNK;
    let rest = values.get(skipped..)?;
    first_not_below(rest, floor).map(|place| skipped + place)
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

/// Calls `visit(state, slot, value)` where `term(value)` is above `floor(state)`, which only rises;
/// also for some others close by, and for all while the floor is NaN. Slots ascend.
pub(crate) fn visit_above<S>(
    values: &[f32],
    term: impl Fn(f32) -> f32 + Copy,
    state: &mut S,
    floor: impl Fn(&S) -> f32 + Copy,
    visit: impl Fn(&mut S, usize, f32) + Copy,
) {
    vectorised(
        #[inline(always)]
        || {
            for (r, row) in values.chunks(4 * LANES).enumerate() {
                let floor = floor(state);
                if any(row, |x| !(term(x) <= floor)) {
                    for (slot, &x) in (r * 4 * LANES..).zip(row) {
                        visit(state, slot, x);
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

/// How many values come before the one in `slot`: those above it, and its equals in earlier slots (−0.0
/// equals +0.0).
pub(crate) fn count_before(values: &[f32], slot: usize, value: f32) -> usize {
    let (before, after) = values.split_at(slot.min(values.len()));
    let reaching = count_if(
        before,
        #[inline(always)]
        move |x| x >= value,
    );
    let above = count_if(
        after,
        #[inline(always)]
        move |x| x > value,
    );
    reaching + above
}

/// How many values pass a test.
pub(crate) fn count_if(values: &[f32], test: impl Fn(f32) -> bool + Copy) -> usize {
    vectorised(
        #[inline(always)]
        || {
            let mut count = 0;
            // u32 counters per chunk keep the inner loop in narrow lanes.
            for chunk in values.chunks(CHUNK) {
                let mut of_chunk = 0_u32;
                for &x in chunk {
                    of_chunk += u32::from(test(x));
                }
                count += of_chunk as usize;
            }
            count
        },
    )
}

/// How many values are above `value`, and how many equal it (−0.0 equals +0.0).
pub(crate) fn count_around(values: &[f32], value: f32) -> (usize, usize) {
    vectorised(
        #[inline(always)]
        || {
            let (mut above, mut equal) = (0_usize, 0_usize);
            // u32 counters per chunk keep the inner loop in narrow lanes.
            for chunk in values.chunks(CHUNK) {
                let (mut a, mut e) = (0_u32, 0_u32);
                for &x in chunk {
                    a += u32::from(x > value);
                    e += u32::from(x == value);
                }
                above += a as usize;
                equal += e as usize;
            }
            (above, equal)
        },
    )
}
