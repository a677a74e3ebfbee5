//! What runs on an engine instead of here.

mod generate;
mod list;
mod request;

pub(super) use self::generate::run as generate;
pub(super) use self::list::run as list;
