//! What the length of a hypothesis does to its score.

use crate::kernels::special::{pow, powi, sqrt};

/// The exponent of the length, and the divisor that it makes of a length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LengthPenalty(f64);

impl LengthPenalty {
    pub(super) fn new(exponent: f64) -> Self {
        Self(exponent)
    }

    /// Whether all divisors up to `longest` are normal numbers. The greatest length has the most
    /// extreme one.
    pub(super) fn is_usable(self, longest: usize) -> bool {
        self.0.is_finite() && self.divisor(longest).is_normal()
    }

    /// `length` to the power of the exponent, which Python computes in double precision and torch
    /// rounds to single. Exact where the power is.
    pub(super) fn divisor(self, length: usize) -> f32 {
        let (length, exponent) = (length as f64, self.0);
        let size = exponent.abs();
        let power = if size <= 64.0 && size == f64::from(size as u32) {
            powi(length, size as u32)
        } else if size == 0.5 {
            sqrt(length)
        } else {
            return pow(length, exponent) as f32;
        };
        (if exponent < 0.0 { 1.0 / power } else { power }) as f32
    }

    /// The best score that a hypothesis with this sum can still get, if its log-probabilities only
    /// add up downwards and it ends with at least `soonest` and at most `longest` tokens.
    pub(super) fn bound(self, sum: f32, soonest: usize, longest: usize) -> f32 {
        // The sum is at most 0, so the greatest divisor is the kindest.
        sum / self.divisor(if self.0 > 0.0 { longest } else { soonest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_those_of_double_precision() {
        for exponent in [-3.0, -1.5, -1.0, -0.5, 0.0, 0.3, 0.5, 1.0, 1.7, 2.0, 5.0, 9.25] {
            for length in 1..200_usize {
                let want = (length as f64).powf(exponent) as f32;
                assert_eq!(
                    LengthPenalty::new(exponent).divisor(length),
                    want,
                    "{length}^{exponent}"
                );
            }
        }
    }

    #[test]
    fn the_bound_holds_at_every_length() {
        for exponent in [-2.0, -0.5, 0.0, 0.5, 2.0] {
            let penalty = LengthPenalty::new(exponent);
            let bound = penalty.bound(-3.0, 4, 9);
            assert!((4..=9).all(|length| -3.0 / penalty.divisor(length) <= bound), "{exponent}");
        }
    }
}
