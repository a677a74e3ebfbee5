//! A model that threads share: the bits of each are those that it gets alone.

use std::thread;

use taper_models::{
    LanguageModel, LoadOptions, ModelError, Outputs, RowId, State, StateError, Together, Want,
    Work, load_builtin,
};

fn alone() -> Box<dyn LanguageModel> {
    load_builtin(&LoadOptions::default()).expect("a model that comes with the crate").model
}

fn last(
    model: &dyn LanguageModel,
    state: &mut dyn State,
    row: RowId,
    tokens: &[u32],
) -> Result<Vec<u32>, ModelError> {
    let mut outputs = Outputs::new();
    model.forward(state, &[Work { row, tokens, want: Want::Last }], &mut outputs)?;
    Ok(outputs.last(0).iter().map(|logit| logit.to_bits()).collect())
}

/// Some steps, a fork, a reordering, and steps of what is left.
fn walk(model: &dyn LanguageModel, seed: u32) -> Vec<Vec<u32>> {
    let mut state = model.new_state();
    let row = state.new_row();
    let mut seen = vec![last(model, &mut *state, row, &[2, seed, 5 + seed]).expect("a prompt")];
    let other = state.fork(row).expect("a row");
    for step in 0..20 + seed {
        seen.push(last(model, &mut *state, row, &[3 + step]).expect("a token"));
    }
    let rows = state.reorder(&[other, row, other]).expect("rows of mine");
    assert!(matches!(state.len(row), Err(StateError::UnknownRow { .. })));
    for (index, row) in rows.into_iter().enumerate() {
        seen.push(last(model, &mut *state, row, &[9 + index as u32]).expect("a token"));
    }
    seen
}

#[test]
fn company_changes_no_bit() {
    let model = alone();
    let want: Vec<_> = (0..7).map(|seed| walk(&*model, seed)).collect();
    let shared = Together::new(model, 1 << 30);
    let got: Vec<_> = thread::scope(|scope| {
        let walks: Vec<_> = (0..7)
            .map(|seed| {
                scope.spawn({
                    let shared = &shared;
                    move || walk(shared, seed)
                })
            })
            .collect();
        walks.into_iter().map(|walk| walk.join().expect("no panic")).collect()
    });
    assert_eq!(got, want);
}

#[test]
fn an_error_reaches_the_thread_whose_it_is() {
    let shared = Together::new(alone(), 1 << 30);
    let beyond = shared.vocab_size() as u32;
    thread::scope(|scope| {
        for bad in [false, true, false] {
            let shared = &shared;
            scope.spawn(move || {
                let mut state = shared.new_state();
                let row = state.new_row();
                for _ in 0..5 {
                    let token = if bad { beyond } else { 4 };
                    let got = last(shared, &mut *state, row, &[token]);
                    match got {
                        Err(ModelError::TokenOutOfRange { token, .. }) => {
                            assert!(bad && token == beyond);
                        }
                        other => assert!(!bad && other.is_ok()),
                    }
                }
                assert_eq!(state.len(row).expect("a row"), if bad { 0 } else { 5 });
            });
        }
    });
}

#[test]
fn rows_of_others_and_states_of_others_are_refused() {
    let (shared, other) = (Together::new(alone(), 1 << 30), alone());
    let (mut one, mut two) = (shared.new_state(), shared.new_state());
    let row = one.new_row();
    let unknown = Err(StateError::UnknownRow { row });
    assert_eq!(two.len(row), unknown);
    assert_eq!(two.truncate(row, 0).err(), unknown.clone().err());
    assert_eq!(two.drop_row(row).err(), unknown.err());
    assert!(two.reorder(&[row]).is_err() && two.fork(row).is_err());
    assert!(matches!(last(&shared, &mut *two, row, &[1]), Err(ModelError::State(_))));
    let mut foreign = other.new_state();
    let row = foreign.new_row();
    let refused = last(&shared, &mut *foreign, row, &[1]);
    assert!(matches!(refused, Err(ModelError::ForeignState)));
}

#[test]
fn states_wait_where_memory_is_short() {
    let shared = Together::new(alone(), 1);
    let walks = thread::scope(|scope| {
        let walks: Vec<_> = (0..4).map(|_| scope.spawn(|| walk(&shared, 1))).collect();
        walks.into_iter().map(|walk| walk.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(walks.iter().all(|walk| *walk == walks[0]));
}
