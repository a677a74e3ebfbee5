//! Guesses at tokens: they save passes of the model and change nothing else.

use serde_json::Value;
use taper_runner::models::LanguageModel;
use taper_runner::sampling::{DrawKey, Draws, GenerationConfig, Purpose};
use taper_runner::{Draft, Generation, Outcome, Request, Source, TableModel};

use crate::support::{generate, json, llama, taper, tokens};

fn table(seed: u64, size: usize) -> TableModel {
    let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(0));
    let mut logit = |at: usize| (series.bits(at as u64) >> 56) as f32 / 64.0 - 2.0;
    let row = |r: usize| (0..size).map(move |c| r * size + c);
    TableModel::new((0..size).map(|r| row(r).map(&mut logit).collect()).collect(), 64).unwrap()
}

fn source(model: &dyn LanguageModel) -> Source<'_> {
    Source { name: "table", model, tokenizer: None }
}

fn request(seed: u64, sample: bool, most: usize) -> Request {
    let mut request = Request::new(vec![1, 2, 3, 1, 2]);
    request.seed = Some(seed);
    request.config = GenerationConfig {
        do_sample: Some(sample),
        temperature: Some(0.8),
        top_k: Some(4),
        repetition_penalty: Some(1.1),
        max_new_tokens: Some(most),
        ..GenerationConfig::default()
    };
    request
}

fn run(model: &TableModel, request: Request, draft: Option<Draft<'_>>) -> Outcome {
    let mut generation = Generation::new(source(model), request).unwrap();
    if let Some(draft) = draft {
        generation = generation.speculate(draft).unwrap();
    }
    for step in &mut generation {
        step.unwrap();
    }
    generation.into_outcome()
}

#[test]
fn looking_up_the_prompt_leaves_a_seeds_tokens_as_they_are() {
    let mut accepted = 0;
    for seed in 0..60 {
        let model = table(seed, 6);
        let sample = seed % 2 == 0;
        let plain = run(&model, request(seed, sample, 20), None);
        let draft = Draft::PromptLookup { tokens: 4, max_ngram: 2 };
        let guessed = run(&model, request(seed, sample, 20), Some(draft));
        assert_eq!(guessed.sequences, plain.sequences, "seed {seed}");
        let report = guessed.speculation.unwrap();
        assert_eq!(
            report.passes + report.accepted + 1,
            20,
            "a pass yields one token and its guesses"
        );
        accepted += report.accepted;
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn a_draft_that_is_the_target_is_right_every_time() {
    for sample in [false, true] {
        let model = table(4, 7);
        let draft = Draft::Model { source: source(&model), tokens: 3 };
        let report = run(&model, request(9, sample, 21), Some(draft)).speculation.unwrap();
        assert_eq!(report.accepted, report.proposed);
        assert_eq!(report.passes, 5, "the prompt's token, and four tokens a pass");
    }
}

#[test]
fn greedy_tokens_are_the_targets_whatever_the_draft() {
    for seed in 0..20 {
        let (model, other) = (table(seed, 6), table(seed + 100, 6));
        let plain = run(&model, request(0, false, 15), None);
        let draft = Draft::Model { source: source(&other), tokens: 4 };
        let guessed = run(&model, request(0, false, 15), Some(draft));
        assert_eq!(guessed.sequences[0].tokens, plain.sequences[0].tokens);
    }
}

/// The second and third token together, against the exact probabilities of the chain.
#[test]
fn a_draft_model_leaves_the_distribution_as_it_is() {
    let (model, draft) = (table(1, 4), table(2, 4));
    let mut counts = [[0_u32; 4]; 4];
    let runs = 12_000;
    let mut taken = 0;
    for seed in 0..runs {
        let mut request = request(seed, true, 3);
        request.config.repetition_penalty = None;
        request.config.top_k = Some(3);
        request.prompt = vec![0];
        let guess = Draft::Model { source: source(&draft), tokens: 2 };
        let outcome = run(&model, request, Some(guess));
        let tokens = &outcome.sequences[0].tokens;
        counts[tokens[1] as usize][tokens[2] as usize] += 1;
        taken += outcome.speculation.unwrap().accepted;
    }
    assert!(taken > 1000, "{taken}");
    let mut exact = [[0.0; 4]; 4];
    let rows: Vec<Vec<f64>> = (0..4).map(|token| row(&model, token)).collect();
    for (first, p) in rows[0].iter().enumerate() {
        for (second, q) in rows[first].iter().enumerate() {
            for (third, r) in rows[second].iter().enumerate() {
                exact[second][third] += p * q * r;
            }
        }
    }
    let (mut statistic, mut cells) = (0.0, 0);
    for (&count, &p) in counts.iter().flatten().zip(exact.iter().flatten()) {
        let expected = f64::from(u32::try_from(runs).unwrap()) * p;
        if p == 0.0 {
            assert_eq!(count, 0, "a removed token was drawn");
        } else {
            statistic += (f64::from(count) - expected).powi(2) / expected;
            cells += 1;
        }
    }
    // At most 15 degrees of freedom: above 60 about twice in ten million.
    assert!(cells > 4 && statistic < 60.0, "{statistic} over {cells}: {counts:?}");
}

/// What the stages leave of a row of the table: temperature 0.8, the three best.
fn row(model: &TableModel, token: u32) -> Vec<f64> {
    use taper_runner::models::{Outputs, Want, Work};
    let (mut state, mut outputs) = (model.new_state(), Outputs::new());
    let work = [Work { row: state.new_row(), tokens: &[token], want: Want::Last }];
    model.forward(&mut *state, &work, &mut outputs).unwrap();
    let logits = outputs.last(0);
    let mut sorted = logits.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let weight = |&x: &f32| if x >= sorted[2] { (f64::from(x) / 0.8).exp() } else { 0.0 };
    let mass: f64 = logits.iter().map(weight).sum();
    logits.iter().map(|x| weight(x) / mass).collect()
}

#[test]
fn the_program_guesses_by_text_and_by_model() {
    let args = ["x y x y x y", "--do-sample", "false", "--max-new-tokens", "24"];
    let plain = json(&args);
    let by_text = json(&[&args[..], &["--prompt-lookup-num-tokens", "4"]].concat());
    assert_eq!(tokens(&by_text), tokens(&plain));
    let count = |outcome: &Value, key: &str| outcome["speculation"][key].as_u64().unwrap();
    assert!(count(&by_text, "proposed") >= count(&by_text, "accepted"));
    let draft = llama();
    let draft = ["--draft-model", draft.to_str().unwrap(), "--num-assistant-tokens", "3"];
    let by_model = json(&[&args[..], &draft].concat());
    assert_eq!(tokens(&by_model), tokens(&plain));
    assert!(count(&by_model, "passes") < 12, "{}", by_model["speculation"]);
    let shown = generate(&[&args[..], &draft].concat());
    assert!(shown.stderr.contains(" guesses right, "), "{}", shown.stderr);
}

/// The state of a Mamba layer cannot be truncated: it goes back to a fork.
#[test]
fn guesses_go_with_a_state_that_can_only_fork() {
    let model = llama().with_file_name("nemotron_h");
    let model = model.to_str().expect("the path is UTF-8");
    let prompt = ["--prompt-ids", "5,6,7,5,6,7,5,6", "--do-sample", "false"];
    let length = ["--max-new-tokens", "24", "--format", "json"];
    let args = [&["generate", "--model", model][..], &prompt, &length].concat();
    let run = |more: &[&str]| -> Value {
        let ran = taper([&args[..], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).expect("JSON")
    };
    let guessed = run(&["--prompt-lookup-num-tokens", "3"]);
    let count = |key: &str| guessed["speculation"][key].as_u64().expect("a count");
    assert!(count("proposed") > count("accepted"), "nothing was taken back: {guessed}");
    assert_eq!(tokens(&guessed), tokens(&run(&[])));
}

#[test]
fn guesses_that_do_not_fit_are_refused() {
    let draft = llama();
    let cases: &[(&[&str], &str)] = &[
        (
            &["--prompt-lookup-num-tokens", "2", "--num-return-sequences", "2"],
            "--num-return-sequences: num_return_sequences is 2; it must be 1 with \
             prompt_lookup_num_tokens",
        ),
        (
            &["--best-of", "3", "--prompt-lookup-num-tokens", "10"],
            "--best-of: best_of is 3; it must be 1 with prompt_lookup_num_tokens",
        ),
        (
            &["--prompt-lookup-num-tokens", "2", "--num-beams", "2"],
            "--num-beams: num_beams is 2; it must be 1 with --prompt-lookup-num-tokens",
        ),
        (
            &["--prompt-lookup-num-tokens", "0"],
            "invalid value '0' for '--prompt-lookup-num-tokens <N>': it must be a whole number, at \
             least 1",
        ),
        (
            &["--prompt-lookup-num-tokens", "2", "--draft-model", draft.to_str().unwrap()],
            "the argument '--prompt-lookup-num-tokens <N>' cannot be used with '--draft-model \
             <DIR|builtin>'",
        ),
        (
            &["--draft-model", "builtin"],
            "--draft-model: draft_model is builtin; it must be a model with the same 288 tokens; it \
             has 2012",
        ),
    ];
    for &(args, line) in cases {
        let ran = generate(&[&["x"], args].concat());
        assert_eq!(ran.stderr, format!("error: {line}\n"), "{args:?}");
        assert_eq!(ran.code, Some(2));
    }
    let missing = generate(&["x", "--draft-model", "no/such/folder"]);
    let want = "error: --draft-model: no/such/folder: no such file or folder; expected a folder";
    assert!(missing.stderr.starts_with(want), "{}", missing.stderr);
}
