//! AVX-512: the lanes in one register.

use std::arch::x86_64::*;

use super::{Kernel, Simd, Vector};

/// Proof that the CPU has AVX-512 (F, BW, DQ, VL), and what comes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// Calls intrinsics.
macro_rules! have {
    ($call:expr) => {{
        // SAFETY: a value of `Avx512` is there only where the CPU has the instructions, and what is
        // read or written is borrowed at the width of the instruction; a `Vector` has the alignment
        // that the aligned ones ask for, and the others ask for none.
        #[allow(unsafe_code)]
        unsafe {
            $call
        }
    }};
}

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        there.then_some(Self(()))
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
        fn compiled<K: Kernel>(unit: Avx512, kernel: K) -> K::Output {
            kernel.run(unit)
        }
        have!(compiled(self, kernel))
    }
}

impl Simd for Avx512 {
    type F = __m512;
    type U = __m512i;
    type Levels = __m512;
    type WideLevels = (__m512, __m512);
    const WIDE: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        have!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn load(self, from: &Vector) -> __m512 {
        have!(_mm512_load_ps(from.0.as_ptr()))
    }

    #[inline(always)]
    fn store(self, x: __m512, to: &mut Vector) {
        have!(_mm512_store_ps(to.0.as_mut_ptr(), x));
    }

    #[inline(always)]
    fn load_f32(self, from: &[u8; 64]) -> __m512 {
        have!(_mm512_castsi512_ps(_mm512_loadu_si512(from.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_f16(self, from: &[u8; 32]) -> __m512 {
        have!(_mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u8; 32]) -> __m512 {
        have!({
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }

    #[inline(always)]
    fn load_i8(self, from: &[u8; 16]) -> __m512 {
        have!({
            let wide = _mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()));
            _mm512_cvtepi32_ps(wide)
        })
    }

    #[inline(always)]
    fn half(self, bits: [u8; 2]) -> f32 {
        let bits = i32::from(u16::from_le_bytes(bits));
        have!(_mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits))))
    }

    #[inline(always)]
    fn splat_half(self, bits: [u8; 2]) -> __m512 {
        let bits = u16::from_le_bytes(bits).cast_signed();
        have!(_mm512_cvtph_ps(_mm256_set1_epi16(bits)))
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        have!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        have!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        have!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        have!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        have!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        have!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        have!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn splat_u32(self, x: u32) -> __m512i {
        have!(_mm512_set1_epi32(x.cast_signed()))
    }

    #[inline(always)]
    fn load_u8(self, from: &[u8; 16]) -> __m512i {
        have!(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.as_ptr().cast())))
    }

    #[inline(always)]
    fn bits(self, x: __m512) -> __m512i {
        have!(_mm512_castps_si512(x))
    }

    #[inline(always)]
    fn of_bits(self, x: __m512i) -> __m512 {
        have!(_mm512_castsi512_ps(x))
    }

    #[inline(always)]
    fn to_f32(self, x: __m512i) -> __m512 {
        have!(_mm512_cvtepi32_ps(x))
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        have!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        have!(_mm512_or_si512(a, b))
    }

    #[inline(always)]
    fn add_u32(self, a: __m512i, b: __m512i) -> __m512i {
        have!(_mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub_u32(self, a: __m512i, b: __m512i) -> __m512i {
        have!(_mm512_sub_epi32(a, b))
    }

    #[inline(always)]
    fn shr<const N: u32>(self, x: __m512i) -> __m512i {
        have!(_mm512_srli_epi32::<N>(x))
    }

    #[inline(always)]
    fn shl<const N: u32>(self, x: __m512i) -> __m512i {
        have!(_mm512_slli_epi32::<N>(x))
    }

    #[inline(always)]
    fn spread(self, mask: u16, bit: u32) -> __m512i {
        have!(_mm512_maskz_set1_epi32(mask, bit.cast_signed()))
    }

    #[inline(always)]
    fn levels(self, scale: __m512, offset: __m512) -> __m512 {
        const LOW: Vector =
            Vector([0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]);
        self.fma(scale, self.load(&LOW), offset)
    }

    #[inline(always)]
    fn level(self, of: __m512, q: __m512i) -> __m512 {
        have!(_mm512_permutexvar_ps(q, of))
    }

    #[inline(always)]
    fn wide_levels(self, scale: __m512, offset: __m512) -> (__m512, __m512) {
        const HIGH: Vector = Vector([
            16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27., 28., 29., 30., 31.,
        ]);
        let high = self.fma(scale, self.load(&HIGH), offset);
        (self.levels(scale, offset), high)
    }

    #[inline(always)]
    fn wide_level(self, (low, high): (__m512, __m512), q: __m512i) -> __m512 {
        have!(_mm512_permutex2var_ps(low, q, high))
    }

    #[inline(always)]
    fn sum(self, x: __m512) -> f32 {
        have!({
            let x = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn largest(self, x: __m512) -> f32 {
        have!({
            let x = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn prefetch(self, from: &u8) {
        have!(_mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(from).cast()));
    }
}
