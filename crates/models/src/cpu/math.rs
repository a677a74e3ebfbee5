//! Functions of a number, and what is summed over a row.
//!
//! They are made of the operations of [`Simd`], in a fixed order, and of no other library: so they
//! give the same bits everywhere. Errors are a few units in the last place.

use super::simd::{Kernel, Simd, Unit, Vector};
use crate::spec::Activation;

/// `e^x`; 0 below about -104, infinity above 88.7.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    // Adding it rounds a small number to a whole one, which then stands in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has so few digits that its multiples are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // (e^r - 1 - r) / r^2 for |r| below ln 2 / 2. From Cephes' expf.
    const SERIES: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let splat = |x| simd.splat(x);
    // In this order NaN comes through.
    let x = simd.min(splat(89.0), simd.max(splat(-104.0), x));
    let shifted = simd.fma(x, splat(std::f32::consts::LOG2_E), splat(MAGIC));
    let n = simd.sub(shifted, splat(MAGIC));
    let r = simd.fma(n, splat(-LN_2_HIGH), x);
    let r = simd.fma(n, splat(-LN_2_LOW), r);
    let mut series = splat(SERIES[0]);
    for term in &SERIES[1..] {
        series = simd.fma(series, r, splat(*term));
    }
    let power = simd.add(simd.fma(series, simd.mul(r, r), r), splat(1.0));
    // 2^n in two factors, each of which is a normal number.
    let n = simd.sub_u32(simd.bits(shifted), simd.splat_u32(MAGIC.to_bits()));
    let n = simd.add_u32(n, simd.splat_u32(254));
    let half = simd.shr::<1>(n);
    let rest = simd.sub_u32(n, half);
    let power = simd.mul(power, simd.of_bits(simd.shl::<23>(half)));
    simd.mul(power, simd.of_bits(simd.shl::<23>(rest)))
}

/// `e^-x`
#[inline(always)]
fn exp_of_minus<S: Simd>(simd: S, x: S::F) -> S::F {
    exp(simd, simd.mul(x, simd.splat(-1.0)))
}

/// `x / (1 + e^-u)`
#[inline(always)]
fn gated<S: Simd>(simd: S, x: S::F, u: S::F) -> S::F {
    simd.div(x, simd.add(simd.splat(1.0), exp_of_minus(simd, u)))
}

#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::F) -> S::F {
    gated(simd, simd.splat(1.0), x)
}

#[inline(always)]
pub(super) fn silu<S: Simd>(simd: S, x: S::F) -> S::F {
    gated(simd, x, x)
}

#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    let power = exp(simd, simd.add(x, x));
    let (one, two) = (simd.splat(1.0), simd.splat(2.0));
    simd.sub(one, simd.div(two, simd.add(one, power)))
}

/// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    // Twice the argument, since `(1 + tanh u) / 2` is `1 / (1 + e^-2u)`.
    const LINEAR: f32 = 1.595_769_2;
    const CUBIC: f32 = LINEAR * 0.044_715;
    let factor = simd.fma(simd.mul(x, x), simd.splat(CUBIC), simd.splat(LINEAR));
    gated(simd, x, simd.mul(x, factor))
}

/// `x / 2 erfc(-x / sqrt 2)`, with the rational Chebyshev fit of Numerical Recipes (6.2): its
/// relative error is below 1.2e-7.
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::F) -> S::F {
    const SERIES: [f32; 10] = [
        0.170_872_77,
        -0.822_152_2,
        1.488_515_9,
        -1.135_204,
        0.278_868_08,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let splat = |x| simd.splat(x);
    let size = simd.max(x, simd.mul(x, splat(-1.0)));
    let z = simd.mul(size, splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = simd.div(splat(1.0), simd.fma(z, splat(0.5), splat(1.0)));
    let mut series = splat(SERIES[0]);
    for term in &SERIES[1..] {
        series = simd.fma(series, t, splat(*term));
    }
    let exponent = simd.fma(simd.mul(z, splat(-1.0)), z, series);
    let tail = simd.mul(simd.mul(splat(0.5), t), exp(simd, exponent));
    // With `tail = Phi(-|x|)`: `x - |x| tail` where x is above 0, and `-|x| tail` elsewhere.
    let positive = simd.max(x, splat(0.0));
    let positive = simd.fma(size, simd.mul(tail, splat(-1.0)), positive);
    // What `max` hides of NaN.
    simd.fma(x, splat(0.0), positive)
}

/// `ln(1 + e^x)`
#[inline(always)]
pub(super) fn softplus<S: Simd>(simd: S, x: S::F) -> S::F {
    let size = simd.max(x, simd.mul(x, simd.splat(-1.0)));
    let small = exp_of_minus(simd, size);
    // ln(1 + e) = 2 artanh(s), with s = e / (2 + e) up to a third.
    let s = simd.div(small, simd.add(simd.splat(2.0), small));
    let square = simd.mul(s, s);
    let mut series = simd.splat(1.0 / 17.0);
    for odd in [15.0f32, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = simd.fma(series, square, simd.splat(1.0 / odd));
    }
    let rest = simd.mul(simd.add(s, s), simd.fma(series, square, simd.splat(1.0)));
    simd.add(simd.max(x, simd.splat(0.0)), rest)
}

#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::F) -> S::F {
    // The second operand is what NaN comes out of.
    simd.max(simd.splat(0.0), x)
}

/// A function of every number of some vectors.
pub(super) trait Function: Copy {
    fn of<S: Simd>(self, simd: S, x: S::F) -> S::F;
}

/// Replaces numbers by their values.
pub(super) struct Map<'a, F> {
    pub(super) x: &'a mut [Vector],
    pub(super) function: F,
}

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for x in self.x {
            simd.store(self.function.of(simd, simd.load(x)), x);
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Exp;
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;
#[derive(Clone, Copy)]
pub(super) struct Softplus;
/// `cap tanh(x / cap)`
#[derive(Clone, Copy)]
pub(super) struct SoftCap(pub(super) f32);

impl Function for Exp {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::F) -> S::F {
        exp(simd, x)
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::F) -> S::F {
        sigmoid(simd, x)
    }
}

impl Function for Softplus {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::F) -> S::F {
        softplus(simd, x)
    }
}

impl Function for SoftCap {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::F) -> S::F {
        let cap = simd.splat(self.0);
        simd.mul(cap, tanh(simd, simd.div(x, cap)))
    }
}

impl Function for Activation {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, x: S::F) -> S::F {
        match self {
            Self::Silu => silu(simd, x),
            Self::Gelu => gelu(simd, x),
            Self::GeluTanh => gelu_tanh(simd, x),
            Self::Relu => relu(simd, x),
            Self::SquaredRelu => {
                let x = relu(simd, x);
                simd.mul(x, x)
            }
        }
    }
}

/// The activation of `gate`, times `up` if there is one, left in `gate`.
pub(super) struct Activate<'a> {
    pub(super) activation: Activation,
    pub(super) gate: &'a mut [Vector],
    pub(super) up: Option<&'a [Vector]>,
}

impl Kernel for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        macro_rules! activate {
            ($function:expr) => {
                match self.up {
                    None => Map { x: self.gate, function: $function }.run(simd),
                    Some(up) => {
                        for (gate, up) in self.gate.iter_mut().zip(up) {
                            let active = $function.of(simd, simd.load(gate));
                            simd.store(simd.mul(active, simd.load(up)), gate);
                        }
                    }
                }
            };
        }
        // One loop for each, so that none looks at it for every number.
        match self.activation {
            Activation::Silu => activate!(Activation::Silu),
            Activation::Gelu => activate!(Activation::Gelu),
            Activation::GeluTanh => activate!(Activation::GeluTanh),
            Activation::Relu => activate!(Activation::Relu),
            Activation::SquaredRelu => activate!(Activation::SquaredRelu),
        }
    }
}

/// `to += x`
pub(super) struct Add<'a> {
    pub(super) to: &'a mut [Vector],
    pub(super) x: &'a [Vector],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (to, x) in self.to.iter_mut().zip(self.x) {
            simd.store(simd.add(simd.load(to), simd.load(x)), to);
        }
    }
}

/// `to = fma(x, factor, to)`
pub(super) struct AddScaled<'a> {
    pub(super) to: &'a mut [Vector],
    pub(super) x: &'a [Vector],
    pub(super) factor: f32,
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(self.factor);
        for (to, x) in self.to.iter_mut().zip(self.x) {
            simd.store(simd.fma(simd.load(x), factor, simd.load(to)), to);
        }
    }
}

/// `x *= factor`
pub(super) struct Scale<'a> {
    pub(super) x: &'a mut [Vector],
    pub(super) factor: f32,
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(self.factor);
        for x in self.x {
            simd.store(simd.mul(simd.load(x), factor), x);
        }
    }
}

/// The softmax of the first `count` numbers of a row, in place; the others become 0.
pub(super) fn softmax(unit: Unit, row: &mut [Vector], count: usize) {
    super::simd::flat_mut(row)[count..].fill(f32::NEG_INFINITY);
    let (_, sum) = unit.run(Shares { scores: row });
    for share in super::simd::flat_mut(row) {
        *share /= sum;
    }
}

/// Makes `e^(score - largest)` of scores, of which those to be passed over are minus infinity; gives
/// the largest score and the sum.
pub(super) struct Shares<'a> {
    pub(super) scores: &'a mut [Vector],
}

impl Kernel for Shares<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f32, f32) {
        let mut largest = simd.splat(f32::NEG_INFINITY);
        for scores in &*self.scores {
            largest = simd.max(simd.load(scores), largest);
        }
        let largest = simd.largest(largest);
        let (shift, mut sum) = (simd.splat(largest), simd.splat(0.0));
        for scores in self.scores {
            let share = exp(simd, simd.sub(simd.load(scores), shift));
            sum = simd.add(sum, share);
            simd.store(share, scores);
        }
        (largest, simd.sum(sum))
    }
}
