//! What is refused, by which side, and in which words.

use serde_json::Value;

use super::fake::{Fake, send};
use crate::support::{command, taper};

/// One line, the exit code, and the words in it.
fn refused(args: &[&str], code: i32, words: &[&str]) -> String {
    let ran = taper(args);
    assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{args:?}: {}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{args:?}: {} lacks {word}", ran.stderr);
    }
    assert_eq!(ran.stdout, "", "{args:?}");
    ran.stderr
}

fn generate<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let all = ["generate", "The", "--engine", url, "--max-new-tokens", "2", "--format", "json"];
    [&all[..], more].concat()
}

#[test]
fn nothing_or_something_else_listens() {
    let gone = Fake::well();
    gone.die();
    let dead = gone.url.clone();
    drop(gone);
    // The thread that listened has to see it first.
    while std::net::TcpStream::connect(dead.trim_start_matches("http://")).is_ok() {}
    refused(&generate(&dead, &[]), 1, &[&dead, "nothing listens there"]);
    let page = Fake::new(|_, stream| {
        send(stream, "200 OK", "text/html", "<html>hello</html>");
        true
    });
    refused(&generate(&page.url, &[]), 1, &["this is no engine"]);
    let other = Fake::new(|_, stream| {
        send(stream, "200 OK", "application/json", r#"{"hello": 1}"#);
        true
    });
    refused(&generate(&other.url, &[]), 1, &["no engine that is known", "--dialect"]);
    let noise = Fake::new(|_, stream| {
        use std::io::Write;
        let _ = stream.write_all(b"\x00\x01\x02 220 smtp ready\r\n\r\n");
        true
    });
    refused(&generate(&noise.url, &[]), 1, &["--engine"]);
}

#[test]
fn another_model_dialect_or_tokenizer_is_found() {
    let fake = Fake::well();
    refused(
        &generate(&fake.url, &["--engine-model", "nope"]),
        1,
        &["no model \"nope\"", "tiny.gguf"],
    );
    refused(
        &generate(&fake.url, &["--dialect", "vllm"]),
        1,
        &["this is llama.cpp", "--dialect llama.cpp"],
    );
    // The fake stands for a model whose tokens are all "The".
    let own = ["--tokenizer", "builtin"];
    refused(&generate(&fake.url, &own), 1, &["--tokenizer builtin", "another model's"]);
    // An alias is a name too.
    let ran = taper(generate(&fake.url, &["--engine-model", "tiny"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(fake.got().iter().filter(|got| got.path == "/completion").count() == 1);
}

#[test]
fn what_can_be_refused_is_before_anything_is_sent() {
    let fake = Fake::well();
    let url = fake.url.as_str();
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["--dialect", "vllm", "--semantics", "llama.cpp", "--mirostat", "2"],
            &["mirostat", "vllm ignores it", "llama.cpp"],
        ),
        (
            &["--dialect", "max", "--semantics", "vllm", "--min-p", "0.1"],
            &["min_p", "max ignores it"],
        ),
        (
            &["--dialect", "openai", "--do-sample", "true", "--top-k", "5"],
            &["top_k", "openai has no such setting"],
        ),
        (
            &["--dialect", "llama.cpp", "--epsilon-cutoff", "0.1", "--do-sample", "true"],
            &["epsilon_cutoff", "transformers"],
        ),
        (&["--dialect", "nope"], &["--dialect", "nope"]),
        (&["--temperature", "-1", "--dialect", "llama.cpp"], &["temperature"]),
        (&["--model", "builtin"], &["--model", "the model is the engine's"]),
        (&["--trace"], &["--trace", "--sample here"]),
        (&["--engine", url], &["--engine", "only `sweep` takes several"]),
        (&["--forced-prefix", "x", "--dialect", "llama.cpp"], &["--forced-prefix"]),
    ];
    for (more, words) in cases {
        refused(&generate(url, more), 2, words);
    }
    for (bad, word) in [
        ("127.0.0.1:80", "http://"),
        ("ftp://host", "http://"),
        ("http://10.0.0.1:80", "--allow-http"),
        ("http://u:secret@localhost:1", "TAPER_ENGINE_KEY"),
    ] {
        let line = refused(&generate(bad, &[]), 2, &[word]);
        assert!(!line.contains("secret"));
    }
    assert_eq!(fake.got().len(), 0, "{:?}", fake.got());
    // Flags of an engine without one.
    refused(&["generate", "The", "--dialect", "vllm"], 2, &["--engine"]);
    refused(
        &["generate", "--engine", url, "--prompt-ids", "0,2012"],
        2,
        &["there is no token 2012"],
    );
    let long: Vec<String> = (0..300).map(|id| id.to_string()).collect();
    refused(
        &["generate", "--engine", url, "--prompt-ids", &long.join(",")],
        2,
        &["300 tokens", "256"],
    );
    assert!(fake.got().iter().all(|got| got.path != "/completion"));
}

#[test]
fn a_key_is_sent_and_never_shown() {
    let fake = Fake::new(|got, stream| {
        let right = got.headers.contains("Bearer right");
        if !right && got.path == "/completion" {
            let echoed = format!(
                r#"{{"error": {{"message": "Invalid API Key {}"}}}}"#,
                got.headers.replace(['\r', '\n', '"'], " ")
            );
            send(stream, "401 Unauthorized", "application/json", &echoed);
        }
        !right && got.path == "/completion"
    });
    let run = |key: Option<&str>| {
        let mut command = command(generate(&fake.url, &[]));
        command.env_remove("TAPER_ENGINE_KEY");
        if let Some(key) = key {
            command.env("TAPER_ENGINE_KEY", key);
        }
        let ran = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code(), text(ran.stdout), text(ran.stderr))
    };
    let (code, _, stderr) = run(Some("wrong-secret"));
    assert_eq!((code, stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("401") && !stderr.contains("wrong-secret"), "{stderr}");
    let (code, _, stderr) = run(None);
    assert!(code == Some(1) && stderr.contains("put it into TAPER_ENGINE_KEY"), "{stderr}");
    let (code, stdout, stderr) = run(Some("right"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.contains("right") && !stderr.contains("right"));
    let (code, _, stderr) = run(Some("two words"));
    assert!(code == Some(2) && !stderr.contains("two words"), "{stderr}");
    // From a file, which goes first.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "right\n").unwrap();
    let ran = taper(generate(&fake.url, &["--engine-key-file", file.to_str().unwrap()]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Fake::well();
    let to = format!("{}/v1/models", elsewhere.url);
    let fake = Fake::new(move |_, stream| {
        use std::io::Write;
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        true
    });
    let mut command = command(generate(&fake.url, &["--dialect", "llama.cpp"]));
    let ran = command.env("TAPER_ENGINE_KEY", "secret").output().unwrap();
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.code() == Some(1) && stderr.contains("sends elsewhere"), "{stderr}");
    assert_eq!(elsewhere.got().len(), 0);
}

#[test]
fn a_proxy_of_the_environment_is_not_for_this_machine() {
    let fake = Fake::well();
    let mut command = command(generate(&fake.url, &[]));
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let ran = command.output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn the_object_has_the_shape_of_a_local_run() {
    let fake = Fake::well();
    let of = |args: Vec<&str>| -> Value {
        let ran = taper(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let local = of(vec!["generate", "The", "--max-new-tokens", "2", "--format", "json"]);
    let there = of(generate(&fake.url, &["--top-logprobs", "1"]));
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for at in ["", "/sequences/0", "/sequences/0/steps/0", "/usage", "/timing", "/memory"] {
        let (ours, theirs) = (local.pointer(at).unwrap(), there.pointer(at).unwrap());
        let missing: Vec<String> =
            keys(ours).into_iter().filter(|key| !keys(theirs).contains(key)).collect();
        // `drawn` is in a local step of some versions.
        assert!(missing.iter().all(|key| key == "drawn"), "{at}: {missing:?}");
    }
    let step = &there["sequences"][0]["steps"][0];
    for unknown in ["probability", "kept", "entropy"] {
        assert!(step[unknown].is_null(), "{unknown}");
    }
    assert!(there["pipeline"].is_null() && there["timing"]["sampler_s"].is_null());
    assert_eq!(there["engine"]["dialect"], "llama.cpp");
    assert_eq!(there["engine"]["reproducible"], true);
    let got = fake.got();
    let body = &got.last().unwrap().body;
    assert_eq!(body["temperature"], 0.0);
    assert_eq!(body["cache_prompt"], false);
}
