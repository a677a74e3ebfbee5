//! Five short chapters: a loop with all that belongs to it, what happens among equals, in which order
//! engines do things, what it takes to get the same token twice, and the logits of other crates.

#[doc = include_str!("loop.md")]
pub mod a_loop {}

#[doc = include_str!("ties.md")]
pub mod ties {}

#[doc = include_str!("order.md")]
pub mod order {}

#[doc = include_str!("reproducibility.md")]
pub mod reproducibility {}

#[doc = include_str!("adapters.md")]
pub mod adapters {}
