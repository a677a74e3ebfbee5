//! The numbers that are used, beside those of the model.

use std::fs;

use serde_json::Value;

use crate::support::{json, taper};

const DRAWN: [&str; 12] = [
    "--prompt-ids",
    "5,6,7",
    "--do-sample",
    "true",
    "--temperature",
    "0.5",
    "--top-k",
    "4",
    "--top-p",
    "1",
    "--seed",
    "3",
];

fn steps(outcome: &Value) -> Vec<Value> {
    outcome["sequences"][0]["steps"].as_array().expect("steps").clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn alternatives_have_both_probabilities_and_say_who_removed_them() {
    let asked = ["--top-logprobs", "7", "--kept-ids", "--max-new-tokens", "3"];
    let outcome = json(&[&DRAWN[..], &asked].concat());
    for step in steps(&outcome) {
        let top = step["top"].as_array().expect("a list");
        assert_eq!(top.len(), 7);
        let removed: Vec<_> = top.iter().map(|top| top["removed_by"].as_str()).collect();
        assert_eq!(removed, [None, None, None, None, Some("top_k"), Some("top_k"), Some("top_k")]);
        assert!(top[4..].iter().all(|top| number(&top["probability"]) == 0.0));
        let kept: Vec<f64> = top[..4].iter().map(|top| number(&top["probability"])).collect();
        // Masses are sums of single-precision weights.
        assert!((kept.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{kept:?}");
        // A temperature of one half squares the odds.
        let odds = (number(&top[0]["logprob"]) - number(&top[3]["logprob"])) / 0.5;
        assert!(((kept[0] / kept[3]).ln() - odds).abs() < 1e-4);

        let drawn = &step["drawn"];
        let entropy = -kept.iter().map(|p| p * p.ln()).sum::<f64>();
        assert!((number(&drawn["entropy"]) - entropy).abs() < 1e-6);
        let apart = kept.iter().zip(top).map(|(p, top)| p * (p.ln() - number(&top["logprob"])));
        assert!((number(&drawn["kl"]) - apart.sum::<f64>()).abs() < 1e-6);
        let best: Vec<_> = drawn["top"].as_array().expect("a list").clone();
        assert_eq!(best.len(), 4);
        assert_eq!(best[0]["token"], top[0]["token"]);

        let mut ids: Vec<u64> = top[..4].iter().filter_map(|top| top["token"].as_u64()).collect();
        ids.sort_unstable();
        assert_eq!(step["kept_ids"], Value::from(ids));
        let logprobs = step["kept_logprobs"].as_array().expect("a list");
        assert!((logprobs.iter().map(|x| number(x).exp()).sum::<f64>() - 1.0).abs() < 1e-6);
        assert!(step["log_normaliser"].is_f64());
        assert_eq!(step.get("stages"), None);
    }
}

#[test]
fn without_stages_nothing_lies_between_the_distributions() {
    let ids = ["--prompt-ids", "5,6,7", "--max-new-tokens", "2", "--top-logprobs", "2"];
    let plain = ["--do-sample", "true", "--temperature", "1", "--top-k", "0", "--top-p", "1"];
    for drawn in [&plain[..], &["--do-sample", "false"]] {
        for step in steps(&json(&[&ids[..], drawn].concat())) {
            assert!(number(&step["drawn"]["kl"]) < 1e-9);
            assert!((number(&step["drawn"]["entropy"]) - number(&step["entropy"])).abs() < 1e-5);
        }
    }
}

#[test]
fn mirostats_own_cut_is_part_of_what_was_drawn_from() {
    let args = [
        "--prompt-ids",
        "5,6,7",
        "--semantics",
        "llama.cpp",
        "--mirostat",
        "2",
        "--mirostat-ent",
        "1",
        "--max-new-tokens",
        "4",
        "--top-logprobs",
        "8",
        "--seed",
        "1",
    ];
    for step in steps(&json(&args)) {
        let kept = step["kept"].as_u64().expect("a count") as usize;
        let drawn = step["drawn"]["top"].as_array().expect("a list");
        assert_eq!(drawn.len(), kept.min(8));
        let gone =
            step["top"].as_array().into_iter().flatten().filter(|top| !top["removed_by"].is_null());
        assert!(kept >= 8 || gone.clone().count() == 8 - kept);
        assert!(gone.clone().all(|top| number(&top["probability"]) == 0.0));
    }
}

#[test]
fn a_trace_has_the_way_of_each_token_and_what_a_penalty_moved() {
    let asked =
        ["--repetition-penalty", "2", "--top-logprobs", "3", "--trace", "--max-new-tokens", "1"];
    let outcome = json(&[&DRAWN[..], &asked].concat());
    let step = &steps(&outcome)[0];
    let stages = step["stages"].as_array().expect("a list");
    assert_eq!(stages[0]["stage"], "repetition_penalty");
    let moved = &stages[0]["moved"];
    // The three of the prompt, and no others.
    assert_eq!(moved["count"], 3);
    let mut tokens: Vec<u64> = moved["tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|moved| moved["token"].as_u64())
        .collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [5, 6, 7]);
    assert!(stages[1..].iter().all(|stage| stage.get("moved").is_none()));
    for top in step["top"].as_array().expect("a list") {
        let ranks = top["ranks"].as_array().expect("a list");
        assert_eq!(ranks.len(), stages.len() + 1);
        assert_eq!(ranks[stages.len()].is_null(), !top["removed_by"].is_null());
    }
}

#[test]
fn a_row_typed_by_hand_has_the_probabilities_of_the_lesson() {
    let args = [
        "inspect",
        "--logits",
        "2,1,0.1",
        "--do-sample",
        "true",
        "--temperature",
        "1",
        "--seed",
        "1",
        "--redraws",
        "1000",
        "--format",
        "json",
    ];
    let ran = taper(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let object: Value = serde_json::from_str(&ran.stdout).expect("an object");
    let step = &object["steps"][0];
    let all: f64 = [2.0_f64, 1.0, f64::from(0.1_f32)].iter().map(|x| x.exp()).sum();
    for (top, logit) in
        step["top"].as_array().expect("a list").iter().zip([2.0_f64, 1.0, f64::from(0.1_f32)])
    {
        assert!((number(&top["probability"]) - logit.exp() / all).abs() < 1e-6);
    }
    let redraws = step["redraws"].as_array().expect("a list");
    let count: u64 = redraws.iter().filter_map(|redraw| redraw["count"].as_u64()).sum();
    assert_eq!(count, 1000);
    assert!(redraws.iter().all(|redraw| redraw["token"].as_u64() < Some(3)));
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let cases: [(&[&str], &str); 9] = [
        (&["inspect", "--logits", "2,NaN"], "finite"),
        (&["inspect", "--logits", ""], "--logits"),
        (&["inspect", "--logits", "inf,1"], "finite"),
        (&["inspect", "The", "--redraws", "0"], "1..=1000000"),
        (&["inspect", "The", "--redraws", "1000000000000"], "1..=1000000"),
        (
            &["inspect", "The", "--from", "9", "--max-new-tokens", "2"],
            "--from 9: the text ends at step 2",
        ),
        (&["generate", "The", "--kept-ids"], "--format json"),
        (&["generate", "The", "--kept-ids", "--format", "json", "--num-beams", "2"], "kept-ids"),
        (&["score", "--text", ""], "--text"),
    ];
    for (args, told) in cases {
        let ran = taper(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_tie_is_told_unasked() {
    let args = [
        "generate",
        "a random tree:",
        "--do-sample",
        "true",
        "--top-k",
        "1",
        "--logits-dtype",
        "bf16",
        "--max-new-tokens",
        "1",
        "--seed",
        "1",
    ];
    let ran = taper(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("note: at step 1 "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "tokens tied at top_k 1, kept by the tie rule keep-all; greedy takes the lowest id"
        ),
        "{}",
        ran.stderr
    );
}

#[test]
fn layers_end_with_the_model() {
    let args = ["inspect", "The old", "--layers", "--format", "json", "--top", "2"];
    let ran = taper(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let object: Value = serde_json::from_str(&ran.stdout).expect("an object");
    let step = &object["steps"][0];
    let layers = step["layers"].as_array().expect("a list");
    assert!(layers.len() > 2);
    let last = &layers[layers.len() - 1];
    assert_eq!(last["top"][0]["token"], step["token"]);
    assert!((number(&last["top"][0]["probability"]).ln() - number(&step["logprob"])).abs() < 1e-5);
}

#[test]
fn exports_stand_beside_the_summary_and_agree_with_the_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let spec = dir.path().join("spec.toml");
    let text = "title = \"t\"\nprompts = [\"The\", \"Once\"]\nruns = 2\ncontrol = true\nkept_ids = true\n\
                [base]\ndo_sample = true\nmax_new_tokens = 4\n[grid]\ntop_k = [3, 20]\n";
    fs::write(&spec, text).expect("a file");
    let out = dir.path().join("out");
    let (spec, out_name) = (spec.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    let ran = taper(["sweep", spec, "--out", out_name]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let records = fs::read_to_string(out.join("records.jsonl")).expect("records");
    let records: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    let tokens: usize =
        records.iter().map(|record| record["tokens"].as_array().map_or(0, Vec::len)).sum();
    let steps = fs::read_to_string(out.join("steps.csv")).expect("steps");
    let mut steps = csv::Reader::from_reader(steps.as_bytes());
    assert_eq!(steps.records().count(), tokens);
    for record in &records {
        let sets = &record["kept_sets"];
        let offsets = sets["offsets"].as_array().expect("a list");
        let kept: Vec<u64> = record["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| s["kept"].as_u64())
            .collect();
        let lengths: Vec<u64> =
            offsets.windows(2).filter_map(|w| Some(w[1].as_u64()? - w[0].as_u64()?)).collect();
        assert_eq!(lengths, kept);
        assert_eq!(sets["ids"].as_array().map(Vec::len), sets["logprobs"].as_array().map(Vec::len));
    }
    let pairs = fs::read_to_string(out.join("pairs.csv")).expect("pairs");
    let mut pairs = csv::Reader::from_reader(pairs.as_bytes());
    let head: Vec<String> = pairs.headers().expect("a head").iter().map(str::to_owned).collect();
    let at = |name: &str| head.iter().position(|known| known == name).expect("a column");
    let lines: Vec<csv::StringRecord> = pairs.records().map(|line| line.expect("a line")).collect();
    // For each prompt: in each of two settings a pair, two of the same seed, and the control with all four.
    assert_eq!(lines.len(), 2 * (2 + 2 + 4));
    for line in lines {
        let apart: Option<usize> = line[at("first_difference")].parse().ok();
        assert_eq!(apart.is_none(), &line[at("same")] == "true");
        assert!(apart.is_none() || line[at("token_a")] != line[at("token_b")]);
        let kept = ["kept_a", "kept_b"].map(|name| line[at(name)].parse::<usize>().ok());
        // Where a text has ended there is nothing to choose from.
        assert!(kept.iter().flatten().count() <= if apart.is_none() { 0 } else { 2 }, "{kept:?}");
        assert!(apart.is_none() || kept.iter().any(Option::is_some));
    }
    let paired = taper(["summarize", out_name, "--tables", "paired,summary", "--full"]);
    assert!(paired.stdout.contains("Settings compared run by run"), "{}", paired.stdout);
    assert!(paired.stdout.contains("1 of 1 a prompt, 2 in all"), "{}", paired.stdout);
}
