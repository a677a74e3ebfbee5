//! Distributions of counts, exact up to rounding: sums of independent small ones.

use alloc::vec;
use alloc::vec::Vec;

use super::tails::ln_gamma;
use crate::kernels::{exp, ln};

/// Probabilities of `first`, `first + 1`, and so on. What is below 10⁻³⁰⁰ at either end is left out.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    first: usize,
    odds: Vec<f64>,
}

impl Counts {
    /// Always 0.
    pub(super) fn nothing() -> Self {
        Self { first: 0, odds: vec![1.0] }
    }

    pub(super) fn of(odds: Vec<f64>) -> Self {
        Self { first: 0, odds }.trimmed()
    }

    /// How many of `n` come out, each with probability `p`.
    pub(super) fn binomial(n: usize, p: f64) -> Self {
        if p <= 0.0 || n == 0 {
            return Self::nothing();
        }
        if p >= 1.0 {
            return Self { first: n, odds: vec![1.0] };
        }
        let all = ln_gamma(n as f64 + 1.0);
        let odds = |k: usize| {
            let ways = all - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
            exp(ways + k as f64 * ln(p) + (n - k) as f64 * ln(1.0 - p))
        };
        Self::of((0..=n).map(odds).collect())
    }

    /// How many of `drawn` are green, of `all` of which `green` are.
    pub(super) fn hypergeometric(all: usize, green: usize, drawn: usize) -> Self {
        let mut odds = vec![1.0];
        for taken in 0..drawn {
            let mut next = vec![0.0; odds.len() + 1];
            for (k, &p) in odds.iter().enumerate() {
                let hit = green.saturating_sub(k) as f64 / (all - taken) as f64;
                next[k] += p * (1.0 - hit);
                next[k + 1] += p * hit;
            }
            odds = next;
        }
        Self::of(odds)
    }

    /// The distribution of the sum of both.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let (long, short) =
            if self.odds.len() < other.odds.len() { (other, self) } else { (self, other) };
        let mut odds = vec![0.0; long.odds.len() + short.odds.len() - 1];
        for (i, &p) in short.odds.iter().enumerate() {
            for (sum, &q) in odds[i..].iter_mut().zip(&long.odds) {
                *sum += p * q;
            }
        }
        Self { first: self.first + other.first, odds }.trimmed()
    }

    /// The sum of `n` of them.
    pub(super) fn times(&self, n: usize) -> Self {
        let (mut sum, mut power, mut left) = (Self::nothing(), self.clone(), n);
        while left > 0 {
            if left % 2 == 1 {
                sum = sum.plus(&power);
            }
            left /= 2;
            if left > 0 {
                power = power.plus(&power);
            }
        }
        sum
    }

    /// The probability of at least `count`.
    pub(super) fn at_least(&self, count: usize) -> f64 {
        let from = count.saturating_sub(self.first).min(self.odds.len());
        // The smallest first.
        self.odds[from..].iter().rev().sum::<f64>().min(1.0)
    }

    fn trimmed(mut self) -> Self {
        const LEAST: f64 = 1e-300;
        let counts = |p: &f64| *p >= LEAST;
        let from = self.odds.iter().position(counts).unwrap_or(0);
        let to = self.odds.iter().rposition(counts).map_or(self.odds.len(), |last| last + 1);
        self.odds.truncate(to);
        self.odds.drain(..from);
        self.first += from;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_formulas() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b, "{a:e} {b:e}");
        let coin = Counts::of(vec![0.75, 0.25]);
        for k in 0..=40 {
            near(coin.times(40).at_least(k), Counts::binomial(40, 0.25).at_least(k));
        }
        near(Counts::binomial(3, 0.5).at_least(2), 0.5);
        near(Counts::hypergeometric(10, 4, 2).at_least(2), 6.0 / 45.0);
        near(Counts::hypergeometric(10, 4, 2).at_least(1), 30.0 / 45.0);
        assert_eq!(Counts::binomial(5, 1.0).at_least(5), 1.0);
        assert_eq!(Counts::binomial(5, 0.0).at_least(1), 0.0);
    }
}
