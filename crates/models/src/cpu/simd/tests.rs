//! Every operation of every unit against the portable one.

use super::{Kernel, LANES, Simd, Unit, Vector};

/// Words with every kind of float among them.
fn words(seed: u32) -> Vector {
    let mut state = seed;
    Vector(std::array::from_fn(|lane| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match (lane as u32 + seed) % 8 {
            0 => 0.0,
            1 => -0.0,
            2 => f32::from_bits(state >> 12),
            3 => f32::INFINITY,
            _ => (state.cast_signed() as f32) * 1e-8,
        }
    }))
}

struct AllOperations(u32);

impl Kernel for AllOperations {
    type Output = Vec<[u32; LANES]>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let bytes = |seed: u32| words(seed).0.map(|word| (word.to_bits() >> 7) as u8);
        let [a, b, c] = [1, 2, 3].map(|seed| words(self.0 + seed));
        let (a, b, c) = (s.load(&a), s.load(&b), s.load(&c));
        let (p, q) = (s.load_u8(&bytes(self.0 + 4)), s.load_u8(&bytes(self.0 + 5)));
        let wide: Vec<u8> = words(self.0 + 6).0.iter().flat_map(|x| x.to_le_bytes()).collect();
        let wide: [u8; 64] = wide.try_into().unwrap();
        // No NaN: its payload is the CPU's.
        let half = wide.map(|byte| byte & 0b1011_1011);
        let half: &[u8; 32] = half.first_chunk().unwrap();
        let floats = [
            s.fma(a, b, c),
            s.add(a, b),
            s.sub(a, b),
            s.mul(a, b),
            s.div(a, b),
            s.max(a, b),
            s.min(a, b),
            s.load_f32(&wide),
            s.load_f16(half),
            s.load_bf16(half),
            s.load_i8(&bytes(self.0)),
            s.splat(s.half([half[0], half[1]])),
            s.splat_half([half[2], half[3]]),
            s.to_f32(p),
            s.of_bits(s.bits(a)),
            s.level(s.levels(s.splat(0.37), s.splat(-1.5)), p),
            s.wide_level(s.wide_levels(s.splat(-0.011), s.splat(7.25)), p),
            s.splat(s.sum(s.mul(s.to_f32(p), s.splat(0.1)))),
            s.splat(s.largest(s.to_f32(q))),
        ];
        let whole = [
            s.and(p, q),
            s.or(p, q),
            s.add_u32(p, s.splat_u32(u32::MAX)),
            s.sub_u32(p, q),
            s.shr::<3>(p),
            s.shl::<27>(p),
            s.spread(0b1010_0110_0011_1001, 16),
        ];
        let all = floats.into_iter().chain(whole.map(|x| s.of_bits(x)));
        let stored = all.map(|x| {
            let mut to = Vector::ZERO;
            s.store(x, &mut to);
            to.0.map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() })
        });
        stored.collect()
    }
}

#[test]
fn all_units_give_the_same_bits() {
    for seed in 0..64 {
        let portable = Unit::Portable.run(AllOperations(seed));
        for unit in Unit::all() {
            for (index, got) in unit.run(AllOperations(seed)).into_iter().enumerate() {
                assert_eq!(got, portable[index], "{}: operation {index}", unit.name());
            }
        }
    }
}
