//! Suite `llamacpp-samplers`: a row through a chain of llama.cpp's samplers.
//!
//! As `hf-processors`, with llama.cpp's settings as `config`; what a chain does not say is neutral.
//! A chain that ends in mirostat is compared by the candidates that it draws from.

use serde_json::Value;
use taper_sampling::presets::{LlamaCppConfig, llama_cpp};
use taper_sampling::{DrawKey, Step, Workspace};

use super::case::{history, member, row};
use super::processors::{check, scores};

pub(super) fn run(case: &Value) -> Result<(), String> {
    let config: LlamaCppConfig = member(case, "config")?;
    let row = row(&case["logits"])?;
    let pipeline = llama_cpp(&config, row.len(), None).map_err(|error| error.to_string())?;
    let (history, memory) = (history(case)?, pipeline.new_memory());
    let step = Step::new(DrawKey::new(0)).history(&history).memory(&memory);
    let mut workspace = Workspace::new(row.len());
    let mut selection =
        pipeline.select(&row, &step, &mut workspace).map_err(|error| error.to_string())?;
    check(case, &scores(selection.candidates()))
}
