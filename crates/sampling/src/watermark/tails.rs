//! The probabilities that a detector's score is as high by chance.
//!
//! Where nothing else is said, relative errors are below 10⁻⁹, and what is below 10⁻³⁰⁰ may come out
//! as 0.

use crate::kernels::special::sqrt;
use crate::kernels::{exp, ln};

/// `ln Γ(a)` for `a > 0`, by Stirling's series.
pub(super) fn ln_gamma(a: f64) -> f64 {
    const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
    let (mut shifted, mut product) = (a, 1.0);
    while shifted < 12.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let square = 1.0 / (shifted * shifted);
    let series = square * (1.0 / 1680.0 - square / 1188.0);
    let series = 1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - series));
    (shifted - 0.5) * ln(shifted) - shifted + HALF_LN_TAU + series / shifted - ln(product)
}

/// `Q(a, x)`: the probability that a Gamma variable of shape `a` and scale 1 is above `x`.
pub(super) fn gamma_upper(a: f64, x: f64) -> f64 {
    if !(x > 0.0) || a <= 0.0 {
        return 1.0;
    }
    let front = exp(a * ln(x) - x - ln_gamma(a));
    if x < a + 1.0 {
        // The series of the lower tail.
        let (mut term, mut sum, mut shape) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            shape += 1.0;
            term *= x / shape;
            sum += term;
        }
        return (1.0 - front * sum).max(0.0);
    }
    // Lentz's continued fraction.
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::INFINITY, 1.0 / b);
    let (mut fraction, mut i) = (d, 1.0);
    loop {
        let factor = -i * (i - a);
        b += 2.0;
        d = 1.0 / (factor * d + b);
        c = b + factor / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-15 || i > 1e6 {
            return (front * fraction).min(1.0);
        }
        i += 1.0;
    }
}

/// The probability that a standard normal variable is above `z`.
pub(super) fn normal_upper(z: f64) -> f64 {
    let tail = 0.5 * gamma_upper(0.5, 0.5 * z * z);
    if z < 0.0 { 1.0 - tail } else { tail }
}

/// The probability that `wide · A + narrow · B` is above `score`, where `A` and `B` are Gamma variables
/// of shape `n` and scale 1: `n` pairs of exponential scores, weighed.
///
/// An integral over `B`, whose integrand is log-concave: it is taken around its peak, to a relative
/// error below 10⁻⁶.
pub(super) fn two_gammas_upper(n: f64, weights: [f64; 2], score: f64) -> f64 {
    let [narrow, wide] = if weights[0] < weights[1] { weights } else { [weights[1], weights[0]] };
    if narrow == 0.0 || narrow == wide {
        let shape = if narrow == 0.0 { n } else { 2.0 * n };
        return gamma_upper(shape, score / wide);
    }
    if !(score > 0.0) {
        return 1.0;
    }
    let (end, ln_front) = (score / narrow, ln_gamma(n));
    let integrand = |b: f64| {
        let density = if n == 1.0 { -b } else { (n - 1.0) * ln(b) - b };
        exp(density - ln_front) * gamma_upper(n, (score - narrow * b) / wide)
    };
    // Above `end` B alone is enough.
    gamma_upper(n, end) + around_peak(integrand, end)
}

/// The integral of a log-concave function over `0..end`.
fn around_peak(f: impl Fn(f64) -> f64, end: f64) -> f64 {
    const NEGLIGIBLE: f64 = 1e-14;
    const HALVINGS: u32 = 60;
    let (mut low, mut high) = (0.0, end);
    for _ in 0..200 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if f(a) < f(b) { low = a } else { high = b }
    }
    let peak = low + (high - low) / 2.0;
    let least = f(peak) * NEGLIGIBLE;
    // Where it becomes negligible, to either side.
    let reach = |mut outside: f64| {
        let mut inside = peak;
        if f(outside) >= least {
            return outside;
        }
        for _ in 0..HALVINGS {
            let middle = inside + (outside - inside) / 2.0;
            if f(middle) < least { outside = middle } else { inside = middle }
        }
        outside
    };
    // At 0 itself a density may be 0 or need the logarithm of 0.
    let (from, to) = (reach(end * 1e-300), reach(end));
    simpson(&f, from, peak) + simpson(&f, peak, to)
}

fn simpson(f: &impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const PARTS: u32 = 400;
    let width = (to - from) / f64::from(PARTS);
    let weight = |i| match i {
        0 | PARTS => 1.0,
        _ if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum: f64 = (0..=PARTS).map(|i| weight(i) * f(from + f64::from(i) * width)).sum();
    sum * width / 3.0
}

/// The standard deviation that a variance is of.
pub(super) fn deviation(variance: f64) -> f64 {
    sqrt(variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64, rel: f64) {
        assert!((got - want).abs() <= rel * want, "{got:e}, not {want:e}");
    }

    /// Shape, value, and what mpmath 1.3 has for the tail.
    const GAMMA: [(f64, f64, f64); 9] = [
        (1.0, 0.5, 0.606_530_659_712_633),
        (3.0, 2.5, 0.543_813_115_883_33),
        (0.5, 4.0, 0.004_677_734_981_047_27),
        (30.0, 55.0, 8.854_783_047_067_84e-5),
        (24.39, 20.0, 0.810_577_701_670_345),
        (200.0, 150.0, 0.999_942_903_114_258),
        (200.0, 420.0, 2.014_596_976_988_13e-33),
        (5000.0, 5200.0, 0.002_584_813_495_353_81),
        (243.9, 600.0, 8.682_119_847_656_64e-62),
    ];
    const NORMAL: [(f64, f64); 4] = [
        (-2.0, 0.977_249_868_051_821),
        (0.3, 0.382_088_577_811_047),
        (3.0, 0.001_349_898_031_630_09),
        (12.0, 1.776_482_112_077_68e-33),
    ];

    #[test]
    fn tails_are_those_of_mpmath() {
        for (a, x, want) in GAMMA {
            close(gamma_upper(a, x), want, 1e-9);
        }
        for (z, want) in NORMAL {
            close(normal_upper(z), want, 1e-9);
        }
        close(ln_gamma(0.5), 0.572_364_942_924_700_1, 1e-12);
        close(ln_gamma(1234.5), 7_550.550_901_077_895, 1e-13);
    }

    /// A sum of both is a mixture of Gammas of one scale: with `K` negative binomial, `A` of the wider
    /// scale is a Gamma of shape `n + K` of the narrower one.
    #[test]
    fn the_integral_agrees_with_a_mixture() {
        for (n, weight, score) in [(1, 0.1, 3.0), (20, 0.1, 20.5), (20, 0.3, 45.0), (7, 0.45, 1.0)]
        {
            let (narrow, wide, size) = (weight, 1.0 - weight, f64::from(n));
            let ratio: f64 = narrow / wide;
            let mut share = ratio.powi(n);
            let mut want = 0.0;
            for k in 0..20_000 {
                let k = f64::from(k);
                want += share * gamma_upper(2.0 * size + k, score / narrow);
                share *= (size + k) / (k + 1.0) * (1.0 - ratio);
            }
            close(two_gammas_upper(size, [wide, narrow], score), want, 1e-6);
        }
        close(two_gammas_upper(30.0, [1.0 - 1e-9, 1e-9], 50.0), gamma_upper(30.0, 50.0), 1e-6);
    }
}
