//! Experiments: prompts × settings × seeds, a record of each run, and what the records say.

mod digest;
mod folder;
mod joined;
mod manifest;
mod merge;
mod places;
mod plan;
mod record;
mod records;
#[cfg(feature = "engines")]
mod remote;
mod score;
mod settings;
mod shard;
mod shipped;
mod spec;
mod summary;
mod sweep;

pub use self::digest::digest_of;
#[cfg(feature = "builtin")]
pub use self::digest::digest_of_builtin;
pub use self::folder::FolderError;
pub use self::joined::{JoinedError, JoinedFolder};
pub use self::manifest::{Manifest, ModelId, Prompt, Setting, Versions};
pub use self::merge::{MergeError, Merged, merge};
pub use self::places::{PartOfSpec, Place};
pub use self::plan::{Plan, PlanError};
pub use self::record::{Alternative, Record, RunId, StepRecord, StepsLeftOut};
pub use self::records::{
    MANIFEST, PAIRS, RECORDS, Records, RecordsError, Repeated, STEPS, SUMMARY,
};
#[cfg(feature = "engines")]
pub use self::remote::{
    BatchError, Emitted, Ingested, RemoteOptions, RemotePlan, RemotePlanError, RemoteSwept,
    emit_batch, ingest_batch, sweep_remote,
};
pub use self::shard::{Shard, ShardError};
pub use self::shipped::{Shipped, UnknownSpec, shipped};
pub use self::spec::{
    Axis, MOST_REDRAWS, PromptSpec, PromptText, Seeds, SettingSpec, Spec, SpecError, Table,
};
pub use self::summary::{
    Between, Estimate, METRICS, Paired, Row, Spread, Summary, metrics, write_exports,
};
pub use self::sweep::{SweepError, SweepEvent, SweepOptions, Swept, sweep};
pub use crate::knobs::{KnobError, Knobs};
pub use crate::outcome::Redraw;
