//! Sweeps by files: requests in OpenAI's batch format, and answers as OpenAI and `vllm run-batch` write
//! them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::sweeps::{contents, records};
use crate::support::{Ran, taper};
use crate::sweep::spec;

const SPEC: &str = r#"
title = "By file"
prompts = [{ chat = "Who lives in the lighthouse?" }, { name = "second", chat = "And now?" }]
runs = 3
[base]
do_sample = true
top_k = 0
max_new_tokens = 8
[grid]
temperature = [0.5, 1.0]
"#;

/// All runs: 2 prompts, 2 settings, 3 seeds.
const ALL: usize = 12;

fn batch(spec: &str, dialect: &str, more: &[&str]) -> Ran {
    let all = ["sweep", spec, "--dialect", dialect, "--engine-model", "m"];
    taper([&all[..], more].concat())
}

fn emit(spec: &str, dialect: &str, file: &Path, more: &[&str]) -> Ran {
    let file = ["--emit-batch", file.to_str().unwrap()];
    batch(spec, dialect, &[&file[..], more].concat())
}

fn ingest(spec: &str, dialect: &str, file: &Path, out: &Path, more: &[&str]) -> Ran {
    let file = ["--ingest", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    batch(spec, dialect, &[&file[..], more].concat())
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(file: &Path, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

/// vLLM's answer to a chat, with a text that tells requests apart.
fn body(request: &Value) -> Value {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/engines/vllm.jsonl");
    let text = fs::read_to_string(samples).unwrap();
    let mut all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sample = all.find(|one| one["name"] == "chat").unwrap();
    let mut body = sample["response"]["body"].clone();
    let asked = &request["body"];
    let said = format!("{} {} {}", asked["messages"], asked["temperature"], asked["seed"]);
    body["choices"][0]["message"]["content"] = json!(said);
    body
}

/// A line as `vllm run-batch` writes it (`BatchRequestOutput` of vLLM 0.32).
fn answered(request: &Value) -> Value {
    json!({
        "id": "vllm-8c2f", "custom_id": request["custom_id"],
        "response": {"status_code": 200, "request_id": "vllm-batch-91ab", "body": body(request)},
        "error": null,
    })
}

#[test]
fn requests_go_out_and_answers_come_back_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let file = dir.path().join("requests.jsonl");
    let ran = emit(&spec, "vllm", &file, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let requests = lines(&file);
    assert_eq!(requests.len(), ALL);
    for request in &requests {
        assert_eq!(
            (&request["method"], &request["url"]),
            (&json!("POST"), &json!("/v1/chat/completions"))
        );
        let body = &request["body"];
        // What `vllm run-batch` refuses.
        assert_eq!(body["stream"], false);
        assert!(body.get("stream_options").is_none());
        // Every field is sent, so that none of the model's own defaults has a part in it.
        for field in ["top_k", "top_p", "min_p", "repetition_penalty", "seed", "n"] {
            assert!(!body[field].is_null(), "{field}");
        }
        assert_eq!((&body["model"], &body["max_tokens"]), (&json!("m"), &json!(8)));
    }

    let mut answers: Vec<Value> = requests.iter().map(answered).collect();
    answers.reverse();
    let path = dir.path().join("answers.jsonl");
    write(&path, &answers);
    let out = dir.path().join("out");
    let ran = ingest(&spec, "vllm", &path, &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("temperature=0.5"), "{}", ran.stdout);
    let all = records(&out);
    let want: Vec<&Value> = requests.iter().map(|one| &one["body"]["temperature"]).collect();
    let got: Vec<&Value> = all.iter().map(|record| &record["config"]["temperature"]).collect();
    assert_eq!(got, want);
    for (record, request) in all.iter().zip(&requests) {
        assert_eq!(record["text"], body(request)["choices"][0]["message"]["content"]);
        assert_eq!(record["engine"]["url"], Value::Null);
        assert_eq!(record["engine"]["dialect"], "vllm");
        assert!(record["timing"].get("prefill_s").is_none(), "{}", record["timing"]);
    }
    assert_eq!(taper(["report", out.to_str().unwrap()]).code, Some(0));
}

#[test]
fn what_failed_is_missing_and_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let (file, path) = (dir.path().join("requests.jsonl"), dir.path().join("answers.jsonl"));
    assert_eq!(emit(&spec, "vllm", &file, &[]).code, Some(0));
    let requests = lines(&file);
    let mut answers: Vec<Value> = requests.iter().map(answered).collect();
    let failed = |status: u16, error: Value| json!({"status_code": status, "request_id": "r", "body": null, "error": error});
    // OpenAI's line of a request whose batch expired.
    answers[0]["response"] = Value::Null;
    answers[0]["error"] = json!({"code": "batch_expired", "message": "This request expired."});
    // vLLM's of a failure, and of a request that it refuses.
    answers[1]["response"] = failed(500, Value::Null);
    answers[1]["error"] = json!({"error": {"message": "engine died", "type": "x", "code": 500}});
    answers[2]["response"] = failed(400, Value::Null);
    answers[2]["error"] = json!("the prompt is too long");
    // A body that breaks off, a gap, an answer that comes twice, and one of somebody else.
    answers[3]["response"]["body"]["choices"][0]["finish_reason"] = Value::Null;
    answers.remove(4);
    answers.push(answers[8].clone());
    answers.push(json!({"id": "b", "custom_id": "request-1", "response": null, "error": null}));
    write(&path, &answers);
    let out = dir.path().join("out");
    let ran = ingest(&spec, "vllm", &path, &out, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for said in [
        "8 runs added; 4 of 12 are missing",
        "no use in 3 of the answers",
        "This request expired.",
        "1 of runs that are there already",
        "1 to requests of another sweep",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let refused: Vec<String> = records(&out)
        .iter()
        .filter_map(|record| record["error"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(refused, ["HTTP 400: the prompt is too long"]);

    // What is missing is asked for again, and only that.
    let rest = dir.path().join("rest.jsonl");
    let ran = emit(&spec, "vllm", &rest, &["--out", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let again = lines(&rest);
    let ids =
        |all: &[Value]| -> Vec<Value> { all.iter().map(|one| one["custom_id"].clone()).collect() };
    let mut missing = requests[..2].to_vec();
    missing.extend_from_slice(&requests[3..5]);
    assert_eq!(ids(&again), ids(&missing));

    // As an upload ends: without a line break.
    let text: Vec<String> = again.iter().map(|one| answered(one).to_string()).collect();
    fs::write(&path, text.join("\n")).unwrap();
    let ran = ingest(&spec, "vllm", &path, &out, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--resume"), "{}", ran.stderr);
    let ran = ingest(&spec, "vllm", &path, &out, &["--resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let whole = dir.path().join("whole");
    write(&path, &requests.iter().map(answered).collect::<Vec<_>>());
    assert_eq!(ingest(&spec, "vllm", &path, &whole, &[]).code, Some(0));
    let (mut got, mut want) = (contents(&out), contents(&whole));
    // The one that was refused has no text.
    assert_ne!(got.remove(2), want.remove(2));
    assert_eq!(got, want);
}

#[test]
fn shards_of_a_batch_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let mut folders = Vec::new();
    for shard in ["1/2", "2/2"] {
        let name = shard.replace('/', "-");
        let file = dir.path().join(format!("{name}.jsonl"));
        let out = dir.path().join(&name);
        assert_eq!(emit(&spec, "openai", &file, &["--shard", shard]).code, Some(0));
        let requests = lines(&file);
        assert_eq!(requests.len(), ALL / 2);
        write(&file, &requests.iter().map(answered).collect::<Vec<_>>());
        let ran = ingest(&spec, "openai", &file, &out, &["--shard", shard]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        folders.push(out.to_str().unwrap().to_owned());
    }
    let out = dir.path().join("all");
    let ran = taper(["merge", &folders[0], &folders[1], "--out", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(records(&out).len(), ALL);
}

#[test]
fn what_a_batch_cannot_say_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chats = spec(&dir, SPEC);
    let file = dir.path().join("requests.jsonl");
    let refused = |ran: &Ran, said: &str| {
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        assert!(!file.exists());
    };
    let to = ["sweep", &chats, "--emit-batch", file.to_str().unwrap()];
    refused(&taper(to), "--dialect: no server can be asked");
    refused(&taper([&to[..], &["--dialect", "vllm"]].concat()), "--engine-model NAME is missing");
    let engine = [&to[..], &["--engine", "http://127.0.0.1:1"]].concat();
    refused(&taper(engine), "--emit-batch");
    refused(&emit(&chats, "vllm", &file, &["--jobs", "2"]), "--concurrency");

    let texts = SPEC.replace(r#"{ chat = "Who lives in the lighthouse?" }"#, r#""The old""#);
    let texts = spec(&dir, &texts);
    refused(&emit(&texts, "llama.cpp", &file, &[]), "llama.cpp takes it at /completion");
    refused(&emit(&texts, "sglang", &file, &[]), "/generate");
    let lacks = spec(&dir, &SPEC.replace("top_k = 0", "top_k = 5"));
    refused(&emit(&lacks, "openai", &file, &[]), "top_k");

    // Texts go to `/v1/completions`, and a note says that `vllm run-batch` does not take that.
    let texts = spec(&dir, &SPEC.replace("chat = ", "text = "));
    let ran = emit(&texts, "vllm", &file, &["--tokenizer", "builtin"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("`vllm run-batch` takes chats alone"), "{}", ran.stderr);
    let first = &lines(&file)[0];
    assert_eq!(first["url"], "/v1/completions");
    assert!(first["body"]["prompt"].is_array(), "{first}");
}

#[test]
fn answers_that_are_none_of_this_sweep_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let (file, path) = (dir.path().join("requests.jsonl"), dir.path().join("answers.jsonl"));
    assert_eq!(emit(&spec, "vllm", &file, &[]).code, Some(0));
    let answers: Vec<Value> = lines(&file).iter().map(answered).collect();
    write(&path, &answers);
    let out = dir.path().join("out");
    // The same runs on another engine are other runs.
    let ran = ingest(&spec, "openai", &path, &out, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("none of its 12 answers is of this sweep"), "{}", ran.stderr);

    fs::write(&path, format!("{}\nnonsense\n{}\n", answers[0], answers[1])).unwrap();
    let ran = ingest(&spec, "vllm", &path, &out, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 2 is no answer of a batch"), "{}", ran.stderr);
    fs::write(&path, format!("{}\n{{\"custom_id\": ", answers[0])).unwrap();
    let ran = ingest(&spec, "vllm", &path, &out, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 2 is no answer of a batch"), "{}", ran.stderr);
    let ran = ingest(&spec, "vllm", &dir.path().join("none.jsonl"), &out, &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    // Nothing was begun.
    assert!(!out.exists());
}
