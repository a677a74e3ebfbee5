//! What verbs have found out about the candidates, for the next verb to use.
//!
//! | what happens | what is known after it |
//! |---|---|
//! | an edit, or a cut that may have taken the best | nothing: [`Known::default`] |
//! | a cut that makes a list and leaves the best | the best: [`Known::in_new_slots`] |
//! | a temperature, or a cut that is decided and not carried out | best and block maxima: [`Known::at_new_weights`] |

use crate::kernels::Mass;
use crate::kernels::tally::Tally;

/// The best candidate's value, and its score after the pending temperature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Best {
    pub(super) value: f32,
    pub(super) score: f32,
}

/// Statistics that one verb computed and the next may use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) best: Option<Best>,
    /// Whether `block_max` describes the values as they are.
    pub(super) blocks: bool,
    pub(super) mass: Option<Mass>,
    /// What `chunk_mass` is of; it does not outlast `mass`.
    pub(super) chunks: Chunks,
    /// Whether `weights` are those of the candidates as they are; they do not outlast `mass` either.
    pub(super) weights: bool,
    /// For a trace.
    pub(super) tally: Option<Tally>,
}

/// What the masses of chunks are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Chunks {
    #[default]
    Unknown,
    /// Of the candidates among so many consecutive token ids.
    OfTokens,
    /// Of so many consecutive candidates on a list.
    OfSlots,
}

impl Known {
    /// The best alone.
    pub(super) fn best(best: Best) -> Self {
        Self { best: Some(best), ..Self::default() }
    }

    /// The best, of values that were just scanned.
    pub(super) fn scanned(best: Best) -> Self {
        Self { best: Some(best), blocks: true, ..Self::default() }
    }

    /// What is left when the candidates lie in other slots, the best among them.
    pub(super) fn in_new_slots(self) -> Self {
        Self { best: self.best, ..Self::default() }
    }

    /// What is left when the candidates weigh otherwise and lie where they lay.
    pub(super) fn at_new_weights(self) -> Self {
        Self { best: self.best, blocks: self.blocks, ..Self::default() }
    }

    /// The mass has been computed, with that of each chunk or without.
    pub(super) fn weighed(&mut self, mass: Mass, chunks: Chunks) {
        (self.mass, self.chunks) = (Some(mass), chunks);
    }
}
