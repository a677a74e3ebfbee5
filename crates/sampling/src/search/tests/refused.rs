//! Steps that are refused, and leave the search as it was.

use super::*;

#[test]
fn rows_that_allow_no_step_are_refused() {
    let fresh = || BeamSearch::new(BeamSettings::new(2, 4, &[]), 3).expect("settings");
    let refused = |rows: &[f32]| fresh().advance(rows).expect_err("bad rows");
    let wrong = SearchError::Rows { given: 2, beams: 1, vocab_size: 3 };
    assert_eq!(refused(&[0.0, 0.0]), wrong);
    let nan = refused(&[0.0, f32::NAN, 0.0]);
    assert!(matches!(nan, SearchError::NotFinite { beam: 0, token: 1, .. }));
    let infinite = refused(&[0.0, 0.0, f32::INFINITY]);
    assert!(matches!(infinite, SearchError::NotFinite { token: 2, .. }));
    assert_eq!(refused(&[f32::NEG_INFINITY; 3]), SearchError::DeadEnd { beams: 1 });
    let mut over = fresh();
    over.advance_or_stop(&[0.0; 3], |_, _| Some(())).expect("a step");
    assert!(over.is_done());
    assert_eq!(over.advance(&[0.0; 3]), Err(SearchError::Over));
}

/// The bad score may lie below everything that is kept, or in a row that comes later.
#[test]
fn a_bad_score_is_named_and_nothing_has_changed() {
    const TOKENS: usize = 300;
    let rules = [
        HUGGING_FACE,
        SearchRule::HuggingFace { early_stopping: EarlyStopping::Never, sampled: true },
        SearchRule::Canonical,
        SearchRule::Stochastic,
    ];
    let row = |beam: usize| {
        let score = move |token: usize| -1.0 - ((token * 37 + beam * 11) % TOKENS) as f32 / 9.0;
        (0..TOKENS).map(score)
    };
    let searches = rules.map(|rule| BeamSettings { rule, ..BeamSettings::new(4, 6, &[]) });
    let in_groups =
        BeamSettings { num_beam_groups: 2, diversity_penalty: 0.5, ..searches[0].clone() };
    for settings in searches.into_iter().chain([in_groups]) {
        let started = || {
            let mut search = BeamSearch::new(settings.clone(), TOKENS).expect("settings");
            let first: Vec<f32> = row(0).collect();
            search.advance(&first).expect("a step");
            search
        };
        let (mut spared, mut search) = (started(), started());
        let rows: Vec<f32> = (0..search.beams()).flat_map(row).collect();
        for bad in [f32::NAN, f32::INFINITY] {
            for places in [&[299][..], &[300 + 130], &[2 * 300 + 7, 300 + 290], &[0, 1]] {
                let mut rows = rows.clone();
                for &place in places {
                    rows[place] = bad;
                }
                let first = places.iter().min().expect("a place");
                let error = search.advance(&rows).expect_err("a bad score");
                let (beam, token) = (first / TOKENS, (first % TOKENS) as u32);
                assert!(
                    matches!(error, SearchError::NotFinite { beam: b, token: t, .. }
                        if (b, t) == (beam, token)),
                    "{error} for {settings:?}"
                );
            }
        }
        assert_eq!(search.advance(&rows), spared.advance(&rows), "{settings:?}");
        assert_eq!((search.length(), search.tree()), (spared.length(), spared.tree()));
    }
}
