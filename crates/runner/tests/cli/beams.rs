//! Beams as a user meets them.

use std::fs;

use serde_json::{Value, json};
use taper_runner::models::{
    Capabilities, LanguageModel, ModelError, Outputs, RowId, State, StateError, Work,
};
use taper_runner::sampling::{Ask, GenerationConfig};
use taper_runner::{FinishReason, Request, RunError, Search, Source, TableModel};

use crate::support::{Folder, generate, json as outcome_of, tokens};

/// The tiny llama draws unless it is told not to.
const BEAMS: [&str; 5] = ["x", "--do-sample", "false", "--num-beams", "4"];

#[test]
fn beams_have_scores_and_no_steps() {
    let args = [&BEAMS[..], &["--num-return-sequences", "3", "--max-new-tokens", "6"]].concat();
    let outcome = outcome_of(&args);
    let sequences = outcome["sequences"].as_array().unwrap();
    let scores: Vec<f64> = sequences.iter().map(|s| s["score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 3);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(sequences.iter().all(|sequence| sequence.get("steps").is_none()));
    assert!(outcome.get("tree").is_none());
    assert_eq!(outcome["config"]["early_stopping"], false);
    assert_eq!(outcome["config"]["length_penalty"], 1.0);
    assert!(outcome["memory"]["state_bytes"].as_u64().unwrap() > 0);
    let traced = outcome_of(&[&args[..], &["--trace"]].concat());
    let tree = traced["tree"].as_array().unwrap();
    assert!(tree.iter().any(|node| node["fate"] == "finished" && node["score"].is_f64()));
    assert!(tree.iter().any(|node| node["fate"] == "outranked"));
    assert_eq!(traced["sequences"], outcome["sequences"]);
    let leaf = tree.iter().find(|node| node["fate"] == "finished").unwrap();
    assert!(
        sequences.iter().any(|s| s["tokens"].as_array().unwrap().last() == Some(&leaf["token"]))
    );
    let shown = generate(&[&args[..], &["--trace"]].concat());
    assert!(shown.stdout.contains("log_softmax"), "{}", shown.stdout);
    assert!(shown.stdout.contains("── sequence 3: "), "{}", shown.stdout);
}

#[test]
fn each_mode_runs_from_the_program() {
    let canonical = outcome_of(&[&BEAMS[..], &["--search", "canonical"]].concat());
    assert_eq!(canonical["config"]["search"], "canonical");
    let groups = ["--num-beam-groups", "2", "--diversity-penalty", "0.5"];
    assert!(outcome_of(&[&BEAMS[..], &groups].concat())["sequences"][0]["score"].is_f64());
    let drawn = ["x", "--num-beams", "3", "--num-return-sequences", "3", "--seed", "5"];
    let sampled = outcome_of(&drawn);
    assert_eq!(sampled["config"]["do_sample"], true);
    assert_eq!(sampled["sequences"], outcome_of(&drawn)["sequences"]);
    let stochastic = outcome_of(&[&drawn[..], &["--search", "stochastic"]].concat());
    let sequences = stochastic["sequences"].as_array().unwrap();
    let shares = sequences.iter().map(|s| s["inclusion_probability"].as_f64().unwrap());
    assert!(shares.clone().all(|p| p > 0.0 && p <= 1.0), "{:?}", shares.collect::<Vec<_>>());
}

#[test]
fn settings_that_make_no_search_are_refused() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["--num-return-sequences", "5"],
            "--num-return-sequences: num_return_sequences is 5; it must be in 1..=4, the number of \
             beams",
        ),
        (
            &["--num-beam-groups", "3", "--diversity-penalty", "1"],
            "--num-beam-groups: num_beam_groups is 3; it must divide num_beams, which is 4",
        ),
        (
            &["--diversity-penalty", "1"],
            "--diversity-penalty: diversity_penalty is 1; it must be 0 without num_beam_groups",
        ),
        (
            &["--length-penalty", "99"],
            "--length-penalty: length_penalty is 99; it must be such that 128 to its power is a \
             normal f32",
        ),
        (
            &["--guidance-scale", "1.5"],
            "--guidance-scale: guidance_scale is 1.5; it must be 1 with num_beams above 1",
        ),
        (
            &["--search", "stochastic"],
            "--search: search is stochastic; it must be huggingface or canonical without do_sample",
        ),
        (
            &["--search", "canonical", "--early-stopping", "true"],
            "--early-stopping: early_stopping is true; it must be false with search canonical, which \
             has a test of its own",
        ),
        (
            &["--on-error", "argmax"],
            "--on-error: on_error is argmax; it must be refuse with num_beams above 1: no row is \
             chosen from alone",
        ),
        (
            &["--early-stopping", "maybe"],
            "invalid value 'maybe' for '--early-stopping <true|false|never>': it must be true, false \
             or never",
        ),
        (
            &["--search", "wide"],
            "invalid value 'wide' for '--search <MODE>': it must be huggingface, canonical or \
             stochastic",
        ),
        (
            &["--length-penalty", "nan"],
            "invalid value 'nan' for '--length-penalty <X>': it must be finite",
        ),
    ];
    for &(more, line) in cases {
        let ran = generate(&[&BEAMS[..], more].concat());
        assert_eq!(ran.stderr, format!("error: {line}\n"), "{more:?}");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    }
    let none = generate(&["x", "--num-beams", "0"]);
    let line = "invalid value '0' for '--num-beams <N>': it must be a whole number, at least 1";
    assert_eq!((none.code, none.stderr), (Some(2), format!("error: {line}\n")));
    let foreign =
        generate(&["x", "--semantics", "llama.cpp", "--mirostat", "2", "--num-beams", "2"]);
    assert_eq!(foreign.code, Some(2));
    assert!(
        foreign.stderr.contains("--num-beams: llama.cpp has no such setting"),
        "{}",
        foreign.stderr
    );
    let folder = Folder::new();
    folder.set("generation_config.json", "early_stopping", json!("maybe"));
    let ran = folder.run(&["x", "--num-beams", "2"]);
    let line = "DIR/generation_config.json: early_stopping is \"maybe\"; it must be true, false or \
                \"never\"";
    assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: {line}\n")));
}

#[test]
fn flags_of_beams_without_beams_are_told_to_have_no_effect() {
    let ran = generate(&["x", "--length-penalty", "2", "--max-new-tokens", "1"]);
    assert_eq!(ran.code, Some(0));
    let note = "note: without --num-beams above 1 there is no effect of --length-penalty\n";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
}

#[test]
fn a_stop_string_ends_a_beam() {
    let all = [&BEAMS[..], &["--max-new-tokens", "8"]].concat();
    let free = outcome_of(&all);
    let text = free["sequences"][0]["text"].as_str().unwrap();
    let stop = text.chars().nth(text.chars().count() / 2).unwrap().to_string();
    let stopped =
        outcome_of(&[&all[..], &["--stop-strings", &stop, "--early-stopping", "true"]].concat());
    let sequences = stopped["sequences"].as_array().unwrap();
    assert!(sequences.iter().all(|s| !s["text"].as_str().unwrap().contains(&stop)), "{stopped}");
    let tree = outcome_of(&[&all[..], &["--stop-strings", &stop, "--trace"]].concat());
    let ended = |node: &Value| node["finish_reason"] == "stop_string";
    assert!(tree["tree"].as_array().unwrap().iter().any(ended), "no beam met {stop:?}");
    assert!(!tokens(&stopped).is_empty());
}

fn request(config: Value) -> Request {
    let mut request = Request::new(vec![0]);
    request.config = serde_json::from_value::<GenerationConfig>(config).unwrap();
    request.ask = Ask::everything();
    request
}

fn ring() -> TableModel {
    let row = |r: usize| (0..6).map(|c| ((r * 5 + c * 7) % 11) as f32 / 3.0).collect();
    TableModel::new((0..6).map(row).collect(), 32).unwrap()
}

/// A model of which each state does no more than it must.
#[derive(Debug)]
struct Modest {
    table: TableModel,
    can: Capabilities,
}

#[derive(Debug)]
struct ForkOnly(Box<dyn State>);

impl State for ForkOnly {
    fn new_row(&mut self) -> RowId {
        self.0.new_row()
    }

    fn fork(&mut self, row: RowId) -> Result<RowId, StateError> {
        self.0.fork(row)
    }

    fn reorder(&mut self, _: &[RowId]) -> Result<Vec<RowId>, StateError> {
        Err(StateError::Unsupported { operation: "reorder" })
    }

    fn truncate(&mut self, _: RowId, _: usize) -> Result<(), StateError> {
        Err(StateError::Unsupported { operation: "truncate" })
    }

    fn drop_row(&mut self, row: RowId) -> Result<(), StateError> {
        self.0.drop_row(row)
    }

    fn len(&self, row: RowId) -> Result<usize, StateError> {
        self.0.len(row)
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl LanguageModel for Modest {
    fn family(&self) -> &str {
        self.table.family()
    }

    fn vocab_size(&self) -> usize {
        self.table.vocab_size()
    }

    fn context_length(&self) -> usize {
        self.table.context_length()
    }

    fn capabilities(&self) -> Capabilities {
        self.can
    }

    fn new_state(&self) -> Box<dyn State> {
        Box::new(ForkOnly(self.table.new_state()))
    }

    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        assert_eq!(work.len(), 1, "it takes one row at a time");
        let state: &mut dyn std::any::Any = state;
        let own = state.downcast_mut::<ForkOnly>().expect("its own state");
        self.table.forward(&mut *own.0, work, outputs)
    }
}

fn run(model: &dyn LanguageModel, config: Value) -> Vec<(Vec<u32>, Option<f64>)> {
    let source = Source { name: "table", model, tokenizer: None };
    let mut search = Search::new(source, request(config)).unwrap();
    while search.advance().unwrap() {}
    let sequences = search.into_outcome().sequences;
    sequences.into_iter().map(|sequence| (sequence.tokens, sequence.score)).collect()
}

#[test]
fn what_a_model_can_do_changes_nothing_or_is_asked_for() {
    let config =
        json!({"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 7, "eos_token_id": 5});
    let mut can = Capabilities::NONE;
    can.fork = true;
    let modest = Modest { table: ring(), can };
    assert_eq!(run(&modest, config.clone()), run(&ring(), config.clone()));
    let rigid = Modest { table: ring(), can: Capabilities::NONE };
    let source = Source { name: "rigid", model: &rigid, tokenizer: None };
    let refused = Search::new(source, request(config)).unwrap_err();
    let line = "num_beams is 4; it must be 1: the state of this model cannot fork";
    assert_eq!(refused.to_string(), line);
}

#[test]
fn a_search_that_is_left_alone_has_what_there_is() {
    let model = ring();
    let source = Source { name: "ring", model: &model, tokenizer: None };
    let config = json!({"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 9});
    let mut search = Search::new(source, request(config)).unwrap();
    for _ in 0..3 {
        assert!(search.advance().unwrap());
    }
    let outcome = search.into_outcome();
    assert_eq!(outcome.sequences.len(), 2);
    for sequence in outcome.sequences {
        assert_eq!((sequence.tokens.len(), sequence.score), (3, None));
        assert_eq!(sequence.finish_reason, FinishReason::Cancelled);
    }
}

#[test]
fn a_context_that_is_full_ends_beams() {
    let table = vec![vec![0.0, 1.0], vec![1.0, 0.0]];
    let model = TableModel::new(table, 4).unwrap();
    let source = Source { name: "short", model: &model, tokenizer: None };
    let config = json!({"num_beams": 2, "max_new_tokens": 100});
    let mut search = Search::new(source, request(config)).unwrap();
    while search.advance().unwrap() {}
    let sequence = &search.into_outcome().sequences[0];
    assert_eq!((sequence.tokens.len(), sequence.finish_reason), (3, FinishReason::ContextFull));
}

#[test]
fn rows_without_a_choice_end_the_search_with_a_reason() {
    let cases = [
        (f32::NAN, "beam 0, step 1: beam_search: the score of token 0 is NaN"),
        (f32::NEG_INFINITY, "masked"),
    ];
    for (logit, told) in cases {
        let model = TableModel::new(vec![vec![0.0, 1.0], vec![logit; 2]], 8).unwrap();
        let source = Source { name: "bad", model: &model, tokenizer: None };
        let mut search = Search::new(source, request(json!({"num_beams": 2}))).unwrap();
        assert!(search.advance().unwrap());
        let error = search.advance().unwrap_err();
        assert!(matches!(error, RunError::Beam { beam: 0, step: 1, .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(!search.advance().unwrap());
        assert_eq!(search.into_outcome().sequences[0].finish_reason, FinishReason::Error);
    }
}

#[test]
fn a_models_own_file_can_ask_for_beams() {
    let folder = Folder::new();
    folder.set("generation_config.json", "num_beams", json!(3));
    folder.set("generation_config.json", "do_sample", json!(false));
    let ran = folder.run(&["x", "--max-new-tokens", "3", "--format", "json"]);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(outcome["sequences"][0]["score"].is_f64(), "{}", ran.stdout);
    fs::remove_file(folder.file("tokenizer.json")).unwrap();
    let ids = folder.run(&["--prompt-ids", "5", "--max-new-tokens", "3"]);
    assert_eq!(ids.code, Some(0), "{}", ids.stderr);
}

#[test]
fn a_forced_prefix_begins_every_sequence() {
    let forced = ["--forced-prefix", "abc", "--max-new-tokens", "8"];
    let beams = ["--num-beams", "3", "--num-return-sequences", "3"];
    for more in [&["--do-sample", "false"][..], &["--seed", "4"], &beams] {
        let outcome = outcome_of(&[&["x"], &forced[..], more].concat());
        for sequence in outcome["sequences"].as_array().unwrap() {
            assert!(sequence["text"].as_str().unwrap().starts_with("abc"), "{sequence}");
        }
        assert!(!outcome["config"]["forced_prefix"].as_array().unwrap().is_empty());
    }
    let empty = generate(&["x", "--forced-prefix", ""]);
    let line = "invalid value '' for '--forced-prefix <TEXT>': it must not be empty";
    assert_eq!((empty.code, empty.stderr), (Some(2), format!("error: {line}\n")));
}
