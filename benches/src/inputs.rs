//! Rows of logits, pinned by seed and named.

use half::bf16;
use taper_sampling::{DrawKey, Draws, Purpose, ln};

/// The vocabularies, and what they are called in the names of benches.
pub const SIZES: [(usize, &str); 3] = [(32_000, "32k"), (128_256, "128k"), (262_144, "256k")];

/// A named row of logits.
#[derive(Debug, Clone)]
pub struct Input {
    /// `flat`, `peaked` or `ties`; or what is bad about it.
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

/// Rows that are bad for some way of doing it, `flat` first for comparison.
///
/// - `sorted_up`, `sorted_down`: `flat` in order, so that a few chunks hold everything of weight.
/// - `all_equal`: nothing but one class of equals.
/// - `one_block`: every large value in one block of maxima, which then says little.
/// - `narrow`: all values within 2·10⁻⁵ of each other, so that a histogram sees one class.
/// - `outlier`: one value so high that the others are alike to a first division by value.
/// - `unsampled`: what the first sample that a workspace takes looks at is low, and all else has the mass.
pub fn worst_inputs(vocab_size: usize) -> Vec<Input> {
    let flat = normals(vocab_size, 1);
    let mut up = flat.clone();
    up.sort_by(f32::total_cmp);
    let down = up.iter().rev().copied().collect();
    let narrow = flat.iter().map(|x| 1.0 + x * 4e-6).collect();
    let mut outlier = flat.clone();
    outlier[vocab_size / 3] = 1e30;
    let mut one_block = flat.clone();
    // Blocks are vertical: one lane of 16, in 64 rows of lanes.
    for row in 0..64 {
        one_block[3 * 1024 + 5 + row * 16] += 20.0;
    }
    let at = |name, row| Input { name, row };
    vec![
        at("sorted_up", up),
        at("sorted_down", down),
        at("all_equal", vec![1.0; vocab_size]),
        at("one_block", one_block),
        at("narrow", narrow),
        at("outlier", outlier),
        at("unsampled", unsampled(&flat)),
        at("flat", flat),
    ]
}

/// Lowers what the sampler's estimate looks at, by the same choice of rows.
fn unsampled(flat: &[f32]) -> Vec<f32> {
    let mut row = flat.to_vec();
    for (chunk, values) in row.chunks_exact_mut(1024).enumerate() {
        for sample in 0..2_u32 {
            let n = chunk as u32 * 2 + sample;
            let at = (n.wrapping_mul(2_654_435_769) >> 8) as usize % 64;
            values[at * 16..(at + 1) * 16].iter_mut().for_each(|x| *x -= 8.0);
        }
    }
    row
}

/// The row in `count` rotations: other memory, the same work.
pub fn rotations(row: &[f32], count: usize) -> Vec<Vec<f32>> {
    let rotated = |i: usize| {
        let mut row = row.to_vec();
        row.rotate_left(i * 997);
        row
    };
    (0..count).map(rotated).collect()
}

/// 1 024 tokens, of which the second half repeats the first: penalties, n-grams and DRY all have
/// something to do.
pub fn text(vocab_size: usize) -> Vec<u32> {
    let mut series = Draws::new(DrawKey::new(5)).series(Purpose::Custom(0));
    let half: Vec<u32> = (0..512).map(|i| (series.bits(i) % vocab_size as u64) as u32).collect();
    half.repeat(2)
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
