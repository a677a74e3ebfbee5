//! Reads the values of flags, and refuses those out of range with what the range is.

use std::num::NonZeroUsize;
use std::path::Path;

use taper_runner::LogitsDtype;
use taper_runner::experiment::Table;
pub(super) use taper_runner::knobs::words::*;
use taper_runner::models::{DeviceChoice, Dtype};
use taper_runner::sampling::Pipeline;

use super::input::PIPELINE;

pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.trim().parse().map_err(|_| "it must be a whole number, at least 1".to_owned())
}

pub(super) fn table(text: &str) -> Result<Table, String> {
    Table::named(text).ok_or_else(|| format!("it must be one of {}", Table::NAMES.join(", ")))
}

pub(super) fn logits_dtype(text: &str) -> Result<LogitsDtype, String> {
    LogitsDtype::named(text).ok_or_else(|| "it must be f32, f16 or bf16".to_owned())
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("it must be a whole number in 0..={}", u64::MAX))
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
