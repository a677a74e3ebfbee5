//! What `forward` and a state refuse, and that a refusal changes nothing.

use taper_models::candle_core::{DType, Device, Tensor};
use taper_models::{
    CpuDecoder, Decoder, LanguageModel, ModelError, Outputs, RowId, StateError, Threads, Want,
    Work, random,
};

use crate::rows::{both, hybrid, tiny};

fn work(row: RowId, tokens: &[u32]) -> Work<'_> {
    Work { row, tokens, want: Want::Last }
}

/// A refusal by `forward`: the work that asks for it, and what it says.
type Refusal<'a> = (&'a str, Vec<Work<'a>>, &'a str);

#[test]
fn forward_says_what_is_wrong_and_changes_nothing() {
    for model in both(tiny()) {
        check_refusals(&*model);
    }
}

fn check_refusals(model: &dyn LanguageModel) {
    let mut state = model.new_state();
    let (first, second) = (state.new_row(), state.new_row());
    let dropped = state.new_row();
    state.drop_row(dropped).unwrap();
    let mut outputs = Outputs::new();
    let held = [1, 2, 3];
    let both = [work(first, &held), work(second, &held)];
    model.forward(&mut *state, &both, &mut outputs).unwrap();
    let bytes = state.bytes();

    let long = [0; 398];
    let refusals: [Refusal<'_>; 5] = [
        (
            "a token beyond the vocabulary",
            vec![work(first, &[1]), work(second, &[31, 32])],
            "token id 32 is out of range: the vocabulary has the ids 0 to 31",
        ),
        (
            "no tokens",
            vec![work(first, &[1]), work(second, &[])],
            "row 1 was given no tokens; give it at least one",
        ),
        (
            "more than the context",
            vec![work(first, &[1]), work(second, &long)],
            "row 1 would hold 401 tokens (3 and 398 more); the context holds 400",
        ),
        (
            "a dropped row",
            vec![work(first, &[1]), work(dropped, &[1])],
            "there is no row 2: it was dropped, or belongs to another state",
        ),
        (
            "a row twice",
            vec![work(first, &[1]), work(first, &[2])],
            "row 0 is named twice in one call",
        ),
    ];
    for (what, work, message) in refusals {
        let error = model.forward(&mut *state, &work, &mut outputs).unwrap_err();
        assert_eq!(error.to_string(), message, "{what}");
        assert_eq!(state.len(first), Ok(3), "{what}");
        assert_eq!(state.len(second), Ok(3), "{what}");
        assert_eq!(state.bytes(), bytes, "{what}");
    }
}

#[test]
fn a_state_serves_the_model_that_made_it() {
    let models: Vec<_> = [both(tiny()), both(tiny())].into_iter().flatten().collect();
    for (index, model) in models.iter().enumerate() {
        for other in models.iter().enumerate().filter(|(other, _)| *other != index) {
            let mut state = other.1.new_state();
            let row = state.new_row();
            let error = model.forward(&mut *state, &[work(row, &[1])], &mut Outputs::new());
            assert!(matches!(error, Err(ModelError::ForeignState)));
        }
    }
}

#[test]
fn no_work_is_no_error() {
    let model = tiny();
    model.forward(&mut *model.new_state(), &[], &mut Outputs::new()).unwrap();
}

#[test]
fn a_state_refuses_rows_that_it_does_not_have() {
    let mut state = tiny().new_state();
    let row = state.new_row();
    let gone = state.fork(row).unwrap();
    state.drop_row(gone).unwrap();
    let unknown = StateError::UnknownRow { row: gone };
    assert_eq!(state.fork(gone), Err(unknown.clone()));
    assert_eq!(state.truncate(gone, 0), Err(unknown.clone()));
    assert_eq!(state.drop_row(gone), Err(unknown.clone()));
    assert_eq!(state.len(gone), Err(unknown.clone()));
    assert_eq!(state.reorder(&[row, gone]), Err(unknown));
    assert_eq!(state.len(row), Ok(0), "a refused reorder leaves the rows");

    let held = StateError::TooShort { row, held: 0, len: 1 };
    assert_eq!(state.truncate(row, 1), Err(held));
    let next = state.reorder(&[row, row]).unwrap();
    assert_eq!(state.len(row), Err(StateError::UnknownRow { row }));
    assert!(next.iter().all(|row| state.len(*row) == Ok(0)));
}

#[test]
fn a_state_without_a_past_does_not_go_back() {
    let model = hybrid();
    let mut state = model.new_state();
    let row = state.new_row();
    let mut outputs = Outputs::new();
    model.forward(&mut *state, &[work(row, &[1, 2, 3])], &mut outputs).unwrap();
    assert_eq!(state.truncate(row, 3), Ok(()), "this is where it is");
    let error = state.truncate(row, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 0 holds 3 tokens and cannot go back to 1: this model's recurrent layers keep no past; \
         fork the row ahead of what may be taken back"
    );
    assert_eq!(state.len(row), Ok(3));
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let spec = tiny().spec().clone();
    let name = "model.layers.1.self_attn.k_proj.weight";
    for found in [f32::NAN, f32::INFINITY] {
        let mut weights = random::init(&spec, 11, 1.5).unwrap();
        let mut numbers = weights[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        numbers[5] = found;
        let shape = weights[name].shape().clone();
        let broken = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
        weights.insert(name.to_owned(), broken);
        let library = Decoder::new(&spec, &weights, DType::F32, &Device::Cpu).unwrap();
        let own = CpuDecoder::new(&spec, &weights, None, Threads::default()).unwrap();
        for model in [&library as &dyn LanguageModel, &own] {
            let mut state = model.new_state();
            let row = state.new_row();
            let error = model.forward(&mut *state, &[work(row, &[1, 2])], &mut Outputs::new());
            let message = error.unwrap_err().to_string();
            let start = format!("tensor `{name}` holds {found} among its numbers; ");
            assert!(message.starts_with(&start), "{message}");
            assert_eq!(state.len(row), Ok(0));
        }
    }
}
