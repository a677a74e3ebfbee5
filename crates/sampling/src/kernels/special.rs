//! Square root, power and Gumbel noise in double precision, the same bits on every target.

use super::math::{exp, ln};

/// The square root, correctly rounded, so that it is what an IEEE square root would give. NaN below
/// zero.
///
/// `core` has none, and it is needed once a step: an integer square root of the mantissa is exact.
pub(crate) fn sqrt(x: f64) -> f64 {
    if !(x > 0.0) || x == f64::INFINITY {
        return if x < 0.0 { f64::NAN } else { x };
    }
    // x = mantissa · 2^exponent with an even exponent and a mantissa of 105 or 106 bits, whose root
    // has 53; the remainder tells which way to round, and no root lies half way.
    let (x, lifted) =
        if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 54) } else { (x, 0) };
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1075 - lifted;
    let mut mantissa = u128::from((bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000) << 52;
    exponent -= 52;
    if exponent % 2 != 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    let root = mantissa.isqrt();
    let rounded = root + u128::from(mantissa - root * root > root);
    rounded as f64 * exp2_int(exponent / 2)
}

/// `x` to the power of `y` for `x ≥ 0`: `exp(y · ln x)`, relative error below 10⁻¹³ for results
/// between 10⁻¹⁰⁰ and 10¹⁰⁰. 1 for `y = 0`, also at `x = 0`.
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 { 1.0 } else { exp(y * ln(x)) }
}

/// `x` to a whole power by squaring: exact where the products are, otherwise within a few last
/// digits.
pub(crate) fn powi(x: f64, mut n: u32) -> f64 {
    let (mut square, mut product) = (x, 1.0);
    while n > 0 {
        if n % 2 == 1 {
            product *= square;
        }
        square *= square;
        n /= 2;
    }
    product
}

/// Standard Gumbel noise from random bits: `−ln(−ln u)` with `u = (k + ½) / 2⁵³`, where `k` is
/// the upper 53 bits. Between −3.7 and 37.5; never infinite.
pub(crate) fn gumbel(bits: u64) -> f64 {
    const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
    const HALF: u64 = 1 << 52;
    let k = bits >> 11;
    let surprise = if k < HALF {
        -ln((k as f64 + 0.5) * UNIT)
    } else {
        // k + ½ would not fit into a double; its distance from 1 does.
        minus_ln_of_one_minus((((HALF << 1) - 1 - k) as f64 + 0.5) * UNIT)
    };
    -ln(surprise)
}

/// `−ln(1 − v)` for `0 < v ≤ ½`, accurate for the smallest `v`.
fn minus_ln_of_one_minus(v: f64) -> f64 {
    if v > 0.25 {
        return -ln(1.0 - v);
    }
    // −ln(1 − v) = 2·atanh(v / (2 − v)), and the argument is at most 1/7.
    let s = v / (2.0 - v);
    let square = s * s;
    let mut sum = 0.0;
    for k in (0..=9_u32).rev() {
        sum = sum * square + 1.0 / f64::from(2 * k + 1);
    }
    2.0 * s * sum
}

fn exp2_int(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqrt_is_the_ieee_square_root() {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let x = f64::from_bits(state & 0x7fff_ffff_ffff_ffff);
            if x.is_finite() {
                assert_eq!(sqrt(x), x.sqrt(), "sqrt({x:e})");
            }
        }
        for x in [0.0, 1.0, 4.0, 2.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY] {
            assert_eq!(sqrt(x), x.sqrt());
        }
        assert!(sqrt(-1.0).is_nan() && sqrt(f64::NAN).is_nan());
    }

    #[test]
    fn pow_matches_the_platform() {
        for (x, y) in [(2.0, 10.0), (0.3, 0.5), (7.1, -3.2), (1e-9, 2.0), (1.75, 150.0), (1.0, 1e9)]
        {
            let want = f64::powf(x, y);
            assert!((pow(x, y) - want).abs() <= want * 1e-13, "{x}^{y}");
        }
        assert_eq!((pow(0.0, 0.0), pow(0.0, 2.0), pow(5.0, 0.0)), (1.0, 0.0, 1.0));
    }

    #[test]
    fn gumbel_is_finite_and_right_at_both_ends() {
        let smallest = -((2.0_f64.powi(-54)).ln().abs()).ln();
        let largest = 54.0 * core::f64::consts::LN_2;
        assert!((gumbel(0) - smallest).abs() < 1e-14, "{}", gumbel(0));
        assert!((gumbel(u64::MAX) - largest).abs() < 1e-12, "{}", gumbel(u64::MAX));
        // The two formulas meet at u = 1/2 and at v = 1/4.
        for k in [(1_u64 << 52) - 1, 1 << 52, 3 << 51, (3 << 51) - 1, 123_456_789_012_345] {
            let u = (k as f64 + 0.5) / 2.0_f64.powi(53);
            assert!((gumbel(k << 11) - -(-u.ln()).ln()).abs() < 1e-14, "{k}");
        }
    }
}
