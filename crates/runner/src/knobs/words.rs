//! Settings as one word of a command line each, which the values of flags are; and refused with what
//! they must be.

mod lists;
mod samplers;

pub use self::lists::{
    Decay, Ids, LogitBiases, SequenceBiases, Sequences, decay, eos_ids, id, ids, logit_bias,
    sequence_bias, sequences,
};
pub use self::samplers::{Chain, samplers};
use super::{Range, Whole};

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

/// Above 0 and finite.
///
/// # Errors
///
/// What it must be.
pub fn seconds(text: &str) -> Result<f64, String> {
    Range::SECONDS.read(text)
}

/// A whole number, at least 0.
///
/// # Errors
///
/// What it must be.
pub fn switchable_count(text: &str) -> Result<usize, String> {
    count_in(Whole::SWITCH, text)
}

/// A whole number, at least 1.
///
/// # Errors
///
/// What it must be.
pub fn count(text: &str) -> Result<usize, String> {
    count_in(Whole::COUNT, text)
}

fn count_in(range: Whole, text: &str) -> Result<usize, String> {
    // Without a limit of its own, a range ends where counts do.
    range.read(text).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
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
