//! Cases that other engines made, run against this build.
//!
//! A case file is JSON Lines, one case a line, each naming its `suite`; a model folder is a Hugging
//! Face folder with an `expected.json`. Any other folder stands for the case files and model folders in
//! it. The formats are described where each suite is run.

mod case;
mod chat;
mod engines;
mod generate;
mod model;
mod processors;
mod tokenizer;
mod watermark;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use taper_models::files::{FileError, FileKind};
use taper_sampling::presets;

const CASES: FileKind = FileKind::input(
    "cases as JSON Lines, a folder of them, or a model folder with an expected.json",
    1024,
);
const EXPECTED: FileKind = FileKind::regular("a regular file of expectations", 1024);

/// A case that did not come out as the other engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The case: its name, or the file and line if it has none.
    pub case: String,
    /// What differed.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.what)
    }
}

/// What came of a set of cases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conformance {
    /// Cases that agree.
    pub passed: usize,
    /// Cases that do not, in the order they were run.
    pub failed: Vec<Difference>,
}

impl Conformance {
    fn record(&mut self, case: String, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(what) => self.failed.push(Difference { case, what }),
        }
    }

    /// Adds the cases of another set.
    pub fn extend(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

/// Why the cases at a path cannot be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformError {
    /// The path cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// A line that is not JSON.
    #[error("{} line {line}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// No case of a file says what it is a case of.
    #[error(
        "{}: its cases name no `suite`, without which they cannot be run; the suites are {}",
        path.display(), SUITES.join(", ")
    )]
    NoSuite {
        /// The file.
        path: PathBuf,
    },
    /// A folder without cases.
    #[error(
        "{}: it holds no cases; expected files of JSON Lines (*.jsonl), model folders with an \
         expected.json, or to be such a folder",
        path.display()
    )]
    NoExpectations {
        /// The folder.
        path: PathBuf,
    },
}

/// The suites of case files.
const SUITES: [&str; 9] = [
    "chat-template",
    "hf-generate",
    "hf-processors",
    "llamacpp-samplers",
    "tokenizer",
    "vllm-sampler",
    "watermark-gumbel",
    "watermark-kgw",
    "watermark-synthid",
];

/// Runs the cases of a file, of a model folder, or of all those that are in a folder.
///
/// A suite that this build cannot run fails as a whole: each of its cases counts.
///
/// # Errors
///
/// When the path cannot be read or is not of a known form. Cases that differ are no error.
pub fn conform(path: &Path) -> Result<Conformance, ConformError> {
    if path.is_dir() {
        return folder(path);
    }
    let text = CASES.read_text(path)?;
    let (mut conformance, mut names_suites) = (Conformance::default(), false);
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let json = |source| ConformError::Json { path: path.to_owned(), line: index + 1, source };
        let case: Value = serde_json::from_str(line).map_err(json)?;
        let name = case["name"]
            .as_str()
            .map_or_else(|| format!("{} line {}", path.display(), index + 1), ToOwned::to_owned);
        names_suites |= case["suite"].is_string();
        conformance.record(name, run_case(path, &case));
    }
    if names_suites || conformance == Conformance::default() {
        return Ok(conformance);
    }
    Err(ConformError::NoSuite { path: path.to_owned() })
}

fn run_case(path: &Path, case: &Value) -> Result<(), String> {
    match case["suite"].as_str() {
        Some("chat-template") => chat::run(case),
        Some("hf-processors") => processors::run(case),
        Some("llamacpp-samplers") => engines::run(case, presets::llama_cpp),
        Some("vllm-sampler") => engines::run(case, presets::vllm),
        Some("hf-generate") => generate::run(case),
        Some("watermark-gumbel" | "watermark-kgw" | "watermark-synthid") => watermark::run(case),
        Some("tokenizer") => tokenizer::run(path, case),
        Some(other) => Err(format!("the suite `{other}` cannot be run by this build")),
        None => Err(format!("the case names no `suite`; there are {}", SUITES.join(", "))),
    }
}

fn folder(path: &Path) -> Result<Conformance, ConformError> {
    let file = path.join("expected.json");
    if let Some(text) = EXPECTED.read_if_there(&file)? {
        let json = |source: serde_json::Error| {
            let line = source.line();
            ConformError::Json { path: file, line, source }
        };
        return Ok(model::run(path, &serde_json::from_slice(&text).map_err(json)?));
    }
    let told = |error| FileError::of_system(path, error);
    let entries = fs::read_dir(path).map_err(told)?.map(|entry| entry.map(|entry| entry.path()));
    let mut inside: Vec<PathBuf> = entries.collect::<Result<_, _>>().map_err(told)?;
    inside.retain(|path| {
        let of_lines = path.extension().is_some_and(|extension| extension == "jsonl");
        (of_lines && !path.is_dir()) || path.join("expected.json").is_file()
    });
    inside.sort();
    if inside.is_empty() {
        return Err(ConformError::NoExpectations { path: path.to_owned() });
    }
    let mut all = Conformance::default();
    for path in inside {
        match conform(&path) {
            // One such file does not keep the others from being run.
            Err(error @ ConformError::NoSuite { .. }) => {
                let (case, what) = (path.display().to_string(), error.to_string());
                all.failed.push(Difference { case, what });
            }
            found => all.extend(found?),
        }
    }
    Ok(all)
}
