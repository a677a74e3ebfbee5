//! `sweep --sample here`: this program's stages on an engine's rows.

use serde_json::{Value, json};

use super::fake::{Fake, send};
use super::sweeps::records;
use crate::support::taper;
use crate::sweep::spec;

const SPEC: &str = r#"
title = "Rows"
prompts = [{ ids = [0, 280] }, { ids = [0, 280, 1529] }]
runs = 4
[base]
do_sample = true
max_new_tokens = 3
[grid]
top_k = [1, 3]
"#;

/// An engine that gives rows: of the vocabulary's 2012 tokens those that follow the last one are the
/// likeliest, each half as likely as the one before.
fn rows() -> Fake {
    Fake::new(|got, stream| {
        if got.path != "/completion" {
            return false;
        }
        let last = got.body["prompt"].as_array().unwrap().last().unwrap().as_u64().unwrap();
        let row = (0..2012_u64).map(|rank| {
            let share = -((rank.min(40) + 1) as f64) * std::f64::consts::LN_2;
            json!({ "id": (last + 1 + rank) % 2012, "token": "t", "logprob": share })
        });
        let row: Vec<Value> = row.collect();
        let likeliest = json!([{ "id": row[0]["id"], "token": "t", "logprob": row[0]["logprob"],
                                 "top_logprobs": row }]);
        let body = json!({
            "index": 0, "content": "t", "tokens": [row[0]["id"]], "stop": true, "stop_type": "limit",
            "tokens_predicted": 1, "tokens_evaluated": 2, "completion_probabilities": likeliest,
        });
        send(stream, "200 OK", "application/json", &body.to_string());
        true
    })
}

#[test]
fn records_have_kept_sets_and_stages_of_an_engines_rows() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let (engine, out) = (rows(), dir.path().join("out"));
    let flags = ["--engine", &engine.url, "--sample", "here", "--concurrency", "2"];
    let to = ["sweep", &spec, "--out", out.to_str().unwrap()];
    let ran = taper([&to[..], &flags].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let all = records(&out);
    assert_eq!(all.len(), 16);
    for record in &all {
        let k = record["knobs"]["top_k"].as_u64().unwrap();
        assert_eq!(record["engine"]["sample"], "here");
        assert_eq!(record["engine"]["dialect"], "llama.cpp");
        assert!(record["steps"].as_array().is_some_and(|steps| steps.len() == 3));
        for step in record["steps"].as_array().unwrap() {
            assert_eq!(step["kept"], k);
            assert!(step["rank"].as_u64().unwrap() <= k);
            assert_eq!(step["stages"][0]["stage"], "top_k");
        }
        if k == 1 {
            let first =
                record["prompt_tokens"].as_array().unwrap().last().unwrap().as_u64().unwrap();
            assert_eq!(record["tokens"], json!([first + 1, first + 2, first + 3]));
        }
    }

    // The same again is the same, and goes on with what is there.
    let again = dir.path().join("again");
    let to = ["sweep", &spec, "--out", again.to_str().unwrap()];
    assert_eq!(taper([&to[..], &flags].concat()).code, Some(0));
    let texts =
        |all: &[Value]| -> Vec<Value> { all.iter().map(|one| one["tokens"].clone()).collect() };
    assert_eq!(texts(&records(&again)), texts(&all));
    assert_eq!(taper([&to[..], &flags, &["--resume"]].concat()).code, Some(0));
}

#[test]
fn what_needs_logits_is_refused_before_the_first_run() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, out) = (rows(), dir.path().join("out"));
    for (what, said) in [
        ("repetition_penalty = 1.2", "repetition_penalty: it needs logits"),
        ("logits_dtype = 'bf16'", "log-probabilities, not logits"),
    ] {
        let spec = spec(&dir, &SPEC.replace("[grid]", &format!("{what}\n[grid]")));
        let to = ["sweep", &spec, "--out", out.to_str().unwrap(), "--engine", &engine.url];
        let ran = taper([&to[..], &["--sample", "here"]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{what}: {}", ran.stderr);
        assert!(!out.exists());
    }
    let spec = spec(&dir, &SPEC.replace("{ ids = [0, 280] }", "'The'"));
    let to = ["sweep", &spec, "--out", out.to_str().unwrap(), "--engine", &engine.url];
    let ran = taper([&to[..], &["--sample", "here"]].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("give --tokenizer DIR"), "{}", ran.stderr);
    assert!(engine.got().iter().all(|got| got.path != "/completion"));
}
