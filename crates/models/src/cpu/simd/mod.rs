//! Sixteen numbers at a time, the same bits on every CPU.
//!
//! [`Simd`] is what a kernel is written in: operations on sixteen lanes, each of them one rounding as
//! IEEE 754 has it. One AVX-512 register holds the lanes, or two AVX2 registers, or an array. A
//! kernel is written once, in safe Rust over slices, and compiled for each unit; which of them runs
//! is decided when the program starts. This module holds all `unsafe` of the kernels: the
//! intrinsics, and the call into a function that is compiled for more than the build's CPU.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use self::portable::Portable;

/// Numbers in a vector, and sums of a dot product.
pub(crate) const LANES: usize = 16;

/// Sixteen numbers in memory, in one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Vector(pub(crate) [f32; LANES]);

impl Vector {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// All numbers of some vectors.
pub(crate) fn flat(vectors: &[Vector]) -> &[f32] {
    // SAFETY: a `Vector` is sixteen `f32` and nothing else, and its alignment is no less than theirs.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(vectors.as_ptr().cast(), vectors.len() * LANES)
    }
}

/// All numbers of some vectors.
pub(crate) fn flat_mut(vectors: &mut [Vector]) -> &mut [f32] {
    // SAFETY: as in `flat`; what is borrowed mutably stays so.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast(), vectors.len() * LANES)
    }
}

/// The operations of one vector unit.
///
/// Every operation gives the same bits in all implementations, NaN's payload aside.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `u32`.
    type U: Copy;
    /// The values of [`level`](Self::level), in whatever form finds them fastest.
    type Levels: Copy;
    /// Those of [`wide_level`](Self::wide_level).
    type WideLevels: Copy;
    /// Whether a tile of four rows and six outputs fits into the registers, and not only one of two
    /// and three.
    const WIDE: bool;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, from: &Vector) -> Self::F;
    fn store(self, x: Self::F, to: &mut Vector);
    /// Little-endian `f32` at any address.
    fn load_f32(self, from: &[u8; 64]) -> Self::F;
    /// Little-endian `f16` at any address.
    fn load_f16(self, from: &[u8; 32]) -> Self::F;
    /// Little-endian `bf16` at any address.
    fn load_bf16(self, from: &[u8; 32]) -> Self::F;
    /// Whole numbers from -128 to 127.
    fn load_i8(self, from: &[u8; 16]) -> Self::F;
    /// One `f16`.
    fn half(self, bits: [u8; 2]) -> f32;
    /// One `f16` in all lanes.
    fn splat_half(self, bits: [u8; 2]) -> Self::F;

    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where `a > b`, and else `b`; so `b` where either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where `a < b`, and else `b`; so `b` where either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;

    fn splat_u32(self, x: u32) -> Self::U;
    /// Sixteen bytes, each as a number.
    fn load_u8(self, from: &[u8; 16]) -> Self::U;
    fn bits(self, x: Self::F) -> Self::U;
    fn of_bits(self, x: Self::U) -> Self::F;
    /// Whole numbers below 2^31.
    fn to_f32(self, x: Self::U) -> Self::F;
    fn and(self, a: Self::U, b: Self::U) -> Self::U;
    fn or(self, a: Self::U, b: Self::U) -> Self::U;
    /// Wraps around.
    fn add_u32(self, a: Self::U, b: Self::U) -> Self::U;
    fn sub_u32(self, a: Self::U, b: Self::U) -> Self::U;
    fn shr<const N: u32>(self, x: Self::U) -> Self::U;
    fn shl<const N: u32>(self, x: Self::U) -> Self::U;
    /// `bit` in the lanes whose bit of `mask` is set, 0 in the others.
    fn spread(self, mask: u16, bit: u32) -> Self::U;

    /// `fma(scale, q, offset)` of every `q` below 16; both are the same number in all lanes.
    fn levels(self, scale: Self::F, offset: Self::F) -> Self::Levels;
    /// The value of the low four bits of each lane.
    fn level(self, of: Self::Levels, q: Self::U) -> Self::F;
    /// `fma(scale, q, offset)` of every `q` below 32; both are the same number in all lanes.
    fn wide_levels(self, scale: Self::F, offset: Self::F) -> Self::WideLevels;
    /// The value of the low five bits of each lane.
    fn wide_level(self, of: Self::WideLevels, q: Self::U) -> Self::F;

    /// The sum of the lanes, by halves: lane `l` takes lane `l + 8`, then `l + 4`, `l + 2`, `l + 1`.
    fn sum(self, x: Self::F) -> f32;
    /// The largest lane, in the order of [`sum`](Self::sum); NaN may be passed over.
    fn largest(self, x: Self::F) -> f32;

    /// Asks for the cache line of a byte that will be read soon, or does nothing.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "it is the place that matters")]
    fn prefetch(self, _from: &u8) {}
}

/// Something to be computed by whichever vector unit there is.
pub(crate) trait Kernel {
    type Output;

    /// Has to be `inline(always)`, with all that it calls: only then is it compiled for the unit.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A vector unit that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    /// Whatever the build is for, by way of `f32::mul_add`.
    Portable,
}

impl Unit {
    /// The best one.
    pub(crate) fn best() -> Self {
        Self::all().next().unwrap_or(Self::Portable)
    }

    /// All that this CPU has, the best first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let units = {
            let dispatch = !cfg!(taper_no_dispatch);
            let wide = dispatch && !cfg!(taper_at_most_avx2);
            let wide = wide.then(avx512::Avx512::detect).flatten().map(Self::Avx512);
            let narrow = dispatch.then(avx2::Avx2::detect).flatten().map(Self::Avx2);
            [wide, narrow]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let units: [Option<Self>; 0] = [];
        units.into_iter().flatten().chain([Self::Portable])
    }

    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "AVX2",
            Self::Portable => "portable",
        }
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(unit) => unit.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(unit) => unit.run(kernel),
            Self::Portable => kernel.run(Portable),
        }
    }
}
