//! Reading `testdata`: model folders with the answers of Hugging Face transformers.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Folders under `testdata`, at least one of each family.
pub(crate) const MODELS: [&str; 16] = [
    "gemma3",
    "gemma3_capped",
    "gemma3_text",
    "gemma3_text_hub",
    "gpt2",
    "llama",
    "llama_tied",
    "mistral",
    "nemotron_h",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3_yarn",
    "qwen3_moe",
    "smollm3",
];

/// The folder of a model that transformers saved.
pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// What transformers computed with it.
#[derive(Debug, Deserialize)]
pub(crate) struct Expected {
    pub(crate) tolerance: Tolerance,
    pub(crate) cases: Vec<Case>,
    pub(crate) batch_left_padded: Option<Batch>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tolerance {
    pub(crate) logits_abs: f32,
    pub(crate) logprobs_abs: f32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) prompt: Vec<u32>,
    pub(crate) logits_last: Vec<f32>,
    pub(crate) logits_all_positions_first8: Vec<Vec<f32>>,
    pub(crate) greedy: Vec<u32>,
    pub(crate) greedy_logprobs: Vec<f32>,
}

/// Two rows that transformers ran together, the shorter one padded on the left.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    pub(crate) case_indices: Vec<usize>,
    pub(crate) logits_last: Vec<Vec<f32>>,
}

pub(crate) fn expected(name: &str) -> Expected {
    let text = std::fs::read_to_string(folder(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// How far transformers' own logits in half precision are from those in `f32`, by folder and type.
pub(crate) fn half_distances() -> HashMap<String, HashMap<String, f32>> {
    let path = folder("half.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The largest difference between two rows; NaN where either has one.
pub(crate) fn distance(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let differences = got.iter().zip(want).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}
