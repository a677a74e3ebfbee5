//! Inputs that once broke a fuzz target, replayed on stable, and spoilt good ones beside them.

#[path = "fuzz/gguf.rs"]
mod gguf;
#[path = "fuzz/infer.rs"]
mod infer;
#[path = "fuzz/model_folder.rs"]
mod model_folder;
#[path = "fuzz/spoil.rs"]
mod spoil;

use std::fs;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use spoil::{Spoiler, replay};
use taper_models::candle_core::safetensors;
use taper_models::{DecoderSpec, GgufType, export_gguf, random};
use tempfile::TempDir;

use crate::golden::{MODELS, folder};

/// Random bits, the same in every run.
fn bits() -> impl FnMut() -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    move || rng.next_u64()
}

#[test]
fn regressions_stay_fixed() {
    replay("model_folder", model_folder::run);
    replay("gguf", gguf::run);
}

/// A small model of each kind of layer, as config, header and numbers.
fn folders() -> Vec<Vec<u8>> {
    let sizes = json!({
        "vocab_size": 8, "hidden_size": 4, "intermediate_size": 6, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16,
        "tie_word_embeddings": true, "moe_intermediate_size": 2, "num_experts_per_tok": 1,
    });
    let kinds = [
        json!({"model_type": "llama", "rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        json!({"model_type": "qwen3_moe", "num_experts": 2}),
        json!({"model_type": "nemotron_h", "hybrid_override_pattern": "M*", "mamba_num_heads": 2,
               "n_groups": 1, "mamba_head_dim": 2, "ssm_state_size": 2, "head_dim": 2,
               "tie_word_embeddings": false}),
    ];
    let one = |kind: &Value| {
        let mut config = sizes.clone();
        config.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let spec = DecoderSpec::from_config(&config).unwrap();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("model.safetensors");
        safetensors::save(&random::init(&spec, 1, 1.0).unwrap(), &path).unwrap();
        let weights = fs::read(path).unwrap();
        let (length, rest) = weights.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let (header, numbers) = rest.split_at(length);
        [config.to_string().as_bytes(), b"\0", header, b"\0", numbers].concat()
    };
    kinds.iter().map(one).collect()
}

#[test]
fn spoilt_folders_break_nothing() {
    let (mut spoiler, mut seeds) = (Spoiler(bits()), folders());
    for _ in 0..500 {
        model_folder::run(&spoiler.spoil(&seeds));
    }
    seeds = MODELS.map(|name| fs::read(folder(name).join("config.json")).unwrap()).into();
    for _ in 0..500 {
        model_folder::run(&spoiler.spoil(&seeds));
    }
}

#[test]
fn spoilt_gguf_files_break_nothing() {
    let folder_of_files = TempDir::new().unwrap();
    let out = folder_of_files.path().join("model.gguf");
    let write = |(name, dtype): (&str, GgufType)| {
        export_gguf(folder(name), &out, dtype, Some(1)).unwrap();
        fs::read(&out).unwrap()
    };
    let models = [
        ("gguf/spm", GgufType::Q8_0),
        ("gguf/llama3", GgufType::F16),
        ("gemma3_text", GgufType::F32),
        ("phi3", GgufType::Q4K),
    ];
    let mut seeds: Vec<Vec<u8>> = models.into_iter().map(write).collect();
    seeds.push(crate::gguf_keys::with_every_kind_of_key());
    let mut spoiler = Spoiler(bits());
    for _ in 0..500 {
        gguf::run(&spoiler.spoil(&seeds));
    }
}
