//! The lanes as an array: what the others must agree with, and what runs where they cannot.

use half::f16;

use super::{LANES, Simd, Vector};

type F = [f32; LANES];

/// Any CPU. Where the build is for one without fused multiply-add, that is computed in software:
/// the same bits, slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable;

/// One operation on all lanes.
///
/// A function of its own on x86-64 without FMA, where each lane is a call into a library anyway: in line,
/// sixteen calls an operation would be most of the code of this crate and of the time to build it.
#[cfg_attr(all(target_arch = "x86_64", not(target_feature = "fma")), inline(never))]
#[cfg_attr(not(all(target_arch = "x86_64", not(target_feature = "fma"))), inline(always))]
fn each<T>(of: impl Fn(usize) -> T) -> [T; LANES] {
    std::array::from_fn(of)
}

#[inline(always)]
fn zip<T: Copy, U>(a: [T; LANES], b: [T; LANES], of: impl Fn(T, T) -> U) -> [U; LANES] {
    each(|lane| of(a[lane], b[lane]))
}

/// Joins the halves until one number is left.
#[cfg_attr(all(target_arch = "x86_64", not(target_feature = "fma")), inline(never))]
#[cfg_attr(not(all(target_arch = "x86_64", not(target_feature = "fma"))), inline(always))]
fn halve(mut x: F, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            x[lane] = join(x[lane], x[lane + width]);
        }
        width /= 2;
    }
    x[0]
}

impl Simd for Portable {
    type F = F;
    type U = [u32; LANES];
    type Levels = (f32, f32);
    type WideLevels = (f32, f32);
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Vector) -> F {
        from.0
    }

    #[inline(always)]
    fn store(self, x: F, to: &mut Vector) {
        to.0 = x;
    }

    #[inline(always)]
    fn load_f32(self, from: &[u8; 64]) -> F {
        let (numbers, _) = from.as_chunks::<4>();
        each(|lane| f32::from_le_bytes(numbers[lane]))
    }

    #[inline(always)]
    fn load_f16(self, from: &[u8; 32]) -> F {
        let (numbers, _) = from.as_chunks::<2>();
        each(|lane| self.half(numbers[lane]))
    }

    #[inline(always)]
    fn load_bf16(self, from: &[u8; 32]) -> F {
        let (numbers, _) = from.as_chunks::<2>();
        let widen = |bits: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bits)) << 16);
        each(|lane| widen(numbers[lane]))
    }

    #[inline(always)]
    fn load_i8(self, from: &[u8; 16]) -> F {
        each(|lane| f32::from(from[lane].cast_signed()))
    }

    #[inline(always)]
    fn half(self, bits: [u8; 2]) -> f32 {
        f16::from_le_bytes(bits).to_f32()
    }

    #[inline(always)]
    fn splat_half(self, bits: [u8; 2]) -> F {
        self.splat(self.half(bits))
    }

    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        each(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn splat_u32(self, x: u32) -> [u32; LANES] {
        [x; LANES]
    }

    #[inline(always)]
    fn load_u8(self, from: &[u8; 16]) -> [u32; LANES] {
        each(|lane| u32::from(from[lane]))
    }

    #[inline(always)]
    fn bits(self, x: F) -> [u32; LANES] {
        x.map(f32::to_bits)
    }

    #[inline(always)]
    fn of_bits(self, x: [u32; LANES]) -> F {
        x.map(f32::from_bits)
    }

    #[inline(always)]
    fn to_f32(self, x: [u32; LANES]) -> F {
        each(|lane| x[lane] as f32)
    }

    #[inline(always)]
    fn and(self, a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] {
        zip(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn or(self, a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] {
        zip(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn add_u32(self, a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] {
        zip(a, b, u32::wrapping_add)
    }

    #[inline(always)]
    fn sub_u32(self, a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] {
        zip(a, b, u32::wrapping_sub)
    }

    #[inline(always)]
    fn shr<const N: u32>(self, x: [u32; LANES]) -> [u32; LANES] {
        each(|lane| x[lane] >> N)
    }

    #[inline(always)]
    fn shl<const N: u32>(self, x: [u32; LANES]) -> [u32; LANES] {
        each(|lane| x[lane] << N)
    }

    #[inline(always)]
    fn spread(self, mask: u16, bit: u32) -> [u32; LANES] {
        each(|lane| if mask >> lane & 1 == 1 { bit } else { 0 })
    }

    #[inline(always)]
    fn levels(self, scale: F, offset: F) -> (f32, f32) {
        (scale[0], offset[0])
    }

    #[inline(always)]
    fn level(self, (scale, offset): (f32, f32), q: [u32; LANES]) -> F {
        each(|lane| scale.mul_add((q[lane] & 15) as f32, offset))
    }

    #[inline(always)]
    fn wide_levels(self, scale: F, offset: F) -> (f32, f32) {
        (scale[0], offset[0])
    }

    #[inline(always)]
    fn wide_level(self, (scale, offset): (f32, f32), q: [u32; LANES]) -> F {
        each(|lane| scale.mul_add((q[lane] & 31) as f32, offset))
    }

    #[inline(always)]
    fn sum(self, x: F) -> f32 {
        halve(x, |a, b| a + b)
    }

    #[inline(always)]
    fn largest(self, x: F) -> f32 {
        halve(x, |a, b| if a > b { a } else { b })
    }
}
