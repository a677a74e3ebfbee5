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

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::candidates::{Edge, MassRule};
use crate::draws::{Draws, Purpose};
use crate::kernels::{Mass, weight};
use crate::ties::TiePolicy;

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

    /// `score / temperature`, for each.
    pub fn divide(&mut self, temperature: f32) {
        for entry in &mut self.entries {
            entry.undivided = entry.score;
            entry.score /= temperature;
        }
    }

    /// `f(id, score)` for each token of `ids`, once per occurrence. After an edit the scores are
    /// what they are: nothing is remembered of a temperature before it.
    pub fn edit(&mut self, ids: &[u32], f: impl Fn(u32, f32) -> f32) {
        for id in ids {
            if let Some(entry) = self.entries.iter_mut().find(|e| e.id == *id) {
                entry.score = f(*id, entry.score);
            }
        }
        for entry in &mut self.entries {
            entry.undivided = entry.score;
        }
    }

    /// The repetition penalty over the distinct tokens of `seen`.
    pub fn repetition_penalty(&mut self, penalty: f32, seen: &[u32]) {
        let mut distinct = seen.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        self.edit(&distinct, |_, s| if s < 0.0 { s * penalty } else { s / penalty });
    }

    /// Bans every token that would complete an n-gram of `tokens` again.
    pub fn no_repeat_ngram(&mut self, n: usize, tokens: &[u32]) {
        let mut banned = Vec::new();
        for start in 0..(tokens.len() + 1).saturating_sub(n) {
            if tokens[start..start + n - 1] == tokens[tokens.len() - (n - 1)..] {
                banned.push(tokens[start + n - 1]);
            }
        }
        if !banned.is_empty() {
            self.edit(&banned, |_, _| f32::NEG_INFINITY);
        }
    }

    /// Keeps the first `k` of the order.
    pub fn keep_top(&mut self, k: usize, ties: TiePolicy) {
        self.keep_prefix(k.min(self.entries.len()), ties);
    }

    /// Keeps the shortest prefix of the order with a share `p` of the mass, and at least
    /// `at_least` entries.
    pub fn keep_mass(&mut self, p: f64, rule: MassRule, at_least: usize, ties: TiePolicy) {
        if p >= 1.0 {
            return;
        }
        let (max, total) = (self.max(), self.mass());
        let mut ahead = 0;
        let mut kept = 0;
        for entry in self.ordered(ties) {
            // The mass from the bottom up to this entry, and the mass from the top before it.
            let bottom = (total.0 - ahead) as f64 / total.0 as f64;
            let enough = match rule {
                MassRule::DropTail => bottom <= f64::from((1.0 - p) as f32),
                MassRule::Reach => ahead as f64 >= p * total.0 as f64,
                MassRule::Exceed => ahead as f64 > p * total.0 as f64,
            };
            if enough && kept >= at_least.max(1) {
                break;
            }
            ahead += mass_below(max, entry);
            kept += 1;
        }
        self.keep_prefix(kept, ties);
    }

    /// Keeps scores from `floor`, and at least the first `at_least` of the order.
    pub fn keep_from(&mut self, floor: f32, edge: Edge, at_least: usize) {
        let reached =
            |e: &&Entry| if edge == Edge::Keep { e.score >= floor } else { e.score > floor };
        let count = self.entries.iter().filter(reached).count();
        self.keep_prefix(count.max(at_least).min(self.entries.len()), TiePolicy::LowestId);
    }

    /// Min-p: scores from `fl(max + ln p)`.
    pub fn min_p(&mut self, p: f64) {
        let floor = self.max() + crate::kernels::ln(p) as f32;
        self.keep_from(floor, Edge::Keep, 1);
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
