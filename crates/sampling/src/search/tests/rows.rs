//! Rows made here, against bare scores: the first come with their maxima, of the second every score is
//! looked at.

use super::*;
use crate::stages::LogitBias;

/// Three chunks, the last of them short.
const TOKENS: usize = 2_500;

/// What follows a token: some logits are equal, and the best are at places that hang on the token.
fn logits(token: u32) -> Vec<f32> {
    let mut series = Draws::new(DrawKey::new(u64::from(token))).series(Purpose::Custom(0));
    (0..TOKENS as u64).map(|i| (series.bits(i) % 4_000) as f32 / 320.0).collect()
}

#[test]
fn both_lead_to_the_same_beams() {
    let staged = || Pipeline::greedy().then(RepetitionPenalty::new(1.4).expect("in range"));
    // Scores above 0 from the second token of a hypothesis on.
    let raised = || staged().then(LogitBias::new([(7, 12.0), (2_400, 11.5)]).expect("finite"));
    let rules = [HUGGING_FACE, SAMPLED, SearchRule::Canonical, SearchRule::Stochastic];
    let searches = rules.map(|rule| BeamSettings { rule, ..BeamSettings::new(4, 5, &[3]) });
    let in_groups =
        BeamSettings { num_beam_groups: 2, diversity_penalty: 2.5, ..searches[0].clone() };
    for settings in searches.into_iter().chain([in_groups]) {
        for pipeline in [Pipeline::greedy(), staged(), raised()] {
            let fresh = || BeamSearch::new(settings.clone(), TOKENS).expect("good settings");
            let (mut by_rows, mut by_scores) = (fresh(), fresh());
            let mut rows = rows_of(&pipeline, settings.key, &[0]);
            let mut workspace = Workspace::new(TOKENS);
            while !by_rows.is_done() {
                rows.clear();
                for beam in 0..by_rows.beams() {
                    let logits = logits(last_of(&rows, beam));
                    rows.push(beam, &logits, &mut workspace).expect("a clean row");
                }
                let next = by_rows.advance(&rows).expect("a step");
                assert_eq!(by_scores.advance(rows.scores()).expect("a step"), next);
                rows.reorder(&next).expect("beams of this search");
            }
            assert_eq!(by_rows.tree(), by_scores.tree(), "{settings:?}");
            assert_eq!(by_rows.hypotheses(), by_scores.hypotheses(), "{settings:?}");
        }
    }
}

#[test]
fn a_refused_row_is_as_if_it_had_not_been_made() {
    let staged = Pipeline::greedy().then(RepetitionPenalty::new(1.4).expect("in range"));
    for pipeline in [Pipeline::greedy(), staged] {
        let mut rows = rows_of(&pipeline, DrawKey::new(0), &[0]);
        let mut workspace = Workspace::new(TOKENS);
        let mut push = |rows: &mut BeamRows, logits: &[f32]| rows.push(0, logits, &mut workspace);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut logits = logits(1);
            logits[1_234] = bad;
            let error = push(&mut rows, &logits).expect_err("a bad row");
            assert!(error.to_string().contains("1234"), "{error}");
        }
        push(&mut rows, &[f32::NEG_INFINITY; TOKENS]).expect_err("nothing may follow");
        assert!(rows.scores().is_empty());
        push(&mut rows, &logits(1)).expect("a clean row");
        let mut search = BeamSearch::new(BeamSettings::new(2, 4, &[]), TOKENS).expect("settings");
        let mut bare = BeamSearch::new(BeamSettings::new(2, 4, &[]), TOKENS).expect("settings");
        let next = search.advance(&rows);
        assert_eq!(next, bare.advance(rows.scores()));
        assert_eq!(next.expect("a step").tokens.len(), 2);
    }
}

/// The end has a score above 0, so others may too, and what is behind now may come to be ahead.
#[test]
fn a_score_above_zero_keeps_the_canonical_search_from_stopping() {
    let settings = BeamSettings {
        rule: SearchRule::Canonical,
        length_penalty: 0.0,
        ..BeamSettings::new(1, 3, &[6])
    };
    let mut search = BeamSearch::new(settings, 7).expect("settings");
    let mut row = [-9.0; 7];
    (row[0], row[6]) = (-3.0, 0.5);
    search.advance(&row).expect("a step");
    assert!(!search.is_done());
    row[0] = 5.0;
    search.advance(&row).expect("a step");
    search.advance(&row).expect("a step");
    assert_eq!(search.hypotheses()[0].tokens, [0, 0, 0]);
}

/// As many scores as are wanted, in rows of other lengths: they are taken for what they are, in order.
#[test]
fn rows_of_another_length_are_bare_scores() {
    let pipeline = Pipeline::greedy();
    for lengths in [&[1_500][..], &[700, 800]] {
        let mut rows = rows_of(&pipeline, DrawKey::new(0), &[0]);
        for (token, &length) in (0..).zip(lengths) {
            let mut workspace = Workspace::new(length);
            rows.push(0, &logits(token)[..length], &mut workspace).expect("a clean row");
        }
        let fresh = || {
            let settings = BeamSettings::new(3, 4, &[]);
            let mut search = BeamSearch::new(settings, 500).expect("settings");
            search.advance(&[-6.0; 500]).expect("a step");
            search
        };
        let next = fresh().advance(&rows).expect("a step");
        assert_eq!(next, fresh().advance(rows.scores()).expect("a step"));
    }
}
