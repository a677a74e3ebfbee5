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
    // Both of the tokens that end a text came along, and `<end_of_turn>` ends it by its name.
    let outcome = file.json("DIR/model.gguf", &["--prompt-ids", "4,5,6"]);
    assert_eq!(outcome["config"]["eos_token_id"], serde_json::json!([2, 7, 5]));
}

#[test]
fn a_file_is_described() {
    let file = File::new();
    assert_eq!(file.export(llama().to_str().unwrap(), &["--dtype", "f16"]).code, Some(0));
    let listed = r#"ends a text     2 "<eos>", 7 "<|im_end|>""#;
    let by_name = format!(r#"{listed}, 5 "<end_of_turn>""#);
    for (model, ends) in [("DIR/model.gguf", &by_name[..]), (llama().to_str().unwrap(), listed)] {
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
        assert_eq!(lines[7], ends);
        assert!(lines[8].starts_with("loaded in       0."), "{}", ran.stdout);
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
            "family phi cannot be written as a GGUF file; these can: gemma3, llama, phi3, qwen2, \
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

/// A value of a key: its type and its bytes.
enum Said<'a> {
    U32(u32),
    F32(f32),
    Text(&'a [u8]),
}

/// The file with more keys, before those that it has.
fn with_keys(file: &[u8], keys: &[(&str, Said<'_>)]) -> Vec<u8> {
    let text = |text: &[u8]| [&(text.len() as u64).to_le_bytes(), text].concat();
    let entry = |(name, said): (&str, &Said<'_>)| {
        let value = match said {
            Said::U32(number) => [4u32.to_le_bytes(), number.to_le_bytes()].concat(),
            Said::F32(number) => [6u32.to_le_bytes(), number.to_le_bytes()].concat(),
            Said::Text(said) => [&8u32.to_le_bytes()[..], &text(said)].concat(),
        };
        [text(name.as_bytes()), value].concat()
    };
    let mut more: Vec<u8> = keys.iter().flat_map(|(name, said)| entry((name, said))).collect();
    // The tensors begin at a multiple of 32.
    let pad = |length: usize| entry(("pad", &Said::Text(&vec![b' '; length])));
    let length = (32 - (more.len() + pad(0).len()) % 32) % 32;
    more.extend(pad(length));
    let count = u64::from_le_bytes(file[16..24].try_into().unwrap()) + keys.len() as u64 + 1;
    [&file[..16], &count.to_le_bytes(), &more, &file[24..]].concat()
}

impl File {
    /// Adds keys to the file of a small llama.
    fn with(keys: &[(&str, Said<'_>)]) -> Self {
        let file = Self::new();
        assert_eq!(file.export(llama().to_str().unwrap(), &["--dtype", "f16"]).code, Some(0));
        let whole = fs::read(file.path()).unwrap();
        fs::write(file.path(), with_keys(&whole, keys)).unwrap();
        file
    }

    /// The settings of a run under llama.cpp's rules.
    fn settings(&self, flags: &[&str]) -> Value {
        let args = ["generate", "--model", "DIR/model.gguf", "--prompt-ids", "4,9", "--seed", "1"];
        let rules = ["--semantics", "llama.cpp", "--max-new-tokens", "2", "--format", "json"];
        let ran = self.run(&[&args[..], &rules, flags].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["config"].take()
    }
}

#[test]
fn what_a_file_recommends_counts_below_flags() {
    let file = File::with(&[
        ("general.sampling.temp", Said::F32(0.6)),
        ("general.sampling.top_k", Said::U32(7)),
        ("general.sampling.top_p", Said::Text(b"0.9")),
        ("general.sampling.penalty_repeat", Said::F32(1.25)),
        ("general.sampling.penalty_last_n", Said::U32(33)),
        ("general.sampling.sequence", Said::Text(b"penalties;top-k;temp")),
    ]);
    let settings = file.settings(&[]);
    assert_eq!(settings["temperature"], 0.6);
    assert_eq!(settings["top_k"], 7);
    assert_eq!(settings["top_p"], 0.9);
    assert_eq!(settings["min_p"], 0.05);
    assert_eq!(settings["repeat_penalty"], 1.25);
    assert_eq!(settings["repeat_last_n"], 33);
    let chain = serde_json::json!(["logit_bias", "penalties", "top_k", "temperature"]);
    assert_eq!(settings["samplers"], chain);
    let settings = file.settings(&["--top-k", "9", "--samplers", "top_k"]);
    assert_eq!((&settings["top_k"], &settings["temperature"]), (&9.into(), &0.6.into()));
    assert_eq!(settings["samplers"], serde_json::json!(["logit_bias", "top_k"]));

    let ran = file.run(&["models", "DIR/model.gguf"]);
    let line = "sampling        sequence \"penalties;top-k;temp\", top_k 7, top_p \"0.9\", temp 0.6, \
                penalty_last_n 33, penalty_repeat 1.25 (llama.cpp's)\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
}

#[test]
fn a_file_may_recommend_mirostat() {
    let file = File::with(&[
        ("general.sampling.mirostat", Said::U32(2)),
        ("general.sampling.mirostat_tau", Said::F32(3.5)),
    ]);
    let settings = file.settings(&[]);
    let chain = serde_json::json!(["logit_bias", "temperature", "mirostat_v2"]);
    assert_eq!((&settings["samplers"], &settings["mirostat_tau"]), (&chain, &3.5.into()));
    assert_eq!(file.settings(&["--mirostat", "0"])["samplers"].as_array().unwrap().len(), 10);
    assert_eq!(file.settings(&["--mirostat", "1"])["samplers"][2], "mirostat");
}

#[test]
fn a_bad_recommendation_is_refused_where_it_counts() {
    for (name, said, flag, want) in [
        ("top_k", Said::Text(b"many"), ["--top-k", "4"], "\"many\"; it must be a finite number"),
        ("temp", Said::Text(b"nan"), ["--temperature", "1"], "\"nan\"; it must be a finite number"),
        ("mirostat", Said::U32(3), ["--mirostat", "0"], "3; it must be 0 (off), 1 or 2"),
        (
            "sequence",
            Said::Text(b"top_k;magic"),
            ["--samplers", "top_k"],
            "\"top_k;magic\"; it must be names of samplers, separated by semicolons",
        ),
    ] {
        let file = File::with(&[(&format!("general.sampling.{name}"), said)]);
        let rules = ["generate", "--model", "DIR/model.gguf", "--prompt-ids", "4,9"];
        let ran = file.run(&[&rules[..], &["--semantics", "llama.cpp"]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        let want = format!("error: DIR/model.gguf: general.sampling.{name} is {want}\n");
        assert_eq!(ran.stderr, want);
        file.settings(&flag);
        let ran = file.run(&[&rules[..], &["--max-new-tokens", "1"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
}

/// Replaces the value of a key that is a u32.
fn put_u32(file: &File, key: &str, value: u32) {
    let mut bytes = fs::read(file.path()).unwrap();
    let at = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap();
    let at = at + key.len() + 4;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(file.path(), bytes).unwrap();
}

#[test]
fn an_end_that_is_no_token_is_named_with_its_key() {
    let file = File::with(&[("general.description", Said::Text(b"caf\xe9"))]);
    file.settings(&[]);
    put_u32(&file, "tokenizer.ggml.eos_token_id", 288);
    let ran = file.run(&["generate", "--model", "DIR/model.gguf", "--prompt-ids", "4,9"]);
    assert_eq!(
        ran.stderr,
        "error: --model: DIR/model.gguf: `tokenizer.ggml.eos_token_id` is 288; expected an id below \
         288, the number of tokens\n"
    );
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_sweep_starts_from_what_a_file_recommends() {
    let file = File::with(&[("general.sampling.temp", Said::F32(0.25))]);
    let spec = "title = \"One\"\nprompts = [\"The\"]\n[base]\nmax_new_tokens = 2\n[[settings]]\n\
                semantics = \"llama.cpp\"\n[[settings]]\nsemantics = \"llama.cpp\"\n\
                temperature = 0.75\n";
    fs::write(file.dir.path().join("spec.toml"), spec).unwrap();
    let ran =
        file.run(&["sweep", "DIR/spec.toml", "--model", "DIR/model.gguf", "--out", "DIR/out"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let records = fs::read_to_string(file.dir.path().join("out/records.jsonl")).unwrap();
    let records: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let temperatures: Vec<_> = records.iter().map(|r| &r["config"]["temperature"]).collect();
    assert_eq!(temperatures, [0.25, 0.75]);
}
