//! Where a cut falls, without a sort: by number, by mass, and a first guess from a sample.

pub(crate) mod guess;
pub(crate) mod nth;
pub(crate) mod order;
pub(crate) mod weighted;
