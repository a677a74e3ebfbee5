//! Rows that samplers trip over, made from a seed.

use alloc::vec::Vec;

use crate::sequence::{DrawKey, Draws, Purpose, Series};

/// A supply of rows: how many, how long, and from which seed.
///
/// The kinds take turns: rounded normal logits; a coarse grid with many ties; both zeros, subnormals
/// and neighbours in the last place; all alike; a few spikes over a long tail; magnitudes from 10⁻⁶
/// to 10³⁰; bans among ties. Every row has at least one token to give.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    seed: u64,
    count: usize,
    longest: usize,
}

impl Rows {
    /// 70 rows, most of them of up to 60 logits, some of up to 1100: longer than any block that a
    /// fast path works in.
    pub const fn new(seed: u64) -> Self {
        Self { seed, count: 70, longest: 1100 }
    }

    /// As many rows as this.
    #[must_use]
    pub const fn count(self, count: usize) -> Self {
        Self { count, ..self }
    }

    /// No row longer than this; 0 counts as 1, since a row without logits has no token to give.
    #[must_use]
    pub const fn longest(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// The rows, all kinds of them, each with a key to draw by.
    pub fn all(&self) -> impl Iterator<Item = (Vec<f32>, DrawKey)> + use<> {
        self.made(KINDS)
    }

    /// Rows of multiples of ¼ between −8 and 8, to which another such number adds without rounding.
    pub fn dyadic(&self) -> impl Iterator<Item = (Vec<f32>, DrawKey)> + use<> {
        self.made(&[coarse, bans])
    }

    fn made(&self, kinds: &'static [Kind]) -> impl Iterator<Item = (Vec<f32>, DrawKey)> + use<> {
        let Self { seed, count, longest } = *self;
        let longest = longest.max(1);
        (0..count as u64).map(move |n| {
            let key = DrawKey::new(seed).stream(n % 3).step(n);
            let mut numbers = Numbers::of(key);
            let len = if n % 8 == 7 {
                longest - numbers.below(longest.div_ceil(8))
            } else {
                1 + numbers.below(longest.min(60))
            };
            (kinds[n as usize % kinds.len()](&mut numbers, len), key)
        })
    }
}

/// Pseudo-random numbers in a row, from the same source as the draws.
pub(super) struct Numbers {
    series: Series,
    next: u64,
}

impl Numbers {
    pub(super) fn of(key: DrawKey) -> Self {
        // A purpose that a stage of the caller's is unlikely to share.
        let series = Draws::new(key).series(Purpose::Custom(0x7465_7374));
        Self { series, next: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.next += 1;
        self.series.bits(self.next - 1)
    }

    /// A number below `n ≥ 1`; the bias towards small ones is 2⁻⁶⁴ · n.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Roughly standard normal: four uniforms, so that no logarithm is needed.
    fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|k| bits >> (16 * k) & 0xffff).sum();
        (sum as f32 - 131_070.0) / 37_837.0
    }

    fn quarter(&mut self) -> f32 {
        (self.below(65) as f32 - 32.0) / 4.0
    }
}

type Kind = fn(&mut Numbers, usize) -> Vec<f32>;

const KINDS: &[Kind] = &[normal, coarse, odd, flat, peaked, spread, bans];

fn fill(len: usize, one: impl FnMut(usize) -> f32) -> Vec<f32> {
    (0..len).map(one).collect()
}

fn normal(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    fill(len, |_| 3.0 * numbers.normal())
}

fn coarse(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    fill(len, |_| numbers.quarter())
}

fn odd(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    const ODD: [f32; 10] = [
        0.0,
        -0.0,
        1e-42,
        -1e-42,
        f32::MIN_POSITIVE,
        1.0,
        1.0 + f32::EPSILON,
        0.999_999_94,
        -1e30,
        88.0,
    ];
    // The largest is rare: it would leave nothing of the others.
    fill(len, |_| if numbers.below(40) == 0 { ODD[9] } else { ODD[numbers.below(9)] })
}

fn flat(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    let value = numbers.quarter();
    fill(len, |_| value)
}

fn peaked(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    fill(len, |_| {
        let rank = 1 + numbers.below(len);
        if rank < 8 { 12.0 - rank as f32 } else { numbers.normal() }
    })
}

fn spread(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    fill(len, |_| {
        let sign = if numbers.below(2) == 0 { 1.0 } else { -1.0 };
        // 2^−20 to 2^99, by the exponent bits.
        sign * f32::from_bits(((107 + numbers.below(120)) as u32) << 23)
    })
}

fn bans(numbers: &mut Numbers, len: usize) -> Vec<f32> {
    let spared = numbers.below(len);
    fill(len, |id| {
        let score = numbers.quarter();
        if id != spared && numbers.below(3) == 0 { f32::NEG_INFINITY } else { score }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supply_has_what_it_promises() {
        let rows: Vec<Vec<f32>> = Rows::new(1).all().map(|(row, _)| row).collect();
        assert_eq!(rows.len(), 70);
        assert_eq!(rows, Rows::new(1).all().map(|(row, _)| row).collect::<Vec<_>>());
        assert!(rows.iter().any(|r| r.len() > 1024) && rows.iter().all(|r| !r.is_empty()));
        let some = |f: fn(&f32) -> bool| rows.iter().flatten().any(f);
        assert!(some(|x| x.is_subnormal()) && some(|x| *x > 1e29) && some(|x| *x < -1e29));
        assert!(some(|x| x.to_bits() == 1 << 31) && some(|x| *x == f32::NEG_INFINITY));
        assert!(!some(|x| x.is_nan() || *x == f32::INFINITY));
        assert!(rows.iter().all(|r| r.iter().any(|&x| x > f32::NEG_INFINITY)));
        for (row, _) in Rows::new(2).dyadic() {
            assert!(row.iter().all(|x| *x == f32::NEG_INFINITY || (x * 4.0).fract() == 0.0));
        }
        assert!(Rows::new(3).longest(5).all().all(|(row, _)| row.len() <= 5));
    }
}
