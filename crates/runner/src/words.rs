//! Settings as one word of a command line each, which the values of flags are; and refused with what
//! their range is.

mod lists;
mod samplers;

use taper_sampling::search::EarlyStopping;
use taper_sampling::{
    AdaptiveP, ClassifierFreeGuidance, Dry, EpsilonCutoff, EtaCutoff, RepetitionPenalty, TopH,
};

pub use self::lists::{
    Decay, Ids, LogitBiases, SequenceBiases, Sequences, decay, eos_ids, id, ids, logit_bias,
    sequence_bias, sequences,
};
pub use self::samplers::{Chain, samplers};
use crate::semantics::MirostatVersion;

/// Which mirostat draws, if one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirostat(
    /// `None` for another selector.
    pub Option<MirostatVersion>,
);

/// `true` or `false`, also as Python writes them.
///
/// # Errors
///
/// What it must be.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be true or false".to_owned()),
    }
}

/// A number, whose range depends on the engine, which checks it later.
///
/// # Errors
///
/// What it must be.
pub fn number(text: &str) -> Result<f64, String> {
    in_domain(text, "a number", |_| true)
}

/// A whole number, whose range depends on the engine, which checks it later.
///
/// # Errors
///
/// What it must be.
pub fn integer(text: &str) -> Result<i32, String> {
    let (least, most) = (i32::MIN, i32::MAX);
    text.trim().parse().map_err(|_| format!("it must be a whole number in {least}..={most}"))
}

/// In `0..1`.
///
/// # Errors
///
/// What it must be.
pub fn epsilon_cutoff(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..1 (0 is off)", |x| x == 0.0 || EpsilonCutoff::new(x).is_ok())
}

/// In `0..1`.
///
/// # Errors
///
/// What it must be.
pub fn eta_cutoff(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..1 (0 is off)", |x| x == 0.0 || EtaCutoff::new(x).is_ok())
}

/// Above 0 and at most 1.
///
/// # Errors
///
/// What it must be.
pub fn top_h(text: &str) -> Result<f64, String> {
    in_domain(text, "above 0 and at most 1", |x| TopH::new(x).is_ok())
}

/// Finite.
///
/// # Errors
///
/// What it must be.
pub fn guidance_scale(text: &str) -> Result<f64, String> {
    in_domain(text, "finite (1 is off)", |x| ClassifierFreeGuidance::new(x).is_ok())
}

/// In `0..=1`.
///
/// # Errors
///
/// What it must be.
pub fn xtc_probability(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..=1 (0 is off)", |x| (0.0..=1.0).contains(&x))
}

/// In `0..=1`.
///
/// # Errors
///
/// What it must be.
pub fn xtc_threshold(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..=1 (above 0.5 is off)", |x| (0.0..=1.0).contains(&x))
}

/// At least 1 and finite.
///
/// # Errors
///
/// What it must be.
pub fn dry_base(text: &str) -> Result<f64, String> {
    in_domain(text, "at least 1 and finite", |x| Dry::new(1.0, x, 0).is_ok())
}

/// At least 0 and finite.
///
/// # Errors
///
/// What it must be.
pub fn not_negative(text: &str) -> Result<f64, String> {
    in_domain(text, "at least 0 and finite", |x| x >= 0.0 && (x as f32).is_finite())
}

/// At most 1.
///
/// # Errors
///
/// What it must be.
pub fn adaptive_target(text: &str) -> Result<f64, String> {
    let accepts = |x: f64| x < 0.0 || AdaptiveP::new(x, 0.0).is_ok();
    in_domain(text, "at most 1 (below 0 is off)", |x| x.is_finite() && accepts(x))
}

/// In `0..=0.99`.
///
/// # Errors
///
/// What it must be.
pub fn adaptive_decay(text: &str) -> Result<f64, String> {
    in_domain(text, "in 0..=0.99", |x| AdaptiveP::new(0.5, x).is_ok())
}

/// `0`, `1` or `2`.
///
/// # Errors
///
/// What it must be.
pub fn mirostat(text: &str) -> Result<Mirostat, String> {
    match text.trim() {
        "0" => Ok(Mirostat(None)),
        "1" => Ok(Mirostat(Some(MirostatVersion::One))),
        "2" => Ok(Mirostat(Some(MirostatVersion::Two))),
        _ => Err("it must be 0 (off), 1 or 2".to_owned()),
    }
}

/// Above 0 and finite.
///
/// # Errors
///
/// What it must be.
pub fn repetition_penalty(text: &str) -> Result<f64, String> {
    let accepts = |value| RepetitionPenalty::new(value).is_ok();
    in_domain(text, "above 0 and finite (1 is off)", accepts)
}

/// Above 0 and finite.
///
/// # Errors
///
/// What it must be.
pub fn seconds(text: &str) -> Result<f64, String> {
    in_domain(text, "above 0 and finite, in seconds", |x| x > 0.0 && x.is_finite())
}

/// A whole number, at least 0.
///
/// # Errors
///
/// What it must be.
pub fn switchable_count(text: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| "it must be a whole number, at least 0 (0 is off)".to_owned())
}

/// A whole number, at least 1.
///
/// # Errors
///
/// What it must be.
pub fn count(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|&count| count > 0);
    count.ok_or_else(|| "it must be a whole number, at least 1".to_owned())
}

/// A text that is not empty.
///
/// # Errors
///
/// What it must be.
pub fn stop_string(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// A text as it is typed, where `\n`, `\t` and the like stand for what a shell makes hard to type.
///
/// # Errors
///
/// What it must be.
pub fn breaker(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty".to_owned());
    }
    let escapes = [(r"\n", "\n"), (r"\t", "\t"), (r"\r", "\r"), (r#"\""#, "\""), (r"\'", "'")];
    let pieces = text.split(r"\\").map(|piece| {
        escapes.iter().fold(piece.to_owned(), |text, (typed, meant)| text.replace(typed, meant))
    });
    Ok(pieces.collect::<Vec<_>>().join("\\"))
}

/// A text that is more than spaces.
///
/// # Errors
///
/// What it must be.
pub fn word(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// A whole number, at least 0.
///
/// # Errors
///
/// What it must be.
pub fn natural_i32(text: &str) -> Result<i32, String> {
    let count = text.trim().parse().ok().filter(|&count| count >= 0);
    count.ok_or_else(|| format!("it must be a whole number in 0..={}", i32::MAX))
}

/// A whole number, at least 0, which is off.
///
/// # Errors
///
/// What it must be.
pub fn switchable_i32(text: &str) -> Result<i32, String> {
    natural_i32(text).map_err(|domain| domain + " (0 is off)")
}

/// A finite number.
///
/// # Errors
///
/// What it must be.
pub fn finite(text: &str) -> Result<f64, String> {
    in_domain(text, "finite", f64::is_finite)
}

/// `true`, `false` or `never`.
///
/// # Errors
///
/// What it must be.
pub fn early_stopping(text: &str) -> Result<EarlyStopping, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "false" => Ok(EarlyStopping::Heuristic),
        "true" => Ok(EarlyStopping::WhenFull),
        "never" => Ok(EarlyStopping::Never),
        _ => Err("it must be true, false or never".to_owned()),
    }
}

fn in_domain(text: &str, domain: &str, accepts: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value = text.trim().parse().ok().filter(|&value| accepts(value));
    value.ok_or_else(|| format!("it must be {domain}"))
}
