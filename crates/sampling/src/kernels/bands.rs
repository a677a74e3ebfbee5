//! What lies in a band of values, without a list of it.

use super::gather::packed;
use super::rows::{CHUNK, Gaps, LANES, each_of, mass};
use super::zones::{Band, Zone};
use super::{Mass, vectorised};

/// The mass of what lies in one band up to slot `at`, and in another from there on, as
/// [`super::rows::chunk_masses`]. Only that is weighed.
pub(crate) fn chunk_masses_in(
    values: &[f32],
    gaps: Gaps,
    (at, before, after): (usize, Band, Band),
    mut each: impl FnMut(u64),
) -> Mass {
    // A chunk with both in it is one chunk all the same.
    let inner = at % CHUNK;
    let (head, rest) = parted(values, at - inner);
    let (middle, tail) = parted(rest, if inner == 0 { 0 } else { CHUNK });
    let mut total = band_masses(head, gaps, before, &mut each);
    if inner > 0 {
        let (own, others) = parted(middle, inner);
        let mass =
            band_masses(own, gaps, before, |_| ()) + band_masses(others, gaps, after, |_| ());
        each(mass);
        total += mass;
    }
    Mass(total + band_masses(tail, gaps, after, each))
}

/// What is before a slot, and from there on.
fn parted(values: &[f32], at: usize) -> (&[f32], &[f32]) {
    values.split_at_checked(at).unwrap_or((values, &[]))
}

/// The mass of what lies in a band, chunk by chunk.
fn band_masses(values: &[f32], gaps: Gaps, band: Band, mut each: impl FnMut(u64)) -> u64 {
    let mut total = 0_u64;
    let weigh = |within: &[f32]| {
        let mass = mass(within, gaps).0;
        each(mass);
        total = total.wrapping_add(mass);
    };
    if band.high == f32::INFINITY {
        packed(
            values,
            #[inline(always)]
            move |value| value >= band.low,
            weigh,
        );
    } else {
        packed(
            values,
            #[inline(always)]
            move |value| band.holds(value),
            weigh,
        );
    }
    total
}

/// The largest value in a band; −∞ if there is none.
pub(crate) fn max_in(values: &[f32], band: Band) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            let mut max = [f32::NEG_INFINITY; LANES];
            let mut within = [0.0; CHUNK];
            for chunk in values.chunks(CHUNK) {
                each_of(
                    chunk,
                    #[inline(always)]
                    move |value| if band.holds(value) { value } else { f32::NEG_INFINITY },
                    f32::NEG_INFINITY,
                    &mut within,
                );
                for row in within.as_chunks::<LANES>().0 {
                    for lane in 0..LANES {
                        max[lane] = if row[lane] > max[lane] { row[lane] } else { max[lane] };
                    }
                }
            }
            max.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
        },
    )
}
