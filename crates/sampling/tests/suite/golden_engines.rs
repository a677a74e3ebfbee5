//! The results of llama.cpp and of vLLM, each through the preset of that name.
//! `testdata/README.md` says how they were made.

use serde::de::DeserializeOwned;
use serde_json::Value;
use taper_sampling::presets::{PresetError, llama_cpp, vllm};
use taper_sampling::*;

/// Makes the pipeline that a config asks for, for a vocabulary.
type Preset<C> = fn(&C, usize, Option<TiePolicy>) -> Result<Pipeline, PresetError>;

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

/// What the draw is made from: the score of each candidate, `None` where removed or banned.
fn outcome<C: DeserializeOwned>(
    case: &Value,
    preset: Preset<C>,
) -> Result<Vec<Option<f32>>, String> {
    let config: C = serde_json::from_value(case["config"].clone()).map_err(|e| e.to_string())?;
    let logits: Vec<f32> = case["logits"]
        .as_array()
        .expect("a row")
        .iter()
        .map(|x| x.as_f64().map_or(f32::NEG_INFINITY, |x| x as f32))
        .collect();
    let pipeline = preset(&config, logits.len(), None).map_err(|e| e.to_string())?;
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

fn difference<C: DeserializeOwned>(case: &Value, preset: Preset<C>) -> Option<String> {
    let got = match outcome(case, preset) {
        Ok(got) => got,
        Err(error) => return Some(error),
    };
    let [abs, rel] = ["abs", "rel"].map(|key| case["tolerance"][key].as_f64().expect("a number"));
    let near = |got: f32, want: f64| (f64::from(got) - want).abs() <= abs + rel * want.abs();
    let agrees = |got: Option<f32>, want: Option<f64>| match (got, want) {
        (None, None) => true,
        (Some(got), Some(want)) => near(got, want),
        _ => false,
    };
    let expect = &case["expect"];
    let Some(classes) = expect["support_classes"].as_array() else {
        let want = expect["scores"].as_array().expect("scores");
        let pairs = got.iter().zip(want).enumerate();
        let mut wrong = pairs.filter(|(_, (got, want))| !agrees(**got, want.as_f64()));
        return wrong.next().map(|(id, (got, want))| format!("token {id}: {got:?} for {want}"));
    };
    // Which of a class of equals are kept is open, how many is not.
    let eligible = expect["eligible"].as_array().expect("scores");
    let may = |(got, may): (&Option<f32>, &Value)| got.is_none() || agrees(*got, may.as_f64());
    let of_class = |score: f64| got.iter().flatten().filter(|&&got| near(got, score)).count();
    let count = |class: &Value| class[1].as_u64().expect("a count") as usize;
    let whole = |class: &Value| of_class(class[0].as_f64().expect("a score")) == count(class);
    let kept = got.iter().flatten().count() == classes.iter().map(count).sum::<usize>();
    let right = kept && classes.iter().all(whole) && got.iter().zip(eligible).all(may);
    (!right).then(|| format!("{got:?} for the classes {classes:?}"))
}

fn assert_every_case_agrees<C: DeserializeOwned>(cases: &str, count: usize, preset: Preset<C>) {
    let cases = cases.lines().map(|line| serde_json::from_str(line).expect("a case"));
    let cases: Vec<Value> = cases.collect();
    let differ = |case: &Value| Some(format!("{}: {}", case["name"], difference(case, preset)?));
    let failures: Vec<_> = cases.iter().filter_map(differ).collect();
    assert_eq!(cases.len(), count);
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_case_of_llama_cpp_agrees() {
    assert_every_case_agrees(include_str!("../../testdata/llamacpp.jsonl"), 171, llama_cpp);
}

#[test]
fn every_case_of_vllm_agrees() {
    assert_every_case_agrees(include_str!("../../testdata/vllm.jsonl"), 124, vllm);
}
