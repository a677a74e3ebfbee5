//! The bare passes over memory that bound everything: fixed lanes, which the compiler turns into
//! vector code, compiled for the vector unit of this CPU as taper's own passes are.

/// The floor of anything that looks at every logit: a bare maximum.
pub fn max_pass(row: &[f32]) -> f32 {
    const LANES: usize = 16;
    vectorised(
        #[inline(always)]
        || {
            let mut max = [f32::NEG_INFINITY; LANES];
            let (quads, tail) = row.as_chunks::<{ 4 * LANES }>();
            for quad in quads {
                for lane in 0..LANES {
                    // In pairs: one after the other, each comparison would wait for the one before, and
                    // the pass would take twice as long.
                    let (a, b) = (quad[lane], quad[LANES + lane]);
                    let (c, d) = (quad[2 * LANES + lane], quad[3 * LANES + lane]);
                    let ab = if b > a { b } else { a };
                    let cd = if d > c { d } else { c };
                    let abcd = if cd > ab { cd } else { ab };
                    max[lane] = if abcd > max[lane] { abcd } else { max[lane] };
                }
            }
            max.iter().chain(tail).fold(f32::NEG_INFINITY, |a, &b| a.max(b))
        },
    )
}

/// The floor of anything that needs the normaliser: a bare sum of exponentials, single precision
/// throughout.
pub fn sum_exp_pass(row: &[f32], max: f32) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0.0_f32; 64];
            let (chunks, tail) = row.as_chunks::<64>();
            for chunk in chunks {
                for i in 0..64 {
                    lanes[i] += taper_sampling::weight(max - chunk[i]);
                }
            }
            let tail: f32 = tail.iter().map(|&x| taper_sampling::weight(max - x)).sum();
            tail + lanes.iter().sum::<f32>()
        },
    )
}

/// [`sum_exp_pass`] with its exponentials an operation at a time, over 64 lanes, so that no lane waits for
/// itself. Says how far the plain loop is from what the vector unit can do.
#[expect(clippy::excessive_precision, reason = "the coefficients of `taper_sampling::weight`")]
pub fn sum_exp_pass_by_operation(row: &[f32], max: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const POLYNOMIAL: [f32; 5] =
        [1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1, 0.5];
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0.0_f32; 64];
            let (chunks, tail) = row.as_chunks::<64>();
            for chunk in chunks {
                let gap = each(|i| max - chunk[i]);
                let shifted = each(|i| ROUND - gap[i] * core::f32::consts::LOG2_E);
                let n = each(|i| ROUND - shifted[i]);
                let r = each(|i| (n[i] * 0.693_359_375 - gap[i]) - n[i] * 2.121_944_4e-4);
                let mut poly = [1.987_569_15e-4; 64];
                for coefficient in POLYNOMIAL {
                    poly = each(|i| poly[i] * r[i] + coefficient);
                }
                let fraction = each(|i| poly[i] * (r[i] * r[i]) + r[i] + 1.0);
                let bits =
                    |i: usize| fraction[i].to_bits().wrapping_add(shifted[i].to_bits() << 23);
                for i in 0..64 {
                    let value = f32::from_bits(bits(i));
                    lanes[i] +=
                        if gap[i] < taper_sampling::Mass::LARGEST_GAP { value } else { 0.0 };
                }
            }
            let tail: f32 = tail.iter().map(|&x| taper_sampling::weight(max - x)).sum();
            tail + lanes.iter().sum::<f32>()
        },
    )
}

/// `f` of each lane.
#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; 64] {
    let mut out = [0.0; 64];
    for (i, lane) in out.iter_mut().enumerate() {
        *lane = f(i);
    }
    out
}

/// A log-softmax: a maximum, a sum of exponentials, and what is left written down.
pub fn log_softmax_pass(row: &[f32], out: &mut [f32]) {
    let max = max_pass(row);
    let log_sum = sum_exp_pass(row, max).ln();
    vectorised(
        #[inline(always)]
        || {
            for (out, &x) in out.iter_mut().zip(row) {
                *out = (x - max) - log_sum;
            }
        },
    );
}

#[inline(always)]
fn vectorised<R>(pass: impl FnMut() -> R) -> R {
    struct Pass<F>(F);
    impl<R, F: FnMut() -> R> pulp::NullaryFnOnce for Pass<F> {
        type Output = R;
        #[inline(always)]
        fn call(mut self) -> R {
            (self.0)()
        }
    }
    arch().dispatch(Pass(pass))
}

/// As taper looks for it.
fn arch() -> pulp::Arch {
    #[cfg(all(taper_at_most_avx2, target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return pulp::Arch::V3(simd);
    }
    pulp::Arch::new()
}

/// The vector unit of this CPU, for which the floors are compiled as taper's passes are.
pub fn vector_unit() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    match arch() {
        pulp::Arch::V4(_) => return "AVX-512",
        pulp::Arch::V3(_) => return "AVX2",
        _ => {}
    }
    "no unit wider than the baseline's"
}
