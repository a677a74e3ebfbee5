//! How much texts have in common.

use serde::{Deserialize, Serialize};

use super::facts::Facts;

/// Runs of a prompt and a setting that are compared pair by pair; of more, the first.
const COMPARED: usize = 300;

/// The least, the mean and the greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The greatest.
    pub max: f64,
}

/// Makes a [`Spread`] of numbers as they come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spreading {
    so_far: Option<Spread>,
    count: usize,
}

impl Spreading {
    pub(super) fn add(&mut self, x: f64) {
        let spread = self.so_far.get_or_insert(Spread { min: x, mean: 0.0, max: x });
        *spread = Spread {
            min: spread.min.min(x),
            // The sum until the end.
            mean: spread.mean + x,
            max: spread.max.max(x),
        };
        self.count += 1;
    }

    pub(super) fn spread(self) -> Option<Spread> {
        self.so_far.map(|spread| Spread { mean: spread.mean / self.count as f64, ..spread })
    }
}

/// Adds the similarity of each two runs of a prompt and a setting.
pub(super) fn within(runs: &[&Facts], spreading: &mut Spreading) {
    let runs = &runs[..runs.len().min(COMPARED)];
    for (i, a) in runs.iter().enumerate() {
        runs[i + 1..].iter().for_each(|b| spreading.add(similarity(&a.words, &b.words)));
    }
}

/// Adds the similarity of each run of a setting and each of another, for the same prompt.
pub(super) fn between(a: &[&Facts], b: &[&Facts], spreading: &mut Spreading) {
    for one in a.iter().take(COMPARED) {
        b.iter().take(COMPARED).for_each(|two| spreading.add(similarity(&one.words, &two.words)));
    }
}

/// Words in both over words in either, of ascending lists without repeats; 1 if there are none at all.
pub(super) fn similarity(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        both += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_the_share_in_common() {
        assert_eq!(similarity(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(similarity(&[1, 2], &[1, 2]), 1.0);
        assert_eq!(similarity(&[1], &[2]), 0.0);
        assert_eq!(similarity(&[], &[2]), 0.0);
        assert_eq!(similarity(&[], &[]), 1.0);
    }
}
