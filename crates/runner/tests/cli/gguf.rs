//! GGUF files from the program a user runs: written by it and read by it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, llama, taper, tokens};

struct File {
    dir: TempDir,
}

impl File {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("model.gguf")
    }

    /// Runs the program; the folder's name becomes DIR in what it says.
    fn run(&self, args: &[&str]) -> Ran {
        let dir = self.dir.path().to_str().unwrap();
        let mut ran = taper(args.iter().map(|arg| arg.replace("DIR", dir)));
        ran.stderr = ran.stderr.replace(dir, "DIR");
        ran.stdout = ran.stdout.replace(dir, "DIR");
        ran
    }

    fn export(&self, model: &str, more: &[&str]) -> Ran {
        self.run(&[&["export-gguf", model, "DIR/model.gguf"], more].concat())
    }

    fn json(&self, model: &str, args: &[&str]) -> Value {
        let common = ["--do-sample", "false", "--max-new-tokens", "12", "--format", "json"];
        let ran = self.run(&[&["generate", "--model", model], args, &common].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

#[cfg(feature = "builtin")]
#[test]
fn a_model_that_was_exported_goes_on_alike() {
    let file = File::new();
    let ran = file.export("builtin", &["--dtype", "f16"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "DIR/model.gguf: llama, 2.3 MB; tensors: 29 in F16, 9 in F32\n");
    assert!(ran.stderr.starts_with("note: the tokenizer prefers whole words, "), "{}", ran.stderr);
    let prompt = ["The old lighthouse"];
    let (own, read) = (file.json("builtin", &prompt), file.json("DIR/model.gguf", &prompt));
    assert_eq!(read["model"], "model.gguf");
    // Its weights are in f16 already.
    assert_eq!(read["sequences"], own["sequences"]);
    let beams = ["The sea", "--num-beams", "3"];
    let (own, read) = (file.json("builtin", &beams), file.json("DIR/model.gguf", &beams));
    assert_eq!(tokens(&read), tokens(&own));
}

#[test]
fn what_is_stored_otherwise_is_told() {
    let file = File::new();
    let ran = file.export(llama().to_str().unwrap(), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let note = "note: token_embd.weight and 19 more: stored as F16, for rows of 48 are not whole \
                Q8_0 blocks of 32\n";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
    // Both of the tokens that end a text came along.
    let outcome = file.json("DIR/model.gguf", &["--prompt-ids", "4,5,6"]);
    assert_eq!(outcome["config"]["eos_token_id"], serde_json::json!([2, 7]));
}

#[test]
fn a_file_is_described() {
    let file = File::new();
    assert_eq!(file.export(llama().to_str().unwrap(), &["--dtype", "f16"]).code, Some(0));
    for model in ["DIR/model.gguf", llama().to_str().unwrap()] {
        let ran = file.run(&["models", model]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(
            lines[1..7],
            [
                "family          llama",
                "vocabulary      288 tokens",
                "context         512 tokens",
                "can             fork, rewind, reorder, batch, score a text",
                "tokenizer       yes",
                "chat template   yes",
            ]
        );
        assert!(lines[7].starts_with("loaded in       0."), "{}", ran.stdout);
    }
    let ran = file.run(&["models", "DIR/none.gguf"]);
    assert_eq!(
        ran.stderr,
        "error: model: DIR/none.gguf: no such file or folder; expected a folder that holds config.json \
         and model.safetensors, a GGUF file, or the name of a model in Hugging Face's cache\n"
    );
    assert_eq!(ran.code, Some(2));
}

#[test]
fn bad_files_and_arguments_are_refused() {
    let file = File::new();
    assert_eq!(file.export(llama().to_str().unwrap(), &["--dtype", "f32"]).code, Some(0));
    let whole = fs::read(file.path()).unwrap();
    fs::write(file.dir.path().join("cut.gguf"), &whole[..whole.len() / 3]).unwrap();
    fs::write(file.dir.path().join("other.gguf"), b"PK\x03\x04").unwrap();
    let llama = llama();
    let llama = llama.to_str().unwrap();
    let phi = llama.replace("/llama", "/phi");
    let cases: [(&[&str], &str); 8] = [
        (
            &["generate", "x", "--model", "DIR/cut.gguf"],
            "--model: DIR/cut.gguf: truncated, or damaged: tensor `",
        ),
        (
            &["generate", "x", "--model", "DIR/other.gguf"],
            "--model: DIR/other.gguf: neither a folder that holds config.json and model.safetensors \
             nor a GGUF file",
        ),
        (
            &["generate", "x", "--model", "DIR/model.gguf", "--revision", "main"],
            "--model: DIR/model.gguf: a revision (`main`) is for a model in the cache",
        ),
        (
            &["export-gguf", llama, "DIR/x.gguf", "--dtype", "q5_k"],
            "invalid value 'q5_k' for '--dtype <TYPE>': unknown type `q5_k`; expected q8_0, q4_k, \
             q6_k, f16 or f32",
        ),
        (
            &["export-gguf", llama, "DIR/none/x.gguf"],
            "DIR/none/x.gguf: there is no such folder to write to",
        ),
        (
            &["export-gguf", "DIR/none", "DIR/x.gguf"],
            "DIR/none: no such file or folder; expected a folder",
        ),
        (
            &["export-gguf", "DIR/model.gguf", "DIR/x.gguf"],
            "DIR/model.gguf: not a folder; expected",
        ),
        (
            &["export-gguf", &phi, "DIR/x.gguf"],
            "family phi can not be written as a GGUF file; these can: gemma3, llama, phi3, qwen2, \
             qwen3",
        ),
    ];
    for (args, want) in cases {
        let ran = file.run(args);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("error: {want}")), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}
