//! What a page of code needs: `use taper_sampling::prelude::*`.

pub use crate::ask::{Ask, Given, Step};
pub use crate::batch::{BatchRow, Choice};
pub use crate::candidates::{Candidates, Edge, MassRule, Normaliser};
pub use crate::data::{Arguments, PipelineError, Registry, Setting, SettingError, Settings};
#[cfg(feature = "serde")]
pub use crate::generation_config::GenerationConfig;
#[cfg(feature = "llguidance")]
pub use crate::grammar::{Grammar, GrammarVocabulary};
pub use crate::lint::Lint;
pub use crate::logits::Logits;
pub use crate::pipeline::Pipeline;
pub use crate::presets;
pub use crate::select_error::SelectError;
pub use crate::selection::Selection;
pub use crate::selectors::*;
pub use crate::sequence::{
    Accepted, DrawKey, Draws, History, Logged, Memory, Purpose, Sampler, Sequence, SequenceError,
    StageMemory, TextStream, Window,
};
pub use crate::speculative::Guess;
pub use crate::stage::{Role, Stage, StageError, StepContext, stage_fn};
pub use crate::stages::*;
pub use crate::ties::{ArgmaxTies, TiePolicy};
pub use crate::trace::{StageTrace, Trace};
pub use crate::workspace::Workspace;
