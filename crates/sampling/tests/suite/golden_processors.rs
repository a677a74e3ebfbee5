//! Rows that Hugging Face transformers 5.23 processed, through the preset of that name.
//!
//! The origin of the cases is told in `testdata/README.md`.

use serde::Deserialize;
use serde_json::Value;
use taper_sampling::{DrawKey, GenerationConfig, History, Step, Workspace, presets};

#[derive(Deserialize)]
struct Case {
    name: String,
    config: GenerationConfig,
    prompt: Vec<u32>,
    generated: Vec<u32>,
    logits: Vec<Value>,
    expect: Expect,
    tolerance: Tolerance,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expect {
    Scores {
        scores: Vec<Option<f32>>,
    },
    /// The boundary cuts through a class of equal scores, and which of them stay is left open.
    Classes {
        support_classes: Vec<(f32, usize)>,
        eligible: Vec<Option<f32>>,
    },
}

#[derive(Deserialize)]
struct Tolerance {
    abs: f64,
    rel: f64,
}

impl Tolerance {
    fn admits(&self, got: f32, want: f32) -> bool {
        let (got, want) = (f64::from(got), f64::from(want));
        (got - want).abs() <= self.abs + self.rel * want.abs()
    }
}

fn logit(value: &Value) -> f32 {
    match value.as_str() {
        Some("nan") => f32::NAN,
        Some("inf") => f32::INFINITY,
        Some("-inf") => f32::NEG_INFINITY,
        _ => value.as_f64().expect("a number, or the name of one") as f32,
    }
}

/// Scores after the pipeline, `None` for what is removed or banned.
fn processed(case: &Case) -> Result<Vec<Option<f32>>, Box<dyn std::error::Error>> {
    let row: Vec<f32> = case.logits.iter().map(logit).collect();
    let mut history = History::new(&case.prompt);
    for &id in &case.generated {
        history.accept(id);
    }
    let pipeline = presets::huggingface(&case.config, None)?;
    let mut workspace = Workspace::new(row.len());
    let step = Step::new(DrawKey::new(0)).history(&history);
    let candidates = pipeline.process(&row, &step, &mut workspace)?;
    let score = |id| candidates.get(id).filter(|&score| score > f32::NEG_INFINITY);
    Ok((0..row.len() as u32).map(score).collect())
}

fn judge(case: &Case) -> Result<(), String> {
    let got = processed(case).map_err(|error| error.to_string())?;
    let same = |got: Option<f32>, want: Option<f32>| match (got, want) {
        (Some(got), Some(want)) => case.tolerance.admits(got, want),
        (got, want) => got == want,
    };
    match &case.expect {
        Expect::Scores { scores } => match (0..got.len()).find(|&id| !same(got[id], scores[id])) {
            Some(id) => Err(format!("token {id} is {:?}, not {:?}", got[id], scores[id])),
            None => Ok(()),
        },
        Expect::Classes { support_classes, eligible } => {
            if let Some(id) =
                (0..got.len()).find(|&id| got[id].is_some() && !same(got[id], eligible[id]))
            {
                return Err(format!("token {id} is {:?}, not {:?}", got[id], eligible[id]));
            }
            let mut kept: Vec<f32> = got.into_iter().flatten().collect();
            kept.sort_by(|a, b| b.total_cmp(a));
            let want: Vec<f32> = support_classes
                .iter()
                .flat_map(|&(score, count)| std::iter::repeat_n(score, count))
                .collect();
            let all = kept.iter().zip(&want).all(|(&a, &b)| case.tolerance.admits(a, b));
            if kept.len() == want.len() && all {
                Ok(())
            } else {
                Err(format!("kept {kept:?}, not {support_classes:?}"))
            }
        }
    }
}

#[test]
fn every_case_of_hugging_face_passes() {
    let text = include_str!("../../testdata/processors.jsonl");
    let mut failures = Vec::new();
    let mut cases = 0;
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).expect(line);
        if let Err(why) = judge(&case) {
            failures.push(format!("{}: {why} ({:?})", case.name, case.config));
        }
        cases += 1;
    }
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 439);
}
