//! What a trace says of the candidates between two stages: how many there are, their mass, their entropy.
//!
//! A trace wants this after every stage, and its numbers are read, not drawn by. So its weights are plainer
//! than those of draws: `2^−t` for `t = (best − value) · (log₂ e / T)`. A product stands for the division,
//! and nothing is reduced in two parts. A weight is off by up to `1 + gap / 2` times 2·10⁻⁷ of itself, where
//! the rounding of the score is as much, and the entropy by less than 10⁻⁶ nats.
//!
//! Sums are exact: a row and a list of the same candidates have the same entropy, and whatever a stage
//! removed, it is not less than nothing nor more than all. But they are sums of other weights than those that
//! tokens are drawn by, and not to be compared with them.

use super::gather::packed;
use super::math::Fixed;
use super::rows::visits::count_if;
use super::rows::{CHUNK, Room, Sum};
use super::zones::{Band, Zone};
use super::{Mass, ln, vectorised};

/// How far below the best a weight is followed, in halvings. It is nothing in fixed point long before, and
/// from here its bits still are those of a float.
const FURTHEST: f32 = 126.0;

/// How values become weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halvings {
    best: f32,
    per: f32,
    lowest: f32,
}

/// The candidates between two stages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    /// Those that are not banned.
    pub(crate) eligible: usize,
    pub(crate) mass: Mass,
    /// The sum of weight times distance below the best, in halvings, in the same unit.
    spread: Mass,
}

impl Halvings {
    /// For values that a temperature divides, of which `best` is the largest, and that are banned below
    /// `lowest`.
    pub(crate) fn new(best: f32, divisor: f32, lowest: f32) -> Self {
        // A temperature of almost nothing leaves the best alone; infinity would lose that too.
        let per = (core::f32::consts::LOG2_E / divisor).min(f32::MAX);
        Self { best, per, lowest }
    }

    /// Whether they are those below this value.
    pub(crate) fn are_below(self, best: f32) -> bool {
        self.best == best
    }

    /// Whether the value is not banned.
    #[inline(always)]
    pub(crate) fn is_eligible(self, value: f32) -> bool {
        value >= self.lowest
    }

    /// The distance below the best, in halvings.
    #[inline(always)]
    fn of(self, value: f32) -> f32 {
        let halvings = (self.best - value) * self.per;
        if halvings < FURTHEST { halvings } else { FURTHEST }
    }

    /// The mass of one value, as [`Tally::mass`] has it.
    pub(crate) fn mass_of(self, value: f32) -> Mass {
        Mass::of_weight(power(self.of(value)))
    }
}

/// `2^−t` for `t` in `0..=126`.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the coefficients as they were fitted")]
fn power(t: f32) -> f32 {
    // As in `math::weight`: rounds, and leaves the integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = ROUND - t;
    let f = (ROUND - shifted) - t;
    // 2^f for |f| ≤ ½: of those that are 1 at 0, the polynomial with the least relative error, 10⁻⁷.
    let mut poly = 1.326_472_724_7e-3;
    poly = poly * f + 9.671_512_688e-3;
    poly = poly * f + 5.550_733_743_6e-2;
    poly = poly * f + 2.402_224_208_5e-1;
    poly = poly * f + 6.931_469_776e-1;
    poly = poly * f + 1.0;
    f32::from_bits(poly.to_bits().wrapping_add(shifted.to_bits() << 23))
}

impl Tally {
    /// Of values in any order.
    pub(crate) fn of(values: &[f32], halvings: Halvings) -> Self {
        vectorised(
            #[inline(always)]
            || {
                let mut tally = Self { eligible: 0, mass: Mass(0), spread: Mass(0) };
                let mut moments = Room([0.0; CHUNK]);
                for chunk in values.chunks(CHUNK) {
                    let (mut mass, mut spread) = (Sum::default(), Sum::default());
                    let mut lowest = 0;
                    for (&value, moment) in chunk.iter().zip(&mut moments.0) {
                        let t = halvings.of(value);
                        let weight = power(t);
                        mass.add(Fixed::of(weight));
                        // At most 0.54.
                        *moment = weight * t;
                        // The lower of two negative numbers has the larger bits.
                        lowest = value.to_bits().max(lowest);
                    }
                    // A loop of its own: there are not registers enough for both.
                    for &moment in moments.0.get(..chunk.len()).unwrap_or(&moments.0) {
                        spread.add(Fixed::of(moment));
                    }
                    tally.mass.0 += mass.mass(chunk.len() as u32);
                    tally.spread.0 += spread.mass(chunk.len() as u32);
                    tally.eligible += if lowest > halvings.lowest.to_bits() {
                        count_if(chunk, |value| halvings.is_eligible(value))
                    } else {
                        chunk.len()
                    };
                }
                tally
            },
        )
    }

    /// Of what lies in one band up to slot `at`, and in another from there on; or of all that does not.
    pub(crate) fn of_those(
        values: &[f32],
        (at, before, after): (usize, Band, Band),
        within: bool,
        halvings: Halvings,
    ) -> Self {
        let mut tally = Self { eligible: 0, mass: Mass(0), spread: Mass(0) };
        let (head, tail) = values.split_at_checked(at).unwrap_or((values, &[]));
        for (values, band) in [(head, before), (tail, after)] {
            packed(
                values,
                #[inline(always)]
                move |value| band.holds(value) == within,
                |part| {
                    let part = Self::of(part, halvings);
                    tally.eligible += part.eligible;
                    tally.mass.0 += part.mass.0;
                    tally.spread.0 += part.spread.0;
                },
            );
        }
        tally
    }

    /// Of those that are not a part of these.
    pub(crate) fn without(self, part: Self) -> Self {
        Self {
            eligible: self.eligible - part.eligible,
            mass: Mass(self.mass.0 - part.mass.0),
            spread: Mass(self.spread.0 - part.spread.0),
        }
    }

    /// In nats.
    pub(crate) fn entropy(&self) -> f64 {
        ln(self.mass.as_f64()) + core::f64::consts::LN_2 * self.spread.share_of(self.mass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn powers_are_within_two_in_ten_million() {
        for i in 0..1_000_000 {
            let t = i as f32 * (FURTHEST / 1_000_000.0);
            let exact = (-f64::from(t)).exp2();
            assert!((f64::from(power(t)) - exact).abs() <= 2e-7 * exact, "2^-{t}");
        }
        assert_eq!((power(0.0), power(FURTHEST)), (1.0, 2.0_f32.powi(-126)));
    }

    /// Count, mass and entropy in double precision, from scores that are divided one by one.
    fn naive(values: &[f32], divisor: f32) -> (usize, f64, f64) {
        let scores = values.iter().map(|&x| f64::from(x) / f64::from(divisor));
        let scores: Vec<f64> = scores.filter(|&x| x > f64::NEG_INFINITY).collect();
        let best = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let mass: f64 = scores.iter().map(|x| (x - best).exp()).sum();
        let spread: f64 = scores.iter().map(|x| (best - x) * (x - best).exp()).sum();
        (scores.len(), mass, mass.ln() + spread / mass)
    }

    fn tally(values: &[f32], divisor: f32) -> Tally {
        let best = values.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        Tally::of(values, Halvings::new(best, divisor, f32::MIN))
    }

    #[test]
    fn tallies_are_those_of_double_precision() {
        let spread = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 20) as f32 - 3.0;
        for len in [1, 15, 64, CHUNK - 1, CHUNK, 3 * CHUNK + 77] {
            let mut values: Vec<f32> = (0..len as u32).map(spread).collect();
            for banned in [usize::MAX, 97, 2] {
                values.iter_mut().skip(1).step_by(banned).for_each(|x| *x = f32::NEG_INFINITY);
                for divisor in [0.01, 0.7, 1.0, 3.0, 1e30] {
                    let (got, want) = (tally(&values, divisor), naive(&values, divisor));
                    assert_eq!(got.eligible, want.0);
                    assert!((got.mass.as_f64() / want.1 - 1.0).abs() < 1e-6, "{got:?} {want:?}");
                    assert!((got.entropy() - want.2).abs() < 1e-6, "{got:?} {want:?}");
                }
            }
        }
    }

    #[test]
    fn masses_add_up_in_any_order() {
        let mut values: Vec<f32> = (0..2500_u32).map(|i| (i * 37 % 1001) as f32 / 40.0).collect();
        let halvings = Halvings::new(25.0, 0.8, f32::MIN);
        let each: u64 = values.iter().map(|&value| halvings.mass_of(value).0).sum();
        assert_eq!(Tally::of(&values, halvings).mass, Mass(each));
        values.reverse();
        assert_eq!(Tally::of(&values, halvings).mass, Mass(each));
    }

    #[test]
    fn extremes() {
        // Nothing is as far from the best as the largest number, and almost no temperature is too low.
        assert_eq!(tally(&[f32::MAX, f32::MIN, 0.0], 1.0).mass, Mass::ONE);
        assert_eq!(tally(&[1.0, 0.0, f32::NEG_INFINITY], f32::from_bits(1)).mass, Mass::ONE);
        assert_eq!(tally(&[-0.0, 0.0], 1.0).mass, Mass(2 * Mass::ONE.0));
        // A score may be −∞ that was none before the division.
        let eligible = Tally::of(&[0.0, -1e38], Halvings::new(0.0, 0.1, -3.4e37)).eligible;
        assert_eq!(eligible, 1);
        assert_eq!(Tally::of(&[], Halvings::new(0.0, 1.0, f32::MIN)).mass, Mass(0));
    }
}
