//! Draws against exact probabilities, with a false-positive budget that is a theorem.

use alloc::vec;
use alloc::vec::Vec;

use super::{Finding, Subject, Violation};
use crate::kernels::ln;
use crate::sequence::DrawKey;

/// How often to draw, and how often a right sampler may be found wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Draws.
    pub draws: u64,
    /// The probability with which a right sampler, drawing at random, is refused. Keys are fixed, so
    /// one that passes does so for good.
    pub false_positives: f64,
}

impl Trial {
    /// That many draws, with a budget of one in a million.
    pub const fn new(draws: u64) -> Self {
        Self { draws, false_positives: 1e-6 }
    }
}

/// Every token comes at its share of the draws, and so does every tail: for each r the r least
/// likely tokens together, so that many small errors of one sign are one large error.
///
/// `shares` are the probabilities, one per logit; a share of 0 is a token that must not come. They
/// may be off by what a draw would not show, a part in a thousand of `1/√draws`.
///
/// With a share of p, a count as far out as q·n on one side has a probability of at most
/// exp(−n·KL(q‖p)) (Chernoff and Hoeffding; exact for every n, no normal approximation). Each token
/// and each tail is given an equal part of the budget for either side, so all of them together keep
/// within it.
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::testkit::*;
/// let mut sampler = PipelineSampler::new(Pipeline::draw());
/// let row = [0.5_f32.ln(), 0.25_f32.ln(), 0.25_f32.ln()];
/// follows(&mut sampler, &row, &[0.5, 0.25, 0.25], Trial::new(20_000))?;
/// let found = follows(&mut sampler, &row, &[0.45, 0.3, 0.25], Trial::new(20_000)).unwrap_err();
/// assert!(matches!(found.finding, Finding::Odds { .. }));
/// # Ok::<(), Violation>(())
/// ```
///
/// # Errors
///
/// [`Finding::Odds`], [`Finding::Shares`] for shares that are none, or a refusal.
pub fn follows(
    sampler: &mut impl Subject,
    row: &[f32],
    shares: &[f64],
    trial: Trial,
) -> Result<(), Violation> {
    let found = |finding: Finding| finding.of("follows", row);
    let total: f64 = shares.iter().sum();
    // A NaN or a negative share must not pass for odds.
    let sound = shares.iter().all(|&p| p >= 0.0) && (total - 1.0).abs() < 1e-6;
    if shares.len() != row.len() || !sound {
        return Err(found(Finding::Shares { given: shares.len(), len: row.len() }));
    }
    let counts = count(sampler, row, trial.draws).map_err(found)?;
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|&a, &b| shares[b as usize].total_cmp(&shares[a as usize]));
    let statements = 4.0 * row.len() as f64;
    let judge = Judge { draws: trial.draws, limit: ln(statements / trial.false_positives) };
    judge
        .tokens(&order, shares, &counts)
        .and_then(|()| judge.tails(&order, shares, &counts))
        .map_err(found)
}

fn count(sampler: &mut impl Subject, row: &[f32], draws: u64) -> Result<Vec<u64>, Finding> {
    let mut counts = vec![0; row.len()];
    for draw in 0..draws {
        // The three parts of a key take turns, so that none of them hides behind another.
        let key = DrawKey::new(draw % 7).stream(draw / 7 % 5).step(draw);
        let token = sampler.token(row, key).map_err(|reason| Finding::refused(&reason))?;
        let Some(count) = counts.get_mut(token as usize) else {
            return Err(Finding::Outside { token, len: row.len() });
        };
        *count += 1;
    }
    Ok(counts)
}

struct Judge {
    draws: u64,
    limit: f64,
}

impl Judge {
    fn tokens(&self, order: &[u32], shares: &[f64], counts: &[u64]) -> Result<(), Finding> {
        order.iter().try_for_each(|&id| {
            let share = shares[id as usize];
            self.check(&[id], counts[id as usize], share, 1.0 - share)
        })
    }

    /// Sums from the small end keep the shares of far tails exact.
    fn tails(&self, order: &[u32], shares: &[f64], counts: &[u64]) -> Result<(), Finding> {
        let (mut tail, mut drawn) = (0.0, 0);
        for from in (1..order.len()).rev() {
            let id = order[from] as usize;
            tail += shares[id];
            drawn += counts[id];
            let head: f64 = 1.0 - tail;
            self.check(&order[from..], drawn, tail, head.max(0.0))?;
        }
        Ok(())
    }

    fn check(&self, tokens: &[u32], drawn: u64, share: f64, rest: f64) -> Result<(), Finding> {
        let q = drawn as f64 / self.draws as f64;
        let divergence = surprise(q, share) + surprise(1.0 - q, rest);
        if self.draws as f64 * divergence <= self.limit {
            return Ok(());
        }
        Err(Finding::Odds { tokens: tokens.to_vec(), drawn, draws: self.draws, share })
    }
}

/// q·ln(q/p), which is 0 at q = 0 and +∞ at p = 0 otherwise.
fn surprise(q: f64, p: f64) -> f64 {
    if q > 0.0 { q * ln(q / p) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testkit::{PipelineSampler, Refusal};
    use crate::{Draws, Pipeline, Purpose};

    /// Draws from a hundred tokens, the first of them `bias` more often than the rest.
    fn biased(bias: f64) -> impl FnMut(&[f32], DrawKey) -> Result<u32, Refusal> {
        move |row, key| {
            let u = Draws::new(key).unit(Purpose::Custom(1), 0);
            let first = u < (1.0 + bias) / row.len() as f64;
            Ok(if first { 0 } else { 1 + (u * 1e9) as u32 % (row.len() as u32 - 1) })
        }
    }

    #[test]
    fn a_bias_is_found_from_six_deviations_on() {
        let row = [0.0; 100];
        let trial = Trial::new(40_000);
        // One token's 400 draws have a deviation of 20, that is 5 %.
        assert_eq!(follows(&mut biased(0.0), &row, &[0.01; 100], trial), Ok(()));
        let found = follows(&mut biased(0.5), &row, &[0.01; 100], trial).unwrap_err();
        let Finding::Odds { tokens, drawn, share, .. } = found.finding else { panic!("{found}") };
        assert_eq!((tokens, share), (vec![0], 0.01));
        assert!((550..650).contains(&drawn));
    }

    /// A thousand tokens that come a third too often, none of which could be judged alone.
    #[test]
    fn a_tail_is_judged_as_one() {
        let mut row = [0.0; 1001];
        row[0] = 9.0;
        let mut shares = [2e-5; 1001];
        shares[0] = 0.98;
        let mut sampler = |row: &[f32], key| -> Result<u32, Refusal> {
            let u = Draws::new(key).unit(Purpose::Select, 0);
            let id = 1 + (u * 1e12) as u32 % (row.len() as u32 - 1);
            Ok(if u < 0.973 { 0 } else { id })
        };
        let found = follows(&mut sampler, &row, &shares, Trial::new(20_000)).unwrap_err();
        let Finding::Odds { tokens, .. } = &found.finding else { panic!("{found}") };
        assert!(*tokens == [0] || tokens.len() > 500, "{found}");
    }

    #[test]
    fn the_impossible_and_the_meaningless_are_found() {
        let mut sampler = PipelineSampler::new(Pipeline::draw());
        let found = follows(&mut sampler, &[0.0; 2], &[1.0, 0.0], Trial::new(100)).unwrap_err();
        assert!(found.to_string().starts_with("follows: tokens [0] were drawn "), "{found}");
        for shares in [&[1.0][..], &[0.5, 0.6], &[1.5, -0.5], &[f64::NAN, 1.0]] {
            let found = follows(&mut sampler, &[0.0; 2], shares, Trial::new(9)).unwrap_err();
            assert_eq!(found.finding, Finding::Shares { given: shares.len(), len: 2 });
        }
    }
}
