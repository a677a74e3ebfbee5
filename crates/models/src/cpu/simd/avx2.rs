//! AVX2 with FMA and F16C: the lanes in two registers.

use std::arch::x86_64::*;

use super::{Kernel, Simd, Vector};

/// Proof that the CPU has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// Calls intrinsics.
macro_rules! have {
    ($call:expr) => {{
        // SAFETY: a value of `Avx2` is there only where the CPU has the instructions, and what is
        // read or written is borrowed at the width of the instruction; a `Vector` has the alignment
        // that the aligned ones ask for, and the others ask for none.
        #[allow(unsafe_code)]
        unsafe {
            $call
        }
    }};
}

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        there.then_some(Self(()))
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn compiled<K: Kernel>(unit: Avx2, kernel: K) -> K::Output {
            kernel.run(unit)
        }
        have!(compiled(self, kernel))
    }
}

/// Eight and eight numbers.
type F = (__m256, __m256);
type U = (__m256i, __m256i);

impl Simd for Avx2 {
    type F = F;
    type U = U;
    type Levels = (__m256, __m256);
    type WideLevels = (__m256, __m256);
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        let x = have!(_mm256_set1_ps(x));
        (x, x)
    }

    #[inline(always)]
    fn load(self, from: &Vector) -> F {
        have!((_mm256_load_ps(from.0.as_ptr()), _mm256_load_ps(from.0.as_ptr().add(8))))
    }

    #[inline(always)]
    fn store(self, x: F, to: &mut Vector) {
        have!({
            _mm256_store_ps(to.0.as_mut_ptr(), x.0);
            _mm256_store_ps(to.0.as_mut_ptr().add(8), x.1);
        });
    }

    #[inline(always)]
    fn load_f32(self, from: &[u8; 64]) -> F {
        have!({
            let from: *const f32 = from.as_ptr().cast();
            (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
        })
    }

    #[inline(always)]
    fn load_f16(self, from: &[u8; 32]) -> F {
        have!({
            let from: *const __m128i = from.as_ptr().cast();
            let (low, high) = (_mm_loadu_si128(from), _mm_loadu_si128(from.add(1)));
            (_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
        })
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u8; 32]) -> F {
        have!({
            let from: *const __m128i = from.as_ptr().cast();
            let (low, high) = (_mm_loadu_si128(from), _mm_loadu_si128(from.add(1)));
            let low = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(low));
            let high = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(high));
            (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        })
    }

    #[inline(always)]
    fn load_i8(self, from: &[u8; 16]) -> F {
        have!({
            let from: *const u8 = from.as_ptr();
            let (low, high) = (_mm_loadl_epi64(from.cast()), _mm_loadl_epi64(from.add(8).cast()));
            let (low, high) = (_mm256_cvtepi8_epi32(low), _mm256_cvtepi8_epi32(high));
            (_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        })
    }

    #[inline(always)]
    fn half(self, bits: [u8; 2]) -> f32 {
        let bits = i32::from(u16::from_le_bytes(bits));
        have!(_mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits))))
    }

    #[inline(always)]
    fn splat_half(self, bits: [u8; 2]) -> F {
        let bits = u16::from_le_bytes(bits).cast_signed();
        let x = have!(_mm256_cvtph_ps(_mm_set1_epi16(bits)));
        (x, x)
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        have!((_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1)))
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        have!((_mm256_add_ps(a.0, b.0), _mm256_add_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        have!((_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        have!((_mm256_mul_ps(a.0, b.0), _mm256_mul_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        have!((_mm256_div_ps(a.0, b.0), _mm256_div_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        have!((_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        have!((_mm256_min_ps(a.0, b.0), _mm256_min_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn splat_u32(self, x: u32) -> U {
        let x = have!(_mm256_set1_epi32(x.cast_signed()));
        (x, x)
    }

    #[inline(always)]
    fn load_u8(self, from: &[u8; 16]) -> U {
        have!({
            let from: *const u8 = from.as_ptr();
            let (low, high) = (_mm_loadl_epi64(from.cast()), _mm_loadl_epi64(from.add(8).cast()));
            (_mm256_cvtepu8_epi32(low), _mm256_cvtepu8_epi32(high))
        })
    }

    #[inline(always)]
    fn bits(self, x: F) -> U {
        have!((_mm256_castps_si256(x.0), _mm256_castps_si256(x.1)))
    }

    #[inline(always)]
    fn of_bits(self, x: U) -> F {
        have!((_mm256_castsi256_ps(x.0), _mm256_castsi256_ps(x.1)))
    }

    #[inline(always)]
    fn to_f32(self, x: U) -> F {
        have!((_mm256_cvtepi32_ps(x.0), _mm256_cvtepi32_ps(x.1)))
    }

    #[inline(always)]
    fn and(self, a: U, b: U) -> U {
        have!((_mm256_and_si256(a.0, b.0), _mm256_and_si256(a.1, b.1)))
    }

    #[inline(always)]
    fn or(self, a: U, b: U) -> U {
        have!((_mm256_or_si256(a.0, b.0), _mm256_or_si256(a.1, b.1)))
    }

    #[inline(always)]
    fn add_u32(self, a: U, b: U) -> U {
        have!((_mm256_add_epi32(a.0, b.0), _mm256_add_epi32(a.1, b.1)))
    }

    #[inline(always)]
    fn sub_u32(self, a: U, b: U) -> U {
        have!((_mm256_sub_epi32(a.0, b.0), _mm256_sub_epi32(a.1, b.1)))
    }

    #[inline(always)]
    fn shr<const N: u32>(self, x: U) -> U {
        have!({
            let count = _mm_cvtsi32_si128(N.cast_signed());
            (_mm256_srl_epi32(x.0, count), _mm256_srl_epi32(x.1, count))
        })
    }

    #[inline(always)]
    fn shl<const N: u32>(self, x: U) -> U {
        have!({
            let count = _mm_cvtsi32_si128(N.cast_signed());
            (_mm256_sll_epi32(x.0, count), _mm256_sll_epi32(x.1, count))
        })
    }

    #[inline(always)]
    fn spread(self, mask: u16, bit: u32) -> U {
        have!({
            let lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let (mask, bit) = (i32::from(mask), _mm256_set1_epi32(bit.cast_signed()));
            let low = _mm256_and_si256(_mm256_set1_epi32(mask), lanes);
            let high = _mm256_and_si256(_mm256_set1_epi32(mask >> 8), lanes);
            let low = _mm256_and_si256(_mm256_cmpeq_epi32(low, lanes), bit);
            let high = _mm256_and_si256(_mm256_cmpeq_epi32(high, lanes), bit);
            (low, high)
        })
    }

    #[inline(always)]
    fn levels(self, scale: F, offset: F) -> (__m256, __m256) {
        (scale.0, offset.0)
    }

    #[inline(always)]
    fn level(self, (scale, offset): (__m256, __m256), q: U) -> F {
        let q = self.to_f32(self.and(q, self.splat_u32(15)));
        self.fma((scale, scale), q, (offset, offset))
    }

    #[inline(always)]
    fn wide_levels(self, scale: F, offset: F) -> (__m256, __m256) {
        self.levels(scale, offset)
    }

    #[inline(always)]
    fn wide_level(self, (scale, offset): (__m256, __m256), q: U) -> F {
        let q = self.to_f32(self.and(q, self.splat_u32(31)));
        self.fma((scale, scale), q, (offset, offset))
    }

    #[inline(always)]
    fn sum(self, x: F) -> f32 {
        have!({
            let x = _mm256_add_ps(x.0, x.1);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn largest(self, x: F) -> f32 {
        have!({
            let x = _mm256_max_ps(x.0, x.1);
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
