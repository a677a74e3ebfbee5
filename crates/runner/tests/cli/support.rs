//! Runs the program.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A tiny random llama that Hugging Face transformers made: 288 tokens, 512 positions, and settings
/// of its own (`do_sample`, `temperature` 0.6, `top_p` 0.9, two EOS tokens).
pub(crate) fn llama() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata/llama")
}

pub(crate) fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taper"));
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn taper<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    Ran::of(command(args).output().expect("the program starts"))
}

/// [`taper`], with something to read.
pub(crate) fn taper_reading<S: AsRef<OsStr>>(
    bytes: &[u8],
    args: impl IntoIterator<Item = S>,
) -> Ran {
    let mut command = command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("the program reads");
    Ran::of(child.wait_with_output().expect("the program ends"))
}

/// `taper generate` on [`llama`].
pub(crate) fn generate(args: &[&str]) -> Ran {
    let llama = llama();
    let model = ["generate", "--model", llama.to_str().expect("the path is UTF-8")];
    taper(model.iter().chain(args))
}

/// The object that `--format json` prints.
pub(crate) fn json(args: &[&str]) -> Value {
    let ran = generate(&[args, &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("one JSON object")
}

/// The tokens of the only sequence.
pub(crate) fn tokens(outcome: &Value) -> Vec<u64> {
    let tokens = outcome["sequences"][0]["tokens"].as_array().expect("a list of tokens");
    tokens.iter().map(|token| token.as_u64().expect("a token id")).collect()
}

/// A copy of the tiny llama that can be spoilt.
pub(crate) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap() };
        for file in ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
        {
            fs::copy(llama().join(file), folder.path().join(file)).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn set(&self, file: &str, key: &str, value: Value) {
        let path = self.file(file);
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(path, config.to_string()).unwrap();
    }

    /// Changes the output matrix (`f32`, one row for each token), given with the bytes of a row.
    pub(crate) fn edit_head(&self, edit: impl FnOnce(&mut [u8], usize)) {
        let path = self.file("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..data]).unwrap();
        let head = &header["lm_head.weight"];
        let number = |value: &Value| value.as_u64().unwrap() as usize;
        let row = number(&head["shape"][1]) * size_of::<f32>();
        let (start, end) = (number(&head["data_offsets"][0]), number(&head["data_offsets"][1]));
        edit(&mut bytes[data + start..data + end], row);
        fs::write(path, bytes).unwrap();
    }

    /// Runs the program on it; the folder's name becomes DIR in the messages.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let dir = self.path().to_str().unwrap();
        let mut ran = taper(["generate", "--model", dir].iter().chain(args));
        ran.stderr = ran.stderr.replace(dir, "DIR");
        ran
    }
}
