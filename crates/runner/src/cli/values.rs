//! Reads the values of flags, and refuses those out of range with what the range is.

use std::num::NonZeroUsize;
use std::path::Path;

use taper_runner::LogitsDtype;
use taper_runner::experiment::{MOST_REDRAWS, Shard, Table};
pub(super) use taper_runner::knobs::words::*;
use taper_runner::models::{DeviceChoice, Dtype, Threads};
use taper_runner::sampling::Pipeline;

use super::input::PIPELINE;

pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.trim().parse().map_err(|_| "it must be a whole number, at least 1".to_owned())
}

pub(super) fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|error: taper_runner::experiment::ShardError| error.to_string())
}

pub(super) fn table(text: &str) -> Result<Table, String> {
    Table::named(text).ok_or_else(|| format!("it must be one of {}", Table::NAMES.join(", ")))
}

pub(super) fn logits_dtype(text: &str) -> Result<LogitsDtype, String> {
    LogitsDtype::named(text).ok_or_else(|| "it must be f32, f16 or bf16".to_owned())
}

/// A row of logits; −∞ is a token that the model rules out.
#[derive(Debug, Clone)]
pub(super) struct Row(pub(super) Vec<f32>);

/// Logits of a row that is typed by hand.
const MOST_LOGITS: usize = 4096;

pub(super) fn row(text: &str) -> Result<Row, String> {
    let one = |number: &str| number.trim().parse::<f32>().ok();
    let fits = |x: &f32| x.is_finite() || *x == f32::NEG_INFINITY;
    let row: Option<Vec<f32>> = text.split(',').map(|x| one(x).filter(fits)).collect();
    let row = row.filter(|row| row.len() <= MOST_LOGITS && row.iter().any(|x| x.is_finite()));
    row.map(Row).ok_or_else(|| {
        format!("it must be 1 to {MOST_LOGITS} numbers such as 2,1,0.1, each finite or -inf, not all -inf")
    })
}

pub(super) fn redraws(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|count| (1..=MOST_REDRAWS).contains(count));
    count.ok_or_else(|| format!("it must be a whole number in 1..={MOST_REDRAWS}"))
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

pub(super) fn threads(text: &str) -> Result<Threads, String> {
    let expected = || format!("it must be a whole number in 1..={}", Threads::MOST);
    text.parse().map_err(|_| expected())
}
