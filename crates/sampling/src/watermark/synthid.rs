//! The detector of SynthID's tournaments, by means of g-values.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::counts::Counts;
use super::tails::{deviation, normal_upper};
use super::tournament::Tournament;
use super::{CannotScore, Exact, WatermarkKey};
use crate::data::SettingError;

/// What the detector of [`SynthId`](crate::SynthId) finds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SynthIdDetection {
    /// Places that are scored: those with a full context that none of the last ones had.
    pub scored: usize,
    /// The mean of their g-values: about a half if the text is not marked. NaN if none is scored.
    pub mean: f64,
    /// The mean under weights that fall from 10 at the first key to 1 at the last.
    pub weighted_mean: f64,
    /// How likely such a weighted mean is by chance, for which it is taken as normal.
    pub weighted_p_value: f64,
    /// The exact p-value of the mean; its score is the number of g-values of 1.
    pub exact: Exact,
}

/// Finds [`SynthId`](crate::SynthId) by the mean and the weighted mean of g-values.
///
/// Give it the text without the prompt. The first `ngram_len − 1` tokens have no full context and are not
/// scored.
///
/// # Differences
///
/// Scores are those of the published detectors by means, over the places that transformers does not mask
/// (a context counts again once it has left a history of that size). These have no p-value, and
/// transformers has a trained detector alone, which is not here. The exact p-value counts every context
/// once, and is the tail of the sum of the coins of so many places: a place's are looked up at distances
/// that follow from the keys, so their joint distribution is read off the table, if its size is a power
/// of two; otherwise they count as independent. Contexts count as independent of each other.
///
/// # Complexity
///
/// One look-up for each place and key, and for the exact p-value one for each entry of the table and
/// key, and about the number of places times the number of keys.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::watermark::{SynthIdDetector, WatermarkKey};
///
/// let keys = [654, 400, 836, 123, 340, 443, 597, 160, 57].map(WatermarkKey::new);
/// let mut sampler = Sampler::new(Pipeline::draw().then(SynthId::new(&keys, 5)?), 50);
/// for _ in 0..60 {
///     sampler.next(&[0.0; 50])?;
/// }
/// let found = SynthIdDetector::new(&keys, 5)?.detect(sampler.history().generated())?;
/// assert!(found.mean > 0.6 && found.exact.p_value < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Dathathri et al., *Scalable watermarking for identifying large language model outputs*, Nature 2024;
/// `detector_mean.py` of google-deepmind/synthid-text; Hugging Face transformers 5.23
/// `SynthIDTextWatermarkLogitsProcessor`.
#[derive(Debug, Clone)]
pub struct SynthIdDetector {
    tournament: Tournament,
}

impl SynthIdDetector {
    /// With the settings that the text was made with.
    ///
    /// # Errors
    ///
    /// As [`SynthId::new`](crate::SynthId::new).
    pub fn new(keys: &[WatermarkKey], ngram_len: usize) -> Result<Self, SettingError> {
        Ok(Self { tournament: Tournament::new(keys, ngram_len)? })
    }

    /// Size and seed of the table.
    ///
    /// # Errors
    ///
    /// As [`SynthId::sampling_table`](crate::SynthId::sampling_table).
    pub fn sampling_table(self, size: usize, seed: u64) -> Result<Self, SettingError> {
        Ok(Self { tournament: self.tournament.table(size, seed)? })
    }

    /// How many contexts are remembered.
    #[must_use]
    pub fn context_history_size(mut self, size: usize) -> Self {
        self.tournament.history_size = size;
        self
    }

    /// The g-values of every n-gram of a text, one for each key.
    ///
    /// # Errors
    ///
    /// [`CannotScore`] if the text has no n-gram.
    pub fn g_values(&self, tokens: &[u32]) -> Result<Vec<Vec<bool>>, CannotScore> {
        let least = self.tournament.ngram_len;
        if tokens.len() < least {
            return Err(CannotScore::Text { tokens: tokens.len(), least });
        }
        let of = |ngram: &[u32]| {
            let (context, token) = (hash_before(ngram), ngram[least - 1]);
            let g = |&key: &u64| self.tournament.g(context, token, key);
            self.tournament.keys().iter().map(g).collect()
        };
        Ok(tokens.windows(least).map(of).collect())
    }

    /// Scores a text.
    ///
    /// # Errors
    ///
    /// [`CannotScore`] if the text has no n-gram.
    pub fn detect(&self, tokens: &[u32]) -> Result<SynthIdDetection, CannotScore> {
        let g_values = self.g_values(tokens)?;
        let depth = self.tournament.keys().len();
        let weights = weights(depth);
        let contexts: Vec<u64> =
            tokens.windows(self.tournament.ngram_len).map(hash_before).collect();
        let (mut scored, mut ones, mut weighted) = (0, 0, 0.0);
        let (mut seen, mut own_ones) = (BTreeSet::new(), 0);
        for (at, (g, context)) in g_values.iter().zip(&contexts).enumerate() {
            let here = g.iter().filter(|&&g| g).count();
            let remembered = at.saturating_sub(self.tournament.history_size)..at;
            // Hugging Face's memory is full of zeros at first.
            let of_zero = *context == 0 && remembered.len() < self.tournament.history_size;
            if !of_zero && !contexts[remembered].contains(context) {
                scored += 1;
                ones += here;
                weighted +=
                    g.iter().zip(&weights).filter(|(g, _)| **g).map(|(_, w)| w).sum::<f64>();
            }
            if seen.insert(*context) {
                own_ones += here;
            }
        }
        let all = (scored * depth) as f64;
        let (place, mean, variance) = self.tournament.per_place(&weights);
        let spread = deviation(variance * scored as f64);
        let z = (weighted - mean * scored as f64) / spread;
        let p_value = Counts::of(place).times(seen.len()).at_least(own_ones);
        Ok(SynthIdDetection {
            scored,
            mean: ones as f64 / all,
            weighted_mean: weighted / all,
            weighted_p_value: normal_upper(z),
            exact: Exact { scored: seen.len(), score: own_ones as f64, p_value },
        })
    }
}

fn hash_before(ngram: &[u32]) -> u64 {
    Tournament::hash(ngram[..ngram.len() - 1].iter().copied())
}

/// From 10 down to 1, scaled so that they add up to their number.
fn weights(depth: usize) -> Vec<f64> {
    let step = if depth > 1 { 9.0 / (depth - 1) as f64 } else { 0.0 };
    let raw: Vec<f64> = (0..depth).map(|i| 10.0 - step * i as f64).collect();
    let scale = depth as f64 / raw.iter().sum::<f64>();
    raw.into_iter().map(|weight| weight * scale).collect()
}
