//! Keys that ask for what this decoder does not compute.
//!
//! The first ones llama.cpp reads for every architecture, the others for other architectures than
//! those here: it passes them over, and a file that has them would compute something else than what
//! it says.

use super::architecture::Architecture;
use super::error::GgufError;
use super::metadata::{Metadata, Value};

/// A key, behind the name of the architecture, that must not say anything but these numbers.
pub(super) struct Refused {
    pub(super) name: &'static str,
    /// A flag counts as 0 or 1.
    pub(super) neutral: &'static [f64],
}

const fn unless(name: &'static str, neutral: &'static [f64]) -> Refused {
    Refused { name, neutral }
}

pub(super) const REFUSED: [Refused; 36] = [
    unless("attention.causal", &[1.0]),
    unless("expert_count", &[0.0]),
    unless("expert_group_count", &[0.0]),
    unless("expert_used_count", &[0.0]),
    unless("nextn_predict_layers", &[0.0]),
    // Of other architectures.
    unless("attention.clamp_kqv", &[0.0]),
    unless("attention.kv_lora_rank", &[0.0]),
    unless("attention.max_alibi_bias", &[0.0]),
    unless("attention.output_scale", &[0.0, 1.0]),
    unless("attention.q_lora_rank", &[0.0]),
    unless("attention.recurrent_layers", &[0.0]),
    unless("attention.rope_pattern", &[1.0]),
    unless("attention.scale", &[0.0]),
    unless("attention.shared_kv_layers", &[0.0]),
    unless("attention.temperature_length", &[0.0]),
    unless("attention.temperature_scale", &[0.0]),
    unless("attention.value_scale", &[0.0, 1.0]),
    unless("attn_logit_softcapping", &[0.0]),
    unless("embedding_scale", &[0.0, 1.0]),
    unless("full_attention_interval", &[0.0]),
    unless("hash_layer_count", &[0.0]),
    unless("logit_scale", &[0.0, 1.0]),
    unless("n_deepstack_layers", &[0.0]),
    unless("num_loops", &[0.0, 1.0]),
    unless("residual_scale", &[0.0, 1.0]),
    unless("rope.dimension_sections", &[0.0]),
    unless("rope.scaling.alpha", &[0.0]),
    unless("rope.scaling.yarn_attn_factor", &[1.0]),
    unless("rope.scaling.yarn_beta_fast", &[32.0]),
    unless("rope.scaling.yarn_beta_slow", &[1.0]),
    unless("rope.scaling.yarn_ext_factor", &[-1.0, 1.0]),
    unless("rope.scaling.yarn_log_multiplier", &[0.0]),
    unless("swiglu_clamp_exp", &[0.0]),
    unless("swiglu_clamp_shexp", &[0.0]),
    unless("swin_norm", &[0.0]),
    unless("use_parallel_residual", &[0.0]),
];

/// What gemma 3 alone has.
const OF_GEMMA: Refused = unless("final_logit_softcapping", &[0.0]);

/// Refuses a file with a key that asks for something else.
pub(super) fn check(metadata: &Metadata, architecture: Architecture) -> Result<(), GgufError> {
    let others = (architecture != Architecture::Gemma3).then_some(&OF_GEMMA);
    for Refused { name, neutral } in REFUSED.iter().chain(others) {
        let key = format!("{}.{name}", architecture.name());
        let Some(value) = metadata.get(&key) else { continue };
        if !says_nothing(value, neutral) {
            let numbers: Vec<String> = neutral.iter().map(|number| said(*number, value)).collect();
            let (found, expected) = (value.to_string(), numbers.join(" or "));
            return Err(GgufError::Value { key, found, expected });
        }
    }
    Ok(())
}

fn says_nothing(value: &Value, neutral: &[f64]) -> bool {
    match value {
        Value::List(list) => list.iter().all(|value| says_nothing(value, neutral)),
        value => value.as_number().is_some_and(|number| neutral.contains(&number)),
    }
}

/// A number as one would write it in place of a value.
fn said(number: f64, value: &Value) -> String {
    match value {
        Value::Flag(_) => (number != 0.0).to_string(),
        _ => number.to_string(),
    }
}
