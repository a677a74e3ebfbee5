//! Experiments: prompts × settings × seeds, a record of each run, and what the records say.

mod digest;
mod folder;
mod manifest;
mod plan;
mod record;
mod records;
mod score;
mod settings;
mod shipped;
mod spec;
mod summary;
mod sweep;

pub use self::digest::digest_of;
#[cfg(feature = "builtin")]
pub use self::digest::digest_of_builtin;
pub use self::folder::FolderError;
pub use self::manifest::{Manifest, ModelId, Prompt, Setting, Versions};
pub use self::plan::{Plan, PlanError};
pub use self::record::{Alternative, Record, RunId, StepRecord};
pub use self::records::{MANIFEST, RECORDS, Records, RecordsError, Repeated, SUMMARY};
pub use self::shipped::{Shipped, UnknownSpec, shipped};
pub use self::spec::{Axis, PromptSpec, PromptText, Seeds, SettingSpec, Spec, SpecError, Table};
pub use self::summary::{Between, Estimate, METRICS, Row, Spread, Summary, metrics};
pub use self::sweep::{SweepError, SweepEvent, SweepOptions, Swept, sweep};
pub use crate::knobs::{KnobError, Knobs};
pub use crate::outcome::Redraw;
