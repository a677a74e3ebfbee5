//! `exp`, `ln` and the fixed-point mass they are summed in.

/// Probability mass in units of 2⁻⁴⁰ of the best candidate's weight.
///
/// The weight of a candidate is `exp(score − best score)`, so the best one weighs exactly
/// [`Mass::ONE`]. Sums of integers are exact and do not depend on the order of the summands: the
/// mass of a set is a function of the set alone, whether it is read off the dense row, a list of
/// survivors, or the difference of two other sets. That is what lets a selection by pivots, the
/// naive reference and a build with other vector lanes agree to the last bit.
///
/// The price is a smallest weight. A candidate more than [`Mass::LARGEST_GAP`] below the best
/// weighs nothing and cannot be drawn; the probability given up this way is below 2⁻⁴¹ a token,
/// about 6·10⁻⁸ over a vocabulary of 128 256, which is the rounding of one `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mass(pub u64);

impl Mass {
    /// The weight of the best candidate.
    pub const ONE: Self = Self(1 << 40);
    /// Scores further than this below the best round to a weight of zero (41·ln 2).
    pub const LARGEST_GAP: f32 = 28.419_035;

    /// The mass as a multiple of the best candidate's weight.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Self::ONE.0 as f64
    }

    /// The share that this mass has of `total`, in `0..=1` for a subset.
    ///
    /// Zero of zero is NaN: an empty set has no distribution.
    pub fn share_of(self, total: Self) -> f64 {
        self.0 as f64 / total.0 as f64
    }

    /// The fixed-point value of a weight in `0..=1`, rounded to nearest, ties to even.
    #[inline(always)]
    pub fn of_weight(weight: f32) -> Self {
        Self(Fixed::of(weight).mass())
    }
}

/// A weight in fixed point, in two parts that vector lanes add up without unpacking: as the bits of
/// two floats whose integer part stands in the low bits of the mantissa.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed {
    /// The weight in units of 2⁻¹⁹, rounded to nearest: [`Fixed::HIGH`] + 0 ..= 2¹⁹.
    pub(crate) high: u32,
    /// What that left over in units of 2⁻⁴⁰: [`Fixed::LOW`] − 2²⁰ ..= + 2²⁰.
    pub(crate) low: u32,
}

impl Fixed {
    /// 2⁴: a float from here to 2⁵ is a multiple of 2⁻¹⁹, so that adding it rounds to that.
    const WHOLE: f32 = 16.0;
    /// 2⁻¹⁷ and a half of it: there floats are multiples of 2⁻⁴⁰, with room for a negative number.
    const SIGNED: f32 = 1.5 / 131_072.0;
    const HIGH: u32 = Self::WHOLE.to_bits();
    const LOW: u32 = Self::SIGNED.to_bits();

    /// The fixed-point form of a weight in `0..=1`. Both roundings are to nearest, ties to even, and
    /// the first leaves a remainder that a float holds exactly: together they are one rounding.
    #[inline(always)]
    pub(crate) fn of(weight: f32) -> Self {
        let high = weight + Self::WHOLE;
        let low = (weight - (high - Self::WHOLE)) + Self::SIGNED;
        Self { high: high.to_bits(), low: low.to_bits() }
    }

    #[inline(always)]
    fn mass(self) -> u64 {
        Self::mass_of_sum(self.high, self.low, 1)
    }

    /// The mass of `terms` weights whose parts add up, modulo 2³², to these. Up to 2047 terms fit.
    #[inline(always)]
    pub(crate) fn mass_of_sum(high: u32, low: u32, terms: u32) -> u64 {
        let high = high.wrapping_sub(Self::HIGH.wrapping_mul(terms));
        let low = low.wrapping_sub(Self::LOW.wrapping_mul(terms)).cast_signed();
        (u64::from(high) << 21).wrapping_add_signed(i64::from(low))
    }
}

/// The weight `exp(−gap)` of a candidate `gap ≥ 0` below the best; zero from
/// [`Mass::LARGEST_GAP`] on, and for an infinite gap.
///
/// Cody–Waite reduction by ln 2 in two parts and a polynomial of degree six (the coefficients
/// are those of Cephes' `expf`); the error is below 2 units in the last place, which a test
/// checks against a double-precision oracle on a dense grid.
#[inline(always)]
pub fn weight(gap: f32) -> f32 {
    // Beyond the largest gap, and for NaN, what is computed is nothing sensible and not used: a
    // select, not a branch.
    let value = exp_of_minus(gap);
    if gap < Mass::LARGEST_GAP { value } else { 0.0 }
}

/// `exp(−gap)` for a gap in about `−88..=87`, within 2 units in the last place.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the coefficients as published")]
fn exp_of_minus(gap: f32) -> f32 {
    // Near 1.5·2²³ floats are integers, so that this rounds and leaves the integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = ROUND - gap * core::f32::consts::LOG2_E;
    let n = ROUND - shifted;
    let r = (n * 0.693_359_375 - gap) - n * 2.121_944_4e-4;
    let mut poly = 1.987_569_15e-4;
    poly = poly * r + 1.398_199_950_7e-3;
    poly = poly * r + 8.333_451_907_3e-3;
    poly = poly * r + 4.166_579_589_4e-2;
    poly = poly * r + 1.666_666_545_9e-1;
    poly = poly * r + 0.5;
    let fraction = poly * (r * r) + r + 1.0;
    // Times 2⁻ⁿ, by adding to the exponent: −n stands in the low bits of `shifted`.
    f32::from_bits(fraction.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `exp(x)` in double precision from plain arithmetic, the same bits on every target.
///
/// For reporting (a probability from a log-probability); relative error below 10⁻¹⁴. Overflows
/// to +∞ above 709.78 and is 0 below −745.
pub fn exp(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    if x.is_nan() {
        return x;
    }
    if x > 709.782_712_893_384 {
        return f64::INFINITY;
    }
    if x < -745.2 {
        return 0.0;
    }
    let n = (x * core::f64::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - n * 6.931_471_803_691_238e-1) - n * 1.908_214_929_270_587_7e-10;
    // Taylor to r¹³: |r| ≤ 0.3466, so the remainder is below 10⁻¹⁷.
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..=13_u32 {
        term = term * r / f64::from(k);
        sum += term;
    }
    // Two halves keep each factor a normal number down to the smallest subnormal result.
    let n = n as i32;
    let half = n / 2;
    sum * power_of_two(half) * power_of_two(n - half)
}

fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// The natural logarithm in double precision from plain arithmetic, the same bits on every
/// target. −∞ at zero, NaN below it; relative error below 10⁻¹⁵ away from 1.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    // Subnormals are lifted into the normal range first.
    let (x, lifted) =
        if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 54) } else { (x, 0) };
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023 - lifted;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if mantissa > core::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2·atanh((m−1)/(m+1)), |s| ≤ 0.1716: eleven terms reach double precision.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for k in (0..=11_u32).rev() {
        sum = sum * square + 1.0 / f64::from(2 * k + 1);
    }
    let e = exponent as f64;
    e * 6.931_471_803_691_238e-1 + (2.0 * s * sum + e * 1.908_214_929_270_587_7e-10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in 0..2_000_000 {
            let gap = i as f32 * (28.4 / 2_000_000.0);
            let exact = (-f64::from(gap)).exp();
            let got = weight(gap);
            let ulp =
                f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(got) - exact).abs() / ulp);
        }
        assert!(worst < 2.0, "worst error {worst} units in the last place");
    }

    #[test]
    fn weight_at_the_ends() {
        assert_eq!(weight(0.0), 1.0);
        assert_eq!(weight(-0.0), 1.0);
        assert_eq!(weight(core::f32::consts::LN_2), 0.5);
        assert_eq!(weight(f32::INFINITY), 0.0);
        assert_eq!(weight(Mass::LARGEST_GAP), 0.0);
        assert!(Mass::of_weight(weight(28.419)) > Mass(0));
        assert_eq!(Mass::of_weight(1.0), Mass::ONE);
        assert_eq!(Mass::of_weight(0.0), Mass(0));
    }

    #[test]
    fn exp_and_ln_match_the_platform_within_a_few_units() {
        for i in -70_000..70_000 {
            let x = f64::from(i) * 0.01;
            let want = x.exp();
            assert!((exp(x) - want).abs() <= want * 1e-13, "exp({x})");
        }
        for i in 1..200_000 {
            let x = f64::from(i) * f64::from(i) * 1e-7;
            assert!((ln(x) - x.ln()).abs() <= 4e-15 * x.ln().abs().max(0.1), "ln({x})");
        }
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(ln(-1.0).is_nan() && exp(f64::NAN).is_nan());
        assert!((ln(5e-324) - 5e-324_f64.ln()).abs() < 1e-12);
    }
}
