//! Every family and every type of weights: the same bits from any cut of the tokens, in any company, on
//! any number of threads and on every vector unit.

use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor};
use serde_json::{Value, json};

use crate::cpu::CpuDecoder;
use crate::cpu::engine::Engine;
use crate::cpu::simd::Unit;
use crate::language_model::{LanguageModel, Outputs, Want, Work};
use crate::random;
use crate::spec::DecoderSpec;
use crate::weights::TensorSource;

/// Random weights, whose matrices are stored in a type.
struct Typed {
    weights: random::Weights,
    dtype: GgmlDType,
}

impl TensorSource for Typed {
    fn tensor(&self, name: &str, device: &Device) -> Result<Option<Tensor>> {
        self.weights.tensor(name, device)
    }

    fn contains(&self, name: &str) -> bool {
        self.weights.contains(name)
    }

    fn blocks(&self, name: &str, device: &Device) -> Result<Option<Arc<QTensor>>> {
        let Some(tensor) = self.weights.tensor(name, device)? else { return Ok(None) };
        match tensor.dims() {
            [_, width] if width.is_multiple_of(self.dtype.block_size()) => {
                QTensor::quantize(&tensor, self.dtype).map(Arc::new).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Logits after each token of a row, in the pieces that it is cut into, beside other rows.
fn run(model: &CpuDecoder, tokens: &[u32], size: usize, company: usize) -> Vec<u32> {
    let (mut state, mut outputs) = (model.new_state(), Outputs::new());
    let others: Vec<_> = (0..company).map(|_| state.new_row()).collect();
    let row = state.new_row();
    let mut bits = Vec::new();
    for (index, tokens) in tokens.chunks(size).enumerate() {
        let other = [(index % 5) as u32, 1, 2];
        let left =
            model.context_length() - others.first().map_or(0, |row| state.len(*row).unwrap());
        let count = (1 + index % 3).min(left);
        let mut work: Vec<Work<'_>> = others
            .iter()
            .filter(|_| count > 0)
            .map(|row| Work { row: *row, tokens: &other[..count], want: Want::Last })
            .collect();
        work.push(Work { row, tokens, want: Want::All });
        model.forward(&mut *state, &work, &mut outputs).unwrap();
        let own = work.len() - 1;
        bits.extend(outputs.logits(own).iter().map(|logit| logit.to_bits()));
    }
    bits
}

fn check(name: &str, spec: &DecoderSpec, weights: &dyn TensorSource, length: usize) {
    let tokens: Vec<u32> =
        (0..length).map(|i| (i * i * 7 + i * 3) as u32 % spec.vocab_size as u32).collect();
    let on = |unit, threads| {
        CpuDecoder::with_engine(spec, weights, None, Engine::eager(unit, threads)).unwrap()
    };
    let want = run(&on(Unit::best(), 1), &tokens, length, 0);
    assert!(want.iter().all(|bits| f32::from_bits(*bits).is_finite()), "{name}");
    let same = |model: &CpuDecoder, size, company, how: &str| {
        let got = run(model, &tokens, size, company);
        let differs = got.iter().zip(&want).position(|(got, want)| got != want);
        let place = differs.map(|at| at / spec.vocab_size);
        assert_eq!(place, None, "{name}: another logit after this token, {how}, pieces of {size}");
    };
    for threads in [1, 2, 5] {
        let model = on(Unit::best(), threads);
        for size in [1, 7, 64, 131, length] {
            same(&model, size, 0, &format!("{threads} threads"));
        }
        same(&model, 1, 3, "in company");
        same(&model, 90, 2, "in company");
    }
    for unit in Unit::all().skip(1) {
        let model = on(unit, 2);
        same(&model, length, 0, unit.name());
        same(&model, 41, 1, unit.name());
    }
}

fn random_spec(config: &Value) -> DecoderSpec {
    DecoderSpec::from_config(config).unwrap()
}

/// The models that transformers made, which are of all families, over what their contexts hold.
#[test]
fn golden_models_of_all_families() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut families = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let (Ok(config), Ok(weights)) = (
            std::fs::read(folder.join("config.json")),
            std::fs::read(folder.join("model.safetensors")),
        ) else {
            continue;
        };
        let spec = random_spec(&serde_json::from_slice(&config).unwrap());
        let weights = candle_core::safetensors::load_buffer(&weights, &Device::Cpu).unwrap();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        check(&name, &spec, &weights, 150.min(spec.context_length));
        families.push(spec.family);
    }
    families.sort_unstable();
    families.dedup();
    assert_eq!(families, crate::families::supported());
}

/// Longer rows than spans of keys and passes, with windows, odd heads and a state.
#[test]
fn long_rows() {
    let windows = json!({
        "model_type": "gemma3_text", "vocab_size": 24, "hidden_size": 24, "intermediate_size": 20,
        "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 20,
        "max_position_embeddings": 700, "sliding_window": 77, "sliding_window_pattern": 2,
        "final_logit_softcapping": 9.0,
    });
    let hybrid = json!({
        "model_type": "nemotron_h", "vocab_size": 24, "hidden_size": 16, "intermediate_size": 24,
        "hybrid_override_pattern": "M*EM-", "num_attention_heads": 3, "num_key_value_heads": 1,
        "head_dim": 6, "mamba_num_heads": 4, "mamba_head_dim": 6, "ssm_state_size": 19,
        "n_groups": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "conv_kernel": 4,
        "moe_intermediate_size": 8, "moe_shared_expert_intermediate_size": 12,
        "max_position_embeddings": 700,
    });
    for config in [windows, hybrid] {
        let spec = random_spec(&config);
        check(&spec.family, &spec, &random::Weights::new(&spec, 5, 1.5), 600);
    }
}

#[test]
fn all_types_of_weights() {
    let spec = random_spec(&json!({
        "model_type": "qwen3", "vocab_size": 20, "hidden_size": 256, "intermediate_size": 512,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
        "max_position_embeddings": 200,
    }));
    for dtype in [
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ] {
        let weights = Typed { weights: random::Weights::new(&spec, 5, 1.0), dtype };
        check(&format!("{dtype:?}"), &spec, &weights, 40);
    }
}
