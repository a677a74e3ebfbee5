//! Folders that are not models: each is refused in one line that says what, where, and what would be
//! right.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use taper_models::{LoadError, LoadOptions, WeightsError, load};
use tempfile::TempDir;

use crate::golden::folder;

/// A copy of a good folder, to be spoiled.
fn copy_of(name: &str) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in fs::read_dir(folder(name)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

fn edit_config(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

fn set(key: &'static str, value: Value) -> impl FnOnce(&Path) {
    move |folder| edit_config(folder, |config| config[key] = value)
}

fn remove(file: &'static str) -> impl FnOnce(&Path) {
    move |folder| fs::remove_file(folder.join(file)).unwrap()
}

fn write(file: &'static str, contents: &'static str) -> impl FnOnce(&Path) {
    move |folder| fs::write(folder.join(file), contents).unwrap()
}

fn cut_weights(len: usize) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..len]).unwrap();
    }
}

fn index(contents: &'static str) -> impl FnOnce(&Path) {
    move |folder| {
        remove("model.safetensors")(folder);
        write("model.safetensors.index.json", contents)(folder);
    }
}

/// The refusal of a spoiled copy of `llama`, with `FOLDER` for where it was.
fn refusal(spoil: Box<dyn FnOnce(&Path)>) -> (LoadError, String) {
    let copy = copy_of("llama");
    spoil(copy.path());
    let error = load(copy.path(), &LoadOptions::default()).unwrap_err();
    let message = error.to_string().replace(copy.path().to_str().unwrap(), "FOLDER");
    (error, message)
}

macro_rules! refusals {
    ($($spoil:expr, $variant:pat, $message:literal;)*) => {$(
        let (error, message) = refusal(Box::new($spoil));
        assert!(matches!(error, $variant), "{error:?}");
        assert_eq!(message, $message);
    )*};
}

#[test]
fn folders_and_files() {
    refusals! {
        |folder| fs::remove_dir_all(folder).unwrap(), LoadError::NotFound(_),
            "FOLDER: no such file or folder; expected a folder that holds config.json and \
             model.safetensors, a GGUF file, or the name of a model in Hugging Face's cache";
        remove("config.json"), LoadError::NoConfig(_),
            "FOLDER: no config.json in this folder";
        remove("model.safetensors"), LoadError::NoWeights(_),
            "FOLDER: no weights in this folder; expected model.safetensors or \
             model.safetensors.index.json";
        write("tokenizer.json", "{}"), LoadError::Tokenizer { .. },
            "FOLDER/tokenizer.json: not a tokenizer (Model missing. at line 1 column 2)";
        write("generation_config.json", "{"), LoadError::Json { .. },
            "FOLDER/generation_config.json: not valid JSON: EOF while parsing an object at line 1 \
             column 1";
        write("tokenizer_config.json", "[1"), LoadError::Json { .. },
            "FOLDER/tokenizer_config.json: not valid JSON: EOF while parsing a list at line 1 column \
             2";
        |folder| fs::write(folder.join("chat_template.jinja"), [0xff]).unwrap(),
            LoadError::Text { .. },
            "FOLDER/chat_template.jinja: not a text: invalid utf-8 sequence of 1 bytes from index 0";
    }
    let file = folder("llama").join("config.json");
    let error = load(&file, &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, LoadError::NotAModel(path) if path == file));
}

#[test]
fn configs() {
    refusals! {
        write("config.json", "{\"model_type\":"), LoadError::Config { .. },
            "FOLDER/config.json: not valid JSON: EOF while parsing a value at line 1 column 14";
        write("config.json", "[]"), LoadError::Config { .. },
            "FOLDER/config.json: expected a JSON object at the top";
        write("config.json", "{}"), LoadError::Config { .. },
            "FOLDER/config.json: `model_type` is missing";
        set("model_type", json!("mamba")), LoadError::Config { .. },
            "FOLDER/config.json: model_type `mamba` is not supported; supported: gemma3, \
             gemma3_text, gpt2, llama, mistral, nemotron_h, phi, phi3, qwen2, qwen3, qwen3_moe, \
             smollm3";
        set("hidden_size", Value::Null), LoadError::Config { .. },
            "FOLDER/config.json: `hidden_size` is missing";
        set("num_key_value_heads", json!(4)), LoadError::Config { .. },
            "FOLDER/config.json: `num_attention_heads` 6 is not a multiple of \
             `num_key_value_heads` 4";
        |folder| edit_config(folder, |config| {
            config["head_dim"] = Value::Null;
            config["hidden_size"] = json!(47);
        }), LoadError::Config { .. },
            "FOLDER/config.json: `hidden_size` 47 is not a multiple of `num_attention_heads` 6, \
             and there is no `head_dim`";
        set("hidden_act", json!("gelu_")), LoadError::Config { .. },
            "FOLDER/config.json: `hidden_act` is \"gelu_\"; expected one of silu, gelu, gelu_new, \
             gelu_pytorch_tanh, relu, relu2";
        set("rope_scaling", json!({"rope_type": "dynamic"})), LoadError::Config { .. },
            "FOLDER/config.json: `rope_type` is `dynamic`; expected one of default, linear, llama3, \
             yarn";
        set("rope_scaling", json!({"rope_type": "yarn"})), LoadError::Config { .. },
            "FOLDER/config.json: `factor` is missing";
        set("rope_scaling", json!({"rope_type": "yarn", "factor": 4, "beta_slow": 0})), LoadError::Config { .. },
            "FOLDER/config.json: `beta_slow` is 0; expected a finite number above 0";
        |folder| edit_config(folder, |config| {
            config["rope_scaling"] = json!({"rope_type": "yarn", "factor": 4});
            config["rope_theta"] = json!(1);
        }), LoadError::Config { .. },
            "FOLDER/config.json: `rope_theta` is 1; expected a number above 1: yarn divides by its \
             logarithm";
        set("rope_scaling", json!({"type": "linear"})), LoadError::Config { .. },
            "FOLDER/config.json: `factor` is missing";
        set("head_dim", json!(7)), LoadError::Config { .. },
            "FOLDER/config.json: `head_dim` is 7; expected an even number, since the rotation \
             works on pairs";
    }
}

/// Nothing of such a size is made, and no product of sizes overflows.
#[test]
fn sizes_beyond_any_memory() {
    let refusal_of = |name: &str, changes: Value| {
        let copy = copy_of(name);
        edit_config(copy.path(), |config| {
            config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        });
        let options = LoadOptions { random_weights: Some(1), ..LoadOptions::default() };
        let message = load(copy.path(), &options).unwrap_err().to_string();
        message.rsplit_once("config.json: ").unwrap().1.to_owned()
    };
    assert_eq!(
        refusal_of(
            "llama",
            json!({"num_attention_heads": 1 << 24, "head_dim": 1 << 24,
                                   "num_key_value_heads": 1})
        ),
        "the sizes make a tensor `model.layers.0.self_attn.q_proj.weight` of shape \
         [281474976710656, 48], with which the weights are more than 2^44 numbers; no model is so \
         large"
    );
    assert_eq!(
        refusal_of("qwen3_moe", json!({"num_hidden_layers": 4096, "num_experts": 4096})),
        "`num_experts` is 4096; expected fewer: at most 131072 experts in all layers"
    );
    assert_eq!(
        refusal_of("nemotron_h", json!({"ssm_state_size": 1 << 24})),
        "`ssm_state_size` is 16777216; expected less: a state of at most 67108864 numbers, heads x \
         width x size"
    );
    let experts = json!({"hybrid_override_pattern": "E".repeat(4096), "num_hidden_layers": 4096,
                         "layers_block_type": null, "layer_types": null, "n_routed_experts": 4096});
    assert_eq!(
        refusal_of("nemotron_h", experts),
        "`n_routed_experts` is 4096; expected fewer: at most 131072 experts in all layers"
    );
}

#[test]
fn hostile_numbers() {
    for (key, value) in [
        ("hidden_size", json!(0)),
        ("hidden_size", json!(-48)),
        ("hidden_size", json!(48.5)),
        ("hidden_size", json!("48")),
        ("vocab_size", json!(u64::MAX)),
        ("num_hidden_layers", json!(1_000_000)),
        ("num_attention_heads", json!(1u64 << 40)),
        ("rms_norm_eps", json!(-1e-6)),
        ("rope_theta", json!(0)),
        ("tie_word_embeddings", json!(1)),
        ("rope_scaling", json!([])),
    ] {
        let shown = value.to_string();
        let (error, message) = refusal(Box::new(set(key, value)));
        assert!(matches!(error, LoadError::Config { .. }), "{message}");
        let start = format!("FOLDER/config.json: `{key}` is {shown}; expected ");
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn weights() {
    refusals! {
        cut_weights(0), LoadError::Corrupt { .. },
            "FOLDER/model.safetensors: truncated, or not a safetensors file (header too small)";
        cut_weights(500), LoadError::Corrupt { .. },
            "FOLDER/model.safetensors: truncated, or not a safetensors file (invalid header length)";
        cut_weights(200_000), LoadError::Corrupt { .. },
            "FOLDER/model.safetensors: truncated, or not a safetensors file (incomplete metadata, \
             file not fully covered)";
        set("num_hidden_layers", json!(4)), LoadError::Weights(WeightsError::MissingTensor { .. }),
            "tensor `model.layers.3.input_layernorm.weight` is missing from the weights; expected \
             it with shape [48]";
        set("intermediate_size", json!(96)), LoadError::Weights(WeightsError::WrongShape { .. }),
            "tensor `model.layers.0.mlp.gate_proj.weight` has shape [80, 48]; expected [96, 48]";
        set("num_hidden_layers", json!(2)), LoadError::Weights(WeightsError::ExtraTensors { .. }),
            "the weights hold 9 tensors that this config has no place for, the first of them \
             `model.layers.2.input_layernorm.weight`; the config describes another model";
        set("vocab_size", json!(280)), LoadError::TokenizerSize { .. },
            "FOLDER/tokenizer.json: the tokenizer has 288 ids and the model 280; they belong to \
             different models";
    }
}

#[test]
fn indices() {
    refusals! {
        index("{}"), LoadError::Index { .. },
            "FOLDER/model.safetensors.index.json: not an index of tensors: missing field \
             `weight_map` at line 1 column 2";
        index(r#"{"weight_map": {"a": "part-1.safetensors"}}"#), LoadError::Index { .. },
            "FOLDER/model.safetensors.index.json: it names `part-1.safetensors`, which is not there";
        index(r#"{"weight_map": {"a": "../part.safetensors"}}"#), LoadError::Index { .. },
            "FOLDER/model.safetensors.index.json: `../part.safetensors` is not the name of a file \
             in this folder";
    }
}

/// What the other families refuse of a config.
#[test]
fn configs_of_other_families() {
    let patterns = "letters M, *, -, E, one for each layer";
    for (family, key, value, message) in [
        (
            "gemma3_text",
            "sliding_window",
            json!(0),
            "`sliding_window` is 0; expected a whole number",
        ),
        (
            "gemma3_text",
            "use_bidirectional_attention",
            json!(true),
            "`use_bidirectional_attention` is true; expected false: this decoder looks back only",
        ),
        (
            "gemma3_text",
            "query_pre_attn_scalar",
            json!(0),
            "`query_pre_attn_scalar` is 0; expected a finite number above 0",
        ),
        ("gemma3", "text_config", Value::Null, "`text_config` is missing"),
        (
            "gpt2",
            "n_head",
            json!(5),
            "`hidden_size` 48 is not a multiple of `num_attention_heads` 5",
        ),
        (
            "phi",
            "partial_rotary_factor",
            json!(1.5),
            "`partial_rotary_factor` is 1.5; expected a number above 0 and up to 1",
        ),
        (
            "phi",
            "tie_word_embeddings",
            json!(true),
            "`tie_word_embeddings` is true; expected false",
        ),
        (
            "nemotron_h",
            "tie_word_embeddings",
            json!(true),
            "`tie_word_embeddings` is true; expected false: the head is a matrix of its own",
        ),
        ("nemotron_h", "hybrid_override_pattern", json!("MEX"), patterns),
        (
            "nemotron_h",
            "hybrid_override_pattern",
            json!("ME"),
            "`num_hidden_layers` is 5; expected the number of layers that the pattern spells",
        ),
        ("nemotron_h", "n_groups", json!(3), "`n_groups` is 3; expected a divisor of"),
        (
            "nemotron_h",
            "num_experts_per_tok",
            json!(7),
            "`num_experts_per_tok` is 7; expected a whole number up to the number of experts",
        ),
        ("nemotron_h", "n_group", json!(4), "`n_group` is 4; expected a divisor of"),
        ("nemotron_h", "moe_latent_size", json!(8), "`moe_latent_size` is 8; expected null"),
        ("qwen3_moe", "mlp_only_layers", json!(["1"]), "expected a list of layer numbers"),
    ] {
        let copy = copy_of(family);
        edit_config(copy.path(), |config| config[key] = value);
        let error = load(copy.path(), &LoadOptions::default()).unwrap_err();
        assert!(matches!(error, LoadError::Config { .. }), "{error:?}");
        assert!(error.to_string().contains(message), "{family}: {error}");
    }
}
