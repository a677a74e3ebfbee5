//! Cases that other engines made, run against this build.
//!
//! A case file is JSON Lines, one case a line, each naming its `suite`; a model folder is a Hugging
//! Face folder with an `expected.json`. The formats are described where each suite is run.

mod case;
mod chat;
mod engines;
mod generate;
mod model;
mod processors;
mod tokenizer;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use taper_sampling::presets;

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

/// Why the cases at a path can not be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformError {
    /// The path can not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
    /// A folder that is no model folder with expectations.
    #[error("{}: a folder of cases has an expected.json", path.display())]
    NoExpectations {
        /// The folder.
        path: PathBuf,
    },
}

/// Runs the cases of a file, or of a model folder.
///
/// A suite that this build can not run fails as a whole: each of its cases counts.
///
/// # Errors
///
/// When the path can not be read or is not of a known form. Cases that differ are no error.
pub fn conform(path: &Path) -> Result<Conformance, ConformError> {
    let read = |source| ConformError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(read)?.is_dir() {
        return folder(path);
    }
    let text = fs::read_to_string(path).map_err(read)?;
    let mut conformance = Conformance::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let json = |source| ConformError::Json { path: path.to_owned(), line: index + 1, source };
        let case: Value = serde_json::from_str(line).map_err(json)?;
        let name = case["name"]
            .as_str()
            .map_or_else(|| format!("{} line {}", path.display(), index + 1), ToOwned::to_owned);
        conformance.record(name, run_case(path, &case));
    }
    Ok(conformance)
}

fn run_case(path: &Path, case: &Value) -> Result<(), String> {
    match case["suite"].as_str() {
        Some("chat-template") => chat::run(case),
        Some("hf-processors") => processors::run(case),
        Some("llamacpp-samplers") => engines::run(case, presets::llama_cpp),
        Some("vllm-sampler") => engines::run(case, presets::vllm),
        Some("hf-generate") => generate::run(case),
        Some("tokenizer") => tokenizer::run(path, case),
        Some(other) => Err(format!("the suite `{other}` can not be run by this build")),
        None => Err("the case names no suite".to_owned()),
    }
}

fn folder(path: &Path) -> Result<Conformance, ConformError> {
    let file = path.join("expected.json");
    let Ok(text) = fs::read_to_string(&file) else {
        return Err(ConformError::NoExpectations { path: path.to_owned() });
    };
    let expected = serde_json::from_str(&text).map_err(|source| ConformError::Json {
        path: file,
        line: source.line(),
        source,
    })?;
    Ok(model::run(path, &expected))
}
