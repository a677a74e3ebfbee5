//! `taper score` against what Hugging Face transformers makes of the same text.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Folder, Ran, json, llama, taper, taper_reading};

fn run(args: &[&str]) -> Ran {
    let llama = llama();
    taper(["score", "--model", llama.to_str().unwrap()].iter().chain(args))
}

fn score(args: &[&str]) -> Value {
    let ran = run(&[args, &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("one JSON object")
}

fn expected() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/score.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn ids(list: &Value) -> String {
    let ids: Vec<_> = list.as_array().unwrap().iter().map(Value::to_string).collect();
    ids.join(",")
}

fn near(got: &Value, want: &Value, what: &str) {
    let (got, want) = (got.as_f64().expect(what), want.as_f64().expect(what));
    assert!((got - want).abs() < 1e-3, "{what}: {got}, transformers has {want}");
}

/// A folder with the text in a file.
fn text_file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    fs::write(&path, text).unwrap();
    (dir, path)
}

#[test]
fn each_token_has_transformers_log_probability_rank_and_entropy() {
    let want = expected();
    let (_dir, file) = text_file(want["text"].as_str().unwrap().as_bytes());
    let file = file.to_str().unwrap();
    let asked = ids(&want["logprob_ids"]);
    let got = score(&[file, "--logprob-ids", &asked]);
    let tokens = got["tokens"].as_array().unwrap();
    let got_ids: Vec<_> = tokens.iter().map(|token| token["token"].clone()).collect();
    assert_eq!(Value::Array(got_ids), want["ids"]);
    assert_eq!((&tokens[0]["logprob"], &tokens[0]["rank"]), (&Value::Null, &Value::Null));
    let places = tokens[1..].iter().chain([&got["next"]]);
    let wanted = want["after_each"].as_array().unwrap();
    assert_eq!(places.clone().count(), wanted.len());
    for (i, (got, want)) in places.zip(wanted).enumerate() {
        near(&got["entropy"], &want["entropy"], "entropy");
        if i + 1 < wanted.len() {
            near(&got["logprob"], &want["logprob"], "log-probability");
            assert_eq!(got["rank"], want["rank"], "place {i}");
        }
        for (got, want) in
            got["asked"].as_array().unwrap().iter().zip(want["asked"].as_array().unwrap())
        {
            near(&got["logprob"], want, "a token that was asked for");
        }
    }
    let (totals, bytes) = (&got["totals"], want["text"].as_str().unwrap().len());
    assert_eq!((&totals["tokens"], &totals["scored"]), (&259.into(), &258.into()));
    assert_eq!(totals["bytes"], bytes);
    let nll = totals["nll"].as_f64().unwrap();
    let bits = nll / 2_f64.ln() / bytes as f64;
    assert!((totals["bits_per_byte"].as_f64().unwrap() - bits).abs() < 1e-12);
    assert!((totals["perplexity"].as_f64().unwrap() - (nll / 258.0).exp()).abs() < 1e-9);
}

#[test]
fn windows_have_the_losses_of_the_guide() {
    let want = expected();
    let text = ids(&want["ids"]);
    for case in want["windowed"].as_array().unwrap() {
        let [window, stride] = ["window", "stride"].map(|key| case[key].to_string());
        let got = score(&["--prompt-ids", &text, "--window", &window, "--stride", &stride]);
        let tokens = got["tokens"].as_array().unwrap();
        let mut start = 0;
        for one in case["windows"].as_array().unwrap() {
            let end = one["end"].as_u64().unwrap() as usize;
            let losses = tokens[start..end].iter().filter_map(|token| token["logprob"].as_f64());
            let losses: Vec<f64> = losses.map(|logprob| -logprob).collect();
            assert_eq!(losses.len() as u64, one["labels"].as_u64().unwrap(), "{window}/{stride}");
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            near(&mean.into(), &one["loss"], "loss of a window");
            start = end;
        }
        assert_eq!(start, tokens.len());
    }
}

#[test]
fn a_text_may_come_through_a_pipe() {
    let text = "Räder 🙂\n";
    let (_dir, file) = text_file(text.as_bytes());
    let from_file = run(&[file.to_str().unwrap()]);
    let piped =
        taper_reading(text.as_bytes(), ["score", "--model", llama().to_str().unwrap(), "-"]);
    assert_eq!((piped.code, &piped.stdout), (Some(0), &from_file.stdout));
    assert!(from_file.stdout.contains(" bits a byte over 12 bytes\n"), "{}", from_file.stdout);
}

#[test]
fn a_run_and_a_score_agree() {
    let greedy = ["--do-sample", "false", "--eos-token-id", "none", "--max-new-tokens", "9"];
    let args = ["--prompt-ids", "1,92,265", "--prompt-logprobs", "--top-logprobs", "2"];
    let made = json(&[&args[..], &greedy].concat());
    let tokens: Vec<_> = made["prompt_tokens"].as_array().unwrap().clone();
    let all = [tokens, made["sequences"][0]["tokens"].as_array().unwrap().clone()].concat();
    let got = score(&["--prompt-ids", &ids(&Value::Array(all)), "--top-logprobs", "2"]);
    let (prompt, rest) = got["tokens"].as_array().unwrap().split_at(3);
    assert_eq!(made["prompt_logprobs"][0], prompt[0]);
    for (got, want) in prompt.iter().zip(made["prompt_logprobs"].as_array().unwrap()).skip(1) {
        assert_eq!((&got["token"], &got["rank"]), (&want["token"], &want["rank"]));
        near(&got["logprob"], &want["logprob"], "prompt");
        assert_eq!(want["top"].as_array().unwrap().len(), 2);
    }
    for (got, want) in rest.iter().zip(made["sequences"][0]["steps"].as_array().unwrap()) {
        assert_eq!((&got["token"], &got["rank"]), (&want["token"], &1.into()));
        near(&got["logprob"], &want["logprob"], "step");
        near(&got["entropy"], &want["entropy"], "step");
        assert_eq!(got["top"][1]["token"], want["top"][1]["token"]);
    }
    assert_eq!(
        json(&["--prompt-ids", "5", "--prompt-logprobs"])["prompt_logprobs"][0]["logprob"],
        Value::Null
    );
}

#[test]
fn what_can_not_be_scored_is_refused() {
    let (_dir, not_text) = text_file(b"ab\xffc");
    let (_dir, empty) = text_file(b"");
    let (not_text, empty) = (not_text.to_str().unwrap(), empty.to_str().unwrap());
    let cases: &[(&[&str], &str)] = &[
        (
            &[],
            "the text is missing; give a file, - for standard input, --text TEXT, or --prompt-ids 1,2,3",
        ),
        (
            &["/nowhere/at/all"],
            "/nowhere/at/all: no such file or folder; expected a text in UTF-8, or - for standard input",
        ),
        (&[not_text], "FILE: it must be UTF-8, and is not from byte 2 on"),
        (
            &[empty],
            "the text has 0 tokens; it must have at least two, each is scored by those before it",
        ),
        (
            &["--prompt-ids", "5"],
            "--prompt-ids: the text has 1 tokens; it must have at least two, each is scored by \
             those before it",
        ),
        (
            &["--prompt-ids", "5,288"],
            "--prompt-ids: prompt id 288 is out of range: the vocabulary has the ids 0 to 287",
        ),
        (
            &["--prompt-ids", "5,6", "--window", "1"],
            "--window: window is 1; it must be in 2..=512, what the model holds",
        ),
        (
            &["--prompt-ids", "5,6", "--window", "513"],
            "--window: window is 513; it must be in 2..=512, what the model holds",
        ),
        (
            &["--prompt-ids", "5,6", "--window", "8", "--stride", "9"],
            "--stride: stride is 9; it must be in 1..=8, the window",
        ),
        (
            &["--prompt-ids", "5,6", "--stride", "0"],
            "invalid value '0' for '--stride <N>': it must be a whole number, at least 1",
        ),
        (
            &["--prompt-ids", "5,6", "--logprob-ids", "7,300"],
            "--logprob-ids: logprob_ids is 300; it must be in 0..=287",
        ),
    ];
    for (args, line) in cases {
        let ran = run(args);
        let stderr = ran.stderr.replace(not_text, "FILE");
        assert_eq!(stderr, format!("error: {line}\n"), "{args:?}");
        assert_eq!((ran.code, &ran.stdout[..]), (Some(2), ""), "{args:?}");
    }
    let ran = crate::support::generate(&["x", "--prompt-logprobs"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stderr, "error: --prompt-logprobs: only --format json shows them; add it\n");
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let folder = Folder::new();
    folder.edit_head(|head, row| {
        head[5 * row..5 * row + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let dir = folder.path().to_str().unwrap();
    let score = ["score", "--model", dir, "--prompt-ids", "1,9,5"];
    let ran = taper(score);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let why = "error: the logits behind token 0: greedy: the score of token 5 is NaN";
    assert!(ran.stderr.starts_with(why), "{}", ran.stderr);
    folder.edit_head(|head, _| {
        head.chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&f32::NAN.to_le_bytes()));
    });
    let beams = ["generate", "--model", dir, "--prompt-ids", "1,9,5", "--num-beams", "2"];
    for args in [&score[..], &beams] {
        let ran = taper(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("tensor `lm_head.weight` holds NaN"), "{}", ran.stderr);
    }
}
