//! llama.cpp's own results, through the preset. `testdata/README.md` says how they were made.

use serde_json::Value;
use taper_sampling::presets::{LlamaCppConfig, llama_cpp};
use taper_sampling::*;

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

/// What the draw is made from: the score of each candidate, `None` where removed or banned.
fn outcome(case: &Value) -> Result<Vec<Option<f32>>, String> {
    let config: LlamaCppConfig =
        serde_json::from_value(case["config"].clone()).map_err(|e| e.to_string())?;
    let logits: Vec<f32> = case["logits"]
        .as_array()
        .expect("a row")
        .iter()
        .map(|x| x.as_f64().map_or(f32::NEG_INFINITY, |x| x as f32))
        .collect();
    let pipeline = llama_cpp(&config, logits.len(), None).map_err(|e| e.to_string())?;
    let mut history = History::new(&ids(&case["prompt"]));
    for id in ids(&case["generated"]) {
        history.accept(id);
    }
    let memory = pipeline.new_memory();
    let step = Step::new(DrawKey::new(0)).history(&history).memory(&memory);
    let mut workspace = Workspace::new(logits.len());
    let mut chosen = pipeline.select(&logits, &step, &mut workspace).map_err(|e| e.to_string())?;
    let candidates = chosen.candidates();
    let score = |id| candidates.get(id).filter(|&score| score > f32::NEG_INFINITY);
    Ok((0..logits.len() as u32).map(score).collect())
}

fn difference(case: &Value) -> Option<String> {
    let got = match outcome(case) {
        Ok(got) => got,
        Err(error) => return Some(error),
    };
    let [abs, rel] = ["abs", "rel"].map(|key| case["tolerance"][key].as_f64().expect("a number"));
    let want = case["expect"]["scores"].as_array().expect("scores");
    got.iter().zip(want).enumerate().find_map(|(id, (got, want))| {
        let agrees = match (got, want.as_f64()) {
            (None, None) => true,
            (Some(got), Some(want)) => (f64::from(*got) - want).abs() <= abs + rel * want.abs(),
            _ => false,
        };
        (!agrees).then(|| format!("token {id}: got {got:?}, want {want}"))
    })
}

#[test]
fn every_case_of_llama_cpp_agrees() {
    let cases = include_str!("../testdata/llamacpp.jsonl");
    let mut failures = Vec::new();
    let mut count = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        count += 1;
        if let Some(why) = difference(&case) {
            failures.push(format!("{}: {why}", case["name"]));
        }
    }
    assert_eq!(count, 171);
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
