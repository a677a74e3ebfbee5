//! What runs on an engine instead of here.

mod batch;
mod generate;
mod here;
mod list;
mod places;
mod request;
mod sweep;

pub(super) use self::batch::{emit as emit_batch, ingest as ingest_batch};
pub(super) use self::generate::run as generate;
pub(super) use self::here::{Here, load as load_here};
pub(super) use self::list::run as list;
pub(super) use self::places::run as sweep_places;
pub(super) use self::sweep::run as sweep;
