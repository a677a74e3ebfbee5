//! The watermarks, naive: whole permutations, and tournaments between pairs.

use alloc::vec::Vec;

use super::List;
use crate::kernels::{exp, ln};
use crate::ties::TiePolicy;
use crate::watermark::{Mersenne, SeedingScheme};

/// torch's `randperm` on a CPU, for less than 2²⁷ items.
pub fn permutation(len: usize, seed: u32) -> Vec<u32> {
    let mut generator = Mersenne::new(seed);
    let mut items: Vec<u32> = (0..len as u32).collect();
    for i in 0..len.saturating_sub(1) {
        items.swap(i, i + generator.below((len - i) as u32) as usize);
    }
    items
}

/// The settings of [`GreenList`](crate::GreenList).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Green {
    /// The key, not hidden.
    pub key: u64,
    /// The share of green tokens.
    pub ratio: f64,
    /// What they gain.
    pub bias: f32,
    /// What a list depends on.
    pub scheme: SeedingScheme,
    /// Tokens of a context.
    pub width: usize,
}

impl Green {
    fn is_green(self, seed: i128, token: u32, vocab_size: usize) -> bool {
        let seed = seed.rem_euclid((1 << 64) - 1) as u32;
        let size = (vocab_size as f64 * self.ratio) as usize;
        permutation(vocab_size, seed)[..size].contains(&token)
    }

    fn is_green_by_itself(self, text: &[u32], token: u32, vocab_size: usize) -> bool {
        const TABLE: usize = 1_000_003;
        let table = permutation(TABLE, self.key as u32);
        let of = |token: u32| i64::from(table[token as usize % TABLE]) + 1;
        let mut all = text.to_vec();
        all.push(token);
        let seeds = all[all.len() - self.width..]
            .iter()
            .map(|&other| (self.key as i64).wrapping_mul(of(other)).wrapping_mul(of(token)));
        self.is_green(i128::from(seeds.min().unwrap_or(0)), token, vocab_size)
    }
}

impl List {
    /// The best sum of score and noise, equals by lower id.
    pub fn pick_by_noise(&self, noise: impl Fn(u32) -> f64) -> Option<u32> {
        let mut best: Option<(f64, u32)> = None;
        for entry in self.entries.iter().filter(|e| e.score > f32::NEG_INFINITY) {
            let sum = f64::from(entry.score) + noise(entry.id);
            if best.is_none_or(|(highest, _)| sum > highest) {
                best = Some((sum, entry.id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Raises what is green after `text`.
    pub fn green_list(&mut self, green: Green, text: &[u32], vocab_size: usize) {
        let Some(&last) = text.last().filter(|_| text.len() >= green.width) else { return };
        let mut ids = self.ids();
        match green.scheme {
            SeedingScheme::LeftHash => {
                let seed = i128::from(green.key) * i128::from(last);
                ids.retain(|&id| green.is_green(seed, id, vocab_size));
            }
            SeedingScheme::SelfHash => {
                let best = self.ordered(TiePolicy::LowestId);
                ids = best.iter().take(40).map(|entry| entry.id).collect();
                ids.retain(|&id| green.is_green_by_itself(text, id, vocab_size));
            }
        }
        self.edit(&ids, |_, score| score + green.bias);
    }

    /// A tournament for each round: of two candidates drawn independently the one with the higher `g`
    /// wins, and of equals either.
    pub fn synth_id(&mut self, rounds: usize, g: impl Fn(u32, usize) -> bool) {
        let (max, mass) = (f64::from(self.max()), self.mass().as_f64());
        let mut odds: Vec<f64> =
            self.entries.iter().map(|e| exp(f64::from(e.score) - max) / mass).collect();
        for round in 0..rounds {
            let wins = |x: usize, y: usize| {
                let (x, y) = (g(self.entries[x].id, round), g(self.entries[y].id, round));
                f64::from(1 + i8::from(x) - i8::from(y))
            };
            let all = 0..odds.len();
            odds = all
                .clone()
                .map(|x| all.clone().map(|y| odds[x] * odds[y] * wins(x, y)).sum())
                .collect();
        }
        let mut odds = odds.into_iter();
        self.map(|_, _| match odds.next() {
            Some(p) if p > 0.0 => ln(p) as f32,
            _ => f32::NEG_INFINITY,
        });
    }
}
