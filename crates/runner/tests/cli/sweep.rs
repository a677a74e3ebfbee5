//! `taper sweep` and the folder that it leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use taper_runner::experiment::{Records, Spec, Summary};
use taper_runner::knobs;
use tempfile::TempDir;

use crate::support::{Ran, taper};

const SPEC: &str = r#"
title = "Small"
prompts = ["The old lighthouse", { name = "tree", text = "a random tree:" }]
seeds = [7, 3]
runs = 2
control = true
tables = ["summary", "prompts", "jaccard", "kept", "texts", "steps"]

[base]
do_sample = true
max_new_tokens = 6

[grid]
temperature = [0.5, 1.5]
top_k = [0, 5]

[[settings]]
num_beams = 2
do_sample = false
"#;

pub(crate) fn spec(dir: &TempDir, text: &str) -> String {
    let path = dir.path().join("spec.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(crate) fn run(spec: &str, out: &Path, more: &[&str]) -> Ran {
    let out = out.to_str().unwrap();
    taper(["sweep", spec, "--out", out].iter().chain(more))
}

/// The lines of the records, without what differs when a run is repeated.
pub(crate) fn lines(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
    let line = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().shift_remove("timing").unwrap();
        record.to_string()
    };
    text.lines().map(line).collect()
}

#[test]
fn a_spec_gives_the_same_records_however_many_run_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let (one, many) = (dir.path().join("one"), dir.path().join("deep/many"));
    for (out, jobs) in [(&one, "1"), (&many, "5")] {
        let ran = run(&spec, out, &["--jobs", jobs]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        // Two prompts: the control once, then five settings under two seeds with two runs each.
        assert_eq!(ran.stderr, format!("42 runs made, 42 in {}\n", out.display()));
    }
    assert_eq!(lines(&one), lines(&many));
    assert_eq!(
        fs::read(one.join("manifest.json")).unwrap(),
        fs::read(many.join("manifest.json")).unwrap()
    );

    let read = Records::read(&one).unwrap();
    assert_eq!((read.records.len(), read.manifest.runs, read.cut_off), (42, 42, None));
    assert_eq!(read.manifest.swept, ["temperature", "top_k", "num_beams", "do_sample"]);
    let seeds: BTreeSet<u64> = read.manifest.seeds.iter().copied().collect();
    assert_eq!((read.manifest.seeds[0], read.manifest.seeds[2], seeds.len()), (7, 3, 4));
    assert!(read.records.is_sorted_by_key(|record| record.id));
    // Numbers are read as they were written, to the last bit.
    for (line, record) in
        fs::read_to_string(one.join("records.jsonl")).unwrap().lines().zip(&read.records)
    {
        assert_eq!(serde_json::to_string(record).unwrap(), line);
    }
    let labels: Vec<&str> =
        read.manifest.settings.iter().map(|setting| setting.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "greedy",
            "temperature=0.5 top_k=0",
            "temperature=0.5 top_k=5",
            "temperature=1.5 top_k=0",
            "temperature=1.5 top_k=5",
            "num_beams=2 do_sample=false",
        ]
    );
}

/// What is recorded of a run is what `taper generate` says with the settings of the record.
#[test]
fn a_run_can_be_made_again_from_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let out = dir.path().join("out");
    assert_eq!(run(&spec, &out, &[]).code, Some(0));
    let read = Records::read(&out).unwrap();
    for record in read.records.iter().filter(|record| record.id.seed == 1 || record.control) {
        let prompt = read.manifest.prompts[record.id.prompt].text.clone().unwrap();
        let mut args =
            vec!["generate".to_owned(), prompt, "--format=json".into(), "--trace".into()];
        args.push("--top-logprobs=5".into());
        args.push(format!("--seed={}", record.seed));
        for knob in ["do_sample", "temperature", "top_k", "num_beams", "max_new_tokens"] {
            let value = &record.config[knob];
            args.push(format!("--{}={}", knob.replace('_', "-"), value));
        }
        let ran = taper(&args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
        let sequence = &outcome["sequences"][0];
        assert_eq!(sequence["tokens"], json!(record.tokens), "{args:?}");
        assert_eq!(sequence["text"], json!(record.text));
        assert_eq!(sequence["finish_reason"], record.finish_reason.name());
        assert_eq!(outcome["config"], Value::Object(record.config.clone()));
        if let Some(steps) = sequence["steps"].as_array() {
            let number = |step: &Value, key: &str| step[key].as_f64();
            for (step, recorded) in steps.iter().zip(&record.steps) {
                assert_eq!(number(step, "logprob"), recorded.logprob);
                assert_eq!(number(step, "probability"), recorded.probability);
                assert_eq!(number(step, "entropy"), recorded.entropy);
                assert_eq!(step["kept"], json!(recorded.kept));
                assert_eq!(step["stages"], json!(recorded.stages));
                assert_eq!(step["top"].as_array().unwrap().len(), recorded.top.len());
            }
        }
    }
}

/// What beams found is scored by another pass of the model, which must agree with the search.
#[test]
fn beams_are_scored_under_the_model_itself() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"
        title = "Beams"
        prompts = ["The old lighthouse"]
        control = true
        [base]
        max_new_tokens = 8
        [[settings]]
        num_beams = 3
        length_penalty = 1.0
        "#;
    let out = dir.path().join("out");
    assert_eq!(run(&spec(&dir, text), &out, &[]).code, Some(0));
    let read = Records::read(&out).unwrap();
    let [greedy, beams] = &read.records[..] else { panic!("{} records", read.records.len()) };
    let nll = beams.mean_nll().unwrap();
    assert!((beams.score.unwrap() + nll).abs() < 1e-4, "{:?} and {nll}", beams.score);
    assert!(beams.tree.as_ref().is_some_and(|tree| !tree.is_empty()));
    for step in &beams.steps {
        assert_eq!(step.top.len(), 5);
        let at = step.top.iter().position(|top| top.token == step.token);
        assert!(at.is_none_or(|at| step.rank == Some(at + 1)));
        assert!(step.entropy.unwrap() > 0.0);
    }
    // The pass over a whole text and those over its tokens agree but for rounding.
    let same = greedy.tokens.iter().zip(&beams.tokens).take_while(|(a, b)| a == b).count();
    for (one, all) in greedy.steps.iter().zip(&beams.steps).take(same) {
        assert!((one.logprob.unwrap() - all.logprob.unwrap()).abs() < 1e-4);
        assert!((one.entropy.unwrap() - all.entropy.unwrap()).abs() < 1e-4);
        assert_eq!(one.rank, all.rank);
    }
}

#[test]
fn a_finished_sweep_goes_on_by_doing_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let text = "title = 'x'\nprompts = ['a random tree:']\nruns = 3\nbase = { do_sample = true, max_new_tokens = 4 }";
    let (spec, out) = (spec(&dir, text), dir.path().join("out"));
    let first = run(&spec, &out, &[]);
    let before = fs::read(out.join("records.jsonl")).unwrap();
    let again = run(&spec, &out, &["--resume"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(again.stderr, format!("0 runs made, 3 in {}\n", out.display()));
    assert_eq!(fs::read(out.join("records.jsonl")).unwrap(), before);
    assert_eq!(again.stdout, first.stdout);
    let summed = taper(["summarize", out.to_str().unwrap(), "--tables", "summary,texts"]);
    assert_eq!(summed.stdout, first.stdout);
}

#[test]
fn the_summary_counts_what_the_records_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (spec, out) = (spec(&dir, SPEC), dir.path().join("out"));
    let ran = run(&spec, &out, &[]);
    for heading in ["Summary", "Prompts", "Words in common", "Tokens kept", "Texts", "Steps"] {
        assert!(ran.stdout.contains(&format!("\n## {heading}")), "{}", ran.stdout);
    }
    let summary = Summary::read(&out).unwrap();
    let read = Records::read(&out).unwrap();
    assert_eq!(summary.rows.len(), 6 + 2 * 6);
    let label = "temperature=1.5 top_k=5";
    let row = summary.row(label).unwrap();
    let records: Vec<_> = read.records.iter().filter(|record| record.label == label).collect();
    let mut texts: BTreeMap<&str, BTreeSet<&[u32]>> = BTreeMap::new();
    for record in &records {
        texts.entry(&record.prompt).or_default().insert(&record.tokens);
    }
    assert_eq!((row.runs, row.unique), (8, texts.values().map(BTreeSet::len).sum()));
    let nll = records.iter().map(|record| record.mean_nll().unwrap()).sum::<f64>() / 8.0;
    let estimate = row.metric("nll").unwrap();
    assert!((estimate.mean - nll).abs() < 1e-12);
    let (low, high) = estimate.interval.unwrap();
    assert!(low < nll && nll < high);
    let kept = || records.iter().flat_map(|r| &r.steps).map(|step| step.kept.unwrap());
    assert_eq!(row.kept, kept().min().zip(kept().max()));
    assert_eq!(row.finish_reasons.values().sum::<usize>(), 8);

    let mut csv = csv::Reader::from_path(out.join("summary.csv")).unwrap();
    let head = csv.headers().unwrap().clone();
    let column = |name: &str| head.iter().position(|column| column == name).unwrap();
    let all: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(all.len(), summary.rows.len());
    let line = all.iter().find(|line| &line[0] == "*" && &line[1] == label).unwrap();
    assert_eq!(&line[column("knob:temperature")], "1.5");
    assert_eq!(line[column("nll")].parse::<f64>().unwrap(), estimate.mean);
    assert_eq!(line[column("nll_low")].parse::<f64>().unwrap(), low);
}

#[test]
fn rows_are_rounded_before_anything_looks_at_them() {
    let args = ["generate", "a random tree:", "--max-new-tokens", "1", "--format", "json"];
    let more = ["--top-logprobs", "9", "--do-sample", "true", "--top-k", "0", "--seed", "1"];
    let of = |dtype: &str| -> Value {
        let ran = taper(args.iter().chain(&more).chain(&["--logits-dtype", dtype]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let (f32, bf16) = (of("f32"), of("bf16"));
    assert_eq!(
        (&f32["config"]["logits_dtype"], &bf16["config"]["logits_dtype"]),
        (&Value::Null, &json!("bf16"))
    );
    let gaps = |outcome: &Value| -> Vec<f64> {
        let top = outcome["sequences"][0]["steps"][0]["top"].as_array().unwrap().clone();
        let of = |entry: &Value| entry["logprob"].as_f64().unwrap();
        top.windows(2).map(|pair| of(&pair[0]) - of(&pair[1])).collect()
    };
    // 8 significant bits: logits between 4 and 32 are multiples of 1/32.
    assert!(gaps(&bf16).iter().all(|gap| (gap * 32.0 - (gap * 32.0).round()).abs() < 1e-9));
    assert!(gaps(&f32).iter().any(|gap| (gap * 32.0 - (gap * 32.0).round()).abs() > 1e-3));
}

/// One table of knobs: what a spec can turn is what `taper generate` has flags for.
#[test]
fn the_knobs_are_the_flags() {
    let help = taper(["generate", "--help"]).stdout;
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    let mut heading = "";
    for line in help.lines() {
        if !line.starts_with(' ') && line.ends_with(':') {
            heading = line.trim_end_matches(':');
        }
        let flag = line.split_whitespace().find_map(|word| word.strip_prefix("--"));
        if let Some(flag) = flag.filter(|_| line.trim_start().starts_with('-')) {
            flags.insert(flag.replace('-', "_"), heading.to_owned());
        }
    }
    for knob in knobs::all() {
        let name = knob.name;
        let heading = flags.get(name).unwrap_or_else(|| panic!("--{name} is no flag"));
        if let Some(under) = heading.strip_prefix("Decoding under ") {
            assert_eq!(under.split(", ").collect::<Vec<_>>(), knob.engines, "{name}");
        }
        let text = format!("title = 'x'\nprompts = ['a']\n[base]\n{name} = 1");
        let refused = Spec::parse(&text).err().map(|error| error.to_string()).unwrap_or_default();
        let elsewhere = knob.instead.is_some_and(|instead| refused.ends_with(instead));
        assert_eq!(elsewhere, knob.instead.is_some(), "{refused}");
        assert!(!refused.contains("no such knob"), "{refused}");
    }
    let known: BTreeSet<&str> = knobs::all().map(|knob| knob.name).collect();
    for (flag, _) in flags.iter().filter(|(_, heading)| heading.starts_with("Decoding")) {
        assert!(known.contains(flag.as_str()), "{flag}");
    }
}
