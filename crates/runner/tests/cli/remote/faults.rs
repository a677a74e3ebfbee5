//! Answers that are slow, cut, doubled, garbled or endless.

use std::io::Write;
use std::net::TcpStream;

use serde_json::Value;

use super::fake::{Fake, Got, begin, end, event, send, token};
use crate::support::{Ran, taper};

/// A run on a server that treats its request so.
fn run(act: impl Fn(&mut TcpStream) + Send + Sync + 'static, more: &[&str]) -> Ran {
    let fake = Fake::new(move |got: &Got, stream| {
        let its = got.path == "/completion";
        if its {
            act(stream);
        }
        its
    });
    let args = ["generate", "The", "--engine", &fake.url, "--max-new-tokens", "2"];
    taper([&args[..], more].concat())
}

fn failed(ran: &Ran, word: &str) {
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", ran.stderr);
    assert!(errors[0].contains(word), "{} lacks {word}", ran.stderr);
}

#[test]
fn an_answer_that_is_cut_is_no_answer() {
    let cut = run(
        |stream| {
            begin(stream);
            event(stream, &token(5, 1));
        },
        &["--format", "json"],
    );
    failed(&cut, "cut off before its end");
    // What there was is there, and says so.
    let outcome: Value = serde_json::from_str(&cut.stdout).unwrap();
    assert_eq!(outcome["sequences"][0]["finish_reason"], "error");
    assert_eq!(outcome["sequences"][0]["text"], " t5");
    let nothing = run(|_| (), &[]);
    failed(&nothing, "--engine");
}

#[test]
fn a_doubled_answer_is_found() {
    let doubled = run(
        |stream| {
            begin(stream);
            for _ in 0..2 {
                event(stream, &token(5, 1));
                event(stream, &token(6, 2));
                event(stream, &end(2));
            }
        },
        &[],
    );
    failed(&doubled, "goes on after its end");
    let twice = run(
        |stream| {
            begin(stream);
            for event_of in [token(5, 1), token(5, 1), token(6, 2), end(2)] {
                event(stream, &event_of);
            }
        },
        &[],
    );
    failed(&twice, "the answer has 3 tokens and says 2");
}

#[test]
fn a_garbled_answer_is_found() {
    failed(
        &run(
            |stream| {
                begin(stream);
                let _ = stream.write_all(b"data: {\"index\":0,\"conte\xff\xfe\n\n");
            },
            &[],
        ),
        "an event is not JSON",
    );
    failed(
        &run(
            |stream| {
                begin(stream);
                event(stream, &serde_json::json!({"content": 5}));
            },
            &[],
        ),
        "not of its kind",
    );
    failed(
        &run(|stream| send(stream, "200 OK", "text/plain", "hello"), &[]),
        "expected a stream of events",
    );
    failed(
        &run(
            |stream| {
                begin(stream);
                event(stream, &serde_json::json!({"error": {"message": "out of memory"}}));
            },
            &[],
        ),
        "the server failed: out of memory",
    );
}

#[test]
fn an_endless_answer_ends() {
    let endless = run(
        |stream| {
            begin(stream);
            let noise = vec![b'x'; 1 << 16];
            while stream.write_all(&noise).is_ok() {}
        },
        &[],
    );
    failed(&endless, "longer than");
}

#[test]
fn a_slow_answer_is_given_up() {
    let slow = run(
        |stream| {
            // Until the other side has gone.
            let mut byte = [0];
            let _ = std::io::Read::read(stream, &mut byte);
        },
        &["--engine-timeout", "0.5"],
    );
    failed(&slow, "no answer in time");
}

#[test]
fn errors_of_a_server_are_one_line() {
    for (status, word) in
        [("429 Too Many Requests", "429"), ("500 Oops", "500"), ("503 Busy", "503")]
    {
        let ran = run(
            move |stream| {
                let body = r#"{"error": {"code": 1, "message": "line one\nline two \u001b[31m"}}"#;
                send(stream, status, "application/json", body);
            },
            &["--format", "json"],
        );
        failed(&ran, word);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("line one line two") && !ran.stderr.contains('\u{1b}'));
    }
}
