//! The rule of Hugging Face transformers 5.23: `_beam_search` in `generation/utils.py`.
//!
//! Its arithmetic is kept as it is, in single precision and with −10⁹ where another program would
//! leave a candidate out, because that shows: where fewer continuations are possible than there are
//! beams, stand-ins fill the places, finish, and make the set of finished hypotheses full. They are
//! not returned here.

use alloc::vec::Vec;

use super::beam::{BeamRef, Round, SearchError};
use super::frontier::{Candidate, Frontier};
use super::group::{Ended, Group, NEVER, Offer, by_score};
use super::settings::EarlyStopping;
use super::tree::Fate;
use crate::kernels::special::gumbel;
use crate::sequence::{Draws, Purpose};

pub(super) fn advance<R: Copy>(
    group: &mut Group<R>,
    round: &mut Round<'_, R>,
    early_stopping: EarlyStopping,
    sampled: bool,
    finish: &mut impl FnMut(BeamRef, u32) -> Option<R>,
) -> Result<(), SearchError> {
    let limit = round.settings.candidates(group.width);
    let candidates = if sampled { drawn(group, round, limit) } else { group.best(round, limit)? };
    let offers = group.ask(candidates, round, finish);
    go_on(group, round, &offers);
    end(group, round, &offers, early_stopping);
    stop(group, round, &offers, early_stopping);
    Ok(())
}

/// `limit` continuations drawn without replacement, in the order drawn: Gumbel noise on each
/// accumulated score, and the highest sums. torch's `multinomial` has the same distribution.
fn drawn<R: Copy>(group: &Group<R>, round: &Round<'_, R>, limit: usize) -> Vec<Candidate> {
    let vocab_size = round.rows.vocab_size();
    let key = round.settings.key.step(round.length as u64 - 1);
    let mut noise = Draws::new(key).series(Purpose::Beam);
    let mut frontier = Frontier::new(limit.min(group.running.len() * vocab_size));
    for (beam, running) in group.running.iter().enumerate() {
        for (token, &own) in (0_u32..).zip(&*round.rows.row(running.row)) {
            let score = own + running.score;
            let bits = noise.bits((beam * vocab_size) as u64 + u64::from(token));
            // The noise is at most this, which spares most tokens their logarithms.
            let at_most = f64::from(bits.leading_ones() + 1) * core::f64::consts::LN_2 + 1e-9;
            if frontier.takes(f64::from(score) + at_most) {
                let rank_by = f64::from(score) + gumbel(bits);
                frontier.offer(Candidate { beam, token, score, rank_by });
            }
        }
    }
    frontier.into_best_first()
}

/// The best candidates that have not ended are the next beams. Later groups pay for their tokens,
/// and at the last length for those of the beams that would have been.
fn go_on<R: Copy>(group: &mut Group<R>, round: &mut Round<'_, R>, offers: &[Offer<R>]) {
    let alive = |offer: &Offer<R>| {
        let score = offer.candidate.score;
        if offer.reason.is_some() { score + NEVER } else { score }
    };
    let scores: Vec<f32> = offers.iter().map(alive).collect();
    let order = by_score(&scores);
    let chosen = order.iter().take(group.width).map(|&i| (&offers[i], scores[i]));
    group.running = chosen.map(|(offer, score)| offer.running(score)).collect();
    let eos = &round.settings.eos_token_ids;
    let tokens = offers.iter().map(|offer| offer.candidate.token);
    group.taken = tokens.filter(|token| !eos.contains(token)).take(group.width).collect();
    for beam in group.running.iter().filter(|beam| beam.real) {
        if let Some(node) = beam.node {
            round.nodes.set_fate(node, Fate::Kept);
        }
    }
}

/// Candidates that ended contend with the finished hypotheses, if they rank among the first
/// `num_beams`; the others only take part with −10⁹ on their scores.
fn end<R: Copy>(
    group: &mut Group<R>,
    round: &mut Round<'_, R>,
    offers: &[Offer<R>],
    early_stopping: EarlyStopping,
) {
    let full = early_stopping == EarlyStopping::WhenFull && all_ended(group);
    let divisor = round.divisors.divisor(round.length);
    let mut merged = core::mem::take(&mut group.ended);
    for (rank, offer) in offers.iter().enumerate() {
        let ends = offer.reason.filter(|_| rank < group.width);
        let mut score = offer.candidate.score / divisor;
        for penalised in [full, !group.improvable, ends.is_none()] {
            score += if penalised { NEVER } else { 0.0 };
        }
        merged.push(Ended {
            node: Some(offer.node),
            score,
            sum: offer.candidate.score,
            reason: ends,
            real: offer.real,
            perturbed: 0.0,
        });
        if let (Some(reason), true, true) = (offer.reason, offer.real, ends.is_none()) {
            round.nodes.set_fate(offer.node, Fate::EndedTooLow { reason });
        }
    }
    let scores: Vec<f32> = merged.iter().map(|ended| ended.score).collect();
    let order = by_score(&scores);
    for (place, &i) in order.iter().enumerate() {
        note(&merged[i], place < group.width, round);
    }
    group.ended = order.iter().take(group.width).map(|&i| merged[i]).collect();
}

/// Notes what became of something that ended.
pub(super) fn note<R: Copy>(ended: &Ended<R>, kept: bool, round: &mut Round<'_, R>) {
    if let (Some(node), Some(reason), true) = (ended.node, ended.reason, ended.real) {
        let score = ended.score;
        let fate =
            if kept { Fate::Finished { reason, score } } else { Fate::Displaced { reason, score } };
        round.nodes.set_fate(node, fate);
    }
}

fn stop<R: Copy>(
    group: &mut Group<R>,
    round: &Round<'_, R>,
    offers: &[Offer<R>],
    early_stopping: EarlyStopping,
) {
    let settings = round.settings;
    let favours_long = settings.length_penalty > 0.0;
    let at_length = match early_stopping {
        EarlyStopping::Never if favours_long => settings.max_new_tokens,
        _ => round.length,
    };
    let best = group.running.first().map_or(f32::NEG_INFINITY, |beam| beam.score);
    let best = best / round.divisors.divisor(at_length);
    let worst = group.ended.iter().fold(f32::INFINITY, |least, ended| least.min(ended.score));
    let beats = |ended: &Ended<R>| best > if ended.reason.is_some() { worst } else { NEVER };
    group.improvable &= group.ended.iter().any(beats);
    let full = early_stopping == EarlyStopping::WhenFull && all_ended(group);
    let all_hit = offers.iter().all(|offer| offer.reason.is_some());
    group.done = !group.improvable || full || all_hit;
}

fn all_ended<R>(group: &Group<R>) -> bool {
    group.ended.iter().all(|ended| ended.reason.is_some())
}
