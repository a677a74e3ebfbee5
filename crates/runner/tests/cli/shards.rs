//! Sweeps in parts, and the folders of the parts joined.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, taper};
use crate::sweep::{lines, run, spec};

const SPEC: &str = r#"
title = "Parts"
prompts = ["The old lighthouse", "a random tree:"]
seeds = { first = 1, count = 3 }
control = true
tables = ["summary"]

[base]
do_sample = true
max_new_tokens = 3

[grid]
temperature = [0.5, 1.5]
"#;

/// Runs of [`SPEC`]: for each prompt the control and twice three.
const RUNS: usize = 14;

/// Shards of the sweep, each in a folder of its own.
fn shards(dir: &TempDir, of: usize) -> Vec<PathBuf> {
    let spec = spec(dir, SPEC);
    let one = |index| {
        let out = dir.path().join(format!("{index}-of-{of}"));
        let ran = run(&spec, &out, &["--shard", &format!("{index}/{of}")]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        out
    };
    (1..=of).map(one).collect()
}

fn merge<'d>(dirs: impl IntoIterator<Item = &'d PathBuf>, out: &Path, more: &[&str]) -> Ran {
    let dirs = dirs.into_iter().map(|dir| dir.to_str().unwrap());
    let all = ["merge"].into_iter().chain(dirs).chain(["--out", out.to_str().unwrap()]);
    taper(all.chain(more.iter().copied()))
}

fn refused(ran: &Ran, want: &str) {
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains(want), "{:?} is not in {:?}", want, ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn shards_joined_are_the_sweep_that_was_not_divided() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    assert_eq!(run(&spec(&dir, SPEC), &whole, &[]).code, Some(0));
    // More shards than runs leave some without any.
    for of in [1, 3, RUNS + 2] {
        let parts = shards(&dir, of);
        let runs: Vec<usize> = parts.iter().map(|part| lines(part).len()).collect();
        assert_eq!(runs.iter().sum::<usize>(), RUNS);
        assert!(runs.iter().max().unwrap() - runs.iter().min().unwrap() <= 1, "{runs:?}");
        let out = dir.path().join(format!("joined-{of}"));
        let ran = merge(parts.iter().rev(), &out, &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stderr, format!("14 runs of {of} folders in {}\n", out.display()));
        assert!(ran.stdout.contains("## Summary"), "{}", ran.stdout);
        assert_eq!(lines(&out), lines(&whole));
        let manifest = |dir: &Path| fs::read(dir.join("manifest.json")).unwrap();
        assert_eq!(manifest(&out), manifest(&whole));
    }
}

#[test]
fn the_manifest_names_the_shard_and_resuming_keeps_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let parts = shards(&dir, 2);
    let text = fs::read(parts[1].join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(manifest["shard"], serde_json::json!({"index": 2, "of": 2}));
    let spec = spec(&dir, SPEC);
    let again = run(&spec, &parts[1], &["--shard", "2/2", "--resume"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.starts_with("0 runs made, 7 in "), "{}", again.stderr);
    refused(
        &run(&spec, &parts[1], &["--shard", "1/2", "--resume"]),
        "is for shard 2/2 of this sweep, not for shard 1/2; name another folder",
    );
    refused(&run(&spec, &parts[1], &["--resume"]), "not for all runs");
}

#[test]
fn what_is_no_shard_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (spec, out) = (spec(&dir, SPEC), dir.path().join("out"));
    for wrong in ["3/2", "0/2", "x/y", "2", "1/0"] {
        let ran = run(&spec, &out, &["--shard", wrong]);
        refused(&ran, "--shard");
        refused(&ran, "it must be I/N with I in 1..=N, such as 2/8");
    }
    assert!(!out.exists());
}

#[test]
fn folders_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (halves, thirds) = (shards(&dir, 2), shards(&dir, 3));
    let out = dir.path().join("out");
    let other = dir.path().join("other");
    let text = SPEC.replace("0.5, 1.5", "0.5, 1.25");
    assert_eq!(run(&spec(&dir, &text), &other, &["--shard", "2/2"]).code, Some(0));
    let model = dir.path().join("model");
    let bf16 = ["--shard", "2/2", "--dtype", "bf16"];
    assert_eq!(run(&spec(&dir, SPEC), &model, &bf16).code, Some(0));

    refused(&merge([&halves[0], &other], &out, &[]), "hold the runs of different specs");
    refused(&merge([&halves[0], &model], &out, &[]), "hold the runs of different models");
    refused(&merge([&halves[0], &halves[0]], &out, &[]), "both hold shard 1/2; name one of them");
    refused(&merge([&halves[0], &thirds[1]], &out, &[]), "only shards of one division");
    let missing = "shards 1/3, 3/3 are missing; name all folders, or add --partial";
    refused(&merge([&thirds[1]], &out, &[]), missing);
    refused(&merge([&halves[0], &dir.path().join("none")], &out, &[]), "none");
    refused(&merge(&halves, &halves[0], &[]), "holds the output of a sweep; name another folder");
    assert!(!out.exists());
}

#[test]
fn a_part_can_be_joined_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let parts = shards(&dir, 3);
    let (out, whole) = (dir.path().join("out"), dir.path().join("whole"));
    // The last line of one was cut off.
    let records = parts[0].join("records.jsonl");
    let text = fs::read_to_string(&records).unwrap();
    fs::write(&records, &text[..text.len() - 9]).unwrap();
    let lacks = "lacks 1 of the 4 runs of shard 1/3; finish it with sweep --resume";
    refused(&merge(&parts, &out, &[]), lacks);

    let ran = merge(&parts[..2], &out, &["--partial"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("6 of 14 runs are missing; sweep --resume"), "{}", ran.stderr);
    let spec = spec(&dir, SPEC);
    assert_eq!(run(&spec, &out, &["--resume"]).code, Some(0));
    assert_eq!(run(&spec, &whole, &[]).code, Some(0));
    assert_eq!(lines(&out), lines(&whole));
}

#[test]
fn a_record_of_another_shard_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let parts = shards(&dir, 2);
    let [one, two] =
        [0, 1].map(|part| fs::read_to_string(parts[part].join("records.jsonl")).unwrap());
    fs::write(parts[0].join("records.jsonl"), format!("{one}{two}")).unwrap();
    let ran = merge(&parts, &dir.path().join("out"), &[]);
    refused(&ran, "line 8 is of prompt ");
    refused(&ran, "which is no run of shard 1/2");
}
