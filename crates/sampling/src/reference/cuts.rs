//! The cuts, naive.

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Entry, List, mass_below};
use crate::candidates::{Edge, MassRule};
use crate::kernels::special::{pow, sqrt};
use crate::kernels::{exp, ln};
use crate::sequence::Purpose;
use crate::ties::TiePolicy;

impl List {
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
        let enough = self.prefix_with_mass(&self.ordered(ties), p, rule);
        let kept = enough.max(at_least).min(self.entries.len());
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

    /// Keeps the entries of least `distance(score)` until they have a share `p` of the mass, and at
    /// least `at_least`. `KeepAll` keeps what is as near as the last one.
    pub fn keep_nearest(
        &mut self,
        distance: impl Fn(f32) -> f32,
        p: f64,
        rule: MassRule,
        at_least: usize,
        ties: TiePolicy,
    ) {
        if p >= 1.0 || at_least >= self.entries.len() {
            return;
        }
        let far =
            |e: &Entry| if e.score > f32::NEG_INFINITY { distance(e.score) } else { f32::INFINITY };
        let by_distance = |order: TiePolicy| {
            let mut sorted = self.ordered(order);
            sorted.sort_by(|a, b| far(a).partial_cmp(&far(b)).unwrap_or(Ordering::Equal));
            sorted
        };
        let nearest = by_distance(ties);
        let mut enough = self.prefix_with_mass(&nearest, p, rule);
        if ties == TiePolicy::KeepAll {
            let last = far(&nearest[enough - 1]);
            enough = nearest.iter().take_while(|e| far(e) <= last).count();
        }
        let kept: Vec<u32> = nearest[..enough.max(at_least)].iter().map(|e| e.id).collect();
        self.entries.retain(|e| kept.contains(&e.id));
    }

    /// Typical: the nearest to the mean score.
    pub fn typical(&mut self, p: f64, rule: MassRule, at_least: usize, ties: TiePolicy) {
        let mean = f64::from(self.max()) - self.mean_gap();
        let distance = |score: f32| (f64::from(score) - mean).abs() as f32;
        self.keep_nearest(distance, f64::from(p as f32), rule, at_least, ties);
    }

    /// Epsilon: a probability of at least `epsilon` in `f32`, or among the first `at_least` or equal
    /// to the last of those.
    pub fn epsilon_cutoff(&mut self, epsilon: f32, at_least: usize) {
        let ordered = self.ordered(TiePolicy::LowestId);
        let Some(last) = ordered.get(at_least.clamp(1, ordered.len()) - 1) else { return };
        let kept: Vec<u32> = ordered
            .iter()
            .filter(|e| self.probability(e) >= epsilon || e.score >= last.score)
            .map(|e| e.id)
            .collect();
        self.entries.retain(|e| kept.contains(&e.id));
    }

    /// Eta: epsilon with a bar that the entropy lowers.
    pub fn eta_cutoff(&mut self, epsilon: f32, at_least: usize) {
        let eta = (sqrt(f64::from(epsilon)) * exp(-self.entropy())) as f32;
        self.epsilon_cutoff(epsilon.min(eta), at_least);
    }

    /// Top-H: the longest prefix whose `−p ln p` add up to a share of that of the best hundred.
    pub fn top_h(&mut self, share: f32, ties: TiePolicy) {
        let mut leaders = self.ordered(ties);
        leaders.truncate(100);
        let Some(best) = leaders.first().map(|e| f64::from(e.score)) else { return };
        let gap = |e: &Entry| f64::from(e.score) - best;
        let total: f64 = leaders.iter().map(|e| exp(gap(e))).sum();
        let possible = |e: &&Entry| (exp(gap(e)) / total) as f32 > 0.0;
        let parts: Vec<f64> = leaders
            .iter()
            .take_while(possible)
            .map(|e| exp(gap(e)) / total * (ln(total) - gap(e)))
            .collect();
        let entropy: f64 = parts.iter().sum();
        let within = |n: &usize| parts[..*n].iter().sum::<f64>() <= f64::from(share) * entropy;
        let kept = (1..=parts.len()).rev().find(within).unwrap_or(1);
        self.keep_prefix(kept, ties);
    }

    /// The score below which top-nσ bans.
    pub fn sigma_floor(&self, n: f32) -> f32 {
        let finite: Vec<f64> = self
            .entries
            .iter()
            .filter(|e| e.score > f32::NEG_INFINITY)
            .map(|e| f64::from(e.score))
            .collect();
        let count = finite.len() as f64;
        let mean = finite.iter().sum::<f64>() / count;
        let variance = finite.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        (f64::from(self.max()) - f64::from(n) * sqrt(variance)) as f32
    }

    /// Top-nσ: bans what is more than `n` standard deviations below the best.
    pub fn top_n_sigma(&mut self, n: f32) {
        let floor = self.sigma_floor(n);
        self.map(|_, score| if score < floor { f32::NEG_INFINITY } else { score });
    }

    /// Removes the first `k` of the order; `ties` says who of the equals at the boundary stays.
    pub fn drop_top(&mut self, k: usize, ties: TiePolicy) {
        if k == 0 {
            return;
        }
        // The worst first, and of equals those that the policy favours.
        let mut rising = self.ordered(ties);
        let reversed = |a: f32, b: f32| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        rising.sort_by(|a, b| reversed(a.score, b.score).then(reversed(a.undivided, b.undivided)));
        rising.truncate(rising.len() - k);
        let Some(last) = rising.last().copied() else { return };
        let stays = |e: &Entry| match ties {
            TiePolicy::KeepAll => e.score <= last.score,
            _ => rising.iter().any(|kept| kept.id == e.id),
        };
        self.entries.retain(stays);
    }

    /// XTC: if it acts, all candidates of at least `threshold` go but the least likely.
    pub fn xtc(&mut self, probability: f64, threshold: f32, at_least: usize, ties: TiePolicy) {
        if self.draws.unit(Purpose::Xtc, 0) >= probability {
            return;
        }
        let likely = |e: &&Entry| self.probability(e) >= threshold;
        let excluded = self.entries.iter().filter(likely).count().saturating_sub(1);
        if self.entries.len() - excluded >= at_least {
            self.drop_top(excluded, ties);
        }
    }

    /// Dynamic temperature: between two temperatures, by the entropy's share of the largest.
    pub fn dynamic_temperature(&mut self, low: f32, high: f32, exponent: f32) {
        if self.entries.len() <= 1 {
            return;
        }
        let share = self.entropy() / ln(self.entries.len() as f64);
        let (low, high) = (f64::from(low), f64::from(high));
        let temperature = (low + (high - low) * pow(share, f64::from(exponent))) as f32;
        if temperature > 0.0 {
            self.divide(temperature);
        } else {
            self.ban_all_but_best(TiePolicy::LowestId);
        }
    }

    /// Bans everybody but the best.
    pub fn ban_all_but_best(&mut self, ties: TiePolicy) {
        let best = self.argmax(ties);
        self.map(|id, score| if Some(id) == best { score } else { f32::NEG_INFINITY });
    }

    /// Scores become log-probabilities.
    pub fn renormalize(&mut self) {
        let (best, log_mass) = self.normaliser();
        self.map(|_, score| (f64::from(score) - best - log_mass) as f32);
    }

    /// How many of the entries it takes to hold a share `p` of the mass of all, and some mass.
    fn prefix_with_mass(&self, ordered: &[Entry], p: f64, rule: MassRule) -> usize {
        let (max, total) = (self.max(), self.mass());
        let mut ahead = 0;
        for (count, entry) in ordered.iter().enumerate() {
            let bottom = (total.0 - ahead) as f64 / total.0 as f64;
            let enough = match rule {
                MassRule::DropTail => bottom <= f64::from((1.0 - p) as f32),
                MassRule::Reach => ahead as f64 >= p * total.0 as f64,
                MassRule::Exceed => ahead as f64 > p * total.0 as f64,
            };
            if enough && ahead > 0 {
                return count;
            }
            ahead += mass_below(max, *entry);
        }
        ordered.len()
    }
}
