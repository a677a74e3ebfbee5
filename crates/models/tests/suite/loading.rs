//! What comes out of a good folder.

use std::collections::HashMap;
use std::fs;

use serde_json::json;
use taper_models::candle_core::{Device, Tensor, safetensors};
use taper_models::{LoadOptions, LoadedModel, Outputs, Want, Work, load};
use tempfile::TempDir;

use crate::golden::{distance, expected, folder};

fn logits_last(loaded: &LoadedModel, tokens: &[u32]) -> Vec<f32> {
    let mut state = loaded.model.new_state();
    let row = state.new_row();
    let work = [Work { row, tokens, want: Want::Last }];
    let mut outputs = Outputs::new();
    loaded.model.forward(&mut *state, &work, &mut outputs).unwrap();
    outputs.last(0).to_vec()
}

#[test]
fn a_folder_brings_its_tokenizer_and_configs() {
    let loaded = load(folder("llama"), &LoadOptions::default()).unwrap();
    assert_eq!(loaded.name, "llama");
    assert_eq!(loaded.model.family(), "llama");
    assert_eq!(loaded.model.vocab_size(), 288);
    assert_eq!(loaded.model.context_length(), 512);
    assert_eq!(loaded.config["eos_token_id"], json!(2));
    assert_eq!(loaded.generation_config.unwrap()["eos_token_id"], json!([2, 7]));
    let tokenizer = loaded.tokenizer.unwrap();
    assert_eq!(tokenizer.token_to_id("<eos>"), Some(2));
}

#[test]
fn only_config_and_weights_are_needed() {
    let bare = TempDir::new().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(folder("llama").join(file), bare.path().join(file)).unwrap();
    }
    let loaded = load(bare.path(), &LoadOptions::default()).unwrap();
    assert!(loaded.tokenizer.is_none());
    assert!(loaded.generation_config.is_none());
}

#[test]
fn shards_are_read_through_their_index() {
    let sharded = TempDir::new().unwrap();
    let source = folder("llama");
    fs::copy(source.join("config.json"), sharded.path().join("config.json")).unwrap();
    let weights = safetensors::load(source.join("model.safetensors"), &Device::Cpu).unwrap();
    let mut shards: [HashMap<String, Tensor>; 2] = Default::default();
    let mut weight_map = serde_json::Map::new();
    for (number, (name, tensor)) in weights.into_iter().enumerate() {
        let file = format!("model-{}.safetensors", number % 2);
        weight_map.insert(name.clone(), json!(file));
        shards[number % 2].insert(name, tensor);
    }
    for (number, shard) in shards.iter().enumerate() {
        let file = sharded.path().join(format!("model-{number}.safetensors"));
        safetensors::save(shard, file).unwrap();
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    let index_path = sharded.path().join("model.safetensors.index.json");
    fs::write(index_path, index.to_string()).unwrap();

    let loaded = load(sharded.path(), &LoadOptions::default()).unwrap();
    let case = &expected("llama").cases[2];
    let d = distance(&logits_last(&loaded, &case.prompt), &case.logits_last);
    assert!(d < 2e-4, "{d}");
}

#[test]
fn random_weights_need_a_config_alone() {
    let bare = TempDir::new().unwrap();
    fs::copy(folder("nemotron_h").join("config.json"), bare.path().join("config.json")).unwrap();
    let drawn = |seed| {
        let random_weights = Some(seed);
        let options = LoadOptions { random_weights, ..LoadOptions::default() };
        logits_last(&load(bare.path(), &options).unwrap(), &[1, 2, 3])
    };
    let first = drawn(7);
    assert!(first.iter().all(|logit| logit.is_finite()));
    assert_eq!(first, drawn(7));
    assert_ne!(first, drawn(8));
}

/// A copy of a folder whose tensors are called otherwise.
fn renamed(name: &str, rename: impl Fn(&str) -> String) -> TempDir {
    let copy = TempDir::new().unwrap();
    fs::copy(folder(name).join("config.json"), copy.path().join("config.json")).unwrap();
    let weights = safetensors::load(folder(name).join("model.safetensors"), &Device::Cpu).unwrap();
    let weights = weights.into_iter().map(|(name, tensor)| (rename(&name), tensor));
    let weights: HashMap<String, Tensor> = weights.collect();
    safetensors::save(&weights, copy.path().join("model.safetensors")).unwrap();
    copy
}

#[test]
fn names_may_start_as_other_programs_have_it() {
    for (name, from, to) in [
        ("gemma3", "language_model.model.", "model.language_model."),
        ("gpt2", "transformer.", ""),
        ("nemotron_h", "backbone.", "model."),
    ] {
        let copy = renamed(name, |tensor| tensor.replacen(from, to, 1));
        let loaded = load(copy.path(), &LoadOptions::default()).unwrap();
        let case = &expected(name).cases[1];
        let d = distance(&logits_last(&loaded, &case.prompt), &case.logits_last);
        assert!(d < 1e-4, "{name}: {d}");
    }
}

/// As transformers 5 holds them, and saves them if it is told to.
#[test]
fn experts_may_be_stored_as_one() {
    for (name, gated) in [("qwen3_moe", true), ("nemotron_h", false)] {
        let copy = TempDir::new().unwrap();
        fs::copy(folder(name).join("config.json"), copy.path().join("config.json")).unwrap();
        let weights = folder(name).join("model.safetensors");
        let mut weights = safetensors::load(weights, &Device::Cpu).unwrap();
        let layers: std::collections::BTreeSet<String> = (weights.keys())
            .filter_map(|name| Some(name.split_once(".experts.0.")?.0.to_owned()))
            .collect();
        assert!(!layers.is_empty());
        for layer in layers {
            let mut take = |part: &str| -> Vec<Tensor> {
                let name = |expert| format!("{layer}.experts.{expert}.{part}.weight");
                (0..).map_while(|expert| weights.remove(&name(expert))).collect()
            };
            let (up, down) = (take("up_proj"), take("down_proj"));
            let (part, up) = if gated {
                let both = take("gate_proj").into_iter().zip(up);
                let both = both.map(|(gate, up)| Tensor::cat(&[gate, up], 0).unwrap());
                ("gate_up_proj", both.collect())
            } else {
                ("up_proj", up)
            };
            for (part, experts) in [(part, up), ("down_proj", down)] {
                let stacked = Tensor::stack(&experts, 0).unwrap();
                weights.insert(format!("{layer}.experts.{part}"), stacked);
            }
        }
        safetensors::save(&weights, copy.path().join("model.safetensors")).unwrap();
        let loaded = load(copy.path(), &LoadOptions::default()).unwrap();
        for case in expected(name).cases {
            let d = distance(&logits_last(&loaded, &case.prompt), &case.logits_last);
            assert!(d < 1e-4, "{name}: {d}");
        }
    }
}

#[test]
#[cfg(feature = "builtin")]
fn the_builtin_model_loads_and_fits_its_tokenizer() {
    let loaded = taper_models::load_builtin(&LoadOptions::default()).unwrap();
    assert_eq!(loaded.name, "builtin");
    let tokenizer = loaded.tokenizer.as_ref().unwrap();
    assert!(tokenizer.get_vocab_size(true) <= loaded.model.vocab_size());
    let ids = tokenizer.encode("The old lighthouse", true).unwrap();
    let logits = logits_last(&loaded, ids.get_ids());
    assert!(logits.iter().all(|logit| logit.is_finite()));
}
