//! Where a cut by mass is likely to fall, from a sample of the row.
//!
//! A guess that is checked later: it decides how much is looked at, never what is kept.

use alloc::vec::Vec;

use super::passes::{CHUNK, Gaps, LANES, ROWS};
use super::special::sqrt;
use super::{Mass, vectorised};

/// Classes of distance from the first of the order: 0.014 nats each, 16 KiB in all.
const BUCKETS: usize = 2048;
const PER_NAT: f32 = BUCKETS as f32 / Mass::LARGEST_GAP;
/// Rows of lanes that are looked at in each chunk, beside the block maxima.
const SAMPLED: usize = 2;
/// Standard deviations of the estimate that are allowed for. A wrong guess costs one more pass and a
/// wide one more candidates in the band; this many make one guess in eighty wrong.
const DEVIATIONS: f64 = 2.5;

/// The estimated mass in each class of distance, and the variance of the estimate.
#[derive(Debug)]
pub(crate) struct Histogram(Vec<[f32; 2]>);

/// A range of distances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    /// What is nearer is very likely within the share.
    pub(crate) near: f32,
    /// What is further is very likely outside of it.
    pub(crate) far: f32,
}

/// Between which distances the share `p` of the mass is likely to be reached, from the nearest on.
///
/// The largest value of each block (from [`super::passes::scan`]) is taken as it is, so that a few
/// spikes that hold most of the mass are not left to luck; a sample stands for all others.
pub(crate) fn likely_range(
    values: &[f32],
    block_max: &[f32],
    gaps: Gaps,
    distance: impl Fn(f32) -> f32,
    p: f64,
    histogram: &mut Histogram,
) -> Range {
    histogram.0.fill([0.0; 2]);
    vectorised(
        #[inline(always)]
        || {
            let (maxima, _) = block_max.as_chunks::<LANES>();
            for (c, (chunk, maxima)) in values.chunks_exact(CHUNK).zip(maxima).enumerate() {
                let (rows, _) = chunk.as_chunks::<LANES>();
                for s in 0..SAMPLED {
                    let row = &rows[row_to_sample(c * SAMPLED + s)];
                    let mut weights = weights_of(row, gaps);
                    for lane in 0..LANES {
                        let stands_for = (ROWS / SAMPLED) as f32;
                        weights[lane] *= if row[lane] == maxima[lane] { 0.0 } else { stands_for };
                    }
                    let buckets = buckets_of(row, &distance);
                    histogram.add(buckets, weights, weights.map(|weight| weight * weight));
                }
                let buckets = buckets_of(maxima, &distance);
                histogram.add(buckets, weights_of(maxima, gaps), [0.0; LANES]);
            }
        },
    );
    histogram.range(p)
}

#[inline(always)]
fn weights_of(row: &[f32; LANES], gaps: Gaps) -> [f32; LANES] {
    let mut weights = [0.0; LANES];
    for lane in 0..LANES {
        weights[lane] = gaps.weight_of(row[lane]);
    }
    weights
}

#[inline(always)]
fn buckets_of(row: &[f32; LANES], distance: impl Fn(f32) -> f32) -> [u32; LANES] {
    const LAST: f32 = (BUCKETS - 1) as f32;
    let mut buckets = [0; LANES];
    for lane in 0..LANES {
        let place = distance(row[lane]) * PER_NAT;
        // NaN goes to the last, as do all that are too far to weigh anything.
        let place = if place < LAST { place } else { LAST };
        let place = if place > 0.0 { place } else { 0.0 };
        buckets[lane] = place as u32;
    }
    buckets
}

/// Which of a chunk's rows to look at: spread out, so that no pattern of the ids meets it.
#[inline(always)]
fn row_to_sample(n: usize) -> usize {
    (n as u32).wrapping_mul(2_654_435_769) as usize >> 8 & (ROWS - 1)
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self(alloc::vec![[0.0; 2]; BUCKETS])
    }

    #[inline(always)]
    fn add(&mut self, buckets: [u32; LANES], masses: [f32; LANES], variances: [f32; LANES]) {
        for lane in 0..LANES {
            if let Some([mass, variance]) = self.0.get_mut(buckets[lane] as usize) {
                *mass += masses[lane];
                *variance += variances[lane];
            }
        }
    }

    fn range(&self, p: f64) -> Range {
        let [mass, variance] = self.0.iter().fold([0.0; 2], |[mass, variance], bucket| {
            [mass + f64::from(bucket[0]), variance + f64::from(bucket[1])]
        });
        let reached = self.bucket_at(p * mass);
        let above: f64 = self.0.iter().take(reached).map(|bucket| f64::from(bucket[1])).sum();
        // The variance of (mass above) − p · (mass): what counts of an item above is 1 − p of it.
        let variance = (1.0 - p) * (1.0 - p) * above + p * p * (variance - above);
        let margin = DEVIATIONS * sqrt(variance.max(0.0));
        let (first, last) = (self.bucket_at(p * mass - margin), self.bucket_at(p * mass + margin));
        Range {
            near: if first == 0 { f32::NEG_INFINITY } else { first as f32 / PER_NAT },
            far: if last + 1 >= BUCKETS { f32::INFINITY } else { (last + 1) as f32 / PER_NAT },
        }
    }

    /// The first bucket at which the running mass exceeds `target`, or the last.
    fn bucket_at(&self, target: f64) -> usize {
        let mut sum = 0.0;
        let exceeds = |bucket: &[f32; 2]| {
            sum += f64::from(bucket[0]);
            sum > target
        };
        self.0.iter().position(exceeds).unwrap_or(BUCKETS - 1)
    }
}
