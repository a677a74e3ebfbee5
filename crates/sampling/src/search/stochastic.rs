//! Stochastic beam search: sequences drawn without replacement from the distribution over whole
//! sequences, by Gumbel noise that is handed down the tree.
//!
//! A hypothesis of log-probability φ has a perturbed one, G; the children's are Gumbel variables
//! located at their own φ, on condition that the greatest equals their parent's G. The leaves then
//! have independent noise, as if all of them had been perturbed, and the `k` greatest are a sample
//! of size `k` without replacement. Kool, van Hoof and Welling, *Stochastic Beams and Where to Find
//! Them*, arXiv 1903.06059, with the numerically stable form of its appendix B.3.

use alloc::vec::Vec;

use super::beam::{BeamRef, Round};
use super::frontier::{Candidate, Frontier};
use super::group::{Ended, Group};
use super::huggingface::note;
use super::tree::Fate;
use crate::kernels::special::gumbel;
use crate::kernels::{exp, ln};
use crate::sequence::{DrawKey, Draws, Purpose, Series};

/// The perturbed log-probability of the prompt, which is certain.
pub(super) fn root(key: DrawKey) -> f64 {
    gumbel(Draws::new(key.step(0)).bits(Purpose::Gumbel, 0))
}

/// The probability that a sequence of log-probability `sum` has noise that lifts it above the
/// threshold.
pub(super) fn inclusion(sum: f64, threshold: f64) -> f64 {
    // 1 − exp(−exp(x)): for a small exp(x) the difference would lose its digits.
    -exp_m1(-exp(sum - threshold))
}

pub(super) fn advance<R: Copy>(
    group: &mut Group<R>,
    round: &mut Round<'_, R>,
    finish: &mut impl FnMut(BeamRef, u32) -> Option<R>,
) {
    let children = children(group, round);
    // Finished hypotheses keep their noise and contend with the children for the places.
    let ranks = children.iter().map(|child| child.rank_by);
    let ended = group.ended.iter().map(|ended| ended.perturbed);
    let mut ranks: Vec<f64> = ranks.chain(ended).collect();
    ranks.sort_by(|a, b| b.total_cmp(a));
    // All leaves below what is dropped here have at most its noise, and one of them has just that:
    // the greatest ever dropped is that of the best sequence left out.
    let next = ranks.get(group.width).copied().unwrap_or(f64::NEG_INFINITY);
    group.threshold = group.threshold.max(next);
    for ended in group.ended.iter().filter(|ended| ended.perturbed <= next) {
        note(ended, false, round);
    }
    group.ended.retain(|ended| ended.perturbed > next);
    let chosen = children.into_iter().filter(|child| child.rank_by > next).collect();
    take(group, round, chosen, finish);
}

/// Sorts the chosen children into finished and unfinished ones.
fn take<R: Copy>(
    group: &mut Group<R>,
    round: &mut Round<'_, R>,
    chosen: Vec<Candidate>,
    finish: &mut impl FnMut(BeamRef, u32) -> Option<R>,
) {
    let offers = group.ask(chosen, round, finish);
    group.running.clear();
    for offer in offers {
        let score = offer.candidate.score;
        if offer.reason.is_none() {
            round.nodes.set_fate(offer.node, Fate::Kept);
            group.running.push(offer.running(score));
            continue;
        }
        let ended = Ended {
            node: Some(offer.node),
            score,
            sum: score,
            reason: offer.reason,
            real: offer.real,
            perturbed: offer.candidate.rank_by,
        };
        note(&ended, true, round);
        group.ended.push(ended);
    }
    group.ended.sort_by(|a, b| b.perturbed.total_cmp(&a.perturbed));
    group.done = group.running.is_empty() || round.length >= round.settings.max_new_tokens;
}

/// Of each beam the `width + 1` children with the most noise: one more than can be kept, since the
/// best of those dropped is the threshold.
fn children<R: Copy>(group: &Group<R>, round: &Round<'_, R>) -> Vec<Candidate> {
    let key = round.settings.key.step(round.length as u64 - 1);
    let mut noise = Draws::new(key).series(Purpose::Beam);
    let mut all = Vec::new();
    for (beam, running) in group.running.iter().enumerate() {
        let row = round.rows.row(running.row);
        let mut children = perturbed(beam, running.score, &row, group.width + 1, &mut noise);
        let Some(greatest) = children.first().map(|child| child.rank_by) else { continue };
        for child in &mut children {
            child.rank_by = conditioned(child.rank_by, greatest, running.perturbed);
        }
        all.extend(children);
    }
    all
}

/// The children of one beam with unconditional noise around their log-probabilities, most first.
/// Scores are normalised here: processors may have taken from the mass.
fn perturbed(
    beam: usize,
    sum: f32,
    row: &[f32],
    limit: usize,
    noise: &mut Series,
) -> Vec<Candidate> {
    let best = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let mass: f64 = row.iter().map(|&x| exp(f64::from(x) - f64::from(best))).sum();
    let norm = f64::from(best) + ln(mass);
    let mut frontier = Frontier::new(limit);
    for (token, &own) in (0_u32..).zip(row).filter(|&(_, &own)| own > f32::NEG_INFINITY) {
        let located = f64::from(sum) + f64::from(own) - norm;
        let bits = noise.bits((beam * row.len()) as u64 + u64::from(token));
        // The noise is at most this, which spares most tokens their logarithms.
        let at_most = f64::from(bits.leading_ones() + 1) * core::f64::consts::LN_2 + 1e-9;
        if frontier.takes(located + at_most) {
            let rank_by = located + gumbel(bits);
            frontier.offer(Candidate { beam, token, score: located as f32, rank_by });
        }
    }
    frontier.into_best_first()
}

/// `−ln(exp(−target) − exp(−greatest) + exp(−noise))`: noise on condition that the greatest of all
/// is `target`.
fn conditioned(noise: f64, greatest: f64, target: f64) -> f64 {
    let v = target - noise + ln(-exp_m1(noise - greatest));
    target - v.max(0.0) - ln(1.0 + exp(-v.abs()))
}

/// `exp(x) − 1` for `x ≤ 0`, also where it is small.
fn exp_m1(x: f64) -> f64 {
    if x > -1e-5 { x + x * x / 2.0 } else { exp(x) - 1.0 }
}
