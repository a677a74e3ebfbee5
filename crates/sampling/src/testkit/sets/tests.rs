use super::*;
use crate::testkit::PipelineSampler;
use crate::{
    AllowedTokens, History, MinP, Pipeline, RepetitionPenalty, Temperature, TiePolicy, TopK, TopP,
};

/// A sampler that is its kept set; it draws the first of it.
struct Shows<F>(F);

impl<F: FnMut(&[f32]) -> Set> Subject for Shows<F> {
    fn token(&mut self, row: &[f32], key: DrawKey) -> Result<u32, Refusal> {
        Ok(self.kept(row, key)?.first().ok_or("nothing")?.0)
    }

    fn kept(&mut self, row: &[f32], _: DrawKey) -> Result<Set, Refusal> {
        Ok(self.0(row))
    }
}

fn rows() -> Rows {
    Rows::new(5)
}

fn cut(stage: impl crate::Stage + 'static) -> PipelineSampler {
    PipelineSampler::new(Pipeline::draw().then(stage))
}

/// The finding's first word, and the property it came from.
fn found(outcome: Result<(), Violation>) -> &'static str {
    match outcome.expect_err("a breach").finding {
        Finding::Empty => "empty",
        Finding::Missing { .. } => "missing",
        Finding::Score { .. } => "score",
        Finding::Banned { .. } => "banned",
        Finding::Listed { times: 0, .. } => "unlisted",
        Finding::Listed { .. } => "twice",
        Finding::Outside { .. } => "outside",
        Finding::Differs { .. } => "differs",
        Finding::Refused { .. } => "refused",
        Finding::Untested { .. } => "untested",
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_no_set_is_found() {
    assert_eq!(found(only_cuts(&mut Shows(|_: &[f32]| vec![]), &rows())), "empty");
    let twice = |row: &[f32]| vec![(0, row[0]), (0, row[0])];
    assert_eq!(found(is_identity(&mut Shows(twice), &rows())), "twice");
    let outside = |row: &[f32]| vec![(row.len() as u32, 0.0)];
    assert_eq!(found(only_cuts(&mut Shows(outside), &rows())), "outside");
    let banned = |row: &[f32]| (0..).zip(row.iter().copied()).collect();
    assert_eq!(found(draws_from_kept(&mut Shows(banned), &rows())), "banned");
    let mut mute = |_: &[f32], _: DrawKey| -> Result<u32, Refusal> { Ok(0) };
    assert_eq!(found(draws_from_kept(&mut mute, &rows())), "refused");
    let mut also = |_: &[f32], _: DrawKey| -> Result<u32, Refusal> { Ok(0) };
    assert_eq!(found(same_sets(&mut mute, &mut also, &rows())), "untested");
}

#[test]
fn a_token_from_outside_the_kept_set_is_found() {
    struct Beside(PipelineSampler);
    impl Subject for Beside {
        fn token(&mut self, row: &[f32], _: DrawKey) -> Result<u32, Refusal> {
            Ok(row.len() as u32 - 1)
        }
        fn kept(&mut self, row: &[f32], key: DrawKey) -> Result<Set, Refusal> {
            self.0.kept(row, key)
        }
    }
    let mut sampler = Beside(cut(TopK::new(1).unwrap()));
    assert_eq!(found(draws_from_kept(&mut sampler, &rows())), "unlisted");
}

#[test]
fn cuts_are_told_from_edits_and_identity() {
    let mut halved = cut(Temperature::new(2.0).unwrap());
    assert_eq!(found(only_cuts(&mut halved, &rows())), "score");
    assert_eq!(found(is_identity(&mut halved, &rows())), "score");
    let mut best = cut(TopK::new(1).unwrap());
    assert_eq!(only_cuts(&mut best, &rows()), Ok(()));
    assert_eq!(found(is_identity(&mut best, &rows())), "missing");
}

#[test]
fn a_knob_that_works_backwards_is_found() {
    let knobs = [1.0, 2.0, 5.0, 30.0];
    let top_k = |k: f64| -> Result<_, Refusal> { Ok(cut(TopK::new(k as usize)?)) };
    assert_eq!(loosens(top_k, &knobs, &rows()), Ok(()));
    assert_eq!(found(loosens(|k| top_k(31.0 - k), &knobs, &rows())), "missing");
    assert_eq!(found(loosens(|k| top_k(k - 1.0), &knobs, &rows())), "refused");
}

#[test]
fn top_p_alone_is_not_idempotent() {
    assert_eq!(is_idempotent(&mut cut(MinP::new(0.1).unwrap()), &rows()), Ok(()));
    assert_eq!(found(is_idempotent(&mut cut(TopP::new(0.5).unwrap()), &rows())), "missing");
}

/// The claim that candle's top-p after top-k breaks: here a top-p that sees the whole row.
#[test]
fn a_second_cut_that_looks_past_the_first_is_found() {
    let top_k = || TopK::new(4).unwrap();
    let top_p = || TopP::new(0.6).unwrap();
    let mut both = PipelineSampler::new(Pipeline::draw().then(top_k()).then(top_p()));
    let (mut first, mut second) = (cut(top_k()), cut(top_p()));
    assert_eq!(composes(&mut both, &mut first, &mut second, &rows()), Ok(()));
    let (mut k, mut p) = (cut(top_k()), cut(top_p()));
    let mut both = Shows(move |row: &[f32]| {
        let (k, p) = (k.kept(row, DrawKey::new(0)).unwrap(), p.kept(row, DrawKey::new(0)).unwrap());
        k.into_iter().filter(|entry| p.contains(entry)).collect()
    });
    assert_eq!(found(composes(&mut both, &mut first, &mut second, &rows())), "missing");
}

#[test]
fn shifts_and_permutations_are_seen() {
    let mut penalty = cut(RepetitionPenalty::new(4.0).unwrap()).history(&History::new(&[0]));
    assert_eq!(is_shift_invariant(&mut cut(MinP::new(0.3).unwrap()), &rows()), Ok(()));
    assert_eq!(found(is_shift_invariant(&mut Shows(positive), &rows())), "empty");
    let mut after_penalty = PipelineSampler::new(
        Pipeline::draw().then(RepetitionPenalty::new(4.0).unwrap()).then(TopK::new(1).unwrap()),
    )
    .history(&History::new(&[0]));
    assert_eq!(found(is_shift_invariant(&mut after_penalty, &rows())), "missing");
    assert_eq!(found(is_permutation_equivariant(&mut penalty, &rows())), "missing");
    for ties in [TiePolicy::KeepAll, TiePolicy::HighestId, TiePolicy::Random] {
        let mut top_k = cut(TopK::new(7).unwrap().ties(ties));
        assert_eq!(is_permutation_equivariant(&mut top_k, &rows()), Ok(()));
    }
}

fn positive(row: &[f32]) -> Set {
    (0..).zip(row.iter().copied()).filter(|entry| entry.1 > -50.0).collect()
}

#[test]
fn a_penalty_that_raises_is_found() {
    let penalty = |r| cut(RepetitionPenalty::new(r).unwrap()).history(&History::new(&[0]));
    assert_eq!(never_raises(&mut penalty(1.3), &[0], &rows()), Ok(()));
    assert_eq!(found(never_raises(&mut penalty(0.7), &[0], &rows())), "score");
    assert_eq!(never_raises(&mut penalty(0.7), &[1], &rows()), Ok(()));
}

#[test]
fn a_last_bit_is_a_difference() {
    let mut plain = cut(TopK::new(5).unwrap());
    let mut bent = Shows(|row: &[f32]| {
        let mut set = cut(TopK::new(5).unwrap()).kept(row, DrawKey::new(0)).unwrap();
        set[0].1 = f32::from_bits(set[0].1.to_bits() ^ 1);
        set
    });
    assert_eq!(found(same_sets(&mut plain, &mut bent, &rows())), "score");
    let mut all = cut(AllowedTokens::new(&[0], 1).unwrap());
    assert!(same_sets(&mut all, &mut plain, &rows()).is_err(), "refused by one alone");
}
