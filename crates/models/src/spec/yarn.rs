//! `YaRN`: a longer context by slowing the pairs that turn seldom, and by sharper attention.

use std::f64::consts::PI;

use super::rope::RopeSpec;

/// How `YaRN` lengthens a context.
///
/// A pair that turns more than [`beta_fast`](Self::beta_fast) times within the original context keeps its
/// frequency, one that turns less than [`beta_slow`](Self::beta_slow) times has it divided by
/// [`factor`](Self::factor), and those between are blended by their place.
///
/// Source: Peng et al., `YaRN: Efficient Context Window Extension of Large Language Models`, arXiv
/// 2309.00071, as `modeling_rope_utils.py` of Hugging Face transformers 5.23 has it. It differs from the
/// paper in blending by place, not by turns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Yarn {
    /// How much longer the context became.
    pub factor: f64,
    /// Context that the model was trained on first.
    pub original_context: usize,
    /// Turns within the original context from which on a pair is kept.
    pub beta_fast: f64,
    /// Turns up to which a pair is slowed in full.
    pub beta_slow: f64,
    /// Whether the places of these two are rounded outwards, to whole pairs.
    pub truncate: bool,
    /// What cosines and sines are multiplied by.
    pub amplitude: f64,
}

impl Yarn {
    /// The amplitude for a context `factor` times as long; `weight` is 1 in the paper.
    pub fn scale(factor: f64, weight: f64) -> f64 {
        if factor <= 1.0 { 1.0 } else { 0.1 * weight * factor.ln() + 1.0 }
    }

    pub(super) fn rescale(&self, pair: usize, rope: &RopeSpec, frequency: f64) -> f64 {
        let (low, high) = self.blended(rope);
        let slowed = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
        frequency / self.factor * slowed + frequency * (1.0 - slowed)
    }

    /// The places of pairs, as fractions, between which frequencies are blended.
    fn blended(&self, rope: &RopeSpec) -> (f64, f64) {
        let dim = rope.dim as f64;
        let place = |turns: f64| {
            let wavelengths = self.original_context as f64 / (turns * 2.0 * PI);
            dim * wavelengths.ln() / (2.0 * rope.theta.ln())
        };
        let (low, high) = (place(self.beta_fast), place(self.beta_slow));
        let (low, high) = if self.truncate { (low.floor(), high.ceil()) } else { (low, high) };
        // The last place is that of a dimension, not of a pair, in every program that has this.
        let (low, high) = (low.max(0.0), high.min(dim - 1.0));
        (low, if low == high { high + 0.001 } else { high })
    }
}
