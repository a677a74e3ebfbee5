//! Watermarks: marks in texts that can be found with a key, and the detectors that find them.
//!
//! | scheme | makes it | finds it | changes the distribution |
//! |---|---|---|---|
//! | vLLM's Gumbel | [`GumbelWatermark`](crate::GumbelWatermark) | [`GumbelDetector`] | of a text, not over keys |
//! | vLLM's dual-key Gumbel | [`DualKeyGumbel`](crate::DualKeyGumbel) | [`DualKeyGumbelDetector`] | of a text, not over keys |
//! | Hugging Face's green list | [`GreenList`](crate::GreenList) | [`GreenListDetector`] | yes |
//! | SynthID | [`SynthId`](crate::SynthId) | [`SynthIdDetector`] | of a text, not over keys |
//!
//! A detector gives the engine's own score and p-value, and an [`Exact`] p-value beside it: that of
//! contexts that count once each, without a normal approximation. For a text that is not marked it is
//! uniform over keys, up to the steps of counts. Under one key texts share what that key does to the
//! contexts that they share, and their p-values are not independent.
//!
//! A detector needs the tokens as they were generated. Text that is tokenised again may be cut in other
//! places, and then is not marked there.
//!
//! # The files
//!
//! - `key`: a key that is not shown; `sha256`, by which vLLM derives two of one.
//! - `philox`, `contexts`: vLLM's random function, and what it is a function of.
//! - `mersenne`, `green`, `tournament`: torch's generator, and what Hugging Face makes of it.
//! - `tails`, `counts`: p-values.
//! - `gumbel`, `green_list`, `synthid`: the detectors.

mod contexts;
mod counts;
mod green;
mod green_list;
mod gumbel;
mod key;
mod mersenne;
mod philox;
mod sha256;
mod synthid;
mod tails;
mod tournament;

pub use contexts::ContextScope;
pub use green::SeedingScheme;
pub use green_list::{GreenListDetection, GreenListDetector};
pub use gumbel::{DualKeyGumbelDetector, GumbelDetection, GumbelDetector};
pub use key::WatermarkKey;
pub use philox::{NO_TOKEN, Philox, PhiloxContext};
pub use synthid::{SynthIdDetection, SynthIdDetector};

pub(crate) use contexts::Contexts;
pub(crate) use green::GreenLists;
pub(crate) use gumbel::pair;
pub(crate) use mersenne::Mersenne;
pub(crate) use tournament::{Tournament, USUAL_HISTORY, USUAL_TABLE};

/// A p-value without approximation: how likely such a score is, or a higher one, for a text that is not
/// marked.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Exact {
    /// How much of the text counts: what depends on the same numbers counts once.
    pub scored: usize,
    /// The score of that.
    pub score: f64,
    /// Its p-value; 1 if nothing is scored.
    pub p_value: f64,
}

/// Why a text cannot be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotScore {
    /// It has no token with a full context.
    #[error("the text has {tokens} tokens; at least {least} are needed to score one")]
    Text {
        /// Its tokens.
        tokens: usize,
        /// How many are needed.
        least: usize,
    },
    /// A token that no row of logits has.
    #[error("the text has token {id}; the vocabulary has {vocab_size}")]
    UnknownToken {
        /// The token.
        id: u32,
        /// The vocabulary's size.
        vocab_size: usize,
    },
}
