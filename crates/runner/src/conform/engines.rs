//! Suites `llamacpp-samplers` and `vllm-sampler`: a row through the chain of another engine.
//!
//! As `hf-processors`, with that engine's settings as `config`; what a chain does not say is neutral.
//! Compared are the candidates that the token is drawn from, or of which the best is taken.

use serde::de::DeserializeOwned;
use serde_json::Value;
use taper_sampling::presets::PresetError;
use taper_sampling::{Pipeline, TiePolicy, Workspace};

use super::case::{member, row, sequence};
use super::processors::{check, scores};

/// Makes the pipeline that a config asks for, for a vocabulary of that size.
type Preset<C> = fn(&C, usize, Option<TiePolicy>) -> Result<Pipeline, PresetError>;

pub(super) fn run<C: DeserializeOwned>(case: &Value, preset: Preset<C>) -> Result<(), String> {
    let config: C = member(case, "config")?;
    let row = row(&case["logits"])?;
    let pipeline = preset(&config, row.len(), None).map_err(|error| error.to_string())?;
    let mut workspace = Workspace::new(row.len());
    let selected = sequence(case, &pipeline)?.select(&row, &mut workspace);
    let mut selection = selected.map_err(|error| error.to_string())?;
    check(case, &scores(selection.candidates()))
}
