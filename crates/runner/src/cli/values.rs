//! Reads the values of flags, and refuses those out of range with what the range is.

use taper_runner::Semantics;
use taper_runner::models::{DeviceChoice, Dtype};
use taper_runner::sampling::{MinP, RepetitionPenalty, Temperature, TiePolicy, TopP};

/// Token ids separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids(pub(super) Vec<u32>);

pub(super) fn temperature(text: &str) -> Result<f64, String> {
    let domain = "above 0 and finite (for the most likely token each time, use --do-sample false)";
    number(text, domain, |value| Temperature::new(value).is_ok())
}

pub(super) fn top_p(text: &str) -> Result<f64, String> {
    number(text, "in 0..=1 (1 is off)", |value| TopP::new(value).is_ok())
}

pub(super) fn min_p(text: &str) -> Result<f64, String> {
    number(text, "in 0..=1 (0 is off)", |value| MinP::new(value).is_ok())
}

pub(super) fn repetition_penalty(text: &str) -> Result<f64, String> {
    let accepts = |value| RepetitionPenalty::new(value).is_ok();
    number(text, "above 0 and finite (1 is off)", accepts)
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    number(text, "above 0 and finite, in seconds", |value| value > 0.0 && value.is_finite())
}

pub(super) fn switchable_count(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| "it must be a whole number, at least 0 (0 is off)".to_owned())
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|&count| count > 0);
    count.ok_or_else(|| "it must be a whole number, at least 1".to_owned())
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("it must be a whole number in 0..={}", u64::MAX))
}

pub(super) fn stop_string(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn ids(text: &str) -> Result<Ids, String> {
    let ids = text.split(',').map(|id| id.trim().parse());
    ids.collect::<Result<_, _>>()
        .map(Ids)
        .map_err(|_| "it must be token ids separated by commas, at least one: 1,2,3".to_owned())
}

pub(super) fn eos_ids(text: &str) -> Result<Ids, String> {
    if text == "none" {
        return Ok(Ids(Vec::new()));
    }
    ids(text).map_err(|_| "it must be token ids separated by commas, or none".to_owned())
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

/// There is one so far; the others are known by name and refused as not there yet.
pub(super) fn semantics(text: &str) -> Result<Semantics, String> {
    match text {
        "huggingface" => Ok(Semantics::HuggingFace),
        "llama.cpp" | "vllm" => {
            Err("not available yet in this build; it must be huggingface".to_owned())
        }
        _ => Err("it must be huggingface".to_owned()),
    }
}

pub(super) fn device(text: &str) -> Result<DeviceChoice, String> {
    text.parse().map_err(|error| format!("{error}"))
}

pub(super) fn dtype(text: &str) -> Result<Dtype, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn number(text: &str, domain: &str, accepts: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value = text.trim().parse().ok().filter(|&value| accepts(value));
    value.ok_or_else(|| format!("it must be {domain}"))
}
