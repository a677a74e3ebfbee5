//! What runs a model: token by token, with beams, over a text that is there already.

mod clock;
mod generation;
mod marks;
mod prepared;
mod score;
mod search;

pub use self::generation::{Draft, Generation, Step};
pub(crate) use self::prepared::check_prompt;
pub(crate) use self::score::PIECE;
pub use self::score::{ScoreOptions, ScoredText, Scorer, score_prompt};
pub use self::search::Search;
