//! What an output folder holds the runs of.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shard::Shard;

/// What an experiment is: `manifest.json`, written before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// SHA-256 of the spec and the model, in hex: a folder takes runs of one digest alone. What the runs
    /// do not depend on has no part in it: title, description and tables.
    pub digest: String,
    /// What made the folder.
    pub versions: Versions,
    /// The model.
    pub model: ModelId,
    /// The engines that the runs are made on, each with its dialect, version, model and root; none for
    /// runs made here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<Value>,
    /// What the spec is called.
    pub title: String,
    /// What it is about, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The spec as it is in effect, with what flags changed.
    pub spec: Map<String, Value>,
    /// The prompts.
    pub prompts: Vec<Prompt>,
    /// The settings; controls come first.
    pub settings: Vec<Setting>,
    /// The knobs that settings differ in, in the order of the spec.
    pub swept: Vec<String>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How many runs there are: a control runs once for each prompt.
    pub runs: usize,
    /// The part of the runs that the folder is for; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// A prompt of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prompt {
    /// What the spec calls it, or its text.
    pub name: String,
    /// Its text; `None` if the spec has it as tokens.
    pub text: Option<String>,
    /// Its tokens.
    pub tokens: Vec<u32>,
}

/// A setting of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Setting {
    /// What the spec calls it, or its knobs: `temperature=0.7 top_p=0.9`.
    pub label: String,
    /// Its knobs, without those that all settings have in common.
    pub knobs: Map<String, Value>,
    /// Whether it is the greedy control that the others are held against.
    pub control: bool,
}

/// Which model, and whether it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Its name.
    pub name: String,
    /// SHA-256 of its files in hex; `None` where none was computed.
    pub digest: Option<String>,
}

/// What made a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Versions {
    /// Of the workspace; its changelog says which versions yield other numbers.
    pub taper: String,
    /// Operating system and processor.
    pub platform: String,
}

impl Versions {
    /// Of the build that asks.
    pub fn of_this_build() -> Self {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        Self { taper: env!("CARGO_PKG_VERSION").to_owned(), platform }
    }
}
