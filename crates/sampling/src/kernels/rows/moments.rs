//! Count, sum and sum of squares of the distances below the best score.
//!
//! The sums are of doubles, so their order matters: lane = token id mod [`LANES`], ids ascending
//! within a lane, lanes added in order. A dense row and a list of its survivors thus see the same
//! bits. Distances from the best score instead of the scores themselves keep the difference of
//! squares below harmless: the best one is itself at distance 0, which makes the variance at least
//! `mean² / n`.

use super::{Gaps, LANES};
use crate::kernels::special::sqrt;
use crate::kernels::vectorised;

/// What the sums come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

/// One running sum per lane.
#[derive(Debug, Clone, Copy, Default)]
struct Lanes {
    count: [f64; LANES],
    sum: [f64; LANES],
    squares: [f64; LANES],
}

impl Moments {
    /// The standard deviation of the population.
    pub(crate) fn deviation(self) -> f64 {
        let variance = (self.squares - self.sum * self.sum / self.count) / self.count;
        sqrt(variance.max(0.0))
    }
}

impl Lanes {
    /// A banned score adds zeros, which change nothing.
    #[inline(always)]
    fn add(&mut self, lane: usize, value: f32, gaps: Gaps) {
        let score = value / gaps.divisor;
        let listed = score > f32::NEG_INFINITY;
        let gap = if listed { f64::from(gaps.best) - f64::from(score) } else { 0.0 };
        self.count[lane] += if listed { 1.0 } else { 0.0 };
        self.sum[lane] += gap;
        self.squares[lane] += gap * gap;
    }

    fn total(&self) -> Moments {
        let add = |lanes: &[f64; LANES]| lanes.iter().fold(0.0, |a, b| a + b);
        Moments { count: add(&self.count), sum: add(&self.sum), squares: add(&self.squares) }
    }
}

/// The moments of a row in which the slot is the token id.
pub(crate) fn of_row(values: &[f32], gaps: Gaps) -> Moments {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = Lanes::default();
            let (rows, tail) = values.as_chunks::<LANES>();
            for row in rows {
                for (lane, &value) in row.iter().enumerate() {
                    lanes.add(lane, value, gaps);
                }
            }
            for (lane, &value) in tail.iter().enumerate() {
                lanes.add(lane % LANES, value, gaps);
            }
            lanes.total()
        },
    )
}

/// The moments of a list, ids ascending.
pub(crate) fn of_list(ids: &[u32], values: &[f32], gaps: Gaps) -> Moments {
    let mut lanes = Lanes::default();
    for (&id, &value) in ids.iter().zip(values) {
        lanes.add(id as usize % LANES, value, gaps);
    }
    lanes.total()
}
