//! The k-th largest value by halving: of values, not of places.
//!
//! Floats order as [`key`]s, so the k-th largest is the largest key that `k` values reach. Each
//! halving is one comparison of every value, side by side in vector lanes and with nothing written,
//! which beats any way of dealing values out for as many as a vocabulary holds.

use super::order::{key, value_of};
use crate::kernels::rows::LANES;
use crate::kernels::rows::visits::count_if;
use crate::kernels::vectorised;

/// The k-th largest value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nth {
    pub(crate) value: f32,
    /// How many are above it; fewer than k.
    pub(crate) above: usize,
}

/// The `k`-th largest of `values`, and how many are above it, for `k` from 1 to as many as there are.
/// Values are not NaN.
///
/// About 15 passes where values differ, because it stops where exactly `k` reach a value; 32 at most.
pub(crate) fn nth(values: &[f32], k: usize) -> Nth {
    let (low, high) = extremes(values);
    // At least k values reach `low`, and fewer anything above `high`.
    let (mut low, mut high) = (key(low), key(high));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let reach = reaching(values, value_of(middle));
        if reach == k {
            let value = lowest_from(values, value_of(middle));
            return Nth { value, above: reaching(values, value.next_up()) };
        }
        if reach > k {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let value = value_of(low);
    Nth { value, above: reaching(values, value.next_up()) }
}

/// How many of `values` are at least `floor`.
fn reaching(values: &[f32], floor: f32) -> usize {
    count_if(
        values,
        #[inline(always)]
        move |x| x >= floor,
    )
}

/// The lowest and the highest value.
pub(super) fn extremes(values: &[f32]) -> (f32, f32) {
    vectorised(
        #[inline(always)]
        || {
            let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
            let (pairs, tail) = values.as_chunks::<{ 2 * LANES }>();
            for pair in pairs {
                for lane in 0..LANES {
                    // In pairs: each comparison waits for the one before.
                    let (a, b) = (pair[lane], pair[LANES + lane]);
                    let (less, more) = if b > a { (a, b) } else { (b, a) };
                    low[lane] = if less < low[lane] { less } else { low[lane] };
                    high[lane] = if more > high[lane] { more } else { high[lane] };
                }
            }
            let low = low.iter().chain(tail).fold(f32::INFINITY, |a, &b| a.min(b));
            (low, high.iter().chain(tail).fold(f32::NEG_INFINITY, |a, &b| a.max(b)))
        },
    )
}

/// The lowest of the values that are at least `floor`.
fn lowest_from(values: &[f32], floor: f32) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            let mut low = [f32::INFINITY; LANES];
            let (rows, tail) = values.as_chunks::<LANES>();
            for row in rows {
                for lane in 0..LANES {
                    let x = if row[lane] >= floor { row[lane] } else { f32::INFINITY };
                    low[lane] = if x < low[lane] { x } else { low[lane] };
                }
            }
            let tail = tail.iter().filter(|&&x| x >= floor);
            low.iter().chain(tail).fold(f32::INFINITY, |a, &b| a.min(b))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_sort(
            raw in prop::collection::vec((-6_i32..6, 0_usize..6), 1..3000),
            part in 0.0_f64..1.0,
        ) {
            let scales = [1.0, 1e-3, 1e20, 1e-44, 0.0, f32::INFINITY];
            let values: Vec<f32> = raw
                .iter()
                .map(|&(a, scale)| a as f32 * scales[scale])
                .map(|x| if x.is_nan() || x == f32::INFINITY { f32::NEG_INFINITY } else { x })
                .collect();
            let k = 1 + (values.len() as f64 * part) as usize;
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let found = nth(&values, k);
            prop_assert_eq!(found.value, sorted[k - 1]);
            prop_assert_eq!(found.above, values.iter().filter(|&&x| x > found.value).count());
        }
    }
}
