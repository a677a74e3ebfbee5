//! What a sequence refuses.

/// Why a [`Sequence`](crate::Sequence) refused what was asked of it. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// A sequence, or a memory, of one pipeline was given to another.
    #[error(
        "the sequence belongs to another pipeline; make one with `sequence` of the pipeline that selects"
    )]
    ForeignPipeline,
    /// A token of the text that the vocabulary does not have.
    #[error(
        "token {id}, at place {at} of the text, is outside the vocabulary of {vocab_size}; ids must be below that"
    )]
    UnknownToken {
        /// The token.
        id: u32,
        /// Its place in the text, from 0, prompt included.
        at: usize,
        /// The vocabulary's size.
        vocab_size: usize,
    },
    /// More tokens were to be taken back than were generated.
    #[error(
        "{tokens} tokens were to be taken back and {generated} were generated; the prompt stays"
    )]
    BeyondPrompt {
        /// Tokens to take back.
        tokens: usize,
        /// Tokens after the prompt.
        generated: usize,
    },
    /// A beam that a search does not have.
    #[error("beam {beam} is none of the {beams} beams; the step belongs to another search")]
    UnknownBeam {
        /// The beam.
        beam: usize,
        /// How many there are.
        beams: usize,
    },
    /// A second token was asked for at a place where one was chosen and not accepted: it would be
    /// drawn by the same random numbers.
    #[error(
        "token {token} was chosen here and not accepted; accept a token, or call redraw for other random numbers, or replay for the same ones"
    )]
    NotAccepted {
        /// The token that was chosen.
        token: u32,
    },
}
