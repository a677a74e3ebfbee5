//! Experiments on engines: the same spec and the same folder, the runs made elsewhere.

mod plan;
mod pool;
mod record;

pub use self::plan::{RemotePlan, RemotePlanError};
pub use self::pool::{RemoteOptions, RemoteSwept, sweep_remote};
