//! Reading the parts of a case.

use serde::de::DeserializeOwned;
use serde_json::Value;
use taper_sampling::{DrawKey, Pipeline, Sequence};

/// The member `key`, as the type it must have.
pub(super) fn member<T: DeserializeOwned>(case: &Value, key: &str) -> Result<T, String> {
    let value = case.get(key).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|error| format!("`{key}` of the case: {error}"))
}

/// The sequence so far: `prompt`, then `generated`.
pub(super) fn sequence(case: &Value, pipeline: &Pipeline) -> Result<Sequence, String> {
    let prompt: Vec<u32> = member(case, "prompt")?;
    let mut sequence = pipeline.sequence(DrawKey::new(0)).prompt(&prompt);
    for id in member::<Vec<u32>>(case, "generated")? {
        sequence.accept(id).map_err(|error| error.to_string())?;
    }
    Ok(sequence)
}

/// A row of logits, where the strings `nan`, `inf` and `-inf` stand for themselves.
pub(super) fn row(value: &Value) -> Result<Vec<f32>, String> {
    let entries = value.as_array().ok_or("a row of logits must be a list")?;
    entries.iter().map(logit).collect()
}

fn logit(value: &Value) -> Result<f32, String> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        number => number.as_f64().map(|x| x as f32),
    };
    number.ok_or_else(|| format!("{value} is no logit"))
}

/// How far two numbers may be apart: `abs + rel · |want|`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerance {
    pub(super) abs: f64,
    pub(super) rel: f64,
}

impl Tolerance {
    /// The member `tolerance` of a case; what it leaves out is 0.
    pub(super) fn of(case: &Value) -> Self {
        let part = |key| case["tolerance"][key].as_f64().unwrap_or(0.0);
        Self { abs: part("abs"), rel: part("rel") }
    }

    pub(super) fn close(self, got: f64, want: f64) -> bool {
        (got - want).abs() <= self.abs + self.rel * want.abs()
    }
}
