//! Where a cut by mass is likely to fall, from a sample of the row.
//!
//! A guess that is checked later: it decides how much is looked at, never what is kept. So nothing
//! here needs to be exact, and a temperature is multiplied by its reciprocal.

use alloc::boxed::Box;

use crate::kernels::math::weight;
use crate::kernels::rows::{CHUNK, LANES, ROWS};
use crate::kernels::special::sqrt;
use crate::kernels::{Mass, vectorised};

/// Classes of distance from the first of the order: 0.014 nats each, 16 KiB in all.
const BUCKETS: usize = 2048;
const PER_NAT: f32 = BUCKETS as f32 / Mass::LARGEST_GAP;
/// Classes that are added up together first.
const GROUP: usize = 32;
/// Rows of lanes that are looked at in each chunk, beside the block maxima.
const SAMPLED: usize = 2;
/// Chunks whose sampled rows fill a chunk.
const TOGETHER: usize = ROWS / SAMPLED;
/// Standard deviations of the estimate that are allowed for. A wrong guess costs one more pass and a
/// wide one more candidates on the fringe; this many make one guess in eighty wrong.
const DEVIATIONS: f64 = 2.5;

/// The estimated mass in each class of distance, and the variance of the estimate.
#[derive(Debug)]
pub(crate) struct Histogram {
    classes: Box<[[f32; 2]; BUCKETS]>,
    groups: [[f32; 2]; BUCKETS / GROUP],
    /// Rows that were sampled so far, which decides where the next sample looks.
    drawn: usize,
}

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
/// `gap` is how far a value is below the best, about, and `distance` how far from the first of the
/// order. The largest value of each block (from [`super::rows::scan`]) is taken as it is, so that
/// a few spikes that hold most of the mass are not left to luck; a sample stands for all others.
pub(crate) fn likely_range(
    values: &[f32],
    block_max: &[f32],
    gap: impl Fn(f32) -> f32 + Copy,
    distance: impl Fn(f32) -> f32 + Copy,
    p: f64,
    histogram: &mut Histogram,
) -> Range {
    histogram.classes.fill([0.0; 2]);
    // Other places each time: no arrangement of a row makes its samples mislead always.
    let first = histogram.drawn;
    histogram.drawn = first.wrapping_add(block_max.len() / LANES * SAMPLED);
    vectorised(
        #[inline(always)]
        || {
            let (maxima, _) = block_max.as_chunks::<LANES>();
            let mut sample = Sample::NOTHING;
            let groups = values.chunks(CHUNK * TOGETHER).zip(maxima.chunks(TOGETHER));
            for (g, (values, maxima)) in groups.enumerate() {
                sample.draw(values, maxima, first.wrapping_add(g * TOGETHER * SAMPLED));
                sample.weigh(gap, distance, histogram);
            }
            for maxima in block_max.chunks(CHUNK) {
                sample.take(maxima);
                sample.weigh(gap, distance, histogram);
            }
        },
    );
    histogram.range(p)
}

/// Values that are looked at together, in loops long enough to become vector code.
struct Sample {
    values: [f32; CHUNK],
    /// The largest value of the block of each, if they were drawn.
    maxima: [f32; CHUNK],
    len: usize,
    /// For how many values each stands that is not a maximum.
    stands_for: f32,
}

impl Sample {
    const NOTHING: Self =
        Self { values: [0.0; CHUNK], maxima: [0.0; CHUNK], len: 0, stands_for: 0.0 };

    /// Rows of some chunks, `first` rows having been drawn before.
    #[inline(always)]
    fn draw(&mut self, values: &[f32], maxima: &[[f32; LANES]], first: usize) {
        (self.len, self.stands_for) = (0, (ROWS / SAMPLED) as f32);
        let places = self.values.as_chunks_mut::<LANES>().0.iter_mut();
        let mut places = places.zip(self.maxima.as_chunks_mut::<LANES>().0);
        for (c, (chunk, maxima)) in values.chunks_exact(CHUNK).zip(maxima).enumerate() {
            let (rows, _) = chunk.as_chunks::<LANES>();
            for s in 0..SAMPLED {
                let row = rows.get(row_to_sample(first.wrapping_add(c * SAMPLED + s)));
                if let (Some(row), Some((place, maximum))) = (row, places.next()) {
                    (*place, *maximum) = (*row, *maxima);
                    self.len += LANES;
                }
            }
        }
    }

    /// Values that stand for themselves.
    #[inline(always)]
    fn take(&mut self, values: &[f32]) {
        (self.len, self.stands_for) = (values.len(), 0.0);
        for ((place, maximum), &value) in self.values.iter_mut().zip(&mut self.maxima).zip(values) {
            (*place, *maximum) = (value, value);
        }
    }

    #[inline(always)]
    fn weigh(
        &self,
        gap: impl Fn(f32) -> f32 + Copy,
        distance: impl Fn(f32) -> f32 + Copy,
        histogram: &mut Histogram,
    ) {
        const LAST: f32 = (BUCKETS - 1) as f32;
        // Adding it leaves the whole part of a number in the low bits.
        const WHOLE: f32 = 8_388_607.5;
        let (mut masses, mut classes) = ([0.0; CHUNK], [0_u32; CHUNK]);
        // A maximum counts once, wherever it was met.
        let (drawn, of_maximum) = (self.stands_for, if self.stands_for > 0.0 { 0.0 } else { 1.0 });
        for ((mass, &value), &maximum) in masses.iter_mut().zip(&self.values).zip(&self.maxima) {
            *mass = weight(gap(value)) * if value == maximum { of_maximum } else { drawn };
        }
        for (class, &value) in classes.iter_mut().zip(&self.values) {
            let place = distance(value) * PER_NAT;
            // NaN goes to the last, as do all that are too far to weigh anything.
            let place = if place < LAST { place } else { LAST };
            let place = if place > 0.5 { place } else { 0.5 };
            *class = (place + WHOLE).to_bits() & (BUCKETS - 1) as u32;
        }
        let by_chance = if self.stands_for > 0.0 { 1.0 } else { 0.0 };
        let sums = &mut *histogram.classes;
        for (&class, &mass) in classes.iter().zip(&masses).take(self.len) {
            if let Some([sum, variance]) = sums.get_mut(class as usize % BUCKETS) {
                *sum += mass;
                *variance += mass * mass * by_chance;
            }
        }
    }
}

/// Which of a chunk's rows to look at: spread out, so that no pattern of the ids meets it.
#[inline(always)]
fn row_to_sample(n: usize) -> usize {
    (n as u32).wrapping_mul(2_654_435_769) as usize >> 8 & (ROWS - 1)
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { classes: Box::new([[0.0; 2]; _]), groups: [[0.0; 2]; _], drawn: 0 }
    }

    fn range(&mut self, p: f64) -> Range {
        for (group, classes) in self.groups.iter_mut().zip(self.classes.chunks_exact(GROUP)) {
            // Side by side, as one sum would wait for each addition.
            let mut sums = [[0.0; 2]; 8];
            for row in classes.as_chunks::<8>().0 {
                for (sum, class) in sums.iter_mut().zip(row) {
                    *sum = [sum[0] + class[0], sum[1] + class[1]];
                }
            }
            *group = sums.iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        }
        let [mass, variance] = sum_of(&self.groups);
        let (reached, above) = self.class_at(p * mass);
        // The variance of (mass above) − p · (mass): what counts of an item above is 1 − p of it.
        let variance = (1.0 - p) * (1.0 - p) * above + p * p * (variance - above);
        let margin = DEVIATIONS * sqrt(variance.max(0.0));
        let first = self.class_at(p * mass - margin).0.min(reached);
        let last = self.class_at(p * mass + margin).0.max(reached);
        Range {
            near: if first == 0 { f32::NEG_INFINITY } else { first as f32 / PER_NAT },
            far: if last + 1 >= BUCKETS { f32::INFINITY } else { (last + 1) as f32 / PER_NAT },
        }
    }

    /// The first class at which the running mass exceeds `target`, or the last, and the variance of
    /// what is before it.
    fn class_at(&self, target: f64) -> (usize, f64) {
        let (mut sum, mut variance) = (0.0, 0.0);
        for (g, (group, classes)) in self.groups.iter().zip(self.classes.chunks(GROUP)).enumerate()
        {
            if sum + f64::from(group[0]) <= target {
                sum += f64::from(group[0]);
                variance += f64::from(group[1]);
                continue;
            }
            for (c, class) in classes.iter().enumerate() {
                sum += f64::from(class[0]);
                if sum > target {
                    return (g * GROUP + c, variance);
                }
                variance += f64::from(class[1]);
            }
        }
        (BUCKETS - 1, variance)
    }
}

fn sum_of(parts: &[[f32; 2]]) -> [f64; 2] {
    parts
        .iter()
        .fold([0.0; 2], |sum, part| [sum[0] + f64::from(part[0]), sum[1] + f64::from(part[1])])
}
