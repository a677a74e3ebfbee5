//! Reads the values of flags, and refuses those out of range with what the range is.

use std::num::NonZeroUsize;
use std::path::Path;

use taper_runner::experiment::Table;
use taper_runner::models::{DeviceChoice, Dtype, Threads};
use taper_runner::sampling::{Pipeline, TiePolicy};
pub(super) use taper_runner::words::*;
use taper_runner::{LogitsDtype, SearchMode};

use super::args::Engine;
use super::input::PIPELINE;

pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.trim().parse().map_err(|_| "it must be a whole number, at least 1".to_owned())
}

pub(super) fn table(text: &str) -> Result<Table, String> {
    Table::named(text).ok_or_else(|| format!("it must be one of {}", Table::NAMES.join(", ")))
}

pub(super) fn logits_dtype(text: &str) -> Result<LogitsDtype, String> {
    let all = [LogitsDtype::F32, LogitsDtype::F16, LogitsDtype::Bf16];
    let named = all.into_iter().find(|dtype| dtype.name() == text);
    named.ok_or_else(|| "it must be f32, f16 or bf16".to_owned())
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("it must be a whole number in 0..={}", u64::MAX))
}

pub(super) fn search(text: &str) -> Result<SearchMode, String> {
    match text {
        "huggingface" => Ok(SearchMode::HuggingFace),
        "canonical" => Ok(SearchMode::Canonical),
        "stochastic" => Ok(SearchMode::Stochastic),
        _ => Err("it must be huggingface, canonical or stochastic".to_owned()),
    }
}

pub(super) fn ties(text: &str) -> Result<TiePolicy, String> {
    match text {
        "keep-all" => Ok(TiePolicy::KeepAll),
        "lowest-id" => Ok(TiePolicy::LowestId),
        "highest-id" => Ok(TiePolicy::HighestId),
        "random" => Ok(TiePolicy::Random),
        "error" => Ok(TiePolicy::Error),
        _ => Err("it must be keep-all, lowest-id, highest-id, random or error".to_owned()),
    }
}

pub(super) fn semantics(text: &str) -> Result<Engine, String> {
    match text {
        "huggingface" => Ok(Engine::HuggingFace),
        "llama.cpp" => Ok(Engine::LlamaCpp),
        "vllm" => Ok(Engine::Vllm),
        _ => Err("it must be huggingface, llama.cpp or vllm".to_owned()),
    }
}

pub(super) fn pipeline(file: &str) -> Result<Pipeline, String> {
    let json = PIPELINE.read_text(Path::new(file)).map_err(|error| error.to_string())?;
    Pipeline::from_json(&json).map_err(|error| error.to_string())
}

pub(super) fn device(text: &str) -> Result<DeviceChoice, String> {
    text.parse().map_err(|error| format!("{error}"))
}

pub(super) fn dtype(text: &str) -> Result<Dtype, String> {
    text.parse().map_err(|error| format!("{error}"))
}

pub(super) fn threads(text: &str) -> Result<Threads, String> {
    let expected = || format!("it must be a whole number in 1..={}", Threads::MOST);
    text.parse().map_err(|_| expected())
}
