//! Reads the values of flags, and refuses those out of range with what the range is.

mod lists;
mod samplers;

use std::num::NonZeroUsize;

use taper_runner::experiment::Table;
use taper_runner::models::{DeviceChoice, Dtype, Threads};
use taper_runner::sampling::search::EarlyStopping;
use taper_runner::sampling::{
    AdaptiveP, ClassifierFreeGuidance, Dry, EpsilonCutoff, EtaCutoff, RepetitionPenalty, TiePolicy,
    TopH,
};
use taper_runner::{LogitsDtype, MirostatVersion, SearchMode};

pub(super) use self::lists::{
    Decay, Ids, LogitBiases, SequenceBiases, Sequences, decay, eos_ids, id, ids, logit_bias,
    sequence_bias, sequences,
};
pub(super) use self::samplers::{Chain, samplers};
use super::args::Engine;

/// Which mirostat draws, if one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mirostat(pub(super) Option<MirostatVersion>);

/// For settings whose range depends on the engine, which checks it later.
pub(super) fn number(text: &str) -> Result<f64, String> {
    in_domain(text, "a number", |_| true)
}

/// As [`number`].
pub(super) fn integer(text: &str) -> Result<i32, String> {
    let (least, most) = (i32::MIN, i32::MAX);
    text.trim().parse().map_err(|_| format!("it must be a whole number in {least}..={most}"))
}

pub(super) fn epsilon_cutoff(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..1 (0 is off)", |x| x == 0.0 || EpsilonCutoff::new(x).is_ok())
}

pub(super) fn eta_cutoff(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..1 (0 is off)", |x| x == 0.0 || EtaCutoff::new(x).is_ok())
}

pub(super) fn top_h(text: &str) -> Result<f64, String> {
    in_domain(text, "above 0 and at most 1", |x| TopH::new(x).is_ok())
}

pub(super) fn guidance_scale(text: &str) -> Result<f64, String> {
    in_domain(text, "finite (1 is off)", |x| ClassifierFreeGuidance::new(x).is_ok())
}

pub(super) fn xtc_probability(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..=1 (0 is off)", |x| (0.0..=1.0).contains(&x))
}

pub(super) fn xtc_threshold(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..=1 (above 0.5 is off)", |x| (0.0..=1.0).contains(&x))
}

pub(super) fn dry_base(text: &str) -> Result<f64, String> {
    in_domain(text, "at least 1 and finite", |x| Dry::new(1.0, x, 0).is_ok())
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    in_domain(text, "at least 0 and finite", |x| x >= 0.0 && (x as f32).is_finite())
}

pub(super) fn adaptive_target(text: &str) -> Result<f64, String> {
    let accepts = |x: f64| x < 0.0 || AdaptiveP::new(x, 0.0).is_ok();
    in_domain(text, "at most 1 (below 0 is off)", |x| x.is_finite() && accepts(x))
}

pub(super) fn adaptive_decay(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..=0.99", |x| AdaptiveP::new(0.5, x).is_ok())
}

pub(super) fn mirostat(text: &str) -> Result<Mirostat, String> {
    match text {
        "0" => Ok(Mirostat(None)),
        "1" => Ok(Mirostat(Some(MirostatVersion::One))),
        "2" => Ok(Mirostat(Some(MirostatVersion::Two))),
        _ => Err("it must be 0 (off), 1 or 2".to_owned()),
    }
}

pub(super) fn repetition_penalty(text: &str) -> Result<f64, String> {
    let accepts = |value| RepetitionPenalty::new(value).is_ok();
    in_domain(text, "above 0 and finite (1 is off)", accepts)
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    in_domain(text, "above 0 and finite, in seconds", |x| x > 0.0 && x.is_finite())
}

pub(super) fn switchable_count(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| "it must be a whole number, at least 0 (0 is off)".to_owned())
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|&count| count > 0);
    count.ok_or_else(|| "it must be a whole number, at least 1".to_owned())
}

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

pub(super) fn stop_string(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// A text as it is typed, where `\n`, `\t` and the like stand for what a shell makes hard to type.
pub(super) fn breaker(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    let escapes = [(r"\n", "\n"), (r"\t", "\t"), (r"\r", "\r"), (r#"\""#, "\""), (r"\'", "'")];
    let pieces = text.split(r"\\").map(|piece| {
        escapes.iter().fold(piece.to_owned(), |text, (typed, meant)| text.replace(typed, meant))
    });
    Ok(pieces.collect::<Vec<_>>().join("\\"))
}

pub(super) fn word(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn natural_i32(text: &str) -> Result<i32, String> {
    let count = text.trim().parse().ok().filter(|&count| count >= 0);
    count.ok_or_else(|| format!("it must be a whole number in 0..={}", i32::MAX))
}

pub(super) fn switchable_i32(text: &str) -> Result<i32, String> {
    natural_i32(text).map_err(|domain| domain + " (0 is off)")
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    in_domain(text, "finite", f64::is_finite)
}

pub(super) fn early_stopping(text: &str) -> Result<EarlyStopping, String> {
    match text {
        "false" => Ok(EarlyStopping::Heuristic),
        "true" => Ok(EarlyStopping::WhenFull),
        "never" => Ok(EarlyStopping::Never),
        _ => Err("it must be true, false or never".to_owned()),
    }
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

fn in_domain(text: &str, domain: &str, accepts: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value = text.trim().parse().ok().filter(|&value| accepts(value));
    value.ok_or_else(|| format!("it must be {domain}"))
}
