//! What runs on an engine instead of here.

mod generate;
mod here;
mod list;
mod request;
mod sweep;

pub(super) use self::generate::run as generate;
pub(super) use self::here::{Here, load as load_here};
pub(super) use self::list::run as list;
pub(super) use self::sweep::run as sweep;
