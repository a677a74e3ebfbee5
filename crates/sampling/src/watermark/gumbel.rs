//! Detectors of vLLM's watermarks.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::contexts::{check_width, context};
use super::tails::{gamma_upper, two_gammas_upper};
use super::{Exact, Philox, WatermarkKey};
use crate::data::SettingError;
use crate::kernels::ln;

/// What a detector of [`GumbelWatermark`](crate::GumbelWatermark) finds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct GumbelDetection {
    /// Tokens that vLLM's detector scores.
    pub scored: usize,
    /// The sum of their scores; 1 each on average if the text is not marked.
    pub score: f64,
    /// vLLM's p-value.
    pub p_value: f64,
    /// The exact one.
    pub exact: Exact,
}

/// Finds [`GumbelWatermark`](crate::GumbelWatermark).
///
/// A token's score is `−ln(1 − u)`, where `u` is the number that belongs to it after the tokens before it.
/// If the text is not marked the scores of distinct contexts are exponential variables, and their sum a
/// Gamma variable, whose upper tail is the p-value: this is vLLM's, and exact as far as 24 bits of `u` go.
///
/// Give it the text without the prompt, as it was generated: a context that reaches before its beginning
/// is another one.
///
/// # Differences
///
/// None from vLLM 0.32 in score and p-value. With [`deduplicated`](Self::deduplicated) turned off vLLM
/// counts a context that comes again as new evidence, and its p-value is too small; the exact one always
/// counts a context once, at its first place.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::watermark::{GumbelDetector, WatermarkKey};
///
/// let key = WatermarkKey::new(42);
/// let pipeline = Pipeline::selecting(GumbelWatermark::new(key, 4)?);
/// let mut sampler = Sampler::new(pipeline, 50);
/// for _ in 0..40 {
///     sampler.next(&[0.0; 50])?;
/// }
/// let text = sampler.history().generated();
/// assert!(GumbelDetector::new(key, 4)?.detect(text).p_value < 1e-9);
/// assert!(GumbelDetector::new(WatermarkKey::new(43), 4)?.detect(text).p_value > 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Aaronson, *Watermarking of large language models*, 2022; vLLM 0.32 `v1/watermarking/gumbel.py`.
#[derive(Debug, Clone, Copy)]
pub struct GumbelDetector {
    prf: Philox,
    places: Places,
}

impl GumbelDetector {
    /// With the key and the width of the context that the text was made with.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for a width of 0.
    pub fn new(key: WatermarkKey, context_width: usize) -> Result<Self, SettingError> {
        Ok(Self { prf: Philox::new(key), places: Places::new(context_width)? })
    }

    /// Whether vLLM's score counts a context once; by default it does.
    #[must_use]
    pub fn deduplicated(mut self, deduplicated: bool) -> Self {
        self.places.deduplicated = deduplicated;
        self
    }

    /// Scores a text.
    pub fn detect(&self, tokens: &[u32]) -> GumbelDetection {
        let score = |at: usize| surprise(self.prf, tokens, at, self.places.width);
        let sum = |places: &[usize]| {
            let score: f64 = places.iter().map(|&at| score(at)).sum();
            (score, gamma_upper(places.len() as f64, score))
        };
        let (all, first) = self.places.of(tokens);
        let ((score, p_value), (own, exact)) = (sum(&all), sum(&first));
        let exact = Exact { scored: first.len(), score: own, p_value: exact };
        GumbelDetection { scored: all.len(), score, p_value, exact }
    }
}

/// Finds [`DualKeyGumbel`](crate::DualKeyGumbel).
///
/// A token's score is `(1 − α) a + α b`, where `a` and `b` are its scores under the two keys, as in
/// [`GumbelDetector`].
///
/// # Differences
///
/// None from vLLM 0.32 in score and p-value. vLLM takes the sum for a Gamma variable of the same mean and
/// variance, which it is only for an α of 0, ½ or 1; the exact p-value is that of the sum of two Gamma
/// variables.
///
/// # Example
///
/// ```
/// use taper_sampling::watermark::{DualKeyGumbelDetector, WatermarkKey};
///
/// let detector = DualKeyGumbelDetector::new(WatermarkKey::new(42), 4, 0.1)?;
/// let found = detector.detect(&[7, 3, 9, 9, 1, 0]);
/// assert_eq!(found.scored, 6);
/// assert!((found.p_value - found.exact.p_value).abs() < 0.02);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// vLLM 0.32 `v1/watermarking/gumbel.py`.
#[derive(Debug, Clone, Copy)]
pub struct DualKeyGumbelDetector {
    prfs: [Philox; 2],
    alpha: f64,
    places: Places,
}

impl DualKeyGumbelDetector {
    /// With the settings that the text was made with.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for a width of 0, and an `alpha` outside `0..=1`.
    pub fn new(key: WatermarkKey, context_width: usize, alpha: f64) -> Result<Self, SettingError> {
        let prfs = pair(key, alpha)?;
        Ok(Self { prfs, alpha, places: Places::new(context_width)? })
    }

    /// Whether vLLM's score counts a context once; by default it does.
    #[must_use]
    pub fn deduplicated(mut self, deduplicated: bool) -> Self {
        self.places.deduplicated = deduplicated;
        self
    }

    /// Scores a text.
    pub fn detect(&self, tokens: &[u32]) -> GumbelDetection {
        let weights = [1.0 - self.alpha, self.alpha];
        let score = |at: usize| -> f64 {
            let each = self.prfs.map(|prf| surprise(prf, tokens, at, self.places.width));
            each[0] * weights[0] + each[1] * weights[1]
        };
        let sum = |places: &[usize]| -> f64 { places.iter().map(|&at| score(at)).sum() };
        let (all, first) = self.places.of(tokens);
        let (total, own) = (sum(&all), sum(&first));
        let variance = weights[0] * weights[0] + weights[1] * weights[1];
        let p_value = gamma_upper(all.len() as f64 / variance, total / variance);
        let exact =
            if first.is_empty() { 1.0 } else { two_gammas_upper(first.len() as f64, weights, own) };
        let exact = Exact { scored: first.len(), score: own, p_value: exact };
        GumbelDetection { scored: all.len(), score: total, p_value, exact }
    }
}

/// The functions of the two keys that vLLM derives of one.
pub(crate) fn pair(key: WatermarkKey, alpha: f64) -> Result<[Philox; 2], SettingError> {
    if !(0.0..=1.0).contains(&alpha) {
        return Err(SettingError::new("alpha", alpha, "in 0..=1"));
    }
    Ok([b"key_a", b"key_b"].map(|part| Philox::new(key.derive(part))))
}

/// `−ln(1 − u)` of a token of the text.
fn surprise(prf: Philox, tokens: &[u32], at: usize, width: usize) -> f64 {
    let u = prf.under(context(tokens, at, width)).uniform(tokens[at]);
    -ln(1.0 - f64::from(u))
}

/// Which places of a text count.
#[derive(Debug, Clone, Copy)]
struct Places {
    width: usize,
    deduplicated: bool,
}

impl Places {
    fn new(width: usize) -> Result<Self, SettingError> {
        check_width(width)?;
        Ok(Self { width, deduplicated: true })
    }

    /// Those that vLLM scores, and those whose context is new.
    fn of(self, tokens: &[u32]) -> (Vec<usize>, Vec<usize>) {
        let mut seen = BTreeSet::new();
        let is_new =
            |&at: &usize| seen.insert(context(tokens, at, self.width).collect::<Vec<u32>>());
        let first: Vec<usize> = (0..tokens.len()).filter(is_new).collect();
        let all = if self.deduplicated { first.clone() } else { (0..tokens.len()).collect() };
        (all, first)
    }
}
