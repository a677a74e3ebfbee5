//! The detector of Hugging Face's green lists.

use alloc::collections::{BTreeMap, BTreeSet};

use super::counts::Counts;
use super::green::{GreenLists, SeedingScheme};
use super::tails::{deviation, normal_upper};
use super::{CannotScore, Exact, WatermarkKey};
use crate::data::SettingError;

/// What the detector of [`GreenList`](crate::GreenList) finds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct GreenListDetection {
    /// N-grams that Hugging Face's detector scores.
    pub scored: usize,
    /// How many of them end in a green token.
    pub green: usize,
    /// By how many standard deviations that is more than expected, as Hugging Face computes it.
    pub z: f64,
    /// Hugging Face's p-value, for which `z` is normal.
    pub p_value: f64,
    /// The exact one; its score is the number of green tokens.
    pub exact: Exact,
}

/// Finds [`GreenList`](crate::GreenList).
///
/// Of `n` scored n-grams `g` end in a token that is green after the others:
/// `z = (g − γn) / √(nγ(1 − γ))`.
///
/// # Differences
///
/// None from Hugging Face in counts, z and p-value. The exact p-value differs in three ways: an n-gram
/// counts once, or rather a token under a seed does, since n-grams of one seed have one list; tokens
/// under one seed are drawn without replacement from the green and the others; and the share of green
/// tokens is that of whole ones, `⌊γV⌋ / V`. It is the tail of a sum of hypergeometric counts.
///
/// # Complexity
///
/// `γV` random numbers for each distinct n-gram, and the square of their number for the exact p-value.
///
/// # Example
///
/// ```
/// use taper_sampling::watermark::{GreenListDetector, WatermarkKey};
///
/// let detector = GreenListDetector::new(WatermarkKey::new(15_485_863), 0.25, 300)?;
/// let found = detector.detect(&[5, 17, 5, 17, 5, 250])?;
/// assert_eq!((found.scored, found.exact.scored), (5, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Kirchenbauer et al., arXiv 2306.04634; Hugging Face transformers 5.23 `WatermarkDetector`.
#[derive(Debug, Clone)]
pub struct GreenListDetector {
    lists: GreenLists,
    vocab_size: usize,
    bos: Option<u32>,
    ignore_repeated: bool,
}

impl GreenListDetector {
    /// With the settings that the text was made with; `vocab_size` is the length of a row of logits.
    ///
    /// # Errors
    ///
    /// As [`GreenList::new`](crate::GreenList::new), and [`SettingError`] for a vocabulary of 0.
    pub fn new(key: WatermarkKey, ratio: f64, vocab_size: usize) -> Result<Self, SettingError> {
        if vocab_size == 0 {
            return Err(SettingError::new("vocab_size", vocab_size, "at least 1"));
        }
        let lists = GreenLists::new(key, ratio)?;
        Ok(Self { lists, vocab_size, bos: None, ignore_repeated: false })
    }

    /// What a list depends on.
    #[must_use]
    pub fn scheme(mut self, scheme: SeedingScheme) -> Self {
        self.lists = self.lists.scheme(scheme);
        self
    }

    /// The width of the context.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for 0.
    pub fn context_width(mut self, width: usize) -> Result<Self, SettingError> {
        self.lists = self.lists.width(width)?;
        Ok(self)
    }

    /// A token that does not count at the beginning of a text.
    #[must_use]
    pub fn bos(self, bos: Option<u32>) -> Self {
        Self { bos, ..self }
    }

    /// Whether Hugging Face's score counts an n-gram once; by default it counts every one.
    #[must_use]
    pub fn ignore_repeated_ngrams(self, ignore_repeated: bool) -> Self {
        Self { ignore_repeated, ..self }
    }

    /// Scores a text.
    ///
    /// # Errors
    ///
    /// [`CannotScore`] unless the text is longer than the context, and [`CannotScore::UnknownToken`] for a
    /// token outside the vocabulary.
    pub fn detect(&self, tokens: &[u32]) -> Result<GreenListDetection, CannotScore> {
        let tokens = match tokens.split_first() {
            Some((first, rest)) if self.bos == Some(*first) => rest,
            _ => tokens,
        };
        let width = self.lists.width;
        if tokens.len() <= width {
            return Err(CannotScore::Text { tokens: tokens.len(), least: width + 1 });
        }
        if let Some(&id) = tokens.iter().find(|&&id| id as usize >= self.vocab_size) {
            return Err(CannotScore::UnknownToken { id, vocab_size: self.vocab_size });
        }
        let own = usize::from(self.lists.scheme == SeedingScheme::SelfHash);
        let mut ngrams: BTreeMap<&[u32], usize> = BTreeMap::new();
        for ngram in tokens.windows(width + 1 - own) {
            *ngrams.entry(ngram).or_default() += 1;
        }
        let (mut scored, mut green) = (0, 0);
        let mut by_seed: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        let mut distinct_green = 0;
        for (ngram, times) in ngrams {
            let Some((&target, before)) = ngram.split_last() else { continue };
            let seed = self.lists.seed(before, target);
            let is_green = usize::from(self.lists.holds(seed, target, self.vocab_size));
            let times = if self.ignore_repeated { 1 } else { times };
            scored += times;
            green += times * is_green;
            if by_seed.entry(seed).or_default().insert(target) {
                distinct_green += is_green;
            }
        }
        let z = self.z(green, scored);
        let exact = self.exact(&by_seed, distinct_green);
        Ok(GreenListDetection { scored, green, z, p_value: normal_upper(z), exact })
    }

    fn z(&self, green: usize, scored: usize) -> f64 {
        let (ratio, scored) = (self.lists.ratio, scored as f64);
        (green as f64 - ratio * scored) / deviation(scored * ratio * (1.0 - ratio))
    }

    fn exact(&self, by_seed: &BTreeMap<u32, BTreeSet<u32>>, green: usize) -> Exact {
        let list = self.lists.size(self.vocab_size);
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for targets in by_seed.values() {
            *sizes.entry(targets.len()).or_default() += 1;
        }
        let mut counts = Counts::nothing();
        for (&drawn, &seeds) in &sizes {
            let of_seeds = if drawn == 1 {
                Counts::binomial(seeds, list as f64 / self.vocab_size as f64)
            } else {
                Counts::hypergeometric(self.vocab_size, list, drawn).times(seeds)
            };
            counts = counts.plus(&of_seeds);
        }
        let scored = sizes.iter().map(|(drawn, seeds)| drawn * seeds).sum();
        Exact { scored, score: green as f64, p_value: counts.at_least(green) }
    }
}
