//! The candidates of a step: the best continuations of all beams, found in one pass.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// A beam continued by a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Its beam within the group.
    pub(super) beam: usize,
    pub(super) token: u32,
    /// The sum of processed log-probabilities, this token's included.
    pub(super) score: f32,
    /// What candidates are ranked by: the score, or a perturbed one where they are drawn.
    pub(super) rank_by: f64,
}

/// The `limit` best candidates of those offered; among equals, those offered first.
#[derive(Debug)]
pub(super) struct Frontier {
    kept: Vec<Candidate>,
    limit: usize,
    /// Once there are `limit`, the rank that a newcomer must exceed.
    floor: f64,
}

impl Frontier {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit: limit.max(1), floor: f64::NEG_INFINITY }
    }

    /// Whether a candidate ranked like this would be kept as things stand.
    #[inline(always)]
    pub(super) fn takes(&self, rank_by: f64) -> bool {
        self.kept.len() < self.limit || rank_by > self.floor
    }

    /// The rank that a newcomer must exceed, in single precision, which is that of scores; NaN while
    /// there is room for anybody.
    #[inline(always)]
    pub(super) fn floor(&self) -> f32 {
        if self.kept.len() < self.limit { f32::NAN } else { self.floor as f32 }
    }

    /// Offers must come in the order in which equals are to be ranked.
    pub(super) fn offer(&mut self, candidate: Candidate) {
        if !self.takes(candidate.rank_by) {
            return;
        }
        self.kept.push(candidate);
        // Thinned out when twice as many are there, so that a newcomer costs little on average.
        if self.kept.len() >= self.limit.saturating_mul(2) {
            self.thin();
        }
    }

    fn thin(&mut self) {
        if self.kept.len() > self.limit {
            // A stable sort: what came first stays first among equals.
            self.kept.sort_by(best_first);
            self.kept.truncate(self.limit);
        }
        if let Some(last) = self.kept.last().filter(|_| self.kept.len() == self.limit) {
            self.floor = last.rank_by;
        }
    }

    /// The candidates, best first.
    pub(super) fn into_best_first(mut self) -> Vec<Candidate> {
        self.kept.sort_by(best_first);
        self.kept.truncate(self.limit);
        self.kept
    }
}

fn best_first(a: &Candidate, b: &Candidate) -> Ordering {
    // Neither is NaN, and −0.0 must equal +0.0.
    b.rank_by.partial_cmp(&a.rank_by).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{DrawKey, Draws, Purpose};

    #[test]
    fn the_best_are_kept_and_the_first_of_equals() {
        let mut series = Draws::new(DrawKey::new(1)).series(Purpose::Custom(0));
        for limit in [1, 2, 7, 40, 500] {
            let all: Vec<Candidate> = (0..300)
                .map(|i| {
                    let score = (series.bits(i) % 60) as f32;
                    Candidate { beam: 0, token: i as u32, score, rank_by: f64::from(score) }
                })
                .collect();
            let mut frontier = Frontier::new(limit);
            for &candidate in &all {
                frontier.offer(candidate);
            }
            let mut want = all;
            want.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.token.cmp(&b.token)));
            want.truncate(limit);
            assert_eq!(frontier.into_best_first(), want);
        }
    }
}
