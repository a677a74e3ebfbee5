//! The number of threads, and how a text is cut into calls, change no number.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::taper;

/// A folder with a config alone, of a model that is large enough for several threads.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let config = json!({
        "model_type": "llama", "vocab_size": 2048, "hidden_size": 256, "intermediate_size": 512,
        "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn run(command: &str, folder: &Path, args: &[&str]) -> Value {
    let folder = folder.to_str().unwrap();
    let model = [command, "--model", folder, "--random-weights", "3", "--format", "json"];
    let ran = taper(model.iter().chain(args));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    let object = outcome.as_object_mut().unwrap();
    object.remove("timing");
    object.remove("memory");
    outcome
}

fn ids(count: usize) -> String {
    let ids = (0..count).map(|i| (i * i * 31 % 2048).to_string());
    ids.collect::<Vec<_>>().join(",")
}

#[test]
fn any_number_of_threads_gives_the_same_numbers() {
    let (folder, prompt) = (folder(), ids(70));
    let asked = ["--prompt-ids", &prompt, "--seed", "7", "--do-sample", "true"];
    let more = ["--max-new-tokens", "12", "--top-logprobs", "3", "--threads"];
    let on =
        |threads| run("generate", folder.path(), &[&asked[..], &more[..], &[threads]].concat());
    let alone = on("1");
    for threads in ["2", "5"] {
        assert_eq!(on(threads), alone, "{threads} threads");
    }
}

#[test]
fn a_text_scores_as_it_was_generated() {
    let (folder, prompt) = (folder(), ids(5));
    let args = ["--prompt-ids", &prompt, "--max-new-tokens", "90", "--threads", "3"];
    let made = run("generate", folder.path(), &args);
    let sequence = &made["sequences"][0];
    let tokens: Vec<String> =
        sequence["tokens"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(tokens.len(), 90);
    let all = format!("{prompt},{}", tokens.join(","));
    let scored = run("score", folder.path(), &["--prompt-ids", &all]);
    let logprobs = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|token| token["logprob"].clone()).collect()
    };
    assert_eq!(logprobs(&scored["tokens"])[5..], logprobs(&sequence["steps"])[..]);
}
