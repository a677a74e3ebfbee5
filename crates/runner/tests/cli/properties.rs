//! What holds for any prompt, seed and setting.

use std::sync::LazyLock;

use proptest::prelude::*;
use taper_runner::models::{
    Capabilities, LanguageModel, LoadOptions, LoadedModel, ModelError, Outputs, State, Want, Work,
    load,
};
use taper_runner::sampling::{
    DrawKey, GenerationConfig, History, Step, TiePolicy, Workspace, presets::huggingface,
};
use taper_runner::{Generation, Outcome, Request, Source, TableModel};

use crate::support::llama;

static LLAMA: LazyLock<LoadedModel> =
    LazyLock::new(|| load(llama(), &LoadOptions::default()).expect("the tiny llama loads"));

fn run<'m>(source: impl Into<Source<'m>>, request: Request) -> Outcome {
    let mut generation = Generation::new(source, request).expect("the request is fine");
    for step in generation.by_ref() {
        step.expect("the run is fine");
    }
    generation.into_outcome()
}

fn request(prompt: &[u32], seed: u64, config: GenerationConfig) -> Request {
    let mut request = Request::new(prompt.to_vec());
    (request.seed, request.config) = (Some(seed), config);
    request
}

fn prompts() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(0_u32..288, 1..12)
}

/// Settings that draw, cut and penalise.
fn settings() -> impl Strategy<Value = GenerationConfig> {
    let knobs = (0.3..2.0, 2_usize..80, 0.5..1.0, 0.9..1.3, 0_usize..4);
    knobs.prop_map(|(temperature, top_k, top_p, penalty, ngram)| GenerationConfig {
        do_sample: Some(true),
        temperature: Some(temperature),
        top_k: Some(top_k),
        top_p: Some(top_p),
        min_p: Some(0.01),
        repetition_penalty: Some(penalty),
        no_repeat_ngram_size: Some(ngram),
        max_new_tokens: Some(10),
        ..GenerationConfig::default()
    })
}

/// The next token of a sequence from nothing but its row, its past and its key.
fn alone(
    config: &GenerationConfig,
    row: &[f32],
    prompt: &[u32],
    made: &[u32],
    key: DrawKey,
) -> u32 {
    let pipeline = huggingface(config, None).expect("the settings are fine");
    let mut history = History::new(prompt);
    for &token in made {
        history.accept(token);
    }
    let step = Step::new(key.step(made.len() as u64)).history(&history);
    let mut workspace = Workspace::new(row.len());
    pipeline.select(row, &step, &mut workspace).expect("a token").token
}

fn table(seed: u64, vocab_size: usize) -> TableModel {
    let draws = taper_runner::sampling::Draws::new(DrawKey::new(seed));
    let mut series = draws.series(taper_runner::sampling::Purpose::Custom(0));
    let mut logit = |at: usize| (series.bits(at as u64) >> 56) as f32 / 32.0 - 4.0;
    let row = |r: usize| (0..vocab_size).map(move |c| r * vocab_size + c);
    let rows = (0..vocab_size).map(|r| row(r).map(&mut logit).collect()).collect();
    TableModel::new(rows, 64).expect("the table is square")
}

/// A model that takes one row at a time.
#[derive(Debug)]
struct OneByOne(TableModel);

impl LanguageModel for OneByOne {
    fn family(&self) -> &str {
        self.0.family()
    }

    fn vocab_size(&self) -> usize {
        self.0.vocab_size()
    }

    fn context_length(&self) -> usize {
        self.0.context_length()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::ALL;
        capabilities.batch = false;
        capabilities
    }

    fn new_state(&self) -> Box<dyn State> {
        self.0.new_state()
    }

    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        assert_eq!(work.len(), 1);
        self.0.forward(state, work, outputs)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn top_k_one_is_greedy_under_lowest_id(
        prompt in prompts(),
        seed in any::<u64>(),
        temperature in 0.05..5.0,
        penalty in 0.8..1.5,
    ) {
        let greedy = GenerationConfig {
            repetition_penalty: Some(penalty),
            max_new_tokens: Some(10),
            ..GenerationConfig::default()
        };
        let top_1 = GenerationConfig {
            do_sample: Some(true),
            temperature: Some(temperature),
            top_k: Some(1),
            ..greedy.clone()
        };
        let mut drawn = request(&prompt, seed, top_1);
        drawn.ties = Some(TiePolicy::LowestId);
        let drawn = run(&*LLAMA, drawn);
        let greedy = run(&*LLAMA, request(&prompt, 0, greedy));
        prop_assert_eq!(&drawn.sequences[0].tokens, &greedy.sequences[0].tokens);
    }

    #[test]
    fn any_step_is_replayed_from_its_key(
        prompt in prompts(),
        seed in any::<u64>(),
        config in settings(),
        at in 0_usize..10,
    ) {
        let outcome = run(&*LLAMA, request(&prompt, seed, config.clone()));
        let made = &outcome.sequences[0].tokens[..at];
        let (mut state, mut outputs) = (LLAMA.model.new_state(), Outputs::new());
        let row = state.new_row();
        // The same passes, since the last bits of a product change with its shape.
        let passes = std::iter::once(&prompt[..]).chain(made.chunks(1));
        for tokens in passes {
            let work = [Work { row, tokens, want: Want::Last }];
            LLAMA.model.forward(&mut *state, &work, &mut outputs).unwrap();
        }
        let again = alone(&config, outputs.last(0), &prompt, made, DrawKey::new(seed));
        prop_assert_eq!(again, outcome.sequences[0].tokens[at]);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens(
        prompt in prompts(),
        seed in any::<u64>(),
        config in settings(),
    ) {
        let config = GenerationConfig { num_return_sequences: Some(3), ..config };
        let first = run(&*LLAMA, request(&prompt, seed, config.clone()));
        let again = run(&*LLAMA, request(&prompt, seed, config));
        prop_assert_eq!(first.sequences, again.sequences);
    }

    #[test]
    fn sequences_together_are_sequences_one_by_one(
        of_table in any::<u64>(),
        seed in any::<u64>(),
        config in settings(),
        n in 1_usize..5,
    ) {
        let model = table(of_table, 24);
        let config = GenerationConfig { num_return_sequences: Some(n), ..config };
        let source = Source { name: "table", model: &model, tokenizer: None };
        let together = run(source, request(&[3, 1], seed, config.clone()));
        for (stream, sequence) in together.sequences.iter().enumerate() {
            let mut tokens = vec![3, 1];
            for made in 0..10 {
                let (state, mut outputs) = (&mut *model.new_state(), Outputs::new());
                let work = [Work { row: state.new_row(), tokens: &tokens, want: Want::Last }];
                model.forward(state, &work, &mut outputs).unwrap();
                let key = DrawKey::new(seed).stream(stream as u64);
                let token = alone(&config, outputs.last(0), &[3, 1], &tokens[2..2 + made], key);
                tokens.push(token);
            }
            prop_assert_eq!(&sequence.tokens, &tokens[2..]);
        }
        let one_by_one = OneByOne(model);
        let source = Source { name: "table", model: &one_by_one, tokenizer: None };
        let apart = run(source, request(&[3, 1], seed, config));
        prop_assert_eq!(together.sequences, apart.sequences);
    }
}
