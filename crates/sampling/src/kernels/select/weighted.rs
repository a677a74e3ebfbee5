//! Weighted selection without a sort: the value at which a sum, taken from the top, reaches a
//! target.
//!
//! Top-p is this with the candidate's mass for a measure. Values are dealt into buckets, measures are
//! summed per bucket, and only the bucket in which the target falls is kept. The first level has steps
//! of equal width; from then on values are mapped to integers in their own order, and a level divides
//! their range by [`BUCKETS`], so four more exhaust an `f32` whatever the row looks like.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::nth::extremes;
use super::order::{key, value_of};

/// Buckets a level deals into. Few, because they are cleared and walked through even where a hundred
/// items are dealt.
const BUCKETS: usize = 512;
/// Few enough to sort outright.
const SMALL: usize = 128;

/// Buffers that [`boundary`] reuses.
#[derive(Debug)]
pub(crate) struct SelectionScratch {
    buckets: Vec<u32>,
    sums: Box<[u64; BUCKETS]>,
    band: Vec<(u32, u64)>,
}

impl SelectionScratch {
    pub(crate) fn for_vocabulary(size: usize) -> Self {
        Self {
            buckets: Vec::with_capacity(size),
            sums: Box::new([0; _]),
            band: Vec::with_capacity(size),
        }
    }
}

/// Where the target was reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Boundary {
    /// The value whose class reaches the target.
    pub(crate) value: f32,
    /// The measure of everything strictly above it; less than the target.
    pub(crate) above: u64,
}

/// The largest value `v` such that the measure of all items at or above `v` is at least `target`.
///
/// The items are `values` with their `measures`. Values are not NaN; `1 ≤ target ≤` the sum of all
/// measures; `target` must be reached by items of non-zero measure.
pub(crate) fn boundary(
    values: &[f32],
    measures: &[u64],
    target: u64,
    scratch: &mut SelectionScratch,
) -> Boundary {
    let SelectionScratch { buckets, sums, band } = scratch;
    let (low, high) = extremes(values);
    if low == high {
        return Boundary { value: high, above: 0 };
    }
    let mut above = 0;
    band.clear();
    if values.len() <= SMALL {
        band.extend(values.iter().map(|&value| key(value)).zip(measures.iter().copied()));
    } else {
        spread_evenly(values, low, high, buckets);
        sums.fill(0);
        for (&bucket, &measure) in buckets.iter().zip(measures) {
            add(sums, bucket as usize, measure);
        }
        let (bucket, passed) = find_bucket(sums.as_slice(), target);
        above = passed;
        let bucket = bucket as u32;
        // Few are in it: most groups of 64 have none.
        let groups = buckets.chunks(64).zip(values.chunks(64)).zip(measures.chunks(64));
        for ((own, values), measures) in groups {
            if own.contains(&bucket) {
                let members = own.iter().zip(values).zip(measures);
                let members = members.filter(|((own, _), _)| **own == bucket);
                band.extend(members.map(|((_, &value), &measure)| (key(value), measure)));
            }
        }
    }
    while band.len() > SMALL {
        let (low, high) = range(band);
        if low == high {
            break;
        }
        let deal = Deal::over(low, high);
        sums.fill(0);
        for &(k, measure) in &*band {
            add(sums, deal.bucket(k), measure);
        }
        let (bucket, passed) = find_bucket(sums.as_slice(), target - above);
        above += passed;
        band.retain(|&(k, _)| deal.bucket(k) == bucket);
    }
    band.sort_unstable_by_key(|&(k, _)| core::cmp::Reverse(k));
    let mut found = Boundary { value: f32::NEG_INFINITY, above };
    for class in band.chunk_by(|a, b| a.0 == b.0) {
        found.value = class.first().map_or(f32::NEG_INFINITY, |&(k, _)| value_of(k));
        let measure: u64 = class.iter().map(|&(_, measure)| measure).sum();
        if found.above + measure >= target {
            break;
        }
        found.above += measure;
    }
    found
}

/// Writes the bucket of each value, the highest in bucket 0, by equal steps: keys would put nearly all
/// scores of a row into a few, because most of them lie near zero.
///
/// Whatever is rounded, a higher value is never in a later bucket, and that is all that is needed.
fn spread_evenly(values: &[f32], low: f32, high: f32, buckets: &mut Vec<u32>) {
    const LAST: f32 = (BUCKETS - 1) as f32;
    // Adding it leaves the nearest whole number in the low bits.
    const WHOLE: f32 = 8_388_608.0;
    // From −∞ there are no equal steps; some are taken, and what is below them shares the last bucket.
    let span = if (high - low).is_finite() { high - low } else { 64.0 };
    let per = LAST / span;
    buckets.resize(values.len(), 0);
    let buckets = buckets.as_mut_slice();
    crate::kernels::vectorised(
        #[inline(always)]
        || {
            for (bucket, &value) in buckets.iter_mut().zip(values) {
                let place = (high - value) * per;
                let place = if place < LAST { place } else { LAST };
                *bucket = (place + WHOLE).to_bits() & (BUCKETS - 1) as u32;
            }
        },
    );
}

/// Adds to a bucket.
#[inline(always)]
fn add(sums: &mut [u64; BUCKETS], bucket: usize, measure: u64) {
    // None is left out: it says to the compiler that there is one for every key dealt.
    if let Some(sum) = sums.get_mut(bucket % BUCKETS) {
        *sum += measure;
    }
}

/// A monotone map from keys to buckets, the highest key in bucket 0.
#[derive(Debug, Clone, Copy)]
struct Deal {
    high: u32,
    shift: u32,
}

impl Deal {
    fn over(low: u32, high: u32) -> Self {
        let span = high - low;
        let bits = 32 - span.leading_zeros();
        Self { high, shift: bits.saturating_sub(BUCKETS.trailing_zeros()) }
    }

    #[inline(always)]
    fn bucket(self, key: u32) -> usize {
        ((self.high - key) >> self.shift) as usize
    }
}

fn range(band: &[(u32, u64)]) -> (u32, u32) {
    band.iter().fold((u32::MAX, 0), |(low, high), &(k, _)| (low.min(k), high.max(k)))
}

/// The bucket in which the running sum reaches `target`, and the sum before it. The sum of all
/// reaches it, so the bucket past the last is never the answer.
fn find_bucket(sums: &[u64], target: u64) -> (usize, u64) {
    let mut above = 0;
    for (bucket, &sum) in sums.iter().enumerate() {
        if above + sum >= target {
            return (bucket, above);
        }
        above += sum;
    }
    (sums.len(), above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_sort(
            raw in prop::collection::vec((-6_i32..6, 0_i32..3, 0_u64..4), 1..600),
            part in 0.0_f64..1.0,
        ) {
            let items: Vec<(f32, u64)> =
                raw.iter().map(|&(a, e, m)| (a as f32 * [1.0, 1e-3, 1e20][e as usize], m)).collect();
            let total: u64 = items.iter().map(|i| i.1).sum();
            prop_assume!(total > 0);
            let target = ((total as f64 * part) as u64).max(1);
            let mut scratch = SelectionScratch::for_vocabulary(items.len());
            let (values, measures): (Vec<f32>, Vec<u64>) = items.iter().copied().unzip();
            let got = boundary(&values, &measures, target, &mut scratch);
            let mut sorted = items.clone();
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
            let at_or_above = |v: f32| items.iter().filter(|i| i.0 >= v).map(|i| i.1).sum::<u64>();
            let want = sorted.iter().map(|i| i.0).find(|&v| at_or_above(v) >= target).unwrap();
            prop_assert_eq!(got.value, want);
            prop_assert_eq!(got.above, items.iter().filter(|i| i.0 > want).map(|i| i.1).sum::<u64>());
        }
    }
}
