//! What a property answers when it does not hold.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Refusal;

/// A property that does not hold, with the row that shows it.
///
/// The message names the property, what was seen and the first logits of the row; the row itself is
/// here whole.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{property}: {finding}; the row: {}", Head(row))]
pub struct Violation {
    /// The name of the function that found it.
    pub property: &'static str,
    /// The row.
    pub row: Vec<f32>,
    /// What was seen.
    pub finding: Finding,
}

/// What was seen where the property says otherwise.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// No token, or no kept set, where there is one to give.
    #[error("the sampler refused ({reason})")]
    Refused {
        /// The sampler's own words.
        reason: String,
    },
    /// A token from a row that has none to give.
    #[error("token {token} was chosen from a row with {flaw}")]
    Accepted {
        /// The token.
        token: u32,
        /// What is wrong with the row.
        flaw: Flaw,
    },
    /// A token that the row does not have.
    #[error("token {token} is outside a row of {len}")]
    Outside {
        /// The token.
        token: u32,
        /// The row's length.
        len: usize,
    },
    /// A token at −∞ in the row.
    #[error("token {token} is banned")]
    Banned {
        /// The token.
        token: u32,
    },
    /// Another token than the best.
    #[error("token {token} was chosen where token {best} is the best")]
    NotBest {
        /// The token.
        token: u32,
        /// The one that is due, or one of several.
        best: u32,
    },
    /// Two tokens where one is due: two samplers, or one asked twice.
    #[error("token {first} the first time, token {second} the second")]
    Differs {
        /// One of them.
        first: u32,
        /// The other.
        second: u32,
    },
    /// An empty kept set.
    #[error("nothing was kept")]
    Empty,
    /// A token that the kept set does not have, or has twice.
    #[error("token {token} is {times} times in the kept set")]
    Listed {
        /// The token.
        token: u32,
        /// How often the kept set has it.
        times: usize,
    },
    /// A token in one kept set that is missing from the one that should have it too.
    #[error("token {token} is kept in one case and not in the other")]
    Missing {
        /// The token.
        token: u32,
    },
    /// A score other than the one that is due.
    #[error("token {token} has the score {score} where {due} is due")]
    Score {
        /// The token.
        token: u32,
        /// Its score.
        score: f32,
        /// What the property says.
        due: f32,
    },
    /// Draws that come too often or too seldom to be chance.
    #[error(
        "tokens {} were drawn {drawn} times in {draws}; their share of {share} makes {:.1} likely",
        Head(tokens), share * *draws as f64
    )]
    Odds {
        /// One token, or a tail of the least likely ones, likeliest first.
        tokens: Vec<u32>,
        /// How often one of them was drawn.
        drawn: u64,
        /// How many draws there were.
        draws: u64,
        /// The probability that one of them is drawn.
        share: f64,
    },
    /// Two samplers that had nothing to compare.
    #[error("both samplers refused every row (the last time: {reason})")]
    Untested {
        /// The words of one of them.
        reason: String,
    },
    /// Probabilities that do not fit the row.
    #[error("there are {given} shares, or they do not sum to 1, for {len} logits")]
    Shares {
        /// How many were given.
        given: usize,
        /// The row's length.
        len: usize,
    },
}

/// Why a row has no token to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// A NaN in it.
    #[error("NaN in it")]
    Nan,
    /// +∞ in it.
    #[error("+inf in it")]
    Infinite,
    /// Nothing but −∞.
    #[error("nothing but -inf")]
    AllBanned,
    /// No logits.
    #[error("no logits")]
    Empty,
}

impl Finding {
    pub(super) fn refused(reason: &Refusal) -> Self {
        Self::Refused { reason: reason.to_string() }
    }

    /// The violation of a property by a row.
    pub(super) fn of(self, property: &'static str, row: &[f32]) -> Violation {
        Violation { property, row: row.to_vec(), finding: self }
    }
}

/// The first dozen of a list, and how many there are.
struct Head<'a, T>(&'a [T]);

impl<T: fmt::Debug> fmt::Display for Head<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        if self.0.len() <= SHOWN {
            return write!(f, "{:?}", self.0);
        }
        write!(f, "{:?} and {} more", &self.0[..SHOWN], self.0.len() - SHOWN)
    }
}
