//! The Hugging Face preset against what Hugging Face transformers computed.

use serde_json::Value;
use taper_runner::sampling::{
    DrawKey, GenerationConfig, History, Step, Workspace, presets::huggingface,
};
use taper_runner::{Generation, Request, Source, TableModel};

fn cases(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("a case is JSON");
    text.lines().map(parse).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

fn logit(value: &Value) -> f32 {
    match value {
        Value::String(text) => text.parse().expect("nan, inf or -inf"),
        number => number.as_f64().expect("a logit") as f32,
    }
}

/// The scores after all stages; `None` where a token was removed or banned.
fn processed(case: &Value) -> Vec<Option<f64>> {
    let config: GenerationConfig = serde_json::from_value(case["config"].clone()).unwrap();
    let pipeline = huggingface(&config, None).unwrap();
    let mut history = History::new(&ids(&case["prompt"]));
    for id in ids(&case["generated"]) {
        history.accept(id);
    }
    let row: Vec<f32> = case["logits"].as_array().unwrap().iter().map(logit).collect();
    let step = Step::new(DrawKey::new(0)).history(&history);
    let mut workspace = Workspace::new(row.len());
    let candidates = pipeline.process(&row, &step, &mut workspace).unwrap();
    let score = |id| candidates.get(id).filter(|score| *score > f32::NEG_INFINITY);
    (0..row.len() as u32).map(|id| score(id).map(f64::from)).collect()
}

fn close(case: &Value, got: Option<f64>, want: Option<f64>) -> bool {
    let (rel, abs) = (&case["tolerance"]["rel"], &case["tolerance"]["abs"]);
    match (got, want) {
        (None, None) => true,
        (Some(got), Some(want)) => {
            (got - want).abs() <= abs.as_f64().unwrap() + rel.as_f64().unwrap() * want.abs()
        }
        _ => false,
    }
}

/// Which of equal logits stay was left to a sort; how many, and which could, is fixed.
fn kept_fit_the_classes(case: &Value, got: &[Option<f64>]) -> bool {
    let mut kept: Vec<f64> = got.iter().flatten().copied().collect();
    kept.sort_by(|a, b| b.total_cmp(a));
    let classes = case["expect"]["support_classes"].as_array().unwrap();
    let expanded: Vec<f64> = classes
        .iter()
        .flat_map(|class| vec![class[0].as_f64().unwrap(); class[1].as_u64().unwrap() as usize])
        .collect();
    let eligible = case["expect"]["eligible"].as_array().unwrap();
    kept.len() == expanded.len()
        && kept.iter().zip(&expanded).all(|(&a, &b)| close(case, Some(a), Some(b)))
        && got
            .iter()
            .zip(eligible)
            .all(|(got, may)| got.is_none() || close(case, *got, may.as_f64()))
}

#[test]
fn the_preset_scores_rows_as_transformers_does() {
    let cases = cases(include_str!("../../testdata/hf_processors.jsonl"));
    let mut failed = Vec::new();
    for case in &cases {
        let got = processed(case);
        let fits = match case["expect"]["scores"].as_array() {
            Some(want) => got.iter().zip(want).all(|(&got, want)| close(case, got, want.as_f64())),
            None => kept_fit_the_classes(case, &got),
        };
        if !fits {
            failed.push(format!("{}: {got:?} for {}", case["name"], case["expect"]));
        }
    }
    assert_eq!(cases.len(), 136);
    assert!(failed.is_empty(), "{} cases differ:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn greedy_generation_is_that_of_transformers() {
    let cases = cases(include_str!("../../testdata/hf_generate.jsonl"));
    for case in &cases {
        let rows = case["table"].as_array().unwrap();
        let row = |row: &Value| row.as_array().unwrap().iter().map(logit).collect();
        let model = TableModel::new(rows.iter().map(row).collect(), 4096).unwrap();
        let mut request = Request::new(ids(&case["prompt"]));
        request.config = serde_json::from_value(case["config"].clone()).unwrap();
        let source = Source { name: "table", model: &model, tokenizer: None };
        let mut generation = Generation::new(source, request).unwrap();
        assert!(generation.by_ref().all(|step| step.is_ok()), "{}", case["name"]);
        let sequence = &generation.into_outcome().sequences[0];
        assert_eq!(sequence.tokens, ids(&case["expect"]["sequences"][0]), "{}", case["name"]);
        assert_eq!(case["expect"]["finish"][0], sequence.finish_reason.name(), "{}", case["name"]);
    }
    assert_eq!(cases.len(), 12);
}
