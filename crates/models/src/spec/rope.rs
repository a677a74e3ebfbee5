//! Rotary position embedding: the frequencies and how a long context rescales them.

use std::f64::consts::PI;

use super::yarn::Yarn;

/// Rotary position embedding over the first `dim` numbers of a head, the first half of which is
/// paired with the second.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RopeSpec {
    /// How much of a head is rotated; even.
    pub dim: usize,
    /// Base of the geometric series of wavelengths (`rope_theta`).
    pub theta: f64,
    /// What was done to the wavelengths to lengthen the context.
    pub scaling: RopeScaling,
    /// What cosines and sines are multiplied by besides the [amplitude](Yarn::amplitude) of `YaRN`:
    /// 1, but in some GGUF files.
    pub gain: f64,
}

/// How the frequencies of a [`RopeSpec`] depart from the plain series.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// They do not.
    None,
    /// Every frequency is divided by `factor` (position interpolation).
    Linear {
        /// How much longer the context became.
        factor: f64,
    },
    /// Llama 3.1: long wavelengths are stretched by `factor`, short ones are kept, and those
    /// between are blended.
    Llama3 {
        /// How much longer the context became.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` are stretched in full.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context that the model was trained on first.
        original_context: usize,
    },
    /// `YaRN`: pairs that turn often are kept, the others slowed down.
    Yarn(Yarn),
    /// The frequency of each pair is divided by a factor of its own, as GGUF files have it.
    Factors(Vec<f32>),
}

impl RopeSpec {
    /// Radians per position of each pair: `dim / 2` values.
    ///
    /// They are rounded to `f32` because the models were trained on angles computed in it: at
    /// position 100 000 the exact angle is visibly another one.
    ///
    /// # Panics
    ///
    /// When there are [`Factors`](RopeScaling::Factors) and fewer than pairs.
    pub fn frequencies(&self) -> Vec<f32> {
        (0..self.dim / 2)
            .map(|pair| self.rescale(pair, self.plain_frequency(pair)) as f32)
            .collect()
    }

    fn plain_frequency(&self, pair: usize) -> f64 {
        self.theta.powf(-2.0 * pair as f64 / self.dim as f64)
    }

    /// What the cosines and sines are multiplied by, so that scores grow by its square.
    pub fn amplitude(&self) -> f32 {
        match &self.scaling {
            RopeScaling::Yarn(yarn) => (yarn.amplitude * self.gain) as f32,
            _ => self.gain as f32,
        }
    }

    /// Divides the frequency of each pair by a factor of its own, besides what is done to it
    /// already.
    pub(crate) fn slow(&mut self, factors: &[f32]) {
        let slowed = |(pair, factor): (usize, &f32)| {
            let plain = self.plain_frequency(pair);
            (f64::from(*factor) * plain / self.rescale(pair, plain)) as f32
        };
        let factors = factors.iter().enumerate().map(slowed).collect();
        if let RopeScaling::Yarn(yarn) = &self.scaling {
            self.gain *= yarn.amplitude;
        }
        self.scaling = RopeScaling::Factors(factors);
    }

    fn rescale(&self, pair: usize, frequency: f64) -> f64 {
        match self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Factors(ref factors) => frequency / f64::from(factors[pair]),
            RopeScaling::Yarn(ref yarn) => yarn.rescale(pair, self, frequency),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                let turns = original_context as f64 * frequency / (2.0 * PI);
                let kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                let kept = kept.clamp(0.0, 1.0);
                kept * frequency + (1.0 - kept) * frequency / factor
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(scaling: RopeScaling) -> RopeSpec {
        RopeSpec { dim: 8, theta: 10_000.0, scaling, gain: 1.0 }
    }

    #[test]
    fn plain_frequencies_are_a_geometric_series() {
        assert_eq!(spec(RopeScaling::None).frequencies(), [1.0, 0.1, 0.01, 0.001]);
    }

    #[test]
    fn linear_scaling_slows_every_pair() {
        let scaled = spec(RopeScaling::Linear { factor: 4.0 }).frequencies();
        assert_eq!(scaled, [0.25, 0.025, 0.0025, 0.00025]);
    }

    #[test]
    fn factors_slow_each_pair_by_its_own() {
        let scaled = spec(RopeScaling::Factors(vec![1.0, 1.0, 2.0, 4.0])).frequencies();
        assert_eq!(scaled, [1.0, 0.1, 0.005, 0.000_25]);
    }

    #[test]
    fn llama3_scaling_keeps_short_wavelengths_and_stretches_long_ones() {
        let scaled = spec(RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 128,
        })
        .frequencies();
        // 128 positions are 20.4, 2.04, 0.2 and 0.02 turns.
        let kept = (12.8 / (2.0 * PI) - 1.0) / 3.0;
        let blended = (0.1 * kept + 0.1 / 8.0 * (1.0 - kept)) as f32;
        assert_eq!(scaled, [1.0, blended, 0.00125, 0.000_125]);
    }
}
