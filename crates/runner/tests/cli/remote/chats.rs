//! Chats: as tokens of a template on this side, where the server's makes the same.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use taper_runner::engine::OwnTokenizer;
use tempfile::TempDir;

use super::fake::{Fake, send};
use super::sweeps::records;
use crate::support::taper;
use crate::sweep::spec;

/// The builtin model's tokenizer, with a template.
fn tokenizer(dir: &TempDir) -> PathBuf {
    let folder = dir.path().join("tokenizer");
    fs::create_dir(&folder).unwrap();
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/src/builtin/data");
    for file in ["tokenizer.json", "config.json"] {
        fs::copy(builtin.join(file), folder.join(file)).unwrap();
    }
    let template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant]";
    let config = json!({ "bos_token": "<s>", "chat_template": template });
    fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    folder
}

/// llama.cpp with the builtin model, whose template makes this of a question.
fn engine(template: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Fake {
    let own = OwnTokenizer::read("builtin").unwrap();
    Fake::new(move |got, stream| {
        let body = match got.path.as_str() {
            "/detokenize" => {
                let ids: Vec<u32> = serde_json::from_value(got.body["tokens"].clone()).unwrap();
                json!({ "content": own.decode(&ids) })
            }
            "/apply-template" => {
                let said = got.body["messages"][0]["content"].as_str().unwrap();
                match template(said) {
                    Some(prompt) => json!({ "prompt": prompt }),
                    None => return false,
                }
            }
            "/v1/chat/completions" => json!({
                "choices": [{"index": 0, "finish_reason": "length",
                             "message": {"role": "assistant", "content": " as messages"}}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 3},
            }),
            _ => return false,
        };
        send(stream, "200 OK", "application/json", &body.to_string());
        true
    })
}

#[expect(clippy::unnecessary_wraps, reason = "other engines have no template")]
fn same(said: &str) -> Option<String> {
    // The server puts the first token there itself.
    Some(format!("[user] {said}\n[assistant]"))
}

fn asked(engine: &Fake) -> Vec<Value> {
    let bodies = engine.got().into_iter();
    bodies.filter(|got| got.path == "/completion").map(|got| got.body["prompt"].clone()).collect()
}

const SPEC: &str = "title = 'Chats'\nprompts = [{ chat = 'Who?' }]\nbase = { max_new_tokens = 3 }";

#[test]
fn a_chat_goes_as_tokens_where_both_templates_make_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, spec) = (tokenizer(&dir), spec(&dir, SPEC));
    let folder = folder.to_str().unwrap();
    let engine = engine(same);
    let out = dir.path().join("out");
    let flags = ["--engine", &engine.url, "--tokenizer", folder];
    let to = ["sweep", &spec, "--out", out.to_str().unwrap()];
    let ran = taper([&to[..], &flags].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let record = &records(&out)[0];
    assert_eq!(record["engine"]["prompt"], "ids");
    let ids: Vec<u32> = serde_json::from_value(record["prompt_tokens"].clone()).unwrap();
    assert_eq!(ids[0], 0);
    let own = OwnTokenizer::read("builtin").unwrap();
    assert_eq!(own.decode(&ids).as_deref(), Some("[user] Who?\n[assistant]"));
    assert_eq!(asked(&engine), [json!(ids)]);

    let flags = [&flags[..], &["--max-new-tokens", "3", "--format", "json"]].concat();
    let ran = taper([&["generate", "--chat", "Who?"][..], &flags].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&outcome["engine"]["prompt"], &outcome["prompt_tokens"]),
        (&json!("ids"), &json!(ids))
    );
}

#[test]
fn otherwise_as_messages_and_a_note_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, spec) = (tokenizer(&dir), spec(&dir, SPEC));
    let folder = folder.to_str().unwrap();
    let other = engine(|said| Some(format!("<user> {said}\n[assistant]")));
    let mute = engine(|_| None);
    for (engine, said) in [(&other, "part where one has \"[user] Who?"), (&mute, "HTTP 404")] {
        let out = dir.path().join(said.len().to_string());
        let to = ["sweep", &spec, "--out", out.to_str().unwrap(), "--engine", &engine.url];
        let ran = taper([&to[..], &["--tokenizer", folder]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        let record = &records(&out)[0];
        assert_eq!(
            (&record["engine"]["prompt"], &record["text"]),
            (&json!("chat"), &json!(" as messages"))
        );
        assert!(asked(engine).is_empty());
    }
    // Without a template on this side there is nothing to compare.
    let out = dir.path().join("plain");
    let to = ["sweep", &spec, "--out", out.to_str().unwrap(), "--engine", &other.url];
    let ran = taper([&to[..], &["--tokenizer", "builtin"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("template"), "{}", ran.stderr);
}
