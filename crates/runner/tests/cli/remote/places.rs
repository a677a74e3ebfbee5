//! Sweeps whose settings run here and on engines.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::fake::{Fake, answer};
use super::sweeps::records;
use crate::support::{Ran, taper};
use crate::sweep::spec;

/// Two settings here and on an engine: with a control and three seeds 1 + 4 × 3 runs of each prompt.
fn two(engine: &str) -> String {
    format!(
        r#"
title = "Two places"
prompts = [{{ ids = [0, 280, 1529] }}, {{ name = "second", ids = [0, 280] }}]
runs = 3
control = true
[base]
do_sample = true
max_new_tokens = 3
[grid]
engine = ["here", "{engine}"]
temperature = [0.5, 1.0]
"#
    )
}

const ALL: usize = 2 * (1 + 4 * 3);

fn sweep(spec: &str, out: &Path, more: &[&str]) -> Ran {
    taper([&["sweep", spec, "--out", out.to_str().unwrap()][..], more].concat())
}

#[test]
fn one_report_compares_the_model_here_with_an_engine() {
    let dir = tempfile::tempdir().unwrap();
    let well = Fake::well();
    let spec = spec(&dir, &two(&well.url));
    let out = dir.path().join("out");
    let ran = sweep(&spec, &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let rows: Vec<&str> =
        ran.stdout.lines().filter(|line| line.contains("temperature=0.5")).collect();
    assert!(rows.iter().any(|row| row.contains("engine=here")), "{}", ran.stdout);
    assert!(rows.iter().any(|row| row.contains(&well.url)), "{}", ran.stdout);

    let all = records(&out);
    assert_eq!(all.len(), ALL);
    let ids: Vec<String> = all.iter().map(|record| record["id"].to_string()).collect();
    let order = |id: &Value| (id["prompt"].as_u64(), id["setting"].as_u64(), id["seed"].as_u64());
    assert!(all.is_sorted_by_key(|record| order(&record["id"])), "{ids:?}");
    for record in &all {
        let there = record["knobs"]["engine"] == json!(well.url);
        assert_eq!(record["engine"]["dialect"] == "llama.cpp", there, "{record}");
        assert_eq!(record["control"], record["id"]["setting"] == 0);
    }
    let manifest: Value =
        serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["swept"], json!(["engine", "temperature"]));
    assert_eq!(manifest["model"]["name"], "builtin, tiny.gguf");
    assert_eq!(taper(["report", out.to_str().unwrap()]).code, Some(0));

    // The same again is refused without --resume, and makes nothing with it.
    assert_eq!(sweep(&spec, &out, &[]).code, Some(2));
    let asked = well.got().len();
    let ran = sweep(&spec, &out, &["--resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(records(&out), all);
    let again = well.got();
    assert!(again[asked..].iter().all(|got| got.path != "/completion"));
}

#[test]
fn what_a_place_could_not_make_is_made_later() {
    let dir = tempfile::tempdir().unwrap();
    let dying = Fake::new(|got, stream| {
        let hot = got.body["temperature"] == 1.0;
        if got.path == "/completion" && !hot {
            answer(got, stream);
        }
        got.path == "/completion"
    });
    let named = spec(&dir, &two(&dying.url));
    let out = dir.path().join("out");
    let ran = sweep(&named, &out, &["--concurrency", "1", "--engine", &dying.url]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("the spec says where its settings run"), "{}", ran.stderr);
    let ran = sweep(&named, &out, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("of 26 runs are missing; --resume"), "{}", ran.stderr);
    let there = records(&out).len();
    assert!((14..ALL).contains(&there), "{there}");
}

#[test]
fn places_are_looked_at_before_the_first_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // Nothing listens there.
    let named = spec(&dir, &two("http://127.0.0.1:9"));
    let ran = sweep(&named, &out, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(!out.exists());
    let well = Fake::well();
    for (what, said) in [
        ("model = [\"nowhere/none\"]", "nowhere/none"),
        ("tokenizer = [3]", "tokenizer"),
        ("engine = [7]", "\"here\" or an address"),
    ] {
        let text = two(&well.url).replace("temperature =", &format!("{what}\ntemperature ="));
        let text = if what.starts_with("engine") {
            text.replacen(&format!("engine = [\"here\", \"{}\"]\n", well.url), "", 1)
        } else {
            text
        };
        let ran = sweep(&spec(&dir, &text), &out, &[]);
        assert_ne!(ran.code, Some(0), "{what}");
        assert!(ran.stderr.contains(said), "{what}: {}", ran.stderr);
        assert!(!out.exists());
    }
    let ran = sweep(&spec(&dir, &two(&well.url)), &out, &["--shard", "1/2"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
