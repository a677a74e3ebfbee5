//! `--format json`, field by field.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Folder, json, llama, taper, tokens};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn set<const N: usize>(names: [&'static str; N]) -> BTreeSet<&'static str> {
    BTreeSet::from(names)
}

const STEP: [&str; 8] =
    ["token", "text", "logprob", "probability", "rank", "kept", "entropy", "drawn"];

#[test]
fn the_object_has_the_fields_of_the_contract() {
    let outcome = json(&["The old", "--seed", "7", "--max-new-tokens", "4"]);
    let top = ["model", "config", "pipeline", "prompt_tokens", "sequences"];
    let about = ["usage", "timing", "memory"];
    assert_eq!(keys(&outcome), &set(top) | &set(about));
    assert_eq!(outcome["model"], "llama");
    assert_eq!(outcome["prompt_tokens"].as_array().unwrap().len(), 6);
    assert_eq!(outcome["usage"], json!({"prompt_tokens": 6, "completion_tokens": 4}));
    let timing = ["load_s", "prefill_s", "decode_s", "sampler_s", "tokens_per_s"];
    assert_eq!(keys(&outcome["timing"]), set(timing));
    assert!(timing.iter().all(|name| outcome["timing"][name].as_f64().is_some_and(|s| s > 0.0)));
    assert_eq!(keys(&outcome["memory"]), set(["peak_rss_bytes", "device_bytes"]));
    assert_eq!(outcome["memory"]["peak_rss_bytes"].is_u64(), cfg!(target_os = "linux"));
    assert_eq!(outcome["memory"]["device_bytes"], Value::Null);

    let sequence = &outcome["sequences"][0];
    assert_eq!(keys(sequence), set(["tokens", "text", "finish_reason", "score", "steps"]));
    assert_eq!(sequence["finish_reason"], "length");
    assert_eq!(sequence["score"], Value::Null);
    let steps = sequence["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    for (step, token) in steps.iter().zip(tokens(&outcome)) {
        assert_eq!(keys(step), set(STEP));
        assert_eq!(step["token"].as_u64(), Some(token));
        assert!(step["logprob"].as_f64().unwrap() <= 0.0);
        assert!((0.0..=1.0).contains(&step["probability"].as_f64().unwrap()));
        assert!((1..=288).contains(&step["rank"].as_u64().unwrap()));
        assert!((1..=50).contains(&step["kept"].as_u64().unwrap()));
        assert!((0.0..=288_f64.ln()).contains(&step["entropy"].as_f64().unwrap()));
    }
}

#[test]
fn the_config_is_the_one_in_effect() {
    let outcome = json(&["x", "--seed", "7", "--top-k", "9", "--ties", "lowest-id"]);
    let config = &outcome["config"];
    // From a flag, from the model's file, from the defaults.
    assert_eq!(config["top_k"], 9);
    assert_eq!(config["temperature"], 0.6);
    assert_eq!(config["eos_token_id"], json!([2, 7]));
    assert_eq!(config["repetition_penalty"], 1.0);
    assert_eq!(config["max_new_tokens"], 128);
    assert_eq!(config["transformers_version"], "5.23.0");
    assert_eq!(config["seed"], 7);
    assert_eq!(config["semantics"], "huggingface");
    assert_eq!(config["ties"], "lowest-id");
    assert_eq!(config["on_error"], "refuse");
}

#[test]
fn a_seed_that_was_drawn_is_reported_and_gives_the_same_again() {
    let args = ["The old", "--max-new-tokens", "12", "--eos-token-id", "none"];
    let first = json(&args);
    let seed = first["config"]["seed"].as_u64().unwrap().to_string();
    let again = json(&[&args[..], &["--seed", &seed]].concat());
    assert_eq!(first["sequences"], again["sequences"]);
    let other = json(&args);
    assert_ne!(first["config"]["seed"], other["config"]["seed"]);
}

#[test]
fn top_and_stages_are_there_when_asked_for() {
    let asked = ["x", "--seed", "1", "--max-new-tokens", "3", "--top-logprobs", "2", "--trace"];
    let outcome = json(&asked);
    for step in outcome["sequences"][0]["steps"].as_array().unwrap() {
        let mut fields = set(STEP);
        fields.extend(["top", "stages", "ranks"]);
        assert_eq!(keys(step), fields);
        let top = step["top"].as_array().unwrap();
        assert_eq!(top.len(), 2);
        assert!(top[0]["logprob"].as_f64() >= top[1]["logprob"].as_f64());
        let alternative = set(["token", "text", "logprob", "probability", "removed_by", "ranks"]);
        assert!(top.iter().all(|token| keys(token) == alternative));
        if step["rank"] == 1 {
            assert_eq!((&step["token"], &step["logprob"]), (&top[0]["token"], &top[0]["logprob"]));
        }
        let stages = step["stages"].as_array().unwrap();
        let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
        assert_eq!(names, ["temperature", "top_k", "top_p"]);
        let fields = set(["stage", "before", "after", "removed_mass", "ties"]);
        assert!(stages.iter().all(|stage| keys(stage) == fields));
        assert_eq!((&stages[0]["before"], &stages[0]["after"]), (&json!(288), &json!(288)));
        assert_eq!((&stages[1]["before"], &stages[1]["after"]), (&json!(288), &json!(50)));
        assert!((0.0..1.0).contains(&stages[1]["removed_mass"].as_f64().unwrap()));
        assert_eq!(stages[2]["after"], step["kept"]);
    }
}

#[test]
fn greedy_reports_the_share_and_the_number_of_candidates() {
    let outcome = json(&["x", "--do-sample", "false", "--max-new-tokens", "5"]);
    for step in outcome["sequences"][0]["steps"].as_array().unwrap() {
        assert_eq!((&step["rank"], &step["kept"]), (&json!(1), &json!(288)));
        let share = step["logprob"].as_f64().unwrap().exp();
        assert!((share - step["probability"].as_f64().unwrap()).abs() < 1e-6);
    }
}

#[test]
fn several_sequences_are_listed_in_order() {
    let args = ["x", "--seed", "3", "--max-new-tokens", "6", "--num-return-sequences", "3"];
    let outcome = json(&args);
    let sequences = outcome["sequences"].as_array().unwrap();
    assert_eq!(sequences.len(), 3);
    let made: usize = sequences.iter().map(|s| s["tokens"].as_array().unwrap().len()).sum();
    assert_eq!(outcome["usage"]["completion_tokens"], made);
    assert!(sequences.iter().any(|sequence| sequence["tokens"] != sequences[0]["tokens"]));
}

#[test]
fn greedy_tokens_are_those_that_transformers_made() {
    let expected = std::fs::read(llama().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for case in expected["cases"].as_array().unwrap() {
        let ids: Vec<_> = case["prompt"].as_array().unwrap().iter().map(Value::to_string).collect();
        let ids = ids.join(",");
        let greedy = ["--do-sample", "false", "--eos-token-id", "none", "--max-new-tokens", "24"];
        let outcome = json(&[&["--prompt-ids", &ids], &greedy[..]].concat());
        assert_eq!(outcome["sequences"][0]["tokens"], case["greedy"]);
        let steps = outcome["sequences"][0]["steps"].as_array().unwrap();
        for (step, logprob) in steps.iter().zip(case["greedy_logprobs"].as_array().unwrap()) {
            let (got, want) = (step["logprob"].as_f64().unwrap(), logprob.as_f64().unwrap());
            assert!((got - want).abs() < 1e-3, "{got} {want}");
        }
    }
}

#[test]
fn the_first_eos_ends_the_text_and_is_among_the_tokens() {
    let all =
        json(&["x", "--do-sample", "false", "--eos-token-id", "none", "--max-new-tokens", "9"]);
    let all = tokens(&all);
    let first = all.iter().position(|&token| token == all[4]).unwrap();
    let eos = all[4].to_string();
    let outcome = json(&["x", "--do-sample", "false", "--eos-token-id", &eos]);
    assert_eq!(tokens(&outcome), all[..=first]);
    assert_eq!(outcome["sequences"][0]["finish_reason"], "eos");
}

#[test]
fn text_ends_before_a_stop_string() {
    let greedy = ["x", "--do-sample", "false", "--max-new-tokens", "60", "--eos-token-id", "none"];
    let whole = json(&greedy);
    let text = whole["sequences"][0]["text"].as_str().unwrap();
    let chars: Vec<_> = text.char_indices().collect();
    let plain = |pair: &&[(usize, char)]| pair.iter().all(|(_, c)| c.is_ascii_graphic());
    let pair = chars.windows(2).filter(plain).nth(2).expect("plain characters in a row");
    let stop = &text[pair[0].0..pair[0].0 + 2];
    let stops = ["--stop-strings", "never this", "--stop-strings", stop];
    let outcome = json(&[&greedy[..], &stops].concat());
    let sequence = &outcome["sequences"][0];
    assert_eq!(sequence["finish_reason"], "stop_string");
    let end = text.find(stop).unwrap();
    assert_eq!(sequence["text"], text[..end]);
}

#[test]
fn the_context_and_the_clock_end_a_run() {
    let ids = vec!["9"; 509].join(",");
    let outcome = json(&["--prompt-ids", &ids, "--eos-token-id", "none"]);
    assert_eq!(outcome["sequences"][0]["finish_reason"], "context_full");
    assert_eq!(tokens(&outcome).len(), 3);
    let outcome = json(&["x", "--eos-token-id", "none", "--max-time", "1e-9"]);
    assert_eq!(outcome["sequences"][0]["finish_reason"], "max_time");
    assert_eq!(tokens(&outcome).len(), 1);
    let outcome = json(&["x", "--max-length", "5", "--eos-token-id", "none"]);
    assert_eq!(outcome["sequences"][0]["finish_reason"], "length");
    assert_eq!(tokens(&outcome).len(), 5 - outcome["prompt_tokens"].as_array().unwrap().len());
}

#[test]
fn a_failing_run_says_why_and_still_prints_its_object() {
    let folder = Folder::new();
    folder.edit_head(|head, row| {
        head[5 * row..5 * row + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let ran = folder.run(&["x", "--format", "json"]);
    assert_eq!(ran.code, Some(1));
    let why = "top_k: the score of token 5 is NaN; scores must be finite or -inf";
    assert_eq!(ran.stderr, format!("error: sequence 0, step 0: {why}\n"));
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(outcome["sequences"][0]["finish_reason"], "error");
    assert_eq!(outcome["sequences"][0]["tokens"], json!([]));

    let ran = folder.run(&["x", "--format", "json", "--on-error", "argmax"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    let step = &outcome["sequences"][0]["steps"][0];
    assert_eq!((&step["logprob"], &step["probability"]), (&Value::Null, &Value::Null));
    assert_eq!(step["passed_over"], why);
    assert!(!tokens(&outcome).contains(&5));
}

#[cfg(feature = "builtin")]
#[test]
fn the_first_command_of_the_readme_works() {
    let args = ["generate", "The old lighthouse", "--do-sample", "true", "--temperature", "0.8"];
    let rest = ["--top-k", "50", "--top-p", "0.9", "--seed", "7", "--format", "json"];
    let ran = taper(args.iter().chain(&rest));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(outcome["model"], "builtin");
    let text = outcome["sequences"][0]["text"].as_str().unwrap();
    assert!(text.split_whitespace().count() > 5, "{text:?}");
    assert!(text.starts_with(' '), "a continuation keeps its space: {text:?}");
}
