//! Whatever is done to the rows of a state, each row computes what its tokens alone would.

use proptest::prelude::*;
use taper_models::candle_core::{DType, Device};
use taper_models::{
    CpuDecoder, Decoder, DecoderSpec, LanguageModel, Outputs, RowId, State, StateError, Threads,
    Want, Work, random,
};

use crate::golden::distance;

const VOCAB: u32 = 32;
const CONTEXT: usize = 400;

/// A model in both executors: the tensor library's, and the CPU's own.
pub(crate) fn both(decoder: Decoder) -> [Box<dyn LanguageModel>; 2] {
    let spec = decoder.spec().clone();
    let weights = random::init(&spec, 11, 1.5).unwrap();
    let cpu = CpuDecoder::new(&spec, &weights, None, Threads::default()).unwrap();
    [Box::new(decoder), Box::new(cpu)]
}

/// A small random llama; its blocks of cache hold 64 positions, its passes 256 tokens.
pub(crate) fn tiny() -> Decoder {
    random_model(&serde_json::json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
    }))
}

/// The same for a model most of whose layers keep a state; its chunks hold 32 tokens.
pub(crate) fn hybrid() -> Decoder {
    random_model(&serde_json::json!({
        "model_type": "nemotron_h", "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24,
        "hybrid_override_pattern": "M*EM-", "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 4, "mamba_num_heads": 4, "mamba_head_dim": 6, "ssm_state_size": 8,
        "n_groups": 2, "n_routed_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 8, "moe_shared_expert_intermediate_size": 12,
        "max_position_embeddings": CONTEXT,
    }))
}

fn random_model(config: &serde_json::Value) -> Decoder {
    let spec = DecoderSpec::from_config(config).unwrap();
    let weights = random::init(&spec, 11, 1.5).unwrap();
    Decoder::new(&spec, &weights, DType::F32, &Device::Cpu).unwrap()
}

fn fresh(model: &dyn LanguageModel, tokens: &[u32]) -> Vec<f32> {
    let mut state = model.new_state();
    let row = state.new_row();
    let mut outputs = Outputs::new();
    let work = [Work { row, tokens, want: Want::Last }];
    model.forward(&mut *state, &work, &mut outputs).unwrap();
    outputs.logits(0).to_vec()
}

/// One thing done to a state. Rows are picked by number modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    New,
    Fork(usize),
    /// The same number of tokens to some of the rows, in one call.
    Append(Vec<usize>, usize),
    Truncate(usize, usize),
    Drop(usize),
    Reorder(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let pick = 0..1000usize;
    prop_oneof![
        1 => Just(Step::New),
        2 => pick.clone().prop_map(Step::Fork),
        6 => (prop::collection::vec(pick.clone(), 1..4), 1..80usize)
            .prop_map(|(rows, count)| Step::Append(rows, count)),
        2 => (pick.clone(), pick.clone()).prop_map(|(row, len)| Step::Truncate(row, len)),
        1 => pick.clone().prop_map(Step::Drop),
        1 => prop::collection::vec(pick, 1..4).prop_map(Step::Reorder),
    ]
}

/// A state beside the tokens that each of its rows should hold.
struct Twin<'a> {
    model: &'a dyn LanguageModel,
    state: Box<dyn State>,
    rows: Vec<(RowId, Vec<u32>)>,
    next_token: u32,
}

impl Twin<'_> {
    fn apply(&mut self, step: Step) {
        let count = self.rows.len();
        match step {
            Step::New => self.rows.push((self.state.new_row(), Vec::new())),
            _ if count == 0 => {}
            Step::Fork(row) => {
                let (row, tokens) = &self.rows[row % count];
                let copy = (self.state.fork(*row).unwrap(), tokens.clone());
                self.rows.push(copy);
            }
            Step::Append(rows, added) => self.append(&rows, added),
            Step::Truncate(row, len) => {
                let (row, tokens) = &mut self.rows[row % count];
                let len = len % (tokens.len() + 1);
                if self.model.capabilities().truncate {
                    tokens.truncate(len);
                }
                let no_way_back = StateError::NoWayBack { row: *row, held: tokens.len(), len };
                let may = len == tokens.len();
                let want = if may { Ok(()) } else { Err(no_way_back) };
                assert_eq!(self.state.truncate(*row, len), want);
            }
            Step::Drop(row) => {
                let (row, _) = self.rows.swap_remove(row % count);
                self.state.drop_row(row).unwrap();
            }
            Step::Reorder(parents) => {
                let parents: Vec<_> = parents.iter().map(|row| &self.rows[row % count]).collect();
                let ids: Vec<RowId> = parents.iter().map(|(row, _)| *row).collect();
                let tokens = parents.iter().map(|(_, tokens)| tokens.clone());
                self.rows = self.state.reorder(&ids).unwrap().into_iter().zip(tokens).collect();
            }
        }
    }

    /// Gives each row other tokens and compares what follows with a fresh run.
    fn append(&mut self, rows: &[usize], added: usize) {
        let mut picked: Vec<usize> = rows.iter().map(|row| row % self.rows.len()).collect();
        picked.sort_unstable();
        picked.dedup();
        picked.retain(|row| self.rows[*row].1.len() + added <= CONTEXT);
        for &row in &picked {
            let start = self.next_token;
            self.next_token = self.next_token.wrapping_add(7 * added as u32 + 1);
            self.rows[row].1.extend((0..added as u32).map(|i| start.wrapping_add(7 * i) % VOCAB));
        }
        let work: Vec<Work<'_>> = (picked.iter().map(|row| &self.rows[*row]))
            .map(|(row, tokens)| Work {
                row: *row,
                tokens: &tokens[tokens.len() - added..],
                want: Want::Last,
            })
            .collect();
        let mut outputs = Outputs::new();
        self.model.forward(&mut *self.state, &work, &mut outputs).unwrap();
        for (index, row) in picked.iter().enumerate() {
            let d = distance(outputs.logits(index), &fresh(self.model, &self.rows[*row].1));
            assert!(d < 1e-4, "row {row}: {d}");
        }
    }
}

fn check_history(model: &dyn LanguageModel, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut twin = Twin { model, state: model.new_state(), rows: Vec::new(), next_token: 1 };
    twin.apply(Step::New);
    for step in steps {
        twin.apply(step);
    }
    for (row, tokens) in &twin.rows {
        prop_assert_eq!(twin.state.len(*row).unwrap(), tokens.len());
    }
    // A last token for every row at once shows what each of them holds now.
    let all: Vec<usize> = (0..twin.rows.len()).collect();
    if !all.is_empty() {
        twin.append(&all, 1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_equals_a_fresh_prefill(steps in prop::collection::vec(step(), 1..24)) {
        for model in both(tiny()) {
            check_history(&*model, steps.clone())?;
        }
    }

    #[test]
    fn so_it_does_where_layers_keep_a_state(steps in prop::collection::vec(step(), 1..16)) {
        for model in both(hybrid()) {
            check_history(&*model, steps.clone())?;
        }
    }
}

#[test]
fn a_long_prompt_is_the_same_in_one_call_or_many() {
    for model in [both(tiny()), both(hybrid())].into_iter().flatten() {
        let tokens: Vec<u32> = (0..CONTEXT as u32).map(|i| i * 11 % VOCAB).collect();
        let mut state = model.new_state();
        let row = state.new_row();
        let mut outputs = Outputs::new();
        for tokens in tokens.chunks(97) {
            let work = [Work { row, tokens, want: Want::Last }];
            model.forward(&mut *state, &work, &mut outputs).unwrap();
        }
        assert!(distance(outputs.last(0), &fresh(&*model, &tokens)) < 1e-4);
    }
}

#[test]
fn training_and_decoding_agree() {
    [tiny(), hybrid()].iter().for_each(check_training);
}

fn check_training(model: &Decoder) {
    let tokens: Vec<u32> = (0..90).map(|i| i * 5 % VOCAB).collect();
    let ids = taper_models::candle_core::Tensor::new(vec![tokens.clone()], &Device::Cpu).unwrap();
    let trained = model.forward_train(&ids).unwrap().flatten_all().unwrap();
    let mut state = model.new_state();
    let row = state.new_row();
    let mut outputs = Outputs::new();
    let work = [Work { row, tokens: &tokens, want: Want::All }];
    model.forward(&mut *state, &work, &mut outputs).unwrap();
    assert!(distance(outputs.logits(0), &trained.to_vec1::<f32>().unwrap()) < 1e-4);
}

#[test]
fn forks_share_memory_until_they_diverge() {
    // Keys and values, 64 positions, 2 layers of 2 heads of 4 numbers of 4 bytes. The CPU's own
    // executor fills them up to 16 numbers.
    let numbers = [4, 16];
    for (model, numbers) in both(tiny()).iter().zip(numbers) {
        check_memory(&**model, 2 * 64 * 2 * 2 * numbers * 4);
    }
}

fn check_memory(model: &dyn LanguageModel, block: usize) {
    let mut state = model.new_state();
    let row = state.new_row();
    assert_eq!(state.bytes(), 0);
    let mut outputs = Outputs::new();
    let mut append = |state: &mut dyn State, row, tokens: &[u32]| {
        let work = [Work { row, tokens, want: Want::Last }];
        model.forward(state, &work, &mut outputs).unwrap();
    };
    append(&mut *state, row, &[3; 100]);
    assert_eq!(state.bytes(), 2 * block);
    let fork = state.fork(row).unwrap();
    assert_eq!(state.bytes(), 2 * block);
    append(&mut *state, fork, &[4]);
    assert_eq!(state.bytes(), 3 * block);
    append(&mut *state, row, &[5]);
    assert_eq!(state.bytes(), 3 * block);
    state.truncate(row, 64).unwrap();
    assert_eq!(state.bytes(), 2 * block);
    state.drop_row(fork).unwrap();
    assert_eq!(state.bytes(), block);
}

#[test]
fn forks_share_a_state_until_they_diverge() {
    // One attention's block, and two states with three earlier inputs of 56 channels each; the CPU's
    // own executor fills them up to whole vectors of 16.
    let ([first, own], heads) = (both(hybrid()), 2 * 64 * 2);
    check_states(&*first, heads * 4 * 4, 2 * (4 * 6 * 8 + 3 * 56) * 4);
    check_states(&*own, heads * 16 * 4, 2 * (4 * 6 * 16 + 3 * 64) * 4);
}

fn check_states(model: &dyn LanguageModel, block: usize, states: usize) {
    let mut state = model.new_state();
    let row = state.new_row();
    let mut outputs = Outputs::new();
    let mut append = |state: &mut dyn State, row, tokens: &[u32]| {
        let work = [Work { row, tokens, want: Want::Last }];
        model.forward(state, &work, &mut outputs).unwrap();
    };
    append(&mut *state, row, &[3; 10]);
    assert_eq!(state.bytes(), block + states);
    let fork = state.fork(row).unwrap();
    assert_eq!(state.bytes(), block + states);
    append(&mut *state, fork, &[4]);
    assert_eq!(state.bytes(), 2 * (block + states));
}
