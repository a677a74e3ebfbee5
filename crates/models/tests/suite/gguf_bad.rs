//! Files that are no models: each is refused in one line that says what, where, and what would be
//! right.

use std::fs;

use taper_models::candle_core::quantized::gguf_file::Value;
use taper_models::candle_core::quantized::{GgmlDType, QTensor};
use taper_models::candle_core::{DType, Device, Tensor};
use taper_models::{GgufError, GgufType, LoadError, WeightsError, load};
use tempfile::TempDir;

use crate::gguf::{Written, options};
use crate::gguf_parts::Parts;
use crate::golden::folder;

/// The refusal of a file with these bytes, with `FILE` for its path.
fn refusal(bytes: &[u8]) -> (LoadError, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bad.gguf");
    fs::write(&path, bytes).unwrap();
    let error = load(&path, &options()).unwrap_err();
    let message = error.to_string().replace(path.to_str().unwrap(), "FILE");
    assert_eq!(message.lines().count(), 1, "{message}");
    (error, message)
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A file of this many tensors and keys, of which `rest` has the first.
fn file(tensors: u64, keys: u64, rest: &[u8]) -> Vec<u8> {
    let counts = [tensors.to_le_bytes(), keys.to_le_bytes()].concat();
    [b"GGUF", &3u32.to_le_bytes()[..], &counts, rest].concat()
}

/// A key with a value of the type of that number.
fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(name), &kind.to_le_bytes()[..], value].concat()
}

/// A list of so many values of a type, of which `values` are there.
fn list(kind: u32, length: u64, values: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), values].concat()
}

/// An entry of a tensor in a file that has nothing else.
fn tensor(shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut entry = [&text("t"), &(shape.len() as u32).to_le_bytes()[..]].concat();
    for size in shape {
        entry.extend(size.to_le_bytes());
    }
    entry.extend(kind.to_le_bytes());
    entry.extend(offset.to_le_bytes());
    file(1, 0, &entry)
}

#[test]
fn what_is_no_gguf_file() {
    for bytes in [&b""[..], b"GG", b"PK\x03\x04 something else", b"ggufxxxxxxxxxxxxxxxxxxxxxx"] {
        let (error, message) = refusal(bytes);
        assert!(matches!(error, LoadError::NotAModel(_)), "{error:?}");
        let what = "neither a folder that holds config.json and model.safetensors nor a GGUF file";
        assert_eq!(message, format!("FILE: {what}"));
    }
    for version in [0u32, 1, 4, 0x0300_0000] {
        let (error, _) = refusal(&[b"GGUF", &version.to_le_bytes()[..]].concat());
        let LoadError::Gguf { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source, GgufError::Version { found: version });
    }
}

/// Nothing is allocated, and nothing loops, for numbers that the file does not back.
#[test]
fn headers_that_promise_too_much() {
    let most = u64::MAX;
    let cases: &[(Vec<u8>, &str)] = &[
        (b"GGUF\x03".to_vec(), "truncated, or damaged: the version needs 4 bytes and 1 are left"),
        (
            file(most, 1, b""),
            "the number of tensors is 18446744073709551615; at most 1048576 is accepted",
        ),
        (
            file(1, most, b""),
            "the number of keys is 18446744073709551615; at most 65536 is accepted",
        ),
        (
            file(0, 60_000, b""),
            "truncated, or damaged: the length of the name of a key needs 8 bytes and 0 are left",
        ),
        (
            file(0, 1, &most.to_le_bytes()),
            "the length of the name of a key is 18446744073709551615; at most 268435456 is \
             accepted",
        ),
        (
            file(0, 1, &(1u64 << 27).to_le_bytes()),
            "truncated, or damaged: the name of a key needs 134217728 bytes and 0 are left",
        ),
        (
            file(0, 1, &key("k", 9, &list(8, most, b""))),
            "the length of `k` is 18446744073709551615; at most 4194304 is accepted",
        ),
        (
            file(0, 1, &key("k", 9, &list(12, 1 << 21, b"12345678"))),
            "truncated, or damaged: the value of `k` needs 16777216 bytes and 8 are left",
        ),
        (
            file(0, 1, &key("k", 9, &list(9, 1, b""))),
            "`k` has values of type 9; expected a type from 0 to 12, and no list of lists",
        ),
        (
            file(0, 1, &key("k", 77, b"")),
            "`k` has values of type 77; expected a type from 0 to 12, and no list of lists",
        ),
        (file(0, 2, &[key("k", 7, b"\x01"), key("k", 7, b"\x01")].concat()), "`k` is there twice"),
        (
            file(0, 1, &key("general.alignment", 4, &[0; 4])),
            "`general.alignment` is 0; expected a power of two",
        ),
        (
            file(0, 1, &key("general.alignment", 4, &24u32.to_le_bytes())),
            "`general.alignment` is 24; expected a power of two",
        ),
        (
            file(0, 1, &key("general.alignment", 10, &32u64.to_le_bytes())),
            "`general.alignment` is a value of type 10; expected a u32",
        ),
        (file(0, 1, &key("", 7, b"\x01")), "the name of a key is empty"),
        (
            file(0, 1, &key("general.architecture", 8, &[&text("ab")[..8], b"\xff\xfe"].concat())),
            "the value of `general.architecture` is not UTF-8",
        ),
        (tensor(&[1; 9], 0, 0), "tensor `t`: it has 9 dimensions; expected 1 to 4"),
        (tensor(&[4, 0], 0, 0), "tensor `t`: a dimension is 0, or overflows"),
        (
            tensor(&[1 << 40, 1 << 40], 0, 0),
            "tensor `t`: its shape [1099511627776, 1099511627776] overflows",
        ),
        (
            tensor(&[48, 2], 12, 0),
            "tensor `t`: its rows of 48 numbers are not whole Q4K blocks of 256",
        ),
        (
            tensor(&[256, 2], 16, 0),
            "tensor `t` is stored as type 16; supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, \
             Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K",
        ),
        (tensor(&[4], 0, 5), "tensor `t`: its offset is 5; expected 0, where the tensors begin"),
        (
            tensor(&[1 << 30], 0, 0),
            "truncated, or damaged: tensor `t` at offset 64 needs 4294967296 bytes and 0 are left",
        ),
        (
            tensor(&[4], 0, most - 31),
            "tensor `t`: its offset is 18446744073709551584; expected 0, where the tensors begin",
        ),
        (file(0, 0, b""), "the key `general.architecture` is missing"),
    ];
    for (bytes, want) in cases {
        let (error, message) = refusal(bytes);
        assert!(matches!(error, LoadError::Gguf { .. }), "{error:?}");
        assert_eq!(message, format!("FILE: {want}"));
    }
}

/// Wherever a file is cut, that is said.
#[test]
fn a_file_that_is_cut_short() {
    let whole = fs::read(Written::new(folder("llama"), GgufType::F16, None).path()).unwrap();
    for cut in [4, 7, 20, 30, 100, 1000, 5000, whole.len() / 2, whole.len() - 40] {
        let (error, message) = refusal(&whole[..cut]);
        let truncated =
            matches!(&error, LoadError::Gguf { source: GgufError::Truncated { .. }, .. });
        assert!(truncated, "{cut}: {message}");
    }
}

fn zeros(shape: &[usize]) -> QTensor {
    let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    QTensor::quantize(&zeros, GgmlDType::F32).unwrap()
}

fn said(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// The refusal of a spoilt copy of a good file.
fn refusal_of(model: &str, spoil: impl FnOnce(&mut Parts)) -> (LoadError, String) {
    let mut parts = Parts::of(model);
    drop(parts.load());
    spoil(&mut parts);
    refusal(&parts.bytes())
}

type Spoil = fn(&mut Parts);

#[test]
fn keys_that_make_no_model() {
    let cases: [(&str, Spoil, &str); 10] = [
        (
            "llama",
            |p| p.set("general.architecture", said("mamba")),
            "general.architecture `mamba` is not supported; supported: gemma3, llama, phi3, qwen2, \
             qwen3",
        ),
        (
            "llama",
            |p| p.set("general.architecture", Value::U32(3)),
            "`general.architecture` is 3; expected a text",
        ),
        (
            "llama",
            |p| drop(p.keys.remove("llama.block_count")),
            "the key `llama.block_count` is missing",
        ),
        (
            "llama",
            |p| p.set("llama.block_count", Value::I32(-1)),
            "`llama.block_count` is -1; expected a whole number from 0 on",
        ),
        (
            "llama",
            |p| p.set("llama.block_count", Value::U32(u32::MAX)),
            "`llama.block_count` is 4294967295; expected a whole number from 1 to 4096",
        ),
        (
            "llama",
            |p| p.set("llama.rope.freq_base", Value::F32(-1.0)),
            "`llama.rope.freq_base` is -1.0; expected a finite number above 0",
        ),
        (
            "gguf/fused",
            |p| p.set("phi3.rope.dimension_count", Value::U32(3)),
            "`phi3.rope.dimension_count` is 3; expected an even number from 2 to 8, the width of a \
             head",
        ),
        (
            "llama",
            |p| p.set("llama.attention.head_count", Value::U32(5)),
            "`num_attention_heads` 5 is not a multiple of `num_key_value_heads` 2",
        ),
        (
            "llama",
            |p| p.set("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)),
            "`llama.attention.layer_norm_rms_epsilon` is NaN; expected a finite number, stored as \
             f32 or f64",
        ),
        (
            "llama",
            |p| p.set("llama.rope.dimension_count", Value::U32(4)),
            "`llama.rope.dimension_count` is 4; expected 8, the width of a head",
        ),
    ];
    refuses(&cases);
}

#[test]
fn keys_of_what_is_not_computed() {
    let cases: [(&str, Spoil, &str); 11] = [
        (
            "llama",
            |p| p.set("llama.rope.scaling.type", said("longrope")),
            "`llama.rope.scaling.type` is `longrope`; expected none, linear or yarn",
        ),
        (
            "llama",
            |p| p.set("llama.rope.scaling.factor", Value::F32(-4.0)),
            "`llama.rope.scaling.factor` is -4; expected a number above 0, or 0 for none",
        ),
        (
            "llama",
            |p| p.set("llama.rope.scaling.attn_factor", Value::F32(0.0)),
            "`llama.rope.scaling.attn_factor` is 0; expected a number above 0",
        ),
        (
            "llama",
            |p| p.set("llama.attention.causal", Value::Bool(false)),
            "`llama.attention.causal` is false; expected true",
        ),
        (
            "llama",
            |p| p.set("llama.attention.sliding_window", Value::U32(16)),
            "`llama.attention.sliding_window` is 16; expected 0: every layer sees everything",
        ),
        (
            "llama",
            |p| {
                let counts = [80, 80, 64].map(Value::U32).to_vec();
                p.set("llama.feed_forward_length", Value::Array(counts));
            },
            "`llama.feed_forward_length` is a list of 3 values; expected a whole number from 0 on, \
             the same for every layer",
        ),
        (
            "gemma3_text",
            |p| p.set("gemma3.attention.key_length_swa", Value::U32(3)),
            "`gemma3.attention.key_length_swa` is 3; expected 16, as for keys",
        ),
        (
            "llama",
            |p| {
                p.set("llama.rope.scaling.type", said("yarn"));
                p.set("llama.rope.scaling.yarn_beta_fast", Value::F32(8.0));
            },
            "`llama.rope.scaling.yarn_beta_fast` is 8; expected 32",
        ),
        (
            "llama",
            |p| p.set("llama.expert_count", Value::U32(8)),
            "`llama.expert_count` is 8; expected 0",
        ),
        (
            "llama",
            |p| p.set("split.count", Value::U16(3)),
            "`split.count` is 3; expected 1: join the parts with llama-gguf-split --merge",
        ),
        (
            "gemma3_text",
            |p| {
                p.set(
                    "gemma3.attention.sliding_window_pattern",
                    Value::Array(vec![Value::Bool(true)]),
                );
            },
            "`gemma3.attention.sliding_window_pattern` is a list of 1 values; expected true or \
             false for each layer, or a whole number",
        ),
    ];
    refuses(&cases);
}

/// Each model, spoilt so, is refused in these words.
fn refuses(cases: &[(&str, Spoil, &str)]) {
    for (model, spoil, want) in cases {
        let (_, message) = refusal_of(model, spoil);
        assert_eq!(message, format!("FILE: {want}"));
    }
}

#[test]
fn tokenizers_that_are_none() {
    let cases: [(&str, Spoil, &str); 13] = [
        (
            "llama",
            |p| p.set("tokenizer.ggml.model", said("t5")),
            "`tokenizer.ggml.model` is `t5`; expected gpt2 or llama",
        ),
        (
            "llama",
            |p| p.set("tokenizer.ggml.pre", said("kimi-k2")),
            "tokenizer.ggml.pre `kimi-k2` is not supported; supported: gpt-2, phi-2, jina-es, \
             jina-de, gigachat, ",
        ),
        (
            "llama",
            |p| drop(p.keys.remove("tokenizer.ggml.merges")),
            "the key `tokenizer.ggml.merges` is missing",
        ),
        (
            "llama",
            |p| p.set("tokenizer.ggml.merges", Value::Array(vec![said("no such")])),
            "the tokenizer: the merge `no such`: `no` is no token",
        ),
        (
            "llama",
            |p| p.shorten("tokenizer.ggml.token_type"),
            "`tokenizer.ggml.token_type` is a list of 287 values; expected one for each of the 288 \
             tokens",
        ),
        (
            "llama",
            |p| {
                p.shorten("tokenizer.ggml.tokens");
                p.shorten("tokenizer.ggml.token_type");
            },
            "the tokenizer has 287 tokens and the embedding table 288; the file is damaged",
        ),
        (
            "llama",
            |p| {
                let Some(Value::Array(tokens)) = p.keys.get_mut("tokenizer.ggml.tokens") else {
                    panic!()
                };
                tokens[9] = tokens[8].clone();
            },
            "`token Ā` is there twice",
        ),
        (
            "llama",
            |p| p.set("tokenizer.ggml.bos_token_id", Value::U32(300)),
            "`tokenizer.ggml.bos_token_id` is 300; expected an id below 288, the number of tokens",
        ),
        (
            "llama",
            |p| p.set("tokenizer.ggml.eos_token_id", Value::U32(300)),
            "`tokenizer.ggml.eos_token_id` is 300; expected an id below 288, the number of tokens",
        ),
        (
            "llama",
            |p| p.set("tokenizer.ggml.eot_token_id", Value::U32(u32::MAX)),
            "`tokenizer.ggml.eot_token_id` is 4294967295; expected an id below 288, the number of \
             tokens",
        ),
        (
            "llama",
            |p| {
                drop(p.keys.remove("tokenizer.ggml.model"));
                p.set("llama.vocab_size", Value::U32(300));
            },
            "`llama.vocab_size` is 300; expected 288, the rows of the embedding table",
        ),
        (
            "gguf/spm",
            |p| p.shorten("tokenizer.ggml.scores"),
            "`tokenizer.ggml.scores` is a list of 419 values; expected one for each of the 420 \
             tokens",
        ),
        (
            "gguf/spm",
            |p| drop(p.keys.remove("tokenizer.ggml.scores")),
            "the key `tokenizer.ggml.scores` is missing",
        ),
    ];
    for (model, spoil, want) in cases {
        let (error, message) = refusal_of(model, spoil);
        assert!(matches!(error, LoadError::Gguf { .. }), "{error:?}");
        assert!(message.starts_with(&format!("FILE: {want}")), "{message}");
    }
}

#[test]
fn tensors_that_do_not_fit() {
    let (error, message) = refusal_of("llama", |p| {
        p.tensors.insert("blk.1.ffn_up.weight".to_owned(), zeros(&[80, 47]));
    });
    assert!(matches!(error, LoadError::Weights(WeightsError::WrongShape { .. })), "{error:?}");
    assert_eq!(message, "tensor `blk.1.ffn_up.weight` has shape [80, 47]; expected [80, 48]");

    let (error, message) = refusal_of("llama", |p| drop(p.tensors.remove("blk.2.attn_k.weight")));
    assert!(matches!(error, LoadError::Weights(WeightsError::MissingTensor { .. })), "{error:?}");
    let want =
        "tensor `blk.2.attn_k.weight` is missing from the weights; expected it with shape [16, 48]";
    assert_eq!(message, want);

    let (error, message) = refusal_of("llama", |p| drop(p.tensors.remove("token_embd.weight")));
    assert!(matches!(error, LoadError::Gguf { .. }), "{error:?}");
    assert_eq!(message, "FILE: tensor `token_embd.weight`: it is missing");

    let (error, message) = refusal_of("llama", |p| {
        p.tensors.insert("blk.0.attn_k_norm.weight".to_owned(), zeros(&[8]));
    });
    assert!(matches!(error, LoadError::Weights(WeightsError::ExtraTensors { .. })), "{error:?}");
    assert!(message.contains("the first of them `blk.0.attn_k_norm.weight`"), "{message}");

    let factors = |numbers: &[f32]| {
        let factors = Tensor::new(numbers, &Device::Cpu).unwrap();
        let factors = QTensor::quantize(&factors, GgmlDType::F32).unwrap();
        refusal_of("llama", |p| drop(p.tensors.insert("rope_freqs.weight".to_owned(), factors))).1
    };
    assert_eq!(
        factors(&[1.0; 3]),
        "FILE: tensor `rope_freqs.weight`: it has 3 factors; expected 4"
    );
    assert_eq!(
        factors(&[1.0, 0.0, 1.0, 1.0]),
        "FILE: tensor `rope_freqs.weight`: it holds 0; a factor is a finite number above 0"
    );
}

/// Two tensors of a file of nothing else, the second at an offset.
fn two_tensors(offset: u64, alignment: u32) -> Vec<u8> {
    let entry = |name: &str, offset: u64| {
        let rest = [&4u64.to_le_bytes()[..], &0u32.to_le_bytes(), &offset.to_le_bytes()].concat();
        [&text(name), &1u32.to_le_bytes()[..], &rest].concat()
    };
    let key = key("general.alignment", 4, &alignment.to_le_bytes());
    let mut bytes = file(2, 1, &[key, entry("a", 0), entry("b", offset)].concat());
    bytes.resize(4096, 0);
    bytes
}

/// As llama.cpp has it, nothing lies anywhere but behind what was there before.
#[test]
fn tensors_lie_one_behind_the_other() {
    let cases = [
        // The same numbers twice, a part of them, a hole, and what is not aligned.
        (0, 32, 32),
        (16, 32, 32),
        (64, 32, 32),
        (32, 64, 64),
        (20, 16, 16),
        (17, 1, 16),
    ];
    for (offset, alignment, right) in cases {
        let (_, message) = refusal(&two_tensors(offset, alignment));
        let want = format!(
            "FILE: tensor `b`: its offset is {offset}; expected {right}, the first multiple of \
             {alignment} after `a`"
        );
        assert_eq!(message, want);
    }
    for (offset, alignment) in [(16, 1), (16, 2), (16, 4), (16, 16), (32, 32), (64, 64)] {
        let (_, message) = refusal(&two_tensors(offset, alignment));
        assert_eq!(message, "FILE: the key `general.architecture` is missing");
    }
    // No file is as long as that.
    let (_, message) = refusal(&two_tensors(1 << 31, 1 << 31));
    assert!(message.starts_with("FILE: truncated, or damaged: tensor `a` at offset 2147483648"));
}

/// Whatever byte of the header is another: a refusal or a model, and no panic.
#[test]
fn damaged_headers_do_not_panic() {
    let whole = fs::read(Written::new(folder("gguf/spm"), GgufType::F16, Some(1)).path()).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("damaged.gguf");
    // The keys, and part of the list of tokens; behind it the header goes on in the same way.
    for (at, value) in (4..2000).step_by(7).zip([0x00, 0x01, 0x7f, 0x80, 0xff].into_iter().cycle())
    {
        let mut bytes = whole.clone();
        bytes[at] ^= value;
        fs::write(&path, bytes).unwrap();
        if let Err(error) = load(&path, &options()) {
            assert!(error.to_string().len() < 1000, "byte {at}: {error}");
        }
    }
}
