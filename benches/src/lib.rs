//! Inputs for the benches, pinned by seed and named.

use half::bf16;
use taper_sampling::{DrawKey, Draws, Purpose, ln};

/// A named row of logits.
#[derive(Debug, Clone)]
pub struct Input {
    /// `flat`, `peaked` or `ties`.
    pub name: &'static str,
    /// The logits.
    pub row: Vec<f32>,
}

/// The three rows of a vocabulary.
///
/// - `flat`: independent standard normals.
/// - `peaked`: 2.5 times a standard normal, with 200 spikes at `18 − 2·ln(rank)` spread over the
///   row: what a trained model's row looks like.
/// - `ties`: `flat` rounded to bf16, so that equal logits are everywhere.
pub fn inputs(vocab_size: usize) -> Vec<Input> {
    let flat = normals(vocab_size, 1);
    let ties = flat.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
    let mut peaked: Vec<f32> = normals(vocab_size, 2).into_iter().map(|x| 2.5 * x).collect();
    for rank in 1..=200_usize {
        // 7 919 is prime to every vocabulary size in use, so the places are distinct.
        peaked[rank * 7919 % vocab_size] = 18.0 - 2.0 * (rank as f32).ln();
    }
    vec![
        Input { name: "flat", row: flat },
        Input { name: "peaked", row: peaked },
        Input { name: "ties", row: ties },
    ]
}

/// Standard normals by Box and Muller's transform.
fn normals(count: usize, seed: u64) -> Vec<f32> {
    let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(0));
    let mut unit = |index| ((series.bits(index) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
    (0..count as u64)
        .map(|i| {
            let radius = (-2.0 * ln(unit(2 * i))).sqrt();
            (radius * (core::f64::consts::TAU * unit(2 * i + 1)).cos()) as f32
        })
        .collect()
}

/// The floor of anything that looks at every logit: a bare maximum in fixed lanes.
pub fn max_pass(row: &[f32]) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            // One register of lanes at a time: wider arrays spill, and the pass gets slower.
            let mut lanes = [f32::NEG_INFINITY; 16];
            let (rows, tail) = row.as_chunks::<16>();
            for row in rows {
                for lane in 0..16 {
                    lanes[lane] = if row[lane] > lanes[lane] { row[lane] } else { lanes[lane] };
                }
            }
            let tail = tail.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            lanes.iter().fold(tail, |a, &b| a.max(b))
        },
    )
}

/// The floor of anything that needs the normaliser: a bare sum of exponentials in fixed lanes,
/// single precision throughout.
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

/// Runs `pass` compiled for the widest vector unit of this CPU, as taper's own passes are.
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
    pulp::Arch::new().dispatch(Pass(pass))
}
