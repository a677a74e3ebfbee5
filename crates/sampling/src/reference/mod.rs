//! Every rule once more, naive and sorted: the oracle the fast paths are tested against, and the
//! place to read what a stage means.
//!
//! A [`List`] holds one [`Entry`] per listed token. Each function does what the verb or stage of
//! the same name promises, in the most obvious way: sort by the order, walk, keep or drop. Only the
//! arithmetic of a single weight is shared with the rest of the crate.
//!
//! ```
//! use taper_sampling::{DrawKey, Draws, TiePolicy, reference::List};
//! let mut list = List::new(&[1.0, 2.0, 2.0, 0.0], Draws::new(DrawKey::new(0)));
//! list.keep_top(1, TiePolicy::KeepAll);
//! assert_eq!(list.ids(), [1, 2]);
//! ```

mod cuts;
mod edits;
mod watermarks;

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::kernels::special::gumbel;
use crate::kernels::{Mass, exp, ln, weight};
use crate::sequence::{Draws, Purpose};
use crate::ties::TiePolicy;

pub use watermarks::{Green, permutation};

/// A listed token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The token.
    pub id: u32,
    /// Its score.
    pub score: f32,
    /// Its score before the last temperature, which decides between equal scores.
    pub undivided: f32,
}

/// The candidates of one step, ids ascending. NaN and +∞ have no place in it.
#[derive(Debug, Clone)]
pub struct List {
    entries: Vec<Entry>,
    draws: Draws,
}

impl List {
    /// All tokens of a row.
    pub fn new(logits: &[f32], draws: Draws) -> Self {
        let entry = |(id, &score): (usize, &f32)| Entry { id: id as u32, score, undivided: score };
        Self { entries: logits.iter().enumerate().map(entry).collect(), draws }
    }

    /// The entries, ids ascending.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The listed ids.
    pub fn ids(&self) -> Vec<u32> {
        self.entries.iter().map(|e| e.id).collect()
    }

    /// The best score; −∞ for an empty list.
    pub fn max(&self) -> f32 {
        self.entries.iter().fold(f32::NEG_INFINITY, |max, e| max.max(e.score))
    }

    /// The mass of all entries, relative to the best.
    pub fn mass(&self) -> Mass {
        let max = self.max();
        Mass(self.entries.iter().map(|e| mass_below(max, *e)).sum())
    }

    /// The probability of an entry, rounded to `f32`.
    pub fn probability(&self, entry: &Entry) -> f32 {
        (exp(f64::from(entry.score) - f64::from(self.max())) / self.mass().as_f64()) as f32
    }

    /// How far a candidate is below the best, on average under the distribution.
    pub fn mean_gap(&self) -> f64 {
        let max = self.max();
        let moment = |e: &Entry| {
            let gap = max - e.score;
            let weight = weight(gap);
            if weight > 0.0 { Mass::of_weight(weight * gap).0 } else { 0 }
        };
        Mass(self.entries.iter().map(moment).sum()).share_of(self.mass())
    }

    /// The Shannon entropy in nats.
    pub fn entropy(&self) -> f64 {
        ln(self.mass().as_f64()) + self.mean_gap()
    }

    /// `score / temperature`, for each; but if the best score were not finite then, the best stay as
    /// they are and all others are banned. 1 leaves everything as it is, what was remembered too.
    pub fn divide(&mut self, temperature: f32) {
        if temperature == 1.0 {
            return;
        }
        let best = self.max();
        if best.is_finite() && !(best / temperature).is_finite() {
            self.map(|_, score| if score < best { f32::NEG_INFINITY } else { score });
            return;
        }
        for entry in &mut self.entries {
            entry.undivided = entry.score;
            entry.score /= temperature;
        }
    }

    /// `f(id, score)` for each token of `ids`, once per occurrence. After an edit the scores are
    /// what they are: nothing is remembered of a temperature before it.
    pub fn edit(&mut self, ids: &[u32], f: impl Fn(u32, f32) -> f32) {
        if ids.is_empty() {
            return;
        }
        for id in ids {
            if let Some(entry) = self.entries.iter_mut().find(|e| e.id == *id) {
                entry.score = f(*id, entry.score);
            }
        }
        for entry in &mut self.entries {
            entry.undivided = entry.score;
        }
    }

    /// `f(id, score)` for each, as [`List::edit`] does for some.
    pub fn map(&mut self, mut f: impl FnMut(u32, f32) -> f32) {
        for entry in &mut self.entries {
            entry.score = f(entry.id, entry.score);
            entry.undivided = entry.score;
        }
    }

    /// The first of the order.
    pub fn argmax(&self, ties: TiePolicy) -> Option<u32> {
        self.ordered(ties).first().map(|e| e.id)
    }

    /// The entry at which the running mass, ids ascending, exceeds `u` of the whole.
    pub fn pick(&self, u: f64) -> Option<u32> {
        let goal = ((u * 9_007_199_254_740_992.0) as u128 * u128::from(self.mass().0)) >> 53;
        let max = self.max();
        let mut running = 0_u128;
        self.entries
            .iter()
            .find(|e| {
                running += u128::from(mass_below(max, **e));
                running > goal
            })
            .map(|e| e.id)
    }

    /// The highest sum of a score and Gumbel noise, equals by lower id.
    pub fn pick_by_gumbel(&self, purpose: Purpose) -> Option<u32> {
        let noisy =
            |e: &Entry| f64::from(e.score) + gumbel(self.draws.bits(purpose, u64::from(e.id)));
        let mut best: Option<(f64, u32)> = None;
        for entry in self.entries.iter().filter(|e| e.score > f32::NEG_INFINITY) {
            if best.is_none_or(|(highest, _)| noisy(entry) > highest) {
                best = Some((noisy(entry), entry.id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// The entries, best first; `KeepAll` orders equals as `LowestId` does.
    pub fn ordered(&self, ties: TiePolicy) -> Vec<Entry> {
        let mut sorted = self.entries.clone();
        let by_ties = |a: &Entry, b: &Entry| match ties {
            TiePolicy::HighestId => b.id.cmp(&a.id),
            TiePolicy::Random => self.priority(*b).cmp(&self.priority(*a)),
            _ => a.id.cmp(&b.id),
        };
        let descending = |a: f32, b: f32| b.partial_cmp(&a).unwrap_or(Ordering::Equal);
        sorted.sort_by(|a, b| {
            descending(a.score, b.score)
                .then(descending(a.undivided, b.undivided))
                .then_with(|| by_ties(a, b))
        });
        sorted
    }

    fn priority(&self, entry: Entry) -> u64 {
        self.draws.bits(Purpose::Tie, u64::from(entry.id))
    }

    fn keep_prefix(&mut self, kept: usize, ties: TiePolicy) {
        let ordered = self.ordered(ties);
        let Some(last) = ordered.get(kept.wrapping_sub(1)).copied() else { return };
        if ties == TiePolicy::KeepAll {
            self.entries.retain(|e| e.score >= last.score);
        } else {
            let mut prefix: Vec<u32> = ordered[..kept].iter().map(|e| e.id).collect();
            prefix.sort_unstable();
            self.entries.retain(|e| prefix.binary_search(&e.id).is_ok());
        }
    }
}

fn mass_below(max: f32, entry: Entry) -> u64 {
    Mass::of_weight(weight(max - entry.score)).0
}
