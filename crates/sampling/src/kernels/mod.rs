//! The arithmetic and the passes over a row.
//!
//! Everything here is written as fixed-lane loops of plain `+ − × ÷`, comparisons and integer
//! operations: no fused multiply-add, no platform `libm`. A lane computes the same bits in a
//! scalar, an SSE2, an AVX2, an AVX-512 or a NEON build, and sums are exact integers, so every
//! build of this crate returns the same token for the same logits and key.

pub(crate) mod bands;
pub(crate) mod gather;
pub(crate) mod math;
mod pack;
pub(crate) mod rows;
pub(crate) mod select;
pub(crate) mod special;
pub(crate) mod tally;
pub(crate) mod weigh;
pub(crate) mod zones;

pub use math::{Mass, exp, ln, weight};

/// Runs `pass` compiled for the widest vector unit of this CPU.
///
/// `pulp` picks the feature set at run time behind a safe interface; users build for baseline
/// x86-64, and without this they would get SSE2.
#[inline(always)]
pub(crate) fn vectorised<R>(pass: impl FnMut() -> R) -> R {
    arch().dispatch(Pass(pass))
}

/// The vector unit of this CPU.
#[inline(always)]
fn arch() -> pulp::Arch {
    // `.ci/same-bits` compares builds for one unit each, which must not look for a wider one.
    if cfg!(taper_no_dispatch) {
        return pulp::Arch::Scalar;
    }
    #[cfg(all(taper_at_most_avx2, target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return pulp::Arch::V3(simd);
    }
    pulp::Arch::new()
}

/// A pass for `pulp`. It takes closures too, but calls them through the compiler's `FnOnce` shim,
/// which is not always inlined; and a body that is not inlined is compiled without the features.
struct Pass<F>(F);

impl<R, F: FnMut() -> R> pulp::NullaryFnOnce for Pass<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}
