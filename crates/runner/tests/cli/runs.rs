//! Runs that are cut short, from outside and from inside.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use taper_runner::sampling::{Ask, GenerationConfig};
use taper_runner::{FinishReason, Generation, OnError, Request, RunError, Source, TableModel};

use crate::support::{generate, json, tokens};

/// 0 → 1 → 2, and after 2 comes a row that no token can be chosen from.
fn model_that_breaks(last: Vec<f32>) -> TableModel {
    let table = vec![vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0], last];
    TableModel::new(table, 16).unwrap()
}

fn request(on_error: OnError) -> Request {
    let mut request = Request::new(vec![0]);
    request.on_error = on_error;
    request.ask = Ask::everything();
    request.config.max_new_tokens = Some(4);
    request
}

#[test]
fn a_row_with_nan_ends_the_run_and_what_came_before_is_kept() {
    let model = model_that_breaks(vec![0.0, f32::NAN, 0.0]);
    let source = Source { name: "nan", model: &model, tokenizer: None };
    let mut generation = Generation::new(source, request(OnError::Refuse)).unwrap();
    let steps: Vec<_> = generation.by_ref().collect();
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[1].as_ref().unwrap().token, 2);
    let error = steps[2].as_ref().unwrap_err();
    assert!(matches!(error, RunError::Select { sequence: 0, step: 2, .. }), "{error}");
    assert!(error.to_string().contains("token 1 is NaN"), "{error}");
    assert!(generation.next().is_none());
    let outcome = generation.into_outcome();
    assert_eq!(outcome.sequences[0].tokens, [1, 2]);
    assert_eq!(outcome.sequences[0].finish_reason, FinishReason::Error);
    assert_eq!(outcome.sequences[0].steps.as_ref().unwrap().len(), 2);
}

#[test]
fn the_argmax_of_the_raw_row_stands_in_when_it_is_chosen_to() {
    let model = model_that_breaks(vec![2.0, f32::NAN, f32::INFINITY]);
    let source = Source { name: "nan", model: &model, tokenizer: None };
    let mut generation = Generation::new(source, request(OnError::Argmax)).unwrap();
    assert!(generation.by_ref().all(|step| step.is_ok()));
    let outcome = generation.into_outcome();
    assert_eq!(outcome.sequences[0].tokens, [1, 2, 0, 1]);
    let report = &outcome.sequences[0].steps.as_ref().unwrap()[2];
    assert_eq!((report.logprob, report.probability), (None, None));
    assert!(report.passed_over.as_ref().is_some_and(|reason| reason.contains("NaN")));

    let hopeless = model_that_breaks(vec![f32::NAN; 3]);
    let source = Source { name: "nan", model: &hopeless, tokenizer: None };
    let last = Generation::new(source, request(OnError::Argmax)).unwrap().last().unwrap();
    assert!(matches!(last, Err(RunError::NoFiniteLogit { sequence: 0, step: 2 })));
}

#[test]
fn a_run_that_is_left_alone_is_cancelled() {
    let model = model_that_breaks(vec![1.0, 0.0, 0.0]);
    let source = Source { name: "ring", model: &model, tokenizer: None };
    let before = Generation::new(source, Request::new(vec![0])).unwrap().into_outcome();
    assert_eq!(before.sequences[0].finish_reason, FinishReason::Cancelled);
    assert!(before.sequences[0].tokens.is_empty());
    let mut generation = Generation::new(source, Request::new(vec![0])).unwrap();
    generation.by_ref().take(2).for_each(drop);
    let outcome = generation.into_outcome();
    assert_eq!(outcome.sequences[0].tokens, [1, 2]);
    assert_eq!(outcome.sequences[0].finish_reason, FinishReason::Cancelled);
    assert_eq!(outcome.sequences[0].steps, None);
}

#[test]
fn rows_that_end_early_leave_the_others_alone() {
    let model = TableModel::new(vec![vec![0.0; 8]; 8], 64).unwrap();
    let mut request = Request::new(vec![0]);
    request.seed = Some(5);
    request.config = GenerationConfig {
        do_sample: Some(true),
        num_return_sequences: Some(6),
        max_new_tokens: Some(20),
        ..serde_json::from_str(r#"{"eos_token_id": [6, 7]}"#).unwrap()
    };
    let source = Source { name: "flat", model: &model, tokenizer: None };
    let ended = AtomicUsize::new(0);
    let mut generation = Generation::new(source, request).unwrap();
    for step in generation.by_ref() {
        ended.fetch_add(usize::from(step.unwrap().finish.is_some()), Ordering::Relaxed);
    }
    assert_eq!(ended.into_inner(), 6);
    for sequence in generation.into_outcome().sequences {
        let (last, before) = sequence.tokens.split_last().unwrap();
        assert!(before.iter().all(|token| *token < 6));
        assert_eq!(*last >= 6, sequence.finish_reason == FinishReason::Eos);
        assert_eq!(sequence.tokens.len() == 20, sequence.finish_reason == FinishReason::Length);
    }
}

#[test]
fn the_same_seed_gives_the_same_tokens_and_another_gives_others() {
    let with = |seed: &str| {
        tokens(&json(&["x", "--seed", seed, "--eos-token-id", "none", "--max-new-tokens", "24"]))
    };
    assert_eq!(with("7"), with("7"));
    assert_ne!(with("7"), with("8"));
}

#[test]
fn the_format_does_not_change_the_tokens() {
    let args = ["The old", "--seed", "11", "--max-new-tokens", "30", "--stop-strings", "qqq"];
    let text = json(&args)["sequences"][0]["text"].clone();
    let Value::String(text) = text else { panic!("text is a string") };
    let plain = generate(&args);
    assert_eq!(plain.stdout, format!("The old{text}\n"));
    let traced = generate(&[&args[..], &["--trace"]].concat());
    assert!(traced.stdout.ends_with(&format!("\nThe old{text}\n\n")), "{}", traced.stdout);
}

#[cfg(unix)]
mod signals {
    use std::io::Read;
    use std::process::{Child, Command, Output, Stdio};

    use serde_json::{Value, json};

    use crate::support::{Folder, command};

    /// A run that would take minutes.
    fn endless(folder: &Folder, more: &[&str]) -> Child {
        folder.set("config.json", "max_position_embeddings", json!(200_000));
        let dir = folder.path().to_str().unwrap();
        let args = ["generate", "x", "--model", dir, "--max-new-tokens", "100000"];
        let mut command = command(args.iter().chain(&["--eos-token-id", "none"]).chain(more));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn interrupt(child: &Child) {
        let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn ctrl_c_ends_the_text_cleanly() {
        let folder = Folder::new();
        let mut child = endless(&folder, &["--seed", "1"]);
        let mut first = [0; 32];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        assert!(output.stdout.ends_with(b"\n"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("finished: cancelled"), "{stderr}");
    }

    #[test]
    fn ctrl_c_keeps_what_there_is_in_json() {
        let folder = Folder::new();
        let interrupted_after = |seconds| {
            let child = endless(&folder, &["--seed", "1", "--format", "json"]);
            std::thread::sleep(std::time::Duration::from_secs(seconds));
            interrupt(&child);
            child.wait_with_output().unwrap()
        };
        let made = |output: &Output| -> usize {
            let outcome: Option<Value> = serde_json::from_slice(&output.stdout).ok();
            outcome.map_or(0, |all| all["sequences"][0]["tokens"].as_array().unwrap().len())
        };
        // Nothing is printed until the end, and a busy machine may take long to be at work.
        let output =
            [1, 3, 9, 27].into_iter().map(interrupted_after).find(|output| made(output) > 0);
        let output = output.expect("tokens that were made before the interrupt");
        assert_eq!(output.status.code(), Some(130));
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
        let sequence = &outcome["sequences"][0];
        assert_eq!(sequence["finish_reason"], "cancelled");
        assert_eq!(sequence["steps"].as_array().unwrap().len(), made(&output));
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let folder = Folder::new();
        let mut child = endless(&folder, &["--seed", "1"]);
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 32]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn the_best_of_several_draws_has_the_highest_mean_log_probability() {
    let drawn = ["x", "--seed", "3", "--max-new-tokens", "8", "--num-return-sequences"];
    let all = json(&[&drawn[..], &["5"]].concat());
    let mean = |sequence: &Value| {
        let steps = sequence["steps"].as_array().unwrap();
        let sum: f64 = steps.iter().map(|step| step["logprob"].as_f64().unwrap()).sum();
        sum / steps.len() as f64
    };
    let mut sequences = all["sequences"].as_array().unwrap().clone();
    sequences.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    let best = json(&[&drawn[..], &["2", "--best-of", "5"]].concat());
    for (got, want) in best["sequences"].as_array().unwrap().iter().zip(&sequences) {
        assert_eq!(got["tokens"], want["tokens"]);
        assert!((got["score"].as_f64().unwrap() - mean(want)).abs() < 1e-9);
    }
    assert_eq!(best["sequences"].as_array().unwrap().len(), 2);
    assert_eq!(best["usage"], all["usage"], "all that was drawn was paid for");
    for (args, line) in [
        (&["--best-of", "1"][..], "best_of is 1; it must be at least 2, the sequences to return"),
        (
            &["--best-of", "3", "--num-beams", "2"],
            "best_of is 3; it must be left out with num_beams above 1",
        ),
    ] {
        let ran = generate(&[&drawn[..], &["2"], args].concat());
        assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: --best-of: {line}\n")));
    }
}
