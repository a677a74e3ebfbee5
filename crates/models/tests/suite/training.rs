//! The differentiable mode: it agrees with transformers, and its gradients with finite differences.

use std::collections::HashMap;

use serde_json::json;
use taper_models::candle_core::{DType, Device, Tensor, Var, safetensors};
use taper_models::{Decoder, DecoderSpec, random};

use crate::golden::{MODELS, distance, expected, folder};

fn spec(name: &str) -> DecoderSpec {
    let config = std::fs::read_to_string(folder(name).join("config.json")).unwrap();
    DecoderSpec::from_config(&serde_json::from_str(&config).unwrap()).unwrap()
}

#[test]
fn agrees_with_transformers() {
    for name in MODELS {
        let weights =
            safetensors::load(folder(name).join("model.safetensors"), &Device::Cpu).unwrap();
        let decoder = Decoder::new(&spec(name), &weights, DType::F32, &Device::Cpu).unwrap();
        let expected = expected(name);
        for case in expected.cases {
            let ids = Tensor::new(vec![case.prompt; 2], &Device::Cpu).unwrap();
            let logits = decoder.forward_train(&ids).unwrap().to_vec3::<f32>().unwrap();
            for row in logits {
                let d = distance(row.last().unwrap(), &case.logits_last);
                assert!(d < expected.tolerance.logits_abs, "{name}: {d}");
            }
        }
    }
}

/// Sum of all logits, each with a weight of its own so that no gradient cancels.
fn objective(decoder: &Decoder) -> Tensor {
    let ids = Tensor::new(&[[1u32, 5, 9, 2], [7, 7, 3, 0]], &Device::Cpu).unwrap();
    let logits = decoder.forward_train(&ids).unwrap().flatten_all().unwrap();
    let weights = Tensor::arange(0f32, logits.elem_count() as f32, &Device::Cpu).unwrap();
    (logits * weights.sin().unwrap()).unwrap().sum_all().unwrap()
}

/// Compares the gradient of every tensor of a random model with the slope along it.
fn check_gradients(config: &serde_json::Value) {
    let spec = DecoderSpec::from_config(config).unwrap();
    let vars: HashMap<String, Var> = random::init(&spec, 3, 1.0)
        .unwrap()
        .into_iter()
        .map(|(name, tensor)| (name, Var::from_tensor(&tensor).unwrap()))
        .collect();
    let tensors: HashMap<String, Tensor> =
        vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let decoder = Decoder::new(&spec, &tensors, DType::F32, &Device::Cpu).unwrap();
    let gradients = objective(&decoder).backward().unwrap();
    for tensor in spec.tensors() {
        let var = &vars[&tensor.name];
        let Some(gradient) = gradients.get(var) else {
            // What is there for the choice of experts alone has none.
            assert!(tensor.name.contains("correction"), "{} has none", tensor.name);
            continue;
        };
        // Along the gradient itself the slope is its squared length.
        let original = var.as_tensor().copy().unwrap();
        let length = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        let at = |step: f32| {
            let moved = (gradient * f64::from(step / length)).unwrap();
            var.set(&(&original + moved).unwrap()).unwrap();
            objective(&decoder).to_scalar::<f32>().unwrap()
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        at(0.0);
        let error = (slope - length).abs() / length;
        assert!(error < 1e-2, "{}: slope {slope}, gradient {length}", tensor.name);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let sizes = |family: &str, more: serde_json::Value| {
        let mut config = serde_json::json!({
            "model_type": family, "vocab_size": 11, "hidden_size": 8, "intermediate_size": 12,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 4, "max_position_embeddings": 16,
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    check_gradients(&sizes("llama", json!({ "attention_bias": true, "mlp_bias": true })));
    check_gradients(&sizes("gemma3_text", json!({ "final_logit_softcapping": 5.0 })));
    check_gradients(&sizes("phi", json!({ "num_attention_heads": 2, "qk_layernorm": true })));
    check_gradients(&json!({
        "model_type": "gpt2", "vocab_size": 11, "n_embd": 8, "n_layer": 2, "n_head": 2,
        "n_positions": 16,
    }));
    // All experts are chosen: where a choice changes, the objective jumps.
    check_gradients(&sizes(
        "nemotron_h",
        json!({
            "hybrid_override_pattern": "ME", "mamba_num_heads": 4, "mamba_head_dim": 4, "n_groups": 2,
            "ssm_state_size": 4, "n_routed_experts": 3, "num_experts_per_tok": 3,
            "moe_intermediate_size": 6, "moe_shared_expert_intermediate_size": 6,
        }),
    ));
}

#[test]
fn random_weights_depend_on_the_seed_alone() {
    let spec = spec("llama_tied");
    let first = random::init(&spec, 5, 1.0).unwrap();
    let again = random::init(&spec, 5, 1.0).unwrap();
    let other = random::init(&spec, 6, 1.0).unwrap();
    let name = "model.layers.1.mlp.up_proj.weight";
    let values = |weights: &HashMap<String, Tensor>| {
        weights[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(values(&first), values(&again));
    assert_ne!(values(&first), values(&other));
    let mean_square: f32 = values(&first).iter().map(|x| x * x * 48.0).sum::<f32>() / 3840.0;
    assert!((mean_square - 1.0).abs() < 0.1, "{mean_square}");
}
