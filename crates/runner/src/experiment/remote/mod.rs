//! Experiments on engines: the same spec and the same folder, the runs made elsewhere.

mod batch;
mod plan;
mod pool;
mod record;

pub use self::batch::{BatchError, Emitted, Ingested, emit_batch, ingest_batch};
pub use self::plan::{RemotePlan, RemotePlanError};
pub use self::pool::{RemoteOptions, RemoteSwept, sweep_remote};
