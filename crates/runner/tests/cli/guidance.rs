//! Classifier-free guidance: the tokens that transformers yields, from the library and the program.

use std::path::{Path, PathBuf};

use serde_json::Value;
use taper_runner::models::{LoadOptions, load};
use taper_runner::{Generation, Request, RequestError};

use crate::support::{generate, json, tokens};

fn folder(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata").join(model)
}

/// The runs of `testdata/guidance.jsonl`, which `guidance.py` beside it made.
fn runs() -> Vec<Value> {
    let lines = include_str!("../../testdata/guidance.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect("a run")).collect()
}

fn ids(value: &Value) -> Option<Vec<u32>> {
    serde_json::from_value(value.clone()).expect("token ids")
}

#[test]
fn the_tokens_are_those_of_transformers() {
    let runs = runs();
    assert_eq!(runs.len(), 48);
    for model in ["llama", "qwen3"] {
        let loaded = load(folder(model), &LoadOptions::default()).expect("a model");
        for run in runs.iter().filter(|run| run["model"] == model) {
            let mut request = Request::new(ids(&run["prompt"]).expect("a prompt"));
            request.config = serde_json::from_value(run["config"].clone()).expect("a config");
            request.negative_prompt = ids(&run["negative_prompt"]);
            let mut generation = Generation::new(&loaded, request).expect("a valid request");
            assert_eq!(generation.pipeline().stages()[0].name(), "classifier_free_guidance");
            for step in &mut generation {
                step.expect("a token");
            }
            let got = generation.into_outcome();
            assert_eq!(Some(&got.sequences[0].tokens), ids(&run["tokens"]).as_ref(), "{run}");
        }
    }
}

#[test]
fn the_program_guides_by_a_text_or_by_ids() {
    let run = &runs()[12];
    let list = |key: &str| {
        let ids = ids(&run[key]).expect("token ids");
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    assert!(run["config"]["guidance_scale"] == 3.0 && run["negative_prompt"].is_null(), "{run}");
    let (prompt, own) = (list("prompt"), list("tokens"));
    let flags = ["--prompt-ids", &prompt, "--guidance-scale", "3", "--max-new-tokens", "16"];
    let flags = [&flags[..], &["--do-sample", "false", "--eos-token-id", "none"]].concat();
    let outcome = json(&flags);
    let got: Vec<_> = tokens(&outcome).iter().map(ToString::to_string).collect();
    assert_eq!(got.join(","), own);
    let last = &ids(&run["prompt"]).expect("a prompt");
    assert_eq!(outcome["config"]["negative_prompt_ids"], serde_json::json!(last[last.len() - 1..]));

    let by_text = json(&[&flags[..], &["--negative-prompt", "the sea"]].concat());
    let negative = by_text["config"]["negative_prompt_ids"].as_array().expect("ids");
    let negative: Vec<_> = negative.iter().map(ToString::to_string).collect();
    let by_ids = json(&[&flags[..], &["--negative-prompt-ids", &negative.join(",")]].concat());
    assert_eq!(by_text["sequences"][0]["tokens"], by_ids["sequences"][0]["tokens"]);
    assert_ne!(by_text["sequences"][0]["tokens"], outcome["sequences"][0]["tokens"]);
}

/// Each sequence has a second row of its own, so several are what one at a time would be.
#[test]
fn sequences_that_are_guided_together_do_not_meet() {
    let flags = ["a", "--guidance-scale", "2.5", "--do-sample", "true", "--seed", "5"];
    let flags = [&flags[..], &["--max-new-tokens", "12", "--eos-token-id", "none"]].concat();
    let alone = json(&flags);
    let three = json(&[&flags[..], &["--num-return-sequences", "3"]].concat());
    assert_eq!(three["sequences"][0]["tokens"], alone["sequences"][0]["tokens"]);
    assert_ne!(three["sequences"][0]["tokens"], three["sequences"][1]["tokens"]);
}

#[test]
fn the_trace_shows_the_stage_with_its_scale() {
    let ran = generate(&["a", "--guidance-scale=1.5", "--trace", "--max-new-tokens", "1"]);
    assert!(ran.stdout.contains("classifier_free_guidance 1.5 → "), "{}", ran.stdout);
}

#[test]
fn what_can_not_guide_is_refused() {
    let refused = [
        (&["--guidance-scale", "inf"][..], "'--guidance-scale <G>': it must be finite (1 is off)"),
        (&["--negative-prompt", "b"], "a negative prompt takes a guidance_scale other than 1;"),
        (
            &["--guidance-scale=2", "--negative-prompt-ids", "1,288"],
            "the negative prompt: prompt id 288 is out of range",
        ),
        (&["--guidance-scale=2", "--negative-prompt", ""], "it must not be empty"),
        (
            &["--guidance-scale=2", "--semantics", "vllm"],
            "--guidance-scale: vllm has no such setting; leave it out, or use --semantics huggingface",
        ),
    ];
    for (flags, line) in refused {
        let ran = generate(&[&["a"], flags].concat());
        assert_eq!(ran.code, Some(2), "{flags:?}");
        assert!(ran.stderr.contains(line) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    }
    let loaded = load(folder("llama"), &LoadOptions::default()).expect("a model");
    let mut request = Request::new(vec![5]);
    request.config.guidance_scale = Some(2.0);
    request.negative_prompt = Some(vec![5; 513]);
    let error = Generation::new(&loaded, request).expect_err("too long");
    assert!(matches!(error, RequestError::NegativePrompt(_)), "{error}");
}

/// The context is full when the longer of the two rows is.
#[test]
fn a_long_negative_prompt_fills_the_context() {
    let loaded = load(folder("llama"), &LoadOptions::default()).expect("a model");
    let mut request = Request::new(vec![5]);
    request.config.guidance_scale = Some(2.0);
    request.negative_prompt = Some(vec![5; 510]);
    let mut generation = Generation::new(&loaded, request).expect("it fits");
    for step in &mut generation {
        step.expect("a token");
    }
    let outcome = generation.into_outcome();
    assert_eq!(outcome.sequences[0].tokens.len(), 2);
    assert_eq!(outcome.sequences[0].finish_reason.name(), "context_full");
}
