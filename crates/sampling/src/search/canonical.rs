//! Beam search without heuristics.
//!
//! Every hypothesis that ends is considered, whatever its rank among the candidates, and the search
//! stops when the bound on what the best unfinished one can still reach is no better than the worst
//! hypothesis that would be returned. What a search of some width never drops, it therefore ranks
//! right; a width that drops nothing finds the optimum.

use alloc::vec::Vec;

use super::beam::{BeamRef, Round, SearchError};
use super::frontier::Candidate;
use super::group::{Ended, Group, by_score};
use super::huggingface::note;
use super::tree::Fate;

pub(super) fn advance<R: Copy>(
    group: &mut Group<R>,
    round: &mut Round<'_, R>,
    finish: &mut impl FnMut(BeamRef, u32) -> Option<R>,
) -> Result<(), SearchError> {
    let candidates = candidates(group, round)?;
    group.rising |= group.running.iter().any(|beam| round.rows.rises(beam.row));
    let offers = group.ask(candidates, round, finish);
    let divisor = round.divisors.divisor(round.length);
    group.running.clear();
    for offer in offers.iter().filter(|offer| offer.real) {
        match offer.reason {
            Some(_) => group.ended.push(Ended {
                node: Some(offer.node),
                score: offer.candidate.score / divisor,
                sum: offer.candidate.score,
                reason: offer.reason,
                real: true,
                perturbed: 0.0,
            }),
            None if group.running.len() < group.width => {
                round.nodes.set_fate(offer.node, Fate::Kept);
                group.running.push(offer.running(offer.candidate.score));
            }
            None => {}
        }
    }
    keep_best(group, round);
    group.done = is_over(group, round);
    Ok(())
}

/// As many as Hugging Face looks at, and every beam's own ends besides, so that none is missed for
/// its rank.
fn candidates<R: Copy>(
    group: &Group<R>,
    round: &Round<'_, R>,
) -> Result<Vec<Candidate>, SearchError> {
    let mut candidates = group.best(round, round.settings.candidates(group.width))?;
    for (beam, running) in group.running.iter().enumerate() {
        let row = round.rows.row(running.row);
        for &token in &round.settings.eos_token_ids {
            let Some(&own) = row.get(token as usize) else { continue };
            let known = candidates.iter().any(|c| (c.beam, c.token) == (beam, token));
            if !known {
                let score = own + running.score;
                candidates.push(Candidate { beam, token, score, rank_by: f64::from(score) });
            }
        }
    }
    Ok(candidates)
}

fn keep_best<R: Copy>(group: &mut Group<R>, round: &mut Round<'_, R>) {
    let scores: Vec<f32> = group.ended.iter().map(|ended| ended.score).collect();
    let wanted = round.settings.num_return_sequences;
    let order = by_score(&scores);
    for (place, &i) in order.iter().enumerate() {
        note(&group.ended[i], place < wanted, round);
    }
    group.ended = order.iter().take(wanted).map(|&i| group.ended[i]).collect();
}

fn is_over<R: Copy>(group: &Group<R>, round: &Round<'_, R>) -> bool {
    let settings = round.settings;
    let Some(best) = group.running.first() else { return true };
    if round.length >= settings.max_new_tokens {
        return true;
    }
    let complete = group.ended.len() >= settings.num_return_sequences;
    let Some(worst) = group.ended.last().filter(|_| complete && !group.rising) else {
        return false;
    };
    let bound = round.divisors.bound(best.score, round.length + 1, settings.max_new_tokens);
    bound <= worst.score
}
