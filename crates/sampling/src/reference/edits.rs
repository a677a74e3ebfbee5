//! The edits, naive. Where a stage looks at a window of the text, its twin here is given the tokens
//! inside it.

use alloc::vec::Vec;

use super::List;
use crate::kernels::ln;
use crate::kernels::special::powi;

impl List {
    /// The repetition penalty over the distinct tokens of `seen` that are not exempt.
    pub fn repetition_penalty(&mut self, penalty: f32, seen: &[u32], exempt: &[u32]) {
        let mut penalised = distinct(seen);
        penalised.retain(|id| !exempt.contains(id));
        self.edit(&penalised, |_, s| if s < 0.0 { s * penalty } else { s / penalty });
    }

    /// Frequency and presence penalty over the tokens of `seen`.
    pub fn occurrence_penalty(&mut self, frequency: f32, presence: f32, seen: &[u32]) {
        self.edit(&distinct(seen), |id, s| {
            let count = seen.iter().filter(|&&other| other == id).count();
            s - (count as f32 * frequency + presence)
        });
    }

    /// DRY: every place of the text is compared with its end, token by token.
    pub fn dry(
        &mut self,
        (multiplier, base, allowed): (f32, f32, usize),
        breakers: &[Vec<u32>],
        text: &[u32],
    ) {
        let limit = since_breaker(text, breakers);
        if text.len() <= allowed || limit < allowed {
            return;
        }
        let repeated = |place: usize| {
            let back = |i: usize| text[text.len() - 1 - i] == text[place - 1 - i];
            (0..place).take_while(|&i| back(i)).count().min(limit)
        };
        let longest = |id: u32| {
            let followed = (1..text.len()).filter(|&place| text[place] == id);
            followed.map(repeated).max().unwrap_or(0)
        };
        let mut penalised = distinct(&text[1..]);
        penalised.retain(|&id| longest(id) >= allowed && !breakers.contains(&alloc::vec![id]));
        let largest = if base > 1.000_001 { 88.722_84 / ln(f64::from(base)) as f32 } else { 1e9 };
        self.edit(&penalised, |id, s| {
            let exponent = ((longest(id) - allowed) as u32).min(largest as u32);
            s - (f64::from(multiplier) * powi(f64::from(base), exponent)) as f32
        });
    }

    /// Adds the biases of all sequences that a token would complete, those of one token first, then
    /// length by length in the order in which the lengths first appear. The sequences are distinct.
    pub fn sequence_bias(&mut self, biases: &[(Vec<u32>, f32)], text: &[u32]) {
        let mut lengths = alloc::vec![1];
        lengths.extend(biases.iter().map(|(sequence, _)| sequence.len()));
        let mut sums: Vec<(u32, f32)> = Vec::new();
        for (at, length) in lengths.iter().enumerate() {
            if lengths[..at].contains(length) {
                continue;
            }
            for (sequence, bias) in biases.iter().filter(|(s, _)| s.len() == *length) {
                let (last, prefix) = (sequence[length - 1], &sequence[..length - 1]);
                if text.ends_with(prefix) {
                    match sums.iter_mut().find(|(id, _)| *id == last) {
                        Some((_, sum)) => *sum += bias,
                        None => sums.push((last, 0.0 + bias)),
                    }
                }
            }
        }
        let ids: Vec<u32> = sums.iter().map(|&(id, _)| id).collect();
        self.edit(&ids, |id, s| {
            sums.iter().filter(|(other, _)| *other == id).fold(s, |s, (_, sum)| s + sum)
        });
    }

    /// Bans every token that would complete an n-gram of `tokens` again.
    pub fn no_repeat_ngram(&mut self, n: usize, tokens: &[u32]) {
        let mut banned = Vec::new();
        for start in 0..(tokens.len() + 1).saturating_sub(n) {
            if tokens[start..start + n - 1] == tokens[tokens.len() - (n - 1)..] {
                banned.push(tokens[start + n - 1]);
            }
        }
        self.ban(&banned);
    }

    /// Bans these tokens.
    pub fn ban(&mut self, ids: &[u32]) {
        self.edit(ids, |_, _| f32::NEG_INFINITY);
    }

    /// Bans every token but these.
    pub fn allow(&mut self, ids: &[u32]) {
        self.map(|id, s| if ids.contains(&id) { s } else { f32::NEG_INFINITY });
    }

    /// Gives these tokens the score 0 and bans every other.
    pub fn force(&mut self, ids: &[u32]) {
        self.map(|id, _| if ids.contains(&id) { 0.0 } else { f32::NEG_INFINITY });
    }

    /// Raises the tokens of `eos` by `factor` to the power of `beyond`, unless that is 0.
    pub fn exponential_decay(&mut self, beyond: u32, factor: f64, eos: &[u32]) {
        if beyond > 0 {
            let growth = (powi(factor, beyond) - 1.0) as f32;
            self.edit(
                &distinct(eos),
                |_, s| {
                    if s > f32::NEG_INFINITY { s + s.abs() * growth } else { s }
                },
            );
        }
    }

    /// Gives banned tokens the lowest finite score.
    pub fn remove_invalid_values(&mut self) {
        if self.entries.iter().any(|e| e.score == f32::NEG_INFINITY) {
            self.map(|_, s| s.max(f32::MIN));
        }
    }

    /// Classifier-free guidance away from a second row, of finite scores.
    pub fn guide(&mut self, scale: f32, unconditional: &[f32]) {
        let other = Self::new(unconditional, self.draws).normaliser();
        let own = self.normaliser();
        let logprob = |s: f32, (best, log_mass)| (f64::from(s) - best - log_mass) as f32;
        self.map(|id, s| {
            let (c, u) = (logprob(s, own), logprob(unconditional[id as usize], other));
            if c > f32::NEG_INFINITY { scale * (c - u) + u } else { c }
        });
    }

    /// The best score, and the logarithm of the mass: subtract both for a log-probability.
    pub fn normaliser(&self) -> (f64, f64) {
        (f64::from(self.max()), ln(self.mass().as_f64()))
    }
}

fn distinct(ids: &[u32]) -> Vec<u32> {
    let mut distinct = ids.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// How many tokens follow the breaker that begins last, the longest of those that begin there.
fn since_breaker(text: &[u32], breakers: &[Vec<u32>]) -> usize {
    let ends = (0..text.len()).rev().find_map(|start| {
        let here = breakers.iter().filter(|b| text[start..].starts_with(b));
        here.map(|b| start + b.len()).max()
    });
    text.len() - ends.unwrap_or(0)
}
