//! The g-values of SynthID, as Hugging Face computes them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::WatermarkKey;
use super::mersenne::Mersenne;
use crate::data::SettingError;

/// The g-values of n-grams, one for each key: coins that a table of random bits has thrown.
#[derive(Clone)]
pub(crate) struct Tournament {
    keys: Vec<u64>,
    pub(crate) ngram_len: usize,
    pub(crate) table_size: usize,
    pub(crate) table_seed: u64,
    table: Arc<[bool]>,
    pub(crate) history_size: usize,
    pub(crate) skip_first: bool,
}

impl fmt::Debug for Tournament {
    /// Without the keys, and the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tournament")
            .field("depth", &self.keys.len())
            .field("ngram_len", &self.ngram_len)
            .field("table_size", &self.table_size)
            .field("history_size", &self.history_size)
            .field("skip_first", &self.skip_first)
            .finish_non_exhaustive()
    }
}

pub(crate) const USUAL_TABLE: usize = 1 << 16;
pub(crate) const USUAL_HISTORY: usize = 1024;

impl Tournament {
    pub(crate) fn new(keys: &[WatermarkKey], ngram_len: usize) -> Result<Self, SettingError> {
        if keys.is_empty() {
            return Err(SettingError::new("keys", Vec::<u32>::new(), "at least one key"));
        }
        if ngram_len < 2 {
            let domain = "at least 2 (a token and one before it)";
            return Err(SettingError::new("ngram_len", ngram_len, domain));
        }
        let keys = keys.iter().map(|key| key.signed("keys").map(|key| key as u64));
        let tournament = Self {
            keys: keys.collect::<Result<_, _>>()?,
            ngram_len,
            table_size: 0,
            table_seed: 0,
            table: Arc::new([]),
            history_size: USUAL_HISTORY,
            skip_first: false,
        };
        tournament.table(USUAL_TABLE, 0)
    }

    pub(crate) fn table(self, size: usize, seed: u64) -> Result<Self, SettingError> {
        const MOST: usize = 1 << 24;
        if !(1..=MOST).contains(&size) {
            let refused = SettingError::new("table_size", size, "in 1..=2^24");
            return Err(refused.called("sampling_table_size"));
        }
        let mut coins = Mersenne::new(seed as u32);
        let table = (0..size).map(|_| coins.below(2) == 1).collect();
        Ok(Self { table_size: size, table_seed: seed, table, ..self })
    }

    pub(crate) fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The hash of a context, to be continued by a candidate.
    pub(crate) fn hash(context: impl Iterator<Item = u32>) -> u64 {
        context.fold(1, |hash, token| continued(hash, u64::from(token)))
    }

    /// The g-value of a token after a context, under one of the keys.
    pub(crate) fn g(&self, context: u64, token: u32, key: u64) -> bool {
        self.coin(continued(continued(context, u64::from(token)), key))
    }

    /// The coin at a hash; torch's remainder of a signed number has the sign of the divisor.
    fn coin(&self, hash: u64) -> bool {
        self.table[(hash as i64).rem_euclid(self.table_size as i64) as usize]
    }

    /// The hash of what the next token is drawn after: the last tokens generated, after zeros. The
    /// prompt is not in it.
    pub(crate) fn context(&self, generated: &[u32], at: usize) -> u64 {
        let before = self.ngram_len - 1;
        let token = |i: usize| (at + i).checked_sub(before).map_or(0, |place| generated[place]);
        Self::hash((0..before).map(token))
    }

    /// The hash that the next token is drawn under, or `None` if it is drawn without a tournament: among
    /// the first ones if those are skipped, and after a context that came before.
    pub(crate) fn next(&self, generated: &[u32]) -> Option<u64> {
        let now = generated.len();
        let first = if self.skip_first { self.ngram_len - 1 } else { 0 };
        if now < first {
            return None;
        }
        let context = self.context(generated, now);
        let seen = first.max(now.saturating_sub(self.history_size))..now;
        // Hugging Face's memory is full of zeros at first.
        let of_zero = context == 0 && seen.len() < self.history_size;
        let repeated = seen.into_iter().any(|at| self.context(generated, at) == context);
        (!of_zero && !repeated).then_some(context)
    }

    /// How likely it is that so many coins of one place come up, 0 to depth; and the mean and the
    /// variance of their sum under `weights`.
    ///
    /// With a table of a power of two the places of all coins follow from one hash, so each of its
    /// values is looked at; with others coins of different keys count as independent.
    pub(super) fn per_place(&self, weights: &[f64]) -> (Vec<f64>, f64, f64) {
        let mut odds = alloc::vec![0.0; self.keys.len() + 1];
        let (mut mean, mut square) = (0.0, 0.0);
        if self.table_size.is_power_of_two() {
            let share = 1.0 / self.table_size as f64;
            for hash in 0..self.table_size as u64 {
                let (mut ones, mut weighted) = (0, 0.0);
                for (&key, weight) in self.keys.iter().zip(weights) {
                    if self.coin(continued(hash, key)) {
                        ones += 1;
                        weighted += weight;
                    }
                }
                odds[ones] += share;
                mean += weighted * share;
                square += weighted * weighted * share;
            }
            return (odds, mean, square - mean * mean);
        }
        let heads = self.table.iter().filter(|&&coin| coin).count() as f64;
        let heads = heads / self.table_size as f64;
        odds[0] = 1.0;
        let mut variance = 0.0;
        for (i, key) in self.keys.iter().enumerate() {
            if self.keys[..i].contains(key) {
                continue;
            }
            // A key that is there twice throws one coin, which counts twice.
            let same = (i..self.keys.len()).filter(|&j| self.keys[j] == *key);
            let (times, weight) =
                same.fold((0, 0.0), |(times, sum), j| (times + 1, sum + weights[j]));
            for ones in (0..odds.len()).rev() {
                let before = ones.checked_sub(times).map_or(0.0, |ones| odds[ones]);
                odds[ones] = odds[ones] * (1.0 - heads) + before * heads;
            }
            mean += weight * heads;
            variance += weight * weight * heads * (1.0 - heads);
        }
        (odds, mean, variance)
    }
}

/// A step of the generator that Hugging Face hashes by.
const fn continued(hash: u64, data: u64) -> u64 {
    hash.wrapping_add(data).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)
}
