//! What a page of code needs: `use taper_sampling::prelude::*`.

pub use crate::candidates::{Candidates, Edge, MassRule, Normaliser};
pub use crate::data::{Arguments, PipelineError, Registry, Setting, SettingError, Settings};
pub use crate::error::StageError;
#[cfg(feature = "serde")]
pub use crate::generation_config::GenerationConfig;
#[cfg(feature = "llguidance")]
pub use crate::grammar::{Grammar, GrammarVocabulary};
pub use crate::logits::Logits;
pub use crate::pipeline::Guess;
pub use crate::pipeline::Lint;
pub use crate::pipeline::Pipeline;
pub use crate::pipeline::SelectError;
pub use crate::pipeline::Selection;
pub use crate::pipeline::Workspace;
pub use crate::pipeline::{Ask, Given, Step};
pub use crate::pipeline::{BatchRow, Choice};
pub use crate::pipeline::{StageTrace, Trace};
pub use crate::presets;
pub use crate::selectors::*;
pub use crate::sequence::{
    Accepted, DrawKey, Draws, History, Logged, Memory, Purpose, Sampler, Sequence, SequenceError,
    StageMemory, TextStream, Window,
};
pub use crate::stage::{Role, Stage, StepContext, stage_fn};
pub use crate::stages::*;
pub use crate::ties::{ArgmaxTies, TiePolicy};
