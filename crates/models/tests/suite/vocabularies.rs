//! Tokenizers of every kind, from folders and from GGUF files: the ids are those of transformers and
//! of llama.cpp. `testdata/vocabularies`, by the scripts there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use taper_models::candle_core::quantized::gguf_file::{self, Value as Entry};
use taper_models::candle_core::quantized::{GgmlDType, QTensor};
use taper_models::candle_core::{DType, Device, Tensor};
use taper_models::tokenizers::Tokenizer;
use taper_models::{
    GgufType, LoadError, LoadOptions, LoadedModel, export_gguf, load, load_tokenizer,
};
use tempfile::TempDir;

use crate::golden::folder;

fn fixture(name: &str) -> Value {
    let text = fs::read_to_string(folder("vocabularies").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn texts(fixture: &Value) -> Vec<&str> {
    fixture["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn assert_ids(tokenizer: &Tokenizer, texts: &[&str], want: &Value, case: &str) {
    for (text, want) in texts.iter().zip(want.as_array().unwrap()) {
        let got = tokenizer.encode(*text, true).unwrap();
        assert_eq!(Value::from(got.get_ids()), *want, "{case}: {text:?}");
    }
}

fn entry(value: &Value) -> Entry {
    match value {
        Value::Bool(flag) => Entry::Bool(*flag),
        Value::String(text) => Entry::String(text.clone()),
        Value::Array(list) => Entry::Array(list.iter().map(entry).collect()),
        Value::Number(number) if number.is_f64() => Entry::F32(number.as_f64().unwrap() as f32),
        number => Entry::I32(number.as_i64().unwrap() as i32),
    }
}

/// Loads a file with these keys, and of the tensors what a model of drawn weights needs.
fn load_keys(keys: &Map<String, Value>) -> Result<LoadedModel, LoadError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    let mut entries = vec![("general.architecture".to_owned(), Entry::String("llama".to_owned()))];
    for (key, value) in [
        ("context_length", 64),
        ("embedding_length", 32),
        ("block_count", 1),
        ("feed_forward_length", 32),
        ("attention.head_count", 4),
    ] {
        entries.push((format!("llama.{key}"), Entry::U32(value)));
    }
    entries.push(("llama.attention.layer_norm_rms_epsilon".to_owned(), Entry::F32(1e-5)));
    entries.extend(keys.iter().map(|(key, value)| (key.clone(), entry(value))));
    let count = keys["tokenizer.ggml.tokens"].as_array().unwrap().len();
    let table = Tensor::zeros((count, 32), DType::F32, &Device::Cpu).unwrap();
    let table = QTensor::quantize(&table, GgmlDType::F32).unwrap();
    let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], value)).collect();
    let mut file = fs::File::create(&path).unwrap();
    gguf_file::write(&mut file, &entries, &[("token_embd.weight", &table)]).unwrap();
    load(&path, &LoadOptions { random_weights: Some(1), ..LoadOptions::default() })
}

/// The vocabulary of a case with its changes.
fn keys(fixture: &Value, vocabulary: &str, changes: &Value) -> Map<String, Value> {
    let mut keys = fixture["vocabularies"][vocabulary].as_object().unwrap().clone();
    keys.extend(changes.as_object().unwrap().clone());
    keys.retain(|_, value| !value.is_null());
    keys
}

#[test]
fn gguf_vocabularies_are_llama_cpps_or_their_models() {
    let fixture = fixture("llama_cpp.json");
    let texts = texts(&fixture);
    let mut names = 0;
    for case in fixture["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut keys = keys(&fixture, case["vocabulary"].as_str().unwrap(), &case["set"]);
        let want = if case["original"].is_null() { &case["ids"] } else { &case["original"] };
        let one = [Value::from("")];
        for pre in case["names"].as_array().map_or(&one[..], |names| names) {
            if pre != "" {
                keys.insert("tokenizer.ggml.pre".to_owned(), pre.clone());
                names += 1;
            }
            let loaded = load_keys(&keys).unwrap();
            assert_ids(&loaded.tokenizer.unwrap(), &texts, want, &format!("{name} {pre}"));
        }
        if !case["original"].is_null() {
            assert_ne!(
                case["original"], case["ids"],
                "{name}: docs/tokenizers.md says they differ"
            );
        }
    }
    assert_eq!(names, 81);
}

#[test]
fn gguf_vocabularies_that_lose_text_are_refused() {
    let fixture = fixture("llama_cpp.json");
    let plain = keys(&fixture, "scores", &Value::Object(Map::new()));
    let refusal = |spoil: &dyn Fn(&mut Map<String, Value>)| {
        let mut keys = plain.clone();
        spoil(&mut keys);
        load_keys(&keys).unwrap_err().to_string()
    };
    let rename = |keys: &mut Map<String, Value>, from: &str, to: &str| {
        let tokens = keys["tokenizer.ggml.tokens"].as_array_mut().unwrap();
        let token = tokens.iter_mut().find(|token| **token == from).unwrap();
        *token = Value::from(to);
    };
    let message = refusal(&|keys| {
        keys.remove("tokenizer.ggml.token_type");
        rename(keys, "<0x0A>", "a token of its own");
    });
    let want = "model.gguf: the tokenizer: it has 255 of the 256 tokens <0x00> to <0xFF> and no \
                unknown token, so what is no token is lost";
    assert!(message.ends_with(want), "{message}");
    let message = refusal(&|keys| {
        rename(keys, "<0x0A>", "[EMPTY_300]");
        keys["tokenizer.ggml.tokens"][300] = Value::from("");
    });
    assert!(message.ends_with("`token [EMPTY_300]` is there twice"), "{message}");
}

/// A folder with these files.
fn written(tokenizer: &Value, files: &Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, content: &Value| {
        fs::write(folder.path().join(name), content.to_string()).unwrap();
    };
    write("tokenizer.json", tokenizer);
    for (name, content) in files.as_object().unwrap() {
        write(name, content);
    }
    folder
}

/// Truncation and padding, which all of them ask for, are for batches; the files beside a tokenizer
/// change its added tokens.
#[test]
fn folders_are_read_as_transformers_reads_them() {
    let fixture = fixture("folders.json");
    let texts = texts(&fixture);
    for case in fixture["cases"].as_array().unwrap() {
        let (kind, files) = (case["kind"].as_str().unwrap(), case["files"].as_str().unwrap());
        let folder = written(&fixture["kinds"][kind], &fixture["files"][files]);
        let tokenizer = load_tokenizer(&folder).unwrap().unwrap();
        assert_ids(&tokenizer, &texts, &case["ids"], &format!("{kind}, {files}"));
    }
}

/// A copy of a small model whose `tokenizer.json` is changed.
fn changed(change: impl Fn(&mut Value)) -> (TempDir, PathBuf) {
    let copy = TempDir::new().unwrap();
    for file in ["config.json", "tokenizer.json"] {
        fs::copy(folder("gguf/spm_gemma").join(file), copy.path().join(file)).unwrap();
    }
    let path = copy.path().join("tokenizer.json");
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(&path, json.to_string()).unwrap();
    let path = copy.path().to_owned();
    (copy, path)
}

#[test]
fn dropout_is_off_unless_asked_for() {
    let (_copy, path) = changed(|json| json["model"]["dropout"] = Value::from(0.5));
    let options = LoadOptions { random_weights: Some(1), ..LoadOptions::default() };
    let ids = |loaded: &LoadedModel| {
        let encoded =
            loaded.tokenizer.as_ref().unwrap().encode("The old lighthouse on the rocks", true);
        encoded.unwrap().get_ids().to_vec()
    };
    let plain = load(folder("gguf/spm_gemma"), &options).unwrap();
    assert_eq!(plain.notes, [""; 0]);
    let off = load(&path, &options).unwrap();
    assert_eq!(ids(&off), ids(&plain));
    assert_eq!(
        off.notes,
        ["tokenizer.json has a dropout of 0.5, by which a text is cut at random: it is off"]
    );
    let on = load(&path, &LoadOptions { bpe_dropout: true, ..options }).unwrap();
    assert_eq!(on.notes, [""; 0]);
    assert!((0..20).any(|_| ids(&on) != ids(&plain)));
}

#[test]
fn settings_of_tokenizers_that_are_none() {
    let kinds = &fixture("folders.json")["kinds"];
    let (config, map) = ("tokenizer_config.json", "special_tokens_map.json");
    for (file, content, want) in [
        (config, "[]", "`the file` is []; expected an object"),
        (
            config,
            r#"{"added_tokens_decoder": {"x": {"content": "a"}}}"#,
            "`added_tokens_decoder.x` is {\"content\":\"a\"}; expected added tokens by their ids, \
             each an object",
        ),
        (
            config,
            r#"{"added_tokens_decoder": {"5": {"content": "a", "lstrip": 1}}}"#,
            "`added_tokens_decoder.5.lstrip` is 1; expected true or false",
        ),
        (
            config,
            r#"{"bos_token": 5}"#,
            "`bos_token` is 5; expected a token: a text, or an object with the text as its `content`",
        ),
        (
            config,
            r#"{"split_special_tokens": "no"}"#,
            "`split_special_tokens` is \"no\"; expected true or false",
        ),
        (
            config,
            r#"{"extra_special_tokens": 7}"#,
            "`extra_special_tokens` is 7; expected tokens in a list or by name",
        ),
        (
            config,
            r#"{"additional_special_tokens": "<a>"}"#,
            "`additional_special_tokens` is \"<a>\"; expected a list of tokens",
        ),
        (map, "3", "`the file` is 3; expected an object"),
        ("added_tokens.json", r#"{"a": -1}"#, "`a` is -1; expected an id"),
    ] {
        let files = Value::Object(Map::new());
        let folder = written(&kinds["bytes"], &files);
        fs::write(folder.path().join(file), content).unwrap();
        let error = load_tokenizer(&folder).unwrap_err();
        assert!(matches!(error, LoadError::TokenizerSetting { .. }), "{error:?}");
        let path = folder.path().join(file);
        assert_eq!(error.to_string(), format!("{}: {want}", path.display()));
    }
    let mut long = kinds["bytes"].clone();
    long["model"]["merges"] = serde_json::json!([["no such", "token"]]);
    let folder = written(&long, &Value::Object(Map::new()));
    let error = load_tokenizer(&folder).unwrap_err().to_string();
    assert!(error.ends_with("a merge makes a longer token than any that there is)"), "{error}");
}

fn notes_of(model: &Path) -> Vec<String> {
    let out = TempDir::new().unwrap();
    export_gguf(model, out.path().join("x.gguf"), GgufType::F16, Some(1)).unwrap().notes
}

/// GGUF has no keys for how an added token is looked for: llama.cpp goes by the model's name.
#[test]
fn what_an_exported_token_loses_is_said() {
    let (copy, path) = changed(|json| {
        json["added_tokens"][0]["lstrip"] = Value::from(true);
        for id in [1, 2] {
            json["added_tokens"][id]["rstrip"] = Value::from(true);
        }
        json["added_tokens"][2]["single_word"] = Value::from(true);
        json["added_tokens"][2]["normalized"] = Value::from(true);
    });
    let end = "; GGUF has no key for it, so texts may be cut otherwise";
    let said = [
        "the token \"<unk>\": takes the white space before it away (`lstrip`)",
        "the token \"<bos>\" and 1 more: takes the white space after it away (`rstrip`)",
        "the token \"<eos>\": is found as a whole word alone (`single_word`)",
        "the token \"<eos>\": is looked for in the normalised text (`normalized`)",
    ];
    let notes = notes_of(&path);
    assert_eq!(notes, said.map(|what| format!("{what}{end}")));
    let named = copy.path().join("phi-3-mini");
    fs::create_dir(&named).unwrap();
    for file in ["config.json", "tokenizer.json"] {
        fs::copy(folder("gguf/spm_gemma").join(file), named.join(file)).unwrap();
    }
    let what = "the token \"<bos>\" and 3 more: leaves the white space after it, which by the model's \
                name llama.cpp takes away";
    assert_eq!(notes_of(&named), [format!("{what}{end}")]);
}
