//! The stages, one per file.

mod min_p;
mod no_repeat_ngram;
mod repetition_penalty;
mod temperature;
mod top_k;
mod top_p;

pub use min_p::{MinP, MinPError};
pub use no_repeat_ngram::{NoRepeatNgram, NoRepeatNgramError};
pub use repetition_penalty::{RepetitionPenalty, RepetitionPenaltyError};
pub use temperature::{Temperature, TemperatureError};
pub use top_k::{TopK, TopKError};
pub use top_p::{TopP, TopPError};
