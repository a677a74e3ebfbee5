//! Keys of GGUF files that this project does not write, as llama.cpp obeys them:
//! `testdata/gguf/llama_cpp_keys.json`, by `llama_cpp_keys.py`.

use serde_json::Value as Json;
use taper_models::candle_core::quantized::gguf_file::Value;
use taper_models::candle_core::quantized::{GgmlDType, QTensor};
use taper_models::candle_core::{Device, Tensor};

use crate::gguf::{greedy, ids};
use crate::gguf_parts::Parts;
use crate::golden::folder;

fn made(list: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(folder("gguf/llama_cpp_keys.json")).unwrap();
    let mut made: Json = serde_json::from_str(&text).unwrap();
    made[list].as_array_mut().map(std::mem::take).unwrap()
}

fn value(said: &Json) -> Value {
    let count = |value: &Json| Value::U32(value.as_u64().unwrap() as u32);
    match said[0].as_str().unwrap() {
        "f32" => Value::F32(said[1].as_f64().unwrap() as f32),
        "u32" => count(&said[1]),
        "u32s" => Value::Array(said[1].as_array().unwrap().iter().map(count).collect()),
        "bool" => Value::Bool(said[1].as_bool().unwrap()),
        _ => Value::String(said[1].as_str().unwrap().to_owned()),
    }
}

/// The file of a case.
fn changed(case: &Json) -> Parts {
    let mut parts = Parts::of(case["model"].as_str().unwrap());
    let Some(Value::String(architecture)) = parts.keys.get("general.architecture") else {
        panic!("no architecture")
    };
    let architecture = architecture.clone();
    for (key, said) in case["keys"].as_object().unwrap() {
        parts.set(&format!("{architecture}.{key}"), value(said));
    }
    for key in case["without"].as_array().unwrap() {
        let key = format!("{architecture}.{}", key.as_str().unwrap());
        assert!(parts.keys.remove(&key).is_some(), "{key}");
    }
    if let Some(factors) = case["rope_freqs"].as_array() {
        let factors: Vec<f32> = factors.iter().map(|f| f.as_f64().unwrap() as f32).collect();
        let factors = Tensor::new(factors, &Device::Cpu).unwrap();
        let factors = QTensor::quantize(&factors, GgmlDType::F32).unwrap();
        parts.tensors.insert("rope_freqs.weight".to_owned(), factors);
    }
    parts
}

/// A good file with keys that this project does not write.
pub(crate) fn with_every_kind_of_key() -> Vec<u8> {
    let mut parts = Parts::of("llama");
    for (key, number) in [
        ("llama.rope.scale_linear", 4.0),
        ("llama.rope.scaling.attn_factor", 1.5),
        ("llama.rope.scaling.yarn_beta_fast", 32.0),
        ("general.sampling.temp", 0.6),
    ] {
        parts.set(key, Value::F32(number));
    }
    let counts = |counts: &[u32]| Value::Array(counts.iter().copied().map(Value::U32).collect());
    parts.set("llama.feed_forward_length", counts(&[80; 3]));
    parts.set("llama.rope.dimension_sections", counts(&[0; 4]));
    parts.set("general.alignment", Value::U32(32));
    parts.set("general.sampling.sequence", Value::String("top_k;temp".to_owned()));
    parts.set("tokenizer.ggml.fim_pad_token_id", Value::U32(9));
    parts.set("tokenizer.ggml.eos_token_ids", counts(&[2, 11]));
    parts.set("tokenizer.ggml.suppress_tokens", counts(&[5, 300]));
    drop(parts.load());
    parts.bytes()
}

#[test]
fn keys_are_obeyed_as_llama_cpp_obeys_them() {
    for case in made("cases") {
        let want = ids(&case["tokens"]);
        let loaded = changed(&case).load();
        let (tokens, logprobs) = greedy(&loaded, &ids(&case["prompt"]), want.len());
        assert_eq!(tokens, want, "{}", case["name"]);
        for (got, want) in logprobs.iter().zip(case["logprobs"].as_array().unwrap()) {
            let d = (got - want.as_f64().unwrap()).abs();
            assert!(d < 0.005, "{}: {got}, {want}", case["name"]);
        }
    }
}

#[test]
fn texts_end_where_llama_cpp_ends_them() {
    for case in made("ends") {
        let mut parts = Parts::of(case["model"].as_str().unwrap());
        let Some(Value::Array(tokens)) = parts.keys.get_mut("tokenizer.ggml.tokens") else {
            panic!("no tokens")
        };
        for (id, name) in case["renamed"].as_object().unwrap() {
            tokens[id.parse::<usize>().unwrap()] = Value::String(name.as_str().unwrap().to_owned());
        }
        for (key, id) in case["keys"].as_object().unwrap() {
            parts.set(key, Value::U32(id.as_u64().unwrap() as u32));
        }
        for key in case["without"].as_array().unwrap() {
            assert!(parts.keys.remove(key.as_str().unwrap()).is_some());
        }
        let loaded = parts.load();
        let mut ends = match &loaded.config["eos_token_id"] {
            Json::Array(_) => ids(&loaded.config["eos_token_id"]),
            one => vec![one.as_u64().unwrap() as u32],
        };
        ends.sort_unstable();
        assert_eq!(ends, ids(&case["ends"]), "{}", case["name"]);
        // A name that ends a text is a control token, which a text without it is cut around.
        let tokenizer = loaded.tokenizer.unwrap();
        for id in ends.iter().filter(|id| case["renamed"].get(id.to_string()).is_some()) {
            let name = case["renamed"][id.to_string()].as_str().unwrap();
            let by_key = case["keys"].as_object().unwrap().values().any(|key| key == id);
            let cut = tokenizer.encode(format!("a{name}b"), false).unwrap();
            assert_eq!(cut.get_ids().contains(id), !by_key, "{name}");
        }
    }
}

#[test]
fn a_list_of_ends_is_read_as_ollama_writes_it() {
    let mut parts = Parts::of("llama");
    parts.set("tokenizer.ggml.eos_token_ids", Value::Array([9, 2, 12].map(Value::U32).to_vec()));
    assert_eq!(parts.load().config["eos_token_id"], serde_json::json!([2, 9, 12, 7, 5]));
}

#[test]
fn texts_that_nothing_needs_may_be_anything() {
    let whole = {
        let mut parts = Parts::of("llama");
        parts.set("general.description", Value::String("ABCD".to_owned()));
        parts.set("general.tags", Value::Array(vec![Value::String("ABCD".to_owned())]));
        parts.set("unknown.XYZW", Value::Bool(true));
        parts.bytes()
    };
    let spoilt = replaced(&replaced(&whole, b"ABCD", b"\xff\xfeCD"), b"XYZW", b"\xff\xfe\xfd\xfc");
    assert_ne!(spoilt, whole);
    crate::gguf_parts::load_bytes(&spoilt).unwrap();
}

/// Every `what` in the bytes, replaced.
pub(crate) fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    assert_eq!(what.len(), by.len());
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - what.len() {
        if bytes[at..].starts_with(what) {
            bytes[at..at + by.len()].copy_from_slice(by);
        }
    }
    bytes
}

#[test]
fn tokens_that_are_no_text_are_kept() {
    let mut parts = Parts::of("gguf/spm");
    let Some(Value::Array(tokens)) = parts.keys.get_mut("tokenizer.ggml.tokens") else { panic!() };
    tokens[419] = Value::String("QQQQ".to_owned());
    let bytes = replaced(&parts.bytes(), b"QQQQ", b"\xf0\x9fQQ");
    let tokenizer = crate::gguf_parts::load_bytes(&bytes).unwrap().tokenizer.unwrap();
    assert_eq!(tokenizer.id_to_token(419).unwrap(), "\u{fffd}QQ");
}

#[test]
fn what_a_file_recommends_is_as_llama_cpp_sees_it() {
    let mut parts = Parts::of("llama");
    parts.set("general.sampling.temp", Value::F32(0.6));
    parts.set("general.sampling.min_p", Value::F32(1e-7));
    parts.set("general.sampling.top_k", Value::I32(20));
    parts.set("general.sampling.top_p", Value::String("0.95".to_owned()));
    parts.set("general.sampling.xtc_threshold", Value::F32(f32::NAN));
    parts.set("general.sampling.mirostat", Value::Array(vec![Value::U32(2)]));
    parts.set("general.sampling.typical_p", Value::F32(0.5));
    let ids = [5, -1, 288, 9].map(Value::I32);
    parts.set("tokenizer.ggml.suppress_tokens", Value::Array(ids[..1].to_vec()));
    let want = serde_json::json!({
        "general.sampling.temp": 0.6,
        "general.sampling.min_p": 0.0,
        "general.sampling.top_k": 20,
        "general.sampling.top_p": "0.95",
        "general.sampling.xtc_threshold": "NaN",
        "tokenizer.ggml.suppress_tokens": [5],
    });
    assert_eq!(Json::Object(parts.load().sampling), want);
    parts.set("tokenizer.ggml.suppress_tokens", Value::Array(ids.to_vec()));
    let suppressed = &parts.load().sampling["tokenizer.ggml.suppress_tokens"];
    assert_eq!(*suppressed, serde_json::json!([5, 9]));
}
