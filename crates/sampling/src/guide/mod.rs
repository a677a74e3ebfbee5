//! Three short chapters: what happens among equals, in which order engines do things, and what it
//! takes to get the same token twice.

#[doc = include_str!("ties.md")]
pub mod ties {}

#[doc = include_str!("order.md")]
pub mod order {}

#[doc = include_str!("reproducibility.md")]
pub mod reproducibility {}
