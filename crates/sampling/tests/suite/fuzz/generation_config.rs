//! Settings out of an arbitrary file, and the pipelines that engines make of them.

use taper_sampling::presets::{self, LlamaCppConfig, PresetError, VllmConfig};
use taper_sampling::*;

const VOCAB: usize = 40;

/// Never a panic: settings or an error, a pipeline or an error, a token or an error.
pub(crate) fn run(data: &[u8]) {
    let random = Some(TiePolicy::Random);
    if let Ok(config) = serde_json::from_slice::<GenerationConfig>(data) {
        let _ = config.validate();
        let written = serde_json::to_string(&config).expect("what was read can be written");
        // Not for equal: the reader of JSON is a unit in the last place off for long numbers.
        serde_json::from_str::<GenerationConfig>(&written).expect("what was written can be read");
        let merged = config.clone().or(GenerationConfig::class_defaults());
        steps(presets::huggingface(&config, None));
        steps(presets::huggingface(&merged, random));
    }
    if let Ok(config) = serde_json::from_slice::<LlamaCppConfig>(data) {
        steps(presets::llama_cpp(&config, VOCAB, None));
        steps(presets::llama_cpp(&config, VOCAB, random));
    }
    if let Ok(config) = serde_json::from_slice::<VllmConfig>(data) {
        steps(presets::vllm(&config, VOCAB, None));
        steps(presets::vllm(&config, VOCAB, random));
    }
}

/// Rows that are hard on cuts: falling, with ties, flat, with bans and infinities, beyond repair.
fn rows() -> [Vec<f32>; 5] {
    let row = |logit: fn(usize) -> f32| (0..VOCAB).map(logit).collect();
    [
        row(|id| -(id as f32) / 3.0),
        row(|id| (id % 4) as f32 * 20.0),
        row(|_| -1.5),
        row(|id| [f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, -0.0][id % 4]),
        row(|id| [f32::NAN, f32::INFINITY, 1.0][id % 3]),
    ]
}

/// A few steps of a sequence.
fn steps(pipeline: Result<Pipeline, PresetError>) {
    let Ok(pipeline) = pipeline else { return };
    let mut memory = pipeline.new_memory();
    let mut history = History::new(&[1, 2, 3, 1, 2]);
    let mut workspace = Workspace::new(VOCAB);
    let guide = vec![0.25; VOCAB];
    for (step, row) in (0..).zip(rows()) {
        let key = DrawKey::new(7).step(step);
        let step = Step::new(key).history(&history).memory(&memory).unconditional(&guide);
        let step = step.ask(Ask { top_logprobs: 3, ..Ask::everything() });
        let Ok(chosen) = pipeline.select(&row, &step, &mut workspace) else { continue };
        assert!((chosen.token as usize) < VOCAB);
        let accepted = chosen.accepted();
        memory.accept(&accepted);
        history.accept(accepted.token);
    }
}
