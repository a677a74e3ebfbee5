//! Every kernel against its twin: the definition, in plain Rust.

use proptest::prelude::*;

use super::blocks;
use crate::cpu::Format;
use crate::cpu::engine::Engine;
use crate::cpu::math::{Activate, Exp, Map, Sigmoid, SoftCap, Softplus};
use crate::cpu::matrix::Matrix;
use crate::cpu::rows::{Rows, padded, vectors};
use crate::cpu::simd::{LANES, Unit, Vector, flat};
use crate::spec::Activation;

/// The definition of a dot product.
fn dot(w: &[f32], x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (w, x) in w.chunks(LANES).zip(x.chunks(LANES)) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            let at = |of: &[f32]| of.get(lane).copied().unwrap_or(0.0);
            *sum = at(w).mul_add(at(x), *sum);
        }
    }
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

fn rows(count: usize, width: usize, seed: u64) -> Rows {
    let numbers = blocks(Format::F32, count * width, seed);
    let mut rows = Rows::zeros(count, width);
    for (index, bytes) in numbers.chunks_exact(4 * width).enumerate() {
        let numbers = bytes.as_chunks().0.iter().map(|bytes| 40.0 * f32::from_le_bytes(*bytes));
        rows.numbers_mut(index).copy_from_slice(&numbers.collect::<Vec<_>>());
    }
    rows
}

/// The weights of each output, as a unit decodes them: that they are right is tested beside the
/// formats.
fn decoded(matrix: &Matrix) -> Vec<Vec<f32>> {
    let mut row = vec![Vector::ZERO; vectors(matrix.inputs)];
    let each = (0..matrix.outputs).map(|output| {
        matrix.row(Unit::Portable, output, &mut row);
        flat(&row)[..matrix.inputs].to_vec()
    });
    each.collect()
}

fn check(format: Format, count: usize, inputs: usize, outputs: usize, seed: u64) {
    // At an odd address, as safetensors may have it.
    let mut bytes = vec![0; 1];
    bytes.extend(blocks(format, inputs * outputs, seed));
    let whole = crate::weights::Bytes::from(bytes);
    let bytes = whole.part(1..whole.len()).unwrap();
    let matrix = Matrix { bytes, format, outputs, inputs };
    let (weights, x) = (decoded(&matrix), rows(count, inputs, seed + 1));
    let want: Vec<Vec<u32>> = (0..count)
        .map(|row| weights.iter().map(|w| dot(w, x.numbers(row)).to_bits()).collect())
        .collect();
    for unit in Unit::all() {
        for threads in [1, 3] {
            let engine = Engine::eager(unit, threads);
            let [product] = engine.enter(1, || engine.products(&x, [&matrix]));
            for (index, want) in want.iter().enumerate() {
                let got: Vec<u32> = product.numbers(index).iter().map(|x| x.to_bits()).collect();
                assert_eq!(&got, want, "{format:?} on {}, {threads} threads", unit.name());
                let padding = &flat(product.row(index))[outputs..];
                assert!(padding.iter().all(|number| *number == 0.0));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_are_what_they_are_defined_to_be(
        format in prop::sample::select(&Format::ALL[..]),
        count in 1..10usize,
        inputs in 1..300usize,
        outputs in 1..70usize,
        seed in any::<u32>(),
    ) {
        let inputs = inputs.next_multiple_of(format.block());
        check(format, count, inputs, outputs, seed.into());
    }
}

/// More rows than a panel has, and inputs that are decoded in several parts.
#[test]
fn long_products_are_too() {
    for format in Format::ALL {
        check(format, 133, 1792, 26, 5);
        check(format, 1, 1792, 131, 6);
    }
    check(Format::F32, 4, 1603, 25, 7);
    check(Format::F16, 5, 1603, 25, 8);
}

/// What each function is, in `f64`, and how far it may be off, in parts of the larger of its value
/// and `scale`.
fn close(name: &str, unit: Unit, got: &[f32], xs: &[f32], want: impl Fn(f64) -> f64, scale: f64) {
    for (x, got) in xs.iter().zip(got) {
        let want = want(f64::from(*x));
        let error = (f64::from(*got) - want).abs() / want.abs().max(scale);
        assert!(
            error < 6e-7 || f64::from(*got) == want,
            "{name}({x}) is {got}, not {want}; {}",
            unit.name()
        );
    }
}

fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    // Simpson's rule over the tail, which is enough for a test.
    let (end, parts) = (x + 12.0, 24_000);
    let step = (end - x) / f64::from(parts);
    let at = |i: i32| (-(x + step * f64::from(i)).powi(2)).exp();
    let inner: f64 = (1..parts).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (at(0) + inner + at(parts)) * step / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn functions_are_close_and_alike_on_all_units() {
    let xs: Vec<f32> =
        (-400..400).map(|i| i as f32 * 0.041).chain([0.0, -0.0, 1e-9, -3e-6]).collect();
    let mut all = Vec::new();
    for unit in Unit::all() {
        let mut seen = Vec::new();
        let mut map =
            |name: &str, function: &dyn Fn(&mut [Vector]), want: &dyn Fn(f64) -> f64, scale| {
                let mut got = padded(&xs);
                function(&mut got);
                close(name, unit, &flat(&got)[..xs.len()], &xs, want, scale);
                seen.extend(flat(&got).iter().map(|x| x.to_bits()));
            };
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        map("exp", &|x| unit.run(Map { x, function: Exp }), &f64::exp, 0.0);
        map("sigmoid", &|x| unit.run(Map { x, function: Sigmoid }), &logistic, 0.0);
        let softplus = |x: f64| x.exp().ln_1p();
        map("softplus", &|x| unit.run(Map { x, function: Softplus }), &softplus, 0.0);
        let cap = |x: f64| 5.0 * (x / 5.0).tanh();
        map("cap", &|x| unit.run(Map { x, function: SoftCap(5.0) }), &cap, 5.0);
        let mut activate = |activation, want: &dyn Fn(f64) -> f64| {
            let run = |gate: &mut [Vector]| unit.run(Activate { activation, gate, up: None });
            map(&format!("{activation:?}"), &run, want, 1.0);
        };
        activate(Activation::Silu, &|x| x * logistic(x));
        activate(Activation::Relu, &|x| x.max(0.0));
        activate(Activation::SquaredRelu, &|x| x.max(0.0).powi(2));
        activate(Activation::Gelu, &|x| x / 2.0 * erfc(-x / 2f64.sqrt()));
        activate(Activation::GeluTanh, &|x| {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            x / 2.0 * (1.0 + u.tanh())
        });
        all.push(seen);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn functions_keep_their_ends() {
    for unit in Unit::all() {
        let mut x = padded(&[f32::NEG_INFINITY, -200.0, 0.0, 100.0, f32::INFINITY, f32::NAN]);
        unit.run(Map { x: &mut x, function: Exp });
        assert_eq!(x[0].0[..5], [0.0, 0.0, 1.0, f32::INFINITY, f32::INFINITY]);
        assert!(x[0].0[5].is_nan());
        for activation in [
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Relu,
            Activation::SquaredRelu,
        ] {
            let mut gate = padded(&[-300.0, 300.0, f32::NAN]);
            unit.run(Activate { activation, gate: &mut gate, up: None });
            let [low, high, nan, ..] = gate[0].0;
            assert!(
                low == 0.0 && high >= 300.0 && nan.is_nan(),
                "{activation:?}: {low}, {high}, {nan}"
            );
        }
    }
}
