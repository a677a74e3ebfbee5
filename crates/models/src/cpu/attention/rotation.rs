//! Rotary position embedding.

use std::ops::Range;

use crate::spec::RopeSpec;

/// A rotation, and how fast its pairs turn.
#[derive(Debug)]
pub(in crate::cpu) struct Rotation {
    frequencies: Vec<f32>,
    amplitude: f32,
}

/// Cosines and sines of one rotation at some positions, each `[positions, pairs]`.
#[derive(Debug)]
pub(in crate::cpu) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    pairs: usize,
}

impl Rotation {
    pub(in crate::cpu) fn new(rope: &RopeSpec) -> Self {
        Self { frequencies: rope.frequencies(), amplitude: rope.amplitude() }
    }

    /// The angles are products in `f32`, as those that models are trained on; their cosines and sines
    /// are taken in `f64`, where no library's last bit shows.
    pub(in crate::cpu) fn at(&self, positions: &[usize]) -> Angles {
        let pairs = self.frequencies.len();
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        cos.reserve_exact(positions.len() * pairs);
        sin.reserve_exact(positions.len() * pairs);
        for position in positions {
            for frequency in &self.frequencies {
                let angle = f64::from(*position as f32 * frequency);
                cos.push(self.amplitude * angle.cos() as f32);
                sin.push(self.amplitude * angle.sin() as f32);
            }
        }
        Angles { cos, sin, pairs }
    }
}

impl Angles {
    /// Rotates the pairs of one head by the angles of position number `index`. What they do not reach
    /// stays.
    pub(in crate::cpu) fn rotate(&self, index: usize, head: &mut [f32]) {
        let own: Range<usize> = index * self.pairs..(index + 1) * self.pairs;
        let angles = self.cos[own.clone()].iter().zip(&self.sin[own]);
        let (first, second) = head.split_at_mut(self.pairs);
        for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
