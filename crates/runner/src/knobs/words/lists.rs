//! Values that are lists: of tokens, of sequences of tokens, of tokens with a number.

use crate::knobs::KnobValue;

/// Token ids separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(
    /// In order.
    pub Vec<u32>,
);

/// Sequences of token ids, separated by semicolons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences(
    /// In order.
    pub Vec<Vec<u32>>,
);

/// Sequences of token ids, each with a number.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceBiases(
    /// In order.
    pub Vec<(Vec<u32>, f64)>,
);

/// Token ids, each with a number.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitBiases(
    /// In order.
    pub Vec<(u32, f64)>,
);

/// Where a decay starts, and its factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay(
    /// After how many tokens.
    pub usize,
    /// The factor.
    pub f64,
);

/// A token id.
///
/// # Errors
///
/// What it must be.
pub fn id(text: &str) -> Result<u32, String> {
    text.trim().parse().map_err(|_| "it must be a token id".to_owned())
}

/// Token ids, at least one: `1,2,3`.
///
/// # Errors
///
/// What it must be.
pub fn ids(text: &str) -> Result<Ids, String> {
    let ids = list(text).map(Ids);
    ids.ok_or_else(|| "it must be token ids separated by commas, at least one: 1,2,3".to_owned())
}

/// Token ids, or `none`.
///
/// # Errors
///
/// What it must be.
pub fn eos_ids(text: &str) -> Result<Ids, String> {
    if text == "none" {
        return Ok(Ids(Vec::new()));
    }
    ids(text).map_err(|_| "it must be token ids separated by commas, or none".to_owned())
}

/// Sequences of token ids: `1,2;3`.
///
/// # Errors
///
/// What it must be.
pub fn sequences(text: &str) -> Result<Sequences, String> {
    let sequences = text.split(';').map(list).collect::<Option<_>>().map(Sequences);
    sequences
        .ok_or_else(|| "it must be sequences of token ids, each at least one: 1,2;3".to_owned())
}

/// Sequences of token ids, each with a number: `1,2:-4.5;3:-inf`.
///
/// # Errors
///
/// What it must be.
pub fn sequence_bias(text: &str) -> Result<SequenceBiases, String> {
    let one = |item: &str| {
        let (ids, bias) = item.split_once(':')?;
        Some((list(ids)?, bias_of(bias)?))
    };
    let biases = text.split(';').map(one).collect::<Option<_>>().map(SequenceBiases);
    let domain =
        "it must be sequences of token ids, each with a finite number or -inf: 1,2:-4.5;3:1";
    biases.ok_or_else(|| domain.to_owned())
}

/// `5:1.5`, and llama.cpp's own `5+1.5` and `5-1.5`.
///
/// # Errors
///
/// What it must be.
pub fn logit_bias(text: &str) -> Result<LogitBiases, String> {
    let one = |item: &str| {
        let item = item.trim();
        let (id, bias) = item.split_at(item.find([':', '+', '-'])?);
        Some((id.trim().parse().ok()?, bias_of(bias.strip_prefix(':').unwrap_or(bias))?))
    };
    let biases = text.split(',').map(one).collect::<Option<_>>().map(LogitBiases);
    let domain = "it must be token ids, each with a finite number or -inf: 5:1.5,7:-inf";
    biases.ok_or_else(|| domain.to_owned())
}

/// A number of tokens and a factor: `20,1.05`.
///
/// # Errors
///
/// What it must be.
pub fn decay(text: &str) -> Result<Decay, String> {
    let read = || {
        let (start, factor) = text.split_once(',')?;
        let factor = factor.trim().parse().ok().filter(|factor: &f64| factor.is_finite())?;
        Some(Decay(start.trim().parse().ok()?, factor))
    };
    let domain = "it must be a number of tokens and a finite factor: 20,1.05";
    read().ok_or_else(|| domain.to_owned())
}

impl From<Decay> for KnobValue {
    fn from(Decay(start, factor): Decay) -> Self {
        Self::List(vec![Self::Whole(start as i128), Self::Number(factor)])
    }
}

fn list(text: &str) -> Option<Vec<u32>> {
    text.split(',').map(|id| id.trim().parse().ok()).collect()
}

/// Finite, or −∞ for a ban; also in single precision.
fn bias_of(text: &str) -> Option<f64> {
    let bias = text.trim().parse().ok()?;
    (bias == f64::NEG_INFINITY || (bias as f32).is_finite()).then_some(bias)
}
