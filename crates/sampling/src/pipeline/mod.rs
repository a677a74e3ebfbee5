//! A pipeline, and a step under it: one row, many rows, a guess to take or to replace.

// First, so that the documentation of a pipeline begins with how one is made.
mod definition;

mod ask;
mod batch;
mod lint;
mod run;
mod select_error;
mod selection;
mod speculative;
mod trace;
mod traced;
mod workspace;

pub(crate) use ask::Allowed;
pub use ask::{Ask, Given, Step};
pub use batch::{BatchRow, Choice};
pub use definition::Pipeline;
pub use lint::Lint;
pub use select_error::SelectError;
pub use selection::Selection;
pub use speculative::Guess;
pub use trace::{StageTrace, Trace};
pub use workspace::Workspace;
