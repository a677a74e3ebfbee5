//! Hidden states and attention weights against those of Hugging Face transformers.

use std::collections::{BTreeMap, HashMap};

use taper_models::candle_core::{Device, Tensor, safetensors};
use taper_models::{
    AttentionWeights, HiddenStates, LanguageModel, LoadOptions, ModelError, Observe, Observer,
    Outputs, Want, Work, load,
};

use crate::golden::{distance, folder};
use crate::rows::{both, hybrid};

const TOLERANCE: f32 = 1e-4;

/// What was shown of one row, pieced together.
#[derive(Default)]
struct Seen {
    wants: Observe,
    tokens: usize,
    /// By index, `[tokens, hidden_size]`.
    hidden: BTreeMap<usize, Vec<f32>>,
    /// By layer, `[heads, tokens, tokens]`.
    attention: BTreeMap<usize, Vec<f32>>,
}

impl Observer for Seen {
    fn wants(&self) -> Observe {
        self.wants
    }

    fn hidden(&mut self, states: &HiddenStates<'_>) {
        let all = self.hidden.entry(states.index).or_default();
        assert_eq!(all.len(), states.position * states.hidden_size, "the tokens come in order");
        all.extend_from_slice(states.values);
    }

    fn attention(&mut self, weights: &AttentionWeights<'_>) {
        let (total, heads) = (self.tokens, weights.heads);
        let empty = || vec![0.0; heads * total * total];
        let all = self.attention.entry(weights.layer).or_insert_with(empty);
        let queries = weights.tokens();
        for (index, values) in weights.values.chunks_exact(weights.keys).enumerate() {
            let (head, query) = (index / queries, weights.position + index % queries);
            let start = (head * total + query) * total + weights.first_key;
            all[start..start + weights.keys].copy_from_slice(values);
        }
    }
}

/// Appends tokens in pieces of `size` to a new row.
fn observe(model: &dyn LanguageModel, tokens: &[u32], size: usize, wants: Observe) -> Seen {
    let mut seen = Seen { wants, tokens: tokens.len(), ..Seen::default() };
    let (mut state, mut outputs) = (model.new_state(), Outputs::new());
    let row = state.new_row();
    for tokens in tokens.chunks(size) {
        let work = [Work { row, tokens, want: Want::Last }];
        model.forward_observed(&mut *state, &work, &mut outputs, &mut seen).unwrap();
    }
    seen
}

const ALL: Observe = Observe { hidden: true, attention: true };

/// The tensors of `inner.safetensors`, by folder.
fn by_folder() -> BTreeMap<String, HashMap<String, Tensor>> {
    let mut folders: BTreeMap<String, HashMap<String, Tensor>> = BTreeMap::new();
    for (name, tensor) in safetensors::load(folder("inner.safetensors"), &Device::Cpu).unwrap() {
        let (folder, name) = name.split_once('.').unwrap();
        folders.entry(folder.to_owned()).or_default().insert(name.to_owned(), tensor);
    }
    folders
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn what_is_inside_agrees() {
    let folders = by_folder();
    assert_eq!(folders.len(), 6);
    for (name, mut want) in folders {
        let model = load(folder(&name), &LoadOptions::default()).unwrap().model;
        let tokens: Vec<u32> = want.remove("tokens").unwrap().to_vec1().unwrap();
        for size in [tokens.len(), 3, 1] {
            let seen = observe(&*model, &tokens, size, ALL);
            let hidden = seen.hidden.iter().map(|(i, got)| (format!("hidden_states.{i}"), got));
            let attention = seen.attention.iter().map(|(i, got)| (format!("attentions.{i}"), got));
            let all: Vec<_> = hidden.chain(attention).collect();
            assert_eq!(all.len(), want.len(), "{name}");
            for (key, got) in all {
                let d = distance(got, &numbers(&want[&key]));
                assert!(d < TOLERANCE, "{name}, pieces of {size}, {key}: {d}");
            }
        }
        let observable = model.observable().unwrap();
        let heads = |i| want.get(&format!("attentions.{i}")).map(|weights| weights.dims()[0]);
        let layers = observable.attention_heads.len();
        assert_eq!(observable.attention_heads, (0..layers).map(heads).collect::<Vec<_>>());
        assert_eq!(observable.hidden_states(), seen_states(&want), "{name}");
        assert_eq!(observable.hidden_size, want["hidden_states.0"].dims()[1], "{name}");
    }
}

fn seen_states(want: &HashMap<String, Tensor>) -> usize {
    want.keys().filter(|key| key.starts_with("hidden_states.")).count()
}

/// 300 tokens are more than one pass computes at once, and more than a block of cache holds.
#[test]
fn watching_changes_nothing() {
    for model in both(hybrid()) {
        check_watched(&*model);
    }
}

fn check_watched(model: &dyn LanguageModel) {
    let tokens: Vec<u32> = (0..300).map(|i| i * 11 % 32).collect();
    let (mut state, mut watched, mut outputs) =
        (model.new_state(), model.new_state(), Outputs::new());
    let (row, same) = (state.new_row(), watched.new_row());
    for tokens in [&tokens[..], &[5], &[6, 7]] {
        let work = [Work { row, tokens, want: Want::Last }];
        model.forward(&mut *state, &work, &mut outputs).unwrap();
        let logits = outputs.last(0).to_vec();
        let mut seen = Seen { wants: ALL, tokens: 303, ..Seen::default() };
        // The pieces of this row are checked elsewhere: here they begin at any position.
        seen.hidden = (0..6).map(|i| (i, vec![0.0; watched.len(same).unwrap() * 16])).collect();
        let work = [Work { row: same, ..work[0] }];
        model.forward_observed(&mut *watched, &work, &mut outputs, &mut seen).unwrap();
        assert_eq!(outputs.last(0), logits);
        assert_eq!(seen.attention.keys().collect::<Vec<_>>(), [&1]);
    }
}

#[test]
fn each_token_shares_out_all_of_its_attention() {
    let tokens: Vec<u32> = (0..300).map(|i| i * 11 % 32).collect();
    for model in both(hybrid()) {
        let seen = observe(&*model, &tokens, 300, ALL);
        for (query, weights) in seen.attention[&1].chunks_exact(300).enumerate() {
            let (before, after) = weights.split_at(query % 300 + 1);
            assert!((before.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(after.iter().all(|weight| *weight == 0.0));
        }
    }
}

#[test]
fn what_is_not_wanted_is_not_shown() {
    for model in both(hybrid()) {
        for (hidden, attention) in [(false, false), (true, false), (false, true)] {
            let seen = observe(&*model, &[1, 2, 3], 2, Observe { hidden, attention });
            assert_eq!((seen.hidden.is_empty(), seen.attention.is_empty()), (!hidden, !attention));
        }
    }
}

struct Positions(Vec<(u64, usize, usize)>);
impl Observer for Positions {
    fn wants(&self) -> Observe {
        Observe { attention: true, hidden: true }
    }
    fn hidden(&mut self, states: &HiddenStates<'_>) {
        if states.index == 0 {
            self.0.push((states.row.get(), states.position, states.tokens()));
        }
    }
    fn attention(&mut self, weights: &AttentionWeights<'_>) {
        let last = weights.position + weights.tokens();
        assert_eq!(weights.first_key + weights.keys, last);
    }
}

/// A refused call shows nothing, and a batch shows each row as its own.
#[test]
fn rows_of_a_batch_are_told_apart() {
    for model in both(hybrid()) {
        check_batch(&*model);
    }
}

fn check_batch(model: &dyn LanguageModel) {
    let (mut state, mut outputs) = (model.new_state(), Outputs::new());
    let (a, b) = (state.new_row(), state.new_row());
    let work = |row, tokens| Work { row, tokens, want: Want::Last };
    let mut seen = Positions(Vec::new());
    for works in [[work(a, &[1, 2, 3]), work(b, &[4])], [work(b, &[5, 6]), work(a, &[7])]] {
        model.forward_observed(&mut *state, &works, &mut outputs, &mut seen).unwrap();
    }
    assert_eq!(seen.0, [(0, 0, 3), (1, 0, 1), (1, 1, 2), (0, 3, 1)]);
    let refused = model.forward_observed(&mut *state, &[work(a, &[99])], &mut outputs, &mut seen);
    assert!(matches!(refused, Err(ModelError::TokenOutOfRange { token: 99, .. })));
    assert_eq!(seen.0.len(), 4);
}
