//! Sweeps over engines that fail and die.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::fake::{Fake, answer, begin, event, send, token};
use crate::support::{Ran, taper};
use crate::sweep::spec;

const SPEC: &str = r#"
title = "On engines"
prompts = ["The", { ids = [0, 280, 1529] }]
runs = 5
[base]
do_sample = true
max_new_tokens = 3
[grid]
temperature = [0.5, 1.0]
"#;

/// All runs: 2 prompts, 2 settings, 5 seeds.
const ALL: usize = 20;

fn sweep(spec: &str, out: &Path, more: &[&str]) -> Ran {
    let all = ["sweep", spec, "--out", out.to_str().unwrap()];
    taper([&all[..], more].concat())
}

pub(super) fn records(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Run and text, which the fakes make of prompt, temperature and seed.
pub(super) fn contents(out: &Path) -> Vec<(String, String)> {
    let of = |record: &Value| (record["id"].to_string(), record["text"].to_string());
    records(out).iter().map(of).collect()
}

#[test]
fn what_fails_is_made_again_and_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let well = Fake::well();
    let whole = dir.path().join("whole");
    let ran = sweep(&spec, &whole, &["--engine", &well.url]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let want = contents(&whole);
    assert_eq!(want.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), ALL);

    // One that fails two times of three in ways of its own, and one that dies after four answers.
    let asked = Arc::new(AtomicUsize::new(0));
    let failing = Fake::new({
        let asked = Arc::clone(&asked);
        move |got, stream| {
            if got.path != "/completion" {
                return false;
            }
            match asked.fetch_add(1, Ordering::Relaxed) % 6 {
                0 => send(stream, "429 Slow", "application/json", "{}"),
                1 => send(stream, "503 Busy", "application/json", "{}"),
                2 => {
                    begin(stream);
                    event(stream, &token(1, 1));
                }
                3 => {}
                _ => return false,
            }
            true
        }
    });
    let made = Arc::new(AtomicUsize::new(0));
    let dying = Fake::new({
        let made = Arc::clone(&made);
        move |got, stream| {
            if got.path == "/completion" && made.fetch_add(1, Ordering::Relaxed) < 4 {
                answer(got, stream);
            }
            got.path == "/completion"
        }
    });
    let out = dir.path().join("failing");
    let engines = ["--engine", &failing.url, "--engine", &dying.url, "--concurrency", "2"];
    let ran = sweep(&spec, &out, &engines);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(contents(&out), want);
    assert!(made.load(Ordering::Relaxed) > 4);
    assert!(ran.stderr.contains(&dying.url) && ran.stderr.contains("dropped"), "{}", ran.stderr);
    let by: BTreeSet<String> =
        records(&out).iter().map(|record| record["engine"]["url"].to_string()).collect();
    assert_eq!(by.len(), 2, "{by:?}");
}

#[test]
fn where_no_engine_is_left_the_rest_is_made_later() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let made = AtomicUsize::new(0);
    let dying = Fake::new(move |got, stream| {
        if got.path == "/completion" && made.fetch_add(1, Ordering::Relaxed) < 7 {
            answer(got, stream);
        }
        got.path == "/completion"
    });
    let out = dir.path().join("out");
    let ran = sweep(&spec, &out, &["--engine", &dying.url, "--concurrency", "1"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("13 of 20 runs are missing; --resume"), "{}", ran.stderr);
    assert_eq!(records(&out).len(), 7);

    let other = Fake::new(|got, stream| {
        if got.path == "/props" {
            let props =
                r#"{"total_slots": 1, "model_path": "models/other.gguf", "build_info": "b1-fake"}"#;
            send(stream, "200 OK", "application/json", props);
        }
        got.path == "/props"
    });
    let ran = sweep(&spec, &out, &["--engine", &other.url, "--resume"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("models/other.gguf") && ran.stderr.contains("models/tiny.gguf"));

    // At another address, and the same engine and model.
    let well = Fake::well();
    let ran = sweep(&spec, &out, &["--engine", &well.url, "--resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let whole = dir.path().join("whole");
    assert_eq!(sweep(&spec, &whole, &["--engine", &well.url]).code, Some(0));
    assert_eq!(contents(&out), contents(&whole));
    let ran = taper(["report", out.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn what_an_engine_does_not_say_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let well = Fake::well();
    let out = dir.path().join("out");
    let ran = sweep(&spec, &out, &["--engine", &well.url]);
    let row = ran.stdout.lines().find(|line| line.contains("temperature=0.5")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let head: Vec<&str> = ran
        .stdout
        .lines()
        .find(|line| line.contains("sampler"))
        .unwrap()
        .split('|')
        .map(str::trim)
        .collect();
    let of = |name: &str| cells[head.iter().position(|cell| *cell == name).unwrap()];
    assert_eq!((of("kept"), of("entropy"), of("sampler")), ("–", "–", "–"));
    assert!(of("NLL").starts_with("0.50"), "{}", of("NLL"));
    let record = &records(&out)[0];
    for key in ["dialect", "version", "model", "root", "reproducible", "settings"] {
        assert!(!record["engine"][key].is_null(), "{key}");
    }
    assert!(record["timing"].get("sampler_s").is_none());
    let manifest: Value =
        serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["engines"][0]["root"], "models/tiny.gguf");
}

#[test]
fn a_setting_that_one_of_the_engines_lacks_is_refused_first() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, &SPEC.replace("[grid]", "epsilon_cutoff = 0.01\n[grid]"));
    let well = Fake::well();
    let ran = sweep(&spec, &dir.path().join("out"), &["--engine", &well.url]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("epsilon_cutoff") && ran.stderr.contains("llama.cpp ignores it"));
    assert!(well.got().iter().all(|got| got.path != "/completion"));
}
